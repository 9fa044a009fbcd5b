"""Fields as they are written."""

from __future__ import annotations

import pytest

from corvus_message import (
    Address,
    format_address_field,
    format_field,
    format_ids,
    format_raw_field,
    parse,
)
from corvus_message.fields import as_addresses, fold, format_params_field


def longest(octets: bytes) -> int:
    return max(len(line) for line in octets.split(b"\r\n"))


def test_a_long_text_is_folded_at_78() -> None:
    octets = format_field("Subject", "word " * 50 + "end")
    assert longest(octets) <= 78
    assert parse(octets).subject == "word " * 50 + "end"


def test_encoded_words_fit_their_lines() -> None:
    octets = format_field("X-A-Rather-Long-Field-Name", "日本語 " * 50)
    assert longest(octets) <= 78
    assert parse(octets).headers["x-a-rather-long-field-name"] == "日本語 " * 50


def test_a_long_word_is_alone_on_its_line_and_a_very_long_one_is_encoded() -> None:
    octets = format_field("Subject", "a " + "x" * 500 + " b")
    assert octets == b"Subject: a\r\n " + b"x" * 500 + b"\r\n b\r\n"
    octets = format_field("Subject", "x" * 5000)
    assert longest(octets) <= 78
    assert parse(octets).subject == "x" * 5000


def test_an_empty_text_is_an_empty_field() -> None:
    assert format_field("Subject", "") == b"Subject:\r\n"


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ä", "a\n"])
def test_a_name_is_printable_ascii(name: str) -> None:
    with pytest.raises(ValueError, match="field name"):
        format_field(name, "x")


@pytest.mark.parametrize("text", ["a\r\nBcc: x@y", "a\n", "a\rb", "a\0b"])
def test_no_text_becomes_a_second_field(text: str) -> None:
    with pytest.raises(ValueError, match="CR, LF"):
        format_field("Subject", text)
    with pytest.raises(ValueError, match="CR, LF"):
        format_raw_field("X", text)
    with pytest.raises(ValueError, match=r"CR, LF|not a"):
        format_address_field("To", [Address(text.encode(), b"", b"a", b"b")])
    with pytest.raises(ValueError, match="not a message identifier"):
        format_ids("Message-ID", [text])


def test_a_fold_never_makes_an_empty_line() -> None:
    with pytest.raises(ValueError, match="empty token"):
        fold("X", ["a", " ", "b"])


def test_a_word_that_fits_no_line_is_refused() -> None:
    assert longest(fold("X", ["a", "x" * 997])) == 998
    with pytest.raises(ValueError, match="fits no line"):
        fold("X", ["x" * 998])


def test_addresses_are_folded_between_words() -> None:
    octets = format_address_field(
        "To", [f"A Rather Long Name {i} <user{i}@example.com>" for i in range(9)]
    )
    assert longest(octets) <= 78
    assert octets.count(b",") == 8
    assert format_address_field("To", '"Doe, J" <j@x>') == b'To: "Doe, J" <j@x>\r\n'


def test_addresses_may_be_given_in_many_ways() -> None:
    a = Address(b"", b"", b"a", b"b")
    assert as_addresses(a) == [a]
    assert as_addresses("a@b, g: a@b;") == [a, a]
    assert as_addresses(["a@b", a]) == [a, a]
    assert as_addresses(()) == []


def test_utf8_addresses_are_written_as_they_are() -> None:
    assert format_address_field("To", "ü@ö.example") == "To: ü@ö.example\r\n".encode()


@pytest.mark.parametrize("identifier", ["", "a b", "<a", "a>b", "a\tb"])
def test_identifiers_hold_no_space_or_bracket(identifier: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        format_ids("References", [identifier])


def test_parameters_are_folded_between_each_other() -> None:
    octets = format_params_field("Content-Type", "text/plain", ["a=" + "b" * 40, "c=" + "d" * 40])
    assert octets == b"Content-Type: text/plain; a=" + b"b" * 40 + b";\r\n c=" + b"d" * 40 + b"\r\n"


def test_raw_values_are_folded_at_spaces() -> None:
    assert format_raw_field("X", "a  b " + "c" * 80) == b"X: a b\r\n " + b"c" * 80 + b"\r\n"
