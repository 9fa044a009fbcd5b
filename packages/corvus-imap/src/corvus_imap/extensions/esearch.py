"""ESEARCH and SEARCHRES: a search told in short, and kept as ``$`` (RFC 4731, RFC 5182)."""

from __future__ import annotations

from typing import Final

from corvus_imap.extensions._extension import Extension
from corvus_imap.types.search import SearchReturn

ESEARCH: Final = Extension(
    capability="ESEARCH",
    rfc="4731",
    rev2=True,
    search_returns={
        b"ALL": SearchReturn.ALL,
        b"COUNT": SearchReturn.COUNT,
        b"MAX": SearchReturn.MAX,
        b"MIN": SearchReturn.MIN,
    },
)

SEARCHRES: Final = Extension(
    capability="SEARCHRES", rfc="5182", rev2=True, search_returns={b"SAVE": SearchReturn.SAVE}
)

#: RETURN options for SORT (RFC 5267 §3.1); read by ``sort.py``.
ESORT: Final = Extension(capability="ESORT", rfc="5267")
