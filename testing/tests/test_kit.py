"""The kit itself: a property that cannot fail proves nothing, so each is shown to fail here."""

from __future__ import annotations

import doctest
import enum
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corvus_testing.transcript
from corvus_testing import (
    FailingResolver,
    Resolver,
    SlowResolver,
    assert_any_chunking_is_the_same,
    assert_only_protocol_errors,
    converse,
    drive,
    run_transcript,
)
from corvus_testing.properties import cut
from corvus_testing.resolver import Zone
from corvus_testing.strategies import cuts, hostile_octets


class Wait(enum.Enum):
    NEED_DATA = 1
    PAUSED = 2


class MiniError(Exception):
    pass


@dataclass(frozen=True)
class Line:
    text: bytes


@dataclass(frozen=True)
class ConnectionEnded:
    pass


class Echo:
    """A line protocol: what you are sent you say back; ``QUIT`` ends it, ``BAD`` is an error."""

    tls_pending = False
    timeout = None

    def __init__(self) -> None:
        self._in = bytearray()
        self._out = bytearray()
        self._owed: Line | None = None
        self._eof = False
        self.closing = False

    @property
    def buffered(self) -> int:
        return len(self._in)

    def receive_data(self, data: bytes, /) -> None:
        self._in += data

    def receive_eof(self) -> None:
        self._eof = True

    def next_event(self) -> object:
        if self.closing:
            return ConnectionEnded()
        if self._owed is not None:
            return Wait.PAUSED
        line, end, rest = self._in.partition(b"\r\n")
        if not end:
            self.closing = self._eof
            return ConnectionEnded() if self._eof else Wait.NEED_DATA
        self._in = bytearray(rest)
        if line == b"BAD":
            self.closing = True
            raise MiniError
        self._owed = Line(bytes(line))
        return self._owed

    def accept(self) -> None:
        assert self._owed is not None
        self._out += b"<" + self._owed.text + b">\r\n"
        self.closing = self._owed.text == b"QUIT"
        self._owed = None

    def say(self, line: bytes) -> None:
        self._out += line + b"\r\n"

    def data_to_send(self) -> bytes:
        data, self._out = bytes(self._out), bytearray()
        return data


class CountsReads(Echo):
    """Broken: what it writes depends on how the octets arrived."""

    def receive_data(self, data: bytes, /) -> None:
        super().receive_data(data)
        self._out += b"."


class Raises(Echo):
    """Broken: an octet of the peer raises what is no ProtocolError."""

    def next_event(self) -> object:
        if b"\xff" in self._in:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "hostile")
        return super().next_event()


def accept(conn: Echo, event: object) -> None:
    conn.accept()


@pytest.mark.property
@given(hostile_octets, cuts)
def test_a_sound_engine_passes_the_chunking_property(wire: bytes, places: Sequence[int]) -> None:
    assert_any_chunking_is_the_same(Echo, wire, places, accept, errors=MiniError)


def test_an_engine_that_counts_reads_fails_the_chunking_property() -> None:
    with pytest.raises(AssertionError):
        assert_any_chunking_is_the_same(CountsReads, b"a\r\n", [1], accept, errors=MiniError)


def test_an_engine_that_raises_something_else_is_caught() -> None:
    with pytest.raises(UnicodeDecodeError):
        assert_only_protocol_errors(Raises, [b"\xff"], accept, errors=MiniError)


def test_an_engine_that_holds_too_much_is_caught() -> None:
    with pytest.raises(AssertionError):
        assert_only_protocol_errors(Echo, [b"x" * 100], accept, errors=MiniError, most_buffered=99)


def test_an_engine_left_unanswered_is_caught() -> None:
    with pytest.raises(AssertionError, match="unanswered"):
        drive(Echo(), [b"a\r\n"], lambda conn, event: None, errors=MiniError)


def test_the_error_of_the_peer_ends_a_run_and_is_kept() -> None:
    run = drive(Echo(), [b"a\r\nBAD\r\nb\r\n"], accept, errors=MiniError)

    assert [Line(b"a")] == run.events
    assert isinstance(run.error, MiniError)


@given(st.binary(max_size=50), cuts)
def test_cut_pieces_join_to_the_whole(wire: bytes, places: Sequence[int]) -> None:
    assert wire == b"".join(cut(wire, places))


def test_a_transcript_is_compared_octet_for_octet() -> None:
    good = "C: hello\nS: <hello>\nC: part\\\nC: ial\nS: <partial>"
    assert [Line(b"hello"), Line(b"partial")] == run_transcript(Echo(), good, accept)

    with pytest.raises(AssertionError, match="expected"):
        run_transcript(Echo(), "C: hello\nS: <hullo>", accept)
    with pytest.raises(AssertionError, match="more was written"):
        run_transcript(Echo(), "C: hello", accept)


def test_two_engines_that_never_stop_are_caught() -> None:
    client, server = Echo(), Echo()
    client.say(b"ping")
    with pytest.raises(AssertionError, match="still talking"):
        converse(client, server, accept, accept, most_turns=50)

    client = Echo()
    client.say(b"QUIT")
    converse(client, Echo(), lambda conn, event: None, accept)


def test_the_doctests_of_the_kit_hold() -> None:
    assert doctest.testmod(corvus_testing.transcript).failed == 0


def test_resolvers_answer_from_the_zone_and_fail_on_command() -> None:
    zone: Zone = {"a.example": {"TXT": [b"x"]}, "broken.example": {"A": "servfail"}}

    def answer(status: str, records: tuple[object, ...] = (), *rest: object) -> tuple[object, ...]:
        return status, *records

    plain = Resolver(answer, zone)
    assert plain.resolve("A.example.", "TXT") == ("ok", b"x")
    assert plain.resolve("a.example", "A") == ("nodata",)
    assert plain.resolve("b.example", "A") == ("nxdomain",)
    assert plain.resolve("broken.example", "A") == ("servfail",)
    assert len(plain.asked) == 4

    failing = FailingResolver(answer, zone, fail_at=1)
    assert failing.resolve("a.example", "TXT") == ("ok", b"x")
    assert failing.resolve("a.example", "TXT") == ("timeout",)

    @dataclass
    class Question:
        name: str
        rdtype: str

    async def ask() -> float:
        slow = SlowResolver(answer, zone, delay=0.02)
        await slow.aresolve("a.example", "TXT")
        await slow.aresolve_many([Question("a.example", "TXT"), Question("b.example", "A")])
        return slow.elapsed

    step = ask()
    with pytest.raises(StopIteration) as stop:
        step.send(None)
    assert pytest.approx(0.04) == stop.value.value
