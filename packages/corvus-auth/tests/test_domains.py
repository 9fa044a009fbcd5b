"""Domain names in the form in which they are compared."""

from __future__ import annotations

import pytest

from corvus_auth.domains import DomainError, is_within, to_ascii


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("my-bank.com", "my-bank.com"),
        ("_spf.example.com", "_spf.example.com"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        # IDNA 2008 keeps what IDNA 2003 mapped to another domain.
        ("straße.example", "xn--strae-oqa.example"),
        ("\uff45\uff58ample\u3002com", "example.com"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
    ],
)
def test_names_become_a_labels(given: str, expected: str) -> None:
    assert to_ascii(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        "",
        ".",
        "a..b",
        ".example.com",
        "a" * 64 + ".example",
        "ü" * 64 + ".example",
        "a b.example",
        "a@b.example",
        "[192.0.2.1]",
        "a/b.example",
        "\u00e4" * 60 + ".example",  # too long once it is punycode
        "\u2100.example",  # NFKC makes "a/c" of it
        "\u2603.example",  # a symbol
        "exa\u202emple.com",  # changes the direction of what follows
        "\u200b.example",
        ".".join(["a" * 60] * 5),
        "x" * 2000,
        "a\r\nb.example",
        "\ud800.example",
    ],
)
def test_what_is_no_name_is_refused(given: str) -> None:
    with pytest.raises(DomainError):
        to_ascii(given)


def test_within_is_about_labels() -> None:
    assert is_within("a.example.com", "example.com")
    assert is_within("example.com", "example.com")
    assert not is_within("badexample.com", "example.com")
