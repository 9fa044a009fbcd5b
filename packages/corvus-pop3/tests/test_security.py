"""
Attacks that have worked on others, and bad input by name.

The rows are those of the project's security checklist: 3 (octets behind STLS), 4 (the same, seen
from the client), 8 (injection), 25 (authentication), 27 (slow and silent peers).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import corvus_pop3 as pop3
from corvus_pop3 import (
    PAUSED,
    ClientConnection,
    Limits,
    LocalProtocolError,
    Policy,
    RemoteProtocolError,
    ServerConnection,
    State,
    TLSInfo,
)

OPEN = Policy(require_tls=False, stls=True, mechanisms=("PLAIN",))


def say(conn: ServerConnection, text: bytes) -> pop3.Event | pop3.Wait:
    conn.receive_data(text)
    return conn.next_event()


def inside(messages: int = 2, *, limits: Limits = Limits()) -> ServerConnection:
    """A server in TRANSACTION."""
    conn = ServerConnection(OPEN, limits=limits)
    say(conn, b"USER alice\r\nPASS secret\r\n")
    conn.open(sizes=[10] * messages, uids=[f"u{n}" for n in range(messages)])
    conn.data_to_send()
    return conn


# Row 3: command injection through STLS.


@pytest.mark.parametrize("behind", [b"USER x\r\n", b"\r\n", b"\n", b"x", b"\x16\x03\x01"])
def test_octets_behind_stls_are_an_attack_and_end_the_session(behind: bytes) -> None:
    conn = ServerConnection(OPEN)
    conn.data_to_send()
    assert isinstance(say(conn, b"STLS\r\n" + behind), pop3.StlsRequested)
    conn.accept()
    assert conn.data_to_send() == b"-ERR octets behind STLS\r\n"
    assert conn.closing
    assert not conn.tls_pending
    assert conn.buffered == 0
    assert conn.next_event() == pop3.ConnectionEnded()


def test_octets_behind_stls_in_a_segment_of_their_own_are_the_same_attack() -> None:
    conn = ServerConnection(OPEN)
    say(conn, b"STLS\r\n")
    conn.receive_data(b"USER x\r\n")
    conn.accept()
    assert conn.closing


def test_octets_during_the_handshake_never_reach_the_engine() -> None:
    conn = ServerConnection(OPEN)
    say(conn, b"STLS\r\n")
    conn.accept()
    with pytest.raises(LocalProtocolError, match="TLS"):
        conn.receive_data(b"USER x\r\n")
    assert conn.buffered == 0


def test_a_refused_stls_leaves_what_is_behind_it_alone() -> None:
    conn = ServerConnection(OPEN)
    say(conn, b"STLS\r\nQUIT\r\n")
    conn.reject()
    assert conn.next_event() == pop3.ConnectionEnded()


def test_nothing_said_in_clear_is_remembered_behind_tls() -> None:
    german = pop3.Language("de", "Deutsch")
    policy = Policy(require_tls=False, stls=True, languages=(german,))
    conn = ServerConnection(policy, timestamp="<1@x.example>")
    assert b"<1@x.example>" in conn.data_to_send()
    say(conn, b"LANG de\r\n")
    assert conn.language is german
    say(conn, b"USER alice\r\n")
    say(conn, b"STLS\r\n")
    conn.accept()
    conn.start_tls(TLSInfo())
    assert conn.language is pop3.ENGLISH
    digest = pop3.apop_digest("<1@x.example>", "s").encode()
    assert isinstance(say(conn, b"APOP a " + digest + b"\r\n"), pop3.CommandRejected)
    assert isinstance(say(conn, b"PASS secret\r\n"), pop3.CommandRejected)
    assert conn.state is State.AUTHORIZATION


def test_stls_works_once_and_only_before_login() -> None:
    conn = ServerConnection(OPEN, tls=TLSInfo())
    assert isinstance(say(conn, b"STLS\r\n"), pop3.CommandRejected)
    assert isinstance(say(inside(), b"STLS\r\n"), pop3.CommandRejected)


def test_stls_within_a_sasl_exchange_is_not_a_command() -> None:
    conn = ServerConnection(OPEN)
    say(conn, b"AUTH PLAIN\r\n")
    conn.challenge(b"")
    assert say(conn, b"STLS\r\n") == pop3.AuthResponse(response=b"\x49\x32\xd2")


# Row 4: response injection, seen from the client.


@pytest.mark.parametrize("behind", [b"+OK\r\n", b"-ERR\r\n", b"+OK\r\nSASL PLAIN\r\n.\r\n", b"x"])
def test_a_client_aborts_when_octets_stand_behind_the_go_ahead(behind: bytes) -> None:
    conn = ClientConnection()
    conn.receive_data(b"+OK ready\r\n")
    conn.next_event()
    conn.stls()
    conn.receive_data(b"+OK go\r\n" + behind)
    with pytest.raises(RemoteProtocolError, match="behind"):
        conn.next_event()
    assert conn.closing
    assert not conn.tls_pending


def test_a_client_sends_no_credentials_without_tls() -> None:
    conn = ClientConnection()
    conn.receive_data(b"+OK <1@x.example>\r\n")
    conn.next_event()
    logins: list[Callable[[], object]] = [
        lambda: conn.login("a", "b"),
        lambda: conn.apop("a", "b"),
        lambda: conn.auth("PLAIN", b"\0a\0b"),
    ]
    for login in logins:
        with pytest.raises(LocalProtocolError, match="require_tls"):
            login()
    assert conn.data_to_send() == b""
    careless = ClientConnection(require_tls=False)
    careless.receive_data(b"+OK\r\n")
    careless.next_event()
    careless.login("a", "b")


def test_a_client_computes_apop_only_over_message_identifiers() -> None:
    """CVE-2007-1558: a chosen challenge with other octets makes MD5 give the secret away."""
    for challenge in (b"<\xff\x80@x>", b"<>", b"<a>", b"<a b@c>", b"<" + b"a" * 300 + b"@b>"):
        conn = ClientConnection(tls=TLSInfo())
        conn.receive_data(b"+OK ready " + challenge + b"\r\n")
        event = conn.next_event()
        assert isinstance(event, pop3.Greeted)
        assert event.timestamp is None
        with pytest.raises(LocalProtocolError):
            conn.apop("a", "b")


# Row 8: injection through values.


@pytest.mark.parametrize("poison", ["a\r\nDELE 1", "a\nDELE 1", "a\rb", "a\0b", ""])
def test_no_argument_of_a_client_becomes_a_second_command(poison: str) -> None:
    """CVE-2025-15367 is poplib's; ours is a LocalProtocolError, and nothing is written."""
    conn = ClientConnection(tls=TLSInfo())
    conn.receive_data(b"+OK <1@x.example>\r\n")
    conn.next_event()
    calls: list[Callable[[], object]] = [
        lambda: conn.login(poison, "x"),
        lambda: conn.login("x", poison),
        lambda: conn.apop(poison, "x"),
        lambda: conn.auth(poison),
        lambda: conn.auth(poison, b"x"),
        lambda: conn.lang(poison or "x y"),
    ]
    for call in calls:
        with pytest.raises(LocalProtocolError):
            call()
    assert conn.data_to_send() == b""
    assert conn.outstanding == 0


