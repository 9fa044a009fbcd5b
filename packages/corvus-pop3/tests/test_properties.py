"""The four standing properties of an engine, and that what goes out comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corvus_pop3 as pop3
from corvus_pop3 import ClientConnection, Limits, Policy, ProtocolError, ServerConnection, TLSInfo
from corvus_pop3._multiline import MessageReader, MessageWriter
from corvus_testing import (
    assert_any_chunking_is_the_same,
    assert_only_protocol_errors,
    converse,
)
from corvus_testing.properties import cut
from corvus_testing.strategies import cuts, hostile_octets

pytestmark = pytest.mark.property

POLICY = Policy(require_tls=False, stls=True, mechanisms=("PLAIN",), expire=3)
MESSAGES = [b"", b"Subject: x\n\n.\n..\nno end", b"a\r\n.\r\n" * 20]

#: What a client may say, sensible and not.
commands = st.sampled_from(
    b"CAPA|NOOP|STAT|LIST|LIST 2|UIDL|UIDL 3|RETR 1|RETR 2|TOP 2 1|TOP 3 2|DELE 1|DELE 2|DELE 9|"
    b"RSET|QUIT|UTF8|LANG|LANG en|USER alice|PASS two words|AUTH PLAIN|AUTH PLAIN =|*|AGEAYg==|"
    b"APOP a 00000000000000000000000000000000||RETR|retr 2|XXXX|USER \xff|PASS \0".split(b"|")
)
login = st.sampled_from([b"", b"USER alice\r\nPASS x\r\n", b"AUTH PLAIN AGEAYg==\r\n"])
dialogues = st.builds(
    lambda start, lines, junk: start + b"".join(line + b"\r\n" for line in lines) + junk,
    login,
    st.lists(commands, max_size=15),
    hostile_octets,
)


def server() -> ServerConnection:
    limits = Limits(listing_slice=2, auth_line=1000)
    return ServerConnection(POLICY, limits=limits, timestamp="<1@x.example>")


def answer(conn: ServerConnection, event: pop3.Event) -> None:
    """What a small server does."""
    match event:
        case pop3.LoginOffered(password="wrong"):
            conn.reject()
        case pop3.LoginOffered() | pop3.AuthResponse() | pop3.ApopOffered():
            conn.open(sizes=[pop3.wire_size([m]) for m in MESSAGES], uids=["a", "b", "c"])
        case pop3.AuthStarted(initial=None):
            conn.challenge(b"")
        case pop3.AuthStarted():
            conn.open(sizes=[pop3.wire_size([m]) for m in MESSAGES], uids=["a", "b", "c"])
        case pop3.RetrieveRequested(number=number) | pop3.TopRequested(number=number):
            conn.chunk(MESSAGES[number - 1])
            conn.end()
        case pop3.StlsRequested() | pop3.QuitRequested():
            conn.accept()


@given(dialogues, cuts)
def test_any_chunking_gives_a_server_the_same_events_and_replies(
    wire: bytes, places: list[int]
) -> None:
    assert_any_chunking_is_the_same(server, wire, places, answer, errors=ProtocolError)


@given(st.lists(dialogues | hostile_octets | st.binary(max_size=50), max_size=5))
def test_no_octets_make_anything_else_escape_a_server(chunks: list[bytes]) -> None:
    assert_only_protocol_errors(
        server,
        chunks,
        answer,
        errors=ProtocolError,
        most_buffered=1000,
        tls=lambda conn: conn.start_tls(TLSInfo()),
    )


#: What a server may say, sensible and not.
responses = st.sampled_from(
    b"+OK|+OK 2 320|+OK 1 a|-ERR [AUTH] no|+ |+ YWJj|1 120|2 b|.|..x|body|PIPELINING|en English||"
    b"+OK \xff|1 2 3|+OK <1@x.example>".split(b"|")
)
server_sides = st.builds(
    lambda lines, junk: (
        b"+OK <1@x.example>\r\n" + b"".join(line + b"\r\n" for line in lines) + junk
    ),
    st.lists(responses, max_size=25),
    hostile_octets,
)


class Fetcher:
    """A client that goes on with the next command after each answer."""

    def __init__(self, script: list[int]) -> None:
        self.script = list(script)

    def __call__(self, conn: ClientConnection, event: Any) -> None:
        match event:
            case pop3.MessageChunk() | pop3.ConnectionEnded() | pop3.GreetingRefused():
                return
            case pop3.ChallengeReceived():
                conn.respond(b"\0a\0b")
                return
        steps = [
            lambda: conn.capa(),
            lambda: conn.login("alice", "x"),
            lambda: conn.auth("PLAIN"),
            lambda: conn.auth("PLAIN", b"\0a\0b"),
            lambda: conn.stat(),
            lambda: conn.list(),
            lambda: conn.uidl(2),
            lambda: conn.retrieve(2),
            lambda: conn.top(3, 1),
            lambda: conn.delete(1),
            lambda: conn.lang(),
            lambda: conn.reset(),
            lambda: conn.stls(),
            lambda: conn.utf8(),
            lambda: conn.quit(),
        ]
        while self.script:
            try:
                steps[self.script.pop(0) % len(steps)]()
            except pop3.LocalProtocolError:
                continue  # not allowed now; the next one may be
            if not self.script or self.script[0] % 3:
                return


def client() -> ClientConnection:
    return ClientConnection(require_tls=False, limits=Limits(listing=2000, response_line=200))


scripts = st.lists(st.integers(0, 100), max_size=20)


def joined(events: list[Any]) -> list[Any]:
    """Adjacent chunks of a body as one."""
    out: list[Any] = []
    for event in events:
        if isinstance(event, pop3.MessageChunk) and out and isinstance(out[-1], pop3.MessageChunk):
            out[-1] = pop3.MessageChunk(command=event.command, data=out[-1].data + event.data)
        else:
            out.append(event)
    return out


@given(server_sides, cuts, scripts)
def test_any_chunking_gives_a_client_the_same_events_and_commands(
    wire: bytes, places: list[int], script: list[int]
) -> None:
    # Octets behind the answer to STLS, or to a command not yet given, are judged by when they come:
    # that is the point of it.  So only commands that the server answers in order are compared.
    script = [step for step in script if step % 15 != 12]
    whole, parts = Fetcher(script), Fetcher(script)
    fetchers = iter((whole, parts))
    current: list[Fetcher] = []

    def make() -> ClientConnection:
        current[:] = [next(fetchers)]
        return client()

    assert_any_chunking_is_the_same(
        make,
        wire,
        places,
        lambda conn, event: current[0](conn, event),
        errors=ProtocolError,
        normalise=joined,
    )


@given(st.lists(server_sides | hostile_octets | st.binary(max_size=50), max_size=5), scripts)
def test_no_octets_make_anything_else_escape_a_client(
    chunks: list[bytes], script: list[int]
) -> None:
    assert_only_protocol_errors(
        client,
        [b"+OK\r\n", *chunks],
        Fetcher(script),
        errors=ProtocolError,
        most_buffered=2200,
        tls=lambda conn: conn.start_tls(TLSInfo()),
    )


@given(scripts)
def test_client_and_server_come_to_an_end(script: list[int]) -> None:
    ours, theirs = client(), ServerConnection(POLICY)

    def both(one: Any, other: Any) -> None:
        one.start_tls(TLSInfo())
        other.start_tls(TLSInfo())

    fetcher = Fetcher([0, *script])
    converse(ours, theirs, fetcher, answer, tls=both)
    assert ours.outstanding == 0 or ours.closing


@given(hostile_octets, cuts, cuts)
def test_a_message_arrives_as_it_was_stored_but_for_its_line_ends(
    message: bytes, out: list[int], back: list[int]
) -> None:
    writer, reader = MessageWriter(), MessageReader()
    wire = b"".join(writer.feed(chunk) for chunk in cut(message, out)) + writer.finish()
    got = b""
    for chunk in cut(wire, back):
        assert not reader.done
        body, used = reader.feed(chunk)
        assert used == len(chunk)
        got += body
    assert reader.done
    assert len(got) == pop3.wire_size(cut(message, out)) == pop3.wire_size([message])
    assert got == repaired(message)


def repaired(message: bytes) -> bytes:
    """CRLF at each line's end, read one octet at a time."""
    out = bytearray()
    for octet in message:
        if octet == 10 and not out.endswith(b"\r"):
            out += b"\r"
        out.append(octet)
    if out and not out.endswith(b"\n"):
        out += b"\n" if out.endswith(b"\r") else b"\r\n"
    return bytes(out)


