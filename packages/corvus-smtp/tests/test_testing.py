"""The tools for those who embed the engines."""

from __future__ import annotations

from typing import Any

import pytest

from corvus_smtp import (
    ClientConnection,
    ConnectionEnded,
    DataReady,
    MessageChunk,
    Policy,
    RemoteProtocolError,
    ReplyReceived,
    ServerConnection,
    Verb,
)
from corvus_smtp.testing import (
    Await,
    HangUp,
    Pair,
    Say,
    ScriptedServer,
    Transcript,
    TranscriptMismatch,
    accept,
)


def sender(conn: Any, event: Any) -> None:
    if isinstance(event, DataReady):
        conn.end(b".\\\x01\xff\r\n")
    elif isinstance(event, ReplyReceived) and event.verb is Verb.EHLO:
        conn.mail("a@b")
        conn.rcpt("c@d")
        conn.data(chunking=False)
        conn.quit()


def pair(octets: int | None = None, policy: Policy = Policy()) -> Pair:
    client = ClientConnection("client.example")
    client.ehlo()
    return Pair(client, ServerConnection("mx.example", policy=policy), octets=octets)


@pytest.mark.parametrize("octets", [None, 1, 7])
def test_a_pair_talks_to_the_end(octets: int | None) -> None:
    client, server = pair(octets).run(sender, accept)
    assert MessageChunk in {type(event) for event in server}
    assert isinstance(client[-1], ConnectionEnded)
    assert isinstance(server[-1], ConnectionEnded)


def test_a_pair_shakes_hands_in_an_instant() -> None:
    def client(conn: Any, event: Any) -> None:
        if isinstance(event, ReplyReceived) and event.verb is Verb.EHLO and not conn.tls:
            conn.starttls()

    talking = pair(policy=Policy().offering("STARTTLS"))
    talking.run(client, accept)
    assert talking.client.tls is not None
    talking.client.ehlo()
    talking.run(client, accept)
    assert "STARTTLS" not in talking.client.capabilities


def test_a_pair_whose_server_is_attacked_reports_the_error() -> None:
    talking = pair(policy=Policy().offering("STARTTLS"))
    talking.server.receive_data(b"EHLO x\r\nSTARTTLS\r\nNOOP\r\n")
    _, server = talking.run(lambda conn, event: None, accept)
    assert isinstance(server[-2], RemoteProtocolError)


def test_a_transcript_is_recorded_written_read_and_replayed() -> None:
    recorded = Transcript.record(pair(), sender, accept)
    text = recorded.format()
    assert "C: ..\\\\\\x01\\xff\n" in text
    assert Transcript.parse("# a comment\n\n" + text) == recorded
    events = recorded.replay(ServerConnection("mx.example"), accept)
    assert MessageChunk(b".\\\x01\xff\r\n") in events
    client = ClientConnection("client.example")
    client.ehlo()
    recorded.replay(client, sender, side="C")


def test_a_transcript_tells_what_differs() -> None:
    recorded = Transcript.record(pair(), sender, accept)
    with pytest.raises(TranscriptMismatch, match="expected"):
        recorded.replay(ServerConnection("other.example"), accept)
    short = Transcript(recorded.turns[:-1])
    with pytest.raises(TranscriptMismatch, match="more was said"):
        short.replay(ServerConnection("mx.example"), accept)
    with pytest.raises(ValueError, match="neither"):
        Transcript.parse("X: what\n")


def test_a_line_without_its_end_keeps_its_backslash() -> None:
    halves = Transcript((("C", b"NO"), ("S", b"x"), ("C", b"OP\\\r\n")))
    assert Transcript.parse(halves.format()) == halves


def test_a_transcript_crosses_starttls() -> None:
    text = """
S: 220 mx.example ESMTP
C: EHLO x
S: 250-mx.example
S: 250 STARTTLS
C: STARTTLS
S: 220 Ready to start TLS
C: NOOP
S: 250 OK
"""
    policy = Policy(extensions=frozenset({"STARTTLS"}))
    Transcript.parse(text.strip("\n")).replay(ServerConnection("mx.example", policy=policy), accept)


def test_answers_that_never_come_fail_the_test() -> None:
    with pytest.raises(AssertionError, match="no wait"):
        Transcript.parse("S: x\n").replay(Endless(), accept)  # type: ignore[arg-type]  # on purpose


class Endless:
    """An engine that never waits."""

    def next_event(self) -> object:
        return MessageChunk(b"")

    def data_to_send(self) -> bytes:
        return b""


def test_two_that_never_fall_silent_fail_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corvus_smtp.testing._TURNS", 20)

    def chatty(conn: Any, event: Any) -> None:
        conn.noop()

    talking = pair()
    with pytest.raises(AssertionError, match="still talking"):
        talking.run(chatty, accept)


def test_a_script_stops_where_the_client_does() -> None:
    client = ClientConnection("client.example")
    outcome = ScriptedServer([Say(b"220 x\r\n"), Await(b"EHLO"), Say(b"250 x\r\n")]).play(client)
    assert not outcome.finished
    client = ClientConnection("client.example")
    client.ehlo()
    script: list[Say | Await] = [
        Say(b"220 x\r\n"),
        Await(b"\r\n"),
        Say(b"250-x\r\n250 STARTTLS\r\n"),
        Await(b"\r\n"),
    ]

    def go(conn: Any, event: Any) -> None:
        if isinstance(event, ReplyReceived) and event.verb is Verb.EHLO:
            conn.starttls()

    outcome = ScriptedServer([*script, Say(b"220 go\r\n"), HangUp()]).play(client, go)
    assert client.tls_pending
    assert outcome.written == b"EHLO client.example\r\nSTARTTLS\r\n"
    assert not outcome.finished
