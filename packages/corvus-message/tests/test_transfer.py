"""Transfer encodings."""

from __future__ import annotations

import pytest

from corvus_message import (
    decode_base64,
    decode_quoted_printable,
    decode_transfer,
    decode_uuencode,
    encode_base64,
    encode_quoted_printable,
    transfer_decoder,
)
from corvus_message.transfer import QuotedPrintableDecoder


@pytest.mark.parametrize(
    ("octets", "wanted"),
    [
        (b"aGVsbG8=", b"hello"),
        (b"aGVsbG8", b"hello"),
        (b"aGVs\r\nbG8=\r\n", b"hello"),
        (b"a!G#V-s_b\x00G8=", b"hello"),
        (b"aGVsbG8=\r\n-- list footer", b"hello\x96+-~\x8a-z"),
        (b"aGVsbG8=IQ==", b"hello!"),
        (b"=aGVsbG8====", b"hello"),
        (b"a", b""),
        (b"aGVsbG8hx", b"hello!"),
        (b"", b""),
        (b"====", b""),
    ],
)
def test_base64_is_read_leniently(octets: bytes, wanted: bytes) -> None:
    assert decode_base64(octets) == wanted


def test_base64_is_written_in_lines_of_76() -> None:
    assert encode_base64(b"x" * 58) == b"eHh4" * 19 + b"\r\neA==\r\n"
    assert encode_base64(b"") == b""


@pytest.mark.parametrize(
    ("octets", "wanted"),
    [
        (b"a=\r\nb", b"ab"),
        (b"a=\nb", b"ab"),
        (b"a= \t\r\nb", b"ab"),
        (b"a  \r\nb\t", b"a\r\nb"),
        (b"=e4=E4", b"\xe4\xe4"),
        (b"=", b""),
        (b"a=Zb", b"a=Zb"),
        (b"a=\rb\nc", b"a=\rb\nc"),
        (b"a\rb", b"a\rb"),
        (b"==41", b"=41"),
        (b"\xe4", b"\xe4"),
    ],
)
def test_quoted_printable_is_read_leniently(octets: bytes, wanted: bytes) -> None:
    assert decode_quoted_printable(octets) == wanted


def test_quoted_printable_is_written() -> None:
    assert encode_quoted_printable(b"From a\n.\nx \ny\t\n=\r\0") == (
        b"=46rom a\r\n=2E\r\nx=20\r\ny=09\r\n=3D=0D=00"
    )
    lines = encode_quoted_printable(b"\xe4" * 100 + b"a" * 200).split(b"\r\n")
    assert all(len(line) <= 76 for line in lines)
    assert all(line.endswith(b"=") for line in lines[:-1])
    assert encode_quoted_printable(b"a" * 76) == b"a" * 76


@pytest.mark.parametrize("shift", range(8))
def test_an_escape_is_never_cut(shift: int) -> None:
    octets = b"a" * shift + b"\xe4" * 60
    assert decode_quoted_printable(encode_quoted_printable(octets)) == octets


@pytest.mark.parametrize("shift", range(5))
def test_a_line_without_end_is_decoded_in_bounded_memory(shift: int) -> None:
    octets = b"a" * shift + b"=C3=A4 " * 30_000
    decoder = QuotedPrintableDecoder()
    out = b""
    for place in range(0, len(octets), 5_000):
        out += decoder.update(octets[place : place + 5_000])
        assert len(decoder._held) <= decoder.longest_line
    assert out + decoder.finish() == decode_quoted_printable(octets)


UU = b"""\
words
begin 644 cat.txt
#0V%T
`
end
more
begin 600 b
!80``
end
"""


def test_uuencode_is_read() -> None:
    assert decode_uuencode(UU) == b"Cata"
    assert decode_uuencode(UU.replace(b"\n", b"\r\n")) == b"Cata"
    assert decode_uuencode(b"begin 644 x\n#0V%T") == b"Cat"
    assert decode_uuencode(b"begin 644 x\n~~~\n\n#0V%T\nend") == b"Cat"
    assert decode_uuencode(b"begin 644 x\n#\xff\xff\xff\xff\nend") == b""
    assert decode_uuencode(b"nothing here") == b""


def test_uuencode_does_not_hold_a_line_without_end() -> None:
    decoder = transfer_decoder("x-uue")
    for _ in range(100):
        decoder.update(b"x" * 1000)
    assert decoder.finish() == b""


def test_encodings_by_name() -> None:
    assert decode_transfer(b"YQ==", "base64") == b"a"
    assert decode_transfer(b"YQ==", "x-unknown") == b"YQ=="
    assert transfer_decoder("8bit").update(b"x") == b"x"
    assert transfer_decoder("8bit").finish() == b""
