"""One named test for each thing that has hurt an IMAP server or client before.

Rows are those of the project's checklist; "bugs of others" are those seen in mail servers in 2025-26.
"""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from corvus_imap import (
    ALL_CAPABILITIES,
    NEED_DATA,
    AppendOffered,
    AuthAborted,
    ClientConnection,
    Code,
    CommandReceived,
    CommandRejected,
    ConnectionEnded,
    Flag,
    Greeted,
    Limits,
    ListPattern,
    LiteralChunk,
    LiteralStarted,
    LocalProtocolError,
    Policy,
    ProtocolError,
    RemoteProtocolError,
    ResponseReceived,
    Secret,
    SequenceSet,
    ServerConnection,
    TLSInfo,
    commands,
    decode_mailbox,
    encode_mailbox,
    responses,
)
from corvus_imap.types.search import And, LacksFlag, ModSeq, Not
from corvus_testing.properties import drive

OPEN = Policy(ALL_CAPABILITIES, require_tls=False)
NOOP = b"z NOOP\r\n"
IN_STEP = b"z OK NOOP completed\r\n"


def accept(conn: ServerConnection, event: Any) -> None:
    if isinstance(event, CommandReceived | AppendOffered) or type(event).__name__ in (
        "AppendReceived",
        "IdleDone",
    ):
        conn.accept()


def server(*, login: bool = True, select: bool = False, **fields: Any) -> ServerConnection:
    conn = ServerConnection(policy=fields.pop("policy", OPEN), **fields)
    wire = (b"l LOGIN a b\r\n" if login else b"") + (b"s SELECT INBOX\r\n" if select else b"")
    drive(conn, [wire], accept, errors=ProtocolError)
    return conn


def said(conn: ServerConnection, *chunks: bytes) -> bytes:
    """What *conn* answers to the chunks."""
    return drive(conn, chunks, accept, errors=ProtocolError).written


# Row 3, and the first bug of others.


@pytest.mark.parametrize("behind", [b"b NOOP\r\n", b"x", b"\r\n", b"b LOGIN {5}\r\n"])
def test_octets_behind_starttls_are_an_attack_and_never_meet_tls(behind: bytes) -> None:
    conn = ServerConnection(policy=Policy(starttls=True))
    conn.receive_data(b"a STARTTLS\r\n" + behind)
    conn.next_event()
    conn.accept()
    assert b"a OK" not in conn.data_to_send()
    assert conn.closing
    with pytest.raises(RemoteProtocolError, match="behind STARTTLS"):
        conn.next_event()
    assert conn.next_event() == ConnectionEnded()


def test_octets_behind_starttls_in_a_second_packet_are_refused_as_well() -> None:
    conn = ServerConnection(policy=Policy(starttls=True))
    conn.receive_data(b"a STARTTLS\r\n")
    conn.next_event()
    conn.receive_data(b"b NOOP\r\n")
    conn.accept()
    assert not conn.tls_pending
    assert conn.closing


# Row 4.


def client(**fields: Any) -> ClientConnection:
    conn = ClientConnection(**fields)
    conn.receive_data(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=EVIL] hi\r\n")
    assert isinstance(conn.next_event(), Greeted)
    return conn


def test_a_client_leaves_when_something_stands_behind_the_answer_to_starttls() -> None:
    conn = client()
    tag = conn.send(commands.StartTLS())
    conn.receive_data(f"{tag} OK go\r\n* CAPABILITY IMAP4rev1 AUTH=EVIL\r\n".encode())
    with pytest.raises(RemoteProtocolError):
        conn.next_event()
    assert conn.closing
    assert not conn.tls_pending


def test_a_client_forgets_what_it_was_told_in_clear() -> None:
    conn = client()
    tag = conn.send(commands.StartTLS())
    conn.receive_data(f"{tag} OK go\r\n".encode())
    conn.next_event()
    assert conn.tls_pending
    with pytest.raises(LocalProtocolError):
        conn.receive_data(b"* CAPABILITY X\r\n")
    conn.start_tls(TLSInfo())
    assert conn.capabilities is None


