"""The words that one server knows: the tables of all extensions that it offers, joined.

A grammar is made once for a set of capabilities and shared by all their connections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

from corvus_imap.codec._lexer import Cursor
from corvus_imap.extensions import REGISTRY
from corvus_imap.extensions._extension import Extension, FieldParser, VerbParser
from corvus_imap.limits import Limits
from corvus_imap.types.fetch import FetchItem
from corvus_imap.types.listing import ListReturn, ListSelect
from corvus_imap.types.search import SearchKey, SearchReturn
from corvus_imap.types.status import StatusItem

_Row = TypeVar("_Row")

#: How many lists of FETCH items are remembered, and how long such a list may be.
_REMEMBERED = 512
_LONGEST_REMEMBERED = 512


class Grammar:
    """What is understood; not changed once made, but for what it remembers."""

    def __init__(
        self,
        capabilities: frozenset[str],
        limits: Limits,
        delimiter: str | None = "/",
        *,
        lenient: bool = False,
    ) -> None:
        self.lenient = lenient
        """A client reads: 8-bit octets in quoted strings are what servers send."""
        self.capabilities = capabilities
        self.limits = limits
        self.delimiter = delimiter
        rev2 = "IMAP4rev2" in capabilities
        offered = [
            row
            for row in REGISTRY.values()
            if row.capability in capabilities or (rev2 and row.rev2)
        ]
        self._offered = frozenset(row.capability for row in offered)

        def join(table: Callable[[Extension], Mapping[bytes, _Row]]) -> dict[bytes, _Row]:
            return {word: row for extension in offered for word, row in table(extension).items()}

        self.verbs: dict[bytes, VerbParser] = join(lambda row: row.verbs)
        self.uid_verbs: dict[bytes, VerbParser] = join(lambda row: row.uid_verbs)
        self.select_params: dict[bytes, FieldParser] = join(lambda row: row.select_params)
        self.create_params: dict[bytes, FieldParser] = join(lambda row: row.create_params)
        self.fetch_items: dict[bytes, Callable[[Cursor], FetchItem]] = join(
            lambda row: row.fetch_items
        )
        self.fetch_modifiers: dict[bytes, FieldParser] = join(lambda row: row.fetch_modifiers)
        self.store_modifiers: dict[bytes, FieldParser] = join(lambda row: row.store_modifiers)
        self.search_keys: dict[bytes, Callable[[Cursor], SearchKey]] = join(
            lambda row: row.search_keys
        )
        self.search_returns: dict[bytes, SearchReturn] = join(lambda row: row.search_returns)
        self.list_selects: dict[bytes, ListSelect] = join(lambda row: row.list_selects)
        self.list_returns: dict[bytes, ListReturn] = join(lambda row: row.list_returns)
        self.status_items: dict[bytes, StatusItem] = join(lambda row: row.status_items)
        self.saved_result = self.offers("SEARCHRES")
        self._fetch_items: dict[bytes, tuple[FetchItem, ...]] = {}

    def offers(self, capability: str) -> bool:
        """Whether *capability* is offered, by itself or as part of IMAP4rev2."""
        return capability in self._offered

    # A client asks for the same items ten thousand times; values are frozen, so one will do.

    def remembered_items(self, text: bytes) -> tuple[FetchItem, ...] | None:
        return self._fetch_items.get(text)

    def remember_items(self, text: bytes, items: tuple[FetchItem, ...]) -> None:
        if len(text) <= _LONGEST_REMEMBERED:
            if len(self._fetch_items) >= _REMEMBERED:
                self._fetch_items.clear()
            self._fetch_items[text] = items


@lru_cache(maxsize=64)
def grammar_of(
    capabilities: frozenset[str], limits: Limits, delimiter: str | None = "/"
) -> Grammar:
    """The one grammar for these arguments."""
    return Grammar(capabilities, limits, delimiter)
