"""The items of FETCH (RFC 9051 §6.4.5, §9 fetch-att)."""

from __future__ import annotations

import re
from typing import Final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.errors import ParseError
from corvus_imap.types.fetch import (
    FETCH_MACROS,
    MAX_NUMBER64,
    SECTION_PART,
    BodySection,
    FetchAttribute,
    FetchItem,
    Partial,
    Section,
    SectionText,
)

#   section-part = nz-number *("." nz-number)
_PART: Final = re.compile(SECTION_PART)
#   section = "[" [section-spec] "]", all but the form with a list of header fields
_PLAIN_SECTION: Final = re.compile(
    rb"\[(?:(%b)(?:\.(HEADER|TEXT|MIME))?|(HEADER|TEXT))?\]" % SECTION_PART, re.IGNORECASE
)
_FIELDS_SECTION: Final = re.compile(
    rb"\[(?:(%b)\.)?(HEADER\.FIELDS(?:\.NOT)?) \(" % SECTION_PART, re.IGNORECASE
)
#   partial = "<" number64 "." nz-number64 ">"
_PARTIAL: Final = re.compile(rb"<([0-9]{1,19})\.([0-9]{1,19})>")


def _part_numbers(text: bytes) -> tuple[int, ...]:
    try:
        return tuple([int(number) for number in text.split(b".")])
    except ValueError:  # pragma: no cover - the regex has seen digits only
        raise ParseError("a part number expected") from None


def parse_part(cursor: Cursor) -> tuple[int, ...]:
    """``1.2.3``."""
    found = _PART.match(cursor.data, cursor.pos)
    if not found:
        raise ParseError("a part number expected")
    cursor.pos = found.end()
    part = _part_numbers(found[0])
    if max(part) > 0xFFFFFFFF:
        raise ParseError("a part number has 32 bits")
    return part


def parse_partial(cursor: Cursor) -> Partial | None:
    """``<0.1024>``, if it comes next."""
    if cursor.data[cursor.pos : cursor.pos + 1] != b"<":
        return None
    found = _PARTIAL.match(cursor.data, cursor.pos)
    if not found:
        raise ParseError("a partial expected")
    cursor.pos = found.end()
    offset, length = int(found[1]), int(found[2])
    if offset > MAX_NUMBER64 or not 0 < length <= MAX_NUMBER64:
        raise ParseError("a partial has an offset and a length that is not 0")
    return Partial(offset, length)


def parse_section(cursor: Cursor) -> Section:
    """``[1.2.HEADER]``, brackets included."""
    found = _PLAIN_SECTION.match(cursor.data, cursor.pos)
    if found:
        cursor.pos = found.end()
        part = _part_numbers(found[1]) if found[1] else ()
        name = found[2] or found[3]
        text = None if name is None else SectionText(name.decode("ascii").upper())
        fields: list[str] = []
    else:
        found = _FIELDS_SECTION.match(cursor.data, cursor.pos)
        if not found:
            raise ParseError("a section expected")
        cursor.pos = found.end()
        part = _part_numbers(found[1]) if found[1] else ()
        text = SectionText(found[2].decode("ascii").upper())
        fields = []
        #   header-list = "(" header-fld-name *(SP header-fld-name) ")"
        while True:
            try:
                fields.append(cursor.astring("a header field").decode("ascii"))
            except UnicodeDecodeError:
                raise ParseError("a header field's name is ASCII") from None
            if not cursor.list_rest():
                break
        cursor.need(b"]", "a closing bracket")
    try:
        return Section(part, text, tuple(fields))
    except ValueError:
        raise ParseError("no such section") from None


def _body(cursor: Cursor, *, peek: bool) -> FetchItem:
    if cursor.at(b"["):
        section = parse_section(cursor)
        return BodySection(section, peek, parse_partial(cursor))
    if peek:
        raise ParseError("a section expected")
    return FetchAttribute.BODY


_PLAIN: Final = {
    item.value.encode("ascii"): item
    for item in (
        FetchAttribute.BODYSTRUCTURE,
        FetchAttribute.ENVELOPE,
        FetchAttribute.FLAGS,
        FetchAttribute.INTERNALDATE,
        FetchAttribute.RFC822,
        FetchAttribute.RFC822_HEADER,
        FetchAttribute.RFC822_SIZE,
        FetchAttribute.RFC822_TEXT,
        FetchAttribute.UID,
    )
}
_MACROS: Final = {name.encode("ascii"): items for name, items in FETCH_MACROS.items()}


def _item(cursor: Cursor, word: bytes) -> FetchItem:
    plain = _PLAIN.get(word)
    if plain is not None:
        return plain
    if word == b"BODY":
        return _body(cursor, peek=False)
    if word == b"BODY.PEEK":
        return _body(cursor, peek=True)
    parse = cursor.grammar.fetch_items.get(word)
    if parse is None:
        raise ParseError("no such FETCH item")
    return parse(cursor)


def parse_fetch_items(cursor: Cursor) -> tuple[FetchItem, ...]:
    """One item, a macro, or a list of items in parentheses."""
    if not cursor.skip(b"("):
        word = cursor.word("a FETCH item")
        # "macro must be used by itself, and not in conjunction with other macros or data items"
        # (RFC 9051 §6.4.5).
        return _MACROS.get(word) or (_item(cursor, word),)
    items: list[FetchItem] = []
    most = cursor.grammar.limits.fetch_items
    while True:
        items.append(_item(cursor, cursor.word("a FETCH item")))
        if len(items) > most:
            raise ParseError("too many FETCH items", code=b"LIMIT")
        if not cursor.list_rest():
            return tuple(items)
