"""``saslname``: user names within SCRAM and GS2 headers (RFC 5801 §4, RFC 5802 §5.1)."""

from __future__ import annotations

from corvus_auth.sasl.machine import Malformed
from corvus_auth.sasl.saslprep import PrepError, saslprep


def encode_saslname(name: str) -> bytes:
    """*name*, prepared, with "=" and "," as ``=3D`` and ``=2C``.  Raises `ValueError`."""
    try:
        text = saslprep(name)
    except PrepError as error:
        raise ValueError(f"the user name: {error}") from error
    if not text:
        raise ValueError("the user name is empty")
    return text.encode("utf-8").replace(b"=", b"=3D").replace(b",", b"=2C")


def decode_saslname(octets: bytes) -> bytes:
    """The octets behind the escapes."""
    head, *rest = octets.split(b"=")
    parts = [head]
    for part in rest:
        # "If the server receives a username that contains '=' not followed by either '2C' or
        # '3D', then the server MUST fail the authentication."
        if part[:2] == b"2C":
            parts.append(b",")
        elif part[:2] == b"3D":
            parts.append(b"=")
        else:
            raise Malformed("a user name has a stray =")
        parts.append(part[2:])
    return b"".join(parts)
