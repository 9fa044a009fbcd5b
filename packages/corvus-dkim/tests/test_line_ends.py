"""Bare CR and bare LF."""

from __future__ import annotations

import pytest

from corvus_dkim import normalise
from corvus_dkim.line_ends import Lines, has_bare

CASES = [
    (b"", b"", False),
    (b"a\r\nb\r\n", b"a\r\nb\r\n", False),
    (b"a\nb\n", b"a\r\nb\r\n", True),
    (b"a\rb", b"a\r\nb", True),
    (b"a\r\r\nb", b"a\r\n\r\nb", True),
    (b"a\n\r\nb", b"a\r\n\r\nb", True),
    (b"a\n\rb", b"a\r\n\r\nb", True),
    (b"a\r", b"a\r\n", True),
    (b"\n\r", b"\r\n\r\n", True),
]


@pytest.mark.parametrize(("data", "expected", "bare"), CASES)
def test_bare_line_ends_are_seen_and_turned_into_crlf(
    data: bytes, expected: bytes, bare: bool
) -> None:
    assert has_bare(data) is bare
    assert normalise(data) == expected


@pytest.mark.parametrize(("data", "expected", "bare"), CASES)
def test_a_stream_of_single_octets_gives_the_same(data: bytes, expected: bytes, bare: bool) -> None:
    strict, lenient = Lines(normalise=False), Lines(normalise=True)
    passed = b"".join([strict.update(bytes([c])) for c in data]) + strict.finish()
    turned = b"".join([lenient.update(bytes([c])) for c in data]) + lenient.finish()
    assert (passed, strict.bare) == (data, bare)
    assert (turned, lenient.bare) == (expected, False)
