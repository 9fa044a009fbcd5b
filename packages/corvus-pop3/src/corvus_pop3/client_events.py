"""
What a client hears.  Only `ChallengeReceived` obliges to something; until then ``PAUSED``.

Each answer names the `Command` it belongs to, so that pipelining is simply not waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, final

from corvus_pop3.capabilities import Capabilities
from corvus_pop3.commands import Verb
from corvus_pop3.events import ConnectionEnded
from corvus_pop3.languages import Language
from corvus_pop3.responses import Response


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What you issued; no two of a connection are equal."""

    serial: int
    verb: Verb
    number: int | None = None
    """The message, where there is one."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Greeted:
    """The server is ready: `capa`, `stls`, or log in."""

    text: str
    timestamp: str | None
    """What APOP is computed over, if the server offers it and it is a message identifier."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GreetingRefused:
    """The server will not talk to us; ``closing`` is true."""

    response: Response


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAccepted:
    """+OK.  After `stls` ``tls_pending`` is true: shake hands now, then `start_tls`."""

    command: Command
    response: Response


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRefused:
    """-ERR; ``response.code`` may say why."""

    command: Command
    response: Response


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilitiesReceived:
    """CAPA; also in ``conn.capabilities`` from now on."""

    command: Command
    capabilities: Capabilities


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeReceived:
    """A challenge of SASL.  You owe `respond` or `cancel`."""

    command: Command
    challenge: bytes = field(repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StatReceived:
    """How many messages, and how many octets in all."""

    command: Command
    count: int
    octets: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SizesReceived:
    """LIST: (number, octets), one for each message or for the one you asked for."""

    command: Command
    sizes: tuple[tuple[int, int], ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UidsReceived:
    """UIDL: (number, unique-id), one for each message or for the one you asked for."""

    command: Command
    uids: tuple[tuple[int, str], ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LanguagesReceived:
    """LANG without an argument."""

    command: Command
    languages: tuple[Language, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChunk:
    """Some octets of a message, dots unstuffed; line ends are CRLF."""

    command: Command
    data: bytes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """The message of RETR or TOP is complete."""

    command: Command


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAborted:
    """The connection broke within a message: throw away what you have of it."""

    command: Command


ClientEvent: TypeAlias = (
    Greeted
    | GreetingRefused
    | CommandAccepted
    | CommandRefused
    | CapabilitiesReceived
    | ChallengeReceived
    | StatReceived
    | SizesReceived
    | UidsReceived
    | LanguagesReceived
    | MessageChunk
    | MessageReceived
    | MessageAborted
    | ConnectionEnded
)
"""What `ClientConnection.next_event` returns."""
