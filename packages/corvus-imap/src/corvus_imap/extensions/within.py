"""WITHIN: searches by age in seconds (RFC 5032)."""

from __future__ import annotations

from typing import Final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.extensions._extension import Extension
from corvus_imap.types.search import Older, Younger


def _older(cursor: Cursor) -> Older:
    #   search-key =/ ( "OLDER" / "YOUNGER" ) SP nz-number
    cursor.sp()
    return Older(cursor.number(least=1))


def _younger(cursor: Cursor) -> Younger:
    cursor.sp()
    return Younger(cursor.number(least=1))


EXTENSION: Final = Extension(
    capability="WITHIN", rfc="5032", search_keys={b"OLDER": _older, b"YOUNGER": _younger}
)
