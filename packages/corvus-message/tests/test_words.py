"""Encoded words."""

from __future__ import annotations

import pytest

from corvus_message import decode_words, encode_words
from corvus_message.words import encode_word_list


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?=C3=A4_=3F?= b", "ä ? b"),
        (b"=?utf-8?B?w6Q?=", "ä"),
        # A character cut in two between two words, in either encoding.
        (b"=?utf-8?q?=C3?=\r\n =?utf-8?B?pA==?=", "ä"),
        (b"=?utf-8?q?=C3?= =?latin1?q?=E4?=", "\ufffdä"),
        (b"=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
        (b"x=?utf-8?q?a?=y", "xay"),
        (b"=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
        (b"=?utf-8?q?two words?=", "two words"),
        (b"=?utf-8*en?q?a?=", "a"),
        (b"=?x-unknown?q?a?= b", "=?x-unknown?q?a?= b"),
        (b"=?utf-8?q?a?= =?x-unknown?q?b?=", "a =?x-unknown?q?b?="),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"=?utf-8?q??=", ""),
        (b"=?utf-8?q?=ZZ=4?=", "=ZZ=4"),
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?gb2312?B?1tC5+g==?=", "中国"),
        (b"=?utf-7?q?+AOQ-?=", "ä"),
        (b"caf\xe9 =?utf-8?q?a?=", "café a"),
    ],
)
def test_a_value_is_decoded(value: bytes, wanted: str) -> None:
    assert decode_words(value) == wanted


def test_text_may_be_decoded_too() -> None:
    assert decode_words("ä =?utf-8?q?b?=") == "ä b"
    assert decode_words("\udcff") == "ÿ"


@pytest.mark.parametrize("text", ["", "plain text", "a=b?c"])
def test_plain_text_stays(text: str) -> None:
    assert encode_words(text) == text


@pytest.mark.parametrize("text", [" a", "a ", "a  b", "=?utf-8?q?x?=", "a\r\nb", "ä", "a\tb", "\0"])
def test_what_would_not_come_back_is_encoded(text: str) -> None:
    encoded = encode_words(text)
    assert encoded.startswith("=?utf-8?")
    assert decode_words(encoded) == text


def test_words_are_cut_between_characters_and_not_over_75() -> None:
    for text in ("日本語" * 40, "café " * 40, "\U0001f426" * 30):
        words = encode_word_list(text, first=40)
        assert len(words[0]) <= 40
        assert all(len(word) <= 75 for word in words)
        assert "".join(decode_words(word) for word in words) == text


def test_no_room_at_all_still_takes_a_character() -> None:
    assert decode_words(" ".join(encode_word_list("\U0001f426" * 3, first=0))) == "\U0001f426" * 3


def test_no_text_is_no_word() -> None:
    assert encode_word_list("") == []
