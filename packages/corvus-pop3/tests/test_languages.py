"""Texts and languages."""

import pytest

from corvus_pop3 import ENGLISH, Language, Text
from corvus_pop3.languages import choose_language

GERMAN = Language("de-AT", "Österreichisches Deutsch", {Text.GOODBYE: "auf Wiedersehen"})


def test_what_is_not_translated_stays_english() -> None:
    assert GERMAN.say(Text.GOODBYE) == "auf Wiedersehen"
    assert GERMAN.say(Text.DELETED, number=3) == "message 3 deleted"


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        ("de", "de-AT"),
        ("DE-at", "de-AT"),
        ("en", "en"),
        ("*", "de-AT"),
        ("d", None),
        ("de-A", None),
        ("fr", None),
        ("en-GB", None),
    ],
)
def test_a_language_range_matches_whole_subtags(wanted: str, tag: str | None) -> None:
    chosen = choose_language(wanted, [GERMAN, ENGLISH])
    assert (chosen and chosen.tag) == tag


def test_a_server_without_languages_has_no_preferred_one() -> None:
    assert choose_language("*", []) is None


@pytest.mark.parametrize(
    ("tag", "name", "texts"),
    [
        ("", "x", {}),
        ("de_DE", "x", {}),
        ("toolongtag", "x", {}),
        ("de", "x\r\ny", {}),
        ("de", "\ud800", {}),
        ("de", "x", {Text.GOODBYE: "a\nb"}),
        ("de", "x", {Text.GOODBYE: "{number"}),
        ("de", "x", {Text.GOODBYE: "{count}"}),
        ("de", "x", {Text.LISTING: "{count:{octets}}"}),
        ("de", "x", {Text.LISTING: "{count!r}"}),
        ("de", "x", {Text.GOODBYE: "{secret}"}),
        ("de", "x", {Text.GOODBYE: "{}"}),
        ("de", "x", {Text.GOODBYE: "{number.real.x}"}),
        ("de", "x", {Text.GOODBYE: "[AUTH] x"}),
        ("de", "x", {Text.GOODBYE: "x" * 401}),
    ],
)
def test_a_language_that_could_break_a_line_cannot_be_made(
    tag: str, name: str, texts: dict[Text, str]
) -> None:
    with pytest.raises(ValueError):
        Language(tag, name, texts)


def test_every_text_of_the_engine_is_one_short_line_of_ascii() -> None:
    for text in Text:
        said = ENGLISH.say(text, count=10**18, octets=10**18, number=10**18)
        assert said.isascii()
        assert len(said) < 200
        assert not said.startswith("[")
