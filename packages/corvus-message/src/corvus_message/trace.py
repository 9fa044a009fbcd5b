"""The Received field (RFC 5321 §4.4), and changing a header without touching the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from corvus_message.dates import format_date
from corvus_message.fields import fold
from corvus_message.header import Field
from corvus_message.part import Part

# What a client called itself is written down, but only in characters that cannot end a comment,
# a clause or the field: "x) by evil (y" stays inside the parentheses (RFC 5321 §4.1.3, §4.4).
_NOT_NAME: Final = re.compile(r"[^A-Za-z0-9.:_\-\[\]\u0080-\U0010ffff]")
_NOT_ATOM: Final = re.compile(r"[^A-Za-z0-9!#$%&'*+/=?^_`{|}~.:\-]")
_NOT_COMMENT: Final = re.compile(r"[^ !-'*-:<-\[\]-~\u0080-\U0010ffff]")
_NOT_PATH: Final = re.compile(r'[\x00-\x20\x7f<>();"\\]')
#: "The maximum total length of a domain name" and of a path is near that (RFC 5321 §4.5.3.1).
_LONGEST: Final = 255


def _clean(unwanted: re.Pattern[str], text: str) -> str:
    cut = text.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
    return unwanted.sub("?", cut) or "unknown"


def _name(text: str) -> str:
    return _clean(_NOT_NAME, text)


def received(
    *,
    helo: str,
    by: str,
    date: datetime,
    ip: str | None = None,
    reverse_name: str | None = None,
    protocol: str = "ESMTP",
    id: str | None = None,  # noqa: A002  # the RFC's word
    recipient: str | None = None,
    tls: str | None = None,
) -> bytes:
    """
    One Received field, to be put in front of the message.

    >>> from datetime import UTC, datetime
    >>> print(received(helo="mail.example.org", ip="192.0.2.1", by="mx.example.com", id="4f2",
    ...     protocol="ESMTPS", recipient="bob@example.com", tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    ...     date=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)).decode().replace("\\r\\n", "\\n"), end="")
    Received: from mail.example.org ([192.0.2.1]) by mx.example.com with ESMTPS
     (TLSv1.3 TLS_AES_256_GCM_SHA384) id 4f2 for <bob@example.com>;
     Fri, 02 Jan 2026 03:04:05 +0000

    Args:
        helo: What the client called itself; taken as it comes, dangerous characters replaced.
        by: Our own name.
        date: When the message was taken.
        ip: The client's address, with or without ``IPv6:``; ``None`` for local submission.
        reverse_name: What DNS calls that address, where it was confirmed.
        protocol: The registered keyword of :rfc:`3848` or :rfc:`6531`: ESMTPSA, UTF8SMTPS, LMTP.
        id: Our own name for the transaction.
        recipient: The one recipient; leave it out where there are several, which would tell
            each about the others (:rfc:`5321#section-7.2`).
        tls: Version and cipher, as a comment.
    """
    tokens = ["from", _name(helo)]
    if ip is not None:
        bare = ip.removeprefix("IPv6:")
        literal = _name(f"IPv6:{bare}" if ":" in bare else bare)
        tokens.append(
            f"([{literal}])" if reverse_name is None else f"({_name(reverse_name)} [{literal}])"
        )
    tokens += ["by", _name(by), "with", _clean(_NOT_ATOM, protocol)]
    if tls is not None:
        tokens.append(f"({' '.join(_clean(_NOT_COMMENT, tls).split())})")
    if id is not None:
        tokens += ["id", _clean(_NOT_ATOM, id)]
    if recipient is not None:
        tokens.append(f"for <{_clean(_NOT_PATH, recipient)}>")
    tokens[-1] += ";"
    tokens.append(format_date(date))
    return fold("Received", tokens)


def without_fields(part: Part, drop: Iterable[str] | Callable[[Field], bool]) -> bytes:
    """
    The octets of a message with some fields left out and every other octet as it was.

    Args:
        part: The message.
        drop: Names, in any case, or a function that is asked about each field.

    >>> from corvus_message import parse
    >>> without_fields(parse(b"A: 1\\r\\nBcc: x@y\\r\\n\\tz@y\\r\\nB: 2\\r\\n\\r\\nhi"), ["bcc"])
    b'A: 1\\r\\nB: 2\\r\\n\\r\\nhi'

    Fields beyond `Limits.header_fields` were not read and stay.
    """
    if callable(drop):
        unwanted = drop
    else:
        names = {name.lower().encode() for name in drop}

        def unwanted(field: Field) -> bool:
            return field.name.lower() in names

    kept: list[bytes] = []
    position = part.start
    for field in part.headers.fields:
        if unwanted(field):
            kept.append(part.buffer[position : field.start])
            position = field.end
    kept.append(part.buffer[position : part.end])
    return b"".join(kept)
