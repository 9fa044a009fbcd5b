"""The server's side, command by command."""

from __future__ import annotations

import pytest

import corvus_pop3 as pop3
from corvus_pop3 import (
    NEED_DATA,
    PAUSED,
    Limits,
    LocalProtocolError,
    Policy,
    RemoteProtocolError,
    ResponseCode,
    ServerConnection,
    State,
    TLSInfo,
)

OPEN = Policy(require_tls=False, stls=True, mechanisms=("PLAIN", "SCRAM-SHA-256"))
SIZES, UIDS = [120, 200, 300], ["whqtswO00WBw418f9t5JxYwZ", "QhdPYR:00WBw1Ph7x7", "~"]


def say(conn: ServerConnection, text: bytes) -> pop3.Event | pop3.Wait:
    """Feed *text* and pull one event."""
    conn.receive_data(text)
    return conn.next_event()


def replies(conn: ServerConnection, text: bytes) -> bytes:
    """Feed *text*, pull what owes nothing, return what was written."""
    conn.receive_data(text)
    while not isinstance(conn.next_event(), pop3.Wait | pop3.ConnectionEnded):
        pass
    return conn.data_to_send()


@pytest.fixture
def conn() -> ServerConnection:
    """Greeted, in AUTHORIZATION."""
    conn = ServerConnection(OPEN)
    assert conn.data_to_send() == b"+OK POP3 server ready\r\n"
    return conn


@pytest.fixture
def inside(conn: ServerConnection) -> ServerConnection:
    """In TRANSACTION, with three messages."""
    say(conn, b"USER alice\r\nPASS secret\r\n")
    conn.open(sizes=SIZES, uids=UIDS)
    conn.data_to_send()
    return conn


# Who are you?


def test_user_and_pass_are_one_offer(conn: ServerConnection) -> None:
    event = say(conn, b"USER alice\r\nPASS  two  words \r\n")
    assert event == pop3.LoginOffered(user="alice", password=" two  words ")
    assert conn.next_event() is PAUSED
    conn.open(sizes=SIZES, uids=UIDS)
    assert conn.data_to_send() == b"+OK send PASS\r\n+OK maildrop has 3 messages (620 octets)\r\n"
    assert conn.state is State.TRANSACTION


def test_pass_without_user_just_before_is_refused(conn: ServerConnection) -> None:
    assert replies(conn, b"PASS x\r\n").startswith(b"-ERR")
    assert replies(conn, b"USER a\r\nCAPA\r\nPASS x\r\n").endswith(b".\r\n-ERR not now\r\n")
    assert replies(conn, b"USER a\r\nFOO\r\nPASS x\r\n").count(b"-ERR") == 2


def test_a_rejected_login_may_be_tried_again(conn: ServerConnection) -> None:
    say(conn, b"USER a\r\nPASS x\r\n")
    conn.reject("no luck")
    assert conn.data_to_send().endswith(b"-ERR [AUTH] no luck\r\n")
    assert isinstance(say(conn, b"USER b\r\nPASS y\r\n"), pop3.LoginOffered)


@pytest.mark.parametrize("code", ResponseCode)
def test_a_code_brings_its_own_words(conn: ServerConnection, code: ResponseCode) -> None:
    say(conn, b"USER a\r\nPASS x\r\n")
    conn.data_to_send()
    conn.reject(code=code)
    reply = conn.data_to_send()
    assert reply.startswith(f"-ERR [{code.value}] ".encode())
    assert len(reply) > len(code.value) + 12


def test_utf8_names_are_taken_where_they_are_offered(conn: ServerConnection) -> None:
    event = say(conn, "USER jürgen\r\nPASS pässwörd\r\n".encode())
    assert event == pop3.LoginOffered(user="jürgen", password="pässwörd")
    conn.reject()
    assert b"-ERR" in replies(conn, b"USER \xff\r\n")
    ascii_only = ServerConnection(Policy(require_tls=False, utf8_user=False))
    assert b"-ERR" in replies(ascii_only, "USER jürgen\r\n".encode())


