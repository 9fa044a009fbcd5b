"""The server's side of one connection (RFC 9051, RFC 3501), without I/O.

Feed octets, pull events, answer each, write what is to be sent: see `ServerConnection`.  Which command
is allowed when stands in ``_state.py``, what a command looks like in ``codec/``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import final

from corvus_imap import commands as c
from corvus_imap import responses as r
from corvus_imap._receiver import Owed, Reading, Receiver
from corvus_imap._state import Append, State, after
from corvus_imap.codec.render import render
from corvus_imap.errors import LocalProtocolError
from corvus_imap.events import (
    AppendOffered,
    AppendReceived,
    AuthResponse,
    CommandReceived,
    IdleDone,
)
from corvus_imap.extensions import REGISTRY
from corvus_imap.extensions.compress import Compress, Inflater
from corvus_imap.extensions.sort import Sort, Thread
from corvus_imap.types import codes
from corvus_imap.types.base64 import encode_base64
from corvus_imap.types.codes import Code
from corvus_imap.types.tls import TLSInfo


class ServerConnection(Receiver):
    """
    The server's end of one IMAP connection.

    Call `next_event` until it returns `NEED_DATA` (write `data_to_send`, read, `receive_data`) or
    `PAUSED` (answer the last event; or TLS is yours to start).  Each event's docstring says what you owe.

    >>> from corvus_imap import Policy
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

    # What is known of the session.

    @property
    def state(self) -> State:
        """Where the session stands (RFC 9051 §3)."""
        return self._state

    @property
    def closing(self) -> bool:
        """Nothing will be read any more; write `data_to_send`, then close the transport."""
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
    def enabled(self) -> frozenset[str]:
        """What the client has enabled (RFC 5161), by the registry's spelling."""
        return self._enabled

    @property
    def condstore(self) -> bool:
        """The client knows mod-sequences; tell MODSEQ in every FETCH response (RFC 7162 §3.1)."""
        return self._condstore

    @property
    def qresync(self) -> bool:
        """Tell VANISHED in place of EXPUNGE (RFC 7162 §3.2.3)."""
        return "QRESYNC" in self._enabled

    @property
    def idling(self) -> bool:
        """IDLE is on, and `push` reaches a client that listens."""
        return self._reading is Reading.IDLE

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
        if self._reading is Reading.IDLE:
            return self.limits.idle_timeout
        if self._reading is not Reading.COMMAND or len(self._fragments):
            return self.limits.command_timeout
        return self.limits.idle_timeout

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
        self._enable(frozenset())
        self._condstore = False
        self._mistakes = 0

    # Answers.  Once `closing` is true they stay legal and go nowhere: a handler that finishes late has
    # done nothing wrong.

    def accept(self) -> None:
        """
        Agree to the event: the message of `AppendOffered` may come, IDLE and STARTTLS may begin.

        For every other event it is `ok`.
        """
        if self._closing:
            return
        owed = self._need_owed()
        if isinstance(owed, AppendOffered):
            assert self._offer is not None
            if self._left_is_synchronizing:
                self._out.line(b"+ Ready for the message\r\n")
            self._owed = None
            self._messages += 1
            self._reading = Reading.MESSAGE
        elif isinstance(owed, CommandReceived) and isinstance(owed.command, c.Idle):
            self._out.line(b"+ idling\r\n")
            self._owed = None
            self._reading = Reading.IDLE
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
        if self._closing:
            return
        owed = self._need_owed()
        in_exchange = isinstance(owed, AuthResponse) or (
            isinstance(owed, CommandReceived) and isinstance(owed.command, c.Authenticate)
        )
        if not in_exchange:
            raise LocalProtocolError("a challenge belongs into AUTHENTICATE")
        self._out.line(b"+ " + encode_base64(data) + b"\r\n")
        self._owed = None
        self._reading = Reading.AUTH

    def send(self, *answers: r.Response) -> None:
        """
        Untagged data of the command that is being answered.

        Raises:
            LocalProtocolError: Nothing is being answered, the value cannot be written, or an EXPUNGE
                where none may stand (RFC 9051 §7.5.1).
        """
        if self._closing:
            return
        self._need_owed()
        self.push(*answers)

    def push(self, *news: r.Response) -> None:
        """
        Untagged data that nobody asked for; also between commands and in IDLE.

        RECENT is not told to a client of IMAP4rev2, which has none (RFC 9051 appendix E).
        """
        if self._closing:
            return
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
        # SEARCH command" (RFC 9051 §7.5.1); their UID forms are others.  Nor while an APPEND comes in:
        # "a command is not "in progress" during the negotiation of command continuation".
        if isinstance(self._owed, AppendOffered) or (self._owed is None and not self.idling):
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
        if self._closing:
            return
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
        if self._closing:
            return
        if not self._out.in_line:
            raise LocalProtocolError("a literal stands in a line that send_raw has begun")
        self._out.literal(size, binary=binary)

    def chunk(self, octets: bytes) -> None:
        """Octets of the literal that was announced, as they come."""
        if self._closing:
            return
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
        if self._closing:
            return
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
        self._out.need_no_line()
        if code is None and not text:
            reply = None
        else:
            reply = self._condition(r.Kind.OK, code, text or f"{_verb(command)} completed")
        self._before_ok(command)
        was, self._state = self._state, after(self._state, type(command))
        self._out.line(self._completed(command, reply))
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
        if self._closing:
            return
        self._refuse_owed(r.Kind.NO, code, text)

    def bad(self, text: str = "", code: Code | str | None = None) -> None:
        """Finish the command with BAD: it makes no sense, such as a message number that is not there."""
        if self._closing:
            return
        self._refuse_owed(r.Kind.BAD, code, text)

    def defer(self) -> Deferred:
        """
        Answer `AppendReceived` later; what the client has sent behind it is read meanwhile.

        "a server MAY begin processing another command before processing the current command to
        completion, subject to ambiguity rules" (RFC 9051 §5.5): so a client that sends one APPEND
        behind the other has them stored together.  You owe the `Deferred`, and see to the rules:
        answer it before you answer any command that is no APPEND.

        Raises:
            LocalProtocolError: The event is another, or none is to be answered.
        """
        owed = self._need_owed()
        if not isinstance(owed, AppendReceived):
            raise LocalProtocolError("only a complete APPEND can be answered later")
        self._done()
        return Deferred(self, owed.tag)

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

    def _need_owed(self) -> Owed:
        if self._owed is None:
            raise LocalProtocolError("nothing is to be answered")
        return self._owed

    def _command_of(self, owed: Owed) -> c.Command | Append:
        if isinstance(owed, AuthResponse):
            return c.Authenticate(self._mechanism)
        if isinstance(owed, IdleDone):
            return c.Idle()
        return Append()

    _mechanism = ""

    def _before_ok(self, command: c.Command | Append) -> None:
        if isinstance(command, c.Capability):
            self._out.line(render(r.Capability(self.capabilities)))
        elif isinstance(command, c.Logout):
            # "the server MUST send a BYE untagged response before the (tagged) OK" (RFC 9051 §6.1.3).
            self._out.line(b"* BYE logging out\r\n")
        elif isinstance(command, c.Enable):
            self._enable_wanted(command)

    def _enable_wanted(self, command: c.Enable) -> None:
        known = {name.upper(): name for name in self.policy.capabilities}
        names: list[str] = []
        for wanted in command.capabilities:
            # "If the argument is not an extension known to the server, the server MUST ignore the
            # argument" (RFC 9051 §6.3.1).
            name = known.get(wanted.upper())
            if name in REGISTRY and REGISTRY[name].enable and name not in names:
                names.append(name)
        self._enable(self._enabled.union(names))
        if "QRESYNC" in names:
            # "ENABLE QRESYNC" is "ENABLE QRESYNC CONDSTORE" (RFC 7162 §3.2.3).
            self._enable(self._enabled | {"CONDSTORE"})
        self._condstore = self._condstore or "CONDSTORE" in self._enabled
        self._out.line(render(r.Enabled(tuple(names))))

    def _completed(self, command: c.Command | Append, reply: r.Condition | None) -> bytes:
        code = self._default_code(command)
        if reply is None:
            plain = f"{self._tag} OK {_verb(command)} completed\r\n".encode("ascii")
            if code is None:
                return plain
            reply = r.Condition(r.Kind.OK, f"{_verb(command)} completed", code, self._tag)
        elif reply.code is None:
            reply = replace(reply, code=code)
        return render(reply, utf8=self.utf8)

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

    def _answer_late(self, tag: str, kind: r.Kind, code: Code | str | None, text: str) -> None:
        if not self._closing:
            condition = replace(self._condition(kind, code, text), tag=tag)
            self._out.line(render(condition, utf8=self.utf8))

    def _done(self) -> None:
        self._owed = None
        # What came in place of DONE may be a line without end, which is still to be thrown away.
        if self._reading is not Reading.DROPPED_LINE:
            self._reading = Reading.COMMAND
        self._messages = 0

    def _accept_tls(self) -> None:
        # Judged now, after the transport has stopped reading: whatever the engine holds came in clear
        # behind the command, from whoever sits on the wire (CVE-2011-0411).
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


@final
class Deferred:
    """The answer that `ServerConnection.defer` left owing; after the end it goes nowhere."""

    __slots__ = ("_conn", "tag")

    def __init__(self, conn: ServerConnection, tag: str) -> None:
        self._conn = conn
        self.tag = tag

    def ok(self, code: Code | str | None = None, text: str = "") -> None:
        """As `ServerConnection.ok`."""
        self._conn._answer_late(self.tag, r.Kind.OK, code, text or "APPEND completed")

    def no(self, code: Code | str | None = None, text: str = "") -> None:
        """As `ServerConnection.no`."""
        self._conn._answer_late(self.tag, r.Kind.NO, code, text or "not done")


def _verb(command: c.Command | Append) -> str:
    if isinstance(command, c.Select) and command.read_only:
        return "EXAMINE"
    return type(command).__name__.upper()
