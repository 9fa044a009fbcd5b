"""ID: who is speaking, for the log and the bug report, never for a decision (RFC 2971)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.errors import ParseError
from corvus_imap.extensions._extension import Extension

#: "Field strings MUST NOT be longer than 30 octets.  Value strings MUST NOT be longer than 1024
#: octets.  Implementations MUST NOT send more than 30 field-value pairs" (RFC 2971 §3.3).
MOST_PAIRS: Final = 30
LONGEST_FIELD: Final = 30
LONGEST_VALUE: Final = 1024


@final
@dataclass(frozen=True, slots=True)
class Id:
    """ID; answer with ``responses.Id``, then ``ok``."""

    pairs: tuple[tuple[str, str | None], ...] = ()
    """Fields and values in the client's order; ``NIL`` for the list gives none."""


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _verb(cursor: Cursor, uid: bool) -> Id:
    #   id = "ID" SP id-params-list
    #   id-params-list = "(" *(string SP nstring) ")" / nil
    cursor.sp()
    if not cursor.skip(b"("):
        if cursor.nstring("a list or NIL") is not None:
            raise ParseError("a list or NIL expected")
        return Id()
    pairs: list[tuple[str, str | None]] = []
    if cursor.skip(b")"):
        return Id()
    while True:
        name = cursor.string("a field name")
        cursor.sp()
        value = cursor.nstring()
        if len(name) > LONGEST_FIELD or (value is not None and len(value) > LONGEST_VALUE):
            raise ParseError("an ID field has 30 octets and a value 1024 at most")
        pairs.append((_text(name), None if value is None else _text(value)))
        if len(pairs) > MOST_PAIRS:
            raise ParseError("ID has 30 pairs at most")
        if not cursor.list_rest():
            return Id(tuple(pairs))


EXTENSION: Final = Extension(capability="ID", rfc="2971", before_login=True, verbs={b"ID": _verb})