def test_a_password_that_is_not_utf8_forgets_the_name(conn: ServerConnection) -> None:
    assert b"-ERR" in replies(conn, b"USER a\r\nPASS \xff\r\n")
    assert conn.state is State.AUTHORIZATION


def test_user_may_be_switched_off() -> None:
    conn = ServerConnection(Policy(require_tls=False, user=False, utf8=False, languages=()))
    assert replies(conn, b"USER a\r\nUTF8\r\nLANG\r\nSTLS\r\nAUTH PLAIN\r\n").count(b"-ERR") == 5
    assert replies(conn, b"CAPA\r\n") == (
        b"+OK capability list follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n.\r\n"
    )


def test_apop_is_off_unless_a_timestamp_is_given(conn: ServerConnection) -> None:
    digest = pop3.apop_digest("<1@x.example>", "s").encode()
    assert replies(conn, b"APOP alice " + digest + b"\r\n") == b"-ERR not offered\r\n"
    with_apop = ServerConnection(OPEN, timestamp="<1@x.example>")
    assert with_apop.data_to_send() == b"+OK POP3 server ready <1@x.example>\r\n"
    event = say(with_apop, b"APOP al ice " + digest + b"\r\n")
    assert isinstance(event, pop3.ApopOffered)
    assert event.user == "al ice"
    assert event.matches("s")
    assert not event.matches("t")
    with_apop.open(sizes=[], uids=[])
    assert with_apop.state is State.TRANSACTION


@pytest.mark.parametrize(
    "timestamp", ["", "x", "<x>", "<a@b", "<a@b>\r\n", "<a b@c>", "<ä@c>", "<a@b@c>"]
)
def test_a_timestamp_is_a_message_identifier(timestamp: str) -> None:
    with pytest.raises(LocalProtocolError):
        ServerConnection(OPEN, timestamp=timestamp)


def test_auth_is_a_dialogue_of_octets(conn: ServerConnection) -> None:
    assert say(conn, b"AUTH scram-sha-256\r\n") == pop3.AuthStarted(
        mechanism="SCRAM-SHA-256", initial=None
    )
    conn.challenge(b"")
    assert conn.data_to_send() == b"+ \r\n"
    assert conn.state is State.SASL
    assert say(conn, b"YWJj\r\n") == pop3.AuthResponse(response=b"abc")
    assert conn.next_event() is PAUSED
    conn.challenge(b"more")
    assert say(conn, b"\r\n") == pop3.AuthResponse(response=b"")
    conn.open(sizes=[], uids=[], text="welcome")
    assert conn.data_to_send() == b"+ bW9yZQ==\r\n+OK welcome\r\n"


def test_an_empty_initial_response_is_not_the_same_as_none(conn: ServerConnection) -> None:
    assert say(conn, b"AUTH PLAIN =\r\n") == pop3.AuthStarted(mechanism="PLAIN", initial=b"")
    conn.reject()
    assert say(conn, b"AUTH PLAIN AGEAYg==\r\n") == pop3.AuthStarted(
        mechanism="PLAIN", initial=b"\0a\0b"
    )
    conn.reject("unavailable", code=ResponseCode.SYS_TEMP)
    assert conn.state is State.AUTHORIZATION
    assert conn.data_to_send().endswith(b"-ERR [SYS/TEMP] unavailable\r\n")


def test_a_failed_exchange_ends(conn: ServerConnection) -> None:
    say(conn, b"AUTH PLAIN\r\n")
    conn.challenge(b"")
    say(conn, b"AGEAYg==\r\n")
    conn.reject()
    assert conn.state is State.AUTHORIZATION


# What have you got?


def test_stat_list_and_uidl_are_answered_from_the_snapshot(inside: ServerConnection) -> None:
    assert replies(inside, b"STAT\r\n") == b"+OK 3 620\r\n"
    assert replies(inside, b"LIST\r\n") == (
        b"+OK 3 messages (620 octets)\r\n1 120\r\n2 200\r\n3 300\r\n.\r\n"
    )
    assert replies(inside, b"LIST 2\r\n") == b"+OK 2 200\r\n"
    assert replies(inside, b"UIDL\r\n").endswith(b"\r\n2 QhdPYR:00WBw1Ph7x7\r\n3 ~\r\n.\r\n")
    assert replies(inside, b"UIDL 3\r\n") == b"+OK 3 ~\r\n"


