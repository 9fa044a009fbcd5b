"""Line ends, TOP, stuffing and unstuffing: each against a plain reading of the RFC, at every cut."""

import pytest

from corvus_pop3 import wire_size
from corvus_pop3._multiline import MessageReader, MessageWriter

MESSAGES = [
    b"",
    b".",
    b"..",
    b"\r\n",
    b"\n",
    b"\r",
    b"a",
    b"a\r",
    b"a\n.",
    b"a\r\n.\r\nb\r\n",
    b"a\n.\nb\n",
    b"a\r.\r\nb",
    b"a\r\r\n.b\r\n",
    b"\r\n.\r\n",
    b"\n.\n.\n..\n",
    b".\r\n.\r\n.\r\n",
    b"a\n\r.\r\r\n\n.",
    b"Subject: x\r\n\r\n.one\r\n..two\r\nthree",
    b"Subject: x\nTo: y\n\n.one\n\n.three\n",
    b"no header end\r\n.x\r\n",
]


def repaired(message: bytes) -> bytes:
    """The message with CRLF at each line's end, one octet at a time."""
    out = bytearray()
    for octet in message:
        if octet == 10 and not out.endswith(b"\r"):
            out += b"\r"
        out.append(octet)
    if out.endswith(b"\r"):
        out += b"\n"
    elif out and not out.endswith(b"\n"):
        out += b"\r\n"
    return bytes(out)


def lines_of(message: bytes) -> list[bytes]:
    """Lines without their CRLF; a lone CR is content."""
    return repaired(message).split(b"\r\n")[:-1]


def stuffed(lines: list[bytes]) -> bytes:
    """What goes out, as RFC 1939 §3 says it."""
    return b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines) + b".\r\n"


def top(message: bytes, count: int) -> list[bytes]:
    lines = lines_of(message)
    header = lines.index(b"") + 1 if b"" in lines else len(lines)
    return lines[: header + count]


def write(chunks: list[bytes], lines: int | None = None) -> bytes:
    writer = MessageWriter(lines)
    return b"".join(writer.feed(chunk) for chunk in chunks) + writer.finish()


def cuts(message: bytes) -> list[list[bytes]]:
    """Whole, at each place, and one octet at a time."""
    return [
        [message],
        *([message[:at], message[at:]] for at in range(len(message) + 1)),
        [message[at : at + 1] for at in range(len(message))],
    ]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_goes_out_as_the_rfc_says_wherever_it_is_cut(message: bytes) -> None:
    for chunks in cuts(message):
        assert write(chunks) == stuffed(lines_of(message)), chunks


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10**18])
def test_top_is_header_blank_line_and_lines_wherever_it_is_cut(message: bytes, count: int) -> None:
    for chunks in cuts(message):
        assert write(chunks, count) == stuffed(top(message, count)), chunks


@pytest.mark.parametrize("message", MESSAGES)
def test_the_size_is_that_of_the_unstuffed_message_wherever_it_is_cut(message: bytes) -> None:
    for chunks in cuts(message):
        assert wire_size(chunks) == len(repaired(message)), chunks


@pytest.mark.parametrize("message", MESSAGES)
def test_what_was_written_is_read_back_wherever_it_is_cut(message: bytes) -> None:
    wire = stuffed(lines_of(message)) + b"+OK behind\r\n"
    for chunks in cuts(wire):
        reader, body, behind = MessageReader(), b"", b""
        for chunk in chunks:
            if reader.done:
                behind += chunk
            else:
                part, used = reader.feed(chunk)
                body, behind = body + part, behind + chunk[used:]
        assert reader.done
        assert (body, behind) == (repaired(message), b"+OK behind\r\n")


def test_a_writer_that_has_its_lines_wants_no_more() -> None:
    writer = MessageWriter(1)
    assert writer.feed(b"A: b\n\none\ntwo\n") == b"A: b\r\n\r\none\r\n"
    assert writer.done
    assert writer.feed(b"three\n") == b""
    assert writer.finish() == b".\r\n"
    assert not MessageWriter().done


def test_a_reader_holds_back_at_most_four_octets() -> None:
    reader = MessageReader()
    given = 0
    wire = b"x\r\n.\ry\r\n..\r\n\r\r\n.z" * 50
    for fed in range(len(wire)):
        given += len(reader.feed(wire[fed : fed + 1])[0])
        assert fed + 1 - given <= 4 + 50 * 3  # and the stuffed dots, which never come out
    assert not reader.done


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\0.\r\n"]
)
def test_nothing_but_crlf_dot_crlf_ends_a_response(end: bytes) -> None:
    reader = MessageReader()
    reader.feed(b"x" + end + b"y")
    assert not reader.done
