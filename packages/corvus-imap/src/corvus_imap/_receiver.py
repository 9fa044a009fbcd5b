"""The half of `ServerConnection` that reads: which octets are what, and which event comes of them.

Commands, literals that are kept, messages that stream, SASL responses, DONE, and what is thrown
away: one method for each way of reading, chosen by `Reading`.
"""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import Final

from corvus_imap import commands as c
from corvus_imap import responses as r
from corvus_imap._aware import wants_modseq
from corvus_imap._output import Output
from corvus_imap._state import LEFT, Append, State, allowed
from corvus_imap.codec._lexer import Cursor
from corvus_imap.codec.append import Offer, append_arguments, parse_append, parse_offer
from corvus_imap.codec.fragments import Fragments, LiteralHead
from corvus_imap.codec.grammar import grammar_of
from corvus_imap.codec.parse_command import parse_command, read_tag
from corvus_imap.codec.render import render
from corvus_imap.errors import LocalProtocolError, ParseError, RemoteProtocolError
from corvus_imap.events import (
    NEED_DATA,
    PAUSED,
    AppendAborted,
    AppendOffered,
    AppendReceived,
    AuthAborted,
    AuthResponse,
    CommandReceived,
    CommandRejected,
    ConnectionEnded,
    Event,
    IdleDone,
    LiteralChunk,
    NeedData,
    Paused,
)
from corvus_imap.extensions.compress import Compress, Inflater
from corvus_imap.limits import Limits
from corvus_imap.policy import Policy
from corvus_imap.types import codes
from corvus_imap.types.atoms import Secret
from corvus_imap.types.base64 import decode_base64
from corvus_imap.types.codes import Code
from corvus_imap.types.search import SearchReturn
from corvus_imap.types.tls import TLSInfo

#: Under LITERAL-, "non-synchronizing literals used in any command MUST NOT be larger than 4096 bytes"
#: (RFC 7888 §5).
_LITERAL_MINUS: Final = 4096
#: The most that one `LiteralChunk` holds.
_CHUNK: Final = 1 << 16

#: What an accept, an ok, a no or a bad can be about.
Owed = CommandReceived | AuthResponse | AppendOffered | AppendReceived | IdleDone


class Reading(enum.Enum):
    """As what the next octets are read."""

    COMMAND = "a command"
    MESSAGE = "the message of an APPEND"
    BEHIND = "what follows a message in its APPEND"
    AUTH = "a response of a SASL exchange"
    IDLE = "DONE"
    DROPPED_LITERAL = "a literal that nobody wants"
    DROPPED_LINE = "the rest of a command that was refused"