def test_a_client_that_wants_tls_takes_no_preauth_and_shows_no_password() -> None:
    conn = ClientConnection(require_tls=True)
    conn.receive_data(b"* PREAUTH come in\r\n")
    with pytest.raises(RemoteProtocolError):
        conn.next_event()
    conn = client(require_tls=True)
    with pytest.raises(LocalProtocolError):
        conn.send(commands.Login("a", Secret(b"b")))
    assert conn.data_to_send() == b""


def test_a_client_takes_no_answer_to_what_it_never_asked() -> None:
    conn = client()
    conn.receive_data(b"A9 OK you are root\r\n")
    with pytest.raises(RemoteProtocolError):
        conn.next_event()
    conn = client()
    conn.receive_data(b"+ send me more\r\n")
    with pytest.raises(RemoteProtocolError):
        conn.next_event()


# Row 8: injection outwards.


@pytest.mark.parametrize("evil", ["a\r\nb LOGOUT", "a\nb", "a\0b", "\x7f", "\u2028"])
def test_a_mailbox_name_cannot_become_two_lines(evil: str) -> None:
    with pytest.raises(ValueError):
        encode_mailbox(evil)
    conn = client()
    with pytest.raises(LocalProtocolError):
        conn.send(commands.Select(evil))


def test_strings_with_line_ends_go_out_as_literals_and_nul_not_at_all() -> None:
    conn = client()
    conn.send(commands.Login("a\r\nb NOOP", Secret(b"x")))
    assert conn.data_to_send() == b"A1 LOGIN {9}\r\n"
    with pytest.raises(LocalProtocolError):
        conn.send(commands.Login("a\0", Secret(b"x")))


@pytest.mark.parametrize("name", ["UIDNEXT 5] x", "a\r\n", "a b", ""])
def test_a_response_code_cannot_end_early(name: str) -> None:
    with pytest.raises(ValueError):
        Code(name)
    with pytest.raises(ValueError):
        Code("X", b"5] evil")


def test_a_text_cannot_be_taken_for_a_code() -> None:
    conn = server()
    conn.receive_data(b"a NOOP\r\n")
    conn.next_event()
    conn.ok(None, "[UIDVALIDITY 1] evil")
    assert conn.data_to_send() == b"a OK .[UIDVALIDITY 1] evil\r\n"


# Row 9: literals.


@pytest.mark.parametrize(
    "head", ["{99999999999+}", "{4294967296+}", "{9223372036854775808+}", "{1048577+}"]
)
def test_a_huge_literal_before_login_ends_the_session_without_a_buffer(head: str) -> None:
    conn = server(login=False)
    conn.receive_data(f"a LOGIN {head}\r\n".encode())
    assert conn.next_event() == CommandRejected("a", "the literal is too long")
    with pytest.raises(RemoteProtocolError):
        conn.next_event()
    assert b"a BAD [TOOBIG]" in (out := conn.data_to_send())
    assert out.endswith(b"* BYE [TOOBIG] far too long\r\n")


@pytest.mark.parametrize("head", ["{99999999999}", "{4294967296}", "{16385}", "{20000}"])
def test_a_huge_literal_that_asks_first_is_refused_and_the_session_goes_on(head: str) -> None:
    assert said(server(login=False), f"a LOGIN {head}\r\n".encode() + NOOP) == (
        b"a BAD [TOOBIG] the literal is too long\r\n" + IN_STEP
    )


@pytest.mark.parametrize("head", ["{-1}", "{+5}", "{1_0}", "{0x5}", "{}", "{ 5}", "{5 }", "{٣}"])
def test_a_literal_head_has_digits_only(head: str) -> None:
    out = said(server(login=False), f"a LOGIN {head}\r\n".encode() + NOOP)
    assert out.startswith(b"a BAD ")
    assert out.endswith(IN_STEP)


