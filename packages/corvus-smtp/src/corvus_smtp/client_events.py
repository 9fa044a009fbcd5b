"""What happened on the wire, as the client engine tells it.

`ChallengeReceived` and `DataReady` owe something; the others owe nothing.  Every reply comes with
the `Command` it answers, the very object that the call returned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias, final

from corvus_smtp._state import Verb
from corvus_smtp.address import Mailbox
from corvus_smtp.events import ConnectionEnded
from corvus_smtp.replies import Reply

__all__ = [
    "ChallengeReceived",
    "ClientEvent",
    "Command",
    "CommandSkipped",
    "DataReady",
    "GreetingReceived",
    "ReplyReceived",
]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """A command that you asked for.  Compared by identity: two RCPTs of one address are two."""

    verb: Verb
    mailbox: Mailbox | None = None
    """The path of MAIL or RCPT."""
    line: bytes = field(default=b"", repr=False)
    """What goes onto the wire, without CRLF; empty for BDAT.  It may hold a secret."""
    automatic: bool = False
    """Whether the engine asked for it: the RSET between a failed transaction and the next."""
    binary: bool = False
    """Whether a MAIL said BODY=BINARYMIME."""


@final
@dataclass(frozen=True, slots=True)
class GreetingReceived:
    """The server spoke first.  Unless it said 220, only ``quit()`` is left."""

    reply: Reply
    owes: ClassVar[bool] = False


@final
@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """The one final reply to a command (under LMTP, to a message: one for each recipient)."""

    command: Command | None
    """``None`` for a 421 that answers nothing: the server closes."""
    reply: Reply
    recipient: Command | None = None
    """Under LMTP the RCPT for which this is the reply to the message."""
    owes: ClassVar[bool] = False

    @property
    def verb(self) -> Verb | None:
        """The command's verb."""
        return None if self.command is None else self.command.verb


@final
@dataclass(frozen=True, slots=True)
class CommandSkipped:
    """
    A command that was not sent, since it could not succeed.

    A RCPT behind a refused MAIL, or a message none of whose recipients was accepted.
    """

    command: Command
    owes: ClassVar[bool] = False


@final
@dataclass(frozen=True, slots=True)
class ChallengeReceived:
    """334: the server's challenge, decoded.  You owe ``respond(octets)`` or ``cancel()``."""

    command: Command
    data: bytes = field(repr=False)
    owes: ClassVar[bool] = True


@final
@dataclass(frozen=True, slots=True)
class DataReady:
    """
    The server waits for the message.  You owe ``chunk(octets)`` any number of times, and ``end()``.

    All replies to the recipients have been given before; at least one accepted.
    """

    command: Command
    owes: ClassVar[bool] = True


ClientEvent: TypeAlias = (
    GreetingReceived
    | ReplyReceived
    | CommandSkipped
    | ChallengeReceived
    | DataReady
    | ConnectionEnded
)