def test_no_text_of_a_server_becomes_a_second_line_or_a_code() -> None:
    conn = inside()
    say(conn, b"RETR 1\r\n")
    for poison in ("x\r\n.\r\n+OK", "x\n", "x\0", "[AUTH] x", "x" * 600):
        with pytest.raises(LocalProtocolError):
            conn.reject(poison)
        with pytest.raises(LocalProtocolError):
            conn.close(poison)
    assert conn.data_to_send() == b""


# Row 25: authentication.


@pytest.mark.parametrize(
    "command",
    [b"USER alice", b"PASS secret", b"AUTH PLAIN AGEAYg==", b"APOP a " + b"0" * 32],
)
def test_nobody_logs_in_before_tls(command: bytes) -> None:
    policy = Policy(stls=True, mechanisms=("PLAIN",))
    conn = ServerConnection(policy, timestamp="<1@x.example>")
    assert conn.data_to_send() == b"+OK POP3 server ready\r\n"
    event = say(conn, command + b"\r\n")
    assert isinstance(event, pop3.CommandRejected)
    assert conn.data_to_send().startswith(b"-ERR ")
    say(conn, b"CAPA\r\n")
    offered = conn.data_to_send()
    assert b"\r\nSTLS\r\n" in offered
    assert b"USER\r\n" not in offered.replace(b"UTF8 USER", b"")
    assert b"SASL" not in offered


