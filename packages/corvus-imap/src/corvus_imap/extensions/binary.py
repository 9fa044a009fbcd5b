"""BINARY: parts without their transfer encoding, and literals with NUL (RFC 3516)."""

from __future__ import annotations

from typing import Final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.codec.parse_fetch import parse_part, parse_partial
from corvus_imap.errors import ParseError
from corvus_imap.extensions._extension import Extension
from corvus_imap.types.fetch import BinarySection, BinarySize


def _section(cursor: Cursor) -> tuple[int, ...]:
    #   section-binary = "[" [section-part] "]"
    cursor.need(b"[", "a section")
    part = () if cursor.at(b"]") else parse_part(cursor)
    cursor.need(b"]", "a closing bracket")
    return part


def _binary(cursor: Cursor) -> BinarySection:
    part = _section(cursor)
    return BinarySection(part, partial=parse_partial(cursor))


def _peek(cursor: Cursor) -> BinarySection:
    part = _section(cursor)
    return BinarySection(part, peek=True, partial=parse_partial(cursor))


def _size(cursor: Cursor) -> BinarySize:
    part = _section(cursor)
    if cursor.at(b"<"):
        raise ParseError("BINARY.SIZE has no partial")
    return BinarySize(part)


EXTENSION: Final = Extension(
    capability="BINARY",
    rfc="3516",
    # IMAP4rev2 takes the FETCH items, not literal8 in APPEND (RFC 9051 appendix E, 2).
    rev2=True,
    fetch_items={b"BINARY": _binary, b"BINARY.PEEK": _peek, b"BINARY.SIZE": _size},
)
