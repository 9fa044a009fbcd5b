"""Sections: the message of RFC 9051 §6.4.5.1, number by number, and BINARY."""

from __future__ import annotations

from typing import Final

import pytest

from corvus_imap import Partial, Section, UnknownEncoding, binary, section
from corvus_imap.section import binary_chunks, binary_size, section_octets, section_range
from corvus_message import Limits, parse


def multipart(boundary: str, *parts: bytes, kind: str = "mixed") -> bytes:
    lines = b"".join([f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts])
    return (
        f"Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n".encode()
        + lines
        + f"--{boundary}--\r\n".encode()
    )


def leaf(kind: str, content: str) -> bytes:
    return f"Content-Type: {kind}\r\n\r\n{content}".encode()


#: The parts of the RFC's example, each with a content that says its number.
PLAIN_1 = leaf("text/plain", "one")
OCTETS_2 = leaf("application/octet-stream", "two")
INNER_3 = b"Subject: three\r\n" + multipart(
    "c", leaf("text/plain", "3.1"), leaf("application/octet-stream", "3.2")
)
INNER_42 = b"Subject: four two\r\n" + multipart(
    "e",
    leaf("text/plain", "4.2.1"),
    multipart(
        "f", leaf("text/plain", "4.2.2.1"), leaf("text/richtext", "4.2.2.2"), kind="alternative"
    ),
)
MESSAGE: Final = b"Subject: whole\r\nTo: a@b\r\n" + multipart(
    "a",
    PLAIN_1,
    OCTETS_2,
    b"Content-Type: message/rfc822\r\n\r\n" + INNER_3,
    multipart("d", leaf("image/gif", "4.1"), b"Content-Type: message/rfc822\r\n\r\n" + INNER_42),
)


def split(message: bytes) -> tuple[bytes, bytes]:
    header, _, rest = message.partition(b"\r\n\r\n")
    return header + b"\r\n\r\n", rest


