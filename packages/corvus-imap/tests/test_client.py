"""The client engine by dialogue; its octets are the ``C:`` lines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from corvus_imap import (
    NEED_DATA,
    PAUSED,
    ChallengeReceived,
    ClientConnection,
    Code,
    CommandCompleted,
    ConnectionEnded,
    Flag,
    Greeted,
    IdleStarted,
    Limits,
    LocalProtocolError,
    MessageWanted,
    RemoteProtocolError,
    ResponseReceived,
    Secret,
    State,
    TLSInfo,
    responses,
)
from corvus_imap import commands as c
from corvus_imap.extensions.compress import Compress, Deflater
from corvus_imap.types.search import All


def greeted(capabilities: str = "IMAP4rev1", **fields: Any) -> ClientConnection:
    conn = ClientConnection(**fields)
    conn.receive_data(f"* OK [CAPABILITY {capabilities}] hello\r\n".encode())
    assert isinstance(conn.next_event(), Greeted)
    return conn


def logged_in(capabilities: str = "IMAP4rev1", **fields: Any) -> ClientConnection:
    conn = ClientConnection(**fields)
    conn.receive_data(f"* PREAUTH [CAPABILITY {capabilities}] hello\r\n".encode())
    conn.next_event()
    return conn


def events(conn: ClientConnection, octets: bytes) -> list[Any]:
    conn.receive_data(octets)
    found = []
    while (event := conn.next_event()) is not NEED_DATA and event is not PAUSED:
        found.append(event)
        if isinstance(event, ConnectionEnded):
            break
    return found


def test_login_tells_the_state_and_the_new_capabilities() -> None:
    conn = greeted("IMAP4rev1 STARTTLS")
    assert conn.capabilities == frozenset({"IMAP4REV1", "STARTTLS"})
    tag = conn.send(c.Login("alice", Secret(b"secret")))
    assert conn.data_to_send() == b"A1 LOGIN alice secret\r\n"
    [done] = events(conn, b"A1 OK [CAPABILITY IMAP4rev1 IDLE] welcome\r\n")
    assert done.tag == tag
    assert done.condition.kind is responses.Kind.OK
    assert conn.capabilities == frozenset({"IMAP4REV1", "IDLE"})
    assert conn.state is State.AUTHENTICATED
    assert conn.timeout == Limits().idle_timeout


def test_capabilities_that_are_not_told_again_are_forgotten_at_login() -> None:
    conn = greeted()
    conn.send(c.Login("a", Secret(b"b")))
    events(conn, b"A1 OK welcome\r\n")
    assert conn.capabilities is None


def test_commands_are_pipelined_as_far_as_states_allow() -> None:
    conn = greeted()
    conn.send(c.Login("a", Secret(b"b")))
    conn.send(c.Select("INBOX"))
    conn.send(c.Close())
    with pytest.raises(LocalProtocolError):
        conn.send(c.Close())
    assert conn.data_to_send() == b"A1 LOGIN a b\r\nA2 SELECT INBOX\r\nA3 CLOSE\r\n"
    assert conn.timeout == Limits().command_timeout


def test_literals_wait_for_the_server_and_later_commands_wait_behind() -> None:
    conn = greeted()
    conn.send(c.Login("a\n", Secret(b"b\n")))
    conn.send(c.Noop())
    assert conn.data_to_send() == b"A1 LOGIN {2}\r\n"
    assert events(conn, b"+ go\r\n") == []
    assert conn.data_to_send() == b"a\n {2}\r\n"
    assert events(conn, b"+ go\r\n") == []
    assert conn.data_to_send() == b"b\n\r\nA2 NOOP\r\n"


def test_a_literal_that_is_refused_ends_its_command_only() -> None:
    conn = greeted()
    conn.send(c.Login("a\n", Secret(b"b")))
    conn.send(c.Noop())
    conn.data_to_send()
    [done] = events(conn, b"A1 NO [TOOBIG] no\r\n")
    assert done.condition.code == Code("TOOBIG")
    assert conn.data_to_send() == b"A2 NOOP\r\n"


def test_nothing_waits_where_literals_need_no_leave() -> None:
    conn = greeted("IMAP4rev1 LITERAL+")
    conn.send(c.Login("a\n", Secret(b"b\n")))
    assert conn.data_to_send() == b"A1 LOGIN {2+}\r\na\n {2+}\r\nb\n\r\n"
    conn = logged_in("IMAP4rev2")
    conn.append("INBOX", 4096)
    assert conn.data_to_send() == b"A1 APPEND INBOX {4096+}\r\n"
    conn = logged_in("IMAP4rev1 LITERAL-")
    conn.append("INBOX", 4097)
    assert conn.data_to_send() == b"A1 APPEND INBOX {4097}\r\n"


def test_append_streams_its_message_once_it_is_wanted() -> None:
    conn = logged_in()
    tag = conn.append(
        "Entwürfe \n".strip(), 6, flags=["\\Seen"], date=datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
    )
    assert conn.data_to_send() == (
        b'A1 APPEND Entw&APw-rfe (\\Seen) "22-Nov-2026 01:02:03 +0000" {6}\r\n'
    )
    with pytest.raises(LocalProtocolError):
        conn.chunk(b"x")
    assert events(conn, b"+ go\r\n") == [MessageWanted(tag, 6)]
    conn.chunk(b"hel")
    with pytest.raises(LocalProtocolError):
        conn.chunk(b"lo!!")
    conn.chunk(b"lo\r")
    assert conn.data_to_send() == b"hello\r\r\n"
    [done] = events(conn, b"A1 OK [APPENDUID 7 42] done\r\n")
    assert done == CommandCompleted(
        tag,
        None,
        responses.Condition(responses.Kind.OK, "done", Code("APPENDUID", b"7 42"), "A1"),
    )
    for wrong in (0, -1):
        with pytest.raises(LocalProtocolError):
            conn.append("x", wrong)
    with pytest.raises(LocalProtocolError):
        conn.append("a\r\n", 5)


def test_an_answer_in_the_middle_of_a_message_is_out_of_step() -> None:
    conn = logged_in()
    conn.append("INBOX", 6)
    events(conn, b"+ go\r\n")
    conn.receive_data(b"A1 OK already\r\n")
    with pytest.raises(RemoteProtocolError):
        conn.next_event()


def test_idle_holds_everything_back_until_done() -> None:
    conn = logged_in()
    conn.send(c.Idle())
    conn.send(c.Noop())
    with pytest.raises(LocalProtocolError):
        conn.done()
    assert conn.data_to_send() == b"A1 IDLE\r\n"
    assert events(conn, b"+ idling\r\n* 4 EXISTS\r\n") == [
        IdleStarted("A1"),
        ResponseReceived(responses.Exists(4)),
    ]
    conn.done()
    assert conn.data_to_send() == b"DONE\r\nA2 NOOP\r\n"
    [done] = events(conn, b"A1 OK bye\r\n")
    assert done.command == c.Idle()
    with pytest.raises(LocalProtocolError):
        conn.done()


def test_a_server_may_be_silent_as_long_as_idle_lasts() -> None:
    conn = logged_in()
    conn.send(c.Idle())
    assert conn.timeout == Limits().command_timeout
    events(conn, b"+ idling\r\n")
    assert conn.timeout == Limits().idle_timeout
    conn.done()
    assert conn.timeout == Limits().command_timeout


def test_a_charset_that_nobody_knows_is_a_local_mistake() -> None:
    conn = logged_in()
    conn.send(c.Select("INBOX"))
    with pytest.raises(LocalProtocolError):
        conn.send(c.Search(All(), charset="x-none"))


def test_no_password_goes_to_a_server_that_takes_none() -> None:
    conn = greeted("IMAP4rev1 LOGINDISABLED")
    with pytest.raises(LocalProtocolError):
        conn.send(c.Login("a", Secret(b"b")))
    assert conn.data_to_send() == b""


def test_authenticate_answers_challenges_or_cancels() -> None:
    conn = greeted()
    conn.send(c.Authenticate("X", Secret(b"")))
    assert conn.data_to_send() == b"A1 AUTHENTICATE X =\r\n"
    assert events(conn, b"+ Z28=\r\n") == [ChallengeReceived("A1", b"go")]
    assert conn.next_event() is PAUSED
    conn.respond(b"yes")
    assert conn.data_to_send() == b"eWVz\r\n"
    assert events(conn, b"+ what next?\r\n") == [ChallengeReceived("A1", b"")]
    conn.cancel()
    assert conn.data_to_send() == b"*\r\n"
    with pytest.raises(LocalProtocolError):
        conn.respond(b"")
    [done] = events(conn, b"A1 BAD cancelled\r\n")
    assert done.condition.kind is responses.Kind.BAD
    assert conn.state is State.NOT_AUTHENTICATED


def test_starttls_stands_alone_and_starts_anew() -> None:
    conn = greeted()
    conn.send(c.Noop())
    with pytest.raises(LocalProtocolError):
        conn.send(c.StartTLS())
    events(conn, b"A1 OK\r\n")
    conn.data_to_send()
    with pytest.raises(LocalProtocolError):
        conn.start_tls(TLSInfo())
    conn.send(c.StartTLS())
    with pytest.raises(LocalProtocolError):
        conn.send(c.Noop())
    events(conn, b"A2 OK begin\r\n")
    assert conn.tls_pending
    assert conn.next_event() is PAUSED
    conn.start_tls(TLSInfo("TLSv1.3"))
    assert conn.tls == TLSInfo("TLSv1.3")
    assert conn.next_event() is NEED_DATA


def test_compress_deflates_from_the_answer_on() -> None:
    import zlib

    conn = logged_in()
    conn.send(Compress())
    with pytest.raises(LocalProtocolError):
        conn.send(c.Noop())
    conn.data_to_send()
    conn.receive_data(b"A1 OK go\r\n" + Deflater().deflate(b"* 3 EXISTS\r\n"))
    assert isinstance(conn.next_event(), CommandCompleted)
    assert conn.next_event() == ResponseReceived(responses.Exists(3))
    assert conn.next_event() is NEED_DATA
    conn.send(c.Noop())
    assert zlib.decompressobj(-15).decompress(conn.data_to_send()) == b"A2 NOOP\r\n"
    assert conn.buffered == 0
    conn.receive_data(b"\xff" * 10)
    with pytest.raises(RemoteProtocolError):
        conn.next_event()


def test_a_failed_select_leaves_no_mailbox_selected() -> None:
    conn = logged_in()
    conn.send(c.Select("INBOX"))
    events(conn, b"A1 OK [READ-WRITE] done\r\n")
    states = [conn.state]
    conn.send(c.Select("nowhere"))
    events(conn, b"* OK [CLOSED] gone\r\nA2 NO no such mailbox\r\n")
    assert [*states, conn.state] == [State.SELECTED, State.AUTHENTICATED]


def test_enabled_changes_how_names_are_written() -> None:
    conn = logged_in("IMAP4rev1 IMAP4rev2 ENABLE LITERAL+")
    conn.send(c.Enable(("IMAP4rev2",)))
    events(conn, b"* ENABLED IMAP4rev2\r\nA1 OK\r\n")
    assert conn.utf8
    assert conn.enabled == {"IMAP4REV2"}
    conn.data_to_send()
    conn.send(c.Select("Entwürfe"))
    assert conn.data_to_send() == 'A2 SELECT "Entwürfe"\r\n'.encode()
    [listed] = events(conn, '* LIST () "/" "Entwürfe"\r\n'.encode())
    assert listed.response == responses.List("Entwürfe")


def test_logout_ends_and_nothing_follows() -> None:
    conn = greeted()
    conn.send(c.Logout())
    bye, done, end = events(conn, b"* BYE bye\r\nA1 OK done\r\n")
    assert isinstance(bye, ResponseReceived)
    assert isinstance(done, CommandCompleted)
    assert end == ConnectionEnded()
    assert conn.state is State.LOGOUT
    assert conn.timeout is None
    conn.receive_data(b"ignored")
    with pytest.raises(LocalProtocolError):
        conn.send(c.Noop())
    with pytest.raises(LocalProtocolError):
        conn.append("x", 1)


def test_the_end_of_the_stream_is_told_for_ever() -> None:
    conn = greeted()
    conn.receive_eof()
    assert conn.next_event() == ConnectionEnded()
    assert conn.next_event() == ConnectionEnded()
    with pytest.raises(LocalProtocolError):
        conn.receive_data(b"x")
    conn = greeted()
    conn.close()
    assert conn.next_event() == ConnectionEnded()


@pytest.mark.parametrize(
    "greeting",
    [b"* NO go away\r\n", b"* 3 EXISTS\r\n", b"A1 OK hi\r\n", b"+ hi\r\n", b"220 mx\r\n"],
)
def test_what_is_no_greeting_ends_the_session(greeting: bytes) -> None:
    conn = ClientConnection()
    conn.receive_data(greeting)
    with pytest.raises(RemoteProtocolError):
        conn.next_event()
    assert conn.closing


def test_bye_in_place_of_the_greeting_is_told() -> None:
    conn = ClientConnection()
    [bye] = events(conn, b"* BYE [UNAVAILABLE] later\r\n")
    assert bye.response.code == Code("UNAVAILABLE")
    assert conn.state is State.LOGOUT


def test_a_status_text_may_end_like_a_literal() -> None:
    conn = greeted()
    assert events(conn, b"* OK see RFC {5}\r\n* 1 EXISTS\r\n") == [
        ResponseReceived(responses.Condition(responses.Kind.OK, "see RFC {5}")),
        ResponseReceived(responses.Exists(1)),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"* XYZZY 5",
        b"* 5 XYZZY",
        b"* SEARCH a",
        b'* LIST () "/"',
        b"* STATUS x (BOGUS 5)",
        b"* NAMESPACE x y z",
        b"* ESEARCH BOGUS 5",
        b"* 1 FETCH (BOGUS 5)",
        b"* 1 FETCH (THREADID x)",
        b"* FLAGS \\Seen",
        b"* ID x",
        b"* QUOTA x",
        b"* VANISHED x",
        b"* THREAD (1 (2)(3) 4)",
        b"* 5",
        b"*",
    ],
)
def test_untagged_data_that_is_not_understood_passes(line: bytes) -> None:
    conn = greeted()
    if line == b"*":
        conn.receive_data(line + b"\r\n")
        with pytest.raises(RemoteProtocolError):
            conn.next_event()
        return
    [event] = events(conn, line + b"\r\n")
    assert event.response == responses.Unknown(line)


@pytest.mark.parametrize(
    ("line", "response"),
    [
        (b"* CAPABILITY IMAP4rev1 ", responses.Capability(("IMAP4rev1",))),
        (b"* SEARCH ", responses.Search()),
        (b"* SEARCH 1 2 (MODSEQ 5)", responses.Search((1, 2), 5)),
        (b"* STATUS x ()", responses.Status("x", ())),
        (b"* ID NIL", responses.Id()),
        (b"* ID ()", responses.Id()),
        (b'* LIST () "/" x ("future" (a (b c)) "CHILDINFO" ("SUBSCRIBED" "REMOTE"))',
         responses.List("x", "/", (), ("SUBSCRIBED", "REMOTE"))),
        (b'* NAMESPACE (("" "/" "X-PARAM" ("a" "b"))) NIL NIL', responses.Namespace()),
        (b"* QUOTA x ()", responses.Quota("x")),
        (b"* 1 FETCH ()", responses.Fetch(1, ())),
        (b"* 1 FETCH (flags (\\Recent))", responses.Fetch(1, (("FLAGS", (Flag("\\Recent"),)),))),
        (b"* 1 FETCH (BODY[] \"\xe4\")", responses.Fetch(1, (("BODY[]", b"\xe4"),))),
        (b"* OK [UNKNOWN text", responses.Condition(responses.Kind.OK, "[UNKNOWN text")),
        (b"* OK [] text", responses.Condition(responses.Kind.OK, "[] text")),
    ],
)  # fmt: skip
def test_what_servers_really_send_is_understood(line: bytes, response: Any) -> None:
    conn = greeted()
    assert events(conn, line + b"\r\n") == [ResponseReceived(response)]


def test_a_response_knows_its_items() -> None:
    fetch = responses.Fetch.of(1, {"UID": 5})
    assert fetch["UID"] == 5
    assert "UID" in fetch
    assert "FLAGS" not in fetch
    with pytest.raises(KeyError):
        fetch["FLAGS"]
