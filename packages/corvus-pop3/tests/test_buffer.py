"""Lines out of octets."""

import pytest

from corvus_pop3 import RemoteProtocolError
from corvus_pop3._buffer import LineBuffer


def test_lines_come_one_by_one_without_their_crlf() -> None:
    buffer = LineBuffer()
    buffer.feed(b"one\r\n\r\ntwo\nthree\rfour\r\nrest")
    assert [buffer.take_line(100) for _ in range(3)] == [b"one", b"", b"two\nthree\rfour"]
    assert buffer.take_line(100) is None
    assert len(buffer) == 4


def test_a_crlf_is_found_when_it_comes_in_two_parts() -> None:
    buffer = LineBuffer()
    for octet in b"NOOP\r":
        buffer.feed(bytes([octet]))
        assert buffer.take_line(100) is None
    buffer.feed(b"\n")
    assert buffer.take_line(100) == b"NOOP"


def test_a_line_may_be_as_long_as_the_limit() -> None:
    buffer = LineBuffer()
    buffer.feed(b"x" * 8 + b"\r\n")
    assert buffer.take_line(10) == b"x" * 8


def test_a_line_may_not_be_longer_than_the_limit() -> None:
    buffer = LineBuffer()
    buffer.feed(b"x" * 9 + b"\r\n")
    with pytest.raises(RemoteProtocolError, match="more than 10"):
        buffer.take_line(10)


def test_a_line_without_an_end_is_too_long_as_soon_as_it_must_be() -> None:
    buffer = LineBuffer()
    for count in range(1, 11):
        buffer.feed(b"x")
        if count < 10:
            assert buffer.take_line(10) is None
    with pytest.raises(RemoteProtocolError):
        buffer.take_line(10)


def test_what_was_read_in_place_can_be_dropped_and_the_rest_cleared() -> None:
    buffer = LineBuffer()
    buffer.feed(b"body and")
    assert buffer.take_line(100) is None
    buffer.feed(b"\r\n")
    assert buffer.octets == b"body and\r\n"
    buffer.drop(5)
    assert buffer.take_line(100) == b"and"
    buffer.feed(b"x")
    buffer.clear()
    assert len(buffer) == 0


def test_the_next_word_is_known_before_the_line_is_complete() -> None:
    buffer = LineBuffer()
    buffer.feed(b"auth PL")
    assert buffer.starts_with(b"AUTH ")
    assert not buffer.starts_with(b"QUIT")
