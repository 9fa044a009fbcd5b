"""Forwarding with a sender of our own (SRS), so that the next server's SPF check can pass.

A mail that an alias sends on to another domain would fail SPF there, for we are not among the
servers of its sender.  So its envelope sender becomes an address of the alias's domain that holds
the original, a day stamp and a keyed hash; a bounce to it is undone and sent back.  The form is that
of the Sender Rewriting Scheme (``SRS0=hash=day=domain=local@alias.domain``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Final

_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
#: Days for which a bounce finds its way back.
VALID_DAYS: Final = 21
_FORM: Final = re.compile(
    r"SRS0=([A-Za-z0-9+/]{4,8})=([A-Z2-7]{2})=([^=@\s]{1,253})=(.+)\Z", re.IGNORECASE | re.DOTALL
)


def srs_address(mail_from: str, domain: str, secret: bytes, *, now: float) -> str:
    """
    The envelope sender under which *mail_from* is forwarded by *domain*.

    A null sender stays null: a notice must not be answered.

    >>> address = srs_address("carol@crow.example", "corvus.local", b"key", now=0.0)
    >>> address.endswith("=AA=crow.example=carol@corvus.local")
    True
    >>> srs_original(address.rpartition("@")[0], b"key", now=86400.0)
    'carol@crow.example'
    """
    local, at, host = mail_from.rpartition("@")
    if not at or not local:
        return ""
    day = _day(now)
    return f"SRS0={_hash(secret, day, host, local)}={day}={host}={local}@{domain}"


def srs_original(local_part: str, secret: bytes, *, now: float) -> str | None:
    """The address behind an SRS local part of ours, or ``None`` if it is forged or too old."""
    match = _FORM.match(local_part)
    if match is None:
        return None
    mac, day, host, local = match.groups()
    day = day.upper()
    if not hmac.compare_digest(mac.lower(), _hash(secret, day, host, local).lower()):
        return None
    made = _BASE32.index(day[0]) * 32 + _BASE32.index(day[1])
    if (int(now // 86400) - made) % 1024 > VALID_DAYS:
        return None
    return f"{local}@{host}"


def _day(now: float) -> str:
    number = int(now // 86400) % 1024
    return _BASE32[number >> 5] + _BASE32[number & 31]


def _hash(secret: bytes, day: str, host: str, local: str) -> str:
    # Lower case: some servers fold the local part of an address on its way.
    message = f"{day}={host.lower()}={local.lower()}".encode("utf-8", "surrogateescape")
    digest = hmac.digest(secret, message, hashlib.sha256)
    return base64.b32encode(digest)[:8].decode("ascii")
