"""QRESYNC: a mailbox brought up to date in one round trip (RFC 7162 §3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.errors import ParseError
from corvus_imap.extensions._extension import Extension
from corvus_imap.types.resync import QResync


def _select_param(cursor: Cursor) -> Mapping[str, Any]:
    #   select-param =/ "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids]
    #                   [SP seq-match-data] ")"
    cursor.sp()
    cursor.need(b"(", "an opening parenthesis")
    uid_validity = cursor.number(least=1)
    cursor.sp()
    modseq = cursor.modseq(least=1)
    known = None
    numbers = None
    if cursor.skip(b" "):
        if not cursor.at(b"("):
            known = cursor.known_messages()
            cursor.skip(b" ")
        if cursor.skip(b"("):
            first = cursor.known_messages()
            cursor.sp()
            numbers = (first, cursor.known_messages())
            cursor.need(b")", "a closing parenthesis")
    cursor.need(b")", "a closing parenthesis")
    try:
        return {"qresync": QResync(uid_validity, modseq, known, numbers)}
    except ValueError:
        raise ParseError("* is not allowed in QRESYNC") from None


def _vanished(cursor: Cursor) -> Mapping[str, Any]:
    return {"vanished": True}


EXTENSION: Final = Extension(
    capability="QRESYNC",
    rfc="7162",
    enable=True,
    select_params={b"QRESYNC": _select_param},
    fetch_modifiers={b"VANISHED": _vanished},
)
