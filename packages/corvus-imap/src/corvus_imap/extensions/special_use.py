r"""SPECIAL-USE and CREATE-SPECIAL-USE: which mailbox is ``\Sent`` (RFC 6154)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.errors import ParseError
from corvus_imap.extensions._extension import Extension
from corvus_imap.types.listing import ListReturn, ListSelect

#: The uses of RFC 6154 §2 and RFC 8457 §4, as they are spelt.
USES: Final = (
    "\\All",
    "\\Archive",
    "\\Drafts",
    "\\Flagged",
    "\\Important",
    "\\Junk",
    "\\Sent",
    "\\Trash",
)
_SPELLING: Final = {use.lower(): use for use in USES}


def _use(cursor: Cursor) -> Mapping[str, Any]:
    #   create-param =/ "USE" SP "(" [use-attr *(SP use-attr)] ")"
    cursor.sp()
    cursor.need(b"(", "an opening parenthesis")
    uses: list[str] = []
    if cursor.skip(b")"):
        return {"use": ()}
    while True:
        use = cursor.flag()
        if not use.is_system:
            raise ParseError("a use begins with a backslash")
        uses.append(_SPELLING.get(use.folded, str(use)))
        if len(uses) > len(USES):
            raise ParseError("too many uses")
        if not cursor.list_rest():
            return {"use": tuple(uses)}


SPECIAL_USE: Final = Extension(
    capability="SPECIAL-USE",
    rfc="6154",
    rev2=True,
    list_selects={b"SPECIAL-USE": ListSelect.SPECIAL_USE},
    list_returns={b"SPECIAL-USE": ListReturn.SPECIAL_USE},
)
CREATE_SPECIAL_USE: Final = Extension(
    capability="CREATE-SPECIAL-USE", rfc="6154", create_params={b"USE": _use}
)
