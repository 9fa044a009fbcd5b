"""What an SMTP, IMAP or POP3 session means on this server: engine events to accounts, store and pipeline."""
