"""Transports: octets between sockets and engines, and nothing that knows a protocol's verbs."""
