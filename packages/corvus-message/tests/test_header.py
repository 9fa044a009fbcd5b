"""Header fields as octets and by name."""

from __future__ import annotations

import pytest

from corvus_message import parse


def test_names_are_found_without_regard_to_case() -> None:
    h = parse(b"SUBJECT: a\nsubject: b\nX-Y : c\n\n").headers
    assert h["Subject"] == "a"
    assert h.get(b"SubJect") == "a"
    assert [f.text for f in h.all("subject")] == ["a", "b"]
    assert "x-y" in h
    assert b"x-z" not in h
    assert 1 not in h
    assert [f.name for f in h] == [b"SUBJECT", b"subject", b"X-Y"]
    assert h.items() == [("SUBJECT", "a"), ("subject", "b"), ("X-Y", "c")]
    with pytest.raises(KeyError):
        h["x-z"]
    assert h.get("x-z") is None


def test_folds_are_removed_and_their_white_space_is_not() -> None:
    m = parse(b"Subject: a\r\n \tb\n c \r\n\r\n")
    assert m.field(b"subject") == b"a \tb c"
    (field,) = m.headers
    assert field.octets == b"Subject: a\r\n \tb\n c \r\n"
    assert field.raw_value == b" a\r\n \tb\n c \r"
    assert (field.start, field.value_start, field.end) == (0, 8, 21)


def test_a_line_of_white_space_continues_a_field() -> None:
    # obs-FWS (RFC 5322 §4.2): such a line is a fold, not the empty line.
    m = parse(b"Subject: a\r\n \r\n b\r\nTo: c\r\n\r\nbody")
    assert m.field(b"subject") == b"a  b"
    assert m.content() == b"body"


def test_eight_bit_headers_are_utf8_or_else_latin() -> None:
    h = parse(b"A: \xc3\xa4\nB: \xe4\n\n").headers
    assert (h["a"], h["b"]) == ("ä", "ä")
    assert parse(b"A: \xe4\n\n").field(b"a") == b"\xe4"


def test_a_header_cannot_begin_with_a_continuation() -> None:
    m = parse(b" a\nSubject: x\n\n")
    assert len(m.headers) == 0
    assert m.content() == m.octets
