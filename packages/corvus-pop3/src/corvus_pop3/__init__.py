"""
POP3 protocol engines without I/O: server and client.

RFC 1939 (POP3), 2449 (CAPA, response codes, PIPELINING), 2595 (STLS), 3206 (SYS and AUTH codes),
5034 (AUTH), 6856 (UTF8, LANG).
"""

from corvus_pop3._multiline import wire_size
from corvus_pop3._state import State
from corvus_pop3.capabilities import Capabilities, Policy
from corvus_pop3.client import ClientConnection
from corvus_pop3.client_events import (
    CapabilitiesReceived,
    ChallengeReceived,
    ClientEvent,
    Command,
    CommandAccepted,
    CommandRefused,
    Greeted,
    GreetingRefused,
    LanguagesReceived,
    MessageAborted,
    MessageChunk,
    MessageReceived,
    SizesReceived,
    StatReceived,
    UidsReceived,
)
from corvus_pop3.commands import Verb
from corvus_pop3.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from corvus_pop3.events import (
    NEED_DATA,
    PAUSED,
    ApopOffered,
    AuthCancelled,
    AuthResponse,
    AuthStarted,
    CapabilitiesRequested,
    CommandRejected,
    ConnectionEnded,
    DeleteRequested,
    Event,
    LanguageRequested,
    ListingContinued,
    ListRequested,
    LoginOffered,
    NoopRequested,
    QuitRequested,
    ResetRequested,
    RetrieveRequested,
    StatRequested,
    StlsRequested,
    TopRequested,
    UidlRequested,
    Utf8Enabled,
    Wait,
)
from corvus_pop3.languages import ENGLISH, Language, Text
from corvus_pop3.limits import Limits
from corvus_pop3.responses import Response, ResponseCode
from corvus_pop3.server import ServerConnection
from corvus_pop3.values import TLSInfo, apop_digest

# By concept, not by letter.
__all__ = [  # noqa: RUF022
    # Engines, and the two waits of next_event().
    "ServerConnection",
    "ClientConnection",
    "NEED_DATA",
    "PAUSED",
    "Wait",
    "State",
    # What they are told.
    "Policy",
    "Limits",
    "TLSInfo",
    "Language",
    "ENGLISH",
    "Text",
    "ResponseCode",
    "wire_size",
    "apop_digest",
    # What a server hears: who are you?
    "Event",
    "StlsRequested",
    "LoginOffered",
    "ApopOffered",
    "AuthStarted",
    "AuthResponse",
    "AuthCancelled",
    "Utf8Enabled",
    # What have you got?
    "StatRequested",
    "ListRequested",
    "UidlRequested",
    "ListingContinued",
    "RetrieveRequested",
    "TopRequested",
    "DeleteRequested",
    "ResetRequested",
    "NoopRequested",
    "QuitRequested",
    # At any time.
    "CapabilitiesRequested",
    "LanguageRequested",
    "CommandRejected",
    "ConnectionEnded",
    # What a client hears.
    "ClientEvent",
    "Command",
    "Verb",
    "Response",
    "Capabilities",
    "Greeted",
    "GreetingRefused",
    "CommandAccepted",
    "CommandRefused",
    "CapabilitiesReceived",
    "ChallengeReceived",
    "StatReceived",
    "SizesReceived",
    "UidsReceived",
    "LanguagesReceived",
    "MessageChunk",
    "MessageReceived",
    "MessageAborted",
    # Errors.
    "ProtocolError",
    "LocalProtocolError",
    "RemoteProtocolError",
]
