"""
What happened on the wire.  Each docstring says what you owe; until then the engine is ``PAUSED``.

Those without a debt tell what the client did and what the engine has answered by itself; they are
for logs and counters, and each is a good moment to write ``data_to_send()``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from corvus_pop3.commands import Verb
from corvus_pop3.values import apop_matches


class Wait(enum.Enum):
    """No event."""

    NEED_DATA = "write data_to_send(), read, feed, ask again"
    PAUSED = "you owe an answer, or the TLS handshake; nothing is parsed until then"


NEED_DATA: Final = Wait.NEED_DATA
PAUSED: Final = Wait.PAUSED


# Who are you?  (RFC 1939 §4 and §7, RFC 2595, RFC 5034)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StlsRequested:
    """STLS.  Stop reading; then you owe `accept` (and the handshake) or `reject`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOffered:
    """
    USER and PASS, both given.  You owe `open` or `reject`.

    Do the same work whether the user exists or not, or the time taken tells which.
    """

    user: str
    password: str = field(repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ApopOffered:
    """
    APOP.  You owe `open` or `reject`.

    `matches` needs the secret itself: a server that offers APOP keeps every user's secret in a form
    from which mail can be read by whoever steals it.
    """

    user: str
    digest: str = field(repr=False)
    timestamp: str

    def matches(self, secret: str) -> bool:
        """Whether the client knows *secret*; compared in constant time."""
        return apop_matches(self.digest, self.timestamp, secret)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AuthStarted:
    """AUTH.  You owe `challenge`, `open` or `reject`."""

    mechanism: str
    """One of those you offered, in upper case."""

    initial: bytes | None = field(repr=False)
    """The initial response; ``b""`` was sent as ``=``, ``None`` was not sent at all."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AuthResponse:
    """The answer to your challenge.  You owe `challenge`, `open` or `reject`."""

    response: bytes = field(repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AuthCancelled:
    """The client gave up, or what it sent was no base64: -ERR is queued, you owe nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Utf8Enabled:
    """UTF8: ``conn.utf8`` is true now.  You owe nothing."""


# What have you got?  (RFC 1939 §5 and §7)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StatRequested:
    """STAT, answered.  You owe nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequested:
    """LIST, answered; a long answer goes on with `ListingContinued`.  You owe nothing."""

    number: int | None
    """``None``: all messages."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UidlRequested:
    """UIDL, answered; a long answer goes on with `ListingContinued`.  You owe nothing."""

    number: int | None
    """``None``: all messages."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListingContinued:
    """The next lines of a long listing are queued: write before you go on.  You owe nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveRequested:
    """RETR.  You owe any number of `chunk`, then `end`; or `reject`, before the first chunk."""

    number: int
    uid: str
    size: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TopRequested:
    """
    TOP.  You owe `chunk` until it returns False, or the message ends, then `end`; or `reject`.

    Give the message from its beginning; the engine cuts.
    """

    number: int
    uid: str
    size: int
    lines: int
    """Of the body, beside the header."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRequested:
    """DELE, answered: marked, and not deleted before `QuitRequested`.  You owe nothing."""

    number: int
    uid: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ResetRequested:
    """RSET, answered: no message is marked any more.  You owe nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NoopRequested:
    """NOOP, answered.  You owe nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QuitRequested:
    """
    QUIT in TRANSACTION: the one moment at which messages are deleted.

    You owe `accept` once the deletions are durable, or `reject` if some were not made; either way
    release the lock, for the session is over.
    """

    delete: tuple[int, ...]
    """Numbers of the messages to delete, ascending; none that was not marked."""

    uids: tuple[str, ...]
    """Their unique-ids, in the same order."""


# At any time.


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilitiesRequested:
    """CAPA, answered.  You owe nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRequested:
    """LANG, answered; ``conn.language`` is what is spoken now.  You owe nothing."""

    tag: str | None
    """As the client asked for it; ``None``: a list of all."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRejected:
    """A mistake of the client's, answered with -ERR.  You owe nothing."""

    verb: Verb | None
    """``None``: not even the keyword was understood."""

    reply: bytes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionEnded:
    """Over; returned for ever.  Unless `QuitRequested` came before, delete nothing."""


Event: TypeAlias = (
    StlsRequested
    | LoginOffered
    | ApopOffered
    | AuthStarted
    | AuthResponse
    | AuthCancelled
    | Utf8Enabled
    | StatRequested
    | ListRequested
    | UidlRequested
    | ListingContinued
    | RetrieveRequested
    | TopRequested
    | DeleteRequested
    | ResetRequested
    | NoopRequested
    | QuitRequested
    | CapabilitiesRequested
    | LanguageRequested
    | CommandRejected
    | ConnectionEnded
)
"""What `ServerConnection.next_event` returns."""