def test_an_empty_maildrop_is_listed(conn: ServerConnection) -> None:
    say(conn, b"USER a\r\nPASS b\r\n")
    conn.open(sizes=[], uids=[])
    conn.data_to_send()
    assert replies(conn, b"LIST\r\nSTAT\r\n") == b"+OK 0 messages (0 octets)\r\n.\r\n+OK 0 0\r\n"


def test_events_tell_what_was_answered(inside: ServerConnection) -> None:
    inside.receive_data(
        b"STAT\r\nLIST\r\nLIST 1\r\nUIDL\r\nUIDL 1\r\nNOOP\r\nDELE 1\r\nRSET\r\nCAPA\r\nLANG\r\nLANG EN\r\n"
    )
    events = []
    while not isinstance(event := inside.next_event(), pop3.Wait):
        events.append(event)
    assert events == [
        pop3.StatRequested(),
        pop3.ListRequested(number=None),
        pop3.ListRequested(number=1),
        pop3.UidlRequested(number=None),
        pop3.UidlRequested(number=1),
        pop3.NoopRequested(),
        pop3.DeleteRequested(number=1, uid=UIDS[0]),
        pop3.ResetRequested(),
        pop3.CapabilitiesRequested(),
        pop3.LanguageRequested(tag=None),
        pop3.LanguageRequested(tag="EN"),
    ]


def test_a_long_listing_comes_in_slices() -> None:
    conn = ServerConnection(OPEN, limits=Limits(listing_slice=2))
    say(conn, b"USER a\r\nPASS b\r\n")
    conn.open(sizes=[1, 2, 3, 4], uids=list("abcd"))
    conn.data_to_send()
    assert say(conn, b"LIST\r\nQUIT\r\n") == pop3.ListRequested(number=None)
    assert conn.data_to_send() == b"+OK 4 messages (10 octets)\r\n1 1\r\n2 2\r\n"
    assert conn.next_event() == pop3.ListingContinued()
    assert conn.data_to_send() == b"3 3\r\n4 4\r\n"
    assert conn.next_event() == pop3.ListingContinued()
    assert conn.data_to_send() == b".\r\n"
    assert isinstance(conn.next_event(), pop3.QuitRequested)


def test_retr_streams_what_it_is_given(inside: ServerConnection) -> None:
    assert say(inside, b"RETR 2\r\n") == pop3.RetrieveRequested(number=2, uid=UIDS[1], size=200)
    assert inside.next_event() is PAUSED
    assert inside.chunk(b"Subject: x\n")
    assert inside.data_to_send() == b"+OK 200 octets\r\nSubject: x\r\n"
    assert inside.chunk(b"\n.\n.") is True
    assert inside.data_to_send() == b"\r\n..\r\n.."
    inside.end()
    assert inside.data_to_send() == b"\r\n.\r\n"
    assert inside.next_event() is NEED_DATA


def test_an_empty_message_is_retrieved(inside: ServerConnection) -> None:
    say(inside, b"RETR 1\r\n")
    inside.end()
    assert inside.data_to_send() == b"+OK 120 octets\r\n.\r\n"


def test_a_message_that_cannot_be_read_is_rejected(inside: ServerConnection) -> None:
    say(inside, b"RETR 1\r\n")
    inside.reject(code=ResponseCode.SYS_TEMP)
    assert inside.data_to_send() == b"-ERR [SYS/TEMP] try again later\r\n"
    assert inside.state is State.TRANSACTION
    say(inside, b"TOP 1 0\r\n")
    inside.reject("no")
    assert inside.data_to_send() == b"-ERR no\r\n"


def test_a_message_that_has_begun_cannot_be_rejected(inside: ServerConnection) -> None:
    say(inside, b"RETR 1\r\n")
    inside.chunk(b"x")
    with pytest.raises(LocalProtocolError):
        inside.reject()
    inside.end()


