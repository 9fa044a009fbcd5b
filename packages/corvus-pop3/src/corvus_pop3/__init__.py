"""
POP3 protocol engines without I/O: server and client.

RFC 1939 (POP3), 2449 (CAPA, response codes, PIPELINING), 2595 (STLS), 3206 (SYS and AUTH codes),
5034 (AUTH), 6856 (UTF8, LANG).
"""

# Engines.
# What they are told and what they tell.
from corvus_pop3._multiline import wire_size
from corvus_pop3._state import State
from corvus_pop3.capabilities import Capabilities, Policy
from corvus_pop3.commands import Verb
from corvus_pop3.errors import LocalProtocolError, ProtocolError, RemoteProtocolError

# Events of a server.
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

__all__ = [
    "ENGLISH",
    "NEED_DATA",
    "PAUSED",
    "ApopOffered",
    "AuthCancelled",
    "AuthResponse",
    "AuthStarted",
    "Capabilities",
    "CapabilitiesRequested",
    "CommandRejected",
    "ConnectionEnded",
    "DeleteRequested",
    "Event",
    "Language",
    "LanguageRequested",
    "Limits",
    "ListRequested",
    "ListingContinued",
    "LocalProtocolError",
    "LoginOffered",
    "NoopRequested",
    "Policy",
    "ProtocolError",
    "QuitRequested",
    "RemoteProtocolError",
    "ResetRequested",
    "Response",
    "ResponseCode",
    "RetrieveRequested",
    "ServerConnection",
    "StatRequested",
    "State",
    "StlsRequested",
    "TLSInfo",
    "Text",
    "TopRequested",
    "UidlRequested",
    "Utf8Enabled",
    "Verb",
    "Wait",
    "apop_digest",
    "wire_size",
]
