"""FETCH lines out of columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_imap import FetchAttribute, envelope
from corvus_imap.render import FetchLines, numbers, render_date_time

A = FetchAttribute


def test_a_line_per_message_with_the_items_in_their_order() -> None:
    lines = FetchLines(A.FLAGS, A.UID, A.RFC822_SIZE, A.INTERNALDATE, A.ENVELOPE)
    date = render_date_time(datetime(2026, 11, 2, 8, 0, tzinfo=UTC))
    nothing = envelope(b"")
    assert lines.render(
        numbers([3, 5]),
        [b"()", b"(\\Seen)"],
        numbers([7, 9]),
        numbers([1, 2]),
        [date] * 2,
        [nothing] * 2,
    ) == (
        b'* 3 FETCH (FLAGS () UID 7 RFC822.SIZE 1 INTERNALDATE " 2-Nov-2026 08:00:00 +0000"'
        b" ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))\r\n"
        b'* 5 FETCH (FLAGS (\\Seen) UID 9 RFC822.SIZE 2 INTERNALDATE " 2-Nov-2026 08:00:00 +0000"'
        b" ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))\r\n"
    )


def test_no_messages_are_no_octets() -> None:
    assert FetchLines(A.UID).render([], []) == b""
    assert numbers(range(1, 1)) == numbers(iter(())) == []


def test_columns_must_fit() -> None:
    lines = FetchLines(A.UID, b"BODY[]")
    for columns in ([[b"1"]], [[b"1"], [b""], [b""]], [[b"1"], []], [[b"1", b"2"], [b"", b""]]):
        with pytest.raises(ValueError, match="one column for each item"):
            lines.render([b"1"], *columns)


@pytest.mark.parametrize("items", [(), (b"",), (b"UID\r\n",), (b"X\0",), (b"BODY[\n]",)])
def test_a_label_is_a_word(items: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="at least one item"):
        FetchLines(*items)


@pytest.mark.property
@given(st.lists(st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1)), max_size=20))
def test_joining_columns_is_formatting_each_line(pairs: list[tuple[int, int]]) -> None:
    told = FetchLines(A.UID, A.RFC822_SIZE).render(
        numbers([n for n, _ in pairs]),
        numbers([u for _, u in pairs]),
        numbers([n for n, _ in pairs]),
    )
    assert told == b"".join(
        [b"* %d FETCH (UID %d RFC822.SIZE %d)\r\n" % (n, u, n) for n, u in pairs]
    )