def test_top_says_when_it_has_enough(inside: ServerConnection) -> None:
    assert say(inside, b"TOP 3 1\r\n") == pop3.TopRequested(number=3, uid="~", size=300, lines=1)
    assert inside.chunk(b"A: b\n\none\n") is False
    assert inside.chunk(b"two\n") is False
    inside.end()
    assert inside.data_to_send() == b"+OK top of message follows\r\nA: b\r\n\r\none\r\n.\r\n"


def test_marked_messages_are_gone_for_every_command(inside: ServerConnection) -> None:
    assert replies(inside, b"DELE 2\r\n") == b"+OK message 2 deleted\r\n"
    assert inside.deleted == {2}
    for command in (b"DELE 2", b"RETR 2", b"TOP 2 0", b"LIST 2", b"UIDL 2"):
        assert replies(inside, command + b"\r\n") == b"-ERR message 2 already deleted\r\n"
    assert replies(inside, b"STAT\r\n") == b"+OK 2 420\r\n"
    assert b"2 200" not in replies(inside, b"LIST\r\n")
    assert b"Qhd" not in replies(inside, b"UIDL\r\n")
    assert replies(inside, b"RSET\r\n") == b"+OK maildrop has 3 messages (620 octets)\r\n"
    assert inside.deleted == frozenset()
    assert replies(inside, b"STAT\r\n") == b"+OK 3 620\r\n"


# QUIT.


def test_quit_carries_what_to_delete(inside: ServerConnection) -> None:
    replies(inside, b"DELE 3\r\nDELE 1\r\n")
    assert say(inside, b"QUIT\r\n") == pop3.QuitRequested(delete=(1, 3), uids=(UIDS[0], UIDS[2]))
    assert inside.state is State.UPDATE
    assert inside.data_to_send() == b""
    inside.accept()
    assert inside.data_to_send() == b"+OK signing off (1 messages left)\r\n"
    assert inside.closing
    assert inside.timeout is None


def test_a_failed_update_is_told_and_ends_the_session(inside: ServerConnection) -> None:
    replies(inside, b"DELE 1\r\n")
    say(inside, b"QUIT\r\n")
    inside.reject("some deleted messages not removed", code=ResponseCode.SYS_PERM)
    assert inside.data_to_send() == b"-ERR [SYS/PERM] some deleted messages not removed\r\n"
    assert inside.closing
    assert inside.next_event() == pop3.ConnectionEnded()


def test_quit_before_login_asks_nobody(conn: ServerConnection) -> None:
    assert say(conn, b"QUIT\r\n") == pop3.ConnectionEnded()
    assert conn.data_to_send() == b"+OK signing off\r\n"


# The extensions.


def test_capa_differs_by_state_only_where_the_rfcs_say_so(conn: ServerConnection) -> None:
    before = replies(conn, b"CAPA\r\n").split(b"\r\n")
    say(conn, b"USER a\r\nPASS b\r\n")
    conn.open(sizes=[], uids=[])
    conn.data_to_send()
    after = replies(conn, b"CAPA\r\n").split(b"\r\n")
    assert set(before) - set(after) == {b"STLS"}
    assert b"SASL PLAIN SCRAM-SHA-256" in after
    assert set(after) - set(before) == set()


def test_expire_and_login_delay_may_be_the_users_own() -> None:
    policy = Policy(
        require_tls=False,
        expire=5,
        expire_varies=True,
        login_delay=900,
        login_delay_varies=True,
        implementation="corvus 0.1",
    )
    conn = ServerConnection(policy)
    before = replies(conn, b"CAPA\r\n")
    assert b"EXPIRE 5 USER\r\nLOGIN-DELAY 900 USER\r\nIMPLEMENTATION corvus 0.1\r\n" in before
    say(conn, b"USER a\r\nPASS b\r\n")
    conn.open(sizes=[], uids=[], expire="NEVER", login_delay=60)
    after = replies(conn, b"CAPA\r\n")
    assert b"EXPIRE NEVER\r\nLOGIN-DELAY 60\r\n" in after


