"""
The client's side of one POP3 session, without I/O (RFC 1939 and its extensions).

Methods issue commands and return a `Command`; events answer them in the same order.  Commands are
sent at once where the server announced PIPELINING, and one after the other where it did not.
"""

from __future__ import annotations

import base64
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from corvus_pop3._connection import Connection
from corvus_pop3._multiline import MessageReader
from corvus_pop3._state import ACCEPTED, REFUSED, State
from corvus_pop3.capabilities import Capabilities, parse_capabilities
from corvus_pop3.client_events import (
    CapabilitiesReceived,
    ChallengeReceived,
    ClientEvent,
    Command,
    CommandAccepted,
    CommandRefused,
    Greeted,
    GreetingRefused,
    LanguagesReceived,
    MessageAborted,
    MessageChunk,
    MessageReceived,
    SizesReceived,
    StatReceived,
    UidsReceived,
)
from corvus_pop3.commands import BadCommand, Verb, format_command, from_base64
from corvus_pop3.errors import LocalProtocolError, RemoteProtocolError
from corvus_pop3.events import NEED_DATA, PAUSED, ConnectionEnded, Wait
from corvus_pop3.languages import Language
from corvus_pop3.limits import Limits
from corvus_pop3.responses import Response, parse_response
from corvus_pop3.values import TLSInfo, apop_digest, is_timestamp

S, V = State, Verb

#: What changes who or where we are: alone on the wire, whatever the server announced.
_ALONE: Final = frozenset({V.STLS, V.UTF8, V.USER, V.PASS, V.APOP, V.AUTH})

#: "The maximum length of a command is increased ... to 255 octets" (RFC 2449 §4).
_MAX_COMMAND: Final = 255

_TWO_NUMBERS = re.compile(r"([0-9]{1,19}) ([0-9]{1,19})(?: .*)?", re.DOTALL)
_NUMBER_AND_UID = re.compile(r"([0-9]{1,19}) ([!-~]{1,70}) *")
_TIMESTAMP = re.compile(r"<[^<>]*>")

#: `ClientConnection.list` takes the name within the class.
_Lines: TypeAlias = list[bytes]


@final
@dataclass(slots=True)
class _Issued:
    """A command between its method and its answer; ``line`` may hold a secret."""

    command: Command
    line: bytes = field(repr=False)
    password: bytes | None = field(default=None, repr=False)
    """Of `ClientConnection.login`, until PASS is sent."""