class Receiver:
    """Reads what the client says; the base of `ServerConnection`, never used alone."""

    def __init__(
        self,
        greeting: str = "IMAP server ready",
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        preauth: bool = False,
        tls: TLSInfo | None = None,
    ) -> None:
        self.policy = Policy() if policy is None else policy
        self.limits = Limits() if limits is None else limits
        self.grammar = grammar_of(
            frozenset(self.policy.capabilities), self.limits, self.policy.delimiter
        )
        render(
            r.Condition(r.Kind.OK, greeting)
        )  # a greeting is one line, or it is your mistake now
        self._greeting = greeting
        self._preauth = preauth
        self._tls = tls
        self._tls_pending = False
        self._state = State.CONNECTED
        self._reading = Reading.COMMAND
        self._fragments = Fragments()
        self._inflater: Inflater | None = None
        self._out = Output()
        self._owed: Owed | None = None
        self._tag = ""
        self._eof = False
        self._closing = False
        self._fatal: RemoteProtocolError | None = None
        self._mistakes = 0
        self._enable(frozenset())
        self._condstore = False
        # Of the command that is being received.
        self._literals = 0
        self._offer: AppendOffered | None = None
        self._messages = 0
        self._left = 0
        #: A nonsynchronizing literal may be this long; 0: there are none.
        if self.limits.nonsync_literal is not None:
            self._nonsync = self.limits.nonsync_literal
        elif self.grammar.offers("LITERAL+"):
            self._nonsync = 1 << 63
        else:
            self._nonsync = _LITERAL_MINUS if self.grammar.offers("LITERAL-") else 0

    # What reading depends on.

    @property
    def buffered(self) -> int:
        """Octets received and not yet parsed."""
        waiting = 0 if self._inflater is None else len(self._inflater.waiting)
        return len(self._fragments) + waiting

    @property
    def rev2(self) -> bool:
        """The client speaks IMAP4rev2, hence no RECENT, ESEARCH for SEARCH, names in UTF-8."""
        return self._rev2

    @property
    def utf8(self) -> bool:
        """Quoted strings and mailbox names hold UTF-8 (RFC 6855 §3, RFC 9051 §5.1)."""
        return self._utf8

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What CAPABILITY tells now."""
        return self.policy.told(
            logged_in=self._state in (State.AUTHENTICATED, State.SELECTED),
            tls=self._tls is not None,
            compressed=self._out.compressed,
            append_limit=self.limits.message,
        )

    def _enable(self, names: frozenset[str]) -> None:
        """From now on *names*, and nothing else, are enabled."""
        self._enabled = names
        # A server that has no IMAP4rev1 to fall back to speaks IMAP4rev2 from the first octet on.
        self._rev2 = "IMAP4rev2" in names or "IMAP4rev1" not in self.policy.capabilities
        self._utf8 = self._rev2 or "UTF8=ACCEPT" in names

    # Feeding.

    def receive_data(self, data: bytes, /) -> None:
        """
        Store octets from the peer; nothing is parsed.

        Raises:
            LocalProtocolError: After `receive_eof`, or while TLS is pending: those octets belong to TLS.
        """
        if self._eof:
            raise LocalProtocolError("octets behind the end of the stream")
        if self._tls_pending:
            raise LocalProtocolError("TLS is pending: hold the octets until start_tls")
        if self._closing:
            return
        if self._inflater is not None:
            self._inflater.feed(data)
        else:
            self._fragments.buffer += data

    def receive_eof(self) -> None:
        """The peer closed its side; what came before still parses."""
        self._eof = True

    # Events.

    def next_event(self) -> Event | NeedData | Paused:
        """
        The next thing that happened.

        Raises:
            RemoteProtocolError: The peer did what no session survives; once, with BYE queued.
        """
        if self._fatal is not None:
            fatal, self._fatal = self._fatal, None
            raise fatal
        if self._closing:
            return ConnectionEnded()
        if self._owed is not None or self._tls_pending:
            return PAUSED
        if self._state is State.CONNECTED:
            self._greet()
        while True:
            event = self._READERS[self._reading](self)
            if event is not None:
                return event
            if not self._inflate():
                break
        return self._ended() if self._eof else NEED_DATA

    def _greet(self) -> None:
        kind = r.Kind.PREAUTH if self._preauth else r.Kind.OK
        self._state = State.AUTHENTICATED if self._preauth else State.NOT_AUTHENTICATED
        code = codes.capability(self.capabilities)
        self._out.line(render(r.Condition(kind, self._greeting, code)))

    def _inflate(self) -> bool:
        """Unpack some more; false if there is nothing to unpack."""
        if self._inflater is None:
            return False
        try:
            octets = self._inflater.inflate()
        except ValueError as error:
            raise self._fail("the compressed stream is broken") from error
        self._fragments.buffer += octets
        return bool(octets)

    def _ended(self) -> Event:
        if self._messages or self._reading is Reading.MESSAGE:
            self._messages = 0
            self._reading = Reading.COMMAND
            return AppendAborted(self._tag, "the connection ended")
        self._state = State.LOGOUT
        self._closing = True
        return ConnectionEnded()

    # Private: the end.

    def _condition(self, kind: r.Kind, code: Code | str | None, text: str) -> r.Condition:
        try:
            if isinstance(code, str):
                code = Code(code)
            condition = r.Condition(kind, text, code, self._tag or None)
            render(condition)
        except ValueError as error:
            raise LocalProtocolError(str(error)) from error
        return condition

    def _fail(self, reason: str, code: str | None = None) -> RemoteProtocolError:
        """Say BYE and make the error to raise."""
        condition = r.Condition(r.Kind.BYE, reason, None if code is None else Code(code))
        reply = render(condition)
        if not self._out.in_line:
            self._out.line(reply)
        self._shut()
        return RemoteProtocolError(reason, reply)

    def _shut(self) -> None:
        self._state = State.LOGOUT
        self._closing = True
        self._owed = None
        self._tls_pending = False
        self._fragments = Fragments()
        self._inflater = None
        self._out.closed = True

    # Private: commands.

    def _most(self) -> int:
        """How long the current line may be."""
        limits = self.limits
        if self._state is State.NOT_AUTHENTICATED:
            return limits.command_before_login - self._fragments.line_start
        return min(limits.line, limits.command - self._fragments.line_start)

    def _read_command(self) -> Event | None:
        fragments = self._fragments
        while True:
            found = fragments.next_line(self._most())
            if found is None:
                return None
            if isinstance(found, LiteralHead):
                event = self._literal(found)
                if event is not None:
                    return event
                continue
            if found < 0:
                return self._too_long()
            self._literals = 0
            return self._command(fragments.take(found)[:-2])

    def _command(self, message: bytes) -> Event:
        try:
            tag, command = parse_command(message, self.grammar, utf8=self.utf8)
        except ParseError as error:
            return self._reject_parse(error)
        self._tag = tag.decode("ascii")
        if not allowed(self._state, type(command)):
            return self._reject(r.Kind.BAD, f"not in the {self._state.value} state")
        refused = self._refused_by_policy(command)
        if refused is not None:
            return refused
        self._mistakes = 0
        if self.rev2 and isinstance(command, c.Search) and command.returns is None:
            # "ESEARCH response replaces SEARCH response from IMAP4rev1" (RFC 9051 §9).
            command = replace(command, returns=frozenset[SearchReturn]())
        if wants_modseq(command):
            self._condstore = True
        left = LEFT.get((self._state, type(command)))
        if left is not None:
            # "When deselecting a selected mailbox, the server MUST return an untagged OK response
            # with the "[CLOSED]" response code" (RFC 9051 §6.3.2).
            self._state = left
            self._out.line(b"* OK [CLOSED] the mailbox that was selected is closed\r\n")
        if isinstance(command, c.Authenticate):
            self._mechanism = command.mechanism
        return self._owe(CommandReceived(self._tag, command))

    def _owe(self, event: Owed) -> Owed:
        self._owed = event
        return event

    def _refused_by_policy(self, command: c.Command) -> Event | None:
        policy = self.policy
        if isinstance(command, c.Login | c.Authenticate):
            if policy.require_tls and self._tls is None:
                return self._reject(r.Kind.NO, "TLS first: STARTTLS", Code("PRIVACYREQUIRED"))
            if isinstance(command, c.Authenticate):
                if command.mechanism not in policy.mechanisms:
                    return self._reject(r.Kind.NO, "that mechanism is not offered")
                if command.initial is not None and not self.grammar.offers("SASL-IR"):
                    return self._reject(r.Kind.BAD, "an initial response needs SASL-IR")
        elif isinstance(command, c.StartTLS):
            if self._tls is not None or not policy.starttls:
                return self._reject(r.Kind.BAD, "TLS is active or not offered")
        elif isinstance(command, Compress) and self._out.compressed:
            return self._reject(r.Kind.NO, "compressed already", Code("COMPRESSIONACTIVE"))
        elif isinstance(command, c.Select):
            if command.qresync is not None and "QRESYNC" not in self._enabled:
                # "A server MUST respond with a tagged BAD response if the QRESYNC parameter to the
                # SELECT/EXAMINE command or the VANISHED UID FETCH modifier is specified and the
                # client hasn't issued "ENABLE QRESYNC"" (RFC 7162 §3.2.3).
                return self._reject(r.Kind.BAD, "QRESYNC is not enabled")
        elif isinstance(command, c.Fetch) and command.vanished and "QRESYNC" not in self._enabled:
            return self._reject(r.Kind.BAD, "QRESYNC is not enabled")
        return None

    def _reject_parse(self, error: ParseError) -> Event:
        self._tag = "" if error.tag is None else error.tag.decode("ascii")
        kind = r.Kind.NO if error.code else r.Kind.BAD
        return self._reject(kind, error.reason, Code.parse(error.code) if error.code else None)

    def _reject(self, kind: r.Kind, reason: str, code: Code | None = None) -> CommandRejected:
        """Answer a command that goes nowhere; too many in a row end the session."""
        # "The untagged form indicates a protocol-level error for which the associated command can not
        # be determined" (RFC 9051 §7.1.3).
        tag = self._tag or None
        self._out.line(render(r.Condition(kind, reason, code, tag)))
        self._mistakes += 1
        if self._mistakes > self.limits.mistakes:
            raise self._fail("too many mistakes")
        return CommandRejected(self._tag or "*", reason)

    # Private: literals of commands.

    def _literal(self, head: LiteralHead) -> Event | None:
        """A line of a command ends in a literal head; ``None``: it is kept, look on."""
        fragments, limits = self._fragments, self.limits
        arguments = append_arguments(fragments.buffer)
        if arguments is not None and head.at > arguments:
            return self._first_message(head)
        self._literals += 1
        most = limits.command
        if self._state is State.NOT_AUTHENTICATED:
            most = limits.command_before_login
        if self._literals > limits.literals:
            return self._refuse_literal(head, "too many literals", None)
        if (
            head.size > limits.literal
            or fragments.head_end + head.size > most
            or (not head.synchronizing and head.size > self._nonsync)
        ):
            return self._refuse_literal(head, "the literal is too long", Code("TOOBIG"))
        fragments.keep_literal(head.size)
        if head.synchronizing:
            self._out.line(b"+ Ready for the literal\r\n")
        return None

    def _refuse_literal(
        self, head: LiteralHead, reason: str, code: Code | None, kind: r.Kind = r.Kind.BAD
    ) -> Event:
        tag = read_tag(bytes(self._fragments.buffer[: self.limits.tag + 1]), whole=False)
        self._tag = "" if tag is None else tag.decode("ascii")
        self._forget(head)
        event = self._reject(kind, reason, code)
        if not head.synchronizing:
            self._drop(head.size)
        return event

    def _forget(self, head: LiteralHead) -> None:
        """Drop the command up to and with the head of its literal."""
        self._fragments.take(self._fragments.head_end)
        self._fragments.skipped = 0
        self._literals = 0

    def _too_long(self) -> Event:
        tag = read_tag(bytes(self._fragments.buffer[: self.limits.tag + 1]), whole=False)
        self._tag = "" if tag is None else tag.decode("ascii")
        at = self._fragments.line_start
        self._fragments.drop(at)
        self._fragments.skipped = 0
        self._literals = 0
        self._reading = Reading.DROPPED_LINE
        return self._reject(r.Kind.BAD, "the command is too long", Code("LIMIT"))

    # Private: what is thrown away.

    def _budget(self) -> int:
        limits = self.limits
        if self._state is State.NOT_AUTHENTICATED:
            return limits.drain_before_login
        return limits.drain

    def _drop(self, size: int) -> None:
        """Throw away a literal that comes anyway, and the rest of its command."""
        if self._fragments.skipped + size > self._budget():
            # Rather than read it all, a server may say BYE with TOOBIG (RFC 7888 §4, §5).
            self._fatal = self._fail("far too long", "TOOBIG")
            return
        self._left = size
        self._reading = Reading.DROPPED_LITERAL

    def _read_dropped(self) -> Event | None:
        fragments = self._fragments
        while True:
            if self._reading is Reading.DROPPED_LITERAL:
                self._left -= fragments.drop(self._left)
                if self._left:
                    return None
                self._reading = Reading.DROPPED_LINE
            found = fragments.drop_line()
            if fragments.skipped > self._budget():
                raise self._fail("far too long", "TOOBIG")
            if found is False:
                return None
            if isinstance(found, LiteralHead) and not found.synchronizing:
                self._drop(found.size)
                if self._fatal is not None:
                    fatal, self._fatal = self._fatal, None
                    raise fatal
                continue
            # The end of the line; or a literal that waits for "+" and was answered before it was
            # offered.
            self._reading = Reading.COMMAND
            fragments.skipped = 0
            return self._read_command()

    # Private: APPEND.

    _left_is_synchronizing = False

    def _first_message(self, head: LiteralHead) -> Event:
        prefix = bytes(self._fragments.buffer[: head.at])
        try:
            tag, mailbox, offer = parse_append(
                prefix, self.grammar, utf8=self.utf8, binary=head.binary
            )
        except ParseError as error:
            code = Code.parse(error.code) if error.code else None
            kind = r.Kind.NO if code else r.Kind.BAD
            return self._refuse_literal(head, error.reason, code, kind)
        self._tag = tag.decode("ascii")
        if not allowed(self._state, Append):
            return self._refuse_literal(head, f"not in the {self._state.value} state", None)
        self._messages = 0
        return self._next_message(head, mailbox, offer)

    def _next_message(self, head: LiteralHead, mailbox: str, offer: Offer) -> Event:
        limits = self.limits
        # "A zero-length message literal argument is an error, and MUST return a NO" (RFC 3502 §6.3.11).
        if head.size == 0:
            return self._refuse_message(head, "a message is not empty", None)
        if head.size > limits.message or (not head.synchronizing and head.size > self._nonsync):
            return self._refuse_message(head, "the message is too long", Code("TOOBIG"))
        if self._messages >= limits.messages:
            return self._refuse_message(head, "too many messages", Code("LIMIT"))
        self._fragments.take(self._fragments.head_end)
        self._fragments.skipped = 0
        self._literals = 0
        self._left = head.size
        self._left_is_synchronizing = head.synchronizing
        self._offer = AppendOffered(
            self._tag,
            mailbox,
            head.size,
            offer.flags,
            offer.date,
            head.binary,
            offer.utf8,
            self._messages,
        )
        self._owe(self._offer)
        return self._offer

    def _refuse_message(self, head: LiteralHead, reason: str, code: Code | None) -> Event:
        started, self._messages = self._messages, 0
        self._fragments.take(self._fragments.head_end)
        self._fragments.skipped = 0
        self._reading = Reading.COMMAND
        rejected = self._reject(r.Kind.NO, reason, code)
        if not head.synchronizing:
            self._drop(head.size)
        return AppendAborted(self._tag, reason) if started else rejected

    def _read_message(self) -> Event | None:
        octets = self._fragments.take_some(min(self._left, _CHUNK))
        self._left -= len(octets)
        if not self._left:
            self._reading = Reading.BEHIND
        if octets:
            return LiteralChunk(octets)
        return self._read_behind() if not self._left else None

    def _read_behind(self) -> Event | None:
        """What stands behind a message: CRLF, or options and the next literal (RFC 3502)."""
        assert self._offer is not None
        fragments = self._fragments
        found = fragments.next_line(self.limits.line)
        if found is None:
            return None
        if isinstance(found, LiteralHead):
            return self._another_message(found)
        if found < 0:
            self._messages = 0
            self._too_long_line("the command is too long")
            return AppendAborted(self._tag, "the command is too long")
        rest = fragments.take(found)[:-2]
        self._reading = Reading.COMMAND
        if rest == (b")" if self._offer.utf8 else b""):
            self._mistakes = 0
            return self._owe(AppendReceived(self._tag, self._messages))
        self._messages = 0
        self._reject(r.Kind.BAD, "the command should end behind the message")
        return AppendAborted(self._tag, "the command should end behind the message")

    def _another_message(self, head: LiteralHead) -> Event:
        assert self._offer is not None
        text = bytes(self._fragments.buffer[: head.at])
        try:
            if not self.grammar.offers("MULTIAPPEND"):
                raise ParseError("one message at a time: MULTIAPPEND is not offered")
            cursor = Cursor(text, self.grammar, utf8=self.utf8)
            if self._offer.utf8:
                cursor.need(b")", "a closing parenthesis")
            offer = parse_offer(cursor, binary=head.binary)
        except ParseError as error:
            self._messages = 0
            self._reading = Reading.COMMAND
            self._forget(head)
            self._reject(r.Kind.BAD, error.reason)
            if not head.synchronizing:
                self._drop(head.size)
            return AppendAborted(self._tag, error.reason)
        return self._next_message(head, self._offer.mailbox, offer)

    # Private: AUTHENTICATE and IDLE.

    def _read_auth(self) -> Event | None:
        found = self._fragments.next_line(self.limits.command_before_login)
        if found is None:
            return None
        if isinstance(found, LiteralHead):
            found = self._fragments.head_end
        self._reading = Reading.COMMAND
        if found < 0:
            self._too_long_line("the response is too long")
            return AuthAborted(self._tag, "the response is too long")
        line = self._fragments.take(found)[:-2]
        # "If the client wishes to cancel an authentication exchange, it issues a line consisting of a
        # single "*"" and that, as invalid base64, earns a tagged BAD (RFC 9051 §6.2.2).
        reason = "cancelled"
        if line != b"*":
            try:
                return self._owe(AuthResponse(self._tag, Secret(decode_base64(line))))
            except ValueError:
                reason = "the response is not base64"
        self._reject(r.Kind.BAD, reason)
        return AuthAborted(self._tag, reason)

    def _too_long_line(self, reason: str) -> None:
        self._fragments.skipped = 0
        self._reading = Reading.DROPPED_LINE
        self._reject(r.Kind.BAD, reason, Code("LIMIT"))

    def _read_idle(self) -> Event | None:
        #   idle = "IDLE" CRLF "DONE"
        found = self._fragments.next_line(self.limits.line)
        if found is None:
            return None
        if isinstance(found, LiteralHead):
            found = self._fragments.head_end
        self._reading = Reading.COMMAND
        if found < 0:
            self._fragments.skipped = 0
            self._reading = Reading.DROPPED_LINE
            return self._owe(IdleDone(self._tag, clean=False))
        line = self._fragments.take(found)[:-2]
        return self._owe(IdleDone(self._tag, clean=line.upper() == b"DONE"))

    _READERS: Final = {
        Reading.COMMAND: _read_command,
        Reading.MESSAGE: _read_message,
        Reading.BEHIND: _read_behind,
        Reading.AUTH: _read_auth,
        Reading.IDLE: _read_idle,
        Reading.DROPPED_LITERAL: _read_dropped,
        Reading.DROPPED_LINE: _read_dropped,
    }
