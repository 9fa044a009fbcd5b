"""The small pieces below the pages: names, links, queries, colours; by example and by property."""

from __future__ import annotations

import colorsys
import doctest
import importlib
import pkgutil
import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corvus_server.web
from corvus_server.web import security, words
from corvus_server.web.assets import FOLDER
from corvus_server.web.mail import html, search, verdicts
from corvus_server.web.mail.folders import name_of, slug_of
from corvus_server.web.mail.reading import disposition, linked
from corvus_server.web.mail.why import flat

from .payloads import PAYLOADS, dangers

MODULES = [
    info.name for info in pkgutil.walk_packages(corvus_server.web.__path__, "corvus_server.web.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


# Colours.


def _luminance(colour: str) -> float:
    match = re.fullmatch(r"hsl\((\d+) (\d+)% (\d+)%\)", colour)
    assert match is not None, colour
    hue, saturation, light = (int(part) for part in match.groups())
    channels = colorsys.hls_to_rgb(hue / 360, light / 100, saturation / 100)
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (hsl\([^/)]*\))", block))


def test_words_and_controls_have_the_contrast_that_eyes_need_in_light_and_dark() -> None:
    css = (FOLDER / "corvus.css").read_text()
    light = _tokens(css[: css.index("@media (prefers-color-scheme: dark)")])
    media = css[
        css.index("@media (prefers-color-scheme: dark)") : css.index(':root[data-theme="dark"]')
    ]
    switch = css[css.index(':root[data-theme="dark"]') : css.index("/* Ground. */")]
    assert _tokens(media) == _tokens(switch), "the system's dark and the switch's are one"
    for tokens in (light, {**light, **_tokens(switch)}):
        for ground in ("paper", "ground", "raised", "hover", "chosen"):
            for ink in ("ink", "soft"):
                assert _contrast(tokens[ink], tokens[ground]) >= 4.5, (ink, ground)
        for ground in ("paper", "ground", "raised"):
            assert _contrast(tokens["accent"], tokens[ground]) >= 4.5
            assert _contrast(tokens["edge"], tokens[ground]) >= 3
        assert _contrast(tokens["accent-ink"], tokens["accent"]) >= 4.5
        for state in ("good", "warn", "bad"):
            assert _contrast(tokens[state], tokens[f"{state}-soft"]) >= 4.5, state
            assert _contrast(tokens["ink"], tokens[f"{state}-soft"]) >= 4.5, state


def test_no_page_needs_a_script_or_a_style_in_line() -> None:
    templates = (FOLDER.parent / "templates").rglob("*.html")
    for path in templates:
        text = path.read_text()
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:|\|\s*safe", text), path
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert "http://" not in text, path
        assert "https://" not in text, path


def test_every_form_that_changes_something_carries_the_token() -> None:
    for path in (FOLDER.parent / "templates").rglob("*.html"):
        whole = r'<form\b[^>]*method="post".*?</form>'
        text = path.read_text()
        forms = re.findall(whole, text, re.DOTALL)
        assert len(forms) == text.count('method="post"'), path
        for form in forms:
            carried = 'name="csrf"' in form or re.search(r"token\(\) }}", form)
            assert carried, (path, form[:120])


# HTML.


def clean(text: str, *, remote: bool = False) -> str:
    return html.clean(text, inline=lambda name: None, remote_images=remote)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_dangerous_is_left_of_a_payload(payload: str) -> None:
    for remote in (False, True):
        assert dangers(html.document(clean(payload, remote=remote)), framed=True) in (
            [],
            [
                f"img src={url}"
                for url in re.findall(r'src="(https?:[^"]*)"', clean(payload, remote=remote))
            ],
        )


def test_what_people_write_in_mail_stays() -> None:
    kept = clean(
        '<h1 style="color: #123456; font-size: 20px">Hi</h1>'
        '<p>a <b>b</b> <a href="https://x.example/">c</a></p>'
        '<table border="1"><tr><td colspan="2">d</td></tr></table><blockquote type="cite">e</blockquote>'
    )
    for piece in (
        "color:#123456",
        "font-size:20px",
        "<b>b</b>",
        'href="https://x.example/"',
        'colspan="2"',
        "e</blockquote>",
    ):
        assert piece in kept, (piece, kept)


def test_colours_may_be_functions_but_nothing_else_may() -> None:
    assert "rgb(1" in clean('<p style="color: rgb(1, 2, 3)">x</p>')
    assert "url" not in clean('<p style="color: red; background-color: url(//x)">x</p>')


@pytest.mark.property
@given(
    st.lists(
        st.sampled_from([*PAYLOADS, "<", ">", '"', "'", "&lt;", "--", "x", "\x00", " "]), max_size=6
    )
)
def test_no_mixture_of_payloads_survives(pieces: list[str]) -> None:
    assert dangers(html.document(clean("".join(pieces))), framed=True) == []


@pytest.mark.property
@given(st.text(max_size=300))
def test_text_keeps_its_letters_and_gains_no_markup_but_links(text: str) -> None:
    made = str(linked(text))
    assert dangers(made) == []
    assert not re.search(r"<(?!/?(?:a|span|details|summary)\b)", made)


# Names, queries, addresses.


@pytest.mark.property
@given(
    st.text(min_size=1, max_size=60).filter(
        lambda name: name.lower() != "inbox" and "\ud800" not in name
    )
)
def test_a_folder_is_found_again_under_its_address(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    slug = slug_of(name)
    assert "/" not in slug
    assert name_of(unquote(slug)) == name


@pytest.mark.property
@given(st.text(max_size=200))
def test_any_search_is_understood_somehow(text: str) -> None:
    query = search.parse(text)
    assert len(query.terms) <= search.MOST_TERMS
    assert all(term.value for term in query.terms)


@pytest.mark.property
@given(st.text(max_size=200))
def test_a_redirect_is_a_path_or_the_default(target: str) -> None:
    path = security.local_path(target, "/home")
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert path.isprintable()


@pytest.mark.property
@given(st.text(max_size=80))
def test_a_host_is_a_host_or_none(header: str) -> None:
    host = security.host_of(header)
    assert host is None or re.fullmatch(r"[a-z0-9_.:-]*", host)


@pytest.mark.property
@given(st.text(max_size=200))
def test_a_disposition_is_one_line_of_ascii(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    field = disposition("attachment", name)
    assert field.isascii()
    assert field.isprintable()
    assert field.count('"') == 2


@pytest.mark.property
@given(st.text(max_size=200))
def test_what_people_see_is_one_line_that_turns_nothing_around(text: str) -> None:
    shown = words.visible(text)
    assert "\n" not in shown
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        "decision",
        "rule",
        "sentence",
        "score",
        "threshold",
        "signals",
        "connection",
        "envelope",
        "checks",
        "steps",
    ]
)


@pytest.mark.property
@given(st.dictionaries(KEYS, JSON, max_size=8))
def test_a_verdict_of_any_form_can_be_shown(tree: dict[str, object]) -> None:
    """A tree may be of an older version, or cut; its page must not break."""
    from corvus_server.storage.values import Verdict

    story = verdicts.story(Verdict(action="accept", tree=tree))
    assert story.headline
    assert 0 <= story.fill <= 100
    assert flat(tree) is not None