def test_leading_zeros_are_digits() -> None:
    conn = server(login=False)
    conn.receive_data(b"a LOGIN {00000001+}\r\na b\r\n")
    assert isinstance(conn.next_event(), CommandReceived)


def test_the_whole_command_before_login_is_capped_at_16_kb() -> None:
    limit = Limits().command_before_login
    # As long as the limit, in one literal or many, the command is read; one octet more is not.
    for extra, taken in ((0, True), (1, False)):
        room = limit - len(b"a LOGIN {16000+}\r\n") - len(b" b\r\n") + extra
        wire = b"a LOGIN {%d+}\r\n%b b\r\n" % (room, b"x" * room)
        conn = server(login=False)
        for at in range(0, len(wire), 1000):
            conn.receive_data(wire[at : at + 1000])
            event = conn.next_event()
            assert conn.buffered <= limit + 1000
            if event is not NEED_DATA:
                break
        assert isinstance(event, CommandReceived) is taken


def test_an_oversized_nonsynchronizing_literal_is_drained_without_being_stored() -> None:
    conn = server(limits=Limits(literal=100))
    conn.receive_data(b"a SELECT {5000000+}\r\n")
    assert conn.next_event() == CommandRejected("a", "the literal is too long")
    for _ in range(5000):
        conn.receive_data(b"b NOOP\r\n" * 125)
        assert conn.next_event() is NEED_DATA
        assert conn.buffered < 100
    conn.receive_data(b" trailing {3+}\r\nabc {7+}\r\ndefghij\r\n" + NOOP)
    assert conn.next_event() == CommandReceived("z", commands.Noop())


def test_ten_thousand_empty_literals_cost_one_command() -> None:
    wire = b"a SEARCH " + b"{0+}\r\n " * 10_000 + b"\r\n" + NOOP
    assert said(server(select=True), wire) == b"a BAD too many literals\r\n" + IN_STEP


def test_a_message_longer_than_the_limit_is_refused_before_it_comes() -> None:
    conn = server(limits=Limits(message=10))
    assert said(conn, b"a APPEND x {11}\r\n" + NOOP) == (
        b"a NO [TOOBIG] the message is too long\r\n" + IN_STEP
    )
    assert said(conn, b"a APPEND x {11+}\r\n12345678901\r\n" + NOOP) == (
        b"a NO [TOOBIG] the message is too long\r\n" + IN_STEP
    )
    assert b"a OK" in said(conn, b"a APPEND x {10+}\r\n1234567890\r\n")


def test_draining_has_an_end() -> None:
    conn = server(limits=Limits(message=10, drain=1000))
    conn.receive_data(b"a APPEND x {900+}\r\n" + b"x" * 900 + b" {200+}\r\n")
    conn.next_event()
    with pytest.raises(RemoteProtocolError, match="far too long"):
        conn.next_event()
    conn = server(limits=Limits(line=100, drain=1000))
    conn.receive_data(b"a " + b"x" * 2000)
    conn.next_event()
    with pytest.raises(RemoteProtocolError, match="far too long"):
        conn.next_event()


def test_a_line_is_capped_and_the_rest_of_it_thrown_away() -> None:
    conn = server(limits=Limits(line=100))
    wire = b"a SELECT " + b"x" * 89 + b"\r\n"
    assert len(wire) == 100
    assert said(conn, wire) == b"a OK [READ-WRITE] SELECT completed\r\n"
    assert said(conn, b"a SELECT x" + wire[9:]) == b"a BAD [LIMIT] the command is too long\r\n"
    assert said(conn, b"a SELECT " + b"x" * 5000 + b"\r\n" + NOOP) == (
        b"a BAD [LIMIT] the command is too long\r\n" + IN_STEP
    )


def test_the_message_streams_in_constant_memory() -> None:
    conn = server()
    conn.receive_data(b"a APPEND x {10000000+}\r\n")
    conn.next_event()
    conn.accept()
    total = 0
    while total < 10_000_000:
        conn.receive_data(b"x" * 50_000)
        while (event := conn.next_event()) is not NEED_DATA:
            assert isinstance(event, LiteralChunk)
            total += len(event.data)
        assert conn.buffered == 0


