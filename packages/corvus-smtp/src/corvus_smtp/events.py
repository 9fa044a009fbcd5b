"""What happened on the wire, as the server engine tells it.

Each event says in its class attribute `owes` whether you owe an answer.  Until it is given,
``next_event()`` says `PAUSED` and no further octet is parsed.

================== ====================================================================
you owe            events
================== ====================================================================
an answer          `ConnectionOpened`, `HelloReceived`, `StartTLSRequested`, `AuthStarted`,
                   `AuthResponse`, `MailOffered`, `RecipientOffered`, `DataRequested`,
                   `MessageReceived`, `VerifyRequested`
nothing            `MessageChunk`, `MessageAborted`, `AuthCancelled`, `ResetReceived`,
                   `NoopReceived`, `HelpRequested`, `QuitReceived`, `CommandRejected`,
                   `ConnectionEnded`
================== ====================================================================

The events of every transaction are plain dataclasses, the others frozen: a frozen one costs
twice as much to make.  Treat all of them as values.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, TypeAlias, final

from corvus_smtp.address import IPAddress, Mailbox, parse_address_literal
from corvus_smtp.parameters import MailParameters, RcptParameters
from corvus_smtp.replies import Reply

__all__ = [
    "NEED_DATA",
    "PAUSED",
    "Abort",
    "AuthCancelled",
    "AuthResponse",
    "AuthStarted",
    "CommandRejected",
    "ConnectionEnded",
    "ConnectionOpened",
    "DataRequested",
    "Event",
    "HelloReceived",
    "HelpRequested",
    "MailOffered",
    "MessageAborted",
    "MessageChunk",
    "MessageReceived",
    "NoopReceived",
    "QuitReceived",
    "RecipientOffered",
    "ResetReceived",
    "StartTLSRequested",
    "VerifyRequested",
    "Wait",
]


class Wait(enum.Enum):
    """What ``next_event()`` says when nothing has happened."""

    NEED_DATA = "write data_to_send(), read, feed, ask again"
    PAUSED = "you owe an answer or a TLS handshake; nothing is parsed until then"


NEED_DATA: Final = Wait.NEED_DATA
PAUSED: Final = Wait.PAUSED


@final
@dataclass(frozen=True, slots=True)
class ConnectionOpened:
    """
    A client is there.  You owe the greeting: ``accept()`` is 220.

    ``reject(554, ...)`` or ``521`` (:rfc:`7504`) leaves it nothing but QUIT
    (:rfc:`5321#section-3.1`); ``reject(421, ...)`` closes.  What `buffered` shows now
    was sent before the greeting: "the sender SHOULD wait" for it (:rfc:`5321#section-4.3.1`).
    """

    owes: ClassVar[bool] = True


@final
@dataclass(frozen=True, slots=True)
class HelloReceived:
    """
    EHLO, HELO or LHLO.  You owe ``accept()``: 250 with what is offered, or ``reject()``.

    A transaction that was open is gone.  "The server MUST NOT refuse to accept a message"
    because the name is not the client's (:rfc:`5321#section-4.1.4`).
    """

    verb: Literal["EHLO", "HELO", "LHLO"]
    name: str
    """As the client gave it: printable ASCII, else unchecked.  Never trust it."""
    owes: ClassVar[bool] = True

    @property
    def address_literal(self) -> IPAddress | None:
        """The address, if the name is a literal of one."""
        return parse_address_literal(self.name)


@final
@dataclass(frozen=True, slots=True)
class StartTLSRequested:
    """
    STARTTLS.  Stop reading first; then you owe ``accept()`` or ``reject()`` (454).

    After ``accept()``: write, and if ``tls_pending`` is true shake hands and call
    ``start_tls(info)``; else octets stood behind the command, and ``closing`` is true.
    """

    owes: ClassVar[bool] = True


@final
@dataclass(frozen=True, slots=True)
class AuthStarted:
    """
    AUTH.  You owe ``challenge(octets)`` (334), ``accept()`` (235) or ``reject()`` (535).

    Feed ``initial`` to your SASL machine.
    """

    mechanism: str
    """One of `Policy.auth_mechanisms`."""
    initial: bytes | None = field(repr=False)
    """The initial response, decoded; ``None`` if there was none, which is not ``b""``."""
    owes: ClassVar[bool] = True


@final
@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The answer to your challenge.  You owe ``challenge()``, ``accept()`` or ``reject()``."""

    data: bytes = field(repr=False)
    owes: ClassVar[bool] = True


@final
@dataclass(frozen=True, slots=True)
class AuthCancelled:
    """The client sent ``*``; 501 is queued (:rfc:`4954#section-4`).  You owe nothing."""

    owes: ClassVar[bool] = False


