"""The server's side of one connection (RFC 9051, RFC 3501), without I/O.

Feed octets, pull events, answer each, write what is to be sent: see `ServerConnection`.  Which command
is allowed when stands in ``_state.py``, what a command looks like in ``codec/``.
"""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import Final

from corvus_imap import commands as c
from corvus_imap import responses as r
from corvus_imap._output import Output
from corvus_imap._state import LEFT, Append, State, after, allowed
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
from corvus_imap.extensions import REGISTRY
from corvus_imap.extensions.compress import Compress, Inflater
from corvus_imap.extensions.sort import Sort, Thread
from corvus_imap.limits import Limits
from corvus_imap.policy import Policy
from corvus_imap.types import codes
from corvus_imap.types.atoms import Secret
from corvus_imap.types.base64 import decode_base64, encode_base64
from corvus_imap.types.codes import Code
from corvus_imap.types.fetch import FetchAttribute
from corvus_imap.types.search import And, ModSeq, Not, Or, SearchKey, SearchReturn
from corvus_imap.types.status import StatusItem
from corvus_imap.types.tls import TLSInfo

#: "Non-synchronizing literals larger than 4096 bytes MUST NOT be used" under LITERAL- (RFC 7888 §5).
_LITERAL_MINUS: Final = 4096
#: The most that one `LiteralChunk` holds.
_CHUNK: Final = 1 << 16

#: What an accept, an ok, a no or a bad can be about.
_Owed = CommandReceived | AuthResponse | AppendOffered | AppendReceived | IdleDone


class _Reading(enum.Enum):
    """As what the next octets are read."""

    COMMAND = "a command"
    MESSAGE = "the message of an APPEND"
    BEHIND = "what follows a message in its APPEND"
    AUTH = "a response of a SASL exchange"
    IDLE = "DONE"
    DROPPED_LITERAL = "a literal that nobody wants"
    DROPPED_LINE = "the rest of a command that was refused"


