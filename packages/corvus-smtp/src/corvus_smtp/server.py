"""The server's side of a session: octets in, events out, answers in, octets out.

Nothing here moves octets, reads a clock or knows a mailbox.  When a command is allowed is decided
in ``_state.py``, how it is spelt in ``commands.py``, what an answer does in ``_answers.py``; here
stands what a command means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, final

from corvus_smtp._answers import Answers
from corvus_smtp._data import BDATReader, DATAReader
from corvus_smtp._says import (
    BARE,
    NOT_ASCII,
    NOT_BASE64,
    TOO_LARGE,
    mail_error,
)
from corvus_smtp._session import LineTooLong
from corvus_smtp._state import ACCEPTED, State, Verb
from corvus_smtp.commands import (
    CONTROLS,
    HELLO_NAME,
    VERBS,
    BadSyntax,
    decode_base64,
    parse_auth,
    parse_bdat,
    parse_mail,
    parse_rcpt,
)
from corvus_smtp.events import (
    NEED_DATA,
    PAUSED,
    Abort,
    AuthCancelled,
    AuthResponse,
    AuthStarted,
    ConnectionEnded,
    ConnectionOpened,
    DataRequested,
    Event,
    HelloReceived,
    HelpRequested,
    MailOffered,
    MessageAborted,
    MessageChunk,
    MessageReceived,
    NoopReceived,
    QuitReceived,
    RecipientOffered,
    ResetReceived,
    StartTLSRequested,
    VerifyRequested,
    Wait,
)
from corvus_smtp.limits import BareNewlines
from corvus_smtp.lmtp import Protocol
from corvus_smtp.parameters import BodyType
from corvus_smtp.replies import Reply

__all__ = ["ServerConnection"]

_BINARY_MIME: Final = BodyType.BINARY_MIME


@final
class ServerConnection(Answers):
    """
    One SMTP (or LMTP) session, seen from the server.

    >>> conn = ServerConnection("mx.example.org")
    >>> conn.next_event()
    ConnectionOpened()
    >>> conn.accept()
    >>> conn.data_to_send()
    b'220 mx.example.org ESMTP\\r\\n'
    >>> conn.receive_data(b"HELO client.example\\r\\nNOOP\\r\\n")
    >>> conn.next_event()
    HelloReceived(verb='HELO', name='client.example')
    >>> conn.accept()
    >>> conn.next_event(), conn.next_event()
    (NoopReceived(), <Wait.NEED_DATA: 'write data_to_send(), read, feed, ask again'>)
    >>> conn.data_to_send()
    b'250 mx.example.org\\r\\n250 2.0.0 OK\\r\\n'

    Args:
        hostname: Our name, for the greeting and the reply to EHLO.
        policy: What is offered and demanded.
        limits: What the client may cost.
        quirks: Which deviations are forgiven.
        protocol: SMTP or LMTP.
        tls: The channel, if it was TLS from the first octet (port 465).

    Raises:
        ValueError: *hostname* is no visible ASCII.
    """

    __slots__ = ()

    def next_event(self) -> Event | Wait:
        """
        Say what happened next, or what must be done before anything can.

        Returns:
            An event; `NEED_DATA`; or `PAUSED` while you owe an answer or a TLS handshake.

        Raises:
            RemoteProtocolError: The client went beyond repair.  The reply is queued and
                ``closing`` set; from then on `ConnectionEnded` is all there is.
        """
        if self._owed is not None and not self._closing:
            return PAUSED
        if self._more:
            self._join()
        while True:
            event = self._pending
            if event is not None:
                self._pending = None
            else:
                step = _STEPS[self._state](self)
                if step is NEED_DATA:
                    if not self._eof:
                        return NEED_DATA
                    self._end(Abort.DISCONNECTED)
                    continue
                if step is None:
                    continue
                if step is PAUSED:
                    return PAUSED
                event = step
            if event.owes:
                self._owed = event
            return event

    # Private: one thing at a time; ``None`` means that it was one of which nobody need hear.

    def _next_greeting(self) -> Event | Wait | None:
        return ConnectionOpened()

    def _next_tls(self) -> Event | Wait | None:
        return NEED_DATA if self._eof else PAUSED

    def _next_closed(self) -> Event | Wait | None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return ConnectionEnded()

    def _next_command(self) -> Event | Wait | None:
        if self._skip_reply is not None:
            return self._next_skipped(self._skip_reply)
        buffer, start = self._buffer, self._position
        if start == len(buffer):
            return NEED_DATA
        end = buffer.find(b"\r\n", start)
        if start <= end <= start + self._limits.command_line - 2 and not self._discarding:
            self._position = end + 2
            line: bytes | None = buffer[start:end]
        else:
            try:
                line = self._line(self._limits.command_line)
            except LineTooLong:
                return self._refuse("", Reply(500, "5.5.2", "Line too long"))
        if line is None:
            return NEED_DATA
        # The commands of every session go straight to what they mean: nothing but the table can
        # refuse them, and no expression that they meet there admits controls.
        straight = self._straight.get(line[:5])
        if straight is not None and straight in ACCEPTED[self._state]:
            return _HANDLERS[straight](self, line)
        word = line.partition(b" ")[0]
        verb = VERBS.get(word) or VERBS.get(word.upper())
        if verb is None:
            return self._refuse("", Reply(500, "5.5.2", "Command not recognised"))
        if verb in _TEXTUAL and CONTROLS.search(line) is not None:
            return self._refuse(verb.value, Reply(501, "5.5.4", "Control characters"))
        if verb is Verb.BDAT:
            return self._on_bdat(line)
        refusal = self._not_now(verb, line)
        if refusal is not None:
            return self._refuse(verb.value, refusal)
        return _HANDLERS[verb](self, line)

    # Private: the verbs, in the order of RFC 5321 §4.1.1 and the extensions behind them.

    def _on_hello(self, line: bytes) -> Event | None:
        verb, _, name = line.partition(b" ")
        name = name.strip(b" ")
        if not name and self._quirks.hello_without_name:
            name = b"-"
        if HELLO_NAME.fullmatch(name) is None:
            known = verb.decode("ascii").upper()
            return self._refuse(known, Reply(501, "5.5.4", f"Syntax: {known} name"))
        word = verb.upper()
        return self._after_abort(
            HelloReceived(
                "HELO" if word == b"HELO" else "EHLO" if word == b"EHLO" else "LHLO",
                name.decode("ascii"),
            )
        )

    def _on_mail(self, line: bytes) -> Event | None:
        if self._transactions >= self._limits.transactions:
            self._fatal("too many transactions", Reply(421, "4.7.0", "Too many messages"))
            return None
        try:
            path, parameters = parse_mail(
                line,
                self._offered,
                local_part=self._limits.local_part,
                space=self._quirks.space_after_colon,
            )
        except ValueError as error:
            return self._refuse("MAIL", mail_error(error, "5.1.7", "MAIL FROM:<address>"))
        if parameters.size is not None and parameters.size > self._limits.message_size:
            return self._refuse("MAIL", TOO_LARGE)
        if path is not None and path.needs_smtputf8 and not parameters.smtputf8:
            return self._refuse("MAIL", NOT_ASCII)
        self._transactions += 1
        self._body = parameters.body
        self._smtputf8 = parameters.smtputf8
        return MailOffered(path, parameters)

    def _on_rcpt(self, line: bytes) -> Event | None:
        # "If an SMTP server has an implementation limit on the number of RCPT commands and this
        # limit is exhausted, it MUST use a response code of 452" (RFC 5321 §4.5.3.1.10).
        if self._recipients >= self._limits.recipients:
            return self._refuse("RCPT", Reply(452, "4.5.3", "Too many recipients"))
        try:
            path, parameters = parse_rcpt(
                line,
                self._offered,
                local_part=self._limits.local_part,
                space=self._quirks.space_after_colon,
            )
        except ValueError as error:
            return self._refuse("RCPT", mail_error(error, "5.1.3", "RCPT TO:<address>"))
        if path.needs_smtputf8 and not self._smtputf8:
            return self._refuse("RCPT", NOT_ASCII)
        return RecipientOffered(path, parameters)

    def _on_data(self, line: bytes) -> Event | None:
        # "If a DATA command is issued after a MAIL command containing the body-value of
        # "BINARYMIME", a 503 "Bad sequence of commands" response MUST be sent" (RFC 3030 §3).
        if self._body is _BINARY_MIME:
            return self._refuse("DATA", Reply(503, "5.5.1", "BINARYMIME is sent with BDAT"))
        return DataRequested(False)

    def _on_bdat(self, line: bytes) -> Event | None:
        try:
            size, last = parse_bdat(line)
        except BadSyntax:
            # Where the octets end, and the next command begins, nobody knows: what comes must
            # not be read as commands.
            self._fatal("BDAT without a size", Reply(501, "5.5.4", "Syntax: BDAT size [LAST]"))
            return None
        refusal = self._not_now(Verb.BDAT, line)
        if refusal is not None:
            # "503", never "552", and the octets are taken either way (RFC 3030 §2).
            self._skip, self._skip_refused, self._skip_reply = size, True, refusal
            return None
        self._last = last
        if self._bdat is None:
            self._bdat = BDATReader(
                self._limits.message_size,
                binary=self._body is _BINARY_MIME,
                normalise=self._policy.bare_newlines is BareNewlines.NORMALISE,
            )
            self._bdat.begin(size)
            return DataRequested(True)
        self._bdat.begin(size)
        self._state = State.CHUNK
        return None

    def _on_rset(self, line: bytes) -> Event | None:
        self._out += self._wires[ResetReceived]
        event = self._after_abort(ResetReceived())
        if self._state is not State.CONNECTED:
            self._state = State.READY
        self._reset()
        return event

    def _on_verify(self, line: bytes) -> Event | None:
        verb, _, argument = line.partition(b" ")
        word: Literal["VRFY", "EXPN"] = "VRFY" if verb.upper() == b"VRFY" else "EXPN"
        # "VRFY user SMTPUTF8" asks for a reply in UTF-8 (RFC 6531 §3.7.4.2).
        text, space, last = argument.strip(b" ").rpartition(b" ")
        if not (space and last.upper() == b"SMTPUTF8" and "SMTPUTF8" in self._offered):
            text = argument.strip(b" ")
        try:
            user = text.decode("utf-8" if text != argument.strip(b" ") else "ascii")
        except UnicodeDecodeError:
            user = ""
        if not user:
            return self._refuse(word, Reply(501, "5.5.4", f"Syntax: {word} user"))
        return VerifyRequested(word, user)

    def _on_help(self, line: bytes) -> Event | None:
        self._out += self._wires[HelpRequested]
        return HelpRequested(line[5:].decode("ascii", "backslashreplace"))

    def _on_noop(self, line: bytes) -> Event | None:
        self._out += self._wires[NoopReceived]
        return NoopReceived()

    def _on_quit(self, line: bytes) -> Event | None:
        self._out += self._wires[QuitReceived]
        event = self._after_abort(QuitReceived())
        self._end(Abort.RESET)
        return event

    def _on_starttls(self, line: bytes) -> Event | None:
        return StartTLSRequested()

    def _on_auth(self, line: bytes) -> Event | None:
        # One success is all that a session may have (RFC 4954 §4).
        if self._authenticated:
            return self._refuse("AUTH", Reply(503, "5.5.1", "Already authenticated"))
        try:
            mechanism, initial = parse_auth(line)
        except BadSyntax:
            return self._refuse("AUTH", Reply(501, "5.5.4", "Syntax: AUTH mechanism [response]"))
        except ValueError:
            return self._refuse("AUTH", NOT_BASE64)
        if mechanism not in self._policy.auth_mechanisms:
            return self._refuse("AUTH", Reply(504, "5.5.4", "Mechanism not offered"))
        self._challenges = 0
        return AuthStarted(mechanism, initial)

    def _after_abort(self, event: Event) -> Event:
        """Give *event*, or first the end of the message that it cut off between two BDATs."""
        if not self._message_open:
            return event
        self._message_open = False
        self._state = State.READY
        self._reset()
        self._pending = event
        return MessageAborted(Abort.RESET)

    # Private: what is no command.

    def _next_auth(self) -> Event | Wait | None:
        try:
            line = self._line(self._limits.auth_line)
        except LineTooLong:
            self._state = State.READY
            return self._refuse("AUTH", Reply(500, "5.5.6", "Line too long"))
        if line is None:
            return NEED_DATA
        # A single "*" cancels the exchange, and the AUTH command ends with 501 (RFC 4954 §4).
        if line == b"*":
            self._state = State.READY
            self._say(Reply(501, "5.7.0", "Authentication cancelled"))
            return AuthCancelled()
        try:
            return AuthResponse(decode_base64(line))
        except ValueError:
            self._state = State.READY
            return self._refuse("AUTH", NOT_BASE64)

    def _next_data(self) -> Event | Wait | None:
        reader = self._reader
        assert reader is not None
        chunk, self._position, ended = reader.read(self._buffer, self._position)
        if ended:
            event = self._message_ended(reader)
            if not chunk:
                return event
            self._pending = event
        return MessageChunk(chunk) if chunk else NEED_DATA

    def _message_ended(self, reader: DATAReader | BDATReader) -> Event:
        """Judge a message that is complete."""
        self._message_open = False
        problem = _problem(reader)
        if problem is None:
            return MessageReceived(reader.size, self._recipients)
        reply, why = problem
        copies = self._recipients if self._protocol is Protocol.LMTP else 1
        self._out += reply.wire(enhanced=self._enhanced) * copies
        self._state = State.READY
        self._reset()
        return MessageAborted(why)

    def _next_chunk(self) -> Event | Wait | None:
        reader = self._bdat
        assert reader is not None
        chunk, self._position = reader.read(self._buffer, self._position)
        if reader.left:
            return MessageChunk(chunk) if chunk else NEED_DATA
        if self._last:
            chunk += reader.finish()
            event = self._message_ended(reader)
            if not chunk:
                return event
            self._pending = event
            return MessageChunk(chunk)
        problem = _problem(reader)
        if problem is not None:
            self._say(problem[0])
            self._message_open = False
            self._state = State.FAILED
            return MessageAborted(problem[1])
        # "A 250 response MUST be sent to each successful BDAT data block" (RFC 3030 §2).
        self._out += self._wires[MessageChunk]
        self._state = State.BDAT
        return MessageChunk(chunk) if chunk else None

    def _next_skipped(self, reply: Reply) -> Event | Wait | None:
        """Throw away the octets of a BDAT that was refused, then say why."""
        taken = min(self._skip, len(self._buffer) - self._position)
        self._skip -= taken
        self._position += taken
        if self._skip:
            return NEED_DATA
        self._skip_reply = None
        if self._skip_refused:
            return self._refuse("BDAT", reply)
        last_of_lmtp = self._last and self._protocol is Protocol.LMTP
        for _ in range(self._recipients if last_of_lmtp else 1):
            self._say(reply)
        self._reset()
        self._state = State.READY if self._last else State.FAILED
        return None


#: Verbs with an argument that is text, and no expression that admits no controls.
_TEXTUAL: Final = frozenset({Verb.VRFY, Verb.EXPN, Verb.HELP, Verb.NOOP})

#: What is read in each state.
_STEPS: Final[Mapping[State, Callable[[ServerConnection], Event | Wait | None]]] = {
    State.GREETING: ServerConnection._next_greeting,
    State.CONNECTED: ServerConnection._next_command,
    State.REFUSED: ServerConnection._next_command,
    State.READY: ServerConnection._next_command,
    State.MAIL: ServerConnection._next_command,
    State.RCPT: ServerConnection._next_command,
    State.DATA: ServerConnection._next_data,
    State.CHUNK: ServerConnection._next_chunk,
    State.BDAT: ServerConnection._next_command,
    State.FAILED: ServerConnection._next_command,
    State.AUTH: ServerConnection._next_auth,
    State.TLS: ServerConnection._next_tls,
    State.CLOSED: ServerConnection._next_closed,
}

_HANDLERS: Final[Mapping[Verb, Callable[[ServerConnection, bytes], Event | None]]] = {
    Verb.EHLO: ServerConnection._on_hello,
    Verb.HELO: ServerConnection._on_hello,
    Verb.LHLO: ServerConnection._on_hello,
    Verb.MAIL: ServerConnection._on_mail,
    Verb.RCPT: ServerConnection._on_rcpt,
    Verb.DATA: ServerConnection._on_data,
    Verb.BDAT: ServerConnection._on_bdat,
    Verb.RSET: ServerConnection._on_rset,
    Verb.VRFY: ServerConnection._on_verify,
    Verb.EXPN: ServerConnection._on_verify,
    Verb.HELP: ServerConnection._on_help,
    Verb.NOOP: ServerConnection._on_noop,
    Verb.QUIT: ServerConnection._on_quit,
    Verb.STARTTLS: ServerConnection._on_starttls,
    Verb.AUTH: ServerConnection._on_auth,
}


def _problem(reader: DATAReader | BDATReader) -> tuple[Reply, Abort] | None:
    if reader.too_large:
        return TOO_LARGE, Abort.TOO_LARGE
    if reader.bare_newline:
        return BARE, Abort.BARE_NEWLINE
    return None
