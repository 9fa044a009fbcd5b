"""Trace fields: Received, Return-Path, Delivered-To, and the count of hops (RFC 5321 §4.4)."""

from __future__ import annotations

import time
from typing import Any, Final

#: "Simple counting of the number of Received header fields ... implementations SHOULD use a large
#: rejection threshold, normally at least 100 Received entries" (RFC 5321 §6.3).
MAX_HOPS: Final = 100

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def date_time(moment: float) -> str:
    """
    A date as header fields show it, in UTC (:rfc:`5322#section-3.3`).

    >>> date_time(0)
    'Thu, 01 Jan 1970 00:00:00 +0000'
    """
    t = time.gmtime(moment)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04d}"
        f" {t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} +0000"
    )


def received_field(
    *,
    helo: str,
    address: str,
    name: str = "",
    hostname: str,
    protocol: str,
    tls: Any = None,
    identifier: str,
    recipient: str = "",
    moment: float,
) -> bytes:
    """
    The Received field of one hop, folded, with CRLF.

    Args:
        helo: What the client called itself; shown, never believed.
        name: Its verified reverse name, or empty.
        protocol: ``SMTP``, ``ESMTP``, ``ESMTPS``, ``ESMTPSA`` (:rfc:`3848`), ``UTF8SMTPS`` (:rfc:`6531`).
        recipient: Named only when there was a single one, so that Bcc stays blind.
    """
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    lines = [
        f"Received: from {_token(helo) or 'unknown'} ({_token(name) + ' ' if name else ''}{literal})",
        f"by {hostname} with {protocol} id {identifier}",
    ]
    if tls is not None:
        lines.append(f"({_token(tls.version)} cipher {_token(tls.cipher)})")
    lines.append(f"for <{recipient}>;" if recipient else ";")
    if lines[-1] == ";":
        lines.pop()
        lines[-1] += ";"
    lines.append(date_time(moment))
    return "\r\n\t".join(lines).encode("utf-8") + b"\r\n"


def return_path_field(mail_from: str) -> bytes:
    """The reverse path, as "the delivery SMTP system" adds it (:rfc:`5321#section-4.4`)."""
    return b"Return-Path: <" + mail_from.encode("utf-8") + b">\r\n"


def delivered_to_field(address: str) -> bytes:
    """The mailbox this copy was made for; what a loop is recognised by."""
    return b"Delivered-To: " + address.encode("utf-8") + b"\r\n"


def protocol_name(*, esmtp: bool, tls: bool, authenticated: bool, utf8: bool) -> str:
    """
    The "with" of a Received field (:rfc:`3848`, :rfc:`6531#section-4.3`).

    >>> protocol_name(esmtp=True, tls=True, authenticated=True, utf8=False)
    'ESMTPSA'
    """
    name = "UTF8SMTP" if utf8 else "ESMTP" if esmtp else "SMTP"
    if name == "SMTP":
        return name
    return name + ("S" if tls else "") + ("A" if authenticated else "")


def _token(text: str) -> str:
    """Text of a peer that goes into a comment: no parenthesis, no control, no surprise."""
    return "".join(c for c in text[:255] if c.isprintable() and c not in "()\\;<>")
