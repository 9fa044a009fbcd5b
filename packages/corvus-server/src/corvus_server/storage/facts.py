"""
What is computed of a message once, when it arrives (R11).

`facts_of` gives everything that FETCH, a message list and threads need; `search_texts` what the full-text index holds.
Both are pure and linear; more than 64 KB of octets belong into a thread.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from corvus_imap import bodystructure, envelope
from corvus_message import Part as MimePart
from corvus_message import decode_words, html_to_text, parse, parse_date
from corvus_message.threads import message_id, references
from corvus_server.storage.values import KEPT_FIELDS, MessageFacts, Part
from corvus_server.storage.words import search_key

__all__ = [
    "KEPT_FIELDS",
    "cut_fields",
    "facts_of",
    "field_codes",
    "format_internal_date",
    "kept_fields",
    "search_texts",
]

_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip

_CODES: Final = {name: index + 1 for index, name in enumerate(KEPT_FIELDS)}
_KEPT_LIMIT: Final = 32 * 1024
_TEXT_LIMIT: Final = 8 * 1024
"""Characters of a decoded field that are kept: a To of ten thousand addresses stays in its body."""
_ID_LIMIT: Final = 998
_PARTS_LIMIT: Final = 500
_FIELD_START: Final = re.compile(rb"[!-9;-~]+[ \t]*:")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_BREAK: Final = "\x01"
"""Between pieces of text, so that no match begins in one and ends in another."""


def format_internal_date(seconds: int, zone: int = 0) -> bytes:
    """
    A date-time as it stands in a FETCH response (RFC 9051 §9, ``date-time``).

    Args:
        seconds: Since 1970, UTC.
        zone: Minutes east of UTC in which to show it.

    >>> format_internal_date(837596665, -420)
    b'"17-Jul-1996 02:44:25 -0700"'
    """
    t = time.gmtime(seconds + zone * 60)
    sign, minutes = ("-", -zone) if zone < 0 else ("+", zone)
    return (
        f'"{t.tm_mday:02d}-{_MONTHS[t.tm_mon - 1]}-{t.tm_year:04d} {t.tm_hour:02d}:{t.tm_min:02d}:'
        f'{t.tm_sec:02d} {sign}{minutes // 60:02d}{minutes % 60:02d}"'
    ).encode()


# The usual fields, kept.


def kept_fields(fields: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """
    Pack the usual fields of a header: each as a code octet and the field as it stands, NUL between.

    Args:
        fields: (name in any case, octets of the whole field with its line end), in order.

    Returns:
        None where they cannot be packed (a NUL in one, or more than 32 KB): then the body tells.
    """
    found = []
    size = 0
    for name, octets in fields:
        code = _CODES.get(name.lower())
        if code is not None:
            size += len(octets)
            if b"\0" in octets or size > _KEPT_LIMIT:
                return None
            found.append(bytes((code,)) + octets)
    return b"\0".join(found)


def field_codes(names: Iterable[bytes]) -> frozenset[int] | None:
    """
    The codes of field names, for `cut_fields`; None if one of them is not kept.

    >>> field_codes([b"X-Unusual"]) is None
    True
    """
    codes = set()
    for name in names:
        code = _CODES.get(name.lower())
        if code is None:
            return None
        codes.add(code)
    return frozenset(codes)


def cut_fields(packed: bytes, codes: frozenset[int]) -> bytes:
    """
    What ``BODY[HEADER.FIELDS (...)]`` returns: the wanted fields in the order of the message, then an empty line.

    >>> packed = kept_fields([(b"To", b"To: a@b\\r\\n"), (b"Subject", b"Subject: x\\r\\n")])
    >>> cut_fields(packed, field_codes([b"subject"]))
    b'Subject: x\\r\\n\\r\\n'
    """
    if not packed:
        return b"\r\n"
    return b"".join([f[1:] for f in packed.split(b"\0") if f[0] in codes]) + b"\r\n"


# All of it.


def _clean(text: str, limit: int = _TEXT_LIMIT) -> str:
    """Text that a database takes: valid Unicode, no NUL, not endless."""
    return _SURROGATES.sub("\ufffd", text[:limit]).replace("\0", "\ufffd")


def facts_of(raw: bytes, *, prefix: bytes = b"") -> MessageFacts:
    """
    The facts of ``prefix + raw``.

    Args:
        raw: A message with CRLF line ends, or anything else: octets that are no message have facts too.
        prefix: Whole header fields that stand in front of it for one recipient.
    """
    octets = prefix + raw if prefix else raw
    message = parse(octets)
    date = message.field(b"date")
    sent = parse_date(date) if date else None
    view = message.view()
    return MessageFacts(
        size=len(octets),
        header_size=message.body_start,
        envelope=envelope(message),
        bodystructure=bodystructure(message),
        body=bodystructure(message, extended=False),
        header_fields=_keep(message),
        subject=_field_text(message, b"subject"),
        sender=_field_text(message, b"from"),
        to=_field_text(message, b"to"),
        cc=_field_text(message, b"cc"),
        bcc=_field_text(message, b"bcc"),
        message_id=_clean(message_id(message) or "", _ID_LIMIT),
        references=tuple(_clean(ref, _ID_LIMIT) for ref in references(message)),
        sent_at=_seconds(sent),
        sent_zone=_zone(sent),
        preview=_clean(message.preview(), 256),
        has_attachment=bool(view.attachments),
        parts=tuple(_parts(message)),
        begins_with_field=_FIELD_START.match(octets) is not None,
    )


def _keep(message: MimePart) -> bytes | None:
    if any("NOT_READ" in d.name or "TOO_" in d.name for d in message.defects):
        return None  # fields that were not read may be among the wanted ones
    if not message.header_octets.endswith(b"\r\n\r\n"):
        return None  # a header without its empty line is told without one, too
    fields = []
    for field in message.headers.fields:
        octets = field.octets
        if not octets.endswith(b"\r\n"):
            return None  # bare line ends are told as they stand, from the body
        fields.append((field.name, octets))
    return kept_fields(fields)


def _field_text(message: MimePart, name: bytes) -> str:
    """A field for people; several of one name (RFC 5322 §4.5.3) as one."""
    values = message.fields(name)
    if not values:
        return ""
    # Cut before decoding: encoded words of a megabyte are not worth their time.
    text = ", ".join([_decoded(value[: 2 * _TEXT_LIMIT]) for value in values[:20]])
    return _clean(text.replace("\t", " "))


def _decoded(value: bytes) -> str:
    """`decode_words`, which most fields do not need."""
    if b"=?" not in value and value.isascii():
        return value.decode("ascii")
    return decode_words(value)


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):  # year 1 in a zone that is ahead
        return None


def _zone(moment: datetime | None) -> int:
    offset = moment.utcoffset() if moment is not None else None
    return int(offset.total_seconds() // 60) if offset is not None else 0


def _parts(message: MimePart) -> list[Part]:
    """
    The parts by IMAP's numbers (RFC 9051 §6.4.5.1), in the order of the message.

    A message inside part 2 has a row ``2.HEADER`` of its own, for its header and its text.
    """
    found: list[Part] = []
    todo: list[tuple[MimePart, str, bool]] = [(message, "", True)]
    while todo and len(found) < _PARTS_LIMIT:
        part, path, is_message = todo.pop()
        if is_message:
            found.append(_row(part, f"{path}.HEADER" if path else ""))
            if not part.is_multipart:
                # "Every message has at least one part number": the text of a plain one is 1.
                path = f"{path}.1" if path else "1"
                found.append(_row(part, path))
        else:
            found.append(_row(part, path))
        inside = part.message
        if inside is not None:
            todo.append((inside, path, True))
        elif part.is_multipart:
            below = [
                (child, f"{path}.{n}" if path else str(n), False)
                for n, child in enumerate(part.children[:_PARTS_LIMIT], 1)
            ]
            todo.extend(reversed(below))
    return found


def _row(part: MimePart, path: str) -> Part:
    return Part(
        path=path,
        header=part.start,
        body=part.body_start,
        end=part.end,
        media_type=_clean(part.content_type.value, 200),
        encoding=_clean(part.encoding, 40),
        charset=_clean(part.content_type.charset or "", 40) if part.type == "text" else "",
        filename=_clean(part.filename or "", 255) if path and _may_have_name(part) else "",
    )


def _may_have_name(part: MimePart) -> bool:
    """A look that is cheaper than reading the parameters of every part."""
    return not part.children and (
        part.field(b"content-disposition") is not None
        or b"name" in (part.field(b"content-type") or b"").lower()
    )


def search_texts(raw: bytes) -> tuple[str, str]:
    """
    What SEARCH finds in a message, as search keys: (all header fields, the text of the body).

    "TEXT ... in the header (including MIME header fields) or body of the message" (RFC 9051 §6.4.4); the header of a
    message inside counts as body, HTML without its tags.
    """
    heads: list[str] = []
    bodies: list[str] = []
    todo = [(parse(raw), False)]
    while todo:
        part, inside = todo.pop()
        fields = _BREAK.join(f"{name}: {text}" for name, text in part.headers.items())
        if fields:
            (bodies if inside else heads).append(search_key(fields))
        if part.type == "text" or (part.is_multipart and not part.children):
            text = part.content_text()
            bodies.append(search_key(html_to_text(text) if part.subtype == "html" else text))
        todo.extend((child, child is part.message) for child in reversed(part.children))
    return _clean(_BREAK.join(heads), 1 << 60), _clean(_BREAK.join(bodies), 1 << 60)
