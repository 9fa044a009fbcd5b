"""Tag=value lists: the grammar of RFC 6376 §3.2, and the values in them."""

from __future__ import annotations

import pytest

from corvus_dkim import taglist
from corvus_dkim.errors import TagListError


def test_whitespace_is_allowed_around_names_and_values_and_kept_within() -> None:
    tags = taglist.parse(b" \r\n\tv\t=\r\n 1 ;  note = two  words\r\n here ; ")
    assert tags == {b"v": b"1", b"note": b"two  words\r\n here"}


def test_an_empty_value_is_not_an_absent_tag() -> None:
    assert taglist.parse(b"p=") == {b"p": b""}


def test_names_are_case_sensitive() -> None:
    assert taglist.parse(b"a=1; A=2") == {b"a": b"1", b"A": b"2"}


def test_an_equals_sign_in_a_value_belongs_to_it() -> None:
    assert taglist.parse(b"b=AA==;x=1")[b"b"] == b"AA=="


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b";", "without ="),
        (b"a=1;;b=2", "without ="),
        (b"a=1; b", "without ="),
        (b"=1", "name"),
        (b"1a=1", "name"),
        (b"a-b=1", "name"),
        (b"a b=1", "name"),
        (b"\xc3\xa4=1", "name"),
        (b"a=1; a=1", "twice"),
        (b"a=1\x00", "character"),
        (b"a=1\n b=2", "character"),
        (b"a=1\r b=2", "character"),
        (b"a=1\r\nb=2", "character"),
        (b"a=1\r\n", "character"),
        (b"a=\x0b1", "character"),
        (b"a=1\x7f", "character"),
        (b"a=1\r\r\n ", "character"),
        (b"a=1\n\r ", "character"),
        (b"a=1\r\n \n", "character"),
    ],
)
def test_what_breaks_the_grammar_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(TagListError, match=words):
        taglist.parse(text)


def test_the_span_of_b_covers_the_whitespace_around_its_value() -> None:
    text = b"v=1; b =\r\n AA \r\n BB ; c=x"
    start, end = taglist.parse(text).signature_span
    assert text[:start] + text[end:] == b"v=1; b =; c=x"
    last = b"v=1; b=AA \r\n "
    start, end = taglist.parse(last).signature_span
    assert last[:start] + last[end:] == b"v=1; b="


def test_base64_may_be_folded_anywhere_but_must_be_complete() -> None:
    assert taglist.base64_value(b"A\r\n A\tA A") == b"\x00\x00\x00"
    for wrong in (b"AAA", b"A===", b"AA=A", b"AAAA*", b"AA==AAAA", b"\xff"):
        with pytest.raises(TagListError, match="base64"):
            taglist.base64_value(wrong)


def test_numbers_are_decimal_and_short() -> None:
    assert taglist.number_value(b"000123456789", 12) == 123456789
    for wrong in (b"", b"-1", b"+1", b"1_0", b"0x1", b"1.5", b" 1", b"1" * 13, "١".encode()):
        with pytest.raises(TagListError, match="number"):
            taglist.number_value(wrong, 12)


def test_quoted_printable_is_decoded_and_its_whitespace_dropped() -> None:
    assert taglist.quoted_printable_value(b"a=3Db\r\n =7C c") == b"a=b|c"
    for wrong in (b"a=", b"a=3", b"a=3d", b"a=GG", b"a\x00", b"\xc3\xa4", b"a;b"):
        with pytest.raises(TagListError):
            taglist.quoted_printable_value(wrong)


def test_what_is_quoted_can_be_read_again() -> None:
    octets = bytes(range(256))
    quoted = taglist.quote_printable(octets, b"|")
    assert taglist.quoted_printable_value(quoted) == octets
    assert b"|" not in quoted


@pytest.mark.parametrize(
    ("name", "domain", "selector"),
    [
        (b"example.com", True, True),
        (b"xn--mller-kva.example", True, True),
        (b"a_b.example.com", True, True),
        (b"com", False, True),
        (b"s1", False, True),
        (b"", False, False),
        (b".example.com", False, False),
        (b"example.com.", False, False),
        (b"a..b", False, False),
        (b"-a.example", False, False),
        (b"a-.example", False, False),
        (b"[192.0.2.1]", False, False),
        ("müller.example".encode(), False, False),
        (b"a" * 63 + b".example", True, True),
        (b"a" * 64 + b".example", False, False),
        (b"a." * 126 + b"a", True, True),
        (b"a." * 127 + b"a", False, False),
    ],
)
def test_domains_have_two_labels_and_selectors_one(
    name: bytes, domain: bool, selector: bool
) -> None:
    assert taglist.is_domain(name) is domain
    assert taglist.is_selector(name) is selector