@final
class ClientConnection(Connection):
    """
    One POP3 session seen from the client; moves no octets itself.

    Args:
        limits: What the server may cost.
        tls: Facts about the channel if TLS is active from the start (port 995).
        require_tls: Refuse to send credentials without TLS; a server that does not offer STLS may
            be a man in the middle who took the offer away.
    """

    def __init__(
        self, *, limits: Limits = Limits(), tls: TLSInfo | None = None, require_tls: bool = True
    ) -> None:
        super().__init__(S.GREETING, limits, tls)
        self._require_tls = require_tls
        self._serial = 0
        self._waiting: deque[_Issued] = deque()  # not yet written
        self._sent: deque[_Issued] = deque()  # not yet answered
        self._capabilities: Capabilities | None = None
        self._timestamp: str | None = None
        self._initial: bytes | None = None
        self._owed: ChallengeReceived | None = None
        self._reader: MessageReader | None = None
        self._lines: _Lines | None = None
        self._lines_size = 0

    # Events.

    def next_event(self) -> ClientEvent | Wait:
        """
        Say what the server answered, or what you must do before it can.

        Raises:
            RemoteProtocolError: The server makes no sense, or is an attacker; close.
        """
        if self._state is S.CLOSED:
            return ConnectionEnded()
        if self._state is S.TLS and not self._eof:
            return PAUSED
        if self._owed is not None:
            return PAUSED
        try:
            event = self._next()
        except RemoteProtocolError:
            self._buffer.clear()
            self._state = S.CLOSED
            raise
        if event is None and not self._eof:
            return NEED_DATA
        if event is None:
            self._state = S.CLOSED
            if self._reader is not None:
                return MessageAborted(command=self._sent[0].command)
            return ConnectionEnded()
        return event

    # Commands, in the order of the RFCs.

    def quit(self) -> Command:
        """QUIT: in TRANSACTION this, and nothing else, makes the deletions."""
        return self._issue(V.QUIT)

    def stat(self) -> Command:
        """STAT: `StatReceived`."""
        return self._issue(V.STAT)

    def list(self, number: int | None = None) -> Command:
        """LIST: `SizesReceived`."""
        return self._issue(V.LIST, number)

    def retrieve(self, number: int) -> Command:
        """RETR: any number of `MessageChunk`, then `MessageReceived`."""
        return self._issue(V.RETR, number)

    def delete(self, number: int) -> Command:
        """DELE: mark a message; `reset` unmarks, `quit` deletes."""
        return self._issue(V.DELE, number)

    def noop(self) -> Command:
        """NOOP."""
        return self._issue(V.NOOP)

    def reset(self) -> Command:
        """RSET: unmark all messages."""
        return self._issue(V.RSET)

    def top(self, number: int, lines: int) -> Command:
        """TOP: header and *lines* lines of the body, as `retrieve`."""
        return self._issue(V.TOP, number, b"%d" % lines)

    def uidl(self, number: int | None = None) -> Command:
        """UIDL: `UidsReceived`."""
        return self._issue(V.UIDL, number)

    def login(self, user: str, password: str) -> Command:
        """
        USER and PASS; one answer for both, and its `Command` is that of PASS.

        Raises:
            LocalProtocolError: Not now, without TLS, or letters the server did not ask for.
        """
        octets = self._credential(password)
        format_command(V.PASS, octets)
        return self._issue(V.USER, None, self._credential(user), password=octets)

    def apop(self, user: str, secret: str) -> Command:
        """
        APOP, where the greeting had a timestamp (`Greeted`).

        Raises:
            LocalProtocolError: Not now, or no timestamp, or one learnt before STLS.
        """
        if self._timestamp is None:
            raise LocalProtocolError("the server offers no APOP")
        try:
            digest = apop_digest(self._timestamp, secret).encode("ascii")
        except UnicodeEncodeError:
            raise LocalProtocolError("a secret that is no text") from None
        return self._issue(V.APOP, None, self._credential(user), digest)

    def capa(self) -> Command:
        """CAPA: `CapabilitiesReceived`; ask again after `start_tls` and after login."""
        return self._issue(V.CAPA)

    def stls(self) -> Command:
        """STLS: on `CommandAccepted` shake hands, then `start_tls`."""
        if self._tls is not None:
            raise LocalProtocolError("TLS is active")
        return self._issue(V.STLS)

    def auth(self, mechanism: str, initial: bytes | None = None) -> Command:
        """
        AUTH: `ChallengeReceived` until `CommandAccepted` or `CommandRefused`.

        An initial response that does not fit into the line is sent in answer to the first, empty
        challenge (:rfc:`5034#section-4`).

        Args:
            initial: ``b""`` is an empty response, ``None`` no response.
        """
        name = mechanism.encode("ascii", "replace")
        encoded = None if initial is None else base64.b64encode(initial) or b"="
        if encoded is None:
            return self._issue(V.AUTH, None, name)
        if len(format_command(V.AUTH, name, encoded)) <= _MAX_COMMAND:
            return self._issue(V.AUTH, None, name, encoded)
        command = self._issue(V.AUTH, None, name)
        self._initial = initial
        return command

    def utf8(self) -> Command:
        """UTF8: messages may hold UTF-8 in their headers from now on."""
        return self._issue(V.UTF8)

    def lang(self, tag: str | None = None) -> Command:
        """LANG: choose a language, or ``*``; without *tag* `LanguagesReceived`."""
        return self._issue(V.LANG, None, *([] if tag is None else [tag.encode("ascii", "replace")]))

    # Answers.

    def respond(self, octets: bytes) -> None:
        """
        Answer `ChallengeReceived`.

        Raises:
            LocalProtocolError: No challenge is unanswered.
        """
        self._settle(base64.b64encode(octets))

    def cancel(self) -> None:
        """
        Give AUTH up; `CommandRefused` comes next.

        Raises:
            LocalProtocolError: No challenge is unanswered.
        """
        self._settle(b"*")

    def close(self, reason: str = "") -> None:
        """End the session from our side; without `quit` before, nothing is deleted."""
        self._state = S.CLOSED

    def start_tls(self, info: TLSInfo) -> None:
        """
        The handshake succeeded: "the client MUST discard cached information about server
        capabilities" (:rfc:`2595#section-4`), and the timestamp of the greeting with it.

        Raises:
            LocalProtocolError: No handshake was due.
        """
        if not self.tls_pending:
            raise LocalProtocolError("no STLS is pending")
        self._tls = info
        self._capabilities = self._timestamp = None
        self._state = S.AUTHORIZATION

    # What may be looked at.

    @property
    def buffered(self) -> int:
        """Octets received and not yet given out."""
        return super().buffered + self._lines_size

    @property
    def capabilities(self) -> Capabilities | None:
        """What CAPA said; ``None`` if it was not asked, or before TLS."""
        return self._capabilities

    @property
    def outstanding(self) -> int:
        """Commands that wait for their answer."""
        return len(self._sent) + len(self._waiting)

    # Private: issuing.

    def _issue(
        self, verb: Verb, number: int | None = None, *rest: bytes, password: bytes | None = None
    ) -> Command:
        arguments = rest if number is None else (b"%d" % number, *rest)
        line = format_command(verb, *arguments)
        if verb not in ACCEPTED[self._state]:
            raise LocalProtocolError(f"{verb.name} is not allowed in {self._state.name}")
        first = self._sent[0].command.verb if self._sent else None
        last = (self._waiting or self._sent or (None,))[-1]
        if first is not None and (verb in _ALONE or first in _ALONE):
            raise LocalProtocolError(f"{verb.name} has to wait for {first.name}")
        if last is not None and last.command.verb is V.QUIT:
            raise LocalProtocolError("QUIT was the last command")
        if self.outstanding >= self.limits.outstanding:
            raise LocalProtocolError(f"{self.outstanding} commands are unanswered")
        if self._require_tls and self._tls is None and verb in _ALONE - {V.STLS, V.UTF8}:
            raise LocalProtocolError("credentials are not sent without TLS (require_tls)")
        self._serial += 1
        answered = verb if password is None else V.PASS
        command = Command(serial=self._serial, verb=answered, number=number)
        self._waiting.append(_Issued(command, line, password))
        self._send_waiting()
        return command

    def _send_waiting(self) -> None:
        # "The PIPELINING capability indicates the server is capable of accepting multiple commands
        # at a time" (RFC 2449 §6.6); without it, one.
        pipelining = self._capabilities is not None and "PIPELINING" in self._capabilities
        while self._waiting and (pipelining or not self._sent):
            issued = self._waiting.popleft()
            self._out.append(issued.line)
            self._sent.append(issued)

    def _credential(self, text: str) -> bytes:
        # "Clients MUST NOT use UTF-8 characters when authenticating if the server did not include
        # the USER argument in the UTF8 capability response" (RFC 6856 §2.2).
        offered = self._capabilities is not None and "USER" in self._capabilities.get("UTF8")
        try:
            return text.encode("utf-8" if offered else "ascii")
        except UnicodeEncodeError:
            raise LocalProtocolError("letters beyond ASCII, and no UTF8 USER") from None

    def _settle(self, line: bytes) -> None:
        if self._owed is None:
            raise LocalProtocolError("no challenge is unanswered")
        self._owed = None
        if self._state is not S.CLOSED:
            self._out.append(line + b"\r\n")

    # Private: what the server says.

    def _next(self) -> ClientEvent | None:
        if self._state is S.TLS:
            return None
        if self._reader is not None:
            return self._next_of_message(self._reader)
        if self._lines is not None:
            return self._next_of_listing(self._lines)
        limit = self.limits.auth_line if self._in_auth else self.limits.response_line
        line = self._buffer.take_line(limit)
        if line is None:
            return None
        if self._state is S.GREETING:
            return self._greeting(line)
        if not self._sent:
            raise RemoteProtocolError(f"nobody asked for {line[:80]!r}")
        if self._in_auth and line.startswith(b"+") and not line.startswith(b"+OK"):
            return self._challenge(line)
        return self._answer(line)

    @property
    def _in_auth(self) -> bool:
        return bool(self._sent) and self._sent[0].command.verb is V.AUTH

    @staticmethod
    def _status(line: bytes) -> Response:
        response = parse_response(line)
        if response is None:
            raise RemoteProtocolError(f"neither +OK nor -ERR: {line[:80]!r}")
        return response

    def _greeting(self, line: bytes) -> ClientEvent:
        response = self._status(line)
        if not response.ok:
            self._state = S.CLOSED
            return GreetingRefused(response=response)
        self._state = S.AUTHORIZATION
        found = _TIMESTAMP.search(response.text)
        if found is not None and is_timestamp(found[0]):
            self._timestamp = found[0]
        return Greeted(text=response.text, timestamp=self._timestamp)

    def _answer(self, line: bytes) -> ClientEvent | None:
        issued = self._sent[0]
        command, verb = issued.command, issued.command.verb
        response = self._status(line)
        if response.ok and issued.password is not None:
            # The other half of login(): one answer for both.
            self._out.append(format_command(V.PASS, issued.password))
            issued.password = None
            return self._next()
        if not response.ok:
            # "Whether the removal was successful or not, the server then ... closes" (§6).
            self._done(S.CLOSED if verb is V.QUIT else REFUSED[self._state])
            return CommandRefused(command=command, response=response)
        if verb in (V.RETR, V.TOP):
            self._reader = MessageReader()
            return self._next()
        if verb is V.CAPA or (verb in (V.LIST, V.UIDL, V.LANG) and _asks_for_all(issued)):
            self._lines = []
            return self._next()
        if verb is V.STAT:
            self._done()
            count, octets = _two_numbers(response.text)
            return StatReceived(command=command, count=count, octets=octets)
        if verb is V.LIST:
            self._done()
            return SizesReceived(command=command, sizes=(_two_numbers(response.text),))
        if verb is V.UIDL:
            self._done()
            return UidsReceived(command=command, uids=(_number_and_uid(response.text),))
        if verb is V.QUIT:
            self._done(S.CLOSED)
        else:
            self._done(ACCEPTED[S.PASSWORD if verb is V.PASS else self._state][verb])
        if verb is V.STLS and len(self._buffer):
            # What stands behind the go-ahead was not said by the server we are about to meet
            # (CVE-2011-0411 and CVE-2026-55558, seen from the client).
            raise RemoteProtocolError("octets behind the answer to STLS")
        return CommandAccepted(command=command, response=response)

    def _done(self, state: State | None = None) -> None:
        self._sent.popleft()
        self._initial = None
        if state is not None:
            self._state = state
        self._send_waiting()

    def _challenge(self, line: bytes) -> ClientEvent | None:
        try:
            octets = from_base64(line[1:].lstrip(b" "))
        except BadCommand:
            raise RemoteProtocolError("a challenge that is not base64") from None
        initial, self._initial = self._initial, None
        if initial is not None and not octets:
            self._out.append(base64.b64encode(initial) + b"\r\n")
            return self._next()
        self._owed = event = ChallengeReceived(command=self._sent[0].command, challenge=octets)
        return event

    def _next_of_message(self, reader: MessageReader) -> ClientEvent | None:
        command = self._sent[0].command
        if not reader.done:
            body, used = reader.feed(self._buffer.octets)
            self._buffer.drop(used)
            if body:
                return MessageChunk(command=command, data=body)
            if not reader.done:
                return None
        self._reader = None
        self._done()
        return MessageReceived(command=command)

    def _next_of_listing(self, lines: _Lines) -> ClientEvent | None:
        while (line := self._buffer.take_line(self.limits.response_line)) is not None:
            if line == b".":
                command = self._sent[0].command
                self._lines, self._lines_size = None, 0
                self._done()
                return self._listing(command, lines)
            self._lines_size += len(line) + 2
            if self._lines_size > self.limits.listing:
                raise RemoteProtocolError(f"a listing of more than {self.limits.listing} octets")
            if len(lines) >= self.limits.listing_lines:
                raise RemoteProtocolError(
                    f"a listing of more than {self.limits.listing_lines} lines"
                )
            lines.append(line[1:] if line.startswith(b".") else line)
        return None

    def _listing(self, command: Command, lines: _Lines) -> ClientEvent:
        if command.verb is V.CAPA:
            self._capabilities = parse_capabilities(lines)
            self._send_waiting()
            return CapabilitiesReceived(command=command, capabilities=self._capabilities)
        texts = [line.decode("utf-8", "replace") for line in lines]
        if command.verb is V.LIST:
            return SizesReceived(command=command, sizes=tuple(map(_two_numbers, texts)))
        if command.verb is V.UIDL:
            return UidsReceived(command=command, uids=tuple(map(_number_and_uid, texts)))
        return LanguagesReceived(command=command, languages=tuple(map(_language, texts)))


def _asks_for_all(issued: _Issued) -> bool:
    return b" " not in issued.line


def _two_numbers(text: str) -> tuple[int, int]:
    # "This memo makes no requirement on what follows" (RFC 1939 §5).
    found = _TWO_NUMBERS.fullmatch(text)
    if found is None:
        raise RemoteProtocolError(f"not two numbers: {text[:80]!r}")
    return int(found[1]), int(found[2])


def _number_and_uid(text: str) -> tuple[int, str]:
    found = _NUMBER_AND_UID.fullmatch(text)
    if found is None:
        raise RemoteProtocolError(f"not a number and a unique-id: {text[:80]!r}")
    return int(found[1]), found[2]


def _language(text: str) -> Language:
    tag, _, name = text.partition(" ")
    try:
        return Language(tag, name)
    except ValueError as error:
        raise RemoteProtocolError(str(error)) from None