class ServerConnection:
    """
    The server's end of one IMAP connection.

    Call `next_event` until it returns `NEED_DATA` (write `data_to_send`, read, `receive_data`) or
    `PAUSED` (answer the last event; or TLS is yours to start).  Each event's docstring says what you owe.

    >>> conn = ServerConnection(policy=Policy(require_tls=False))
    >>> conn.receive_data(b"a1 LOGIN alice secret\\r\\n")
    >>> conn.next_event()
    CommandReceived(tag='a1', command=Login(user='alice', password=Secret(...)))
    >>> conn.ok()
    >>> conn.next_event()
    NEED_DATA
    >>> conn.data_to_send().split(b"\\r\\n")[1][:19]
    b'a1 OK [CAPABILITY I'

    Args:
        greeting: The text of the greeting, which goes out with the first `next_event`.
        preauth: The client is known already (by its socket): greet with PREAUTH.
        tls: The connection is under TLS from its first octet on.
    """

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
        self._greeting = greeting
        self._preauth = preauth
        self._tls = tls
        self._tls_pending = False
        self._state = State.CONNECTED
        self._reading = _Reading.COMMAND
        self._fragments = Fragments()
        self._inflater: Inflater | None = None
        self._out = Output()
        self._owed: _Owed | None = None
        self._tag = ""
        self._eof = False
        self._closing = False
        self._fatal: RemoteProtocolError | None = None
        self._mistakes = 0
        self._enabled: frozenset[str] = frozenset()
        self._condstore = False
        # Of the command that is being received.
        self._literals = 0
        self._offer: AppendOffered | None = None
        self._messages = 0
        self._left = 0
        self._abandoned = False
        #: A nonsynchronizing literal may be this long; 0: there are none.
        if self.limits.nonsync_literal is not None:
            self._nonsync = self.limits.nonsync_literal
        elif self.grammar.offers("LITERAL+"):
            self._nonsync = 1 << 63
        else:
            self._nonsync = _LITERAL_MINUS if self.grammar.offers("LITERAL-") else 0

    # What is known of the session.

    @property
    def state(self) -> State:
        """Where the session stands (RFC 9051 §3)."""
        return self._state

    @property
    def closing(self) -> bool:
        """Nothing will be read any more: write `data_to_send`, then close the transport."""
        return self._closing

    @property
    def tls_pending(self) -> bool:
        """STARTTLS was agreed on, and `start_tls` has not been called yet."""
        return self._tls_pending

    @property
    def tls(self) -> TLSInfo | None:
        """What was said of the channel; ``None`` in clear."""
        return self._tls

    @property
    def buffered(self) -> int:
        """Octets received and not yet parsed."""
        waiting = 0 if self._inflater is None else len(self._inflater.waiting)
        return len(self._fragments) + waiting

    @property
    def enabled(self) -> frozenset[str]:
        """What the client has enabled (RFC 5161), by the registry's spelling."""
        return self._enabled

    @property
    def rev2(self) -> bool:
        """The client speaks IMAP4rev2: no RECENT, ESEARCH for SEARCH, names in UTF-8."""
        return "IMAP4rev2" in self._enabled or "IMAP4rev1" not in self.policy.capabilities

    @property
    def utf8(self) -> bool:
        """Quoted strings and mailbox names hold UTF-8 (RFC 6855 §3, RFC 9051 §5.1)."""
        return self.rev2 or "UTF8=ACCEPT" in self._enabled

    @property
    def condstore(self) -> bool:
        """The client knows mod-sequences: tell MODSEQ in every FETCH response (RFC 7162 §3.1)."""
        return self._condstore

    @property
    def qresync(self) -> bool:
        """Tell VANISHED in place of EXPUNGE (RFC 7162 §3.2.3)."""
        return "QRESYNC" in self._enabled

    @property
    def idling(self) -> bool:
        """IDLE is on: `push` reaches a client that listens."""
        return self._reading is _Reading.IDLE

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What CAPABILITY tells now."""
        return self.policy.told(
            logged_in=self._state in (State.AUTHENTICATED, State.SELECTED),
            tls=self._tls is not None,
            compressed=self._out.compressed,
            append_limit=self.limits.message,
        )

    @property
    def timeout(self) -> float | None:
        """
        Seconds the peer may stay silent from now on, or ``None`` once closed.

        "the duration of that timer MUST be at least 30 minutes" once it has logged in (RFC 9051 §5.4).
        """
        if self._closing:
            return None
        if self._state in (State.CONNECTED, State.NOT_AUTHENTICATED):
            return self.limits.login_timeout
        if self._reading is _Reading.IDLE:
            return self.limits.idle_timeout
        if self._reading is not _Reading.COMMAND or len(self._fragments):
            return self.limits.command_timeout
        return self.limits.idle_timeout

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

    def start_tls(self, info: TLSInfo) -> None:
        """
        Tell the connection that the TLS handshake you performed has succeeded.

        What was learnt in clear is forgotten (RFC 9051 §6.2.1); octets behind STARTTLS never get this
        far, `accept` refuses them (CVE-2011-0411).

        Raises:
            LocalProtocolError: No STARTTLS is pending.
        """
        if not self._tls_pending:
            raise LocalProtocolError("no STARTTLS is pending")
        self._tls_pending = False
        self._tls = info
        self._enabled = frozenset()
        self._condstore = False
        self._mistakes = 0

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
        if self._messages or self._reading is _Reading.MESSAGE:
            self._messages = 0
            self._reading = _Reading.COMMAND
            return AppendAborted(self._tag, "the connection ended")
        self._state = State.LOGOUT
        self._closing = True
        return ConnectionEnded()

    # Answers.

    def accept(self) -> None:
        """
        Agree to the event: the message of `AppendOffered` may come, IDLE and STARTTLS may begin.

        For every other event it is `ok`.
        """
        owed = self._need_owed()
        if isinstance(owed, AppendOffered):
            assert self._offer is not None
            if self._left_is_synchronizing:
                self._out.line(b"+ Ready for the message\r\n")
            self._owed = None
            self._messages += 1
            self._reading = _Reading.MESSAGE
        elif isinstance(owed, CommandReceived) and isinstance(owed.command, c.Idle):
            self._out.line(b"+ idling\r\n")
            self._owed = None
            self._reading = _Reading.IDLE
        elif isinstance(owed, CommandReceived) and isinstance(owed.command, c.StartTLS):
            self._accept_tls()
        else:
            self.ok()

    def challenge(self, data: bytes) -> None:
        """
        Go on with AUTHENTICATE; the client's answer comes as `AuthResponse`.

        Args:
            data: The challenge in octets (it is sent as base64); ``b""`` is an empty one.
        """
        owed = self._need_owed()
        in_exchange = isinstance(owed, AuthResponse) or (
            isinstance(owed, CommandReceived) and isinstance(owed.command, c.Authenticate)
        )
        if not in_exchange:
            raise LocalProtocolError("a challenge belongs into AUTHENTICATE")
        self._out.line(b"+ " + encode_base64(data) + b"\r\n")
        self._owed = None
        self._reading = _Reading.AUTH

    def send(self, *answers: r.Response) -> None:
        """
        Untagged data of the command that is being answered.

        Raises:
            LocalProtocolError: Nothing is being answered, the value cannot be written, or an EXPUNGE
                where none may stand (RFC 9051 §7.5.1).
        """
        self._need_owed()
        self.push(*answers)

    def push(self, *news: r.Response) -> None:
        """
        Untagged data that nobody asked for; also between commands and in IDLE.

        RECENT is not told to a client of IMAP4rev2, which has none (RFC 9051 appendix E).
        """
        if self._tls_pending or self._state is State.CONNECTED:
            raise LocalProtocolError("nothing is said before the greeting and while TLS is pending")
        for value in news:
            if isinstance(value, r.Expunge | r.Vanished):
                self._check_expunge(value)
            if isinstance(value, r.Recent) and self.rev2:
                continue
            try:
                octets = render(value, utf8=self.utf8)
            except (ValueError, UnicodeEncodeError) as error:
                raise LocalProtocolError(str(error)) from error
            self._out.line(octets)

    def _check_expunge(self, value: r.Expunge | r.Vanished) -> None:
        # "VANISHED (EARLIER)" does not change sequence numbers (RFC 7162 §3.2.10.1).
        if isinstance(value, r.Vanished) and value.earlier:
            return
        # "MUST NOT be sent when no command is in progress, nor while responding to a FETCH, STORE, or
        # SEARCH command" (RFC 9051 §7.5.1); their UID forms are others.
        if self._owed is None and not self.idling and not self._messages:
            raise LocalProtocolError("EXPUNGE while no command is in progress")
        if isinstance(self._owed, CommandReceived):
            command = self._owed.command
            if (
                isinstance(command, c.Fetch | c.Store | c.Search | Sort | Thread)
                and not command.uid
            ):
                raise LocalProtocolError("EXPUNGE would change what this command's numbers mean")

    def send_raw(self, octets: bytes) -> None:
        """
        Octets that are whole response lines already, CRLF included, or the part of a line in front
        of a literal or behind it.

        The fast way, and the one where nothing is checked: values from a store that were rendered
        when they were stored.  Never octets of a peer.
        """
        if self._tls_pending or self._state is State.CONNECTED:
            raise LocalProtocolError("nothing is said before the greeting and while TLS is pending")
        self._out.raw(octets)

    def send_literal(self, size: int, *, binary: bool = False) -> None:
        """
        Announce a literal of *size* octets inside a line that `send_raw` has begun.

        Then `chunk` until it is full, then `send_raw` for the rest of the line.

        Args:
            binary: ``~{size}``: it may hold NUL (RFC 3516 §4.2).
        """
        if not self._out.in_line:
            raise LocalProtocolError("a literal stands in a line that send_raw has begun")
        self._out.literal(size, binary=binary)

    def chunk(self, octets: bytes) -> None:
        """Octets of the literal that was announced, as they come."""
        self._out.chunk(octets)

    def ok(self, code: Code | str | None = None, text: str = "") -> None:
        """
        Finish the command with OK; what the RFC couples with that is done.

        LOGIN and AUTHENTICATE lead to AUTHENTICATED and tell the capabilities, SELECT leads to SELECTED
        (``READ-WRITE`` or ``READ-ONLY`` is told if *code* is not given), CLOSE and UNSELECT back;
        CAPABILITY, ENABLE and LOGOUT send their untagged part; COMPRESS begins.

        Args:
            code: A `Code`, or the name of one without argument.
            text: For people; a plain sentence is made if it is empty.
        """
        owed = self._need_owed()
        if isinstance(owed, AppendOffered):
            raise LocalProtocolError("accept the message or refuse it with no")
        if isinstance(owed, IdleDone) and not owed.clean:
            self.bad("DONE expected")
            return
        command = owed.command if isinstance(owed, CommandReceived) else self._command_of(owed)
        if isinstance(command, c.Idle) and isinstance(owed, CommandReceived):
            raise LocalProtocolError("accept IDLE or refuse it with no")
        if isinstance(command, c.StartTLS):
            self._accept_tls()
            return
        if isinstance(command, Compress) and self.buffered:
            self._refuse_behind("octets behind COMPRESS")
            return
        reply = self._condition(r.Kind.OK, code, text or f"{_verb(command)} completed")
        self._before_ok(command)
        was, self._state = self._state, after(self._state, type(command))
        if reply.code is None:
            reply = replace(reply, code=self._default_code(command))
        self._out.line(render(reply, utf8=self.utf8))
        self._done()
        if isinstance(command, c.Logout):
            self._shut()
        elif isinstance(command, Compress):
            self._out.compress()
            self._inflater = Inflater(self.limits.inflated)
        elif was is State.NOT_AUTHENTICATED and self._state is State.AUTHENTICATED:
            self._mistakes = 0

    def no(self, code: Code | str | None = None, text: str = "") -> None:
        """
        Finish the command with NO: it was understood and is not done.

        Args:
            code: As for `ok`; RFC 5530 has one for most reasons.
        """
        self._refuse_owed(r.Kind.NO, code, text)

    def bad(self, text: str = "", code: Code | str | None = None) -> None:
        """Finish the command with BAD: it makes no sense, such as a message number that is not there."""
        self._refuse_owed(r.Kind.BAD, code, text)

    def close(self, reason: str = "closing", code: Code | str | None = None) -> None:
        """
        Say ``* BYE`` and end the session; idempotent.

        Inside a literal there is no place for a BYE, and none is sent.
        """
        if self._closing:
            return
        if not self._out.in_line and not self._tls_pending:
            self._out.line(render(replace(self._condition(r.Kind.BYE, code, reason), tag=None)))
        self._shut()

    def data_to_send(self) -> bytes:
        """Octets to write, in order; emptied by reading."""
        return self._out.take()

    # Private: answers.

    def _need_owed(self) -> _Owed:
        if self._owed is None:
            raise LocalProtocolError("nothing is to be answered")
        return self._owed

    def _command_of(self, owed: _Owed) -> c.Command | Append:
        if isinstance(owed, AuthResponse):
            return c.Authenticate(self._mechanism)
        if isinstance(owed, IdleDone):
            return c.Idle()
        return Append()

    _mechanism = ""

    def _condition(self, kind: r.Kind, code: Code | str | None, text: str) -> r.Condition:
        try:
            if isinstance(code, str):
                code = Code(code)
            condition = r.Condition(kind, text, code, self._tag)
            render(condition)
        except ValueError as error:
            raise LocalProtocolError(str(error)) from error
        return condition

    def _before_ok(self, command: c.Command | Append) -> None:
        if isinstance(command, c.Capability):
            self._out.line(render(r.Capability(self.capabilities)))
        elif isinstance(command, c.Logout):
            # "the server MUST send a BYE untagged response before the (tagged) OK" (RFC 9051 §6.1.3).
            self._out.line(b"* BYE logging out\r\n")
        elif isinstance(command, c.Enable):
            self._enable(command)

    def _enable(self, command: c.Enable) -> None:
        known = {name.upper(): name for name in self.policy.capabilities}
        names: list[str] = []
        for wanted in command.capabilities:
            # "If the argument is not an extension known to the server, the server MUST ignore the
            # argument" (RFC 9051 §6.3.1).
            name = known.get(wanted.upper())
            if name in REGISTRY and REGISTRY[name].enable and name not in names:
                names.append(name)
        self._enabled |= frozenset(names)
        if "QRESYNC" in names:
            # "ENABLE QRESYNC" is "ENABLE QRESYNC CONDSTORE" (RFC 7162 §3.2.3).
            self._enabled |= {"CONDSTORE"}
        self._condstore = self._condstore or "CONDSTORE" in self._enabled
        self._out.line(render(r.Enabled(tuple(names))))

    def _default_code(self, command: c.Command | Append) -> Code | None:
        if isinstance(command, c.Login | c.Authenticate):
            return codes.capability(self.capabilities)
        if isinstance(command, c.Select):
            return Code("READ-ONLY" if command.read_only else "READ-WRITE")
        return None

    def _refuse_owed(self, kind: r.Kind, code: Code | str | None, text: str) -> None:
        owed = self._need_owed()
        default = "not done" if kind is r.Kind.NO else "not understood"
        self._out.line(render(self._condition(kind, code, text or default), utf8=self.utf8))
        offered = isinstance(owed, AppendOffered)
        self._done()
        if offered:
            self._messages = 0
            self._offer = None
            if not self._left_is_synchronizing:
                self._drop(self._left)

    def _done(self) -> None:
        self._owed = None
        self._reading = _Reading.COMMAND
        self._messages = 0

    def _accept_tls(self) -> None:
        # Judged now, after the transport has stopped reading: whatever the engine holds came in clear
        # behind the command, "and MUST NOT" be taken for the client's (CVE-2011-0411).
        if self.buffered:
            self._refuse_behind("octets behind STARTTLS")
            return
        self._out.line(render(self._condition(r.Kind.OK, None, "begin TLS now")))
        self._done()
        self._tls_pending = True

    def _refuse_behind(self, reason: str) -> None:
        self._out.line(render(self._condition(r.Kind.BAD, None, reason)))
        self._done()
        self._fatal = self._fail(reason)

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
        if _wants_modseq(command):
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

    def _owe(self, event: _Owed) -> _Owed:
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
                # "MUST NOT ... unless it has previously been enabled ... MUST respond with a tagged BAD"
                # (RFC 7162 §3.2.5).
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
        # "untagged BAD ... when the server cannot tell the tag" (RFC 9051 §7.1.3).
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
        tag = read_tag(bytes(self._fragments.buffer[: self.limits.tag + 1]))
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
        tag = read_tag(bytes(self._fragments.buffer[: self.limits.tag + 1]))
        self._tag = "" if tag is None else tag.decode("ascii")
        at = self._fragments.line_start
        self._fragments.drop(at)
        self._fragments.skipped = 0
        self._literals = 0
        self._reading = _Reading.DROPPED_LINE
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
            # "the server ... may send BYE with TOOBIG and close" (RFC 7888 §4, §5).
            self._fatal = self._fail("far too long", "TOOBIG")
            return
        self._left = size
        self._reading = _Reading.DROPPED_LITERAL

    def _drop_literal(self) -> Event | None:
        self._left -= self._fragments.drop(self._left)
        if self._left:
            return None
        self._reading = _Reading.DROPPED_LINE
        return self._drop_line()

    def _drop_line(self) -> Event | None:
        fragments = self._fragments
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
            return self._drop_literal()
        # The end of the line; or a literal that waits for "+" and was answered before it was offered.
        self._reading = _Reading.COMMAND
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
        self._reading = _Reading.COMMAND
        rejected = self._reject(r.Kind.NO, reason, code)
        if not head.synchronizing:
            self._drop(head.size)
        return AppendAborted(self._tag, reason) if started else rejected

    def _read_message(self) -> Event | None:
        octets = self._fragments.take_some(min(self._left, _CHUNK))
        self._left -= len(octets)
        if not self._left:
            self._reading = _Reading.BEHIND
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
            self._too_long()
            return AppendAborted(self._tag, "the command is too long")
        rest = fragments.take(found)[:-2]
        self._reading = _Reading.COMMAND
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
            self._reading = _Reading.COMMAND
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
        self._reading = _Reading.COMMAND
        if found < 0:
            self._too_long_line("the response is too long")
            return AuthAborted(self._tag, "the response is too long")
        line = self._fragments.take(found)[:-2]
        # "If the client wishes to cancel an authentication exchange, it issues a line consisting of a
        # single "*"", and "the server MUST reject the AUTHENTICATE command by sending a tagged BAD
        # response" (RFC 9051 §6.2.2).
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
        self._reading = _Reading.DROPPED_LINE
        self._reject(r.Kind.BAD, reason, Code("LIMIT"))

    def _read_idle(self) -> Event | None:
        #   idle = "IDLE" CRLF "DONE"
        found = self._fragments.next_line(self.limits.line)
        if found is None:
            return None
        if isinstance(found, LiteralHead):
            found = self._fragments.head_end
        self._reading = _Reading.COMMAND
        if found < 0:
            self._fragments.skipped = 0
            self._reading = _Reading.DROPPED_LINE
            return self._owe(IdleDone(self._tag, clean=False))
        line = self._fragments.take(found)[:-2]
        return self._owe(IdleDone(self._tag, clean=line.upper() == b"DONE"))

    _READERS: Final = {
        _Reading.COMMAND: _read_command,
        _Reading.MESSAGE: _read_message,
        _Reading.BEHIND: _read_behind,
        _Reading.AUTH: _read_auth,
        _Reading.IDLE: _read_idle,
        _Reading.DROPPED_LITERAL: _drop_literal,
        _Reading.DROPPED_LINE: _drop_line,
    }


def _verb(command: c.Command | Append) -> str:
    if isinstance(command, c.Select) and command.read_only:
        return "EXAMINE"
    return type(command).__name__.upper()


def _wants_modseq(command: c.Command) -> bool:
    """Whether *command* is one of those that make a client CONDSTORE-aware (RFC 7162 §3.1)."""
    match command:
        case c.Select():
            return command.condstore or command.qresync is not None
        case c.Status():
            return StatusItem.HIGHESTMODSEQ in command.items
        case c.Fetch():
            return command.changed_since is not None or FetchAttribute.MODSEQ in command.items
        case c.Store():
            return command.unchanged_since is not None
        case c.Search() | Sort() | Thread():
            return _has_modseq(command.key)
        case _:
            return False


def _has_modseq(key: SearchKey) -> bool:
    match key:
        case ModSeq():
            return True
        case Not():
            return _has_modseq(key.key)
        case Or():
            return _has_modseq(key.one) or _has_modseq(key.other)
        case And():
            return any(_has_modseq(part) for part in key.keys)
        case _:
            return False