@pytest.mark.parametrize(
    ("spec", "octets"),
    [
        (b"", MESSAGE),
        (b"HEADER", split(MESSAGE)[0]),
        (b"TEXT", split(MESSAGE)[1]),
        (b"1", b"one"),
        (b"2", b"two"),
        (b"3", INNER_3),
        (b"3.HEADER", split(INNER_3)[0]),
        (b"3.TEXT", split(INNER_3)[1]),
        (b"3.1", b"3.1"),
        (b"3.2", b"3.2"),
        (b"4.1", b"4.1"),
        (b"4.1.MIME", b"Content-Type: image/gif\r\n\r\n"),
        (b"4.2", INNER_42),
        (b"4.2.HEADER", split(INNER_42)[0]),
        (b"4.2.TEXT", split(INNER_42)[1]),
        (b"4.2.1", b"4.2.1"),
        (b"4.2.2.1", b"4.2.2.1"),
        (b"4.2.2.2", b"4.2.2.2"),
        (b"1.MIME", b"Content-Type: text/plain\r\n\r\n"),
        (b"3.MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        (b"4.MIME", b"Content-Type: multipart/mixed; boundary=d\r\n\r\n"),
        (b"header.fields (SUBJECT)", b"Subject: whole\r\n\r\n"),
        (b"HEADER.FIELDS (none)", b"\r\n"),
        (
            b"HEADER.FIELDS.NOT (subject)",
            b"To: a@b\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n",
        ),
        (b"3.HEADER.FIELDS (subject to)", b"Subject: three\r\n\r\n"),
    ],
)
def test_every_part_specifier_of_the_rfcs_example(spec: bytes, octets: bytes) -> None:
    told = b"{%d}\r\n%b" % (len(octets), octets)
    assert section(MESSAGE, spec) == told
    assert section(parse(MESSAGE), Section.parse(spec)) == told
    if b"FIELDS" not in spec.upper():
        where = section_range(MESSAGE, Section.parse(spec))
        assert where is not None
        assert MESSAGE[where.start : where.stop] == octets


@pytest.mark.parametrize(
    "spec",
    [
        b"5",
        b"1.1",
        b"1.HEADER",
        b"1.TEXT",
        b"1.HEADER.FIELDS (a)",
        b"4.HEADER",
        b"3.3",
        b"4.2.2.3",
        b"9.MIME",
        b"9.HEADER.FIELDS.NOT (a)",
        b"4294967295",
    ],
)
def test_a_section_that_is_not_there_is_nil(spec: bytes) -> None:
    assert section(MESSAGE, spec) == b"NIL"


@pytest.mark.parametrize(
    "spec", [b"MIME", b"0", b"1.", b".1", b"1.0", b"X", b"HEADER.FIELDS ()", b"1..2"]
)
def test_what_is_no_section_is_an_error(spec: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        section(MESSAGE, spec)


def test_part_one_of_a_plain_message_is_its_body_and_its_mime_header_the_header() -> None:
    message = b"Subject: x\r\n\r\nhello\r\n"
    assert section(message, b"1") == b"{7}\r\nhello\r\n"
    assert section(message, b"1.MIME") == b"{14}\r\nSubject: x\r\n\r\n"
    assert section(message, b"1.1") == b"NIL"


def test_a_single_part_message_inside_a_message_is_point_one() -> None:
    """What peers get wrong: ``1.1`` of a message whose content is a message."""
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n"
    assert section(message, b"1") == b"{21}\r\nSubject: in\r\n\r\nbody\r\n"
    assert section(message, b"1.HEADER") == b"{15}\r\nSubject: in\r\n\r\n"
    assert section(message, b"1.1") == section(message, b"1.TEXT") == b"{6}\r\nbody\r\n"
    assert section(message, b"1.1.MIME") == b"{15}\r\nSubject: in\r\n\r\n"
    assert section(message, b"1.1.1") == b"NIL"


def test_the_content_of_an_undivided_multipart_is_part_one_without_a_header() -> None:
    message = b"Content-Type: multipart/mixed\r\n\r\nhello\r\n"
    assert section(message, b"1") == b"{7}\r\nhello\r\n"
    assert section(message, b"1.MIME") == b"{0}\r\n"
    for spec in (b"2", b"1.1", b"1.HEADER"):
        assert section(message, spec) == b"NIL"


@pytest.mark.parametrize(
    ("partial", "octets"),
    [
        (Partial(0, 2048), b"hello\r\n"),
        (Partial(0, 1), b"h"),
        (Partial(4, 2), b"o\r"),
        (Partial(7, 5), b""),
        (Partial(1 << 62, 1 << 62), b""),
    ],
)
def test_a_partial_is_cut_to_what_there_is(partial: Partial, octets: bytes) -> None:
    assert section(b"\r\nhello\r\n", b"TEXT", partial) == b"{%d}\r\n%b" % (len(octets), octets)


def test_a_partial_of_header_fields_counts_the_subset() -> None:
    """ "calculated after subsetting the header" (RFC 9051 §6.4.5)."""
    message = b"A: 1\r\nB: 2\r\n\r\n"
    assert section(message, b"HEADER.FIELDS (B)", Partial(3, 3)) == b"{3}\r\n2\r\n"


@pytest.mark.parametrize(
    ("message", "wanted", "others"),
    [
        (b"A: 1\r\nB: 2\r\n\r\nx", b"A: 1\r\n\r\n", b"B: 2\r\n\r\n"),
        (b"A: 1\nB: 2\n\nx", b"A: 1\n\n", b"B: 2\n\n"),
        # "except in the case of a message that has no body and no blank line".
        (b"A: 1\r\nB: 2\r\n", b"A: 1\r\n", b"B: 2\r\n"),
        # A body that no blank line divides from the header.
        (b"A: 1\r\nB: 2\r\nthis is text", b"A: 1\r\n\r\n", b"B: 2\r\n\r\n"),
        (b"From m@x Fri\r\nA: 1\r\n\r\n", b"A: 1\r\n\r\n", b"From m@x Fri\r\n\r\n"),
        (b"\r\nx", b"\r\n", b"\r\n"),
        (b"", b"", b""),
        (
            b"a: 1\r\nA : 2\r\n folded\r\nAB: 3\r\n\r\n",
            b"a: 1\r\nA : 2\r\n folded\r\n\r\n",
            b"AB: 3\r\n\r\n",
        ),
    ],
)
def test_subsets_of_a_header_and_their_blank_line(
    message: bytes, wanted: bytes, others: bytes
) -> None:
    assert section_octets(message, Section.parse(b"HEADER.FIELDS (a)")) == wanted
    assert section_octets(message, Section.parse(b"HEADER.FIELDS.NOT (a)")) == others


def test_what_the_parser_left_unread_of_a_header_is_among_the_others() -> None:
    part = parse(b"A: 1\r\nB: 2\r\nC: 3\r\n\r\nx", limits=Limits(header_fields=2))
    assert section_octets(part, Section.parse(b"HEADER.FIELDS.NOT (a)")) == b"B: 2\r\nC: 3\r\n\r\n"
    assert section_octets(part, Section.parse(b"HEADER.FIELDS (a c)")) == b"A: 1\r\n\r\n"


def test_header_fields_are_no_stretch() -> None:
    with pytest.raises(ValueError, match="contiguous"):
        section_range(MESSAGE, Section.parse(b"HEADER.FIELDS (a)"))


def encoded(encoding: str, content: str, kind: str = "application/x") -> bytes:
    return (
        f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{content}".encode()
    )


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (encoded("base64", "aGVsbG8="), b"{5}\r\nhello"),
        (encoded("BASE64", "AAEC"), b"~{3}\r\n\0\1\2"),
        (encoded("quoted-printable", "a=3Db=\r\nc"), b"{4}\r\na=bc"),
        (encoded("8bit", "a\nb"), b"{3}\r\na\nb"),
        # "textual line-oriented sections are always transmitted using the IMAP CRLF".
        (encoded("base64", "YQpiDQpj", "text/plain"), b"{7}\r\na\r\nb\r\nc"),
        (encoded("7bit", "a\nb\r\n\nc\n", "text/plain"), b"{11}\r\na\r\nb\r\n\r\nc\r\n"),
    ],
)
def test_binary_undoes_the_encoding_of_a_leaf(message: bytes, told: bytes) -> None:
    assert binary(message, (1,)) == told
    assert binary_size(message, (1,)) == len(told.partition(b"\r\n")[2])