def test_user_is_answered_alike_for_everybody() -> None:
    first, second = ServerConnection(OPEN), ServerConnection(OPEN)
    say(first, b"USER exists\r\n")
    say(second, b"USER nobody\r\n")
    assert first.data_to_send() == second.data_to_send()


def test_a_star_cancels_and_junk_does_too() -> None:
    for line in (b"*", b"=", b"not base64", b"AGEAYg", b"YR==", b"\xff", b"a\nb", b"a\0"):
        conn = ServerConnection(OPEN)
        say(conn, b"AUTH PLAIN\r\n")
        conn.challenge(b"")
        conn.data_to_send()
        assert say(conn, line + b"\r\n") == pop3.AuthCancelled()
        assert conn.data_to_send().startswith(b"-ERR ")
        assert conn.state is State.AUTHORIZATION


def test_junk_as_an_initial_response_starts_nothing() -> None:
    conn = ServerConnection(OPEN)
    assert isinstance(say(conn, b"AUTH PLAIN AGEAYg\r\n"), pop3.CommandRejected)
    assert isinstance(say(conn, b"AUTH GSSAPI\r\n"), pop3.CommandRejected)
    assert conn.state is State.AUTHORIZATION


def test_a_response_of_a_megabyte_ends_the_session() -> None:
    conn = ServerConnection(OPEN)
    say(conn, b"AUTH PLAIN\r\n")
    conn.challenge(b"")
    with pytest.raises(RemoteProtocolError):
        say(conn, b"A" * 1_000_000 + b"\r\n")
    assert conn.closing


@pytest.mark.parametrize("started", [b"", b"AUTH PLAIN "])
def test_a_sasl_line_may_have_12288_octets_and_not_one_more(started: bytes) -> None:
    for size, fits in ((12288, True), (12289, False)):
        conn = ServerConnection(OPEN)
        if not started:
            say(conn, b"AUTH PLAIN\r\n")
            conn.challenge(b"")
        line = started + b"A" * (size - 2 - len(started)) + b"\r\n"
        if fits:
            # Its length may not be that of base64, but it is a line.
            assert not isinstance(say(conn, line), pop3.Wait)
            assert not conn.closing
        else:
            with pytest.raises(RemoteProtocolError):
                say(conn, line)


def test_guessing_ends_after_five_wrong_answers() -> None:
    conn = ServerConnection(OPEN)
    for _ in range(4):
        say(conn, b"USER a\r\nPASS x\r\n")
        conn.reject()
        assert not conn.closing
    conn.receive_data(b"USER a\r\nPASS y\r\nUSER a\r\nPASS z\r\n")
    conn.next_event()
    conn.reject()
    assert conn.closing
    assert conn.data_to_send().endswith(b"-ERR [AUTH] who you are could not be established\r\n")
    assert conn.next_event() == pop3.ConnectionEnded()


def test_a_busy_maildrop_is_no_guess() -> None:
    conn = ServerConnection(OPEN)
    for _ in range(10):
        say(conn, b"USER a\r\nPASS x\r\n")
        conn.reject(code=pop3.ResponseCode.IN_USE)
    assert not conn.closing


def test_pipelined_commands_wait_for_the_verdict_on_the_password() -> None:
    conn = ServerConnection(OPEN)
    say(conn, b"USER a\r\nPASS x\r\nSTAT\r\nDELE 1\r\nQUIT\r\n")
    conn.data_to_send()
    assert conn.next_event() is PAUSED
    conn.reject()
    assert isinstance(conn.next_event(), pop3.CommandRejected)
    assert isinstance(conn.next_event(), pop3.CommandRejected)
    assert conn.next_event() == pop3.ConnectionEnded()