def test_lang_chooses_the_language_of_every_text() -> None:
    german = pop3.Language("de", "Deutsch", {pop3.Text.DELETED: "Nachricht {number} gelöscht"})
    conn = ServerConnection(Policy(require_tls=False, languages=(german, pop3.ENGLISH)))
    assert conn.language is pop3.ENGLISH
    conn.data_to_send()
    assert replies(conn, b"LANG\r\n") == (
        b"+OK language listing follows\r\nde Deutsch\r\nen English\r\n.\r\n"
    )
    assert replies(conn, b"LANG fr\r\n") == b"-ERR no such language\r\n"
    assert replies(conn, b"LANG *\r\n") == b"+OK de language changed\r\n"
    assert conn.language is german
    say(conn, b"USER a\r\nPASS b\r\n")
    conn.open(sizes=[1], uids=["x"], text="grüß Gott")
    assert "+OK grüß Gott\r\n".encode() in conn.data_to_send()
    assert replies(conn, b"DELE 1\r\n") == "+OK Nachricht 1 gelöscht\r\n".encode()


def test_utf8_mode_is_known_and_shuts_stls_out(conn: ServerConnection) -> None:
    assert not conn.utf8
    assert say(conn, b"UTF8\r\n") == pop3.Utf8Enabled()
    assert conn.utf8
    conn.data_to_send()
    assert b"\r\nSTLS\r\n" not in replies(conn, b"CAPA\r\n"), "nothing that would be refused"
    assert replies(conn, b"STLS\r\n") == b"-ERR STLS comes before UTF8\r\n"
    say(conn, b"USER a\r\nPASS b\r\n")
    conn.open(sizes=[1], uids=["x"])
    conn.data_to_send()
    assert replies(conn, b"UTF8\r\n").startswith(b"-ERR")


def test_stls_starts_anew(conn: ServerConnection) -> None:
    assert replies(conn, b"LANG en\r\nUSER alice\r\n").count(b"+OK") == 2
    assert say(conn, b"STLS\r\n") == pop3.StlsRequested()
    assert not conn.tls_pending
    conn.accept()
    assert conn.data_to_send() == b"+OK begin TLS negotiation\r\n"
    assert conn.tls_pending
    assert conn.timeout == 60
    assert conn.next_event() is PAUSED
    info = TLSInfo(version="TLSv1.3")
    conn.start_tls(info)
    assert conn.tls is info
    assert conn.timeout == 600
    assert replies(conn, b"PASS x\r\n") == b"-ERR not now\r\n"
    assert replies(conn, b"STLS\r\n") == b"-ERR command not permitted when TLS active\r\n"
    assert b"STLS" not in replies(conn, b"CAPA\r\n")


def test_stls_may_be_refused(conn: ServerConnection) -> None:
    say(conn, b"STLS\r\n")
    conn.reject("no key today", code=ResponseCode.SYS_TEMP)
    assert conn.data_to_send() == b"-ERR [SYS/TEMP] no key today\r\n"
    assert conn.state is State.AUTHORIZATION


# The end of the stream, and close().


def test_what_was_said_before_the_end_still_counts(inside: ServerConnection) -> None:
    inside.receive_data(b"DELE 1\r\nQUIT\r\n")
    inside.receive_eof()
    inside.receive_eof()
    assert isinstance(inside.next_event(), pop3.DeleteRequested)
    assert isinstance(inside.next_event(), pop3.QuitRequested)
    assert inside.next_event() is PAUSED
    inside.accept()
    assert inside.next_event() == pop3.ConnectionEnded()
    assert inside.next_event() == pop3.ConnectionEnded()


def test_octets_after_the_end_are_your_mistake(conn: ServerConnection) -> None:
    conn.receive_eof()
    with pytest.raises(LocalProtocolError):
        conn.receive_data(b"x")


def test_the_end_during_the_handshake_ends(conn: ServerConnection) -> None:
    say(conn, b"STLS\r\n")
    conn.accept()
    conn.receive_eof()
    assert conn.next_event() == pop3.ConnectionEnded()