@pytest.mark.parametrize("cut", [100, 101, 150, 5000])
def test_a_line_that_is_too_long_is_answered_alike_however_it_is_cut(cut: int) -> None:
    wire = b"x" * 6000 + b" NOOP\r\n" + NOOP
    answers = said(server(limits=Limits(line=100)), wire[:cut], wire[cut:])
    # Where the tag ends was not seen when the answer was given.
    assert answers == b"* BAD [LIMIT] the command is too long\r\n" + IN_STEP


# Row 10.


def test_a_negative_literal_in_a_search_is_bad_and_the_loop_advances() -> None:
    out = said(server(select=True), b"a SEARCH {-100}x\r\nb SEARCH {-100}\r\n" + NOOP)
    assert out == b"a BAD a search key expected\r\nb BAD a search key expected\r\n" + IN_STEP


# Row 11.


@pytest.mark.parametrize(
    "argument",
    [b'"a\0b"', b'"\xff"', b'"\xc3\xa4"', b'"unterminated', b'"a\\', b'"a\\"', b'"a\\b"', b"a\0b"],
)
def test_quoted_strings_hold_no_nul_no_8_bit_and_end(argument: bytes) -> None:
    out = said(server(login=False), b"a LOGIN " + argument + b" x\r\n" + NOOP)
    assert out.startswith(b"a BAD ")
    assert out.endswith(IN_STEP)


def test_a_literal_holds_no_nul_either() -> None:
    out = said(server(login=False), b"a LOGIN {3+}\r\na\0b x\r\n" + NOOP)
    assert out == b"a BAD NUL in a literal\r\n" + IN_STEP


# Row 12, and the sixth bug of others.


@pytest.mark.parametrize(
    "line",
    [
        b"SEARCH " + b"(" * 10_000,
        b"SEARCH " + b"(" * 10_000 + b"ALL" + b")" * 10_000,
        b"SEARCH " + b"NOT " * 10_000 + b"ALL",
        b"SEARCH " + b"OR ALL " * 5_000 + b"ALL",
        b"FETCH 1 " + b"(" * 10_000,
        b"FETCH 1 (BODY[" + b"1." * 10_000 + b"1]",
        b"FETCH 1 BODY[HEADER.FIELDS " + b"(" * 10_000,
        b"LIST " + b"(" * 10_000,
        b"ID " + b"(" * 10_000,
        b"STORE 1 FLAGS " + b"(" * 10_000,
        b"STATUS x " + b"(" * 10_000,
        b"THREAD REFERENCES UTF-8 " + b"(" * 10_000,
        b"LOGIN " + b"(" * 10_000,
    ],
)
def test_ten_thousand_parentheses_are_bad_and_quick(line: bytes) -> None:
    started = time.perf_counter()
    out = said(server(select=True), b"a " + line + b"\r\n" + NOOP)
    assert out.startswith(b"a BAD ")
    assert out.endswith(IN_STEP)
    assert time.perf_counter() - started < 1


def test_a_search_may_nest_as_deep_as_the_limit_and_no_deeper() -> None:
    depth = Limits().search_depth
    conn = server(select=True)
    conn.receive_data(b"a SEARCH " + b"NOT " * depth + b"SEEN\r\n")
    event = conn.next_event()
    assert isinstance(event, CommandReceived)
    assert isinstance(event.command, commands.Search)
    key = event.command.key
    for _ in range(depth):
        assert isinstance(key, Not)
        key = key.key
    conn.ok()
    conn.receive_data(b"a SEARCH " + b"NOT " * (depth + 1) + b"SEEN\r\n")
    assert conn.next_event() == CommandRejected("a", "nested too deeply")


