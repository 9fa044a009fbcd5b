"""The server engine by dialogue: what the client says, what comes of it, what is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from corvus_imap import (
    ALL_CAPABILITIES,
    NEED_DATA,
    PAUSED,
    AppendAborted,
    AppendOffered,
    AppendReceived,
    AuthAborted,
    AuthResponse,
    Code,
    CommandReceived,
    CommandRejected,
    ConnectionEnded,
    Flag,
    IdleDone,
    Limits,
    LiteralChunk,
    LocalProtocolError,
    Policy,
    ProtocolError,
    RemoteProtocolError,
    Secret,
    SequenceSet,
    ServerConnection,
    State,
    TLSInfo,
    codes,
    commands,
    responses,
)
from corvus_testing.transcript import run_transcript

OPEN = Policy(ALL_CAPABILITIES, require_tls=False)


def accept_all(conn: ServerConnection, event: Any) -> None:
    if isinstance(
        event, CommandReceived | AppendOffered | AppendReceived | AuthResponse | IdleDone
    ):
        conn.accept()


def dialogue(
    text: str, answer: Any = accept_all, conn: ServerConnection | None = None, **fields: Any
) -> list[Any]:
    conn = conn or ServerConnection(policy=fields.pop("policy", OPEN), **fields)
    return run_transcript(conn, "S: ...\n" + text, answer, errors=ProtocolError)


def logged_in(**fields: Any) -> ServerConnection:
    conn = ServerConnection(policy=fields.pop("policy", OPEN), **fields)
    conn.receive_data(b"L LOGIN alice secret\r\n")
    conn.next_event()
    conn.ok()
    conn.data_to_send()
    return conn


def selected(**fields: Any) -> ServerConnection:
    conn = logged_in(**fields)
    conn.receive_data(b"S SELECT INBOX\r\n")
    conn.next_event()
    conn.ok()
    conn.data_to_send()
    return conn


def test_the_greeting_tells_the_capabilities_and_waits_for_the_first_pull() -> None:
    conn = ServerConnection("hello", policy=Policy(("IMAP4rev1", "IDLE"), starttls=True))
    assert conn.data_to_send() == b""
    assert conn.next_event() is NEED_DATA
    assert conn.data_to_send() == b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hello\r\n"


def test_preauth_greets_so_and_is_authenticated() -> None:
    conn = ServerConnection("hello", policy=Policy(("IMAP4rev1", "IDLE")), preauth=True)
    conn.next_event()
    assert conn.data_to_send() == b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hello\r\n"
    assert conn.state is State.AUTHENTICATED


def test_a_full_house_is_told_with_bye_in_place_of_the_greeting() -> None:
    conn = ServerConnection()
    conn.close("too many connections", "UNAVAILABLE")
    assert conn.data_to_send() == b"* BYE [UNAVAILABLE] too many connections\r\n"
    assert conn.next_event() == ConnectionEnded()


def test_login_select_and_logout_pass_through_the_states() -> None:
    conn = ServerConnection(policy=Policy(("IMAP4rev1", "UNSELECT"), require_tls=False))
    events = dialogue(
        r"""
        C: a1 login Alice "p\\"x"
        S: a1 OK [CAPABILITY IMAP4rev1 UNSELECT] LOGIN completed
        C: a2 select inbox
        S: a2 OK [READ-WRITE] SELECT completed
        C: a3 EXAMINE Entw&APw-rfe
        S: * OK [CLOSED] the mailbox that was selected is closed
        S: a3 OK [READ-ONLY] EXAMINE completed
        C: a4 unselect
        S: a4 OK UNSELECT completed
        C: a5 LOGOUT
        S: * BYE logging out
        S: a5 OK LOGOUT completed
        """,
        conn=conn,
    )
    assert [event.command for event in events[:-1]] == [
        commands.Login("Alice", Secret(b'p"x')),
        commands.Select("INBOX"),
        commands.Select("Entwürfe", read_only=True),
        commands.Unselect(),
        commands.Logout(),
    ]
    assert events[-1] == ConnectionEnded()
    assert conn.state is State.LOGOUT
    assert conn.timeout is None


def test_a_failed_select_leaves_no_mailbox_selected() -> None:
    conn = selected()
    conn.receive_data(b"a SELECT nowhere\r\n")
    conn.next_event()
    conn.no("NONEXISTENT", "no such mailbox")
    assert conn.data_to_send().endswith(b"a NO [NONEXISTENT] no such mailbox\r\n")
    assert conn.state is State.AUTHENTICATED


def test_pipelined_commands_come_one_by_one_and_answers_go_out_together() -> None:
    conn = selected()
    conn.receive_data(b"a STORE 1 +FLAGS (\\Deleted)\r\nb EXPUNGE\r\nc NOOP\r\n")
    first = conn.next_event()
    assert isinstance(first, CommandReceived)
    assert isinstance(first.command, commands.Store)
    assert conn.next_event() is PAUSED
    conn.ok()
    second = conn.next_event()
    assert isinstance(second, CommandReceived)
    assert second.command == commands.Expunge()
    conn.send(responses.Expunge(1))
    conn.ok()
    conn.next_event()
    conn.ok()
    assert conn.data_to_send() == (
        b"a OK STORE completed\r\n* 1 EXPUNGE\r\nb OK EXPUNGE completed\r\nc OK NOOP completed\r\n"
    )


def test_a_synchronizing_literal_is_asked_for_and_becomes_part_of_the_command() -> None:
    events = dialogue(
        r"""
        C: a1 LOGIN {5}
        S: + Ready for the literal
        C: alice {6+}
        C: secret
        S: ...
        """
    )
    assert events == [CommandReceived("a1", commands.Login("alice", Secret(b"secret")))]


def test_append_offers_the_message_and_streams_it() -> None:
    conn = logged_in()
    conn.receive_data(b'a APPEND Sent (\\Seen $Forwarded) " 7-Feb-1994 21:52:25 -0800" {12}\r\n')
    assert conn.next_event() == AppendOffered(
        "a",
        "Sent",
        12,
        (Flag("\\Seen"), Flag("$Forwarded")),
        datetime(1994, 2, 7, 21, 52, 25, tzinfo=timezone(timedelta(hours=-8))),
    )
    assert conn.data_to_send() == b""
    conn.accept()
    assert conn.data_to_send() == b"+ Ready for the message\r\n"
    conn.receive_data(b"hello ")
    assert conn.next_event() == LiteralChunk(b"hello ")
    assert conn.next_event() is NEED_DATA
    conn.receive_data(b"world!\r")
    assert conn.next_event() == LiteralChunk(b"world!")
    assert conn.next_event() is NEED_DATA
    conn.receive_data(b"\nb NOOP\r\n")
    assert conn.next_event() == AppendReceived("a", 1)
    conn.ok(codes.append_uid(7, [42]))
    assert conn.data_to_send() == b"a OK [APPENDUID 7 42] APPEND completed\r\n"
    assert conn.next_event() == CommandReceived("b", commands.Noop())


def test_multiappend_offers_each_message_and_answers_once() -> None:
    events = dialogue(
        r"""
        C: l LOGIN a b
        S: ...
        C: a APPEND {5}
        S: + Ready for the literal
        C: inbox {3+}
        C: one (\\Seen) {3}
        S: + Ready for the message
        C: two
        S: a OK APPEND completed
        """
    )
    assert events[1:] == [
        AppendOffered("a", "INBOX", 3),
        LiteralChunk(b"one"),
        AppendOffered("a", "INBOX", 3, (Flag("\\Seen"),), index=1),
        LiteralChunk(b"two"),
        AppendReceived("a", 2),
    ]


def test_a_refused_message_is_not_asked_for_and_the_connection_is_in_step() -> None:
    def refuse(conn: ServerConnection, event: Any) -> None:
        if isinstance(event, AppendOffered):
            conn.no("OVERQUOTA", "full")
        else:
            accept_all(conn, event)

    events = dialogue(
        r"""
        C: l LOGIN a b
        S: ...
        C: a APPEND INBOX {300}
        S: a NO [OVERQUOTA] full
        C: b APPEND INBOX {9+}
        C: b2 NOOP\r\n {2+}
        C: xx
        S: b NO [OVERQUOTA] full
        C: c NOOP
        S: c OK NOOP completed
        """,
        refuse,
    )
    assert [type(event) for event in events] == [
        CommandReceived,
        AppendOffered,
        AppendOffered,
        CommandReceived,
    ]


def test_an_append_that_goes_wrong_behind_a_message_is_aborted() -> None:
    events = dialogue(
        r"""
        C: l LOGIN a b
        S: ...
        C: a APPEND INBOX {3+}
        C: one nonsense
        S: a BAD the command should end behind the message
        C: b APPEND INBOX {3+}
        C: one (\\Seen {3}
        S: b BAD a flag expected
        C: c APPEND INBOX {3+}
        C: one {0}
        S: c NO a message is not empty
        C: d NOOP
        S: d OK NOOP completed
        """
    )
    assert [event for event in events if isinstance(event, AppendAborted)] == [
        AppendAborted("a", "the command should end behind the message"),
        AppendAborted("b", "a flag expected"),
        AppendAborted("c", "a message is not empty"),
    ]


def test_the_end_of_the_stream_inside_a_message_aborts_it() -> None:
    conn = logged_in()
    conn.receive_data(b"a APPEND INBOX {10+}\r\nhel")
    conn.next_event()
    conn.accept()
    assert conn.next_event() == LiteralChunk(b"hel")
    conn.receive_eof()
    conn.receive_eof()
    assert conn.next_event() == AppendAborted("a", "the connection ended")
    assert conn.next_event() == ConnectionEnded()
    assert conn.next_event() == ConnectionEnded()
    with pytest.raises(LocalProtocolError):
        conn.receive_data(b"x")


def test_utf8_append_wraps_its_literal() -> None:
    events = dialogue(
        r"""
        C: l LOGIN a b
        S: ...
        C: e ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: e OK ENABLE completed
        C: a APPEND "Entw\xc3\xbcrfe" UTF8 (~{4+}
        C: a\xc3\xa4b)
        S: a OK APPEND completed
        C: b APPEND x UTF8 ({4+}
        C: abcd)
        S: b BAD UTF8 needs a literal8 and UTF8=ACCEPT
        """
    )
    assert events[2] == AppendOffered("a", "Entwürfe", 4, binary=True, utf8=True)


def test_idle_pushes_until_done() -> None:
    conn = selected()
    conn.receive_data(b"a IDLE\r\n")
    assert conn.next_event() == CommandReceived("a", commands.Idle())
    with pytest.raises(LocalProtocolError):
        conn.ok()
    conn.accept()
    assert conn.idling
    assert conn.next_event() is NEED_DATA
    conn.push(responses.Exists(4), responses.Expunge(1))
    assert conn.data_to_send() == b"+ idling\r\n* 4 EXISTS\r\n* 1 EXPUNGE\r\n"
    conn.receive_data(b"done\r\n")
    assert conn.next_event() == IdleDone("a")
    conn.ok()
    assert conn.data_to_send() == b"a OK IDLE completed\r\n"
    assert not conn.idling


def test_idle_that_ends_in_something_else_is_bad_whatever_is_answered() -> None:
    events = dialogue(
        """
        C: l LOGIN a b
        S: ...
        C: a IDLE
        S: + idling
        C: b NOOP
        S: a BAD DONE expected
        C: c NOOP
        S: c OK NOOP completed
        """
    )
    assert IdleDone("a", clean=False) in events


def test_authenticate_exchanges_octets_and_tells_nothing_from_empty() -> None:
    seen: list[object] = []

    def answer(conn: ServerConnection, event: Any) -> None:
        match event:
            case CommandReceived(command=commands.Authenticate() as command):
                seen.append(command.initial)
                conn.challenge(b"" if command.initial is None else b"go on")
            case AuthResponse(data=data):
                seen.append(data.reveal())
                conn.ok()

    policy = Policy(("IMAP4rev1", "SASL-IR"), ("PLAIN", "X"), require_tls=False)
    dialogue(
        r"""
        C: a authenticate plain
        S: +\x20
        C: AGEAYg==
        S: a OK [CAPABILITY IMAP4rev1 SASL-IR] AUTHENTICATE completed
        """,
        answer,
        policy=policy,
    )
    dialogue(
        """
        C: a AUTHENTICATE X =
        S: + Z28gb24=
        C:
        S: a OK [CAPABILITY IMAP4rev1 SASL-IR] AUTHENTICATE completed
        """,
        answer,
        policy=policy,
    )
    assert seen == [None, b"\0a\0b", Secret(b""), b""]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("*", "cancelled"),
        ("====", "the response is not base64"),
        ("a b", "the response is not base64"),
    ],
)
def test_a_cancelled_or_garbled_exchange_is_bad(line: str, reason: str) -> None:
    def answer(conn: ServerConnection, event: Any) -> None:
        if isinstance(event, CommandReceived):
            conn.challenge(b"x")

    events = dialogue(f"C: a AUTHENTICATE PLAIN\nS: + eA==\nC: {line}\nS: a BAD {reason}\n", answer)
    assert events[1] == AuthAborted("a", reason)


def test_what_the_policy_does_not_offer_is_refused_by_the_engine() -> None:
    dialogue(
        """
        C: a LOGIN a b
        S: a NO [PRIVACYREQUIRED] TLS first: STARTTLS
        C: b AUTHENTICATE PLAIN
        S: b NO [PRIVACYREQUIRED] TLS first: STARTTLS
        C: c STARTTLS
        S: c BAD TLS is active or not offered
        C: d CAPABILITY
        S: * CAPABILITY IMAP4rev1 LOGINDISABLED
        S: d OK CAPABILITY completed
        """,
        policy=Policy(("IMAP4rev1",)),
    )
    dialogue(
        """
        C: a AUTHENTICATE CRAM-MD5
        S: a NO that mechanism is not offered
        C: b AUTHENTICATE PLAIN AGEAYg==
        S: b BAD an initial response needs SASL-IR
        C: c LOGIN a b
        S: ...
        C: d IDLE
        S: d BAD unknown command
        C: e UID EXPUNGE 1
        S: e BAD unknown command
        C: f LIST () "" *
        S: f BAD a string expected
        """.replace("a string expected", "a mailbox name expected"),
        policy=Policy(("IMAP4rev1",), require_tls=False),
    )


def test_enable_tells_what_is_new_and_changes_what_search_means() -> None:
    conn = logged_in()
    events = run_transcript(
        conn,
        """
        C: a ENABLE qresync X-GOOD-IDEA IDLE
        S: * ENABLED QRESYNC
        S: a OK ENABLE completed
        C: b ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: b OK ENABLE completed
        C: c SELECT "Entw\\xc3\\xbcrfe"
        S: c OK [READ-WRITE] SELECT completed
        C: d SEARCH UNSEEN
        S: d OK SEARCH completed
        """,
        accept_all,
    )
    assert conn.enabled == {"QRESYNC", "CONDSTORE", "IMAP4rev2"}
    assert (conn.qresync, conn.condstore, conn.rev2, conn.utf8) == (True, True, True, True)
    assert events[2].command == commands.Select("Entwürfe")
    assert events[3].command.returns == frozenset()
    conn.push(responses.Recent(3))
    assert conn.data_to_send() == b""


@pytest.mark.parametrize(
    "line",
    [
        b"SELECT x (CONDSTORE)",
        b"STATUS x (HIGHESTMODSEQ)",
        b"FETCH 1 (MODSEQ)",
        b"FETCH 1 FLAGS (CHANGEDSINCE 5)",
        b"STORE 1 (UNCHANGEDSINCE 5) FLAGS ()",
        b"SEARCH OR NOT (MODSEQ 5) ALL ALL",
        b"SEARCH OR ALL MODSEQ 5",
    ],
)
def test_a_command_that_names_mod_sequences_makes_the_client_aware(line: bytes) -> None:
    conn = selected()
    assert not conn.condstore
    conn.receive_data(b"a " + line + b"\r\n")
    conn.next_event()
    assert conn.condstore


def test_qresync_must_be_enabled_before_it_is_used() -> None:
    dialogue(
        """
        C: l LOGIN a b
        S: ...
        C: a SELECT INBOX (QRESYNC (1 5))
        S: a BAD QRESYNC is not enabled
        C: b SELECT INBOX
        S: ...
        C: c UID FETCH 1:* FLAGS (CHANGEDSINCE 5 VANISHED)
        S: c BAD QRESYNC is not enabled
        C: d FETCH 1:* FLAGS (CHANGEDSINCE 5 VANISHED)
        S: d BAD VANISHED needs UID FETCH and CHANGEDSINCE
        """
    )


def test_expunge_is_refused_where_it_would_change_what_numbers_mean() -> None:
    conn = selected()
    with pytest.raises(LocalProtocolError):
        conn.push(responses.Expunge(1))
    conn.push(responses.Vanished(SequenceSet.of([1]), earlier=True))
    for line, fine in [
        (b"FETCH 1 FLAGS", False),
        (b"STORE 1 FLAGS ()", False),
        (b"SEARCH ALL", False),
        (b"UID FETCH 1 FLAGS", True),
        (b"NOOP", True),
    ]:
        conn.receive_data(b"a " + line + b"\r\n")
        conn.next_event()
        if fine:
            conn.send(responses.Expunge(1))
        else:
            with pytest.raises(LocalProtocolError):
                conn.send(responses.Expunge(1))
            with pytest.raises(LocalProtocolError):
                conn.send(responses.Vanished(SequenceSet.of([1])))
        conn.ok()


def test_expunge_waits_until_an_append_has_come_in() -> None:
    # "a command is not "in progress" during the negotiation of command continuation" (RFC 9051 §7.5.1).
    conn = selected()
    conn.receive_data(b"a APPEND INBOX {2}\r\n")
    conn.next_event()
    with pytest.raises(LocalProtocolError):
        conn.push(responses.Expunge(1))
    conn.accept()
    conn.receive_data(b"x")
    conn.next_event()
    with pytest.raises(LocalProtocolError):
        conn.push(responses.Expunge(1))
    conn.receive_data(b"y\r\n")
    while not isinstance(conn.next_event(), AppendReceived):
        pass
    conn.push(responses.Expunge(1))
    conn.ok()


def test_a_large_body_goes_out_in_chunks_inside_a_raw_line() -> None:
    conn = selected()
    conn.receive_data(b"a FETCH 1 BODY[]\r\n")
    conn.next_event()
    conn.send_raw(b"* 1 FETCH (BODY[] ")
    wrongs: tuple[Callable[[], object], ...] = (
        conn.ok,
        conn.no,
        lambda: conn.push(responses.Exists(1)),
    )
    for wrong in wrongs:
        with pytest.raises(LocalProtocolError):
            wrong()
    conn.send_literal(5)
    conn.chunk(b"hel")
    assert conn.data_to_send() == b"* 1 FETCH (BODY[] {5}\r\nhel"
    with pytest.raises(LocalProtocolError):
        conn.chunk(b"lo!")
    with pytest.raises(LocalProtocolError):
        conn.send_raw(b")\r\n")
    with pytest.raises(LocalProtocolError):
        conn.send_literal(1)
    conn.chunk(b"lo")
    conn.send_raw(b" FLAGS ())\r\n")
    conn.ok()
    assert conn.data_to_send() == b"lo FLAGS ())\r\na OK FETCH completed\r\n"
    with pytest.raises(LocalProtocolError):
        conn.send_literal(1)
    conn.receive_data(b"b NOOP\r\n")
    conn.next_event()
    conn.send_raw(b"* 1 FETCH (BINARY[] ")
    conn.send_literal(1, binary=True)
    assert conn.data_to_send() == b"* 1 FETCH (BINARY[] ~{1}\r\n"
    conn.close("in the middle")
    assert conn.data_to_send() == b""


def test_starttls_forgets_what_was_learnt_in_clear() -> None:
    conn = ServerConnection(policy=Policy(starttls=True))
    conn.receive_data(b"a STARTTLS\r\n")
    assert conn.next_event() == CommandReceived("a", commands.StartTLS())
    conn.accept()
    assert conn.tls_pending
    assert conn.next_event() is PAUSED
    assert conn.data_to_send().endswith(b"a OK begin TLS now\r\n")
    wrongs: tuple[Callable[[], object], ...] = (
        lambda: conn.receive_data(b"x"),
        lambda: conn.push(responses.Exists(1)),
        lambda: conn.send_raw(b"* x\r\n"),
    )
    for wrong in wrongs:
        with pytest.raises(LocalProtocolError):
            wrong()
    conn.start_tls(TLSInfo(version="TLSv1.3"))
    with pytest.raises(LocalProtocolError):
        conn.start_tls(TLSInfo())
    assert conn.tls == TLSInfo(version="TLSv1.3")
    conn.receive_data(b"b LOGIN a b\r\nc STARTTLS\r\n")
    assert isinstance(conn.next_event(), CommandReceived)
    conn.ok()
    assert isinstance(conn.next_event(), CommandRejected)


def test_compress_deflates_both_ways_from_the_answer_on() -> None:
    import zlib

    conn = logged_in()
    conn.receive_data(b"a COMPRESS DEFLATE\r\n")
    conn.next_event()
    conn.ok()
    out = conn.data_to_send()
    assert out == b"a OK COMPRESS completed\r\n"
    assert "COMPRESS=DEFLATE" not in conn.capabilities
    deflate, inflate = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    for tag in (b"b", b"c"):
        wire = deflate.compress(tag + b" COMPRESS DEFLATE\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH)
        for at in range(len(wire)):
            conn.receive_data(wire[at : at + 1])
            if (pulled := conn.next_event()) is not NEED_DATA:
                event = pulled
        assert event == CommandRejected(tag.decode(), "compressed already")
        told = inflate.decompress(conn.data_to_send())
        assert told == tag + b" NO [COMPRESSIONACTIVE] compressed already\r\n"
    conn.receive_data(b"\xff\xff\xff")
    with pytest.raises(RemoteProtocolError, match="compressed stream"):
        conn.next_event()


def test_what_cannot_be_written_is_your_mistake_and_changes_nothing() -> None:
    conn = selected()
    conn.receive_data(b"a NOOP\r\n")
    conn.next_event()
    wrongs: tuple[Callable[[], object], ...] = (
        lambda: conn.ok("X", "two\r\nlines"),
        lambda: conn.ok("READ WRITE"),
        lambda: conn.no(Code("X"), "nul\0"),
        lambda: conn.send(responses.List("a\r\nb")),
        lambda: conn.send(responses.Capability(("a b",))),
        lambda: conn.challenge(b"x"),
    )
    for wrong in wrongs:
        with pytest.raises(LocalProtocolError):
            wrong()
    assert conn.data_to_send() == b""
    conn.ok()
    wrongs = (
        conn.ok,
        conn.no,
        conn.bad,
        conn.accept,
        lambda: conn.send(responses.Exists(1)),
    )
    for wrong in wrongs:
        with pytest.raises(LocalProtocolError):
            wrong()


def test_an_offered_message_is_accepted_or_refused_and_nothing_else() -> None:
    conn = logged_in()
    conn.receive_data(b"a APPEND INBOX {3}\r\n")
    conn.next_event()
    with pytest.raises(LocalProtocolError):
        conn.ok()
    conn.bad("no")
    assert conn.next_event() is NEED_DATA


def test_the_clock_depends_on_what_is_waited_for() -> None:
    limits = Limits(login_timeout=1, command_timeout=2, idle_timeout=3)
    conn = ServerConnection(policy=OPEN, limits=limits)
    conn.next_event()
    assert conn.timeout == 1
    conn = logged_in(limits=limits)
    assert conn.timeout == 3
    conn.receive_data(b"a NO")
    conn.next_event()
    assert conn.timeout == 2
    conn.receive_data(b"OP\r\na IDLE\r\n")
    conn.next_event()
    conn.ok()
    conn.next_event()
    conn.accept()
    assert conn.timeout == 3


def test_closing_is_idempotent_and_later_answers_go_nowhere() -> None:
    conn = selected()
    conn.close("maintenance")
    conn.close("again")
    assert conn.data_to_send() == b"* BYE maintenance\r\n"
    assert conn.closing
    conn.receive_data(b"x NOOP\r\n")
    assert conn.buffered == 0
    conn.push(responses.Exists(1))
    conn.send(responses.Exists(1))
    conn.send_raw(b"* 1 EXISTS\r\n")
    conn.send_literal(5)
    conn.chunk(b"hello")
    for late in (conn.ok, conn.no, conn.bad, conn.accept):
        late()
    conn.challenge(b"")
    assert conn.data_to_send() == b""


def test_a_greeting_of_two_lines_is_refused_where_it_is_given() -> None:
    with pytest.raises(ValueError, match="one line"):
        ServerConnection("two\r\nlines")


def test_answers_after_the_end_of_the_stream_stay_legal() -> None:
    conn = selected()
    conn.receive_data(b"a NOOP\r\n")
    conn.next_event()
    conn.receive_eof()
    assert conn.next_event() is PAUSED
    conn.ok()
    assert conn.next_event() == ConnectionEnded()


def test_literal_minus_takes_4096_octets_unasked_and_drains_more() -> None:
    policy = Policy(("IMAP4rev1", "LITERAL-"), require_tls=False)
    conn = logged_in(policy=policy)
    conn.receive_data(b"a SELECT {4097+}\r\n" + b"x" * 4097 + b"\r\nb SELECT {5+}\r\ninbox\r\n")
    assert conn.next_event() == CommandRejected("a", "the literal is too long")
    assert conn.next_event() == CommandReceived("b", commands.Select("INBOX"))


def test_without_multiappend_a_second_message_is_bad() -> None:
    policy = Policy(("IMAP4rev1", "LITERAL+"), require_tls=False)
    events = dialogue(
        r"""
        C: l LOGIN a b
        S: ...
        C: a APPEND x {1+}
        C: 1 {1+}
        C: 2
        S: a BAD one message at a time: MULTIAPPEND is not offered
        C: b APPEND x ~{1+}
        C: 1
        S: b BAD a literal8 needs BINARY
        C: c APPEND x
        S: c BAD APPEND needs a mailbox and a literal
        """,
        policy=policy,
    )
    assert isinstance(events[3], AppendAborted)


def test_a_policy_that_contradicts_itself_is_refused() -> None:
    wrongs: tuple[Callable[[], object], ...] = (
        lambda: Policy(("IMAP4rev1", "LITERAL+", "LITERAL-")),
        lambda: Policy(("IMAP4rev1", "QRESYNC")),
        lambda: Policy(("IDLE",)),
        lambda: Policy(("IMAP4rev1", "a b")),
        lambda: Limits(line=0),
    )
    for wrong in wrongs:
        with pytest.raises(ValueError):
            wrong()


def test_messages_behind_a_message_have_their_limits_too() -> None:
    conn = logged_in(limits=Limits(messages=2, line=60))
    conn.receive_data(b"a APPEND x {1+}\r\n1 {1+}\r\n2 {1+}\r\n3\r\n")
    events = []
    while (event := conn.next_event()) is not NEED_DATA:
        events.append(event)
        accept_all(conn, event)
    assert events[-1] == AppendAborted("a", "too many messages")
    conn.receive_data(b"b APPEND x {1+}\r\n1" + b" " * 100 + b"\r\nc NOOP\r\n")
    events = []
    while (event := conn.next_event()) is not NEED_DATA:
        events.append(event)
        accept_all(conn, event)
    assert events[2:] == [
        AppendAborted("b", "the command is too long"),
        CommandReceived("c", commands.Noop()),
    ]
    assert b"* BAD" not in conn.data_to_send()


def test_utf8_messages_follow_each_other() -> None:
    conn = logged_in(limits=Limits(nonsync_literal=10))
    conn.receive_data(b"a APPEND x UTF8 (~{1+}\r\n1) UTF8 (~{1+}\r\n2)\r\n")
    events = []
    while (event := conn.next_event()) is not NEED_DATA:
        events.append(event)
        accept_all(conn, event)
    assert [type(event) for event in events] == [
        AppendOffered, LiteralChunk, AppendOffered, LiteralChunk, AppendReceived
    ]  # fmt: skip


def test_ok_to_starttls_is_accept() -> None:
    conn = ServerConnection(policy=Policy(starttls=True))
    conn.receive_data(b"a STARTTLS\r\n")
    conn.next_event()
    conn.ok()
    assert conn.tls_pending


def test_one_append_behind_the_other_can_be_answered_together() -> None:
    conn = ServerConnection(policy=Policy(require_tls=False), preauth=True)
    conn.next_event()
    conn.data_to_send()
    conn.receive_data(b"a APPEND INBOX {1+}\r\nx\r\nb APPEND INBOX {1+}\r\ny\r\nc NOOP\r\n")
    owed = []
    for _ in range(2):
        assert isinstance(conn.next_event(), AppendOffered)
        conn.accept()
        assert isinstance(conn.next_event(), LiteralChunk)
        assert isinstance(conn.next_event(), AppendReceived)
        owed.append(conn.defer())
    assert conn.next_event() == CommandReceived("c", commands.Noop())
    with pytest.raises(LocalProtocolError, match="only a complete APPEND"):
        conn.defer()
    owed[0].ok(codes.append_uid(7, [1]))
    owed[1].no("OVERQUOTA", "no room")
    conn.ok()
    assert conn.data_to_send() == (
        b"a OK [APPENDUID 7 1] APPEND completed\r\nb NO [OVERQUOTA] no room\r\n"
        b"c OK NOOP completed\r\n"
    )
    conn.close()
    conn.data_to_send()
    owed[0].ok()
    assert conn.data_to_send() == b""
