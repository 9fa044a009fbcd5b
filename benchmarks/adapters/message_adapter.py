"""What ENVELOPE and BODYSTRUCTURE need of a message, with corvus_message: parse(raw)."""

from typing import Any

from corvus_message import Part, address_list
from corvus_message import parse as parse_message

_ADDRESS_FIELDS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")
_TEXT_FIELDS = (b"date", b"subject", b"in-reply-to", b"message-id")


def envelope(part: Part) -> tuple[Any, ...]:
    field = part.field
    lists = [
        address_list(value) if (value := field(name)) is not None else None
        for name in _ADDRESS_FIELDS
    ]
    lists[1] = lists[1] or lists[0]
    lists[2] = lists[2] or lists[0]
    return (*[field(name) for name in _TEXT_FIELDS], lists)


def structure(part: Part) -> tuple[Any, ...]:
    kind = part.content_type
    if kind.type == "multipart":
        return ([structure(child) for child in part.children], kind.subtype, kind.raw_params)
    inner = part.message
    nested = (envelope(inner), structure(inner)) if inner is not None else None
    return (
        kind.type,
        kind.subtype,
        kind.raw_params,
        part.id,
        part.description,
        part.encoding,
        part.size,
        part.lines,
        part.disposition,
        nested,
    )


def parse(raw: bytes) -> tuple[Any, ...]:
    message = parse_message(raw)
    return envelope(message), structure(message)
