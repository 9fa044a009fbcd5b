"""ENVELOPE and BODYSTRUCTURE, for a client (RFC 9051 §9 envelope, body)."""

from __future__ import annotations

from corvus_imap.codec._lexer import Cursor
from corvus_imap.types.fetch import MAX_NUMBER64
from corvus_imap.types.structure import (
    Address,
    BodyExtension,
    BodyStructure,
    Disposition,
    Envelope,
    Parameters,
)


def _addresses(cursor: Cursor) -> tuple[Address, ...]:
    cursor.sp()
    if not cursor.skip(b"("):
        cursor.nstring("a list of addresses or NIL")
        return ()
    addresses: list[Address] = []
    while cursor.skip(b"("):
        name = cursor.nstring()
        cursor.sp()
        route = cursor.nstring()
        cursor.sp()
        mailbox = cursor.nstring()
        cursor.sp()
        addresses.append(Address(name, route, mailbox, cursor.nstring()))
        cursor.need(b")", "a closing parenthesis")
        # Some servers put a space between addresses.
        cursor.skip(b" ")
    cursor.need(b")", "a closing parenthesis")
    return tuple(addresses)


def parse_envelope(cursor: Cursor) -> Envelope:
    """An envelope, parentheses included."""
    cursor.need(b"(", "an envelope")
    date = cursor.nstring()
    cursor.sp()
    subject = cursor.nstring()
    from_, sender, reply_to = _addresses(cursor), _addresses(cursor), _addresses(cursor)
    to, cc, bcc = _addresses(cursor), _addresses(cursor), _addresses(cursor)
    cursor.sp()
    in_reply_to = cursor.nstring()
    cursor.sp()
    message_id = cursor.nstring()
    cursor.need(b")", "a closing parenthesis")
    return Envelope(date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id)


def _parameters(cursor: Cursor) -> Parameters:
    if not cursor.skip(b"("):
        cursor.nstring("parameters or NIL")
        return ()
    pairs: list[tuple[bytes, bytes]] = []
    while True:
        name = cursor.string()
        cursor.sp()
        pairs.append((name, cursor.nstring() or b""))
        if not cursor.list_rest():
            return tuple(pairs)


def _disposition(cursor: Cursor) -> Disposition | None:
    if not cursor.skip(b"("):
        cursor.nstring("a disposition or NIL")
        return None
    kind = cursor.string()
    cursor.sp()
    found = Disposition(kind, _parameters(cursor))
    cursor.need(b")", "a closing parenthesis")
    return found


def _language(cursor: Cursor) -> tuple[bytes, ...]:
    if not cursor.skip(b"("):
        tag = cursor.nstring()
        return () if tag is None else (tag,)
    tags = [cursor.string()]
    while cursor.list_rest():
        tags.append(cursor.string())
    return tuple(tags)


def _extension(cursor: Cursor) -> BodyExtension:
    if cursor.data[cursor.pos : cursor.pos + 1].isdigit():
        return cursor.number(MAX_NUMBER64)
    if not cursor.skip(b"("):
        return cursor.nstring()
    cursor.nest()
    values = [_extension(cursor)]
    while cursor.list_rest():
        values.append(_extension(cursor))
    cursor.unnest()
    return tuple(values)


def _tail(
    cursor: Cursor,
) -> tuple[Disposition | None, tuple[bytes, ...], bytes | None, tuple[BodyExtension, ...]]:
    """Disposition, language, location and what may follow; each may be absent."""
    disposition: Disposition | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    extensions: list[BodyExtension] = []
    if cursor.skip(b" "):
        disposition = _disposition(cursor)
        if cursor.skip(b" "):
            language = _language(cursor)
            if cursor.skip(b" "):
                location = cursor.nstring()
                while cursor.skip(b" "):
                    extensions.append(_extension(cursor))
    return disposition, language, location, tuple(extensions)


def _multipart(cursor: Cursor) -> BodyStructure:
    parts = [parse_body(cursor)]
    while cursor.at(b"("):
        parts.append(parse_body(cursor))
    cursor.sp()
    subtype = cursor.string()
    parameters: Parameters = ()
    extended = cursor.skip(b" ")
    if extended:
        parameters = _parameters(cursor)
    disposition, language, location, extensions = _tail(cursor)
    return BodyStructure(
        b"MULTIPART",
        subtype,
        parameters,
        tuple(parts),
        disposition=disposition,
        language=language,
        location=location,
        extensions=extensions,
        extended=extended,
    )


def parse_body(cursor: Cursor) -> BodyStructure:
    """A body structure, parentheses included; nested no deeper than the limit of the cursor."""
    cursor.need(b"(", "a body structure")
    cursor.nest()
    if cursor.at(b"("):
        body = _multipart(cursor)
    else:
        body = _one_part(cursor)
    cursor.unnest()
    cursor.need(b")", "a closing parenthesis")
    return body


def _one_part(cursor: Cursor) -> BodyStructure:
    media_type = cursor.string()
    cursor.sp()
    subtype = cursor.string()
    cursor.sp()
    parameters = _parameters(cursor)
    cursor.sp()
    content_id = cursor.nstring()
    cursor.sp()
    description = cursor.nstring()
    cursor.sp()
    # NIL stands here where a server has not obeyed "body-fld-enc = ... / string".
    encoding = cursor.nstring() or b"7BIT"
    cursor.sp()
    octets = cursor.number(MAX_NUMBER64)
    envelope = None
    parts: tuple[BodyStructure, ...] = ()
    lines = None
    kind = media_type.upper()
    if kind == b"MESSAGE" and subtype.upper() in (b"RFC822", b"GLOBAL") and cursor.at(b" ("):
        cursor.sp()
        envelope = parse_envelope(cursor)
        cursor.sp()
        parts = (parse_body(cursor),)
        cursor.sp()
        lines = cursor.number(MAX_NUMBER64)
    elif kind == b"TEXT":
        cursor.sp()
        lines = cursor.number(MAX_NUMBER64)
    extended = cursor.skip(b" ")
    md5 = cursor.nstring() if extended else None
    disposition, language, location, extensions = _tail(cursor)
    return BodyStructure(
        media_type,
        subtype,
        parameters,
        parts,
        content_id,
        description,
        encoding,
        octets,
        lines,
        envelope,
        md5,
        disposition,
        language,
        location,
        extensions,
        extended,
    )