@given(hostile_octets, cuts, st.integers(0, 5))
def test_top_is_a_beginning_of_retr(message: bytes, places: list[int], lines: int) -> None:
    whole, top = MessageWriter(), MessageWriter(lines)
    retr = whole.feed(message) + whole.finish()
    got = b"".join(top.feed(chunk) for chunk in cut(message, places)) + top.finish()
    assert got.endswith(b".\r\n")
    assert retr.startswith(got[:-3])
    assert top.done or got == retr


#: What a careless caller may do to a server at any moment.
steps = st.sampled_from(
    [
        lambda conn: conn.next_event(),
        lambda conn: conn.open(sizes=[5, 6], uids=["a", "b"]),
        lambda conn: conn.accept(),
        lambda conn: conn.accept("bye"),
        lambda conn: conn.reject(),
        lambda conn: conn.reject("no\r\n", code=pop3.ResponseCode.AUTH),
        lambda conn: conn.challenge(b"x"),
        lambda conn: conn.chunk(b".\n"),
        lambda conn: conn.end(),
        lambda conn: conn.close("why"),
        lambda conn: conn.start_tls(TLSInfo()),
        lambda conn: conn.receive_eof(),
    ]
)
says = commands.map(lambda line: lambda conn: conn.receive_data(line + b"\r\n"))


@given(st.lists(says | steps, max_size=40))
def test_no_order_of_calls_makes_anything_else_escape_a_server(
    calls: list[Callable[[ServerConnection], object]],
) -> None:
    conn = server()
    deleted: frozenset[int] = frozenset()
    for call in calls:
        before = conn.state
        try:
            event = call(conn)
        except ProtocolError:
            event = None
        if isinstance(event, pop3.QuitRequested):
            assert before is pop3.State.TRANSACTION
            assert frozenset(event.delete) == deleted
        if before is pop3.State.CLOSED:
            assert conn.state is pop3.State.CLOSED
        deleted = conn.deleted
        assert not conn.closing or conn.timeout is None
