"""PREVIEW: the first words of a message (RFC 8970)."""

from __future__ import annotations

from typing import Final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.errors import ParseError
from corvus_imap.extensions._extension import Extension
from corvus_imap.types.fetch import Preview


def _preview(cursor: Cursor) -> Preview:
    #   fetch-att =/ "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]
    if not cursor.skip(b" ("):
        return Preview()
    while True:
        # "preview-mod = "LAZY"", and it is the only one.
        if cursor.word("a preview modifier") != b"LAZY":
            raise ParseError("no such preview modifier")
        if not cursor.list_rest():
            return Preview(lazy=True)


EXTENSION: Final = Extension(capability="PREVIEW", rfc="8970", fetch_items={b"PREVIEW": _preview})
