"""IMAP4rev1 and IMAP4rev2 protocol engines without I/O: server and client."""

# Messages and their numbers
# Errors
# Over a message, and over a mailbox
from corvus_imap.bodystructure import bodystructure
from corvus_imap.envelope import envelope
from corvus_imap.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from corvus_imap.match import Matcher, MessageFacts, MessageText, matches
from corvus_imap.section import UnknownEncoding, binary, section
from corvus_imap.subject import base_subject

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
from corvus_imap.view import MailboxView, NoSuchMessage, Selection, Snapshot

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
    "MailboxView",
    "Matcher",
    "MessageFacts",
    "MessageSet",
    "MessageText",
    "NoSuchMessage",
    "Partial",
    "Preview",
    "ProtocolError",
    "RemoteProtocolError",
    "SearchKey",
    "SearchReturn",
    "Secret",
    "Section",
    "SectionText",
    "Selection",
    "SequenceSet",
    "Snapshot",
    "UnknownEncoding",
    "base_subject",
    "binary",
    "bodystructure",
    "envelope",
    "matches",
    "section",
]
