"""The client's side of a session: calls in, octets out; octets in, replies out, each with its command.

Calls never wait: they line commands up, and the engine sends as many as RFC 2920 allows to be
under way at once.  A relay that asks for MAIL, ten RCPTs and DATA in one go needs one round trip
with PIPELINING and twelve without, and no other code.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Final, final

from corvus_smtp._data import MessageWriter
from corvus_smtp._pipeline import Awaited, Part, Pipeline
from corvus_smtp._state import State, Verb
from corvus_smtp.address import Mailbox
from corvus_smtp.capabilities import Capabilities
from corvus_smtp.client_events import ClientEvent, Command
from corvus_smtp.commands import CONTROLS
from corvus_smtp.errors import LocalProtocolError, NotOffered
from corvus_smtp.events import NEED_DATA, PAUSED, ConnectionEnded, Wait
from corvus_smtp.extensions import MAIL_PARAMETERS, RCPT_PARAMETERS, format_parameters
from corvus_smtp.lmtp import HELLO, Protocol
from corvus_smtp.parameters import BodyType, MailParameters, RcptParameters
from corvus_smtp.replies import Reply
from corvus_smtp.tls import TLSInfo

__all__ = ["ClientConnection"]

_TOO_LARGE: Final = Reply(552, "5.3.4", "Message too big for the next server")
#: What a bounce says when the next server lacks what the message needs.
_LACKING: Final = {
    "8BITMIME": Reply(554, "5.6.3", "The next server does not take 8-bit messages"),
    "BINARYMIME": Reply(554, "5.6.3", "The next server does not take binary messages"),
    "SMTPUTF8": Reply(550, "5.6.7", "The next server does not take addresses beyond ASCII"),
    "REQUIRETLS": Reply(550, "5.7.30", "The next server does not support REQUIRETLS"),
    "STARTTLS": Reply(450, "4.7.10", "The next server does not offer TLS"),
    "AUTH": Reply(454, "4.7.0", "The server offers no authentication"),
    "VRFY": Reply(502, "5.5.1", "The server does not verify"),
    "EXPN": Reply(502, "5.5.1", "The server does not expand"),
}


@final
class ClientConnection(Pipeline):
    """
    One SMTP (or LMTP) session, seen from the client.

    >>> conn = ClientConnection("client.example")
    >>> conn.receive_data(b"220 mx.example ESMTP\\r\\n")
    >>> conn.next_event()
    GreetingReceived(reply=Reply(code=220, enhanced=None, lines=('mx.example ESMTP',)))
    >>> hello = conn.ehlo()
    >>> conn.data_to_send()
    b'EHLO client.example\\r\\n'
    >>> conn.receive_data(b"250-mx.example\\r\\n250 PIPELINING\\r\\n")
    >>> conn.next_event().command is hello
    True
    >>> commands = conn.mail(None), conn.rcpt(Mailbox("bob", "example.org")), conn.data()
    >>> conn.data_to_send()
    b'MAIL FROM:<>\\r\\nRCPT TO:<bob@example.org>\\r\\nDATA\\r\\n'

    Args:
        hostname: Our name, for EHLO: a domain or an address literal.
        limits: What the server may cost, and the timeouts.
        protocol: SMTP or LMTP.
        bare_newlines: What becomes of bare CR and LF in messages: `chunk` raises, or repairs.
        auth_in_clear: Whether `auth` works without TLS.
        tls: The channel, if it was TLS from the first octet (port 465).

    Raises:
        ValueError: *hostname* is no visible ASCII.
    """

    __slots__ = ()

    # Facts of the session.

    @property
    def capabilities(self) -> Capabilities:
        """What EHLO said; empty before it, after HELO, and after TLS came up."""
        return self._capabilities

    # Commands.  Each lines up what is to be said, and returns at once.

    def ehlo(self) -> Command:
        """Say EHLO, or LHLO under LMTP.  When it is refused with 5yz try `helo`."""
        return self._hello(HELLO[self._protocol][0])

    def helo(self) -> Command:
        """Say HELO: for servers that know no EHLO (:rfc:`5321#section-3.2`)."""
        if self._protocol is Protocol.LMTP:
            raise LocalProtocolError("LMTP has LHLO alone")
        return self._hello(Verb.HELO)

    def starttls(self) -> Command:
        """
        Ask for TLS.  After its 220 ``tls_pending`` is true: shake hands, call `start_tls`.

        Raises:
            NotOffered: The server does not offer STARTTLS; whether mail may go in clear is policy.
            LocalProtocolError: Something else is under way, or TLS is on.
        """
        self._must_be_greeted()
        if self._tls is not None:
            raise LocalProtocolError("TLS is on")
        self._must_offer("STARTTLS")
        # "STARTTLS command must be the last command in a group" (RFC 3207 §4), and the first here:
        # what a man in the middle said beforehand must not answer it.
        if self._sent or self._queue or self._body is not None:
            raise LocalProtocolError("STARTTLS needs a quiet line")
        return self._line_up(Command(Verb.STARTTLS, line=b"STARTTLS"))

    def auth(self, mechanism: str, initial: bytes | None = None) -> Command:
        """
        Begin a SASL exchange.

        Args:
            mechanism: Such as ``PLAIN``.
            initial: The initial response; ``None`` for none, ``b""`` for an empty one.

        Raises:
            NotOffered: The server does not offer AUTH, or not this mechanism.
            LocalProtocolError: TLS is not on and ``auth_in_clear`` not set; or the line is too long.
        """
        self._must_be_greeted()
        if self._tls is None and not self._auth_in_clear:
            raise LocalProtocolError("credentials do not go out in clear: starttls() first")
        if mechanism.upper() not in self._capabilities.mechanisms:
            raise NotOffered(f"AUTH {mechanism.upper()}", _LACKING["AUTH"])
        line = b"AUTH " + mechanism.upper().encode("ascii")
        if initial is not None:
            line += b" " + (b64encode(initial) or b"=")
        if len(line) + 2 > self._limits.auth_line:
            raise LocalProtocolError("the initial response is too long for a line")
        return self._line_up(Command(Verb.AUTH, line=line))

    def respond(self, data: bytes) -> None:
        """Answer the server's challenge."""
        self._answer_challenge(b64encode(data))

    def cancel(self) -> None:
        """Give the SASL exchange up: ``*``.  The AUTH command ends with 501."""
        self._answer_challenge(b"*")

    def mail(
        self, reverse_path: Mailbox | str | None, parameters: MailParameters = MailParameters()
    ) -> Command:
        """
        Begin a transaction; if one is open RSET goes first.

        DSN, AUTH and SIZE are left out where the server does not offer them, as their RFCs want;
        SMTPUTF8 is added where the address needs it.

        Args:
            reverse_path: ``None`` or ``""`` is ``<>``.
            parameters: What the message needs.

        Raises:
            NotOffered: The message cannot go to this server; ``reply`` says why.
            ValueError: The text is no address.
            LocalProtocolError: EHLO or HELO has not been accepted yet.
        """
        self._must_be_greeted()
        path = (
            Mailbox.parse(reverse_path) if isinstance(reverse_path, str) and reverse_path else None
        )
        if isinstance(reverse_path, Mailbox):
            path = reverse_path
        if path is not None and path.needs_smtputf8 and not parameters.smtputf8:
            parameters = replace(parameters, smtputf8=True)
        offered = self._capabilities
        words, missing = format_parameters(parameters, MAIL_PARAMETERS, offered)
        for keyword in missing:
            if keyword in ("SMTPUTF8", "REQUIRETLS"):
                raise NotOffered(keyword, _LACKING[keyword])
        body = parameters.body
        if body is BodyType.EIGHT_BIT_MIME and "8BITMIME" not in offered:
            raise NotOffered("8BITMIME", _LACKING["8BITMIME"])
        if body is BodyType.BINARY_MIME and not ("BINARYMIME" in offered and self._can_chunk):
            raise NotOffered("BINARYMIME", _LACKING["BINARYMIME"])
        if parameters.size is not None and offered.size is not None:
            if parameters.size > offered.size:
                raise NotOffered("SIZE", _TOO_LARGE)
        line = b"MAIL FROM:<%b>%b" % (b"" if path is None else bytes(path), words)
        binary = body is BodyType.BINARY_MIME
        command = self._line_up(Command(Verb.MAIL, path, line, binary=binary))
        self._planned, self._planned_recipients = parameters, 0
        return command

    def rcpt(
        self, forward_path: Mailbox | str, parameters: RcptParameters = RcptParameters()
    ) -> Command:
        """
        Add a recipient; its own reply says what became of it.

        Raises:
            NotOffered: The address is not ASCII and the transaction has no SMTPUTF8.
            ValueError: The text is no address.
            LocalProtocolError: There is no transaction.
        """
        path = Mailbox.parse(forward_path) if isinstance(forward_path, str) else forward_path
        if self._planned is None:
            raise LocalProtocolError("mail() comes first")
        if path.needs_smtputf8 and not self._planned.smtputf8:
            raise NotOffered("SMTPUTF8", _LACKING["SMTPUTF8"])
        words, _ = format_parameters(parameters, RCPT_PARAMETERS, self._capabilities)
        line = b"RCPT TO:<%b>%b" % (bytes(path), words)
        command = self._line_up(Command(Verb.RCPT, path, line))
        self._planned_recipients += 1
        return command

    def data(self, *, chunking: bool | None = None) -> Command:
        """
        Ask to send the message: `DataReady` follows, or a reply that refuses, or `CommandSkipped`.

        Args:
            chunking: Whether BDAT is used; ``None`` means where the server offers CHUNKING and
                PIPELINING (without the latter each chunk would cost a round trip).

        Raises:
            LocalProtocolError: There is no recipient.
            NotOffered: *chunking* is asked for and not offered.
        """
        if self._planned is None or not self._planned_recipients:
            raise LocalProtocolError("mail() and rcpt() come first")
        binary = self._planned.body is BodyType.BINARY_MIME
        if chunking and not self._can_chunk:
            raise NotOffered("CHUNKING", _LACKING["BINARYMIME"])
        if binary and chunking is False:
            # "BINARYMIME cannot be used with the DATA command" (RFC 3030 §3).
            raise LocalProtocolError("BINARYMIME is sent with BDAT")
        if chunking or (chunking is None and self._can_chunk):
            command = self._line_up(Command(Verb.BDAT))
        else:
            command = self._line_up(Command(Verb.DATA, line=b"DATA"))
        self._planned = None
        return command

    def chunk(self, octets: bytes) -> None:
        """
        Send octets of the message, as they are stored: lines end in CRLF, dots are not doubled.

        With BDAT each call is one chunk: 64 KiB to 1 MiB is a good size.

        Raises:
            BareNewline: There is a CR or LF on its own; nothing was sent.  The message cannot be
                finished: `close`, or repair it and go on.
            LocalProtocolError: No message is asked for, or the server has refused it.
        """
        body, command = self._must_have_body()
        wire = body.add(octets)
        if command.verb is Verb.BDAT:
            if not wire:
                return
            wire = b"BDAT %d\r\n%b" % (len(wire), wire)
            self._sent.append(Awaited(command, Part.CHUNK, self._transaction))
        self._out += wire

    def end(self, octets: bytes = b"") -> None:
        """
        Send the last octets, if any, and the end of the message; its reply tells its fate.

        With DATA a missing CRLF is added, so that the dot stands on a line of its own.
        """
        body, command = self._must_have_body()
        wire = body.end(octets)
        transaction = self._transaction
        assert transaction is not None
        recipients: list[Command | None] = [None]
        if command.verb is Verb.BDAT:
            wire = b"BDAT %d LAST\r\n%b" % (len(wire), wire)
        elif self._protocol is Protocol.LMTP:
            recipients = [*transaction.accepted]
        self._out += wire
        self._body = self._body_command = None
        for recipient in recipients:
            self._sent.append(Awaited(command, Part.FINAL, transaction, recipient))
        if command.verb is Verb.DATA:
            # "on the completion of this command these buffers are cleared" (RFC 5321 §4.1.1.4),
            # whatever the reply; after BDAT only the reply tells.
            transaction.open = False
        self._plan()

    def reset(self) -> Command:
        """Give the transaction up: RSET."""
        command = self._line_up(Command(Verb.RSET, line=b"RSET"))
        self._planned = None
        return command

    def noop(self) -> Command:
        """Ask whether the server is there."""
        return self._line_up(Command(Verb.NOOP, line=b"NOOP"))

    def verify(self, user: str) -> Command:
        """Ask for an address: VRFY."""
        return self._ask(Verb.VRFY, user)

    def expand(self, name: str) -> Command:
        """Ask who is on a list: EXPN."""
        return self._ask(Verb.EXPN, name)

    def help(self, topic: str = "") -> Command:
        """Ask for help."""
        return self._ask(Verb.HELP, topic)

    def quit(self) -> Command:
        """Say goodbye; after its reply `ConnectionEnded` follows.  Nothing may come behind."""
        return self._line_up(Command(Verb.QUIT, line=b"QUIT"))

    def close(self) -> None:
        """End the session without a word: what is under way stays unanswered.  Twice is once."""
        if not self._closing:
            self._end()

    def start_tls(self, info: TLSInfo) -> None:
        """
        Tell that the TLS handshake you performed has succeeded; then say `ehlo` again.

        "The client MUST discard any knowledge obtained from the server, such as the list of SMTP
        service extensions" (:rfc:`3207#section-4.2`).

        Raises:
            LocalProtocolError: No handshake is pending.
        """
        if self._state is not State.TLS:
            raise LocalProtocolError("no TLS handshake is pending")
        self._tls = info
        self._state = State.CONNECTED
        self._capabilities = Capabilities()
        self._greeted = False
        self._planned = self._transaction = None

    # Events.

    def next_event(self) -> ClientEvent | Wait:
        """
        Say what happened next, or what must be done before anything can.

        Returns:
            An event; `NEED_DATA`; or `PAUSED` while you owe the rest of a message, the answer to
            a challenge, or a TLS handshake.  While a message is under way replies are still read.

        Raises:
            RemoteProtocolError: The server went beyond repair; ``closing`` is set.
        """
        while not self._events:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._state is State.CLOSED:
                return ConnectionEnded(self._lost)
            if self._state is State.TLS or self._challenged is not None:
                return PAUSED
            reply = self._next_reply()
            if reply is not None:
                self._on_reply(reply)
            elif not self._closing:
                if not self._eof:
                    return PAUSED if self._body is not None else NEED_DATA
                self._end()
        return self._events.popleft()

    # Private: lining up.

    def _hello(self, verb: Verb) -> Command:
        line = f"{verb.value} {self._hostname}".encode("ascii")
        command = self._line_up(Command(verb, line=line))
        self._hellos += 1
        self._planned = None
        return command

    def _ask(self, verb: Verb, text: str) -> Command:
        utf8 = not text.isascii()
        if utf8 and (verb is Verb.HELP or "SMTPUTF8" not in self._capabilities):
            raise NotOffered("SMTPUTF8", _LACKING["SMTPUTF8"])
        line = f"{verb.value} {text}".rstrip(" ").encode("utf-8") + (b" SMTPUTF8" if utf8 else b"")
        if CONTROLS.search(line) is not None or (verb is not Verb.HELP and not text.strip(" ")):
            raise ValueError("the argument is a line of text")
        return self._line_up(Command(verb, line=line))

    def _must_be_greeted(self) -> None:
        if not self._greeted or self._hellos:
            raise LocalProtocolError("EHLO or HELO must have been accepted first")

    def _must_offer(self, keyword: str) -> None:
        if keyword not in self._capabilities:
            raise NotOffered(keyword, _LACKING[keyword])

    def _must_have_body(self) -> tuple[MessageWriter, Command]:
        if self._body is None or self._body_command is None:
            raise LocalProtocolError("the server does not wait for a message")
        return self._body, self._body_command

    def _answer_challenge(self, line: bytes) -> None:
        if self._challenged is None:
            raise LocalProtocolError("the server does not wait for an answer")
        self._challenged = None
        self._out += line + b"\r\n"

    @property
    def _can_chunk(self) -> bool:
        # LMTP has it too (RFC 2033 §4.3), but how many replies a failed LAST gets is nowhere said.
        offered = self._capabilities
        return "CHUNKING" in offered and "PIPELINING" in offered and self._protocol is Protocol.SMTP
