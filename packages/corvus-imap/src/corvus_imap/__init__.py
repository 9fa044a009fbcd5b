"""IMAP4rev1 and IMAP4rev2 protocol engines without I/O: server and client.

Commands and responses are used with their module's name (``commands.Search``, ``responses.Search``).
"""

# ruff: noqa: I001 - grouped by concept, as a table of contents

# The values
from corvus_imap import commands, responses
from corvus_imap.types import codes

# The engines
from corvus_imap._state import State
from corvus_imap.client import ClientConnection
from corvus_imap.limits import Limits
from corvus_imap.policy import ALL_CAPABILITIES, DEFAULT_CAPABILITIES, Policy
from corvus_imap.server import Deferred, ServerConnection
from corvus_imap.types.tls import TLSInfo

# What happens
from corvus_imap.events import (
    NEED_DATA,
    PAUSED,
    AppendAborted,
    AppendOffered,
    AppendReceived,
    AuthAborted,
    AuthResponse,
    ChallengeReceived,
    ClientEvent,
    CommandCompleted,
    CommandReceived,
    CommandRejected,
    ConnectionEnded,
    Event,
    Greeted,
    IdleDone,
    IdleStarted,
    LiteralChunk,
    LiteralStarted,
    MessageWanted,
    ResponseReceived,
)

# Names of mailboxes
from corvus_imap.types.mailbox import ListPattern, decode_mailbox, encode_mailbox
from corvus_imap.types.codes import Code

# Over a message, and over a mailbox
from corvus_imap.bodystructure import bodystructure
from corvus_imap.envelope import envelope
from corvus_imap.match import Matcher, MessageFacts, MessageText, matches
from corvus_imap.outline import Outline
from corvus_imap.section import UnknownEncoding, binary, section, section_octets, section_range
from corvus_message import base_subject

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
from corvus_imap.view import MailboxView, NoSuchMessage, Selection, Snapshot

__all__ = [
    "ALL_CAPABILITIES",
    "DEFAULT_CAPABILITIES",
    "MAX_NUMBER",
    "NEED_DATA",
    "PAUSED",
    "SAVED_RESULT",
    "STAR",
    "AppendAborted",
    "AppendOffered",
    "AppendReceived",
    "AuthAborted",
    "AuthResponse",
    "BinarySection",
    "BinarySize",
    "BodySection",
    "ChallengeReceived",
    "ClientConnection",
    "ClientEvent",
    "Code",
    "CommandCompleted",
    "CommandReceived",
    "CommandRejected",
    "ConnectionEnded",
    "Deferred",
    "Event",
    "FetchAttribute",
    "FetchItem",
    "Flag",
    "Greeted",
    "IdleDone",
    "IdleStarted",
    "Limits",
    "ListPattern",
    "LiteralChunk",
    "LiteralStarted",
    "LocalProtocolError",
    "MailboxView",
    "Matcher",
    "MessageFacts",
    "MessageSet",
    "MessageText",
    "MessageWanted",
    "NoSuchMessage",
    "Outline",
    "Partial",
    "Policy",
    "Preview",
    "ProtocolError",
    "RemoteProtocolError",
    "ResponseReceived",
    "SearchKey",
    "SearchReturn",
    "Secret",
    "Section",
    "SectionText",
    "Selection",
    "SequenceSet",
    "ServerConnection",
    "Snapshot",
    "State",
    "TLSInfo",
    "UnknownEncoding",
    "base_subject",
    "binary",
    "bodystructure",
    "codes",
    "commands",
    "decode_mailbox",
    "encode_mailbox",
    "envelope",
    "matches",
    "responses",
    "section",
    "section_octets",
    "section_range",
]
