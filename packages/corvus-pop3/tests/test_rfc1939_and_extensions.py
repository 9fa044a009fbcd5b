"""
The dialogues printed in the RFCs, run against the engine.

Texts for people are the caller's or the engine's own; the RFCs leave them free ("Any text occurring
after this reply may be ignored by the client", RFC 1939 §9), so where ours differ they stand here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import corvus_pop3 as pop3
from corvus_pop3 import ClientConnection, Language, Policy, ServerConnection, TLSInfo
from corvus_testing import run_transcript

MESSAGES = [b"Subject: one\n\n" + b"." + b"x" * 101, b"Subject: two\n\n" + b"y\n" * 60 + b"yy"]


def answer(conn: Any, event: Any) -> None:
    """A server with two messages of 120 and 200 octets, for mrose, whose secret is tanstaaf."""
    match event:
        case pop3.ApopOffered() if event.matches("tanstaaf"):
            conn.open(
                sizes=[pop3.wire_size([message]) for message in MESSAGES],
                uids=["whqtswO00WBw418f9t5JxYwZ", "QhdPYR:00WBw1Ph7x7"],
                text="maildrop has 2 messages (320 octets)",
            )
        case pop3.LoginOffered() | pop3.AuthResponse():
            conn.open(sizes=[120, 200], uids=["whqtswO00WBw418f9t5JxYwZ", "QhdPYR:00WBw1Ph7x7"])
        case pop3.AuthStarted(initial=None):
            conn.challenge(b"")
        case pop3.AuthStarted():
            conn.open(sizes=[], uids=[], text="Maildrop locked and ready")
        case pop3.ApopOffered():
            conn.reject("permission denied")
        case pop3.RetrieveRequested() | pop3.TopRequested():
            conn.chunk(MESSAGES[event.number - 1])
            conn.end()
        case pop3.QuitRequested(delete=(1, 2)):
            conn.accept("dewey POP3 server signing off (maildrop empty)")
        case pop3.StlsRequested() | pop3.QuitRequested():
            conn.accept()


def apop_server() -> ServerConnection:
    return ServerConnection(
        Policy(require_tls=False), timestamp="<1896.697170952@dbc.mtview.ca.us>"
    )


def test_the_session_of_rfc_1939_section_10() -> None:
    """The messages are those of 120 and 200 octets that the memo speaks of."""
    assert [pop3.wire_size([message]) for message in MESSAGES] == [120, 200]
    run_transcript(
        apop_server(),
        """
        S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>
        C: APOP mrose c4c9334bac560ecc979e58001b3e22fb
        S: +OK maildrop has 2 messages (320 octets)
        C: STAT
        S: +OK 2 320
        C: LIST
        S: +OK 2 messages (320 octets)
        S: 1 120
        S: 2 200
        S: .
        C: RETR 1
        S: +OK 120 octets
        S: ...
        C: DELE 1
        S: +OK message 1 deleted
        C: RETR 2
        S: +OK 200 octets
        S: ...
        C: DELE 2
        S: +OK message 2 deleted
        C: QUIT
        S: +OK dewey POP3 server signing off (maildrop empty)
        """,
        answer,
    )


def test_the_examples_of_rfc_1939_section_5() -> None:
    run_transcript(
        apop_server(),
        """
        S: ...
        C: APOP mrose c4c9334bac560ecc979e58001b3e22fb
        S: +OK maildrop has 2 messages (320 octets)
        C: LIST 2
        S: +OK 2 200
        C: LIST 3
        S: -ERR no such message
        C: DELE 2
        S: +OK message 2 deleted
        C: DELE 2
        S: -ERR message 2 already deleted
        C: RSET
        S: +OK maildrop has 2 messages (320 octets)
        C: NOOP
        S: +OK nothing done
        C: QUIT
        S: +OK signing off (2 messages left)
        """,
        answer,
    )


def test_the_examples_of_rfc_1939_section_7() -> None:
    run_transcript(
        apop_server(),
        """
        S: ...
        C: APOP mrose c4c9334bac560ecc979e58001b3e22fb
        S: +OK maildrop has 2 messages (320 octets)
        C: TOP 2 1
        S: +OK top of message follows
        S: Subject: two
        S:
        S: y
        S: .
        C: TOP 100 3
        S: -ERR no such message
        C: UIDL
        S: +OK unique-id listing follows
        S: 1 whqtswO00WBw418f9t5JxYwZ
        S: 2 QhdPYR:00WBw1Ph7x7
        S: .
        C: UIDL 2
        S: +OK 2 QhdPYR:00WBw1Ph7x7
        C: UIDL 3
        S: -ERR no such message
        """,
        answer,
    )


def test_a_wrong_digest_is_refused() -> None:
    run_transcript(
        apop_server(),
        """
        S: ...
        C: APOP mrose c4c9334bac560ecc979e58001b3e22fc
        S: -ERR [AUTH] permission denied
        """,
        answer,
    )


def test_the_capabilities_of_rfc_2449_section_5() -> None:
    policy = Policy(
        require_tls=False,
        mechanisms=("CRAM-MD5", "KERBEROS_V4"),
        login_delay=900,
        expire=60,
        implementation="Shlemazle-Plotz-v302",
        utf8=False,
        languages=(),
    )
    run_transcript(
        ServerConnection(policy),
        """
        S: +OK POP3 server ready
        C: CAPA
        S: +OK capability list follows
        S: TOP
        S: UIDL
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: USER
        S: SASL CRAM-MD5 KERBEROS_V4
        S: EXPIRE 60
        S: LOGIN-DELAY 900
        S: IMPLEMENTATION Shlemazle-Plotz-v302
        S: .
        """,
        answer,
    )


def test_the_examples_of_rfc_2595_section_4() -> None:
    run_transcript(
        ServerConnection(Policy(stls=True)),
        """
        S: ...
        C: STLS
        S: +OK begin TLS negotiation
        C: STLS
        S: -ERR command not permitted when TLS active
        """,
        answer,
        tls=lambda conn: conn.start_tls(TLSInfo()),
    )


def test_an_exchange_as_in_rfc_5034_section_6() -> None:
    run_transcript(
        ServerConnection(Policy(require_tls=False, mechanisms=("PLAIN",))),
        """
        S: ...
        C: AUTH PLAIN
        S: +\\x20
        C: dGVzdAB0ZXN0AHRlc3Q=
        S: +OK maildrop has 2 messages (320 octets)
        """,
        answer,
    )
    run_transcript(
        ServerConnection(Policy(require_tls=False, mechanisms=("PLAIN",))),
        """
        S: ...
        C: AUTH PLAIN dGVzdAB0ZXN0AHRlc3Q=
        S: +OK Maildrop locked and ready
        """,
        answer,
    )


def test_the_languages_of_rfc_6856_section_3() -> None:
    spanish = Language(
        "es",
        "Espanol",
        {pop3.Text.LANGUAGE: "Idioma cambiado", pop3.Text.NO_LANGUAGE: "Idioma no es conocido"},
    )
    languages = (
        spanish,
        Language("en", "English"),
        Language("en-boont", "English Boontling dialect"),
        Language("sv", "Svenska", {pop3.Text.LANGUAGE: 'Kommandot "LANG" lyckades'}),
    )
    run_transcript(
        ServerConnection(Policy(languages=languages)),
        """
        S: ...
        C: LANG MUL
        S: -ERR no such language
        C: LANG
        S: +OK language listing follows
        S: es Espanol
        S: en English
        S: en-boont English Boontling dialect
        S: sv Svenska
        S: .
        C: LANG es
        S: +OK es Idioma cambiado
        C: LANG uga
        S: -ERR Idioma no es conocido
        C: LANG sv
        S: +OK sv Kommandot "LANG" lyckades
        C: LANG *
        S: +OK es Idioma cambiado
        """,
        answer,
    )


def test_the_session_of_rfc_1939_section_10_from_the_clients_side() -> None:
    steps: Iterator[Callable[[Any], object]] = iter(
        [
            lambda conn: conn.apop("mrose", "tanstaaf"),
            lambda conn: conn.stat(),
            lambda conn: conn.list(),
            lambda conn: conn.retrieve(1),
            lambda conn: conn.delete(1),
            lambda conn: conn.quit(),
        ]
    )

    def go_on(conn: Any, event: Any) -> None:
        if not isinstance(event, pop3.MessageChunk):
            next(steps)(conn)

    events = run_transcript(
        ClientConnection(require_tls=False),
        """
        S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>
        C: APOP mrose c4c9334bac560ecc979e58001b3e22fb
        S: +OK mrose's maildrop has 2 messages (320 octets)
        C: STAT
        S: +OK 2 320
        C: LIST
        S: +OK 2 messages (320 octets)
        S: 1 120
        S: 2 200
        S: .
        C: RETR 1
        S: +OK 120 octets
        S: Subject: x
        S: .
        C: DELE 1
        S: +OK message 1 deleted
        C: QUIT
        S: +OK dewey POP3 server signing off
        """,
        lambda conn, event: None if conn.closing else go_on(conn, event),
        side="C",
    )
    assert isinstance(events[-1], pop3.ConnectionEnded)
    assert [e.sizes for e in events if isinstance(e, pop3.SizesReceived)] == [((1, 120), (2, 200))]
