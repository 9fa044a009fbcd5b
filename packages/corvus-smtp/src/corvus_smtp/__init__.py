"""
SMTP and LMTP protocol engines without I/O: server and client.

Octets go in, events come out; answers go in, octets come out.  The caller moves them, under
asyncio, trio, threads or nothing at all.
"""

# Errors.
# What may be and what is offered.
from corvus_smtp._state import State, Verb

# Values.
from corvus_smtp.address import IPAddress, Mailbox
from corvus_smtp.capabilities import Capabilities
from corvus_smtp.client import ClientConnection
from corvus_smtp.client_events import (
    ChallengeReceived,
    ClientEvent,
    Command,
    CommandSkipped,
    DataReady,
    GreetingReceived,
    ReplyReceived,
)
from corvus_smtp.errors import (
    BareNewline,
    LocalProtocolError,
    NotOffered,
    ProtocolError,
    RemoteProtocolError,
)

# The server and its events.
from corvus_smtp.events import (
    NEED_DATA,
    PAUSED,
    Abort,
    AuthCancelled,
    AuthResponse,
    AuthStarted,
    CommandRejected,
    ConnectionEnded,
    ConnectionOpened,
    DataRequested,
    Event,
    HelloReceived,
    HelpRequested,
    MailOffered,
    MessageAborted,
    MessageChunk,
    MessageReceived,
    NoopReceived,
    QuitReceived,
    RecipientOffered,
    ResetReceived,
    StartTLSRequested,
    VerifyRequested,
    Wait,
)
from corvus_smtp.extensions import EXTENSIONS, Extension
from corvus_smtp.limits import (
    DEFAULT_EXTENSIONS,
    BareNewlines,
    Limits,
    Policy,
    Quirks,
    Timeouts,
)
from corvus_smtp.lmtp import Protocol
from corvus_smtp.parameters import (
    BodyType,
    MailParameters,
    Notify,
    OriginalRecipient,
    RcptParameters,
    Ret,
)
from corvus_smtp.replies import CODES, ENHANCED_CODES, EnhancedStatus, Reply
from corvus_smtp.server import ServerConnection
from corvus_smtp.tls import TLSInfo

__all__ = [
    "CODES",
    "DEFAULT_EXTENSIONS",
    "ENHANCED_CODES",
    "EXTENSIONS",
    "NEED_DATA",
    "PAUSED",
    "Abort",
    "AuthCancelled",
    "AuthResponse",
    "AuthStarted",
    "BareNewline",
    "BareNewlines",
    "BodyType",
    "Capabilities",
    "ChallengeReceived",
    "ClientConnection",
    "ClientEvent",
    "Command",
    "CommandRejected",
    "CommandSkipped",
    "ConnectionEnded",
    "ConnectionOpened",
    "DataReady",
    "DataRequested",
    "EnhancedStatus",
    "Event",
    "Extension",
    "GreetingReceived",
    "HelloReceived",
    "HelpRequested",
    "IPAddress",
    "Limits",
    "LocalProtocolError",
    "MailOffered",
    "MailParameters",
    "Mailbox",
    "MessageAborted",
    "MessageChunk",
    "MessageReceived",
    "NoopReceived",
    "NotOffered",
    "Notify",
    "OriginalRecipient",
    "Policy",
    "Protocol",
    "ProtocolError",
    "Quirks",
    "QuitReceived",
    "RcptParameters",
    "RecipientOffered",
    "RemoteProtocolError",
    "Reply",
    "ReplyReceived",
    "ResetReceived",
    "Ret",
    "ServerConnection",
    "StartTLSRequested",
    "State",
    "TLSInfo",
    "Timeouts",
    "Verb",
    "VerifyRequested",
    "Wait",
]
