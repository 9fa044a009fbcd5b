"""Names and domains as they may be shown."""

from __future__ import annotations

import pytest

from corvus_message import addresses, display_address, display_domain, display_text


@pytest.mark.parametrize(
    ("domain", "shown"),
    [
        ("Example.COM", "example.com"),
        ("xn--bcher-kva.example", "bücher.example"),
        ("BÜCHER.example", "bücher.example"),
        ("bu\u0308cher.example", "bücher.example"),
        ("faß.example", "faß.example"),
        ("日本語ドメインa.example", "日本語ドメインa.example"),
        ("ラーメン.example", "ラーメン.example"),
        ("한국.example", "한국.example"),
        ("правда.example", "правда.example"),
        ("правда-24.example", "правда-24.example"),
        # Cyrillic a in a Latin word; a Latin word in Cyrillic letters.
        ("p\u0430ypal.example", "xn--pypal-4ve.example"),
        ("\u0430\u0440\u0440\u04cf\u0435.example", "xn--80ak6aa92e.example"),
        ("xn--80ak6aa92e.example", "xn--80ak6aa92e.example"),
        # Nothing to see, or not what it seems.
        ("a\u200bb.example", "xn--ab-g1t.example"),
        ("a\u2024b.example", "xn--ab-l3t.example"),
        ("\uff41b.example", "xn--b-yq0i.example"),
        # No A-labels at all.
        ("xn--a.example", "xn--a.example"),
        ("xn--abc-.example", "xn--abc-.example"),
        ("xn--\u00fc.example", "xn--xn---3ra.example"),
        ("xn--99999999.example", "xn--99999999.example"),
        ("ü" * 64, "?" * 64),
        ("a\r\nb", "a b"),
        ("", ""),
    ],
)
def test_a_domain_is_shown_as_what_it_is(domain: str, shown: str) -> None:
    assert display_domain(domain) == shown


def test_a_long_domain_costs_nothing() -> None:
    assert len(display_domain("xn--" + "a" * 1_000_000)) <= 256
    assert len(display_domain("ü." * 500_000)) <= 2_000


def test_text_is_shown_on_one_line_without_what_cannot_be_seen() -> None:
    assert display_text("a\u2028b\x85c\x0bd\te") == "a b c d e"
    assert display_text("\u200b\u202ea\x1b[31m\U000e0041") == "a[31m"
    assert display_text("Zoë 山田") == "Zoë 山田"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Zoë <z@bücher.example>", "Zoë <z@bücher.example>"),
        ("z@x.example", "z@x.example"),
        ("z@x.example <z@x.example>", "z@x.example"),
        ('"ceo@bank.example" <evil@x.example>', "evil@x.example"),
        ('"\u200b" <a@x.example>', "a@x.example"),
        ("=?utf-8?q?a=0D=0AX=3A_y?= <a@x.example>", "a X: y <a@x.example>"),
        ("Bob", "Bob"),
        ("Bob <a@p\u0430y.example>", "Bob <a@xn--py-7kc.example>"),
    ],
)
def test_an_address_is_shown_as_what_it_is(value: str, shown: str) -> None:
    (address,) = addresses(value)
    assert display_address(address) == shown
