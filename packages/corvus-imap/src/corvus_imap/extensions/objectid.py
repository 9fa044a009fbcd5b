"""OBJECTID: names for mailboxes, messages and threads that outlive a move (RFC 8474)."""

from __future__ import annotations

import re
from typing import Final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.errors import ParseError
from corvus_imap.extensions._extension import Extension
from corvus_imap.types.fetch import FetchAttribute
from corvus_imap.types.search import EmailId, ThreadId
from corvus_imap.types.status import StatusItem

#   objectid = 1*255(ALPHA / DIGIT / "_" / "-")                      ; RFC 8474 §7
OBJECT_ID: Final = re.compile(rb"[A-Za-z0-9_\-]{1,255}")


def _object_id(cursor: Cursor) -> str:
    cursor.sp()
    octets = cursor.atom("an object id")
    if not OBJECT_ID.fullmatch(octets):
        raise ParseError("an object id expected")
    return octets.decode("ascii")


EXTENSION: Final = Extension(
    capability="OBJECTID",
    rfc="8474",
    fetch_items={
        b"EMAILID": lambda cursor: FetchAttribute.EMAILID,
        b"THREADID": lambda cursor: FetchAttribute.THREADID,
    },
    search_keys={
        b"EMAILID": lambda cursor: EmailId(_object_id(cursor)),
        b"THREADID": lambda cursor: ThreadId(_object_id(cursor)),
    },
    status_items={b"MAILBOXID": StatusItem.MAILBOXID},
)
