"""The header as octets."""

from __future__ import annotations

import pytest

from corvus_dkim.header import Header, find_body


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"A: 1\r\n\r\nbody", (6, 8)),
        (b"A: 1\n\nbody", (5, 6)),
        (b"A: 1\r\n\nbody", (6, 7)),
        (b"A: 1\n\r\nbody", (5, 7)),
        (b"\r\nbody", (0, 2)),
        (b"\nbody", (0, 1)),
        (b"A: 1\r\n", None),
        (b"A: 1\r\r\n\r", None),
        (b"", None),
        (b"A: 1\n\nB: 2\r\n\r\n", (5, 6)),
    ],
)
def test_the_empty_line_is_found_in_one_piece_and_octet_by_octet(
    message: bytes, expected: tuple[int, int] | None
) -> None:
    assert find_body(message) == expected
    buffer = bytearray()
    found = None
    for octet in message:
        searched = len(buffer)
        buffer.append(octet)
        found = found or find_body(buffer, searched)
    assert found == expected


def test_fields_are_kept_as_they_stand() -> None:
    header = Header(b"From: a\r\nSubject:  b\r\n\tc \r\nFROM : d\r\nX:\r\n")
    assert header.fields == [b"From: a", b"Subject:  b\r\n\tc ", b"FROM : d", b"X:"]
    assert header.index == {b"from": [0, 2], b"subject": [1], b"x": [3]}
    assert header.count(b"from") == 2
    assert header.value(1) == b"  b\r\n\tc "
    assert not header.bare


def test_a_line_without_a_colon_is_a_field_without_a_name() -> None:
    header = Header(b"A: 1\r\nno colon here\r\n with a fold\r\nB: 2")
    assert header.fields[1] == b"no colon here\r\n with a fold"
    assert list(header.index) == [b"a", b"b"]


def test_a_bare_lf_separates_fields_and_is_remembered() -> None:
    header = Header(b"A: 1\nB: 2\r\nC: 3\r\n")
    assert header.bare
    assert list(header.index) == [b"a", b"b", b"c"]


def test_other_characters_that_look_like_line_ends_separate_nothing() -> None:
    for character in (b"\r", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xe2\x80\xa8", b"\0"):
        header = Header(b"A: 1" + character + b"From: x\r\nB: 2\r\n")
        assert list(header.index) == [b"a", b"b"]


def test_fields_are_selected_from_the_bottom_and_absent_ones_are_nothing() -> None:
    """The example of RFC 6376 §5.4.2."""
    header = Header(b"Received: <A>\r\nReceived: <B>\r\nReceived: <C>\r\n")
    assert header.select([b"received"] * 2) == [2, 1]
    assert header.select([b"received"] * 5) == [2, 1, 0]
    assert header.select([b"subject", b"received"]) == [2]


def test_the_signature_itself_is_never_selected() -> None:
    header = Header(b"D: 1\r\nD: 2\r\nD: 3\r\n")
    assert header.select([b"d"] * 3, without=1) == [2, 0]
    assert header.select([b"d"], without=2) == [1]
    assert header.select([b"d"] * 3, without=0) == [2, 1]
    assert Header(b"D: 1\r\n").select([b"d", b"d"], without=0) == []


def test_canonical_fields_in_both_forms() -> None:
    header = Header(b"A : x\r\n  y\r\nB:z\r\n")
    assert header.canonical([1, 0], "simple") == b"B:z\r\nA : x\r\n  y\r\n"
    for _ in range(2):  # the second time out of what is held
        assert header.canonical([1, 0], "relaxed") == b"b:z\r\na:x y\r\n"


def test_an_empty_header_has_no_fields() -> None:
    assert Header(b"").fields == []
