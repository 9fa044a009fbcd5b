"""Tools for tests of what is built on the engines: no network, no threads, no clock.

* `Pair` lets a client and a server talk over a perfect wire in memory, cut as you like.
* `Transcript` is a dialogue as ``C:`` and ``S:`` lines: `Transcript.record` one, keep it in a file,
  and `Transcript.replay` it as a test.
* `ScriptedServer` says what its script says, whatever the client does; `MISBEHAVIOURS` are scripts
  of servers that went wrong, to be survived by every client.

>>> from corvus_smtp import ClientConnection, ReplyReceived, ServerConnection
>>> def client(conn, event):
...     if isinstance(event, ReplyReceived) and event.command.verb.value == "EHLO":
...         conn.quit()
>>> pair = Pair(ClientConnection("client.example"), ServerConnection("mx.example"))
>>> hello = pair.client.ehlo()
>>> transcript = Transcript.record(pair, client, accept)
>>> print(transcript.format().splitlines()[1])
C: EHLO client.example
>>> Transcript.parse(transcript.format()) == transcript
True
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, final

from corvus_smtp.client import ClientConnection
from corvus_smtp.errors import ProtocolError
from corvus_smtp.events import ConnectionEnded, Wait
from corvus_smtp.server import ServerConnection
from corvus_smtp.tls import TLSInfo

__all__ = [
    "MISBEHAVIOURS",
    "Await",
    "HangUp",
    "Outcome",
    "Pair",
    "Say",
    "ScriptedServer",
    "Transcript",
    "TranscriptMismatch",
    "accept",
]

#: Called with a connection and each of its events; gives the answer that is owed, if any.
Answer: TypeAlias = Callable[[Any, Any], None]
Side: TypeAlias = Literal["C", "S"]

#: More turns than any honest dialogue has.
_TURNS: Final = 100_000


def accept(conn: ServerConnection, event: Any) -> None:
    """Accept whatever the client offers: the shortest server."""
    if event.owes:
        conn.accept()


@final
class Pair:
    """
    A client and a server, and the wire between them.

    Args:
        client: Commands may have been lined up already.
        server: A fresh one.
        octets: How many are delivered at once; ``None`` for all there are.
    """

    def __init__(
        self, client: ClientConnection, server: ServerConnection, *, octets: int | None = None
    ) -> None:
        self.client = client
        self.server = server
        self.turns: list[tuple[Side, bytes]] = []
        """What was said, in order."""
        self._octets = octets

    def run(self, client: Answer, server: Answer) -> tuple[list[Any], list[Any]]:
        """
        Let them talk until both have nothing to say; TLS handshakes succeed at once.

        Returns:
            The events of the client, and those of the server, a ProtocolError among them.

        Raises:
            AssertionError: They do not come to an end, or one of them was left unanswered.
        """
        events: tuple[list[Any], list[Any]] = ([], [])
        sides: tuple[tuple[Side, Any, Answer, list[Any]], ...] = (
            ("S", self.server, server, events[1]),
            ("C", self.client, client, events[0]),
        )
        for _ in range(_TURNS):
            moved = False
            for _, conn, answer, seen in sides:
                moved |= _pull(conn, answer, seen)
            for who, conn, _, _ in sides:
                data = conn.data_to_send()
                if data:
                    self.turns.append((who, data))
                    self._deliver(data, self.client if who == "S" else self.server, sides)
                    moved = True
            if self.client.tls_pending and self.server.tls_pending:
                self.client.start_tls(TLSInfo())
                self.server.start_tls(TLSInfo())
                moved = True
            if not moved:
                return events
        raise AssertionError(f"still talking after {_TURNS} turns")

    def _deliver(self, data: bytes, receiver: Any, sides: Sequence[Any]) -> None:
        step = self._octets or len(data)
        for start in range(0, len(data), step):
            if receiver.closing or receiver.tls_pending:
                return
            receiver.receive_data(data[start : start + step])
            for _, conn, answer, seen in sides:
                if conn is receiver:
                    _pull(conn, answer, seen)


def _pull(conn: Any, answer: Answer, seen: list[Any]) -> bool:
    """Pull and answer events until *conn* waits; tell whether there were any."""
    moved = False
    for _ in range(_TURNS):
        try:
            event = conn.next_event()
        except ProtocolError as error:
            seen.append(error)
            moved = True
            continue
        if isinstance(event, Wait):
            return moved
        if isinstance(event, ConnectionEnded):
            if event in seen[-1:]:
                return moved
            seen.append(event)
            return True
        seen.append(event)
        answer(conn, event)
        moved = True
    raise AssertionError(f"more than {_TURNS} events and no wait")


class TranscriptMismatch(AssertionError):
    """The engine did not say what the transcript says."""


_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-f]{2})|(\\))")


@final
@dataclass(frozen=True, slots=True)
class Transcript:
    r"""
    A dialogue, in order.

    As text each line is ``C:`` or ``S:`` and the octets, of which those that are not printable
    ASCII, and the backslash, are ``\xNN`` and ``\\``; a CRLF ends each line unless it ends in a
    single ``\``.  Empty lines and lines that begin with ``#`` mean nothing.
    """

    turns: tuple[tuple[Side, bytes], ...] = ()

    @classmethod
    def record(cls, pair: Pair, client: Answer, server: Answer) -> Transcript:
        """Let *pair* talk, and keep what was said."""
        pair.run(client, server)
        return cls(_joined(pair.turns))

    @classmethod
    def parse(cls, text: str) -> Transcript:
        """
        Read what `format` wrote, or what somebody wrote by hand.

        Raises:
            ValueError: A line begins with neither ``C:`` nor ``S:``.
        """
        turns: list[tuple[Side, bytes]] = []
        for line in text.split("\n"):
            if not line.strip() or line.startswith("#"):
                continue
            who, rest = line[:1], line[3:]
            if line[1:2] != ":" or who not in ("C", "S"):
                raise ValueError(f"neither a C: nor an S: line: {line!r}")
            end = b"\r\n"
            if rest.endswith("\\") and (len(rest) - len(rest.rstrip("\\"))) % 2:
                rest, end = rest[:-1], b""
            octets = _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else "\\", rest)
            turns.append(("C" if who == "C" else "S", octets.encode("latin-1") + end))
        return cls(_joined(turns))

    def format(self) -> str:
        """Write it as text."""
        lines: list[str] = []
        for who, octets in self.turns:
            *whole, rest = octets.split(b"\r\n")
            lines += [f"{who}: {_printable(line)}" for line in whole]
            if rest:
                lines.append(f"{who}: {_printable(rest)}\\")
        return "\n".join(lines) + "\n"

    def replay(
        self, conn: ServerConnection | ClientConnection, answer: Answer, *, side: Side = "S"
    ) -> list[Any]:
        """
        Play it against *conn*, which is its *side*, and give the events.

        Raises:
            TranscriptMismatch: *conn* said something else, less, or more.
        """
        seen: list[Any] = []
        said = bytearray()
        _pull(conn, answer, seen)
        said += conn.data_to_send()
        for who, octets in self.turns:
            if who == side:
                if said[: len(octets)] != octets:
                    raise TranscriptMismatch(f"expected {octets!r}, was said {bytes(said)!r}")
                del said[: len(octets)]
                continue
            if conn.tls_pending:
                conn.start_tls(TLSInfo())
            conn.receive_data(octets)
            _pull(conn, answer, seen)
            said += conn.data_to_send()
        if said:
            raise TranscriptMismatch(f"more was said: {bytes(said)!r}")
        return seen


def _joined(turns: Sequence[tuple[Side, bytes]]) -> tuple[tuple[Side, bytes], ...]:
    joined: list[tuple[Side, bytes]] = []
    for who, octets in turns:
        if joined and joined[-1][0] == who:
            joined[-1] = (who, joined[-1][1] + octets)
        else:
            joined.append((who, octets))
    return tuple(joined)


def _printable(octets: bytes) -> str:
    return "".join(
        chr(n) if 0x20 <= n < 0x7F and n != 0x5C else "\\\\" if n == 0x5C else f"\\x{n:02x}"
        for n in octets
    )


@final
@dataclass(frozen=True, slots=True)
class Say:
    """The server writes these octets."""

    octets: bytes


@final
@dataclass(frozen=True, slots=True)
class Await:
    """The server reads up to and with these octets; a client that never sends them is left waiting."""

    octets: bytes


@final
@dataclass(frozen=True, slots=True)
class HangUp:
    """The server closes."""


Step: TypeAlias = Say | Await | HangUp


@final
@dataclass(slots=True)
class Outcome:
    """What a client made of a scripted server."""

    events: list[Any] = field(default_factory=list)
    """Its events, and its ProtocolError if there was one."""
    written: bytes = b""
    """All it sent."""
    finished: bool = False
    """Whether the script was played to its end."""


@final
class ScriptedServer:
    """
    A server that follows a script, for tests of clients.

    >>> script = [Say(b"220 mx\\r\\n"), Await(b"\\r\\n"), Say(b"421 full\\r\\n"), HangUp()]
    >>> client = ClientConnection("client.example")
    >>> hello = client.ehlo()
    >>> [type(event).__name__ for event in ScriptedServer(script).play(client).events]
    ['GreetingReceived', 'ReplyReceived', 'ConnectionEnded']
    """

    def __init__(self, script: Sequence[Step]) -> None:
        self._script = tuple(script)

    def play(self, client: ClientConnection, answer: Answer = lambda conn, event: None) -> Outcome:
        """Play the script against *client*, whose events *answer* is called with."""
        outcome = Outcome()
        pending = b""
        for step in self._script:
            _pull(client, answer, outcome.events)
            data = client.data_to_send()
            pending += data
            outcome.written += data
            if client.closing:
                return outcome
            if isinstance(step, Await):
                found = pending.find(step.octets)
                if found < 0:
                    return outcome
                pending = pending[found + len(step.octets) :]
            elif client.tls_pending:
                return outcome
            elif isinstance(step, Say):
                client.receive_data(step.octets)
            else:
                client.receive_eof()
        _pull(client, answer, outcome.events)
        outcome.written += client.data_to_send()
        outcome.finished = True
        return outcome


_HELLO: Final = (Say(b"220 mx.example ESMTP\r\n"), Await(b"\r\n"))
_READY: Final = (*_HELLO, Say(b"250-mx.example\r\n250-STARTTLS\r\n250 PIPELINING\r\n"))
_BODY: Final = (
    *_READY,
    Await(b"DATA\r\n"),
    Say(b"250 ok\r\n250 ok\r\n354 go\r\n"),
    Await(b"\r\n.\r\n"),
)

#: Name -> script.  The client says EHLO and, if asked, sends one message to one recipient.
MISBEHAVIOURS: Final[Mapping[str, Sequence[Step]]] = MappingProxyType(
    {
        "hangs up at once": (HangUp(),),
        "refuses with 554 and stays": (Say(b"554 go away\r\n"),),
        "closes with 421": (Say(b"421 busy\r\n"), HangUp()),
        "speaks another protocol": (Say(b"* OK IMAP4rev1 ready\r\n"),),
        "speaks no lines": (Say(b"x" * 100_000),),
        "never ends its greeting": (Say(b"220-still here\r\n" * 10_000),),
        "greets twice": (Say(b"220 one\r\n220 two\r\n"), Await(b"\r\n")),
        "answers before it is asked": (*_READY, Say(b"250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n")),
        "knows no EHLO": (*_HELLO, Say(b"502 what?\r\n")),
        "hangs up in a reply": (*_HELLO, Say(b"250-mx.exam"), HangUp()),
        "answers in Latin-1": (*_HELLO, Say(b"550 unerw\xfcnscht\r\n")),
        "answers with digits alone": (*_HELLO, Say(b"550\r\n")),
        "answers with a code beyond all": (*_HELLO, Say(b"999 eh\r\n")),
        "mixes codes": (*_HELLO, Say(b"250-mx.example\r\n550 no\r\n")),
        "injects behind STARTTLS": (
            *_READY,
            Await(b"STARTTLS\r\n"),
            Say(b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n"),
        ),
        "takes DATA with no recipient": (
            *_READY,
            Await(b"DATA\r\n"),
            Say(b"250 ok\r\n550 no\r\n354 go\r\n"),
            Await(b".\r\n"),
            Say(b"554 nobody\r\n"),
        ),
        "refuses the message": (*_BODY, Say(b"550 spam\r\n")),
        "hangs up after the message": (*_BODY, HangUp()),
        "closes with 421 after the message": (*_BODY, Say(b"421 oops\r\n"), HangUp()),
        "answers the message twice": (*_BODY, Say(b"250 ok\r\n250 ok\r\n")),
    }
)
