"""The words of HTML."""

from __future__ import annotations

import pytest

from corvus_message import html_to_text


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("plain", "plain"),
        ("a  \n b", "a b"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<div>a</div><div>b</div>", "a\n\nb"),
        ("&lt;b&gt; &amp; &eacute; &#x41;", "<b> & é A"),
        ("&#" + "9" * 5000 + ";a&#x" + "f" * 5000, "\ufffda\ufffd"),
        ("a<!-- <b>hidden</b> -->b", "ab"),
        ("a<!-- never closed", "a"),
        ("<!DOCTYPE html><?xml x?>a", "a"),
        ("<script>alert('</p>')</script>a", "a"),
        ("<STYLE>p{}</Style >a", "a"),
        ("a<script>never closed", "a"),
        ("<title>t</title>a", "a"),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ('<a title="x > y">b</a>', "b"),
        ("<a title='x > y'>b</a>", "b"),
        ('<a title="never closed>b</a>c', "bc"),
        ("a<b", "a"),
        ("<pre>a\n  b</pre>", "a\nb"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n\n- b"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("</pre></p>a", "a"),
        ("a\u200b\u00adb", "a b"),
    ],
)
def test_the_words_are_what_is_left(source: str, wanted: str) -> None:
    assert html_to_text(source) == wanted


def test_reading_stops_at_the_limit() -> None:
    assert len(html_to_text("<p>word</p>" * 1000, limit=20)) < 40