@final
@dataclass(slots=True)
class MailOffered:
    """MAIL.  You owe ``accept()`` (250) or ``reject()`` (550)."""

    reverse_path: Mailbox | None
    """``None`` is ``<>``: a notice, to which none may answer (:rfc:`5321#section-4.5.5`)."""
    parameters: MailParameters
    owes: ClassVar[bool] = True


@final
@dataclass(slots=True)
class RecipientOffered:
    """RCPT.  You owe ``accept()`` (250) or ``reject()`` (550 5.1.1)."""

    forward_path: Mailbox
    """A source route in front of it was dropped, as it SHOULD be."""
    parameters: RcptParameters
    owes: ClassVar[bool] = True


@final
@dataclass(slots=True)
class DataRequested:
    """
    DATA, or the first BDAT.  You owe ``accept()`` or ``reject()`` (451).

    With DATA ``accept()`` says 354.  With BDAT the octets come unasked: ``accept()`` says nothing,
    and ``reject()`` answers once they have been taken and thrown away.
    """

    chunking: bool
    """Whether it is BDAT."""
    owes: ClassVar[bool] = True


@final
@dataclass(slots=True)
class MessageChunk:
    """Octets of the message, without the doubled dots.  You owe nothing."""

    data: bytes
    owes: ClassVar[bool] = False


@final
@dataclass(slots=True)
class MessageReceived:
    """
    The message is complete.  You owe ``accept()`` (we are responsible now) or ``reject()``.

    Under LMTP each accepted recipient gets its own: ``reply_each([...])`` (:rfc:`2033#section-4.2`).
    """

    size: int
    """Octets of all chunks."""
    recipients: int
    """How many RCPTs were accepted."""
    owes: ClassVar[bool] = True


class Abort(enum.Enum):
    """Why a message never became one."""

    BARE_NEWLINE = "it held a CR or LF on its own (550 5.6.0)"
    TOO_LARGE = "it exceeded Limits.message_size (552 5.3.4)"
    RESET = "RSET, EHLO or QUIT came between two BDATs"
    DISCONNECTED = "the connection ended"
    CLOSED = "close() or reject(421)"


@final
@dataclass(frozen=True, slots=True)
class MessageAborted:
    """Forget the chunks; what was to be said is queued.  You owe nothing."""

    reason: Abort
    owes: ClassVar[bool] = False


@final
@dataclass(frozen=True, slots=True)
class ResetReceived:
    """RSET; 250 is queued.  You owe nothing; an open transaction is gone."""

    owes: ClassVar[bool] = False


@final
@dataclass(frozen=True, slots=True)
class VerifyRequested:
    """
    VRFY or EXPN.  You owe ``accept()``, which is 252 and tells nothing, or ``reply(...)``.

    For EXPN ``accept()`` is 252 too.  :rfc:`5321#section-3.5.3` knows 250, 251, 252, 550, 553.
    """

    verb: Literal["VRFY", "EXPN"]
    argument: str
    """A user, a mailbox or a list, as the client put it; UTF-8 only under SMTPUTF8."""
    owes: ClassVar[bool] = True


@final
@dataclass(frozen=True, slots=True)
class NoopReceived:
    """NOOP; 250 is queued.  You owe nothing."""

    owes: ClassVar[bool] = False


@final
@dataclass(frozen=True, slots=True)
class HelpRequested:
    """HELP; 214 is queued.  You owe nothing."""

    topic: str
    owes: ClassVar[bool] = False


@final
@dataclass(frozen=True, slots=True)
class QuitReceived:
    """QUIT; 221 is queued and ``closing`` is true.  You owe nothing."""

    owes: ClassVar[bool] = False


@final
@dataclass(frozen=True, slots=True)
class CommandRejected:
    """The client erred, or the policy says no; the reply is queued.  You owe nothing."""

    reply: Reply
    verb: str
    """The command, or ``""`` if it was none we know; never what followed it."""
    owes: ClassVar[bool] = False


@final
@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """Over, for ever.  You owe nothing: write ``data_to_send()``, close the transport."""

    unanswered: tuple[object, ...] = ()
    """A client's commands that got no reply, in order; a message among them may have arrived."""
    owes: ClassVar[bool] = False


Event: TypeAlias = (
    ConnectionOpened
    | HelloReceived
    | StartTLSRequested
    | AuthStarted
    | AuthResponse
    | AuthCancelled
    | MailOffered
    | RecipientOffered
    | DataRequested
    | MessageChunk
    | MessageReceived
    | MessageAborted
    | ResetReceived
    | VerifyRequested
    | NoopReceived
    | HelpRequested
    | QuitReceived
    | CommandRejected
    | ConnectionEnded
)