def test_a_client_survives_a_structure_that_nests_for_ever() -> None:
    conn = client()
    for line in (
        b"* 1 FETCH (BODYSTRUCTURE " + b"(" * 10_000 + b"\r\n",
        b"* THREAD " + b"(" * 10_000 + b"\r\n",
        b'* 1 FETCH (BODY ("A" "B" NIL NIL NIL "7BIT" 1 NIL NIL NIL NIL ' + b"(" * 10_000 + b"\r\n",
    ):
        conn.receive_data(line)
        event = conn.next_event()
        assert isinstance(event, ResponseReceived)
        assert isinstance(event.response, responses.Unknown)


def test_a_client_holds_no_more_than_its_limits() -> None:
    conn = ClientConnection(limits=Limits(response_line=100, response_literal=10, response=200))
    conn.receive_data(b"* OK hi\r\n")
    conn.next_event()
    conn.receive_data(b"* 1 FETCH (BODY[] {1000000}\r\n")
    started = conn.next_event()
    assert started == LiteralStarted(b"* 1 FETCH (BODY[] ", 1_000_000)
    for _ in range(1000):
        conn.receive_data(b"x" * 1000)
        assert conn.next_event() == LiteralChunk(b"x" * 1000)
        assert conn.buffered == 0
    conn.receive_data(b" UID 5)\r\n* OK " + b"x" * 200)
    assert isinstance(conn.next_event(), ResponseReceived)
    with pytest.raises(RemoteProtocolError):
        conn.next_event()


# Numbers.


@pytest.mark.parametrize("number", ["4294967296", "0", "99999999999999999999", "-1", "1:0", "01"])
def test_a_message_number_has_32_bits_and_is_not_0(number: str) -> None:
    out = said(server(select=True), f"a FETCH {number} FLAGS\r\n".encode() + NOOP)
    assert out.startswith(b"a BAD ")
    assert out.endswith(IN_STEP)


def test_a_set_of_a_million_numbers_is_no_command_and_no_work() -> None:
    numbers = b",".join([b"%d" % number for number in range(1, 1_000_001)])
    out = said(server(select=True), b"a FETCH " + numbers + b" FLAGS\r\n" + NOOP)
    assert out == b"a BAD [LIMIT] the command is too long\r\n" + IN_STEP
    # Where a longer line is allowed, the work stays that of the mailbox.
    started = time.perf_counter()
    assert SequenceSet.parse(numbers).resolve(3) == (range(1, 4),)
    assert time.perf_counter() - started < 5


def test_everything_of_an_empty_mailbox_is_nothing() -> None:
    assert SequenceSet.parse(b"1:*").resolve(0) == ()
    assert SequenceSet.parse(b"*").resolve(0) == ()


def test_a_set_of_four_thousand_million_is_two_numbers() -> None:
    everything = SequenceSet.parse(b"1:4294967295,*:1")
    assert everything.resolve(10) == (range(1, 11),)
    assert len(everything.ranges) == 2


# The ninth bug of others.


def test_n_to_star_always_holds_the_last_message() -> None:
    assert SequenceSet.parse(b"500:*").resolve(7) == (range(7, 8),)


# The eighth bug of others: pipelined STORE and EXPUNGE keep their order, see test_server.py.


# The tenth bug of others.


def test_raw_utf8_stays_out_of_quoted_strings_until_it_was_enabled() -> None:
    from corvus_imap.types.structure import Envelope

    told = responses.Fetch(1, (("ENVELOPE", Envelope(subject="ä".encode())),))
    conn = server(select=True)
    conn.push(told)
    assert b"{2}\r\n\xc3\xa4" in conn.data_to_send()
    said(conn, b"e ENABLE UTF8=ACCEPT\r\n")
    conn.push(told)
    assert b'"\xc3\xa4"' in conn.data_to_send()


# Row 25.


@pytest.mark.parametrize("line", [b"AGFs\xff", b"A===", b"AAA", b" AAAA", b"AA==AA==", b"AAAA{5}"])
def test_base64_of_an_exchange_is_strict(line: bytes) -> None:
    conn = server(login=False)
    conn.receive_data(b"a AUTHENTICATE PLAIN\r\n")
    conn.next_event()
    conn.challenge(b"")
    conn.data_to_send()
    conn.receive_data(line + b"\r\n" + NOOP)
    assert isinstance(conn.next_event(), AuthAborted)
    assert conn.next_event() == CommandReceived("z", commands.Noop())


