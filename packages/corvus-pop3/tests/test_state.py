"""The tables, and a walk through every state and command."""

from collections.abc import Callable

import pytest

from corvus_pop3 import NEED_DATA, Policy, ServerConnection, State, Verb
from corvus_pop3._state import ACCEPTED, REFUSED
from corvus_pop3.events import CommandRejected, ConnectionEnded, Wait
from corvus_pop3.server import ServerConnection as Server

TIMESTAMP = "<1.2@host.example>"
LINES = {
    Verb.LIST: b"LIST 1",
    Verb.RETR: b"RETR 1",
    Verb.DELE: b"DELE 1",
    Verb.TOP: b"TOP 1 0",
    Verb.USER: b"USER a",
    Verb.PASS: b"PASS b",
    Verb.APOP: b"APOP a c4c9334bac560ecc979e58001b3e22fb",
    Verb.AUTH: b"AUTH PLAIN",
    Verb.LANG: b"LANG en",
}


def connection() -> ServerConnection:
    policy = Policy(require_tls=False, stls=True, mechanisms=("PLAIN",))
    conn = ServerConnection(policy, timestamp=TIMESTAMP)
    assert conn.next_event() is NEED_DATA
    return conn


def transaction() -> ServerConnection:
    conn = connection()
    conn.receive_data(b"USER a\r\nPASS b\r\n")
    conn.next_event()
    conn.open(sizes=[1], uids=["u"])
    return conn


def password() -> ServerConnection:
    conn = connection()
    conn.receive_data(b"USER a\r\n")
    assert conn.next_event() is NEED_DATA
    return conn


REACHED: dict[State, Callable[[], ServerConnection]] = {
    State.AUTHORIZATION: connection,
    State.PASSWORD: password,
    State.TRANSACTION: transaction,
}


def test_the_tables_speak_of_every_state() -> None:
    assert set(ACCEPTED) == set(State) == set(REFUSED)


def test_every_verb_is_allowed_somewhere_and_obeyed() -> None:
    assert {verb for row in ACCEPTED.values() for verb in row} == set(Verb)
    assert set(Server._OBEY) == set(Verb)


@pytest.mark.parametrize("state", REACHED)
@pytest.mark.parametrize("verb", Verb)
def test_a_command_is_obeyed_where_the_table_says_and_refused_elsewhere(
    state: State, verb: Verb
) -> None:
    conn = REACHED[state]()
    assert conn.state is state
    conn.data_to_send()
    conn.receive_data(LINES.get(verb, verb.value) + b"\r\n")
    event = conn.next_event()
    if verb in ACCEPTED[state]:
        assert not isinstance(event, CommandRejected)
        match verb:
            case Verb.PASS | Verb.APOP | Verb.AUTH:
                conn.open(sizes=[], uids=[])
            case Verb.STLS:
                conn.accept()
            case Verb.RETR | Verb.TOP:
                conn.end()
        assert conn.state is ACCEPTED[state][verb]
        assert verb is Verb.QUIT or conn.data_to_send().startswith(b"+OK")
    else:
        assert isinstance(event, CommandRejected)
        assert event.verb is verb
        assert event.reply == conn.data_to_send()
        assert event.reply.startswith(b"-ERR")
        assert conn.state is REFUSED[state]


def test_nothing_is_parsed_in_the_states_between() -> None:
    conn = transaction()
    conn.receive_data(b"QUIT\r\nNOOP\r\n")
    conn.next_event()
    assert conn.state is State.UPDATE
    assert conn.next_event() is Wait.PAUSED
    conn.accept()
    assert conn.closing
    assert conn.next_event() == ConnectionEnded()
    assert b"nothing done" not in conn.data_to_send()
