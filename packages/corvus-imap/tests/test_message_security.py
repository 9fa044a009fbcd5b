"""The security checklist, as far as it concerns what is said over a message and over a mailbox."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable

import pytest

from corvus_imap import (
    MailboxView,
    SequenceSet,
    Snapshot,
    bodystructure,
    envelope,
    matches,
    responses,
    section,
)
from corvus_imap.codec.render import render
from corvus_imap.thread import ThreadFacts, orderedsubject, references
from corvus_imap.types.search import TextField, TextKey
from corvus_message import parse


def taken(run: Callable[[], object]) -> float:
    """Seconds of this process: neighbours on the machine do not count."""
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start


def assert_linear(make: Callable[[int], Callable[[], object]], size: int) -> None:
    """
    time(2n) <= 2.5 time(n), with a floor below which the machine's noise is louder.

    Measured until it holds, a few times: noise passes, a square does not.
    """
    small, large = make(size), make(2 * size)
    once = twice = float("inf")
    for _ in range(5):
        once, twice = min(once, taken(small)), min(twice, taken(large))
        if twice <= 2.5 * once + 0.03:
            return
    raise AssertionError(f"{once:.3f} s for n, {twice:.3f} s for 2n")


def everything(message: bytes) -> Callable[[], object]:
    def run() -> None:
        part = parse(message)
        envelope(part)
        bodystructure(part)
        section(part, b"HEADER.FIELDS (to subject)")
        section(part, b"1.1.1.1.MIME")
        matches(TextKey(TextField.TEXT, "nowhere"), part)

    return run


# Row 12: nesting.


@pytest.mark.parametrize("depth", [99, 100, 101, 10_000])
def test_row_12_nested_messages_and_multiparts_neither_recurse_nor_grow(depth: int) -> None:
    inside = b"Content-Type: message/rfc822\r\n\r\n" * depth + b"end"
    told = bodystructure(inside)
    assert told.count(b"(") == told.count(b")")
    # corvus_message opens a hundred levels; what is below them is content.
    innermost = section(inside, b"1" + b".1" * depth)
    assert innermost == (b"{3}\r\nend" if depth <= 100 else b"NIL")
    levels = [
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(depth)
    ]
    told = bodystructure(b"".join(levels))
    assert told.count(b'"mixed"') <= 101
    assert told.count(b"(") == told.count(b")")


def test_row_12_nested_comments_and_groups_cost_no_stack() -> None:
    for value in (b"(" * 100_000, b"a:" * 20_000, b"<" * 50_000, b'"\\' * 50_000):
        assert envelope(b"To: " + value + b"\r\n\r\n").startswith(b"(NIL NIL NIL")


def test_row_12_a_thread_as_deep_as_the_mailbox_is_long() -> None:
    count = 20_000
    chain = [
        ThreadFacts(n, n, "s", False, f"m{n}", (f"m{n - 1}",) if n > 1 else ())
        for n in range(1, count + 1)
    ]
    for messages in (chain, chain[::-1]):
        told = render(responses.Thread(references(messages)))
        assert (
            told == b"* THREAD (" + b" ".join([b"%d" % n for n in range(1, count + 1)]) + b")\r\n"
        )


# Row 13: long headers.


def test_row_13_a_megabyte_of_addresses_and_a_million_parameters_are_linear() -> None:
    assert_linear(lambda n: everything(b"To: " + b"a@b, " * n + b"\r\n\r\nx"), 20_000)
    assert_linear(lambda n: everything(b"Content-Type: a/b" + b";" * n + b"\r\n\r\nx"), 20_000)
    assert_linear(
        lambda n: everything(
            b"Content-Type: a/b; " + b"; ".join([b"n*%d=x" % i for i in range(n)]) + b"\r\n\r\nx"
        ),
        2_000,
    )
    assert_linear(lambda n: everything(b"X: y\r\n" * n + b"\r\nx"), 10_000)


def test_row_13_a_section_number_of_a_continuation_is_no_allocation() -> None:
    message = b"Content-Type: a/b; name*999999999=x; name*0=y; name*9999=z\r\n\r\n"
    assert b'("name*999999999" "x" "name" "y")' in bodystructure(message)


# Row 14: expressions.


@pytest.mark.parametrize(
    "filler", [b" ", b"\t", b"\n ", b'"', b"\\", b"=", b"(", b"<>", b",", b"=?", b"--b\r\n"]
)
def test_row_14_a_flood_of_one_octet_is_linear(filler: bytes) -> None:
    assert_linear(
        lambda n: everything(
            b"To: "
            + filler * n
            + b"\r\nContent-Type: multipart/mixed; boundary=b"
            + filler * n
            + b"\r\n\r\n"
            + filler * n
        ),
        8_000,
    )


def test_row_14_references_that_loop_and_contradict_are_linear() -> None:
    def looping(n: int) -> Callable[[], object]:
        messages = [
            ThreadFacts(i, i, "", False, f"m{i}", (f"m{(i * 7) % n}", f"m{n - i}"))
            for i in range(1, n)
        ]
        return lambda: references(messages)

    def shared(n: int) -> Callable[[], object]:
        chain = tuple([f"d{i}" for i in range(n)])
        messages = [ThreadFacts(1, 1, "", False, "m", chain)]
        messages += [ThreadFacts(i, i, "", False, None, chain[-1:]) for i in range(2, n)]
        return lambda: references(messages)

    def cut(n: int) -> Callable[[], object]:
        # A deep chain whose links are broken and made anew, each time asking whether there is a
        # loop.
        messages = [ThreadFacts(i, i, "", False, f"m{i}", (f"m{i - 1}",)) for i in range(2, n)]
        for i in range(n):
            messages.append(ThreadFacts(n + i, 1, "", False, f"x{i}", (f"m{n - 1}", f"x{i + 1}")))
            messages.append(ThreadFacts(n + i, 1, "", False, f"x{i + 1}", ("m2", f"x{i}")))
        return lambda: references(messages)

    for make in (looping, shared, cut):
        assert_linear(make, 2_000)


def test_row_14_one_subject_for_all_is_linear() -> None:
    def same(n: int) -> Callable[[], object]:
        messages = [ThreadFacts(i, i % 5, "s", bool(i % 3), f"m{i}", ()) for i in range(1, n)]
        return lambda: (references(messages), orderedsubject(messages))

    assert_linear(same, 3_000)


# Row 22 and 23: what is no line end, and what could become one.


@pytest.mark.parametrize(
    "octet", [b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", b"\r", b"\0"]
)
def test_row_22_nothing_but_a_line_feed_ends_a_field(octet: bytes) -> None:
    message = b"Subject: a" + octet + b"To: evil@x\r\nFrom: a@b\r\n\r\n"
    told = envelope(message)
    # To is the sixth member, and it is not there.
    assert told.endswith(b'((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)')
    assert section(message, b"HEADER.FIELDS (to)") == b"{2}\r\n\r\n"


@pytest.mark.parametrize("utf8", [False, True])
def test_row_23_no_header_can_end_the_answer_or_begin_another(utf8: bool) -> None:
    """Quotes, parentheses, CR and literals of a message stay inside of strings."""
    evil = b'") NIL NIL)\r* 1 EXPUNGE\r{5}\\" \xff\xc3\xa4'
    message = (
        b"Subject: " + evil + b"\r\nTo: " + evil + b" <" + evil + b"@" + evil + b">\r\n"
        b'Content-Type: text/plain; x="' + evil + b'"; ' + evil + b"=1\r\n"
        b"Content-ID: " + evil + b"\r\nContent-Language: " + evil + b"\r\n"
        b"Content-Disposition: " + evil + b"; y=" + evil + b"\r\n"
        b"Content-Transfer-Encoding: " + evil + b"\r\nContent-Location: " + evil + b"\r\n\r\n"
    )
    for told in (envelope(message, utf8=utf8), bodystructure(message, utf8=utf8)):
        assert outside_of_strings(told).strip(b"(NIL 0123456789)") == b""


def outside_of_strings(octets: bytes) -> bytes:
    """What a client reads as grammar."""
    kept, position = b"", 0
    token = re.compile(rb'"(?:[^"\\\r\n]|\\["\\])*"|\{(\d+)\}\r\n|[^"{]+', re.S)
    while position < len(octets):
        match = token.match(octets, position)
        assert match is not None, octets[position : position + 60]
        position = match.end()
        if match[1] is not None:
            position += int(match[1])
        elif not match[0].startswith(b'"'):
            kept += match[0]
    assert position == len(octets)
    return kept


# Row 31: charsets and encodings.


@pytest.mark.parametrize(
    "charset", [b"utf-7", b"iso-2022-jp", b"hz-gb-2312", b"x-nobody", b"rot13", b"\xff", b""]
)
def test_row_31_a_charset_is_never_an_exception(charset: bytes) -> None:
    message = b"Content-Type: text/plain; charset=" + charset + b"\r\n\r\n+ADw- \x1b$B \xff~{ hay"
    assert not matches(TextKey(TextField.TEXT, "needle"), message)
    assert matches(TextKey(TextField.BODY, "hay"), message) or charset in (
        b"iso-2022-jp",
        b"hz-gb-2312",
    )


def test_row_31_a_flood_of_soft_line_breaks_is_linear() -> None:
    header = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    assert_linear(lambda n: everything(header + b"=\r\n" * n), 50_000)


# Sets of numbers.


def test_a_set_costs_what_it_has_ranges_and_not_what_they_span() -> None:
    view = MailboxView(Snapshot(range(1, 200_001, 2)))
    wide = SequenceSet.parse(b",".join([b"1:*"] * 5_000))
    start = time.process_time()
    assert len(view.resolve(wide, uid=True)) == 100_000
    assert len(view.resolve(SequenceSet.parse(b"1:4294967295"), uid=True)) == 100_000
    assert time.process_time() - start < 0.5
    assert_linear(
        lambda n: (
            lambda: view.resolve(SequenceSet(tuple([(i, i) for i in range(1, 4 * n, 4)])), uid=True)
        ),
        5_000,
    )
