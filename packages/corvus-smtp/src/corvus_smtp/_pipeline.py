"""Commands on their way: which may be under way at once, and which reply answers which.

"Command statuses MUST be coordinated with responses by counting each separate response and
correlating that count with the number of commands known to have been issued" (RFC 2920 §3.1).
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import Final

from corvus_smtp._buffer import Buffers
from corvus_smtp._data import MessageWriter
from corvus_smtp._state import State, Verb
from corvus_smtp.capabilities import Capabilities
from corvus_smtp.client_events import (
    ChallengeReceived,
    ClientEvent,
    Command,
    CommandSkipped,
    DataReady,
    GreetingReceived,
    ReplyReceived,
)
from corvus_smtp.commands import HELLO_NAME, decode_base64
from corvus_smtp.errors import LocalProtocolError, RemoteProtocolError
from corvus_smtp.limits import BareNewlines, Limits
from corvus_smtp.lmtp import Protocol
from corvus_smtp.parameters import MailParameters
from corvus_smtp.replies import Reply
from corvus_smtp.tls import TLSInfo

__all__ = ["HELLOS", "Pipeline"]

#: "the commands RSET, MAIL FROM, SEND FROM, SOML FROM, SAML FROM, and RCPT TO can all appear
#: anywhere in a pipelined command group" (RFC 2920 §3.1); the others only as its last.
_ANYWHERE: Final = frozenset({Verb.RSET, Verb.MAIL, Verb.RCPT})

HELLOS: Final = frozenset({Verb.EHLO, Verb.HELO, Verb.LHLO})


class Transaction:
    """What became of one MAIL so far."""

    __slots__ = ("accepted", "binary", "failed", "mail", "open", "waiting")

    def __init__(self, binary: bool) -> None:
        self.binary = binary
        self.mail: bool | None = None
        """What the reply to MAIL was; ``None`` until it came."""
        self.waiting = 0
        """RCPTs under way."""
        self.accepted: list[Command] = []
        self.failed = False
        """Whether a BDAT failed, so that the replies to those behind it tell nothing new."""
        self.open = True
        """Whether the server still holds it: until the message ended, or RSET."""


class Part(enum.Enum):
    """What a reply under way answers."""

    COMMAND = "a command"
    CHUNK = "a BDAT that is not the last"
    FINAL = "the end of a message"


@dataclass(slots=True)
class Awaited:
    """One reply under way."""

    command: Command
    part: Part
    transaction: Transaction | None
    recipient: Command | None = None


class Pipeline(Buffers):
    """The half of a client's connection that sends, counts and ties."""

    __slots__ = (
        "_auth_in_clear",
        "_bare",
        "_body",
        "_body_command",
        "_capabilities",
        "_challenged",
        "_events",
        "_greeted",
        "_hellos",
        "_hostname",
        "_limits",
        "_lines",
        "_lost",
        "_planned",
        "_planned_recipients",
        "_protocol",
        "_queue",
        "_sent",
        "_transaction",
    )

    def __init__(
        self,
        hostname: str,
        *,
        limits: Limits = Limits(),
        protocol: Protocol = Protocol.SMTP,
        bare_newlines: BareNewlines = BareNewlines.REJECT,
        auth_in_clear: bool = False,
        tls: TLSInfo | None = None,
    ) -> None:
        if not hostname.isascii() or HELLO_NAME.fullmatch(hostname.encode("ascii")) is None:
            raise ValueError(f"a host name is 1 to 255 visible ASCII characters: {hostname!r}")
        super().__init__(State.GREETING, tls)
        self._hostname = hostname
        self._limits = limits
        self._protocol = protocol
        self._bare = bare_newlines
        self._auth_in_clear = auth_in_clear
        self._capabilities = Capabilities()
        self._lines: list[bytes] = []
        self._events: deque[ClientEvent] = deque()
        # Commands in waiting, and commands (or parts of a message) under way, oldest first.
        self._queue: deque[Command] = deque()
        self._sent: deque[Awaited] = deque()
        self._transaction: Transaction | None = None
        self._body: MessageWriter | None = None
        self._body_command: Command | None = None
        self._challenged: Command | None = None
        self._greeted = False  # by the server, and by us with EHLO or HELO
        self._hellos = 0  # of which are in waiting or under way
        # What the queue will have led to when it has been sent: whether RCPT and DATA make sense.
        self._planned: MailParameters | None = None
        self._planned_recipients = 0
        self._lost: tuple[Command, ...] = ()

    @property
    def unanswered(self) -> tuple[Command, ...]:
        """Commands that have no reply yet, in order, those that were not sent last."""
        found: list[Command] = []
        for awaited in self._sent:
            if awaited.command not in found[-1:]:
                found.append(awaited.command)
        if self._body_command is not None and self._body_command not in found:
            found.append(self._body_command)
        return (*found, *self._queue)

    @property
    def timeout(self) -> float | None:
        """
        Seconds the server may stay silent from now on; ``None`` while nothing is awaited.

        The values of :rfc:`5321#section-4.5.3.2`, by the oldest command under way.  While you
        send a message it is the time one write may take.  The connection has no clock.
        """
        times = self._limits.timeouts
        if self._closing or self._state is State.TLS:
            return None
        if self._state is State.GREETING:
            return times.greeting
        if self._sent:
            awaited = self._sent[0]
            if awaited.part is Part.FINAL:
                return times.end
            if awaited.part is Part.CHUNK:
                return times.block
            if awaited.command.verb is Verb.RCPT:
                return times.rcpt
            return times.data if awaited.command.verb is Verb.DATA else times.mail
        return times.block if self._body is not None else None

    # Lining up.

    def _line_up(self, command: Command) -> Command:
        if self._closing or self._state is State.TLS:
            raise LocalProtocolError("the session is over, or waits for TLS")
        if self._state is State.REFUSED and command.verb is not Verb.QUIT:
            raise LocalProtocolError("the server refused the session: only quit() is left")
        last = self._queue[-1] if self._queue else self._sent[-1].command if self._sent else None
        if last is not None and last.verb in (Verb.QUIT, Verb.STARTTLS):
            raise LocalProtocolError(f"nothing goes behind {last.verb.value}")
        if len(self._queue) + len(self._sent) >= self._limits.pipelined:
            raise LocalProtocolError("too many commands under way: read the replies")
        if len(command.line) + 2 > self._limits.auth_line:
            raise LocalProtocolError("the command is too long for a line")
        self._queue.append(command)
        self._plan()
        return command

    # Private: sending what may be sent.

    def _plan(self) -> None:
        """Send from the queue what RFC 2920 allows to be under way now."""
        while self._queue and self._body is None and self._may_send(command := self._queue[0]):
            if self._is_hopeless(command):
                self._queue.popleft()
                self._events.append(CommandSkipped(command))
                continue
            transaction = self._transaction
            if command.verb is Verb.MAIL:
                if transaction is not None and transaction.open and transaction.mail is not False:
                    command = Command(Verb.RSET, line=b"RSET", automatic=True)
                    self._queue.appendleft(command)
            self._queue.popleft()
            self._send(command)

    def _may_send(self, command: Command) -> bool:
        if self._state is State.GREETING or self._state is State.TLS or self._closing:
            return False
        if not self._sent:
            # What is here already cannot be the reply to what has not been said.  Where it matters
            # (a man in the middle answers STARTTLS beforehand) it is parsed first, and found out.
            return command.verb is not Verb.STARTTLS or not self.buffered
        last = self._sent[-1]
        if "PIPELINING" not in self._capabilities:
            return False
        if command.verb is Verb.BDAT:
            # "After all MAIL and RCPT responses are collected and processed, the message is
            # sent using a series of BDAT commands" (RFC 3030 §2).
            return False
        if last.part is Part.COMMAND:
            return last.command.verb in _ANYWHERE
        # "The actual transfer of message content is explicitly allowed to be the first "command"
        # in a group" (RFC 2920 §3.1); after BDAT a failure would need RSET first.
        return last.command.verb is Verb.DATA

    def _is_hopeless(self, command: Command) -> bool:
        if self._state is State.REFUSED:
            return command.verb is not Verb.QUIT
        transaction = self._transaction
        if command.verb not in (Verb.RCPT, Verb.DATA, Verb.BDAT) or transaction is None:
            return False
        if transaction.mail is False:
            return True
        known = transaction.mail is True and not transaction.waiting
        return command.verb is not Verb.RCPT and known and not transaction.accepted

    def _send(self, command: Command) -> None:
        verb = command.verb
        if verb is Verb.MAIL:
            self._transaction = Transaction(command.binary)
        elif verb is Verb.RCPT and self._transaction is not None:
            self._transaction.waiting += 1
        elif verb is Verb.RSET and self._transaction is not None:
            self._transaction.open = False
        elif verb is Verb.BDAT:
            self._open_body(command)
            return
        self._out += command.line + b"\r\n"
        self._sent.append(Awaited(command, Part.COMMAND, self._transaction))

    def _open_body(self, command: Command) -> None:
        assert self._transaction is not None
        chunking = command.verb is Verb.BDAT
        self._body = MessageWriter(
            chunking=chunking,
            binary=self._transaction.binary,
            normalise=self._bare is BareNewlines.NORMALISE,
        )
        self._body_command = command
        self._state = State.BDAT if chunking else State.DATA
        self._events.append(DataReady(command))

    # Private: replies.

    def _next_reply(self) -> Reply | None:
        if self._more:
            self._join()
        while True:
            end = self._buffer.find(b"\r\n", self._position)
            length = (len(self._buffer) if end < 0 else end + 2) - self._position
            if length > self._limits.reply_line or (end < 0 and length == self._limits.reply_line):
                self._fail("a line of a reply is too long")
                return None
            if end < 0:
                return None
            line = self._buffer[self._position : end]
            self._position = end + 2
            self._lines.append(line)
            if len(self._lines) > self._limits.reply_lines:
                self._fail("a reply has too many lines")
                return None
            if line[3:4] != b"-":
                break
        lines, self._lines = self._lines, []
        try:
            return Reply.parse(lines)
        except ValueError:
            self._fail("what the server said is no reply")
            return None

    def _on_reply(self, reply: Reply) -> None:
        """Tie *reply* to what it answers: "by counting each separate response" (RFC 2920 §3.1)."""
        if self._state is State.GREETING:
            self._on_greeting(reply)
        elif self._sent:
            awaited = self._sent[0]
            if awaited.command.verb is Verb.AUTH and reply.code == 334:
                self._on_challenge(awaited.command, reply)
                return
            self._sent.popleft()
            if awaited.part is Part.COMMAND:
                self._on_command(awaited.command, awaited.transaction, reply)
            else:
                self._on_message(awaited, reply)
        elif self._body_command is not None and not reply.positive and not reply.intermediate:
            # A server that cannot bear to wait for the dot; what it takes for a command next
            # is anybody's guess, so nothing more is sent.
            self._events.append(ReplyReceived(self._body_command, reply))
            self._body = self._body_command = None
            self._end()
        elif reply.code == 421:
            self._events.append(ReplyReceived(None, reply))
        else:
            self._fail("the server answered what was not asked")
            return
        if reply.code == 421:
            self._end()
        else:
            self._plan()

    def _on_greeting(self, reply: Reply) -> None:
        self._state = State.CONNECTED if reply.code == 220 else State.REFUSED
        self._events.append(GreetingReceived(reply))

    def _on_challenge(self, command: Command, reply: Reply) -> None:
        try:
            data = decode_base64(reply.lines[-1].encode("ascii", "replace"))
        except ValueError:
            # What cannot be decoded cannot be answered; a cancel is the way out (RFC 4954 §4).
            self._out += b"*\r\n"
            return
        self._challenged = command
        self._state = State.AUTH
        self._events.append(ChallengeReceived(command, data))

    def _on_command(self, command: Command, transaction: Transaction | None, reply: Reply) -> None:
        verb, ok = command.verb, reply.positive
        if verb is Verb.DATA:
            self._on_data(command, transaction, reply)
            return
        self._events.append(ReplyReceived(command, reply))
        if verb in HELLOS:
            self._hellos -= 1
        if verb is Verb.MAIL and transaction is not None:
            transaction.mail = ok
            self._state = State.MAIL if ok else State.READY
        elif verb is Verb.RCPT and transaction is not None:
            transaction.waiting -= 1
            if ok:
                transaction.accepted.append(command)
                self._state = State.RCPT
        elif verb in HELLOS and ok:
            self._capabilities = Capabilities(reply if verb is not Verb.HELO else None)
            self._greeted = True
            self._transaction = None
            self._state = State.READY
        elif verb is Verb.AUTH or (verb is Verb.RSET and self._greeted):
            self._state = State.READY
        elif verb is Verb.STARTTLS and reply.code == 220:
            # Octets behind the 220 were not sent by the one whose certificate we are about to
            # check (CVE-2026-55558 and its siblings); asyncio is not asked, the buffer is ours.
            if self.buffered:
                self._fail("octets behind the reply to STARTTLS")
            else:
                self._state = State.TLS
        elif verb is Verb.QUIT:
            self._end()

    def _on_data(self, command: Command, transaction: Transaction | None, reply: Reply) -> None:
        assert transaction is not None
        if reply.code == 354 and transaction.accepted:
            self._open_body(command)
        elif reply.code == 354 and self._protocol is Protocol.SMTP:
            # "if the DATA command was accepted the client SMTP should send a single dot"
            # (RFC 2920 §3.1): nobody is to get anything.
            self._out += b".\r\n"
            transaction.open = False
            self._sent.appendleft(Awaited(command, Part.FINAL, transaction))
        elif reply.temporary or reply.permanent:
            self._events.append(ReplyReceived(command, reply))
        else:
            self._fail("no reply to DATA")

    def _on_message(self, awaited: Awaited, reply: Reply) -> None:
        transaction = awaited.transaction
        assert transaction is not None
        if transaction.failed:
            return  # the reply to a BDAT behind the one that failed
        if awaited.part is Part.FINAL:
            self._events.append(ReplyReceived(awaited.command, reply, awaited.recipient))
            if awaited.command.verb is Verb.BDAT:
                transaction.open = not reply.positive
            self._state = State.READY
        elif not reply.positive:
            # "the transaction should be considered failed and the sender-SMTP MUST NOT send any
            # additional BDAT segments" (RFC 3030 §2).
            transaction.failed = True
            self._body = self._body_command = None
            self._state = State.FAILED
            self._events.append(ReplyReceived(awaited.command, reply))

    # Private: the end.

    def _end(self) -> None:
        self._lost = self.unanswered
        self._sent.clear()
        self._queue.clear()
        self._body = self._body_command = self._challenged = None
        self._forget()
        self._state = State.CLOSED
        self._closing = True

    def _fail(self, message: str) -> None:
        self._end()
        self._error = RemoteProtocolError(message)
