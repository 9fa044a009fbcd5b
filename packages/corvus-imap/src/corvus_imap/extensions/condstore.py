"""CONDSTORE: mod-sequences, and stores that lose no race (RFC 7162 §3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.errors import ParseError
from corvus_imap.extensions._extension import Extension
from corvus_imap.types.fetch import FetchAttribute
from corvus_imap.types.flags import Flag
from corvus_imap.types.search import ModSeq
from corvus_imap.types.status import StatusItem


def _select_param(cursor: Cursor) -> Mapping[str, Any]:
    return {"condstore": True}


def _changed_since(cursor: Cursor) -> Mapping[str, Any]:
    #   chgsince-fetch-mod = "CHANGEDSINCE" SP mod-sequence-value
    cursor.sp()
    # A mod-sequence-value is not 0, but clients that know nothing yet send 0 and mean "all".
    return {"changed_since": cursor.modseq()}


def _unchanged_since(cursor: Cursor) -> Mapping[str, Any]:
    #   store-modifier =/ "UNCHANGEDSINCE" SP mod-sequence-valzer
    cursor.sp()
    return {"unchanged_since": cursor.modseq()}


def _search_key(cursor: Cursor) -> ModSeq:
    #   search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer
    #   search-modseq-ext  = SP entry-name SP entry-type-req
    #   entry-flag-name    = DQUOTE "/flags/" attr-flag DQUOTE
    cursor.sp()
    if not cursor.at(b'"'):
        return ModSeq(cursor.modseq())
    entry = cursor.string()
    if entry[:7].lower() != b"/flags/":
        raise ParseError("an entry name begins with /flags/")
    try:
        flag = Flag(entry[7:])
    except ValueError:
        raise ParseError("an entry name ends in a flag") from None
    cursor.sp()
    scope = cursor.word("priv, shared or all").lower().decode("ascii")
    if scope not in ("priv", "shared", "all"):
        raise ParseError("priv, shared or all expected")
    cursor.sp()
    return ModSeq(cursor.modseq(), flag, scope)


EXTENSION: Final = Extension(
    capability="CONDSTORE",
    rfc="7162",
    enable=True,
    select_params={b"CONDSTORE": _select_param},
    fetch_items={b"MODSEQ": lambda cursor: FetchAttribute.MODSEQ},
    fetch_modifiers={b"CHANGEDSINCE": _changed_since},
    store_modifiers={b"UNCHANGEDSINCE": _unchanged_since},
    search_keys={b"MODSEQ": _search_key},
    status_items={b"HIGHESTMODSEQ": StatusItem.HIGHESTMODSEQ},
)
