"""The client's side, command by command; ``S`` is typed by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import corvus_pop3 as pop3
from corvus_pop3 import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    State,
    TLSInfo,
    Verb,
)

GREETING = b"+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n"


def hear(conn: ClientConnection, text: bytes) -> list[pop3.ClientEvent]:
    """Feed *text*, return all events."""
    conn.receive_data(text)
    events = []
    while not isinstance(event := conn.next_event(), pop3.Wait):
        events.append(event)
        if isinstance(event, pop3.ConnectionEnded):
            break
    return events


@pytest.fixture
def conn() -> ClientConnection:
    conn = ClientConnection(tls=TLSInfo())
    hear(conn, GREETING)
    return conn


@pytest.fixture
def inside(conn: ClientConnection) -> ClientConnection:
    conn.login("alice", "secret")
    hear(conn, b"+OK\r\n")
    hear(conn, b"+OK\r\n")
    assert conn.state is State.TRANSACTION
    conn.data_to_send()
    return conn


def test_the_greeting_comes_first() -> None:
    conn = ClientConnection()
    assert conn.next_event() is NEED_DATA
    with pytest.raises(LocalProtocolError):
        conn.capa()
    assert hear(conn, GREETING) == [
        pop3.Greeted(
            text="ready <1896.697170952@dbc.mtview.ca.us>",
            timestamp="<1896.697170952@dbc.mtview.ca.us>",
        )
    ]
    assert conn.state is State.AUTHORIZATION


def test_a_server_may_not_want_us() -> None:
    conn = ClientConnection()
    events = hear(conn, b"-ERR [SYS/TEMP] too many connections\r\n")
    assert isinstance(events[0], pop3.GreetingRefused)
    assert events[1] == pop3.ConnectionEnded()
    assert conn.closing
    assert conn.timeout is None


def test_login_is_two_commands_and_one_answer(conn: ClientConnection) -> None:
    command = conn.login("alice", "two words")
    assert conn.data_to_send() == b"USER alice\r\n"
    assert hear(conn, b"+OK send PASS\r\n") == []
    assert conn.data_to_send() == b"PASS two words\r\n"
    (event,) = hear(conn, b"+OK 2 messages\r\n")
    assert isinstance(event, pop3.CommandAccepted)
    assert event.command == command
    assert conn.state is State.TRANSACTION


def test_a_name_that_is_refused_keeps_the_password_here(conn: ClientConnection) -> None:
    command = conn.login("alice", "secret")
    conn.data_to_send()
    (event,) = hear(conn, b"-ERR no such user\r\n")
    assert isinstance(event, pop3.CommandRefused)
    assert event.command == command
    assert conn.data_to_send() == b""


def test_a_password_that_is_refused_says_why(conn: ClientConnection) -> None:
    conn.login("alice", "secret")
    (event,) = hear(conn, b"+OK\r\n-ERR [AUTH] no\r\n")
    assert isinstance(event, pop3.CommandRefused)
    assert event.command.verb is Verb.PASS
    assert event.response.is_code(pop3.ResponseCode.AUTH)
    assert conn.state is State.AUTHORIZATION


def test_apop_is_computed_over_the_greeting(conn: ClientConnection) -> None:
    conn.apop("mrose", "tanstaaf")
    assert conn.data_to_send() == b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"
    hear(conn, b"+OK\r\n")
    assert conn.state is State.TRANSACTION


def test_a_secret_that_is_no_text_is_your_mistake(conn: ClientConnection) -> None:
    with pytest.raises(LocalProtocolError):
        conn.apop("mrose", "\ud800")


def test_capabilities_are_remembered(conn: ClientConnection) -> None:
    assert conn.capabilities is None
    command = conn.capa()
    (event,) = hear(conn, b"+OK\r\nTOP\r\nSASL PLAIN\r\nUTF8 USER\r\n.\r\n")
    assert isinstance(event, pop3.CapabilitiesReceived)
    assert event.command == command
    assert conn.capabilities is not None
    assert conn.capabilities.mechanisms == ("PLAIN",)
    conn.login("jürgen", "x")
    assert conn.data_to_send().endswith("USER jürgen\r\n".encode())


def test_letters_beyond_ascii_need_utf8_user(conn: ClientConnection) -> None:
    with pytest.raises(LocalProtocolError):
        conn.login("jürgen", "x")


def test_auth_is_a_dialogue_of_octets(conn: ClientConnection) -> None:
    conn.auth("SCRAM-SHA-256", b"n,,")
    assert conn.data_to_send() == b"AUTH SCRAM-SHA-256 biws\r\n"
    (event,) = hear(conn, b"+ YWJj\r\n")
    assert isinstance(event, pop3.ChallengeReceived)
    assert event.challenge == b"abc"
    assert conn.next_event() is PAUSED
    conn.respond(b"")
    assert conn.data_to_send() == b"\r\n"
    (event2,) = hear(conn, b"+OK\r\n")
    assert isinstance(event2, pop3.CommandAccepted)
    assert conn.state is State.TRANSACTION


def test_an_empty_initial_response_is_sent_as_an_equals_sign(conn: ClientConnection) -> None:
    conn.auth("EXTERNAL", b"")
    assert conn.data_to_send() == b"AUTH EXTERNAL =\r\n"


def test_auth_can_be_cancelled(conn: ClientConnection) -> None:
    conn.auth("PLAIN")
    hear(conn, b"+\r\n")
    conn.cancel()
    assert conn.data_to_send() == b"AUTH PLAIN\r\n*\r\n"
    (event,) = hear(conn, b"-ERR cancelled\r\n")
    assert isinstance(event, pop3.CommandRefused)
    assert conn.state is State.AUTHORIZATION


def test_an_initial_response_that_is_too_long_waits_for_the_challenge(
    conn: ClientConnection,
) -> None:
    conn.auth("XOAUTH2", b"x" * 300)
    assert conn.data_to_send() == b"AUTH XOAUTH2\r\n"
    assert hear(conn, b"+ \r\n") == []
    assert conn.data_to_send() == b"eHh4" * 100 + b"\r\n"
    hear(conn, b"+OK\r\n")
    assert conn.state is State.TRANSACTION


def test_a_challenge_instead_of_an_empty_one_is_yours(conn: ClientConnection) -> None:
    conn.auth("XOAUTH2", b"x" * 300)
    assert isinstance(hear(conn, b"+ YWJj\r\n")[0], pop3.ChallengeReceived)


def test_an_initial_response_answers_the_first_challenge_or_none(conn: ClientConnection) -> None:
    conn.auth("XOAUTH2", b"x" * 300)
    hear(conn, b"+ YWJj\r\n")
    conn.respond(b"y")
    conn.data_to_send()
    (event,) = hear(conn, b"+ \r\n")
    assert isinstance(event, pop3.ChallengeReceived), "a later empty one is not for the engine"
    assert conn.data_to_send() == b""


def test_an_answer_after_close_goes_nowhere(conn: ClientConnection) -> None:
    conn.auth("PLAIN")
    hear(conn, b"+\r\n")
    conn.data_to_send()
    conn.close()
    conn.respond(b"\0alice\0secret")
    assert conn.data_to_send() == b""


def test_stls_forgets_what_was_learnt() -> None:
    conn = ClientConnection()
    hear(conn, GREETING)
    conn.capa()
    hear(conn, b"+OK\r\nSTLS\r\nPIPELINING\r\n.\r\n")
    conn.stls()
    (event,) = hear(conn, b"+OK go\r\n")
    assert isinstance(event, pop3.CommandAccepted)
    assert conn.tls_pending
    assert conn.timeout == 60
    assert conn.next_event() is PAUSED
    with pytest.raises(LocalProtocolError):
        conn.receive_data(b"x")
    conn.start_tls(TLSInfo())
    assert conn.capabilities is None
    assert conn.timeout == 600
    with pytest.raises(LocalProtocolError, match="no APOP"):
        conn.apop("a", "b")
    with pytest.raises(LocalProtocolError, match="active"):
        conn.stls()
    with pytest.raises(LocalProtocolError):
        conn.start_tls(TLSInfo())


def test_the_end_during_the_handshake_ends() -> None:
    conn = ClientConnection()
    hear(conn, GREETING)
    conn.stls()
    hear(conn, b"+OK\r\n")
    conn.receive_eof()
    assert conn.next_event() == pop3.ConnectionEnded()


def test_listings_are_pairs(inside: ClientConnection) -> None:
    inside.stat()
    inside.list()
    inside.list(2)
    inside.uidl()
    inside.uidl(2)
    events = hear(
        inside,
        b"+OK 2 320 and more\r\n"
        b"+OK\r\n1 120\r\n2 200 x\r\n.\r\n"
        b"+OK 2 200\r\n"
        b"+OK\r\n1 a\r\n.2 .b\r\n.\r\n"
        b"+OK 2 .b\r\n",
    )
    assert [getattr(e, "sizes", getattr(e, "uids", None)) for e in events] == [
        None,
        ((1, 120), (2, 200)),
        ((2, 200),),
        ((1, "a"), (2, ".b")),
        ((2, ".b"),),
    ]
    assert isinstance(events[0], pop3.StatReceived)
    assert (events[0].count, events[0].octets) == (2, 320)


def test_a_message_streams(inside: ClientConnection) -> None:
    command = inside.retrieve(1)
    events = hear(inside, b"+OK\r\nSubject: x\r\n\r\n..\r\n.")
    events += hear(inside, b".y\r\n.\r")
    events += hear(inside, b"\n")
    assert events[-1] == pop3.MessageReceived(command=command)
    body = b"".join(e.data for e in events if isinstance(e, pop3.MessageChunk))
    assert body == b"Subject: x\r\n\r\n.\r\n.y\r\n"


def test_an_empty_message_has_no_chunk(inside: ClientConnection) -> None:
    command = inside.top(1, 0)
    assert hear(inside, b"+OK\r\n.\r\n") == [pop3.MessageReceived(command=command)]


def test_a_message_that_breaks_off_is_aborted(inside: ClientConnection) -> None:
    command = inside.retrieve(1)
    hear(inside, b"+OK\r\nhalf\r\n.")
    inside.receive_eof()
    assert inside.next_event() == pop3.MessageAborted(command=command)
    assert inside.next_event() == pop3.ConnectionEnded()


def test_without_pipelining_commands_wait_for_each_other(inside: ClientConnection) -> None:
    inside.retrieve(1)
    inside.delete(1)
    inside.noop()
    inside.reset()
    assert inside.data_to_send() == b"RETR 1\r\n"
    assert inside.outstanding == 4
    hear(inside, b"+OK\r\n.\r\n")
    assert inside.data_to_send() == b"DELE 1\r\n"
    hear(inside, b"+OK\r\n")
    assert inside.data_to_send() == b"NOOP\r\n"


def test_with_pipelining_they_do_not(inside: ClientConnection) -> None:
    inside.capa()
    inside.stat()
    assert inside.data_to_send() == b"CAPA\r\n"
    hear(inside, b"+OK\r\nPIPELINING\r\n.\r\n")
    inside.retrieve(1)
    inside.quit()
    assert inside.data_to_send() == b"STAT\r\nRETR 1\r\nQUIT\r\n"
    events = hear(inside, b"+OK 1 1\r\n+OK\r\nx\r\n.\r\n+OK bye\r\n")
    assert [type(event) for event in events] == [
        pop3.StatReceived,
        pop3.MessageChunk,
        pop3.MessageReceived,
        pop3.CommandAccepted,
        pop3.ConnectionEnded,
    ]


def test_languages_are_listed_and_chosen(inside: ClientConnection) -> None:
    inside.lang()
    (event,) = hear(inside, b"+OK\r\nen English\r\nsv Svenska spr\xc3\xa5ket\r\n.\r\n")
    assert isinstance(event, pop3.LanguagesReceived)
    assert [language.tag for language in event.languages] == ["en", "sv"]
    inside.lang("sv")
    assert inside.data_to_send() == b"LANG\r\nLANG sv\r\n"
    (event2,) = hear(inside, b"+OK sv ja\r\n")
    assert isinstance(event2, pop3.CommandAccepted)


def test_a_failed_quit_is_told(inside: ClientConnection) -> None:
    inside.quit()
    (event, end) = hear(inside, b"-ERR some deleted messages not removed\r\n")
    assert isinstance(event, pop3.CommandRefused)
    assert end == pop3.ConnectionEnded()


def test_nothing_follows_quit(inside: ClientConnection) -> None:
    inside.quit()
    with pytest.raises(LocalProtocolError, match="QUIT was the last"):
        inside.stat()


def test_utf8_is_a_mode_before_login(conn: ClientConnection) -> None:
    conn.utf8()
    with pytest.raises(LocalProtocolError, match="has to wait"):
        conn.capa()
    (event,) = hear(conn, b"+OK\r\n")
    assert isinstance(event, pop3.CommandAccepted)
    assert conn.state is State.AUTHORIZATION


def test_commands_of_another_state_are_your_mistake(
    conn: ClientConnection,
) -> None:
    wrong: list[Callable[[], object]] = [
        conn.stat,
        lambda: conn.retrieve(1),
        conn.noop,
        lambda: conn.respond(b""),
        conn.cancel,
    ]
    for call in wrong:
        with pytest.raises(LocalProtocolError):
            call()
    conn.close()
    assert conn.closing
    with pytest.raises(LocalProtocolError):
        conn.quit()


def test_commands_that_wait_are_counted(conn: ClientConnection) -> None:
    small = ClientConnection(tls=TLSInfo(), limits=Limits(outstanding=2))
    hear(small, GREETING)
    small.capa()
    small.capa()
    with pytest.raises(LocalProtocolError, match="unanswered"):
        small.capa()
    with pytest.raises(LocalProtocolError, match="has to wait"):
        small.login("a", "b")


def test_the_end_without_an_answer_ends(inside: ClientConnection) -> None:
    inside.list()
    hear(inside, b"+OK\r\n1 1\r\n")
    assert inside.buffered == 5
    inside.receive_eof()
    assert inside.next_event() == pop3.ConnectionEnded()
    with pytest.raises(LocalProtocolError):
        inside.receive_data(b"")


@pytest.mark.parametrize(
    ("issue", "answer"),
    [
        (lambda c: c.stat(), b"+OK many few\r\n"),
        (lambda c: c.stat(), b"+OK -1 5\r\n"),
        (lambda c: c.stat(), b"OK 1 5\r\n"),
        (lambda c: c.stat(), b"+ YQ==\r\n"),
        (lambda c: c.list(), b"+OK\r\n1\r\n.\r\n"),
        (lambda c: c.list(1), b"+OK\r\n"),
        (lambda c: c.uidl(), b"+OK\r\n1 a b\r\n.\r\n"),
        (lambda c: c.uidl(), b"+OK\r\n1 " + b"x" * 71 + b"\r\n.\r\n"),
        (lambda c: c.lang(), b"+OK\r\nno_tag x\r\n.\r\n"),
        (lambda c: c.noop(), b"+OK\r\n+OK again\r\n"),
        (lambda c: c.noop(), b"x" * 3000),
    ],
)
def test_a_server_that_makes_no_sense_is_left(
    inside: ClientConnection,
    issue: Callable[[ClientConnection], object],
    answer: bytes,
) -> None:
    issue(inside)
    with pytest.raises(RemoteProtocolError) as caught:
        hear(inside, answer)
    assert caught.value.reply == b""
    assert inside.closing
    assert inside.next_event() == pop3.ConnectionEnded()


def test_a_challenge_that_is_not_base64_ends(conn: ClientConnection) -> None:
    conn.auth("PLAIN")
    with pytest.raises(RemoteProtocolError, match="base64"):
        hear(conn, b"+ not base64\r\n")


def test_what_nobody_asked_for_ends(inside: ClientConnection) -> None:
    with pytest.raises(RemoteProtocolError, match="Autologout"):
        hear(inside, b"-ERR Autologout\r\n")
