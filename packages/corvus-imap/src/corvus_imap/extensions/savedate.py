"""SAVEDATE: when a message came into this mailbox (RFC 8514)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.extensions._extension import Extension
from corvus_imap.types.fetch import FetchAttribute
from corvus_imap.types.search import DateField, DateKey, Relation, SaveDateSupported


def _saved(relation: Relation) -> Callable[[Cursor], DateKey]:
    def parse(cursor: Cursor) -> DateKey:
        cursor.sp()
        return DateKey(DateField.SAVED, relation, cursor.date())

    return parse


EXTENSION: Final = Extension(
    capability="SAVEDATE",
    rfc="8514",
    fetch_items={b"SAVEDATE": lambda cursor: FetchAttribute.SAVEDATE},
    search_keys={
        b"SAVEDBEFORE": _saved(Relation.BEFORE),
        b"SAVEDON": _saved(Relation.ON),
        b"SAVEDSINCE": _saved(Relation.SINCE),
        b"SAVEDATESUPPORTED": lambda cursor: SaveDateSupported(),
    },
)
