"""Values with parameters."""

from __future__ import annotations

import pytest

from corvus_message import format_params, parse_content_type, parse_disposition
from corvus_message.params import decode_params, parse_params, strip_comments


@pytest.mark.parametrize(
    ("value", "name", "wanted"),
    [
        (b"text/plain; charset=utf-8", "charset", "utf-8"),
        (b"text/plain;charset = utf-8 ; x=y", "charset", "utf-8"),
        (b'text/plain; charset="utf-8', "charset", "utf-8"),
        (b'text/plain; name="a;b\\"c\\\\"', "name", 'a;b"c\\'),
        (b"text/plain; name=a b.pdf; x=y", "name", "a b.pdf"),
        (b"text/plain; name=", "name", ""),
        (b'text/plain; name=""', "name", ""),
        (b"text/plain; ;; name=x", "name", "x"),
        (b"text/plain; junk; name=x", "name", "x"),
        (b"text/plain; name=a; NAME=b", "name", "a"),
        (b"text/plain (c; name=no); name=x", "name", "x"),
        (b'text/plain; name="=?utf-8?q?=C3=A4?="', "name", "ä"),
        (b'text/plain; name="\xc3\xa4"', "name", "ä"),
        (b'text/plain; name="\xe4"', "name", "ä"),
        (b'text/plain; name="a\r\n b"', "name", "a b"),
        (b"text/plain; name*=utf-8''%C3%A4", "name", "ä"),
        (b"text/plain; name*=utf-8''%C3%A4; name=a", "name", "ä"),
        (b"text/plain; name=a; name*=utf-8''%C3%A4", "name", "ä"),
        (b"text/plain; name*=x-unknown''%E4", "name", "ä"),
        (b"text/plain; name*=''a%20b", "name", "a b"),
        (b"text/plain; name*=a%20b", "name", "a b"),
        (b"text/plain; name*1=b; name*0=a", "name", "ab"),
        (b"text/plain; name*0*=utf-8''%C3; name*1*=%A4; name*2=%41", "name", "ä%41"),
        (b"text/plain; name*0=a; name*2=c", "name", "a"),
        (b"text/plain; name*0=a; name*0=b", "name", "a"),
        (b"text/plain; name*0=a; name*=utf-8''b", "name", "b"),
        (b"text/plain; name*1=b", "name", None),
        (b"text/plain; name*1=b; name=a", "name", "a"),
        (b"text/plain; name*x=b", "name", None),
    ],
)
def test_a_parameter_is_read(value: bytes, name: str, wanted: str | None) -> None:
    kind = parse_content_type(value)
    assert kind is not None
    assert kind.get(name) == wanted
    assert kind.get(name.upper()) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"TEXT/Plain", "text/plain"),
        (b" text / plain ;", "text/plain"),
        (b"(a) text (b) / (c) plain", "text/plain"),
        (b"text/plain charset=utf-8", "text/plain"),
        (b"application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
        (b"image/svg+xml", "image/svg+xml"),
    ],
)
def test_a_type_is_read(value: bytes, wanted: str) -> None:
    kind = parse_content_type(value)
    assert kind is not None
    assert kind.value == wanted


@pytest.mark.parametrize(
    "value", [b"", b"text", b"text/", b"/plain", b";x=y", b"(text/plain)", b"="]
)
def test_what_is_no_type_is_none(value: bytes) -> None:
    assert parse_content_type(value) is None


def test_raw_parameters_keep_order_duplicates_and_spelling() -> None:
    assert parse_params(b"x; A=1; a=2; b*0*=c") == ((b"A", b"1"), (b"a", b"2"), (b"b*0*", b"c"))
    assert decode_params(((b"A", b"1"), (b"a", b"2"))) == (("a", "1"),)


def test_a_disposition_may_be_anything() -> None:
    assert parse_disposition(b"").value == ""
    assert parse_disposition(b"; filename=x").get("filename") == "x"
    assert parse_disposition(b"INLINE;").value == "inline"
    assert parse_content_type(b"text/plain; charset=x") == parse_content_type(
        b"text/plain; charset=x"
    )


def test_comments_are_stripped_outside_of_quotes() -> None:
    assert strip_comments(b'a(b)"(c)"\\(d(e(f)g)h') == b'a"(c)"\\(dh'
    assert strip_comments(b"a(b") == b"a"
    assert strip_comments(b"a)b(c)d") == b"a)bd"
    assert strip_comments(b"a(b\\)c)d") == b"ad"


def test_parameters_are_written() -> None:
    assert format_params([("a", "b"), ("c", 'd"e\\'), ("f", "")]) == [
        "a=b",
        'c="d\\"e\\\\"',
        'f=""',
    ]
    long = format_params([("filename", "ä" * 40)])
    assert long[0].startswith("filename*0*=utf-8''%C3%A4")
    assert long[1].startswith("filename*1*=%C3%A4")
    assert all(len(piece) <= 78 for piece in long)


@pytest.mark.parametrize("name", ["", "a b", "a*", "a\r\n", "a=", "ä"])
def test_a_parameter_name_is_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="parameter name"):
        format_params([(name, "x")])


def test_only_the_first_section_begins_with_a_charset() -> None:
    # "Language and character set information only appear at the beginning of a given parameter value"
    # (RFC 2231 §4.1).
    raw = ((b"f*0*", b"utf-8''a"), (b"f*1*", b"b'c'd"))
    assert decode_params(raw) == (("f", "ab'c'd"),)
