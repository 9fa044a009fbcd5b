"""LIST-EXTENDED, CHILDREN and LIST-STATUS: one LIST for what took many (RFC 5258, 3348, 5819)."""

from __future__ import annotations

from typing import Final

from corvus_imap.extensions._extension import Extension
from corvus_imap.types.listing import ListReturn, ListSelect

LIST_EXTENDED: Final = Extension(
    capability="LIST-EXTENDED",
    rfc="5258",
    rev2=True,
    list_selects={
        b"RECURSIVEMATCH": ListSelect.RECURSIVEMATCH,
        b"REMOTE": ListSelect.REMOTE,
        b"SUBSCRIBED": ListSelect.SUBSCRIBED,
    },
    list_returns={b"CHILDREN": ListReturn.CHILDREN, b"SUBSCRIBED": ListReturn.SUBSCRIBED},
)

#: ``\HasChildren`` and ``\HasNoChildren`` in every LIST response.
CHILDREN: Final = Extension(capability="CHILDREN", rfc="3348", rev2=True)

#: ``RETURN (STATUS (...))``; read where the return options are read, since it has a list of its own.
LIST_STATUS: Final = Extension(capability="LIST-STATUS", rfc="5819", rev2=True)
