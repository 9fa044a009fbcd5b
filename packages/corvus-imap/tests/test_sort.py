"""SORT and the collation under it (RFC 5256 §2.2, §3, §7; RFC 5051)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_imap import base_subject
from corvus_imap.collation import casemap
from corvus_imap.extensions.sort import SortField, SortKey
from corvus_imap.sort import SortFacts, sort
from corvus_message import parse

BOX = [
    SortFacts(30, 5, 100, "b", "ann", "zoe", ""),
    SortFacts(10, 9, 300, "A", "Bob", "", "x"),
    SortFacts(20, 1, 200, "", "ÄNN", "Yan", "X"),
    SortFacts(20, 1, 200, "_", "bob", "äb", "y"),
]


@pytest.mark.parametrize(
    ("field", "order"),
    [
        (SortField.ARRIVAL, [1, 2, 3, 0]),
        (SortField.DATE, [2, 3, 0, 1]),
        (SortField.SIZE, [0, 2, 3, 1]),
        # "The empty string always collates before non-empty strings"; "_" is behind the capitals.
        (SortField.SUBJECT, [2, 1, 0, 3]),
        (SortField.FROM, [2, 0, 1, 3]),
        (SortField.TO, [1, 3, 2, 0]),
        (SortField.CC, [0, 1, 2, 3]),
    ],
)
def test_each_criterion(field: SortField, order: list[int]) -> None:
    # "Ä" is "A" and a mark behind it (RFC 5051 §2.3): behind "ANN" only where the letters are
    # equal.
    expected = [0, 2, 1, 3] if field is SortField.FROM else order
    if field is SortField.FROM:
        assert casemap("ÄNN") > casemap("ann")
    assert sort([SortKey(field)], BOX) == expected


def test_reverse_leaves_equals_in_the_order_of_their_numbers() -> None:
    """ "REVERSE ... does not affect the implicit "sequence number" sort criterion"."""
    assert sort([SortKey(SortField.SIZE, reverse=True)], BOX) == [1, 2, 3, 0]
    assert sort([SortKey(SortField.ARRIVAL, reverse=True)], BOX) == [0, 2, 3, 1]
    assert sort([], BOX) == [0, 1, 2, 3]


def test_the_first_criterion_weighs_most() -> None:
    keys = [SortKey(SortField.DATE), SortKey(SortField.CC, reverse=True)]
    assert sort(keys, BOX) == [3, 2, 0, 1]


def test_facts_are_read_from_a_message() -> None:
    message = parse(
        b"From: Team: Ann <ann@x>;\r\nTo: =?utf-8?q?Z?= <zoe@y>, bob@z\r\n"
        b"Subject: Re: [list] =?utf-8?q?caf=C3=A9?=\r\nDate: Sun, 31 Dec 2000 16:01:33 -0800\r\n\r\n"
    )
    facts = SortFacts.of(message, 5.0)
    # "1 Jan 2001 00:01:33 +0000" (RFC 5256 §2.2)
    assert facts.sent_date == datetime(2001, 1, 1, 0, 1, 33, tzinfo=UTC).timestamp()
    assert (facts.internal_date, facts.size, facts.base_subject) == (5.0, message.end, "café")
    # addr-mailbox of the first address structure, which for a group is its name.
    assert (facts.from_mailbox, facts.to_mailbox, facts.cc_mailbox) == ("Team", "zoe", "")
    assert SortFacts.of(b"Date: never\r\n\r\n", 5.0).sent_date == 5.0


def test_the_base_subject_is_that_of_corvus_message() -> None:
    assert base_subject("Re: [corvus] Fwd: a plan (fwd)") == "a plan"


def test_the_collation_forgets_case_and_compatibility_forms() -> None:
    assert casemap("straSSe") == casemap("Straße")
    assert casemap("ﬁnd") == casemap("FIND")
    assert casemap("İ").startswith("I")
    assert casemap("ǆ") == casemap("Ǆ") == casemap("ǅ")
    assert casemap("é") == casemap("E\u0301")
    assert casemap("Ａ") == "A"
    assert casemap("") == ""


@pytest.mark.property
@given(st.text(max_size=20), st.text(max_size=20))
def test_a_part_of_a_text_is_found_in_it_whatever_its_case(one: str, other: str) -> None:
    """What SEARCH relies on; NFKD may reorder marks at a seam, so the seam is plain."""
    whole = casemap(one + " " + other)
    assert casemap(one) + " " in whole + " "
    assert casemap(casemap(one)) == casemap(one)


@pytest.mark.property
@given(
    st.lists(st.sampled_from(BOX), max_size=8),
    st.lists(st.tuples(st.sampled_from(SortField), st.booleans()), max_size=3),
)
def test_sorting_is_a_permutation_that_no_neighbours_contradict(
    box: list[SortFacts], chosen: list[tuple[SortField, bool]]
) -> None:
    order = sort([SortKey(*one) for one in chosen], box)
    assert sorted(order) == list(range(len(box)))
    if chosen and chosen[0][0] is SortField.SIZE:
        sizes = [box[i].size for i in order]
        assert sizes == sorted(sizes, reverse=chosen[0][1])