def test_binary_of_the_message_and_of_composites_is_what_they_are() -> None:
    assert binary(MESSAGE, ()) == section(MESSAGE, b"")
    for at, spec in (((3,), b"3"), ((4,), b"4")):
        assert binary(MESSAGE, at) == section(MESSAGE, spec)
    undivided = b"Content-Type: multipart/mixed\r\n\r\nhello\r\n"
    assert binary(undivided, (1,)) == b"{7}\r\nhello\r\n"


def test_binary_of_no_part_is_nil_and_a_partial_counts_decoded_octets() -> None:
    message = encoded("base64", "aGVsbG8=")
    assert (binary(message, (2,)), binary_size(message, (2,))) == (b"NIL", None)
    assert binary(message, (1,), Partial(1, 3)) == b"{3}\r\nell"


def test_an_encoding_nobody_knows_is_told_and_not_guessed() -> None:
    for call in (binary, binary_size, binary_chunks):
        with pytest.raises(UnknownEncoding):
            call(encoded("x-rot13", "uryyb"), (1,))


def test_line_ends_that_chunks_cut_in_two_stay_one() -> None:
    lines = b"x" * 65_534 + b"\r\n" + b"y" * 65_535 + b"\r\nz\n\n\r\n"
    message = b"Content-Type: text/plain\r\n\r\n" + lines
    for shift in range(3):
        padded = message + b"p" * shift
        shifted = padded.replace(b"\r\n\r\nx", b"\r\n\r\n" + b"q" * shift + b"x", 1)
        pieces = binary_chunks(shifted, (1,))
        assert pieces is not None
        content = shifted.partition(b"\r\n\r\n")[2]
        assert b"".join(pieces) == content.replace(b"z\n\n", b"z\r\n\r\n")
