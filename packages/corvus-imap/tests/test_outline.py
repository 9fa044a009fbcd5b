"""The stored outline of a message finds what the message itself finds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_imap import Section, SectionText, UnknownEncoding, binary
from corvus_imap.outline import Outline
from corvus_imap.section import decode_chunks, section_range
from corvus_message import parse

LEAF = b"Content-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n"
TEXT = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYQpiDQpj\r\n"
INSIDE = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n"
ODD = b"Content-Type: a/b\r\nContent-Transfer-Encoding: x rot, 13\r\n\r\nx"
EMPTY = b"Content-Type: multipart/mixed\r\n\r\nundivided"


def multipart(parts: list[bytes]) -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n" % sum(map(len, parts))
    mark = b"--b%d" % sum(map(len, parts))
    return head + b"".join([mark + b"\r\n" + part + b"\r\n" for part in parts]) + mark + b"--\r\n"


messages = st.recursive(
    st.sampled_from([LEAF, TEXT, INSIDE, ODD, EMPTY, b"", b"\r\nplain"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(multipart)
        | inner.map(lambda message: b"Content-Type: message/rfc822\r\n\r\n" + message)
    ),
    max_leaves=6,
)


@pytest.mark.property
@given(messages, st.lists(st.integers(1, 3), max_size=4), st.sampled_from([None, *SectionText]))
def test_a_stored_outline_finds_every_section(
    message: bytes, path: list[int], text: SectionText | None
) -> None:
    stored = bytes(Outline.of(message))
    outline = Outline.parse(stored)
    assert outline == Outline.of(parse(message))
    assert bytes(outline) == stored
    if text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT) or (
        text is SectionText.MIME and not path
    ):
        return
    spec = Section(tuple(path), text)
    assert section_range(outline, spec) == section_range(message, spec)


@pytest.mark.property
@given(
    messages,
    st.lists(st.integers(1, 3), max_size=3).map(tuple),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_decoding_what_is_read_from_a_file_is_binary(
    message: bytes, path: tuple[int, ...], cuts: list[int]
) -> None:
    outline = Outline.of(message)
    where = section_range(outline, Section(path))
    if where is None:
        assert binary(message, path) == b"NIL"
        return
    octets = message[where.start : where.stop]
    edges = sorted({0, len(octets), *[cut for cut in cuts if cut < len(octets)]})
    pieces = [octets[a:b] for a, b in pairwise(edges)]
    try:
        told = binary(message, path)
    except UnknownEncoding:
        with pytest.raises(UnknownEncoding):
            decode_chunks(outline, path, pieces)
        return
    assert b"".join(decode_chunks(outline, path, pieces)) == told.partition(b"\r\n")[2]


def test_an_outline_takes_twenty_octets_a_part() -> None:
    message = multipart([LEAF, TEXT, INSIDE, ODD])
    stored = bytes(Outline.of(message))
    assert stored.startswith(b"m0,")
    assert len(stored) < 6 * 25
    assert [word[:1] for word in stored.split(b" ")] == [b"m", b"l", b"t", b"r", b"t", b"l"]
    # An encoding nobody knows is stored as that, not as the sender's words.
    assert stored.endswith(b",0,")


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"t0,1,2",
        b"x0,1,2,0",
        b"t0,1,2,0 t0,1,2,0",
        b"m0,1,2,1",
        b"m0,1,2,2 t0,1,2,0",
        b"r0,1,2,0",
        b"t0,1,2,1 t0,1,2,0",
        b"t-1,1,2,0",
        b"t0,1,2,0,BASE 64",
        b"m0,1,2,999999999",
        "t0,١,2,0".encode(),
    ],
)
def test_what_is_no_outline_is_an_error(stored: bytes) -> None:
    with pytest.raises(ValueError, match="not an outline"):
        Outline.parse(stored)


def test_ten_thousand_parts_and_a_hundred_levels_need_no_stack() -> None:
    wide = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 12_000
    deep = b"Content-Type: message/rfc822\r\n\r\n" * 150
    for message in (wide, deep):
        outline = Outline.of(message)
        assert bytes(Outline.parse(bytes(outline))) == bytes(outline)


def test_the_encoding_of_a_part_that_ends_within_a_group_is_finished() -> None:
    """Base64 without its padding: what is held back comes at the end."""
    message = b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8"
    outline = Outline.of(message)
    assert b"".join(decode_chunks(outline, (1,), [b"aGVs", b"bG8"])) == b"hello"
    assert binary(message, (1,)) == b"{5}\r\nhello"
