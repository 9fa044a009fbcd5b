"""What happened on the wire, one value an event; each says what you owe next."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from corvus_imap.commands import Command
from corvus_imap.responses import Condition, Response, Unknown
from corvus_imap.types.atoms import Secret
from corvus_imap.types.flags import Flag


class NeedData(enum.Enum):
    """Nothing more can be said about what was received: write, read, feed, ask again."""

    NEED_DATA = "NEED_DATA"

    def __repr__(self) -> str:
        return "NEED_DATA"


class Paused(enum.Enum):
    """You owe an answer to the last event, or TLS is yours to start."""

    PAUSED = "PAUSED"

    def __repr__(self) -> str:
        return "PAUSED"


NEED_DATA: Final = NeedData.NEED_DATA
PAUSED: Final = Paused.PAUSED


@final
@dataclass(frozen=True, slots=True)
class CommandReceived:
    """
    A whole command that its state allows.

    You owe ``send`` as often as there is data, then one of ``ok``, ``no`` or ``bad``.  Three commands go on
    instead of ending: AUTHENTICATE may be answered by ``challenge``, IDLE by ``accept`` (then comes
    `IdleDone`), and STARTTLS is answered by ``accept`` or ``no``.
    """

    tag: str
    command: Command


@final
@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The client's answer to a ``challenge``.  You owe another, or ``ok``, or ``no``."""

    tag: str
    data: Secret


@final
@dataclass(frozen=True, slots=True)
class AuthAborted:
    """The client gave up with ``*`` or sent no base64; BAD is queued.  You owe nothing."""

    tag: str
    reason: str


@final
@dataclass(frozen=True, slots=True)
class AppendOffered:
    """
    APPEND announces a message.

    You owe ``accept`` (its octets follow as `LiteralChunk`) or ``no`` (nothing is stored of it, and an
    earlier message of the same command is not kept either).
    """

    tag: str
    mailbox: str
    size: int
    """Octets to come; above ``Limits.message`` the engine has refused already."""
    flags: tuple[Flag, ...] = ()
    date: datetime | None = None
    binary: bool = False
    """A literal8, in which NUL may stand (RFC 3516 §4.4)."""
    utf8: bool = False
    """``UTF8 (~{n})``, whose headers hold raw UTF-8 (RFC 6855 §4)."""
    index: int = 0
    """0 for the first message of the command, 1 for the second (MULTIAPPEND, RFC 3502) ..."""


@final
@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """Octets of the message that was accepted last, in order.  You owe nothing."""

    data: bytes


@final
@dataclass(frozen=True, slots=True)
class AppendReceived:
    """The command is complete: all messages have come.  You owe ``ok`` or ``no``, for all of them."""

    tag: str
    messages: int


@final
@dataclass(frozen=True, slots=True)
class AppendAborted:
    """An APPEND with accepted messages came to nothing: keep none of them.  You owe nothing."""

    tag: str
    reason: str


@final
@dataclass(frozen=True, slots=True)
class IdleDone:
    """
    IDLE is over: stop to ``push``.  You owe ``ok`` (or ``no``).

    If the client said something else than DONE, *clean* is false, and BAD is what your ``ok`` sends.
    """

    tag: str
    clean: bool = True


@final
@dataclass(frozen=True, slots=True)
class CommandRejected:
    """A command that was no command, or came out of order; BAD or NO is queued.  You owe nothing."""

    tag: str
    """``*`` where the tag could not be read."""
    reason: str


@final
@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """Over.  This is all that will ever come."""


#: What `ServerConnection.next_event` returns besides the two waits.
Event = (
    CommandReceived
    | AuthResponse
    | AuthAborted
    | AppendOffered
    | LiteralChunk
    | AppendReceived
    | AppendAborted
    | IdleDone
    | CommandRejected
    | ConnectionEnded
)


# Of a client


@final
@dataclass(frozen=True, slots=True)
class Greeted:
    """The server has said hello (OK or PREAUTH).  You owe nothing; send commands."""

    condition: Condition


@final
@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """Untagged data, asked for or not.  You owe nothing."""

    response: Response | Unknown


@final
@dataclass(frozen=True, slots=True)
class CommandCompleted:
    """
    A command is done: ``condition.kind`` says how.

    You owe nothing, except after STARTTLS with OK: then TLS is pending.
    """

    tag: str
    command: Command | None
    """``None`` if it was an ``append``."""
    condition: Condition


@final
@dataclass(frozen=True, slots=True)
class ChallengeReceived:
    """AUTHENTICATE goes on.  You owe ``respond`` or ``cancel``."""

    tag: str
    data: bytes


@final
@dataclass(frozen=True, slots=True)
class MessageWanted:
    """The server waits for the message of an ``append``: ``chunk`` until its size is reached."""

    tag: str
    size: int


@final
@dataclass(frozen=True, slots=True)
class IdleStarted:
    """IDLE is on: news come as `ResponseReceived` until you say ``done``."""

    tag: str


@final
@dataclass(frozen=True, slots=True)
class LiteralStarted:
    """
    A literal too long to be held: its octets follow as `LiteralChunk`.

    In the response that comes at its end it is the empty string.
    """

    prefix: bytes
    """The response so far, such as ``* 12 FETCH (BODY[]`` and a space."""
    size: int


#: What `ClientConnection.next_event` returns besides the two waits.
ClientEvent = (
    Greeted
    | ResponseReceived
    | CommandCompleted
    | ChallengeReceived
    | MessageWanted
    | IdleStarted
    | LiteralStarted
    | LiteralChunk
    | ConnectionEnded
)
