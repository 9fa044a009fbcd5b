"""SMTP and LMTP protocol engines without I/O: server and client."""
