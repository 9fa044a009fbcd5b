"""IMAP4rev1 and IMAP4rev2 protocol engines without I/O: server and client."""

# Messages and their numbers
# Errors
from corvus_imap.errors import LocalProtocolError, ProtocolError, RemoteProtocolError

# Tokens and flags
from corvus_imap.types.atoms import Secret

# What FETCH asks for
from corvus_imap.types.fetch import (
    BinarySection,
    BinarySize,
    BodySection,
    FetchAttribute,
    FetchItem,
    Partial,
    Preview,
    Section,
    SectionText,
)
from corvus_imap.types.flags import Flag

# What SEARCH asks for
from corvus_imap.types.search import SearchKey, SearchReturn
from corvus_imap.types.sequence import MAX_NUMBER, SAVED_RESULT, STAR, MessageSet, SequenceSet

__all__ = [
    "MAX_NUMBER",
    "SAVED_RESULT",
    "STAR",
    "BinarySection",
    "BinarySize",
    "BodySection",
    "FetchAttribute",
    "FetchItem",
    "Flag",
    "LocalProtocolError",
    "MessageSet",
    "Partial",
    "Preview",
    "ProtocolError",
    "RemoteProtocolError",
    "SearchKey",
    "SearchReturn",
    "Secret",
    "Section",
    "SectionText",
    "SequenceSet",
]