def test_a_megabyte_of_base64_is_refused_and_thrown_away() -> None:
    conn = server(login=False, limits=Limits(drain_before_login=2_000_000))
    conn.receive_data(b"a AUTHENTICATE PLAIN\r\n")
    conn.next_event()
    conn.challenge(b"")
    conn.data_to_send()
    for _ in range(100):
        conn.receive_data(b"A" * 10_000)
        conn.next_event()
        assert conn.buffered < 30_000
    conn.receive_data(b"\r\n" + NOOP)
    assert conn.next_event() == CommandReceived("z", commands.Noop())


def test_no_password_before_tls() -> None:
    conn = ServerConnection(policy=Policy(starttls=True))
    out = said(conn, b"a LOGIN alice secret\r\nb AUTHENTICATE PLAIN AGEAYg==\r\n")
    assert b"a NO [PRIVACYREQUIRED]" in out
    assert b"b NO [PRIVACYREQUIRED]" in out


def test_endless_mistakes_end_the_session() -> None:
    conn = server(login=False, limits=Limits(mistakes=3))
    run = drive(conn, [b"x\r\n" * 10], accept, errors=ProtocolError)
    assert isinstance(run.error, RemoteProtocolError)
    assert run.written.endswith(b"* BYE too many mistakes\r\n")
    assert len(run.events) == 3


def test_mistakes_are_counted_in_a_row() -> None:
    conn = server(limits=Limits(mistakes=3))
    assert said(conn, (b"x\r\n" * 3 + NOOP) * 5).count(IN_STEP) == 5


# Row 26.


def test_secrets_show_in_no_repr() -> None:
    conn = server(login=False)
    conn.receive_data(b"a LOGIN alice hunter2\r\nb AUTHENTICATE PLAIN aHVudGVyMg==\r\n")
    shown = repr(conn.next_event())
    conn.no()
    shown += repr(conn.next_event())
    assert "hunter2" not in shown


def test_no_octet_of_the_peer_comes_back_in_an_answer_to_nonsense() -> None:
    out = said(server(), b"evil<script>\x1b[2J\r\na evilverb\r\na LIST evilarg\xff\r\n")
    assert b"script" not in out
    assert b"evilverb" not in out
    assert b"evilarg" not in out


# Row 27.


def test_one_octet_at_a_time_costs_no_more_than_one_pass() -> None:
    conn = server(login=False)
    wire = b"a LOGIN " + b"x" * 10_000 + b" y\r\n"
    started = time.perf_counter()
    for at in range(len(wire)):
        conn.receive_data(wire[at : at + 1])
        event = conn.next_event()
    assert isinstance(event, CommandReceived)
    assert time.perf_counter() - started < 2


def test_every_phase_has_a_deadline() -> None:
    assert server(login=False).timeout == Limits().login_timeout
    assert server().timeout == Limits().idle_timeout
    conn = server()
    conn.receive_data(b"a APPEND x {5}\r\n")
    conn.next_event()
    conn.accept()
    assert conn.timeout == Limits().command_timeout


# Row 29.


def test_names_are_ids_and_their_spelling_is_one() -> None:
    assert decode_mailbox(b"../../etc/passwd") == "../../etc/passwd"
    for alias in (b"&AGE-", b"&U,BTFw", b"&U,BTFw-&ZeVnLIqe-", b"R&D", b"&*-", b"&AAA-", b"\xff"):
        with pytest.raises(ValueError):
            decode_mailbox(alias)
    assert decode_mailbox(b"iNbOx") == decode_mailbox(b"INBOX") == "INBOX"
    assert decode_mailbox(b"inbox/a") == "INBOX/a"


