"""IMAP4rev1 and IMAP4rev2 protocol engines without I/O: server and client."""
