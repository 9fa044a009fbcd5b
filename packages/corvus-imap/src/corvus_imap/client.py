"""The client's side of one connection (RFC 9051, RFC 3501), without I/O: see `ClientConnection`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from corvus_imap import commands as c
from corvus_imap import responses as r
from corvus_imap._output import Output
from corvus_imap._state import Append, State, after, allowed
from corvus_imap.codec._lexer import Cursor
from corvus_imap.codec.fragments import Fragments, LiteralHead
from corvus_imap.codec.grammar import Grammar
from corvus_imap.codec.parse_response import parse_response
from corvus_imap.codec.serialize_command import serialize_append_head, serialize_command
from corvus_imap.errors import LocalProtocolError, ParseError, RemoteProtocolError
from corvus_imap.events import (
    NEED_DATA,
    PAUSED,
    ChallengeReceived,
    ClientEvent,
    CommandCompleted,
    ConnectionEnded,
    Greeted,
    IdleStarted,
    LiteralChunk,
    LiteralStarted,
    MessageWanted,
    NeedData,
    Paused,
    ResponseReceived,
)
from corvus_imap.extensions.compress import Compress, Inflater
from corvus_imap.limits import Limits
from corvus_imap.types.base64 import decode_base64, encode_base64
from corvus_imap.types.tls import TLSInfo

#: Responses whose text is for people and may end in ``{5}`` without meaning a literal.
_STATUS: Final = re.compile(rb"(?:[^ \r\n]{1,256} (?:OK|NO|BAD|BYE|PREAUTH)\b|\+)", re.IGNORECASE)
_CHUNK: Final = 1 << 16


@dataclass(slots=True)
class _Outgoing:
    """A command on its way."""

    tag: str
    command: c.Command | None
    pieces: deque[bytes]
    size: int = 0
    """Of the message, for APPEND."""
    kind: type = field(default=Append)


class ClientConnection:
    """
    The client's end of one IMAP connection.

    Commands are issued with `send`, `append` and `idle`'s `done`; they may be pipelined, and wait by
    themselves where the protocol wants it (literals, IDLE, AUTHENTICATE, STARTTLS).

    >>> conn = ClientConnection()
    >>> conn.receive_data(b"* OK [CAPABILITY IMAP4rev1] hello\\r\\n")
    >>> conn.next_event().condition.text
    'hello'
    >>> conn.send(c.Noop())
    'A1'
    >>> conn.data_to_send()
    b'A1 NOOP\\r\\n'

    Args:
        require_tls: Refuse a PREAUTH greeting and issue no LOGIN and AUTHENTICATE before TLS.
        tls: The connection is under TLS from its first octet on.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        require_tls: bool = False,
        tls: TLSInfo | None = None,
    ) -> None:
        self.limits = Limits() if limits is None else limits
        self._require_tls = require_tls
        self._tls = tls
        self._tls_pending = False
        self._state = State.CONNECTED
        self._grammar = Grammar(
            frozenset(),
            replace(
                self.limits,
                search_depth=self.limits.response_depth,
                mailbox_name=self.limits.response_line,
            ),
            None,
            lenient=True,
        )
        self._fragments = Fragments()
        self._inflater: Inflater | None = None
        self._out = Output()
        self._eof = False
        self._closing = False
        self._counter = 0
        self._queue: deque[_Outgoing] = deque()
        self._flying: dict[str, _Outgoing] = {}
        self._busy: _Outgoing | None = None
        self._idle_begun = False
        self._message_left = 0
        self._events: deque[ClientEvent] = deque()
        self._owed = False
        self._stream_left = 0
        self._behind: bytes | None = None
        self._enabled: frozenset[str] = frozenset()
        self.capabilities: frozenset[str] | None = None
        """What the server has told, in capitals; ``None`` if nothing since it last could change."""

    # What is known of the session.

    @property
    def state(self) -> State:
        """Where the session stands (RFC 9051 §3)."""
        return self._state

    @property
    def closing(self) -> bool:
        """Nothing will be read any more."""
        return self._closing

    @property
    def tls_pending(self) -> bool:
        """The server agreed to STARTTLS, and `start_tls` has not been called yet."""
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
        """What the server has said is enabled."""
        return self._enabled

    @property
    def utf8(self) -> bool:
        """Mailbox names and quoted strings are UTF-8."""
        return bool(self._enabled & {"UTF8=ACCEPT", "IMAP4REV2"})

    @property
    def timeout(self) -> float | None:
        """
        Seconds the server may stay silent from now on, or ``None`` once closed.

        In IDLE a server has nothing to say until something happens (RFC 2177 §3).
        """
        if self._closing:
            return None
        if self._idle_begun:
            return self.limits.idle_timeout
        return self.limits.command_timeout if self._flying else self.limits.idle_timeout

    # Feeding.

    def receive_data(self, data: bytes, /) -> None:
        """
        Store octets from the server; nothing is parsed.

        Raises:
            LocalProtocolError: After `receive_eof`, or while TLS is pending.
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
        """The server closed its side."""
        self._eof = True

    def start_tls(self, info: TLSInfo) -> None:
        """
        Tell the connection that the TLS handshake you performed has succeeded.

        "Once TLS has been started, the client MUST discard cached information" (RFC 9051 §6.2.1).
        """
        if not self._tls_pending:
            raise LocalProtocolError("no STARTTLS is pending")
        self._tls_pending = False
        self._tls = info
        self.capabilities = None
        # ENABLED in clear, which nobody can have asked for: how names are read is not for a man in the
        # middle to say.
        self._enabled = frozenset()
        self._pump()

    # Commands.

    def send(self, command: c.Command) -> str:
        """
        Issue *command*; its tag comes back in `CommandCompleted`.

        Raises:
            LocalProtocolError: It is not allowed in this state, cannot be written, or would show a
                password before TLS.
        """
        self._check(type(command))
        if (
            isinstance(command, c.Login | c.Authenticate)
            and self._require_tls
            and self._tls is None
        ):
            raise LocalProtocolError("no credentials before TLS")
        # "A client implementation MUST NOT send a LOGIN command if the LOGINDISABLED capability is
        # advertised" (RFC 9051 §6.2.3).
        if isinstance(command, c.Login) and "LOGINDISABLED" in (self.capabilities or ()):
            raise LocalProtocolError("the server takes no LOGIN: LOGINDISABLED")
        tag = self._tag()
        try:
            pieces = serialize_command(tag, command, utf8=self.utf8, nonsync=self._nonsync)
        except (ValueError, UnicodeEncodeError) as error:
            raise LocalProtocolError(str(error)) from error
        self._queue.append(_Outgoing(tag, command, deque(pieces), kind=type(command)))
        self._pump()
        return tag

    def append(
        self,
        mailbox: str,
        size: int,
        *,
        flags: Iterable[str] = (),
        date: datetime | None = None,
    ) -> str:
        """
        Begin an APPEND of *size* octets; send them with `chunk` after `MessageWanted`.

        Raises:
            LocalProtocolError: Not in this state, or a value that cannot be written.
        """
        self._check(Append)
        if size <= 0:
            raise LocalProtocolError("a message is not empty")
        tag = self._tag()
        try:
            pieces = serialize_append_head(
                tag, mailbox, tuple(flags), date, utf8=self.utf8, nonsync=self._nonsync
            )
        except (ValueError, UnicodeEncodeError) as error:
            raise LocalProtocolError(str(error)) from error
        plus = b"+" if size <= self._nonsync else b""
        pieces[-1] += b"{%d%b}\r\n" % (size, plus)
        self._queue.append(_Outgoing(tag, None, deque(pieces), size))
        self._pump()
        return tag

    def chunk(self, octets: bytes) -> None:
        """Octets of the message that is wanted."""
        if not self._message_left or len(octets) > self._message_left:
            raise LocalProtocolError("more octets than are wanted")
        self._message_left -= len(octets)
        self._out.raw(octets)
        if not self._message_left:
            self._out.raw(b"\r\n")
            self._busy = None
            self._pump()

    def done(self) -> None:
        """End IDLE; `CommandCompleted` follows."""
        if self._busy is None or self._busy.kind is not c.Idle or not self._idle_begun:
            raise LocalProtocolError("no IDLE to end")
        self._out.raw(b"DONE\r\n")
        self._busy = None
        self._idle_begun = False
        self._pump()

    def respond(self, data: bytes) -> None:
        """Answer a `ChallengeReceived`."""
        self._answer(encode_base64(data) + b"\r\n")

    def cancel(self) -> None:
        """Give AUTHENTICATE up; the server answers BAD."""
        self._answer(b"*\r\n")

    def close(self, reason: str = "") -> None:
        """Leave without LOGOUT; a client has no goodbye but that command."""
        self._closing = True
        self._state = State.LOGOUT

    def data_to_send(self) -> bytes:
        """Octets to write, in order; emptied by reading."""
        return self._out.take()

    # Events.

    def next_event(self) -> ClientEvent | NeedData | Paused:
        """
        The next thing that happened.

        Raises:
            RemoteProtocolError: The server did what no session survives; close the transport.
        """
        while True:
            if self._events:
                return self._events.popleft()
            if self._closing:
                return ConnectionEnded()
            if self._owed or self._tls_pending:
                return PAUSED
            event = self._read()
            if event is not None:
                return event
            if not self._events and not self._inflate():
                break
        if self._eof:
            self._closing = True
            self._state = State.LOGOUT
            return ConnectionEnded()
        return NEED_DATA

    def _inflate(self) -> bool:
        if self._inflater is None:
            return False
        try:
            octets = self._inflater.inflate()
        except ValueError as error:
            raise self._fail("the compressed stream is broken") from error
        self._fragments.buffer += octets
        return bool(octets)

    # Private: going out.

    @property
    def _nonsync(self) -> int:
        told = self.capabilities or frozenset()
        if "LITERAL+" in told:
            return 1 << 63
        # "IMAP4rev2 ... LITERAL-" (RFC 9051 appendix E): 4096 octets may go unasked.
        return 4096 if told & {"LITERAL-", "IMAP4REV2"} else 0

    def _tag(self) -> str:
        self._counter += 1
        return f"A{self._counter}"

    def _check(self, kind: type) -> None:
        if self._closing or self._eof:
            raise LocalProtocolError("the connection is over")
        state = self._state
        for outgoing in (*self._flying.values(), *self._queue):
            # What was issued before decides where this one will stand.
            if outgoing.kind is c.StartTLS:
                raise LocalProtocolError("STARTTLS comes first: wait for its end")
            if allowed(state, outgoing.kind):
                state = after(state, outgoing.kind)
        if not allowed(state, kind):
            raise LocalProtocolError(f"not in the {state.value} state")
        # Where the answer decides how the next octets travel, nothing travels beside it.
        if kind in (c.StartTLS, Compress) and (self._flying or self._queue):
            raise LocalProtocolError("wait until every command is completed")
        if any(outgoing.kind is Compress for outgoing in (*self._flying.values(), *self._queue)):
            raise LocalProtocolError("wait until COMPRESS is completed")

    def _pump(self) -> None:
        """Send what may be sent."""
        while self._queue and self._busy is None and not self._tls_pending:
            outgoing = self._queue.popleft()
            self._flying[outgoing.tag] = outgoing
            self._busy = outgoing
            self._next_piece(outgoing)

    def _next_piece(self, outgoing: _Outgoing) -> None:
        piece = outgoing.pieces.popleft()
        self._out.raw(piece)
        if outgoing.pieces or outgoing.kind in (c.Idle, c.Authenticate):
            return
        if outgoing.size:
            if piece.endswith(b"+}\r\n"):
                self._want_message(outgoing)
            return
        self._busy = None

    def _want_message(self, outgoing: _Outgoing) -> None:
        self._message_left = outgoing.size
        self._events.append(MessageWanted(outgoing.tag, outgoing.size))

    def _answer(self, line: bytes) -> None:
        if not self._owed:
            raise LocalProtocolError("no challenge is to be answered")
        self._owed = False
        self._out.raw(line)

    # Private: coming in.

    def _fail(self, reason: str) -> RemoteProtocolError:
        self._closing = True
        self._state = State.LOGOUT
        self._out.closed = True
        self._fragments = Fragments()
        self._inflater = None
        return RemoteProtocolError(reason)

    def _read(self) -> ClientEvent | None:
        fragments, limits = self._fragments, self.limits
        if self._stream_left:
            octets = fragments.take_some(min(self._stream_left, _CHUNK))
            self._stream_left -= len(octets)
            return LiteralChunk(octets) if octets else None
        while True:
            found = fragments.next_line(limits.response_line)
            if found is None:
                return None
            if isinstance(found, LiteralHead):
                if self._behind is None and _STATUS.match(fragments.buffer):
                    found = fragments.head_end
                elif found.size > limits.response_literal:
                    return self._stream(found)
                elif fragments.head_end + found.size > limits.response:
                    raise self._fail("the response is too long")
                else:
                    fragments.keep_literal(found.size)
                    continue
            if found < 0:
                raise self._fail("a line of the response is too long")
            message = fragments.take(found)[:-2]
            if self._behind is not None:
                message, self._behind = self._behind + message, None
            return self._response(message)

    def _stream(self, head: LiteralHead) -> ClientEvent:
        """A literal that is not held: what stands before it waits, with an empty one in its place."""
        before = self._fragments.take(self._fragments.head_end)
        prefix = (self._behind or b"") + before[: head.at]
        if len(prefix) > self.limits.response:
            raise self._fail("the response is too long")
        self._behind = prefix + b"{0}\r\n"
        self._stream_left = head.size
        return LiteralStarted(prefix, head.size)

    def _response(self, message: bytes) -> ClientEvent | None:
        cursor = Cursor(message, self._grammar, utf8=self.utf8)
        try:
            response = parse_response(message, cursor)
        except ParseError as error:
            raise self._fail(f"not a response: {error.reason}") from error
        if self._state is State.CONNECTED:
            return self._greeting(response)
        if isinstance(response, r.Continuation):
            return self._continue(response)
        if isinstance(response, r.Condition) and response.tag is not None:
            return self._complete(response, response.tag)
        self._learn(response)
        return ResponseReceived(response)

    def _greeting(self, response: r.Response | r.Unknown) -> ClientEvent:
        #   greeting = "*" SP (resp-cond-auth / resp-cond-bye) CRLF
        if not isinstance(response, r.Condition) or response.tag is not None:
            raise self._fail("no greeting")
        if response.kind is r.Kind.PREAUTH:
            # A man in the middle would keep the client from STARTTLS this way (RFC 9051 §11.1).
            if self._require_tls and self._tls is None:
                raise self._fail("PREAUTH before TLS")
            self._state = State.AUTHENTICATED
        elif response.kind is r.Kind.OK:
            self._state = State.NOT_AUTHENTICATED
        elif response.kind is not r.Kind.BYE:
            raise self._fail("no greeting")
        self._learn(response)
        if response.kind is r.Kind.BYE:
            return ResponseReceived(response)
        return Greeted(response)

    def _learn(self, response: r.Response | r.Unknown) -> None:
        """What untagged data says of the session."""
        if isinstance(response, r.Capability):
            self.capabilities = frozenset(name.upper() for name in response.names)
        elif isinstance(response, r.Enabled):
            self._enabled |= frozenset(name.upper() for name in response.names)
        elif isinstance(response, r.Condition):
            if response.code is not None and response.code.name == "CAPABILITY":
                words = (response.code.argument or b"").decode("ascii", "replace").upper()
                self.capabilities = frozenset(words.split(" "))
            if response.kind is r.Kind.BYE:
                # "The server is about to close the connection" (RFC 9051 §7.1.5); LOGOUT's tagged OK
                # may still come.
                self._state = State.LOGOUT

    def _continue(self, response: r.Continuation) -> ClientEvent | None:
        busy = self._busy
        if busy is None or self._message_left or self._idle_begun:
            raise self._fail("a continuation that nobody waits for")
        if busy.pieces:
            self._next_piece(busy)
            self._pump()
            return None
        if busy.kind is c.Idle:
            self._idle_begun = True
            return IdleStarted(busy.tag)
        if busy.kind is c.Authenticate:
            try:
                data = decode_base64(response.text)
            except ValueError:
                # The text of "+ go ahead": servers that have nothing to say, said in words.
                data = b""
            self._owed = True
            return ChallengeReceived(busy.tag, data)
        self._want_message(busy)
        return None

    def _complete(self, condition: r.Condition, tag: str) -> ClientEvent:
        outgoing = self._flying.pop(tag, None)
        if outgoing is None:
            raise self._fail("an answer to no command of ours")
        if self._busy is outgoing:
            if self._message_left:
                raise self._fail("an answer before the message was sent")
            self._busy = None
            self._idle_begun = False
            self._owed = False
        if condition.kind is r.Kind.OK:
            self._succeed(outgoing, condition)
        elif outgoing.kind is c.Select and self._state is State.SELECTED:
            self._state = State.AUTHENTICATED
        self._pump()
        return CommandCompleted(tag, outgoing.command, condition)

    def _succeed(self, outgoing: _Outgoing, condition: r.Condition) -> None:
        if allowed(self._state, outgoing.kind):
            self._state = after(self._state, outgoing.kind)
        if outgoing.kind in (c.Login, c.Authenticate):
            # Other capabilities are told after login; the old ones are worth nothing.
            self.capabilities = None
        self._learn(condition)
        if outgoing.kind is c.StartTLS:
            # What stands behind the OK was put there by somebody else (CVE-2026-55558 and siblings).
            if self.buffered:
                raise self._fail("octets behind the answer to STARTTLS")
            self.capabilities = None
            self._tls_pending = True
        elif outgoing.kind is Compress:
            self._out.compress()
            self._inflater = Inflater(self.limits.inflated)
            self._inflater.feed(self._fragments.take(len(self._fragments)))
        elif outgoing.kind is c.Logout:
            self._closing = True
            self._state = State.LOGOUT