@pytest.mark.parametrize("name", [b"&AGE-", b"R&D", b"x" * 2000])
def test_a_name_that_is_none_is_answered_with_no(name: bytes) -> None:
    out = said(server(), b"a SELECT " + name + b"\r\n" + NOOP)
    assert out.startswith(b"a NO [")
    assert out.endswith(IN_STEP)


def test_list_patterns_match_in_linear_time() -> None:
    name = "a" * 1000
    for pattern in ("*%" * 500 + "b", "*a" * 500 + "b", "%a" * 500 + "/", "*" * 1000):
        started = time.perf_counter()
        ListPattern(pattern).matches(name)
        assert time.perf_counter() - started < 0.5
    assert ListPattern("*" * 1000).matches(name)


# Row 31.


def test_a_bomb_behind_compress_is_unpacked_in_small_steps() -> None:
    conn = server()
    said(conn, b"c COMPRESS DEFLATE\r\n")
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = pack.compress(b"\0" * 20_000_000) + pack.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 25_000
    conn.receive_data(bomb)
    most = 0
    while (event := conn.next_event()) is not NEED_DATA:
        most = max(most, conn.buffered)
        assert isinstance(event, CommandRejected)
    assert max(most, conn.buffered) < 3 * Limits().inflated


def test_octets_behind_compress_are_refused() -> None:
    conn = server()
    conn.receive_data(b"a COMPRESS DEFLATE\r\nb NOOP\r\n")
    conn.next_event()
    conn.ok()
    assert conn.closing
    assert conn.data_to_send().startswith(b"a BAD octets behind COMPRESS")


def test_an_unknown_charset_is_named_and_the_known_ones_told() -> None:
    out = said(server(select=True), b"a SEARCH CHARSET UTF-7 SUBJECT x\r\n" + NOOP)
    assert out == (
        b"a NO [BADCHARSET (US-ASCII UTF-8)] the charset is not known here\r\n" + IN_STEP
    )
    out = said(server(select=True), b"a SEARCH CHARSET UTF-8 SUBJECT {1+}\r\n\xff\r\n" + NOOP)
    assert out.startswith(b"a BAD the search text")


def test_search_keys_are_counted() -> None:
    conn = server(select=True, limits=Limits(search_keys=3))
    conn.receive_data(b"a SEARCH UNSEEN UNSEEN UNSEEN\r\n")
    event = conn.next_event()
    assert isinstance(event, CommandReceived)
    assert isinstance(event.command, commands.Search)
    assert isinstance(event.command.key, And)
    assert isinstance(event.command.key.keys[0], LacksFlag)
    conn.ok()
    conn.data_to_send()
    for line in (b"a SEARCH ALL ALL ALL ALL", b"a SEARCH (ALL ALL ALL ALL)"):
        assert said(conn, line + b"\r\n").startswith(b"a NO [LIMIT]")


# Bare CR and LF.


@pytest.mark.parametrize("line", [b"a NO\nOP", b"a NOOP\n", b"a\rNOOP", b"a NOOP\r", b"\na NOOP"])
def test_bare_line_ends_end_no_line(line: bytes) -> None:
    out = said(server(), line + b"\r\n" + NOOP)
    assert out.count(b" BAD ") == 1
    assert out.endswith(IN_STEP)


