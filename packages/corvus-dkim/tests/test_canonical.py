"""Canonicalization, one octet at a time and all at once."""

from __future__ import annotations

import pytest

from corvus_dkim.canonical import BLOCK, BODY, relaxed_header, relaxed_value


def canonical(form: str, *chunks: bytes) -> bytes:
    out: list[bytes] = []
    body = BODY[form](out.append)
    for chunk in chunks:
        body.update(chunk)
    body.finish()
    return b"".join(out)


@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b"", b"\r\n", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\n\r\n\r\n", b"\r\n", b""),
        (b" \r\n\t\r\n", b" \r\n\t\r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a\r\n", b"a\r\n", b"a\r\n"),
        (b"a\r\n\r\n\r\n", b"a\r\n", b"a\r\n"),
        (b"a \r\n", b"a \r\n", b"a\r\n"),
        (b"a \t b\t\tc\r\n", b"a \t b\t\tc\r\n", b"a b c\r\n"),
        (b" a\r\n", b" a\r\n", b" a\r\n"),
        (b"a\r\n \r\n\r\nb\r\n", b"a\r\n \r\n\r\nb\r\n", b"a\r\n\r\n\r\nb\r\n"),
        (b"a\r\n \t", b"a\r\n \t\r\n", b"a\r\n"),
        (b"a  ", b"a  \r\n", b"a\r\n"),
        # Bare CR and bare LF are octets like others: no line ends there.
        (b"a\rb\nc \n\r\n", b"a\rb\nc \n\r\n", b"a\rb\nc \n\r\n"),
        (b"a\r", b"a\r\r\n", b"a\r\r\n"),
        (b"a \r", b"a \r\r\n", b"a \r\r\n"),
        (b"\r", b"\r\r\n", b"\r\r\n"),
        (b"\n", b"\n\r\n", b"\n\r\n"),
        (b"a\n\n\r\n\r\n", b"a\n\n\r\n", b"a\n\n\r\n"),
        (b"a\r\r\n\r\n", b"a\r\r\n", b"a\r\r\n"),
        (b"a\n\r\n\r\n", b"a\n\r\n", b"a\n\r\n"),
        (b"\n\r\n\r\n", b"\n\r\n", b"\n\r\n"),
        (b"\x0b \x0c\r\n", b"\x0b \x0c\r\n", b"\x0b \x0c\r\n"),
    ],
)
def test_bodies_in_both_forms_whole_and_octet_by_octet(
    body: bytes, simple: bytes, relaxed: bytes
) -> None:
    octets = [body[i : i + 1] for i in range(len(body))]
    assert canonical("simple", body) == canonical("simple", *octets) == simple
    assert canonical("relaxed", body) == canonical("relaxed", *octets) == relaxed


@pytest.mark.parametrize("form", ["simple", "relaxed"])
def test_more_empty_lines_than_fit_a_block_are_kept_if_text_follows(form: str) -> None:
    body = b"a" + b"\r\n" * (BLOCK + 7) + b"b\r\n"
    assert canonical(form, body) == body
    assert canonical(form, body[:-3]) == b"a\r\n"


def test_a_body_of_many_blocks_is_the_same_as_its_parts() -> None:
    body = b"some  text \t\r\n" * (3 * BLOCK // 14)
    assert canonical("relaxed", body) == b"some text\r\n" * (3 * BLOCK // 14)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"SUBJect", b" AbC\r\n", b"subject:AbC\r\n"),
        (b"A \t", b"\t", b"a:\r\n"),
        (b"A", b" x\r\n y\r\n\t  z \t", b"a:x y z\r\n"),
        (b"A", b"", b"a:\r\n"),
        (b"A", b" a\x0bb ", b"a:a\x0bb\r\n"),
    ],
)
def test_header_fields_in_relaxed_form(name: bytes, value: bytes, expected: bytes) -> None:
    assert relaxed_header(name, value) == expected


def test_relaxed_values_lose_no_octet_but_whitespace() -> None:
    octets = bytes(set(range(256)) - set(b" \t\r\n"))
    assert relaxed_value(octets) == octets
