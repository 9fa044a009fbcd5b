"""What an extension adds to the grammar: rows of tables, by the word that a client says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from corvus_imap.types.fetch import FetchItem
from corvus_imap.types.listing import ListReturn, ListSelect
from corvus_imap.types.search import SearchKey, SearchReturn
from corvus_imap.types.status import StatusItem

if TYPE_CHECKING:
    from corvus_imap.codec._lexer import Cursor

#: Reads the arguments of a command, the space in front of them included; the flag says "UID".
VerbParser = Callable[["Cursor", bool], Any]
#: Reads the value of a parameter or modifier, and gives fields of the command.
FieldParser = Callable[["Cursor"], Mapping[str, Any]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """One capability."""

    capability: str
    rfc: str
    rev2: bool = False
    """Part of IMAP4rev2, so that its words are known wherever that is offered (RFC 9051 appendix E)."""
    before_login: bool = False
    """Of use to a client that has not logged in yet, hence told to it."""
    enable: bool = False
    """Changes what the server says, hence wants ENABLE (RFC 5161)."""
    verbs: Mapping[bytes, VerbParser] = field(default_factory=dict)
    uid_verbs: Mapping[bytes, VerbParser] = field(default_factory=dict)
    select_params: Mapping[bytes, FieldParser] = field(default_factory=dict)
    create_params: Mapping[bytes, FieldParser] = field(default_factory=dict)
    fetch_items: Mapping[bytes, Callable[[Cursor], FetchItem]] = field(default_factory=dict)
    fetch_modifiers: Mapping[bytes, FieldParser] = field(default_factory=dict)
    store_modifiers: Mapping[bytes, FieldParser] = field(default_factory=dict)
    search_keys: Mapping[bytes, Callable[[Cursor], SearchKey]] = field(default_factory=dict)
    search_returns: Mapping[bytes, SearchReturn] = field(default_factory=dict)
    list_selects: Mapping[bytes, ListSelect] = field(default_factory=dict)
    list_returns: Mapping[bytes, ListReturn] = field(default_factory=dict)
    status_items: Mapping[bytes, StatusItem] = field(default_factory=dict)
