"""The server engine, as C: and S: lines and as events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from corvus_smtp import (
    NEED_DATA,
    PAUSED,
    Abort,
    AuthCancelled,
    AuthResponse,
    AuthStarted,
    BareNewlines,
    BodyType,
    CommandRejected,
    ConnectionEnded,
    ConnectionOpened,
    DataRequested,
    HelloReceived,
    HelpRequested,
    Limits,
    LocalProtocolError,
    Mailbox,
    MailOffered,
    MessageAborted,
    MessageChunk,
    MessageReceived,
    Notify,
    OriginalRecipient,
    Policy,
    Protocol,
    ProtocolError,
    Quirks,
    RecipientOffered,
    RemoteProtocolError,
    Reply,
    ResetReceived,
    Ret,
    ServerConnection,
    State,
    TLSInfo,
    VerifyRequested,
)
from corvus_testing import run_transcript


def accept(conn: ServerConnection, event: Any) -> None:
    if event.owes:
        conn.accept()


def make(**options: Any) -> ServerConnection:
    """A server that has greeted."""
    conn = ServerConnection("mx.example", **options)
    assert isinstance(conn.next_event(), ConnectionOpened)
    conn.accept()
    assert conn.data_to_send() == b"220 mx.example ESMTP\r\n"
    return conn


def feed(
    conn: ServerConnection, octets: bytes, answer: Callable[[Any, Any], None] = accept
) -> list[Any]:
    """Feed *octets*, answer everything, give the events."""
    conn.receive_data(octets)
    return pull(conn, answer)


def pull(conn: ServerConnection, answer: Callable[[Any, Any], None] = accept) -> list[Any]:
    events: list[Any] = []
    while (event := conn.next_event()) not in (NEED_DATA, PAUSED):
        events.append(event)
        if isinstance(event, ConnectionEnded):
            break
        answer(conn, event)
    return events


def said(conn: ServerConnection, octets: bytes, **kwargs: Any) -> list[bytes]:
    """The lines that answer *octets*."""
    feed(conn, octets, **kwargs)
    return conn.data_to_send().split(b"\r\n")[:-1]


def ready(**options: Any) -> ServerConnection:
    conn = make(**options)
    hello = b"LHLO" if options.get("protocol") is Protocol.LMTP else b"EHLO"
    feed(conn, hello + b" client.example\r\n")
    conn.data_to_send()
    return conn


def in_mail(**options: Any) -> ServerConnection:
    conn = ready(**options)
    feed(conn, b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n")
    conn.data_to_send()
    return conn


def test_a_whole_session_reads_as_the_rfc_prints_it() -> None:
    run_transcript(
        ServerConnection("mx.example", policy=Policy(extensions=frozenset({"SIZE"}))),
        """
        S: 220 mx.example ESMTP
        C: EHLO client.example
        S: 250-mx.example
        S: 250 SIZE 52428800
        C: MAIL FROM:<Smith@bar.example>
        S: 250 Sender OK
        C: RCPT TO:<Jones@foo.example>
        S: 250 Recipient OK
        C: DATA
        S: 354 End data with <CRLF>.<CRLF>
        C: Blah blah blah...
        C: ...etc. etc. etc.
        C: .
        S: 250 Message accepted
        C: QUIT
        S: 221 Bye
        """,
        accept,
        errors=ProtocolError,
    )


def test_events_tell_the_envelope_and_the_body() -> None:
    events = feed(
        ready(),
        b"MAIL FROM:<> SIZE=10 BODY=8BITMIME RET=hdrs ENVID=a+20b SMTPUTF8\r\n"
        b'RCPT TO:<"a b"@[192.0.2.1]> NOTIFY=success,DELAY ORCPT=rfc822;x+2By@z\r\n'
        b"DATA\r\n..dot\r\n\xc3\xa4\r\n.\r\n",
    )

    mail, rcpt, data, chunk, received = events
    assert isinstance(mail, MailOffered)
    assert mail.reverse_path is None
    assert mail.parameters.size == 10
    assert mail.parameters.body is BodyType.EIGHT_BIT_MIME
    assert mail.parameters.ret is Ret.HDRS
    assert mail.parameters.envid == "a b"
    assert mail.parameters.smtputf8
    assert isinstance(rcpt, RecipientOffered)
    assert rcpt.forward_path == Mailbox("a b", "[192.0.2.1]")
    assert rcpt.parameters.notify == frozenset({Notify.SUCCESS, Notify.DELAY})
    assert rcpt.parameters.orcpt == OriginalRecipient("rfc822", "x+y@z")
    assert data == DataRequested(chunking=False)
    assert chunk == MessageChunk(b".dot\r\n\xc3\xa4\r\n")
    assert received == MessageReceived(size=len(chunk.data), recipients=1)


def test_until_the_answer_nothing_is_parsed() -> None:
    conn = ready()
    conn.receive_data(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")

    assert isinstance(conn.next_event(), MailOffered)
    assert conn.next_event() is PAUSED
    assert conn.owed is not None
    assert conn.buffered == len(b"RCPT TO:<c@d>\r\n")
    assert conn.timeout is None
    conn.reject(550, "5.7.1", "no")
    assert isinstance(conn.next_event(), CommandRejected)
    assert conn.data_to_send() == b"550 5.7.1 no\r\n503 5.5.1 MAIL first\r\n"


def test_an_answer_that_nobody_waits_for_is_the_callers_mistake() -> None:
    conn = ready()
    calls: list[Callable[[], None]] = [
        conn.accept,
        conn.reject,
        lambda: conn.reply(250),
        lambda: conn.challenge(b""),
        lambda: conn.reply_each([]),
    ]
    for call in calls:
        with pytest.raises(LocalProtocolError):
            call()
    assert conn.data_to_send() == b""


def test_a_refusal_must_refuse() -> None:
    conn = ready()
    conn.receive_data(b"MAIL FROM:<a@b>\r\n")
    conn.next_event()
    with pytest.raises(ValueError, match="does not refuse"):
        conn.reject(250, "2.0.0", "fine")
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        conn.reject(550, "5.0.0", "two\r\n250 lines")
    conn.reject()
    assert conn.data_to_send() == b"550 5.7.1 Sender refused\r\n"


def test_own_words_and_own_replies() -> None:
    conn = ready()
    feed(conn, b"MAIL FROM:<a@b>\r\n", lambda c, e: c.accept("hello a"))
    feed(conn, b"RCPT TO:<a@b>\r\n", lambda c, e: c.reply(251, "2.1.5", "forwarding"))
    feed(conn, b"RCPT TO:<b@b>\r\n", lambda c, e: c.reply(Reply(450, "4.2.0", ("later", "please"))))
    feed(conn, b"VRFY b\r\n", lambda c, e: c.reply(250, "2.1.5", "B <b@b>"))
    assert conn.data_to_send() == (
        b"250 2.1.0 hello a\r\n251 2.1.5 forwarding\r\n450-4.2.0 later\r\n450 4.2.0 please\r\n"
        b"250 2.1.5 B <b@b>\r\n"
    )
    assert conn.recipients == 1


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"EHLO x\r\n", Reply(250)),
        (b"DATA\r\n", Reply(250)),
        (b"MAIL FROM:<a@b>\r\n", Reply(354)),
        (b"BDAT 3\r\n", Reply(250)),
    ],
)
def test_replies_that_change_the_session_are_said_by_accept(command: bytes, reply: Reply) -> None:
    conn = in_mail() if command[:1] in b"DB" else ready()
    conn.receive_data(command)
    conn.next_event()
    with pytest.raises(LocalProtocolError):
        conn.reply(reply)
    conn.accept()


def test_454_to_starttls_may_be_replied_but_not_220() -> None:
    conn = ready(policy=Policy().offering("STARTTLS"))
    conn.receive_data(b"STARTTLS\r\n")
    conn.next_event()
    with pytest.raises(LocalProtocolError):
        conn.reply(220, "2.0.0", "go")
    conn.reply(454, "4.7.0", "later")
    assert conn.data_to_send() == b"454 4.7.0 later\r\n"
    assert not conn.tls_pending


def test_354_may_be_replied_in_own_words() -> None:
    conn = in_mail()
    conn.receive_data(b"DATA\r\n")
    conn.next_event()
    conn.reply(354, None, "go")
    assert conn.state is State.DATA
    assert conn.data_to_send() == b"354 go\r\n"


# Refused at the door.


def test_554_leaves_nothing_but_quit() -> None:
    conn = ServerConnection("mx.example")
    conn.next_event()
    conn.reject()
    assert conn.state is State.REFUSED
    assert said(conn, b"EHLO x\r\nMAIL FROM:<a@b>\r\nNOOP\r\nBDAT 3\r\nabcQUIT\r\n") == [
        b"554 No SMTP service here",
        *[b"503 5.5.1 Bad sequence of commands"] * 4,
        b"221 2.0.0 Bye",
    ]
    assert conn.closing


def test_521_is_a_host_that_takes_no_mail() -> None:
    conn = ServerConnection("mx.example")
    conn.next_event()
    conn.reject(521, None, "mx.example does not accept mail")
    assert conn.data_to_send() == b"521 mx.example does not accept mail\r\n"
    assert conn.state is State.REFUSED


def test_421_at_the_door_closes() -> None:
    conn = ServerConnection("mx.example")
    conn.next_event()
    conn.reject(421, None, "too many connections")
    assert conn.data_to_send() == b"421 too many connections\r\n"
    assert conn.closing
    assert isinstance(conn.next_event(), ConnectionEnded)


def test_own_greeting() -> None:
    conn = ServerConnection("mx.example")
    conn.next_event()
    conn.accept("ESMTP ready")
    assert conn.data_to_send() == b"220 mx.example ESMTP ready\r\n"


# EHLO and what is offered.


def test_ehlo_lists_what_the_policy_offers() -> None:
    conn = make(policy=Policy().offering("STARTTLS", "EXPN"), limits=Limits(recipients=7))
    assert said(conn, b"ehlo client.example\r\n") == [
        b"250-mx.example",
        b"250-8BITMIME",
        b"250-CHUNKING",
        b"250-DSN",
        b"250-ENHANCEDSTATUSCODES",
        b"250-EXPN",
        b"250-HELP",
        b"250-LIMITS MAILMAX=100000 RCPTMAX=7",
        b"250-PIPELINING",
        b"250-SIZE 52428800",
        b"250-SMTPUTF8",
        b"250-STARTTLS",
        b"250 VRFY",
    ]
    assert "STARTTLS" in conn.offered
    assert conn.hello == HelloReceived("EHLO", "client.example")


def test_helo_offers_nothing() -> None:
    conn = make()
    assert said(conn, b"HELO x\r\nMAIL FROM:<a@b> SIZE=1\r\nBDAT 1\r\nx") == [
        b"250 mx.example",
        b"555 5.5.4 Parameter not recognised or not offered",
        b"502 5.5.1 BDAT is not offered",
    ]


@pytest.mark.parametrize("name", [b"[192.0.2.1]", b"[IPv6:2001:db8::1]", b"under_score", b"a.b."])
def test_names_behind_ehlo_are_taken_as_they_are(name: bytes) -> None:
    (event,) = feed(make(), b"EHLO " + name + b"\r\n")
    assert event.name == name.decode()
    assert (event.address_literal is None) == (name[:1] != b"[")


@pytest.mark.parametrize(
    "line", [b"EHLO", b"EHLO ", b"HELO a b", b"EHLO \xff", b"EHLO " + b"a" * 256]
)
def test_ehlo_wants_one_name(line: bytes) -> None:
    conn = make()
    (event,) = feed(conn, line + b"\r\n")
    assert isinstance(event, CommandRejected)
    assert event.reply.code == 501
    assert conn.state is State.CONNECTED


def test_a_probe_without_a_name_is_a_quirk() -> None:
    conn = make(quirks=Quirks(hello_without_name=True))
    assert isinstance(feed(conn, b"EHLO\r\n")[0], HelloReceived)


def test_a_refused_ehlo_changes_nothing() -> None:
    conn = make()
    feed(conn, b"EHLO x\r\n", lambda c, e: c.reject())
    assert conn.data_to_send() == b"550 5.7.1 Not welcome\r\n".replace(b"5.7.1 ", b"")
    assert conn.state is State.CONNECTED


def test_ehlo_again_is_rset() -> None:
    conn = in_mail()
    assert said(conn, b"EHLO x\r\nRCPT TO:<a@b>\r\n")[-1] == b"503 5.5.1 MAIL first"


# MAIL and RCPT.


@pytest.mark.parametrize(
    ("line", "code", "status"),
    [
        (b"MAIL", 501, "5.5.4"),
        (b"MAIL FROM", 501, "5.5.4"),
        (b"MAIL TO:<a@b>", 501, "5.5.4"),
        (b"MAIL FROM: <a@b>", 501, "5.5.4"),
        (b"MAIL FROM:a@b", 501, "5.1.7"),
        (b"MAIL FROM:<a b@c>", 501, "5.1.7"),
        (b"MAIL FROM:<a@b>SIZE=1", 501, "5.1.7"),
        (b"MAIL FROM:<a@-b>", 501, "5.1.7"),
        (b"MAIL FROM:<a@[300.1.1.1]>", 501, "5.1.7"),
        (b"MAIL FROM:<\xff@b>", 501, "5.1.7"),
        (b"MAIL FROM:<" + b"a" * 129 + b"@b>", 501, "5.1.7"),
        (b"MAIL FROM:<a@" + b"b." * 127 + b"cc>", 501, "5.1.7"),
        (b"MAIL FROM:<a@b> SIZE", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=x", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=1 SIZE=1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> BODY=9BIT", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SMTPUTF8=1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> ENVID=+zz", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> =1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> XYZ=1", 555, "5.5.4"),
        (b"MAIL FROM:<a@b> AUTH=<>", 555, "5.5.4"),
        (b"MAIL FROM:<a@b> REQUIRETLS", 555, "5.5.4"),
        (b"MAIL FROM:<a@b> BODY=BINARYMIME", 555, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=99999999999", 552, "5.3.4"),
        (b"MAIL FROM:<\xc3\xa4@b>", 553, "5.6.7"),
        (b"MAIL FROM:<\xc3\xa4@b> BODY=8BITMIME", 553, "5.6.7"),
    ],
)
def test_bad_mail(line: bytes, code: int, status: str) -> None:
    conn = ready()
    (event,) = feed(conn, line + b"\r\n")
    assert isinstance(event, CommandRejected)
    assert (event.reply.code, str(event.reply.enhanced)) == (code, status)
    assert event.verb == "MAIL"
    assert conn.state is State.READY


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"RCPT TO:", 501),
        (b"RCPT TO:<>", 501),
        (b"RCPT TO:<a>", 501),
        (b"RCPT TO:<a@b> NOTIFY=NEVER,DELAY", 501),
        (b"RCPT TO:<a@b> NOTIFY=", 501),
        (b"RCPT TO:<a@b> ORCPT=rfc822", 501),
        (b"RCPT TO:<a@b> ORCPT=utf-8;\\x{110000}", 501),
        (b"RCPT TO:<a@b> ORCPT=utf-8;\\x{D800}", 501),
        (b"RCPT TO:<a@b> SIZE=1", 555),
        (b"RCPT TO:<\xc3\xa4@b>", 553),
    ],
)
def test_bad_rcpt(line: bytes, code: int) -> None:
    conn = in_mail()
    (event,) = feed(conn, line + b"\r\n")
    assert isinstance(event, CommandRejected)
    assert event.reply.code == code
    assert conn.state is State.RCPT


@pytest.mark.parametrize(
    ("path", "mailbox"),
    [
        (b"<Postmaster>", Mailbox("Postmaster", "")),
        (b"<postmaster@d.example>", Mailbox("postmaster", "d.example")),
        (b"<@a.example,@b.example:c@d.example>", Mailbox("c", "d.example")),
        (b'<"c\\"d"@e.example>', Mailbox('c"d', "e.example")),
        (b"<c@[IPv6:2001:db8::1]>", Mailbox("c", "[IPv6:2001:db8::1]")),
    ],
)
def test_forward_paths_of_every_shape(path: bytes, mailbox: Mailbox) -> None:
    conn = in_mail()
    (event,) = feed(conn, b"RCPT TO:" + path + b"\r\n")
    assert event.forward_path == mailbox


def test_a_space_behind_the_colon_is_a_quirk() -> None:
    conn = ready(quirks=Quirks(space_after_colon=True))
    mail, rcpt = feed(conn, b"MAIL FROM: <a@b>\r\nRCPT TO: <c@d>\r\n")
    assert mail.reverse_path == Mailbox("a", "b")
    assert rcpt.forward_path == Mailbox("c", "d")


def test_parameters_of_an_extension_switched_off_are_unknown() -> None:
    conn = ready(policy=Policy().without("8BITMIME", "DSN", "SIZE"))
    for parameter in (b"BODY=8BITMIME", b"RET=FULL", b"SIZE=1", b"SMTPUTF8"):
        assert said(conn, b"MAIL FROM:<a@b> " + parameter + b"\r\n")[0][:3] == b"555"


def test_8bitmime_off_but_binarymime_is_impossible() -> None:
    conn = ready(policy=Policy().without("8BITMIME").offering("BINARYMIME"))
    assert said(conn, b"MAIL FROM:<a@b> BODY=8BITMIME\r\n")[0][:3] == b"555"
    assert said(conn, b"MAIL FROM:<a@b> BODY=BINARYMIME\r\n")[0][:3] == b"250"


def test_replies_in_utf8_go_to_clients_that_asked_for_it() -> None:
    conn = ready()
    feed(conn, b"MAIL FROM:<\xc3\xa4@b> SMTPUTF8\r\n", lambda c, e: c.reject(550, "5.1.1", "ä?"))
    assert conn.data_to_send() == "550 5.1.1 ä?\r\n".encode()
    feed(conn, b"MAIL FROM:<a@b>\r\n", lambda c, e: c.reject(550, "5.1.1", "ä?"))
    assert conn.data_to_send() == b"550 5.1.1 \\xe4?\r\n"


def test_too_many_transactions_are_the_end() -> None:
    conn = ready(limits=Limits(transactions=1))
    feed(conn, b"MAIL FROM:<a@b>\r\nRSET\r\n")
    with pytest.raises(RemoteProtocolError):
        feed(conn, b"MAIL FROM:<a@b>\r\n")
    assert conn.data_to_send().endswith(b"421 4.7.0 Too many messages\r\n")


# DATA.


def test_rejecting_data_keeps_the_transaction() -> None:
    conn = in_mail()
    feed(conn, b"DATA\r\n", lambda c, e: c.reject())
    assert conn.data_to_send() == b"451 4.3.0 Local error in processing\r\n"
    assert conn.state is State.RCPT


def test_rejecting_the_message_ends_the_transaction() -> None:
    def refuse(conn: ServerConnection, event: Any) -> None:
        if isinstance(event, MessageReceived):
            conn.reject(554, "5.7.1", "spam")
        else:
            accept(conn, event)

    conn = in_mail()
    feed(conn, b"DATA\r\nx\r\n.\r\n", refuse)
    assert conn.data_to_send().endswith(b"554 5.7.1 spam\r\n")
    assert conn.state is State.READY
    assert conn.recipients == 0


def test_an_empty_message_is_one() -> None:
    assert feed(in_mail(), b"DATA\r\n.\r\n")[1:] == [MessageReceived(0, 1)]


def test_no_recipient_no_data() -> None:
    conn = ready()
    assert said(conn, b"DATA\r\nMAIL FROM:<a@b>\r\nDATA\r\nBDAT 1\r\nx") == [
        b"503 5.5.1 MAIL and RCPT first",
        b"250 2.1.0 Sender OK",
        b"503 5.5.1 No valid recipients",
        b"503 5.5.1 No valid recipients",
    ]


def test_a_message_beyond_the_limit_is_read_and_refused() -> None:
    conn = in_mail(limits=Limits(message_size=10))
    events = feed(conn, b"DATA\r\n12345678\r\n")
    events += feed(conn, b"12345678\r\n" * 100)
    events += feed(conn, b".\r\nNOOP\r\n")
    assert [e for e in events if isinstance(e, MessageChunk)] == [MessageChunk(b"12345678")]
    assert MessageAborted(Abort.TOO_LARGE) in events
    assert conn.data_to_send().split(b"\r\n")[1:3] == [
        b"552 5.3.4 Message too big",
        b"250 2.0.0 OK",
    ]


def test_a_message_at_the_limit_is_taken() -> None:
    assert isinstance(
        feed(in_mail(limits=Limits(message_size=10)), b"DATA\r\n12345678\r\n.\r\n")[-1],
        MessageReceived,
    )


def test_bare_newlines_may_be_normalised() -> None:
    conn = in_mail(policy=Policy(bare_newlines=BareNewlines.NORMALISE))
    events = feed(conn, b"DATA\r\na\nb\rc\n.\nd\r\n.\r\n")
    assert events[1] == MessageChunk(b"a\r\nb\r\nc\r\n.\r\nd\r\n")
    assert isinstance(events[2], MessageReceived)


# BDAT.


def test_bdat_streams_and_counts() -> None:
    conn = in_mail()
    events = feed(conn, b"BDAT 4\r\n.\r\n.BDAT 0\r\nBDAT 5 last\r\n\r\nab\nNOOP\r\n", accept)
    # The LF at the end stands alone.
    assert MessageAborted(Abort.BARE_NEWLINE) in events
    conn = in_mail()
    events = feed(conn, b"BDAT 4\r\n.\r\n.BDAT 0\r\nBDAT 6 last\r\n\r\nab\r\nNOOP\r\n", accept)
    assert b"".join(e.data for e in events if isinstance(e, MessageChunk)) == b".\r\n.\r\nab\r\n"
    assert events[0] == DataRequested(chunking=True)
    assert MessageReceived(10, 1) in events
    assert conn.data_to_send().count(b"250 2.0.0") == 4


def test_binarymime_takes_any_octets_and_no_data() -> None:
    conn = ready(policy=Policy().offering("BINARYMIME"))
    feed(conn, b"MAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\n")
    assert said(conn, b"DATA\r\n")[-1] == b"503 5.5.1 BINARYMIME is sent with BDAT"
    events = feed(conn, b"BDAT 6 LAST\r\n\r\r\0\n\nx")
    assert b"".join(e.data for e in events if isinstance(e, MessageChunk)) == b"\r\r\0\n\nx"
    assert isinstance(events[-1], MessageReceived)


def test_a_refused_bdat_is_read_to_its_end() -> None:
    def refuse(conn: ServerConnection, event: Any) -> None:
        if isinstance(event, DataRequested):
            conn.reject(452, "4.3.1", "disk full")
        else:
            accept(conn, event)

    conn = in_mail()
    assert said(conn, b"BDAT 5\r\nQUI", answer=refuse) == []
    assert said(conn, b"T\nBDAT 2 LAST\r\nxxRSET\r\nNOOP\r\n") == [
        b"452 4.3.1 disk full",
        b"503 5.5.1 RSET first: a chunk of this message has failed",
        b"250 2.0.0 OK",
        b"250 2.0.0 OK",
    ]
    conn = in_mail()
    assert said(conn, b"BDAT 2 LAST\r\nxx", answer=refuse) == [b"452 4.3.1 disk full"]
    assert conn.state is State.READY


def test_a_421_to_bdat_does_not_wait_for_the_octets() -> None:
    conn = in_mail()
    feed(conn, b"BDAT 5\r\n", lambda c, e: c.reject(421, "4.3.2", "bye"))
    assert conn.data_to_send() == b"421 4.3.2 bye\r\n"
    assert conn.closing


def test_bdat_beyond_the_size_limit_fails_once_and_stays_in_step() -> None:
    conn = in_mail(limits=Limits(message_size=10))
    lines = said(conn, b"BDAT 8\r\n12345678BDAT 8\r\n12345678BDAT 1 LAST\r\nxRSET\r\n")
    assert [line[:3] for line in lines] == [b"250", b"552", b"503", b"250"]
    conn = in_mail(limits=Limits(message_size=10))
    assert [line[:3] for line in said(conn, b"BDAT 11 LAST\r\n12345678901NOOP\r\n")] == [
        b"552",
        b"250",
    ]


def test_normalised_bdat() -> None:
    conn = in_mail(policy=Policy(bare_newlines=BareNewlines.NORMALISE))
    events = feed(conn, b"BDAT 4\r\na\nb\rBDAT 2 LAST\r\nc\r")
    assert b"".join(e.data for e in events if isinstance(e, MessageChunk)) == b"a\r\nb\r\nc\r\n"


def test_rset_between_chunks_forgets_them() -> None:
    for command, event in ((b"RSET", ResetReceived), (b"EHLO x", HelloReceived)):
        conn = in_mail()
        events = feed(conn, b"BDAT 3\r\nabc" + command + b"\r\n")
        assert MessageAborted(Abort.RESET) in events
        assert isinstance(events[-1], event)
        assert conn.state is State.READY


def test_quit_between_chunks_aborts_first() -> None:
    events = feed(in_mail(), b"BDAT 3\r\nabcQUIT\r\n")
    assert [type(e).__name__ for e in events[-3:]] == [
        "MessageAborted",
        "QuitReceived",
        "ConnectionEnded",
    ]


def test_a_chunk_that_comes_in_pieces() -> None:
    conn = in_mail()
    events = feed(conn, b"BDAT 6\r\nab")
    events += feed(conn, b"cd")
    events += feed(conn, b"ef")
    assert [e.data for e in events if isinstance(e, MessageChunk)] == [b"ab", b"cd", b"ef"]
    assert conn.state is State.BDAT


# The small commands.


def test_noop_rset_help_verify() -> None:
    conn = make(policy=Policy().offering("EXPN"))
    events = feed(conn, b"NOOP x\r\nRSET\r\nHELP\r\nHELP mail\r\nVRFY a\r\nEXPN list\r\n")
    assert events[1:] == [
        ResetReceived(),
        HelpRequested(""),
        HelpRequested("mail"),
        VerifyRequested("VRFY", "a"),
        VerifyRequested("EXPN", "list"),
    ]
    assert [line[:3] for line in conn.data_to_send().split(b"\r\n")[:-1]] == [
        b"250",
        b"250",
        b"214",
        b"214",
        b"252",
        b"252",
    ]
    assert conn.state is State.CONNECTED


def test_vrfy_in_utf8_needs_the_keyword() -> None:
    conn = ready()
    assert feed(conn, b"VRFY \xc3\xa4 SMTPUTF8\r\n") == [VerifyRequested("VRFY", "ä")]
    for bad in (b"VRFY \xc3\xa4\r\n", b"VRFY\r\n", b"VRFY \xff SMTPUTF8\r\n"):
        assert isinstance(feed(conn, bad)[0], CommandRejected)


def test_what_is_switched_off_is_not_implemented() -> None:
    conn = make(policy=Policy().without("VRFY", "HELP"))
    assert said(conn, b"VRFY a\r\nHELP\r\nEXPN l\r\nEHLO x\r\nSTARTTLS\r\nAUTH PLAIN\r\n")[-2:] == [
        b"502 5.5.1 STARTTLS is not offered",
        b"502 5.5.1 AUTH is not offered",
    ]


@pytest.mark.parametrize("line", [b"DATA x", b"RSET x", b"QUIT x", b"STARTTLS x"])
def test_commands_without_argument_take_none(line: bytes) -> None:
    conn = in_mail() if line[:4] == b"DATA" else ready(policy=Policy().offering("STARTTLS"))
    (event,) = feed(conn, line + b"\r\n")
    assert isinstance(event, CommandRejected)
    assert event.reply.code == 501
    assert not conn.closing


def test_trailing_spaces_do_no_harm() -> None:
    conn = in_mail()
    assert feed(conn, b"DATA  \r\n") == [DataRequested(chunking=False)]


@pytest.mark.parametrize("line", [b"", b"FOO", b"EHLO\tx", b"MAIL\x00", b"a" * 2047])
def test_what_is_no_command(line: bytes) -> None:
    conn = ready()
    (event,) = feed(conn, line + b"\r\n")
    assert isinstance(event, CommandRejected)
    assert event.reply.code == 500
    assert event.verb == ""


@pytest.mark.parametrize("control", [b"\0", b"\r", b"\n", b"\x7f"])
@pytest.mark.parametrize(
    "line",
    [
        *(b"EHLO a?b", b"HELO ?", b"MAIL FROM:<a@b?>", b"MAIL FROM:<a@b> ?", b"NOOP ?", b"HELP ?"),
        *(b"VRFY a?b", b"EXPN ?", b"AUTH PLAIN ?", b"RSET ?", b"QUIT?", b"DATA ?"),
    ],
)
def test_controls_in_an_argument_are_refused_however_the_verb_is_spelt(
    line: bytes, control: bytes
) -> None:
    replies = []
    for spelt in (line, line.lower(), line[:1] + line[1:].swapcase()):
        policy = Policy(auth_mechanisms=("PLAIN",), auth_in_clear=True).offering("EXPN")
        (event,) = feed(ready(policy=policy), spelt.replace(b"?", control) + b"\r\n")
        assert isinstance(event, CommandRejected)
        assert event.reply.code in (500, 501, 503)
        replies.append(event.reply)
    assert len(set(replies)) == 1


def test_a_size_of_bdat_with_a_control_in_it_ends_the_session() -> None:
    """Where its octets end nobody knows; they must not be read as commands."""
    conn = in_mail()
    with pytest.raises(RemoteProtocolError):
        feed(conn, b"BDAT 6\0 LAST\r\nNOOP\r\n")
    assert conn.data_to_send() == b"501 5.5.4 Syntax: BDAT size [LAST]\r\n"


def test_a_line_at_the_limit_is_read_and_one_beyond_it_is_not() -> None:
    conn = ready()
    at = b"NOOP " + b"x" * (2048 - 7)
    assert said(conn, at + b"\r\n") == [b"250 2.0.0 OK"]
    assert said(conn, at + b"x\r\n") == [b"500 5.5.2 Line too long"]
    for octet in at + b"x\r\n":
        conn.receive_data(bytes([octet]))
        pull(conn)
        assert conn.buffered <= 2048
    assert conn.data_to_send() == b"500 5.5.2 Line too long\r\n"
    assert said(conn, b"NOOP\r\n") == [b"250 2.0.0 OK"]


def test_too_many_mistakes_are_the_end() -> None:
    conn = ready(limits=Limits(errors=3))
    feed(conn, b"FOO\r\n" * 3)
    with pytest.raises(RemoteProtocolError) as caught:
        feed(conn, b"FOO\r\nNOOP\r\n")
    assert caught.value.reply is not None
    assert caught.value.reply.code == 421
    assert conn.closing
    assert isinstance(conn.next_event(), ConnectionEnded)
    assert conn.data_to_send().endswith(b"421 4.7.0 Too many errors\r\n")


# AUTH.

SASL = Policy(auth_mechanisms=("SCRAM-SHA-256", "PLAIN"), auth_in_clear=True)


def test_auth_with_and_without_initial_response() -> None:
    conn = ready(policy=SASL)
    assert feed(conn, b"AUTH plain AGEAYg==\r\n", lambda c, e: c.reject()) == [
        AuthStarted("PLAIN", b"\0a\0b")
    ]
    assert feed(conn, b"AUTH PLAIN =\r\n", lambda c, e: c.reject()) == [AuthStarted("PLAIN", b"")]
    assert feed(conn, b"AUTH PLAIN\r\n", lambda c, e: c.challenge(b"")) == [
        AuthStarted("PLAIN", None)
    ]
    assert conn.state is State.AUTH
    assert feed(conn, b"AGEAYg==\r\n", lambda c, e: c.challenge(b"more")) == [
        AuthResponse(b"\0a\0b")
    ]
    assert feed(conn, b"\r\n") == [AuthResponse(b"")]
    assert conn.authenticated
    assert conn.data_to_send().split(b"\r\n")[:-1] == [
        b"535 5.7.8 Authentication credentials invalid",
        b"535 5.7.8 Authentication credentials invalid",
        b"334 ",
        b"334 bW9yZQ==",
        b"235 2.7.0 Authentication succeeded",
    ]
    assert said(conn, b"AUTH PLAIN\r\n") == [b"503 5.5.1 Already authenticated"]


def test_auth_can_be_cancelled() -> None:
    conn = ready(policy=SASL)
    feed(conn, b"AUTH PLAIN\r\n", lambda c, e: c.challenge(b""))
    assert feed(conn, b"*\r\n") == [AuthCancelled()]
    assert conn.data_to_send() == b"334 \r\n501 5.7.0 Authentication cancelled\r\n"
    assert conn.state is State.READY


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"AUTH", 501),
        (b"AUTH PLAIN a b", 501),
        (b"AUTH PLAIN AGEAYg=", 501),
        (b"AUTH PLAIN AG EA", 501),
        (b"AUTH PLAIN ====", 501),
        (b"AUTH CRAM-MD5", 504),
    ],
)
def test_bad_auth(line: bytes, code: int) -> None:
    conn = ready(policy=SASL)
    (event,) = feed(conn, line + b"\r\n")
    assert isinstance(event, CommandRejected)
    assert event.reply.code == code


def test_an_auth_line_may_have_12288_octets() -> None:
    conn = ready(policy=SASL)
    feed(conn, b"AUTH PLAIN\r\n", lambda c, e: c.challenge(b""))
    (event,) = feed(conn, b"A" * 12284 + b"\r\n", lambda c, e: c.challenge(b""))
    assert len(event.data) == 12284 * 3 // 4
    (event,) = feed(conn, b"A" * 12288 + b"\r\n")
    assert event.reply.code == 500
    assert conn.state is State.READY


def test_endless_challenges_and_failures_end() -> None:
    conn = ready(policy=SASL, limits=Limits(auth_challenges=2, auth_failures=2))
    feed(conn, b"AUTH PLAIN\r\n", lambda c, e: c.challenge(b""))
    feed(conn, b"\r\n\r\n", lambda c, e: c.challenge(b""))
    assert conn.data_to_send() == b"334 \r\n334 \r\n535 5.7.8 Too many challenges\r\n"
    feed(conn, b"AUTH PLAIN =\r\n", lambda c, e: c.reject())
    with pytest.raises(RemoteProtocolError):
        feed(conn, b"AUTH PLAIN =\r\n", lambda c, e: c.reject())
    assert conn.data_to_send().endswith(b"421 4.7.0 Too many failures\r\n")


def test_auth_in_clear_is_told_how() -> None:
    policy = Policy(auth_mechanisms=("PLAIN",)).offering("STARTTLS")
    conn = ready(policy=policy)
    assert "AUTH" not in conn.offered
    assert said(conn, b"AUTH PLAIN AGEAYg==\r\n") == [
        b"538 5.7.11 Encryption required for authentication: issue STARTTLS first"
    ]
    conn = ready(policy=policy.without("STARTTLS"))
    assert said(conn, b"AUTH PLAIN AGEAYg==\r\n") == [
        b"538 5.7.11 Encryption required for authentication: connect to the TLS port"
    ]
    conn = ready(policy=policy, tls=TLSInfo())
    assert "AUTH" in conn.offered
    assert feed(conn, b"MAIL FROM:<a@b> AUTH=<>\r\n")[0].parameters.auth == ""
    assert feed(conn, b"RSET\r\nMAIL FROM:<a@b> AUTH=e+3Dmc2@x\r\n")[1].parameters.auth == "e=mc2@x"


def test_auth_after_helo_is_not_offered() -> None:
    conn = make(policy=Policy(auth_mechanisms=("PLAIN",)))
    assert said(conn, b"HELO x\r\nAUTH PLAIN\r\n")[1] == b"502 5.5.1 AUTH is not offered"


def test_what_submission_demands() -> None:
    policy = Policy(auth_mechanisms=("PLAIN",), require_auth=True, require_tls=True)
    conn = ready(policy=policy.offering("STARTTLS"))
    assert said(conn, b"MAIL FROM:<a@b>\r\nVRFY x\r\nNOOP\r\n") == [
        b"530 5.7.0 Must issue a STARTTLS command first",
        b"530 5.7.0 Must issue a STARTTLS command first",
        b"250 2.0.0 OK",
    ]
    assert (
        said(conn, b"HELO x\r\nRSET\r\n") == [b"530 5.7.0 Must issue a STARTTLS command first"] * 2
    )
    feed(conn, b"STARTTLS\r\n")
    conn.data_to_send()
    conn.start_tls(TLSInfo())
    assert (
        said(conn, b"RSET\r\nEHLO x\r\nMAIL FROM:<a@b>\r\n")[-1]
        == b"530 5.7.0 Authentication required"
    )
    assert said(conn, b"AUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@b>\r\n")[-1] == b"250 2.1.0 Sender OK"


# TLS.


def test_starttls_forgets_what_was_said() -> None:
    conn = ready(policy=Policy(auth_mechanisms=("PLAIN",), auth_in_clear=True).offering("STARTTLS"))
    feed(conn, b"AUTH PLAIN AGEAYg==\r\nSTARTTLS\r\n")
    assert conn.tls_pending
    assert conn.next_event() is PAUSED
    assert conn.data_to_send().endswith(b"220 2.0.0 Ready to start TLS\r\n")
    with pytest.raises(LocalProtocolError, match="TLS is pending"):
        conn.receive_data(b"\x16\x03\x01")
    info = TLSInfo(version="TLSv1.3")
    conn.start_tls(info)
    assert (conn.hello, conn.authenticated, conn.offered) == (None, False, frozenset())
    assert conn.tls is info
    lines = said(conn, b"MAIL FROM:<a@b>\r\nEHLO x\r\nSTARTTLS\r\n")
    assert lines[0] == b"503 5.5.1 Say EHLO first"
    assert b"250-STARTTLS" not in lines
    assert lines[-1] == b"503 5.5.1 TLS is on already"
    with pytest.raises(LocalProtocolError):
        conn.start_tls(info)


def test_requiretls_is_offered_under_tls_alone() -> None:
    policy = Policy().offering("REQUIRETLS")
    assert "REQUIRETLS" not in ready(policy=policy).offered
    conn = ready(policy=policy, tls=TLSInfo())
    assert feed(conn, b"MAIL FROM:<a@b> REQUIRETLS\r\n")[0].parameters.requiretls


def test_starttls_may_be_declined() -> None:
    conn = ready(policy=Policy().offering("STARTTLS"))
    feed(conn, b"STARTTLS\r\n", lambda c, e: c.reject())
    assert conn.data_to_send() == b"454 4.7.0 TLS not available now\r\n"
    assert conn.state is State.READY


# The end.


def test_eof_aborts_the_message_and_ends() -> None:
    conn = in_mail()
    feed(conn, b"DATA\r\nhalf a mess")
    conn.receive_eof()
    conn.receive_eof()
    assert pull(conn) == [MessageAborted(Abort.DISCONNECTED), ConnectionEnded()]
    assert isinstance(conn.next_event(), ConnectionEnded)
    with pytest.raises(LocalProtocolError, match="after the end"):
        conn.receive_data(b"x")


def test_what_came_before_the_eof_is_answered() -> None:
    conn = ready()
    conn.receive_data(b"NOOP\r\nQU")
    conn.receive_eof()
    assert [type(e).__name__ for e in pull(conn)] == ["NoopReceived", "ConnectionEnded"]
    assert conn.data_to_send() == b"250 2.0.0 OK\r\n"


def test_an_answer_owed_at_eof_is_still_legal() -> None:
    conn = ready()
    conn.receive_data(b"MAIL FROM:<a@b>\r\n")
    conn.next_event()
    conn.receive_eof()
    assert conn.next_event() is PAUSED
    conn.accept()
    assert isinstance(conn.next_event(), ConnectionEnded)


def test_close_says_421_once_and_owed_answers_go_nowhere() -> None:
    conn = in_mail()
    conn.receive_data(b"DATA\r\nx\r\n.\r\n")
    while not isinstance(conn.next_event(), MessageReceived):
        if conn.owed is not None:
            conn.accept()
    conn.data_to_send()
    conn.close()
    conn.close()
    assert isinstance(conn.next_event(), ConnectionEnded)
    conn.accept()
    assert conn.data_to_send() == b"421 4.3.2 Service closing transmission channel\r\n"
    assert conn.timeout is None
    with pytest.raises(ValueError, match="421"):
        conn.close(Reply(250))


@pytest.mark.parametrize(
    "answer",
    [
        lambda c: c.reject(),
        lambda c: c.accept("text"),
        lambda c: c.reply(250),
    ],
)
def test_every_answer_after_close_goes_nowhere(answer: Callable[[ServerConnection], None]) -> None:
    conn = ready()
    conn.receive_data(b"MAIL FROM:<a@b>\r\n")
    conn.next_event()
    conn.close()
    conn.data_to_send()
    answer(conn)
    assert conn.data_to_send() == b""


def test_answers_to_auth_and_data_after_close_go_nowhere() -> None:
    conn = ready(policy=SASL)
    conn.receive_data(b"AUTH PLAIN\r\n")
    conn.next_event()
    conn.close()
    conn.data_to_send()
    conn.challenge(b"")
    for command in (b"DATA\r\n", b"BDAT 1\r\n"):
        conn = in_mail()
        conn.receive_data(command)
        conn.next_event()
        conn.close()
        conn.data_to_send()
        conn.accept()
        assert conn.data_to_send() == b""


def test_close_in_the_middle_of_a_message() -> None:
    conn = in_mail()
    feed(conn, b"DATA\r\nabc\r\n")
    conn.close()
    assert pull(conn) == [MessageAborted(Abort.CLOSED), ConnectionEnded()]


def test_close_during_a_handshake_says_nothing() -> None:
    conn = ready(policy=Policy().offering("STARTTLS"))
    feed(conn, b"STARTTLS\r\n")
    conn.data_to_send()
    conn.close()
    assert conn.data_to_send() == b""
    assert conn.closing


def test_421_as_an_answer_closes() -> None:
    conn = ready()
    events = feed(conn, b"MAIL FROM:<a@b>\r\nNOOP\r\n", lambda c, e: c.reject(421, "4.3.2", "bye"))
    assert [type(e).__name__ for e in events] == ["MailOffered", "ConnectionEnded"]
    assert conn.data_to_send() == b"421 4.3.2 bye\r\n"


def test_timeouts_are_those_of_the_rfc() -> None:
    conn = ready()
    assert conn.timeout == 300.0
    feed(conn, b"QUIT\r\n")
    assert conn.timeout is None


def test_the_host_name_is_checked() -> None:
    for name in ("a b", "ä", "x\r\n", ""):
        with pytest.raises(ValueError, match="host name"):
            ServerConnection(name)


# LMTP.


def test_lmtp_knows_lhlo_alone() -> None:
    conn = make(protocol=Protocol.LMTP)
    assert said(conn, b"EHLO x\r\nHELO x\r\n") == [b"500 5.5.1 This is LMTP: say LHLO"] * 2
    assert said(conn, b"LHLO x\r\n")[0] == b"250-mx.example"
    assert said(make(), b"LHLO x\r\n") == [b"500 5.5.1 This is SMTP: say EHLO"]


def lmtp() -> ServerConnection:
    conn = ready(protocol=Protocol.LMTP)
    feed(conn, b"MAIL FROM:<a@b>\r\n")
    feed(conn, b"RCPT TO:<x@b>\r\n")
    feed(conn, b"RCPT TO:<y@b>\r\n", lambda c, e: c.reject())
    feed(conn, b"RCPT TO:<z@b>\r\n")
    conn.data_to_send()
    return conn


def test_lmtp_gives_each_accepted_recipient_its_reply() -> None:
    def each(conn: ServerConnection, event: Any) -> None:
        if isinstance(event, MessageReceived):
            with pytest.raises(LocalProtocolError, match="1 replies to 2"):
                conn.reply_each([Reply(250)])
            conn.reply_each([Reply(250, "2.0.0", "x"), Reply(452, "4.2.2", "z is full")])
        else:
            accept(conn, event)

    conn = lmtp()
    assert said(conn, b"DATA\r\nx\r\n.\r\n", answer=each)[1:] == [
        b"250 2.0.0 x",
        b"452 4.2.2 z is full",
    ]
    assert conn.state is State.READY


def test_lmtp_repeats_one_answer_for_all() -> None:
    def reject(conn: ServerConnection, event: Any) -> None:
        conn.reject() if isinstance(event, MessageReceived) else accept(conn, event)

    assert said(lmtp(), b"DATA\r\n.\r\n")[1:] == [b"250 2.0.0 Message accepted"] * 2
    assert (
        said(lmtp(), b"DATA\r\n.\r\n", answer=reject)[1:]
        == [b"451 4.3.0 Local error in processing"] * 2
    )
    assert (
        said(lmtp(), b"DATA\r\nx\ny\r\n.\r\n")[1:]
        == [b"550 5.6.0 Message holds a CR or LF on its own (RFC 5321 section 2.3.8)"] * 2
    )


def test_lmtp_bdat_has_a_reply_per_recipient_at_its_last() -> None:
    conn = lmtp()
    assert said(conn, b"BDAT 2\r\nabBDAT 1 LAST\r\nc") == [
        b"250 2.0.0 Chunk taken",
        *[b"250 2.0.0 Message accepted"] * 2,
    ]
    conn = lmtp()
    assert len(said(conn, b"BDAT 1 LAST\r\nc", answer=lambda c, e: c.reject())) == 2


def test_reply_each_is_for_lmtp() -> None:
    conn = in_mail()
    conn.receive_data(b"DATA\r\n")
    conn.next_event()
    with pytest.raises(LocalProtocolError, match="LMTP"):
        conn.reply_each([])


def test_tls_pending_at_the_end_of_the_stream_ends() -> None:
    conn = ready(policy=Policy().offering("STARTTLS"))
    feed(conn, b"STARTTLS\r\n")
    conn.receive_eof()
    assert isinstance(conn.next_event(), ConnectionEnded)


def test_the_answer_to_ehlo_after_close_goes_nowhere() -> None:
    conn = make()
    conn.receive_data(b"EHLO x\r\n")
    conn.next_event()
    conn.close()
    conn.data_to_send()
    conn.accept()
    conn.close()
    assert conn.data_to_send() == b""


def test_starttls_may_be_accepted_in_own_words_and_octets_behind_it_still_count() -> None:
    conn = ready(policy=Policy().offering("STARTTLS"))
    conn.receive_data(b"STARTTLS\r\nNOOP\r\n")
    conn.next_event()
    conn.accept("come in")
    assert conn.closing
    assert not conn.tls_pending
    assert b"220" not in conn.data_to_send()


def test_a_challenge_answers_auth_alone() -> None:
    conn = ready()
    conn.receive_data(b"MAIL FROM:<a@b>\r\n")
    conn.next_event()
    with pytest.raises(LocalProtocolError, match="AUTH"):
        conn.challenge(b"x")
    conn.accept()


def test_replies_to_each_after_close_go_nowhere() -> None:
    conn = lmtp()
    conn.receive_data(b"DATA\r\n.\r\n")
    conn.next_event()
    conn.accept()
    conn.next_event()
    conn.close()
    conn.data_to_send()
    conn.reply_each([Reply(250), Reply(250)])
    assert conn.data_to_send() == b""
    assert conn.owed is None


def test_a_message_that_is_complete_but_not_told_is_aborted_by_close() -> None:
    """421 has been said: who took it for received would deliver what the client sends again."""
    conn = in_mail()
    feed(conn, b"DATA\r\n")
    conn.data_to_send()
    conn.receive_data(b"hello\r\n.\r\n")
    assert conn.next_event() == MessageChunk(b"hello\r\n")
    conn.close()
    assert pull(conn) == [MessageAborted(Abort.CLOSED), ConnectionEnded()]
    assert conn.data_to_send() == b"421 4.3.2 Service closing transmission channel\r\n"


def test_close_between_an_abort_and_the_ehlo_behind_it_asks_nothing_more() -> None:
    conn = in_mail()
    feed(conn, b"BDAT 3\r\nabc")
    conn.receive_data(b"EHLO again\r\n")
    assert conn.next_event() == MessageAborted(Abort.RESET)
    conn.close()
    assert pull(conn) == [ConnectionEnded()]


@pytest.mark.parametrize("octets", [b"", b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n"])
def test_a_text_that_cannot_be_said_leaves_the_answer_owed(octets: bytes) -> None:
    conn = ServerConnection("mx.example")
    conn.receive_data(octets)
    while not isinstance(event := conn.next_event(), MailOffered):
        if not octets:
            break
        conn.accept()
    conn.data_to_send()
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        conn.accept("a\r\n250 b")
    assert conn.owed is event
    assert conn.data_to_send() == b""
    conn.accept("fine")
    assert conn.data_to_send().endswith(b" fine\r\n")


def test_where_authentication_is_demanded_mail_waits_for_it() -> None:
    """As the only demand: on the port of TLS from the first octet there is no other."""
    policy = Policy(require_auth=True, auth_mechanisms=("PLAIN",), auth_in_clear=True)
    conn = ready(policy=policy)
    for line in (b"MAIL FROM:<a@b.example>", b"mail from:<a@b.example>", b"VRFY a"):
        assert said(conn, line + b"\r\n") == [b"530 5.7.0 Authentication required"]
    assert said(conn, b"NOOP\r\nRSET\r\n") == [b"250 2.0.0 OK"] * 2
    assert said(conn, b"AUTH PLAIN AGEAYg==\r\n") == [b"235 2.7.0 Authentication succeeded"]
    assert said(conn, b"MAIL FROM:<a@b.example>\r\n") == [b"250 2.1.0 Sender OK"]


def test_what_was_fed_may_be_used_again() -> None:
    """A caller that reads into one buffer overwrites it with the next read."""
    conn = ready()
    octets = bytearray(b"VRFY alice\r\n")
    conn.receive_data(octets)
    octets[:] = b"VRFY eve00\r\n"
    assert conn.next_event() == VerifyRequested("VRFY", "alice")


def test_challenges_are_counted_for_each_exchange() -> None:
    policy = Policy(auth_mechanisms=("PLAIN",), auth_in_clear=True)
    conn = ready(policy=policy, limits=Limits(auth_challenges=2))
    for _ in range(3):
        conn.receive_data(b"AUTH PLAIN\r\n")
        for _ in range(2):
            assert isinstance(conn.next_event(), AuthStarted | AuthResponse)
            conn.challenge(b"?")
            conn.receive_data(b"YQ==\r\n")
        assert conn.next_event() == AuthResponse(b"a")
        conn.reject()
    assert conn.data_to_send().count(b"535 5.7.8 Authentication credentials invalid\r\n") == 3


def test_limits_are_given_with_six_digits_at_most() -> None:
    limits = Limits(transactions=10**9, recipients=10**6)
    line = said(make(limits=limits), b"EHLO x\r\n")
    assert b"250-LIMITS MAILMAX=999999 RCPTMAX=999999" in line


@pytest.mark.parametrize("line", [b"MAIL FROM:<%b>", b"RCPT TO:<%b>"])
def test_parts_of_an_address_have_their_limits(line: bytes) -> None:
    def code(address: bytes) -> int:
        conn = ready() if line[:4] == b"MAIL" else in_mail()
        return int(said(conn, line % address + b"\r\n")[0][:3])

    for local in (b"a" * 128, b'"' + b"a" * 128 + b'"'):
        assert code(local + b"@b.example") == 250
        assert code(local.replace(b"a", b"aa", 1) + b"@b.example") == 501
    assert code(b"a@" + b"b." * 127 + b"c") == 250
    assert code(b"a@" + b"b." * 127 + b"cc") == 501