# Row 14: whatever the octets, twice as many cost about twice as much.


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b"a LOGIN " + b'"' + b"\\\\" * n + b'" x',
        lambda n: b"a LOGIN " + b'"' + b"\\\\" * n,
        lambda n: b"a SEARCH " + b"1," * n + b"x",
        lambda n: b"a FETCH 1 BODY[" + b"1." * n + b"x]",
        lambda n: b"a STORE 1 FLAGS (" + b"\\Seen " * n + b"%",
        lambda n: b"a SELECT &" + b"AGE" * n,
        lambda n: b"a SELECT " + b"&-" * n,
        lambda n: b"a AUTHENTICATE PLAIN " + b"AAAA" * n + b"=",
        lambda n: b"a" * n,
        lambda n: b"a " + b" " * n,
        lambda n: b"a LIST () " + b"(" * n,
        lambda n: b"a LOGIN " + b"{1+}\r\nx " * n,
    ],
)
def test_parsing_takes_linear_time(make: Callable[[int], bytes]) -> None:
    from corvus_imap.codec.grammar import Grammar
    from corvus_imap.codec.parse_command import parse_command
    from corvus_imap.errors import ParseError

    limits = Limits(mailbox_name=1 << 30, flags=1 << 30, search_keys=1 << 30)
    grammar = Grammar(frozenset(ALL_CAPABILITIES), limits)

    def cost(n: int) -> float:
        wire, best = make(n), 1e9
        for _ in range(3):
            started = time.process_time()
            with contextlib.suppress(ParseError):
                parse_command(wire, grammar)
            best = min(best, time.process_time() - started)
        return best

    # Eight times as many: 8 if linear, 64 if quadratic.  Our own seconds, so that what else the machine
    # does has no part in it, and a floor of 20 ms for the grain of that clock.
    assert cost(80_000) <= max(20 * cost(10_000), 0.02)


def test_a_server_that_sends_a_thousand_literals_costs_a_client_one_pass() -> None:
    conn = client()
    started = time.perf_counter()
    conn.receive_data(b"*" + b"x" * 500_000 + b" {0}\r\n" * 2000 + b"\r\n")
    with pytest.raises(RemoteProtocolError):
        conn.next_event()
    assert time.perf_counter() - started < 1


def test_search_keys_are_counted_across_parentheses() -> None:
    conn = server(select=True, limits=Limits(search_keys=5))
    assert said(conn, b"a SEARCH (ALL ALL) NOT ALL\r\n").startswith(b"a OK")
    for line in (b"(ALL ALL) (ALL ALL)", b"OR (ALL ALL) NOT ALL ALL"):
        assert said(conn, b"a SEARCH " + line + b"\r\n").startswith(b"a NO [LIMIT]")


def test_a_letter_that_only_has_the_capital_of_i_makes_no_inbox() -> None:
    name = "ınbox"  # U+0131
    assert decode_mailbox(name.encode(), utf8=True) == name
    assert decode_mailbox(encode_mailbox(name)) == name
    assert not ListPattern("INBOX").matches(name)
    assert not ListPattern(name).matches("INBOX")


def test_no_scope_of_a_mod_sequence_is_a_second_command() -> None:
    for scope in ("all\r\nz DELETE INBOX", "", "ALL"):
        with pytest.raises(ValueError, match="not a scope"):
            ModSeq(1, Flag("\\Draft"), scope)


def test_enabled_in_clear_is_forgotten_with_tls() -> None:
    conn = ClientConnection()
    conn.receive_data(b"* OK hi\r\n* ENABLED UTF8=ACCEPT\r\n")
    while conn.next_event() is not NEED_DATA:
        pass
    conn.send(commands.StartTLS())
    conn.receive_data(b"A1 OK go\r\n")
    conn.next_event()
    conn.start_tls(TLSInfo())
    assert (conn.enabled, conn.utf8) == (frozenset(), False)


def test_what_comes_in_place_of_done_costs_one_answer() -> None:
    conn = server(limits=Limits(line=20))
    wire = b"i IDLE\r\n" + b"x" * 100 + b"\r\n" + NOOP
    for chunks in ([wire], [wire[:50], wire[50:]], [wire[i : i + 1] for i in range(len(wire))]):
        assert said(conn, *chunks) == b"+ idling\r\ni BAD DONE expected\r\n" + IN_STEP


def test_a_thread_of_any_length_can_be_logged() -> None:
    conn = ClientConnection()
    chain = b" ".join([b"%d" % number for number in range(1, 20_000)])
    conn.receive_data(b"* OK hi\r\n* THREAD (" + chain + b")\r\n")
    conn.next_event()
    event = conn.next_event()
    assert isinstance(event, ResponseReceived)
    assert "<ThreadNode 1 children=1>" in repr(event)
    assert isinstance(event.response, responses.Thread)
