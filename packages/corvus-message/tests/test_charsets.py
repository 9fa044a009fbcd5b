"""Names of charsets, and octets to text."""

from __future__ import annotations

import codecs

import pytest

from corvus_message import charsets, decode_charset
from corvus_message.charsets import _BY_LABEL, _CODECS, codec


def test_every_label_means_one_codec_that_python_has() -> None:
    labels = [label for known in _CODECS.values() for label in known.split()]
    assert len(labels) == len(set(labels))
    for name in _CODECS:
        assert codecs.lookup(name)
    assert all(label == "".join(filter(str.isalnum, label)).lower() for label in _BY_LABEL)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ("'utf-8'", "utf-8"),
        ("utf-8 name=x", "utf-8"),
        ("iso-8859-1", "cp1252"),
        ("US-ASCII", "cp1252"),
        ("ISO_8859-1:1987", "cp1252"),
        ("ks_c_5601-1987", "cp949"),
        ("Shift_JIS", "cp932"),
        ("iso-8859-8-i", "iso8859-8"),
        ("windows-874", "cp874"),
        ("x" * 1000, None),
        ("", None),
    ],
)
def test_labels_are_those_of_the_encoding_standard(name: str, wanted: str | None) -> None:
    assert codec(name) == wanted


@pytest.mark.parametrize(
    "name", ["zlib", "hex", "rot13", "idna", "punycode", "unicode_escape", "mbcs"]
)
def test_codecs_that_are_no_charsets_are_unknown(name: str) -> None:
    assert codec(name) is None
    assert decode_charset(b"x", name) == "x"


@pytest.mark.parametrize(
    ("octets", "name", "wanted"),
    [
        (b"\xe4", "iso-8859-1", "ä"),
        (b"\x80", "iso-8859-1", "€"),
        (b"\xc3\xa4", "us-ascii", "ä"),
        (b"\xe4", "us-ascii", "ä"),
        (b"\xc3\xa4", None, "ä"),
        (b"\xc3\xa4", "x-unknown", "ä"),
        (b"\xff", "utf-8", "\ufffd"),
        (b"\x81", "windows-1252", "\ufffd"),
        (b"\xd6\xd0", "gb2312", "中"),
        (b"a", "utf-16", "\ufffd"),
        (b"\x1b$)C\x0e\xff", "iso-2022-kr", "\ufffd"),
    ],
)
def test_nothing_fails_to_decode(octets: bytes, name: str | None, wanted: str) -> None:
    assert decode_charset(octets, name) == wanted


def test_a_codec_that_this_python_lacks_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(charsets._BY_LABEL, "xmissing", "no-such-codec")
    assert decode_charset(b"\xc3\xa4", "x-missing") == "ä"


def test_no_codec_gives_out_half_a_pair() -> None:
    assert decode_charset(b"+2AA-x+2D3cJg-", "utf-7") == "\ufffdx\U0001f426"


def test_text_becomes_octets_whatever_is_in_it() -> None:
    assert charsets.encode_text("ä\udcff") == b"\xc3\xa4\xff"
    assert charsets.encode_text("\ud800") == b"?"
