"""A self-hosted mail server: SMTP, IMAP, POP3, queue, webmail and admin."""