def test_no_repr_shows_a_secret() -> None:
    conn = ServerConnection(OPEN, timestamp="<1@x.example>")
    digest = pop3.apop_digest("<1@x.example>", "hunter2")
    shown = [say(conn, b"PASS hunter2\r\n"), say(conn, b"hunter2\r\n")]
    shown.append(say(conn, b"USER a\r\nPASS hunter2\r\n"))
    conn.reject()
    shown.append(say(conn, b"AUTH PLAIN aHVudGVyMg==\r\n"))
    conn.challenge(b"x")
    shown.append(say(conn, b"aHVudGVyMg==\r\n"))
    conn.reject()
    shown.append(say(conn, f"APOP a {digest}\r\n".encode()))
    assert isinstance(shown[-1], pop3.ApopOffered)
    text = repr(shown) + repr(vars(conn))
    assert "hunter2" not in text
    assert digest not in text
    client = ClientConnection(tls=TLSInfo())
    client.receive_data(b"+OK\r\n")
    client.next_event()
    client.login("a", "hunter2")
    assert "hunter2" not in repr(vars(client))


# Row 27: silence, floods, and what never comes to an end.


def test_the_engine_says_how_long_it_waits() -> None:
    conn = inside(limits=Limits(idle=700, tls_handshake=5))
    assert conn.timeout == 700
    assert ClientConnection().timeout == 600


def test_a_timeout_deletes_nothing_and_says_nothing() -> None:
    conn = inside()
    say(conn, b"DELE 1\r\n")
    conn.data_to_send()
    conn.close()
    assert conn.next_event() == pop3.ConnectionEnded()
    assert conn.data_to_send() == b""


@pytest.mark.parametrize("last", [b"", b"QUIT", b"QUIT\r", b"QUIT\n", b"QUIT x\r\n", b"XQUIT\r\n"])
def test_a_dropped_connection_deletes_nothing(last: bytes) -> None:
    conn = inside()
    conn.receive_data(b"DELE 1\r\n" + last)
    conn.receive_eof()
    events = []
    while not isinstance(event := conn.next_event(), pop3.ConnectionEnded):
        events.append(event)
    assert not any(isinstance(event, pop3.QuitRequested) for event in events)


def test_a_broken_connection_within_a_message_deletes_nothing() -> None:
    conn = inside()
    say(conn, b"DELE 2\r\nRETR 1\r\nQUIT\r\n")
    conn.next_event()
    conn.chunk(b"half")
    conn.data_to_send()
    conn.close("the disk is gone")
    assert conn.data_to_send() == b"", "-ERR would be a line of the message, and no end follows it"
    assert conn.next_event() == pop3.ConnectionEnded()


def test_close_within_a_listing_leaves_it_without_its_end() -> None:
    conn = inside(5, limits=Limits(listing_slice=2))
    say(conn, b"LIST\r\n")
    conn.close("shutting down")
    assert conn.data_to_send().endswith(b"\r\n2 10\r\n")


def test_fifty_refused_commands_in_a_row_end_the_session() -> None:
    conn = inside()
    for _ in range(49):
        assert isinstance(say(conn, b"GET / HTTP/1.1\r\n"), pop3.CommandRejected)
    say(conn, b"NOOP\r\n")
    for _ in range(49):
        say(conn, b"RETR 99\r\n")
    conn.data_to_send()
    with pytest.raises(RemoteProtocolError) as caught:
        say(conn, b"RETR 99\r\nQUIT\r\n")
    assert conn.data_to_send() == caught.value.reply == b"-ERR too many errors\r\n"
    assert conn.next_event() == pop3.ConnectionEnded()


def test_cancelling_for_ever_ends_the_session() -> None:
    conn = ServerConnection(OPEN)
    for _ in range(49):
        say(conn, b"AUTH PLAIN\r\n")
        conn.challenge(b"")
        assert say(conn, b"*\r\n") == pop3.AuthCancelled()
    say(conn, b"AUTH PLAIN\r\n")
    conn.challenge(b"")
    with pytest.raises(RemoteProtocolError):
        say(conn, b"*\r\n")
    assert conn.closing


