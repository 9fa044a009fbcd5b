"""Dialogues that the RFCs print, verbatim but for the texts of replies, which are the server's own."""

from __future__ import annotations

from typing import Any

import pytest

from corvus_smtp import (
    AuthResponse,
    AuthStarted,
    DataReady,
    LocalProtocolError,
    MessageReceived,
    Policy,
    Protocol,
    ProtocolError,
    RecipientOffered,
    Reply,
    ReplyReceived,
    ServerConnection,
    Verb,
)
from corvus_smtp.client import ClientConnection
from corvus_testing import run_transcript


def accept(conn: Any, event: Any) -> None:
    if event.owes:
        conn.accept()


def check(text: str, answer: Any = accept, **options: Any) -> list[Any]:
    return run_transcript(
        ServerConnection("innosoft.example", **options), text, answer, errors=ProtocolError
    )


def test_rfc_2920_section_4_all_recipients_are_rejected() -> None:
    def answer(conn: Any, event: Any) -> None:
        conn.reject() if isinstance(event, RecipientOffered) else accept(conn, event)

    check(
        """
        S: 220 innosoft.example ESMTP
        C: EHLO dbc.mtview.ca.us
        S: 250-innosoft.example
        S: 250 PIPELINING
        C: MAIL FROM:<mrose@dbc.mtview.ca.us>
        C: RCPT TO:<nsb@thumper.bellcore.com>
        C: RCPT TO:<galvin@tis.com>
        C: DATA
        S: 250 Sender OK
        S: 550 No such user here
        S: 550 No such user here
        S: 503 No valid recipients
        C: QUIT
        S: 221 Bye
        """,
        answer,
        policy=Policy(extensions=frozenset({"PIPELINING"})),
    )


def test_rfc_2920_section_4_the_client_sends_a_single_dot() -> None:
    conn = ClientConnection("dbc.mtview.ca.us")
    conn.ehlo()

    def answer(conn: Any, event: Any) -> None:
        if isinstance(event, ReplyReceived) and event.verb is Verb.EHLO:
            conn.mail("mrose@dbc.mtview.ca.us")
            conn.rcpt("nsb@thumper.bellcore.com")
            conn.rcpt("galvin@tis.com")
            conn.data()
            conn.quit()

    run_transcript(
        conn,
        """
        S: 220 innosoft.com SMTP service ready
        C: EHLO dbc.mtview.ca.us
        S: 250-innosoft.com
        S: 250 PIPELINING
        C: MAIL FROM:<mrose@dbc.mtview.ca.us>
        C: RCPT TO:<nsb@thumper.bellcore.com>
        C: RCPT TO:<galvin@tis.com>
        C: DATA
        S: 250 sender <mrose@dbc.mtview.ca.us> OK
        S: 550 remote mail to <nsb@thumper.bellore.com> not allowed
        S: 550 remote mail to <galvin@tis.com> not allowed
        S: 354 enter mail, end with line containing only "."
        C: .
        C: QUIT
        S: 554 no valid recipients
        S: 221 goodbye
        """,
        answer,
        side="C",
        errors=ProtocolError,
    )


def test_rfc_3030_section_4_2_pipelining_binarymime() -> None:
    events = check(
        """
        S: 220 innosoft.example ESMTP
        C: EHLO ymir.claremont.edu
        S: ...
        C: MAIL FROM:<ned@ymir.claremont.edu> BODY=BINARYMIME
        C: RCPT TO:<gvaudre@cnri.reston.va.us>
        C: RCPT TO:<jstewart@cnri.reston.va.us>
        C: BDAT 10
        C: 12345678
        C: BDAT 4
        C: 90
        C: BDAT 0 LAST
        S: 250 2.1.0 Sender OK
        S: 250 2.1.5 Recipient OK
        S: 250 2.1.5 Recipient OK
        S: 250 2.0.0 Chunk taken
        S: 250 2.0.0 Chunk taken
        S: 250 2.0.0 Message accepted
        """,
        policy=Policy().offering("BINARYMIME"),
    )
    assert events[-1] == MessageReceived(14, 2)


def test_rfc_4954_section_4_plain_without_and_with_initial_response() -> None:
    def answer(conn: Any, event: Any) -> None:
        if isinstance(event, AuthStarted) and event.initial is None:
            conn.challenge(b"")
        elif isinstance(event, AuthResponse | AuthStarted):
            credentials = event.data if isinstance(event, AuthResponse) else event.initial
            assert credentials == b"test\0test\x001234"
            conn.accept()
        else:
            accept(conn, event)

    for dialogue in (
        """
        C: AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=
        S: 235 2.7.0 Authentication succeeded
        """,
        """
        C: AUTH PLAIN
        S: 334 \\x20
        C: dGVzdAB0ZXN0ADEyMzQ=
        S: 235 2.7.0 Authentication succeeded
        """,
    ):
        check(
            """
        S: 220 innosoft.example ESMTP
        C: EHLO client.example.com
        S: ...
        """
            + dialogue.replace("334 \\x20", "334\\x20"),
            answer,
            policy=Policy(auth_mechanisms=("PLAIN",), auth_in_clear=True),
        )


def test_rfc_2033_section_4_2_each_recipient_has_its_reply() -> None:
    def answer(conn: Any, event: Any) -> None:
        if isinstance(event, RecipientOffered) and event.forward_path.local_part == "jones":
            conn.reject(550, "5.1.1", "No such user here")
        elif isinstance(event, MessageReceived):
            conn.reply_each(
                [Reply(250, "2.1.5", "OK"), Reply(452, "4.2.2", "green is temporarily over quota")]
            )
        else:
            accept(conn, event)

    check(
        """
        S: 220 innosoft.example ESMTP
        C: LHLO foo.edu
        S: ...
        C: MAIL FROM:<chris@bar.com>
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<pat@foo.edu>
        S: 250 2.1.5 Recipient OK
        C: RCPT TO:<jones@foo.edu>
        S: 550 5.1.1 No such user here
        C: RCPT TO:<green@foo.edu>
        S: 250 2.1.5 Recipient OK
        C: DATA
        S: 354 End data with <CRLF>.<CRLF>
        C: Blah blah blah...
        C: ...etc. etc. etc.
        C: .
        S: 250 2.1.5 OK
        S: 452 4.2.2 green is temporarily over quota
        C: QUIT
        S: 221 2.0.0 Bye
        """,
        answer,
        protocol=Protocol.LMTP,
    )


def test_a_message_may_not_go_on_behind_its_end() -> None:
    conn = ClientConnection("x.example")
    conn.ehlo()

    def answer(conn: Any, event: Any) -> None:
        if isinstance(event, DataReady):
            conn.end(b"x\r\n")
            with pytest.raises(LocalProtocolError):
                conn.chunk(b"y\r\n")
        elif isinstance(event, ReplyReceived) and event.verb is Verb.EHLO:
            conn.mail("a@b")
            conn.rcpt("c@d")
            conn.data()

    run_transcript(
        conn,
        """
        S: 220 x
        C: EHLO x.example
        S: 250-x
        S: 250 PIPELINING
        C: MAIL FROM:<a@b>
        C: RCPT TO:<c@d>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: x
        C: .
        S: 250 ok
        """,
        answer,
        side="C",
        errors=ProtocolError,
    )
