"""Small values that both sides share."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TLSInfo:
    """What the handshake established; the engine looks at none of it and hands it on."""

    version: str | None = None
    """Such as ``TLSv1.3``."""

    cipher: str | None = None
    """The cipher suite's name."""

    server_name: str | None = None
    """What the client asked for (SNI)."""

    peer_certificate: bytes | None = field(default=None, repr=False)
    """DER of the certificate the peer proved, for SASL EXTERNAL (RFC 2595 §4)."""

    channel_binding: bytes | None = field(default=None, repr=False)
    """What SCRAM-PLUS binds to."""


#   timestamp = "<" *VCHAR ">"                      ; RFC 2449 §3, "MUST conform to RFC-822 msg-id"
#   msg-id    = "<" addr-spec ">"                   ; one "@", and no octet beyond ASCII
_TIMESTAMP = re.compile(r"<[!-;=?A-~]{1,250}@[!-;=?A-~]{1,250}>")


def is_timestamp(text: str) -> bool:
    """
    Whether *text* is a timestamp that APOP may be computed over.

    A man in the middle who may choose other octets than those of a message identifier makes MD5
    collide and so learns a secret letter by letter (CVE-2007-1558).

    >>> is_timestamp("<1896.697170952@dbc.mtview.ca.us>"), is_timestamp("<\\xff@x>")
    (True, False)
    """
    return len(text) <= 255 and _TIMESTAMP.fullmatch(text) is not None


def apop_digest(timestamp: str, secret: str) -> str:
    """
    The digest of :rfc:`1939#section-7`, APOP: MD5 over timestamp and secret, as hexadecimal.

    >>> apop_digest("<1896.697170952@dbc.mtview.ca.us>", "tanstaaf")
    'c4c9334bac560ecc979e58001b3e22fb'
    """
    octets = f"{timestamp}{secret}".encode()
    # MD5 is what the memo says; it is weak, and that is why APOP is off unless asked for.
    return hashlib.md5(octets, usedforsecurity=False).hexdigest()


def apop_matches(digest: str, timestamp: str, secret: str) -> bool:
    """Compare *digest* with the right one in constant time."""
    return hmac.compare_digest(digest.encode(), apop_digest(timestamp, secret).encode())