def test_close_says_why_or_nothing(conn: ServerConnection) -> None:
    conn.close("shutting down", code=ResponseCode.SYS_TEMP)
    assert conn.closing
    assert conn.data_to_send() == b"-ERR [SYS/TEMP] shutting down\r\n"
    assert conn.next_event() == pop3.ConnectionEnded()
    conn.receive_data(b"NOOP\r\n")
    assert conn.buffered == 0
    silent = ServerConnection(OPEN)
    silent.data_to_send()
    silent.close()
    assert silent.data_to_send() == b""


def test_answers_after_close_are_legal_and_go_nowhere(inside: ServerConnection) -> None:
    for command, answer in (
        (b"RETR 1\r\n", lambda conn: (conn.chunk(b"x"), conn.end())),
        (b"RETR 1\r\n", lambda conn: conn.reject()),
        (b"QUIT\r\n", lambda conn: conn.accept()),
    ):
        conn = ServerConnection(OPEN)
        say(conn, b"USER a\r\nPASS b\r\n")
        conn.open(sizes=[1], uids=["a"])
        say(conn, command)
        conn.close("now")
        conn.data_to_send()
        answer(conn)
        assert conn.data_to_send() == b""
        assert conn.closing
    late = ServerConnection(OPEN)
    say(late, b"USER a\r\nPASS b\r\n")
    late.close()
    late.data_to_send()
    late.open(sizes=[], uids=[])
    assert late.closing
    assert late.data_to_send() == b""


def test_answers_nobody_waits_for_are_your_mistake(inside: ServerConnection) -> None:
    for answer in (
        lambda: inside.accept(),
        lambda: inside.reject(),
        lambda: inside.open(sizes=[], uids=[]),
        lambda: inside.challenge(b""),
        lambda: inside.chunk(b""),
        lambda: inside.end(),
        lambda: inside.start_tls(TLSInfo()),
    ):
        with pytest.raises(LocalProtocolError):
            answer()
    assert inside.next_event() is NEED_DATA
    assert inside.data_to_send() == b""


@pytest.mark.parametrize(
    ("sizes", "uids"),
    [
        ([1], []),
        ([-1], ["a"]),
        ([10**18], ["a"]),
        ([10**5000], ["a"]),
        ([1], [""]),
        ([1], ["a b"]),
        ([1, 1], ["a b", ""]),
        ([1, 1], ["a", "b c"]),
        ([1], ["a\r\n2 b"]),
        ([1], ["ä"]),
        ([1], ["x" * 71]),
    ],
)
def test_a_maildrop_that_cannot_be_changes_nothing(
    conn: ServerConnection, sizes: list[int], uids: list[str]
) -> None:
    say(conn, b"USER a\r\nPASS b\r\n")
    with pytest.raises(LocalProtocolError):
        conn.open(sizes=sizes, uids=uids)
    conn.open(sizes=[1], uids=["x" * 70])
    assert conn.state is State.TRANSACTION


def test_what_capa_cannot_announce_is_your_mistake(conn: ServerConnection) -> None:
    say(conn, b"USER a\r\nPASS b\r\n")
    for wrong in ({"expire": -1}, {"login_delay": -1}, {"expire": 10**18}, {"expire": "1\r\n+OK"}):
        with pytest.raises(LocalProtocolError):
            conn.open(sizes=[], uids=[], **wrong)
    assert conn.next_event() is PAUSED


def test_a_text_that_cannot_be_sent_leaves_the_answer_owed(conn: ServerConnection) -> None:
    say(conn, b"USER a\r\nPASS b\r\n")
    with pytest.raises(LocalProtocolError):
        conn.reject("two\r\nlines")
    with pytest.raises(LocalProtocolError):
        conn.open(sizes=[], uids=[], text="ä")
    assert conn.next_event() is PAUSED
    conn.reject("one line")


def test_a_fatal_error_carries_its_reply(conn: ServerConnection) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        say(conn, b"x" * 600)
    assert caught.value.reply == b"-ERR line too long\r\n" == conn.data_to_send()
    assert conn.closing
    assert conn.buffered == 0
