"""POP3 protocol engines without I/O: server and client."""