@pytest.mark.parametrize("size", [512, 513])
def test_a_command_may_have_512_octets_and_not_one_more(size: int) -> None:
    conn = ServerConnection(OPEN)
    line = b"USER " + b"x" * (size - 7) + b"\r\n"
    try:
        for octet in line:
            say(conn, bytes([octet]))
    except RemoteProtocolError:
        assert size == 513
    assert conn.closing is (size == 513)


def test_a_flood_without_a_line_end_is_not_kept() -> None:
    conn = ServerConnection(OPEN)
    with pytest.raises(RemoteProtocolError):
        say(conn, b"x" * 10_000_000)
    assert conn.buffered == 0


def test_ten_thousand_pipelined_commands_are_one_answer_at_a_time() -> None:
    conn = inside(limits=Limits(listing_slice=1000))
    conn.receive_data(b"LIST\r\n" * 10_000)
    most = 0
    events = 0
    while not isinstance(conn.next_event(), pop3.Wait):
        events += 1
        most = max(most, len(conn.data_to_send()))
    assert events == 10_000
    assert most < 100


def test_a_listing_of_a_hundred_thousand_messages_is_never_held_whole() -> None:
    conn = inside(100_000)
    conn.receive_data(b"UIDL\r\n")
    most = 0
    while not isinstance(conn.next_event(), pop3.Wait):
        most = max(most, len(conn.data_to_send()))
    assert most < 70_000


def test_a_client_collects_no_more_than_its_limit() -> None:
    conn = ClientConnection(tls=TLSInfo(), limits=Limits(listing=100))
    conn.receive_data(b"+OK\r\n")
    conn.next_event()
    conn.capa()
    conn.receive_data(b"+OK\r\n" + b"X\r\n" * 33)
    conn.next_event()
    conn.receive_data(b"YY\r\n")
    with pytest.raises(RemoteProtocolError, match="more than 100"):
        conn.next_event()


def test_a_client_counts_lines_as_well_as_their_octets() -> None:
    conn = ClientConnection(tls=TLSInfo(), limits=Limits(listing_lines=3))
    conn.receive_data(b"+OK\r\n")
    conn.next_event()
    conn.capa()
    conn.receive_data(b"+OK\r\n" + b"\r\n" * 3)
    assert conn.next_event() is pop3.NEED_DATA
    conn.receive_data(b"\r\n")
    with pytest.raises(RemoteProtocolError, match="more than 3 lines"):
        conn.next_event()


# Lines of ten megabytes, and dots wherever chunks are cut.


def test_a_line_of_ten_megabytes_passes_in_constant_memory() -> None:
    conn = inside()
    say(conn, b"RETR 1\r\n")
    total = 0
    for _ in range(160):
        conn.chunk(b"." * 65536)
        total += len(conn.data_to_send())
    conn.end()
    total += len(conn.data_to_send())
    assert total == len(b"+OK 10 octets\r\n") + 160 * 65536 + 1 + len(b"\r\n.\r\n")


def test_a_client_passes_a_line_of_ten_megabytes_on() -> None:
    conn = ClientConnection(tls=TLSInfo())
    conn.receive_data(b"+OK\r\n")
    conn.next_event()
    conn.login("a", "b")
    conn.receive_data(b"+OK\r\n+OK\r\n")
    conn.next_event()
    conn.retrieve(1)
    conn.receive_data(b"+OK\r\n")
    got = 0
    for _ in range(160):
        conn.receive_data(b"." * 65536)
        while isinstance(event := conn.next_event(), pop3.MessageChunk):
            got += len(event.data)
        assert conn.buffered == 0
    assert got == 160 * 65536 - 1


def test_a_stored_lone_lf_never_cuts_a_message_short() -> None:
    conn = inside()
    say(conn, b"RETR 1\r\n")
    conn.chunk(b"A: b\n\n.\nmore\n.\r\n.")
    conn.end()
    sent = conn.data_to_send()
    assert sent == b"+OK 10 octets\r\nA: b\r\n\r\n..\r\nmore\r\n..\r\n..\r\n.\r\n"
    assert sent.count(b"\r\n.\r\n") == 1


