"""The client engine: what it sends when, and which reply it ties to which command."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from corvus_smtp import (
    NEED_DATA,
    PAUSED,
    BareNewline,
    BareNewlines,
    BodyType,
    ChallengeReceived,
    ClientConnection,
    Command,
    CommandSkipped,
    ConnectionEnded,
    DataReady,
    GreetingReceived,
    Limits,
    LocalProtocolError,
    Mailbox,
    MailParameters,
    Notify,
    NotOffered,
    OriginalRecipient,
    Protocol,
    RcptParameters,
    RemoteProtocolError,
    Reply,
    ReplyReceived,
    Ret,
    State,
    TLSInfo,
    Verb,
)


def pull(conn: ClientConnection) -> list[Any]:
    events: list[Any] = []
    while (event := conn.next_event()) not in (NEED_DATA, PAUSED):
        events.append(event)
        if isinstance(event, ConnectionEnded):
            break
    return events


def feed(conn: ClientConnection, octets: bytes) -> list[Any]:
    conn.receive_data(octets)
    return pull(conn)


def ready(*keywords: str, **options: Any) -> ClientConnection:
    conn = ClientConnection("client.example", **options)
    conn.ehlo()
    lines = ["mx.example", *keywords]
    feed(conn, b"220 mx.example\r\n")
    feed(conn, Reply(250, None, lines).wire())
    conn.data_to_send()
    return conn


def sending(conn: ClientConnection, replies: bytes = b"250 ok\r\n250 ok\r\n354 go\r\n") -> Command:
    """Bring *conn* to where a message is wanted."""
    conn.mail("a@b.example")
    conn.rcpt("c@d.example")
    command = conn.data()
    for reply in replies.splitlines(keepends=True):
        feed(conn, reply)
    conn.data_to_send()
    return command


def test_nothing_is_said_before_the_greeting() -> None:
    conn = ClientConnection("client.example")
    hello = conn.ehlo()
    assert conn.data_to_send() == b""
    assert conn.timeout == 300.0
    assert feed(conn, b"220-mx.example\r\n220 ESMTP\r\n") == [
        GreetingReceived(Reply(220, None, ("mx.example", "ESMTP")))
    ]
    assert conn.data_to_send() == b"EHLO client.example\r\n"
    assert conn.unanswered == (hello,)


def test_pipelining_makes_one_group_of_a_transaction() -> None:
    conn = ready("PIPELINING")
    mail = conn.mail("a@b.example")
    first, second = conn.rcpt("c@d.example"), conn.rcpt(Mailbox("e f", "d.example"))
    data = conn.data()
    assert conn.data_to_send() == (
        b'MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<"e f"@d.example>\r\nDATA\r\n'
    )
    events = feed(conn, b"250 ok\r\n550 5.1.1 who?\r\n250 ok\r\n354 go\r\n")
    assert [e.command for e in events] == [mail, first, second, data]
    assert events[1].reply.permanent
    assert isinstance(events[3], DataReady)
    assert conn.next_event() is PAUSED
    conn.chunk(b"hello\r\n")
    conn.end()
    conn.quit()
    assert conn.data_to_send() == b"hello\r\n.\r\nQUIT\r\n"
    done, bye, ended = feed(conn, b"250 2.0.0 ok\r\n221 bye\r\n")
    assert done == ReplyReceived(data, Reply(250, "2.0.0", "ok"))
    assert bye.command.verb is Verb.QUIT
    assert ended == ConnectionEnded()


def test_without_pipelining_each_command_waits_for_a_reply() -> None:
    conn = ready()
    conn.mail("a@b")
    conn.rcpt("c@d")
    conn.data()
    for line, reply in (
        (b"MAIL FROM:<a@b>\r\n", b"250 ok\r\n"),
        (b"RCPT TO:<c@d>\r\n", b"250 ok\r\n"),
        (b"DATA\r\n", b"354 go\r\n"),
    ):
        assert conn.data_to_send() == line
        feed(conn, reply)
    conn.end(b"text without end of line")
    assert conn.data_to_send() == b"text without end of line\r\n.\r\n"


def test_a_group_ends_with_a_command_that_changes_the_state() -> None:
    conn = ready("PIPELINING")
    conn.noop()
    conn.mail("a@b")
    assert conn.data_to_send() == b"NOOP\r\n"
    feed(conn, b"250 ok\r\n")
    assert conn.data_to_send() == b"MAIL FROM:<a@b>\r\n"


def test_the_next_mail_rides_behind_the_message() -> None:
    conn = ready("PIPELINING")
    sending(conn)
    conn.end(b"one\r\n")
    sending_again = conn.mail("x@y")
    assert conn.data_to_send() == b"one\r\n.\r\nMAIL FROM:<x@y>\r\n"
    assert feed(conn, b"250 ok\r\n250 ok\r\n")[1].command is sending_again


def test_behind_a_refused_mail_nothing_is_sent() -> None:
    conn = ready()
    conn.mail("a@b")
    rcpt, data = conn.rcpt("c@d"), conn.data()
    assert feed(conn, b"550 no\r\n")[1:] == [CommandSkipped(rcpt), CommandSkipped(data)]
    conn.mail("x@y")
    assert conn.data_to_send() == b"MAIL FROM:<a@b>\r\nMAIL FROM:<x@y>\r\n"


def test_a_failed_transaction_is_reset_before_the_next() -> None:
    conn = ready()
    conn.mail("a@b")
    conn.rcpt("c@d")
    data = conn.data()
    feed(conn, b"250 ok\r\n")
    assert feed(conn, b"550 no\r\n")[1] == CommandSkipped(data)
    conn.data_to_send()
    conn.mail("x@y")
    assert conn.data_to_send() == b"RSET\r\n"
    (event,) = feed(conn, b"250 ok\r\n")
    assert event.command.automatic
    assert conn.data_to_send() == b"MAIL FROM:<x@y>\r\n"


def test_data_taken_without_recipients_gets_a_single_dot() -> None:
    conn = ready("PIPELINING")
    conn.mail("a@b")
    conn.rcpt("c@d")
    data = conn.data()
    conn.data_to_send()
    events = feed(conn, b"250 ok\r\n550 no\r\n354 go\r\n")
    assert not any(isinstance(e, DataReady) for e in events)
    assert conn.data_to_send() == b".\r\n"
    assert feed(conn, b"554 nobody\r\n") == [ReplyReceived(data, Reply(554, None, "nobody"))]


def test_a_refused_data_leaves_a_transaction_to_reset() -> None:
    conn = ready("PIPELINING")
    conn.mail("a@b")
    conn.rcpt("c@d")
    data = conn.data()
    assert feed(conn, b"250 ok\r\n250 ok\r\n451 later\r\n")[2].command is data
    conn.data_to_send()
    conn.mail("x@y")
    assert conn.data_to_send() == b"RSET\r\nMAIL FROM:<x@y>\r\n"


def test_250_to_data_is_beyond_repair() -> None:
    conn = ready("PIPELINING")
    conn.mail("a@b")
    conn.rcpt("c@d")
    conn.data()
    with pytest.raises(RemoteProtocolError):
        feed(conn, b"250 ok\r\n250 ok\r\n250 ok\r\n")
    assert conn.closing


# Parameters and what the server offers.


def test_parameters_are_written_where_they_are_offered() -> None:
    mail = MailParameters(size=10, ret=Ret.HDRS, envid="a b", auth="", body=BodyType.EIGHT_BIT_MIME)
    rcpt = RcptParameters(
        notify=frozenset({Notify.DELAY, Notify.SUCCESS}), orcpt=OriginalRecipient("rfc822", "x+y@z")
    )
    conn = ready("SIZE 1000", "DSN", "8BITMIME", "AUTH PLAIN", "PIPELINING")
    conn.mail("a@b", mail)
    conn.rcpt("c@d", rcpt)
    assert conn.data_to_send() == (
        b"MAIL FROM:<a@b> BODY=8BITMIME AUTH=<> ENVID=a+20b RET=HDRS SIZE=10\r\n"
        b"RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@z\r\n"
    )
    conn = ready("8BITMIME")
    conn.mail("a@b", mail)
    assert conn.data_to_send() == b"MAIL FROM:<a@b> BODY=8BITMIME\r\n"


def test_other_parameters_go_out_as_they_are() -> None:
    conn = ready("PIPELINING")
    conn.mail(None, MailParameters(other={"XYZ": "1", "FLAG": None}))
    conn.rcpt("c@d", RcptParameters(orcpt=OriginalRecipient("utf-8", "ä@z"), other={"R": "x"}))
    assert conn.data_to_send() == b"MAIL FROM:<> XYZ=1 FLAG\r\nRCPT TO:<c@d> R=x\r\n"


def test_orcpt_in_utf8_is_embedded() -> None:
    conn = ready("PIPELINING", "DSN")
    conn.mail(None)
    conn.rcpt("c@d", RcptParameters(orcpt=OriginalRecipient("utf-8", "ä@z")))
    assert conn.data_to_send().endswith(b"ORCPT=utf-8;\\x{E4}@z\r\n")


@pytest.mark.parametrize(
    ("parameters", "keyword", "code"),
    [
        (MailParameters(body=BodyType.EIGHT_BIT_MIME), "8BITMIME", 554),
        (MailParameters(body=BodyType.BINARY_MIME), "BINARYMIME", 554),
        (MailParameters(smtputf8=True), "SMTPUTF8", 550),
        (MailParameters(requiretls=True), "REQUIRETLS", 550),
        (MailParameters(size=1001), "SIZE", 552),
    ],
)
def test_what_the_server_cannot_take_is_known_at_once(
    parameters: MailParameters, keyword: str, code: int
) -> None:
    conn = ready("SIZE 1000")
    with pytest.raises(NotOffered) as caught:
        conn.mail("a@b", parameters)
    assert (caught.value.keyword, caught.value.reply.code) == (keyword, code)
    assert conn.data_to_send() == b""


def test_addresses_beyond_ascii_bring_smtputf8_along() -> None:
    conn = ready("SMTPUTF8", "8BITMIME", "PIPELINING")
    conn.mail("jörg@b.example")
    conn.rcpt("c@ö.example")
    assert conn.data_to_send() == (
        "MAIL FROM:<jörg@b.example> SMTPUTF8\r\nRCPT TO:<c@ö.example>\r\n".encode()
    )
    conn.mail("a@b")
    with pytest.raises(NotOffered):
        conn.rcpt("c@ö.example")


def test_the_order_of_calls_is_checked() -> None:
    conn = ready()
    calls: list[Callable[[], Command]] = [lambda: conn.rcpt("a@b"), conn.data]
    for call in calls:
        with pytest.raises(LocalProtocolError):
            call()
    conn.mail("a@b")
    with pytest.raises(LocalProtocolError):
        conn.data()
    with pytest.raises(LocalProtocolError):
        conn.chunk(b"x")
    with pytest.raises(LocalProtocolError):
        conn.end()
    with pytest.raises(LocalProtocolError):
        conn.respond(b"x")
    with pytest.raises(ValueError, match="not an address"):
        conn.rcpt("nobody")
    conn.quit()
    with pytest.raises(LocalProtocolError, match="behind QUIT"):
        conn.noop()


def test_mail_waits_for_ehlo() -> None:
    conn = ClientConnection("client.example")
    with pytest.raises(LocalProtocolError, match="EHLO"):
        conn.mail("a@b")
    conn.ehlo()
    with pytest.raises(LocalProtocolError, match="EHLO"):
        conn.mail("a@b")


def test_helo_is_for_old_servers_and_not_for_lmtp() -> None:
    conn = ClientConnection("client.example")
    conn.ehlo()
    feed(conn, b"220 x\r\n502 what?\r\n")
    conn.helo()
    assert conn.data_to_send() == b"EHLO client.example\r\nHELO client.example\r\n"
    feed(conn, b"250 PIPELINING\r\n")
    assert len(conn.capabilities) == 0
    conn.mail("a@b")
    with pytest.raises(LocalProtocolError):
        ClientConnection("x", protocol=Protocol.LMTP).helo()


def test_too_much_under_way_is_refused() -> None:
    conn = ready(limits=Limits(pipelined=2))
    conn.noop()
    conn.noop()
    with pytest.raises(LocalProtocolError, match="too many"):
        conn.noop()


# BDAT.


def test_bdat_where_it_is_offered() -> None:
    conn = ready("PIPELINING", "CHUNKING")
    data = sending(conn, b"250 ok\r\n250 ok\r\n")
    assert data.verb is Verb.BDAT
    conn.chunk(b".\r")
    conn.chunk(b"")
    conn.chunk(b"\n.\r\n")
    assert conn.timeout == 180.0
    conn.end()
    assert conn.timeout == 180.0
    assert conn.data_to_send() == b"BDAT 1\r\n.BDAT 5\r\n\r\n.\r\nBDAT 0 LAST\r\n"
    conn.mail("x@y")
    assert conn.data_to_send() == b""
    assert feed(conn, b"250 ok\r\n250 ok\r\n") == []
    assert conn.timeout == 600.0
    assert feed(conn, b"250 done\r\n") == [ReplyReceived(data, Reply(250, None, "done"))]
    assert conn.data_to_send() == b"MAIL FROM:<x@y>\r\n"


def test_a_chunk_that_fails_ends_the_message_and_needs_rset() -> None:
    conn = ready("PIPELINING", "CHUNKING")
    data = sending(conn, b"250 ok\r\n250 ok\r\n")
    conn.chunk(b"one\r\n")
    conn.chunk(b"two\r\n")
    assert feed(conn, b"452 full\r\n") == [ReplyReceived(data, Reply(452, None, "full"))]
    with pytest.raises(LocalProtocolError):
        conn.chunk(b"three\r\n")
    assert feed(conn, b"503 rset first\r\n") == []
    conn.data_to_send()
    conn.mail("x@y")
    assert conn.data_to_send() == b"RSET\r\nMAIL FROM:<x@y>\r\n"


def test_a_last_chunk_that_fails_needs_rset() -> None:
    conn = ready("PIPELINING", "CHUNKING")
    sending(conn, b"250 ok\r\n250 ok\r\n")
    conn.end(b"all\r\n")
    assert conn.data_to_send() == b"BDAT 5 LAST\r\nall\r\n"
    feed(conn, b"552 too big\r\n")
    conn.mail("x@y")
    assert conn.data_to_send() == b"RSET\r\nMAIL FROM:<x@y>\r\n"


def test_chunking_can_be_asked_for_and_refused() -> None:
    conn = ready("PIPELINING")
    conn.mail("a@b")
    conn.rcpt("c@d")
    with pytest.raises(NotOffered):
        conn.data(chunking=True)
    conn = ready("PIPELINING", "CHUNKING", "BINARYMIME")
    conn.mail("a@b", MailParameters(body=BodyType.BINARY_MIME))
    conn.rcpt("c@d")
    with pytest.raises(LocalProtocolError, match="BDAT"):
        conn.data(chunking=False)
    conn.data()
    feed(conn, b"250 ok\r\n250 ok\r\n")
    conn.data_to_send()
    conn.end(b"\n\r\0")
    assert conn.data_to_send() == b"BDAT 3 LAST\r\n\n\r\0"
    conn = ready("PIPELINING", "CHUNKING")
    conn.mail("a@b")
    conn.rcpt("c@d")
    assert conn.data(chunking=False).verb is Verb.DATA


def test_bdat_with_no_recipient_is_not_sent() -> None:
    conn = ready("PIPELINING", "CHUNKING")
    data = sending(conn, b"250 ok\r\n")
    assert feed(conn, b"550 no\r\n")[1] == CommandSkipped(data)


# Bodies.


def test_bare_newlines_do_not_get_out() -> None:
    for octets in (b"a\nb", b"a\rb\r\n", b"x\n.\r\n", b"\n"):
        conn = ready("PIPELINING")
        sending(conn)
        with pytest.raises(BareNewline):
            conn.chunk(octets)
        assert conn.data_to_send() == b""
    conn = ready("PIPELINING")
    sending(conn)
    conn.chunk(b"a\r")
    with pytest.raises(BareNewline):
        conn.end()
    conn.chunk(b"\nb")
    conn.end()
    assert conn.data_to_send() == b"a\r\nb\r\n.\r\n"


def test_bare_newlines_may_be_repaired() -> None:
    conn = ready("PIPELINING", bare_newlines=BareNewlines.NORMALISE)
    sending(conn)
    conn.chunk(b"a\n.\nb\r")
    conn.chunk(b".c\r\n")
    conn.end(b"d\r")
    assert conn.data_to_send() == b"a\r\n..\r\nb\r\n..c\r\nd\r\n.\r\n"


def test_the_server_may_give_up_in_the_middle_of_a_message() -> None:
    conn = ready("PIPELINING")
    data = sending(conn)
    conn.chunk(b"a lot\r\n")
    events = feed(conn, b"552 too much\r\n")
    assert events == [ReplyReceived(data, Reply(552, None, "too much")), ConnectionEnded()]
    assert conn.closing
    with pytest.raises(LocalProtocolError):
        conn.chunk(b"more\r\n")


def test_a_250_in_the_middle_of_a_message_is_beyond_repair() -> None:
    conn = ready("PIPELINING")
    sending(conn)
    with pytest.raises(RemoteProtocolError):
        feed(conn, b"250 thanks\r\n")


# STARTTLS and AUTH.


def test_starttls_begins_anew() -> None:
    conn = ready("STARTTLS", "PIPELINING")
    command = conn.starttls()
    with pytest.raises(LocalProtocolError, match="behind STARTTLS"):
        conn.ehlo()
    assert conn.data_to_send() == b"STARTTLS\r\n"
    assert feed(conn, b"220 go\r\n")[0].command is command
    assert conn.tls_pending
    assert conn.timeout is None
    with pytest.raises(LocalProtocolError):
        conn.ehlo()
    conn.start_tls(TLSInfo(cipher="x"))
    assert len(conn.capabilities) == 0
    assert conn.state is State.CONNECTED
    assert conn.tls is not None
    with pytest.raises(LocalProtocolError):
        conn.mail("a@b")
    with pytest.raises(LocalProtocolError):
        conn.start_tls(TLSInfo())
    conn.ehlo()
    feed(conn, b"250 mx\r\n")
    with pytest.raises(LocalProtocolError, match="TLS is on"):
        conn.starttls()


def test_starttls_wants_a_quiet_line_and_an_offer() -> None:
    with pytest.raises(NotOffered):
        ready().starttls()
    conn = ready("STARTTLS")
    conn.noop()
    with pytest.raises(LocalProtocolError, match="quiet"):
        conn.starttls()


def test_a_refused_starttls_leaves_the_session_in_clear() -> None:
    conn = ready("STARTTLS")
    conn.starttls()
    assert feed(conn, b"454 not now\r\n")[0].reply.temporary
    assert not conn.tls_pending
    conn.mail("a@b")


def test_auth_with_challenges() -> None:
    conn = ready("AUTH PLAIN LOGIN", "AUTH=LOGIN", tls=TLSInfo())
    command = conn.auth("login")
    assert conn.data_to_send() == b"AUTH LOGIN\r\n"
    assert feed(conn, b"334 VXNlcm5hbWU6\r\n") == [ChallengeReceived(command, b"Username:")]
    assert conn.next_event() is PAUSED
    conn.respond(b"bob")
    assert conn.data_to_send() == b"Ym9i\r\n"
    feed(conn, b"334 \r\n")
    conn.respond(b"")
    assert conn.data_to_send() == b"\r\n"
    assert feed(conn, b"235 2.7.0 ok\r\n") == [ReplyReceived(command, Reply(235, "2.7.0", "ok"))]
    assert conn.state is State.READY


def test_auth_with_initial_response_and_cancel() -> None:
    conn = ready("AUTH PLAIN", auth_in_clear=True)
    conn.auth("PLAIN", b"\0a\0b")
    assert conn.data_to_send() == b"AUTH PLAIN AGEAYg==\r\n"
    feed(conn, b"535 no\r\n")
    conn.auth("PLAIN", b"")
    assert conn.data_to_send() == b"AUTH PLAIN =\r\n"
    feed(conn, b"334 AAAA\r\n")
    conn.cancel()
    assert conn.data_to_send() == b"*\r\n"
    assert feed(conn, b"501 cancelled\r\n")[0].reply.permanent


def test_a_challenge_that_is_no_base64_is_cancelled() -> None:
    conn = ready("AUTH PLAIN", auth_in_clear=True)
    conn.auth("PLAIN")
    conn.data_to_send()
    assert feed(conn, b"334 !!\r\n") == []
    assert conn.data_to_send() == b"*\r\n"
    assert len(feed(conn, b"501 cancelled\r\n")) == 1


def test_credentials_do_not_go_out_in_clear() -> None:
    conn = ready("AUTH PLAIN")
    with pytest.raises(LocalProtocolError, match="in clear"):
        conn.auth("PLAIN", b"\0a\0b")
    conn = ready("AUTH PLAIN", tls=TLSInfo())
    with pytest.raises(NotOffered):
        conn.auth("CRAM-MD5")
    with pytest.raises(LocalProtocolError, match="too long"):
        conn.auth("PLAIN", b"x" * 10_000)


# The small commands.


def test_verify_expand_help() -> None:
    conn = ready("VRFY", "SMTPUTF8")
    conn.verify("bob")
    conn.expand("list")
    conn.help()
    conn.verify("jörg")
    for reply in (b"252 maybe\r\n", b"502 no\r\n", b"214 none\r\n", b"252 maybe\r\n"):
        feed(conn, reply)
    assert conn.data_to_send() == "VRFY bob\r\nEXPN list\r\nHELP\r\nVRFY jörg SMTPUTF8\r\n".encode()
    with pytest.raises(NotOffered):
        conn.help("ä")
    for text in ("", "a\r\nQUIT", "\0"):
        with pytest.raises(ValueError, match="line of text"):
            conn.verify(text)


# The end.


def test_421_to_a_command_ends_the_session() -> None:
    conn = ready()
    noop, mail = conn.noop(), conn.mail("a@b")
    event, ended = feed(conn, b"421 4.3.2 bye\r\n")
    assert event == ReplyReceived(noop, Reply(421, "4.3.2", "bye"))
    assert ended == ConnectionEnded((mail,))
    with pytest.raises(LocalProtocolError):
        conn.noop()


def test_421_out_of_the_blue() -> None:
    conn = ready()
    assert feed(conn, b"421 idle too long\r\n") == [
        ReplyReceived(None, Reply(421, None, "idle too long")),
        ConnectionEnded(),
    ]


def test_eof_names_what_is_unanswered() -> None:
    conn = ready("PIPELINING")
    data = sending(conn)
    conn.chunk(b"x\r\n")
    assert conn.unanswered == (data,)
    conn.end()
    conn.receive_eof()
    assert pull(conn) == [ConnectionEnded((data,))]
    assert conn.timeout is None


def test_a_refused_session_leaves_quit() -> None:
    conn = ClientConnection("client.example")
    hello = conn.ehlo()
    greeting, skipped = feed(conn, b"554 no service\r\n")
    assert greeting.reply.permanent
    assert skipped == CommandSkipped(hello)
    with pytest.raises(LocalProtocolError, match="only quit"):
        conn.ehlo()
    conn.quit()
    assert conn.data_to_send() == b"QUIT\r\n"
    feed(conn, b"221 bye\r\n")
    assert conn.closing


def test_close_ends_without_a_word() -> None:
    conn = ready()
    noop = conn.noop()
    conn.data_to_send()
    conn.close()
    conn.close()
    assert conn.data_to_send() == b""
    assert conn.next_event() == ConnectionEnded((noop,))


def test_a_challenge_answered_after_close_goes_nowhere() -> None:
    conn = ready("AUTH PLAIN", auth_in_clear=True)
    conn.auth("PLAIN")
    feed(conn, b"334 \r\n")
    conn.data_to_send()
    conn.close()
    with pytest.raises(LocalProtocolError):
        conn.respond(b"x")
    assert conn.data_to_send() == b""


def test_timeouts_are_those_of_the_rfc() -> None:
    conn = ready("PIPELINING")
    assert conn.timeout is None
    calls: list[tuple[Callable[[], Command], float]] = [
        (lambda: conn.mail("a@b"), 300.0),
        (lambda: conn.rcpt("a@b"), 300.0),
        (conn.data, 120.0),
    ]
    for call, seconds in calls:
        call()
        assert conn.timeout == seconds
        if seconds != 120.0:
            feed(conn, b"250 ok\r\n")
    feed(conn, b"354 go\r\n")
    assert conn.timeout == 180.0
    conn.end()
    assert conn.timeout == 600.0


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n",
        b"99 x\r\n",
        b"250_x\r\n",
        b"\r\n",
        b"x" * 2048,
        b"199 no\r\n",
        b"250-x\r\n" * 501,
    ],
)
def test_what_is_no_reply_is_beyond_repair(octets: bytes) -> None:
    conn = ready()
    conn.noop()
    with pytest.raises(RemoteProtocolError):
        feed(conn, octets)
    assert conn.closing
    assert isinstance(conn.next_event(), ConnectionEnded)


def test_a_reply_to_nothing_is_beyond_repair() -> None:
    with pytest.raises(RemoteProtocolError, match="not asked"):
        feed(ready(), b"250 ok\r\n")


def test_a_reply_one_octet_at_a_time() -> None:
    conn = ready()
    command = conn.noop()
    for octet in b"250-2.0.0 one\r\n250 2.0.0 two\r\n":
        conn.receive_data(bytes([octet]))
        event = conn.next_event()
    assert event == ReplyReceived(command, Reply(250, "2.0.0", ("one", "two")))


def test_reset_gives_up_a_transaction() -> None:
    conn = ready("PIPELINING")
    conn.mail("a@b")
    conn.reset()
    conn.mail("x@y")
    assert conn.data_to_send() == b"MAIL FROM:<a@b>\r\nRSET\r\nMAIL FROM:<x@y>\r\n"
    with pytest.raises(ValueError, match="host name"):
        ClientConnection("a\r\nb")


# LMTP.


def test_lmtp_ties_a_reply_to_each_recipient() -> None:
    conn = ClientConnection("client.example", protocol=Protocol.LMTP)
    conn.ehlo()
    feed(conn, b"220 x\r\n")
    assert conn.data_to_send() == b"LHLO client.example\r\n"
    feed(conn, b"250-x\r\n250-CHUNKING\r\n250 PIPELINING\r\n")
    conn.mail("a@b")
    one, two, three = (conn.rcpt(f"{n}@d") for n in "123")
    data = conn.data()
    assert data.verb is Verb.DATA
    feed(conn, b"250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
    conn.end(b"x\r\n")
    events = feed(conn, b"250 1\r\n452 3\r\n")
    assert [(e.command, e.recipient, e.reply.code) for e in events] == [
        (data, one, 250),
        (data, three, 452),
    ]
    assert two.mailbox == Mailbox("2", "d")


def test_an_lmtp_server_that_takes_data_for_nobody_is_beyond_repair() -> None:
    conn = ClientConnection("client.example", protocol=Protocol.LMTP)
    conn.ehlo()
    feed(conn, b"220 x\r\n250-x\r\n250 PIPELINING\r\n")
    conn.mail("a@b")
    conn.rcpt("c@d")
    conn.data()
    with pytest.raises(RemoteProtocolError):
        feed(conn, b"250 ok\r\n550 no\r\n354 go\r\n")


def test_paths_that_are_mailboxes_already() -> None:
    conn = ready("PIPELINING")
    conn.mail(Mailbox("a", "b"))
    conn.rcpt(Mailbox("postmaster", ""))
    assert conn.data_to_send() == b"MAIL FROM:<a@b>\r\nRCPT TO:<postmaster>\r\n"


def test_a_command_may_not_be_longer_than_a_line() -> None:
    conn = ready()
    with pytest.raises(LocalProtocolError, match="too long"):
        conn.help("x" * 20_000)


def test_what_a_421_in_a_message_leaves() -> None:
    conn = ready("PIPELINING")
    data = sending(conn)
    assert feed(conn, b"421 bye\r\n") == [
        ReplyReceived(data, Reply(421, None, "bye")),
        ConnectionEnded(),
    ]


def test_a_call_that_raises_changes_nothing() -> None:
    """A sender that has filled the line reads the replies, and goes on where it was."""
    conn = ready("PIPELINING", limits=Limits(pipelined=2))
    conn.mail("a@b.example")
    conn.rcpt("c@d.example")
    for call in (conn.data, conn.reset, conn.ehlo, lambda: conn.mail(None)):
        with pytest.raises(LocalProtocolError, match="too many"):
            call()
    feed(conn, b"250 ok\r\n250 ok\r\n")
    conn.data_to_send()
    conn.data()
    assert conn.data_to_send() == b"DATA\r\n"


def test_behind_tls_the_transaction_of_before_is_gone() -> None:
    conn = ready("STARTTLS")
    conn.mail("a@b.example")
    feed(conn, b"250 ok\r\n")
    conn.starttls()
    feed(conn, b"220 go\r\n")
    conn.data_to_send()
    conn.start_tls(TLSInfo())
    with pytest.raises(LocalProtocolError, match="mail"):
        conn.rcpt("c@d.example")
    conn.ehlo()
    feed(conn, b"250 mx.example\r\n")
    conn.mail("a@b.example")
    assert conn.data_to_send() == b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n"


def test_mail_waits_for_every_ehlo_that_is_under_way() -> None:
    conn = ready("PIPELINING")
    conn.ehlo()
    conn.ehlo()
    for reply in (b"250 mx.example\r\n", b"550 not again\r\n"):
        with pytest.raises(LocalProtocolError, match="EHLO"):
            conn.mail(None)
        feed(conn, reply)
    conn.mail(None)


def test_lining_up_many_transactions_is_linear() -> None:
    def cost(transactions: int) -> float:
        conn = ready("PIPELINING")
        start = time.process_time()
        for _ in range(transactions):
            conn.mail("a@b.example")
            conn.rcpt("c@d.example")
            conn.data()
        return time.process_time() - start

    assert min(cost(2000) for _ in range(3)) < 16 * min(cost(250) for _ in range(3)) + 0.02


def test_a_message_in_chunks_is_one_command_without_an_answer() -> None:
    conn = ready("PIPELINING", "CHUNKING")
    sent = sending(conn, b"250 ok\r\n250 ok\r\n")
    conn.chunk(b"a\r\n")
    conn.chunk(b"b\r\n")
    assert conn.unanswered == (sent,)
    conn.end()
    noop = conn.noop()
    assert list(conn.unanswered) == [sent, noop]