@pytest.mark.parametrize(
    "wire", [b"\n", b"\r", b"QUIT\n", b"\rQUIT\r\n", b"QUIT\r\r\n", b"QUIT\n\r\n"]
)
def test_only_crlf_ends_a_command(wire: bytes) -> None:
    conn = ServerConnection(OPEN)
    say(conn, wire)
    assert not conn.closing


# Numbers.


@pytest.mark.parametrize(
    "number",
    b"0|3|-1|+1|1.0|0x1|1e1|\xd9\xa1|1\0|\xb9|4294967297|18446744073709551617|"
    b"| 1|1 1|9999999999999999999|99999999999999999999".split(b"|"),
)
@pytest.mark.parametrize("verb", [b"RETR", b"DELE", b"TOP"])
def test_numbers_that_are_no_message_are_refused(verb: bytes, number: bytes) -> None:
    conn = inside()
    tail = b" 0" if verb == b"TOP" else b""
    assert isinstance(say(conn, verb + b" " + number + tail + b"\r\n"), pop3.CommandRejected)
    assert conn.deleted == frozenset()


def test_digits_are_bounded_even_where_lines_are_not() -> None:
    """CPython refuses more than 4300 digits with a ValueError; a longer line must not meet it."""
    conn = inside(limits=Limits(command_line=100_000))
    assert isinstance(say(conn, b"RETR " + b"9" * 50_000 + b"\r\n"), pop3.CommandRejected)


def test_a_huge_number_of_lines_is_the_whole_message() -> None:
    conn = inside()
    assert isinstance(say(conn, b"TOP 1 9999999999999999999\r\n"), pop3.TopRequested)
    assert conn.chunk(b"A: b\n\nbody\n")
    conn.end()
    assert b"body\r\n.\r\n" in conn.data_to_send()


# Linear time: twice the octets, at most 2.5 times the time (and a floor, for noise).


@pytest.mark.parametrize(
    "attack",
    [
        lambda n: pop3.wire_size([b"\n" * n]),
        lambda n: pop3.wire_size([b"\r" * n]),
        lambda n: pop3.wire_size([b"\n."] * (n // 20)),
        lambda n: _feed(ServerConnection(OPEN), [b"\r"] * (n // 100)),
        lambda n: _feed(ServerConnection(OPEN), [b"XXXX\r\n" * (n // 7)]),
        lambda n: _feed(inside(), [b"NOOP\r\n" * (n // 60)]),
        lambda n: _top(n, b"\n\r" * (n // 2)),
        lambda n: _top(n, b"\r\n" * (n // 2)),
        lambda n: _fetch_pipelined(n // 100, b"x\r\n" * 1000),
        lambda n: _fetch_pipelined(n // 100, b""),
    ],
)
def test_time_is_linear(attack: Callable[[int], object]) -> None:
    def seconds(size: int) -> float:
        best = 9.0
        for _ in range(3):
            start = time.process_time()
            attack(size)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(400_000) <= 2.5 * seconds(200_000) + 0.05


def _feed(conn: ServerConnection, chunks: list[bytes]) -> None:
    try:
        for chunk in chunks:
            conn.receive_data(chunk)
            while not isinstance(conn.next_event(), pop3.Wait | pop3.ConnectionEnded):
                conn.data_to_send()
    except RemoteProtocolError:
        pass


def _fetch_pipelined(messages: int, message: bytes) -> None:
    """All answers in one piece, as a client finds them that was busy for a while."""
    conn = ClientConnection(tls=TLSInfo())
    conn.receive_data(b"+OK\r\n")
    conn.next_event()
    conn.login("a", "b")
    conn.receive_data(b"+OK\r\n+OK\r\n")
    conn.next_event()
    conn.capa()
    conn.receive_data(b"+OK\r\nPIPELINING\r\n.\r\n")
    conn.next_event()
    for _ in range(messages):
        conn.retrieve(1)
    conn.receive_data((b"+OK\r\n" + message + b".\r\n") * messages)
    read = 0
    while not isinstance(event := conn.next_event(), pop3.Wait):
        read += isinstance(event, pop3.MessageReceived)
    assert read == messages


def _top(lines: int, message: bytes) -> None:
    conn = inside()
    say(conn, b"TOP 1 %d\r\n" % lines)
    conn.chunk(message)
    conn.end()
