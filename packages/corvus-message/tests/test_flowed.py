"""format=flowed."""

from __future__ import annotations

from corvus_message import decode_flowed, encode_flowed


def test_flowed_lines_are_joined_within_one_quote_depth() -> None:
    assert decode_flowed(">> a \n>> b\n> c \n>> d\n") == ">> a b\n> c \n>> d\n"


def test_space_stuffing_is_undone() -> None:
    assert decode_flowed(" From x\n  y\n >z\n") == "From x\n y\n>z\n"


def test_the_signature_mark_does_not_flow() -> None:
    assert decode_flowed("a \n-- \nb\n") == "a \n-- \nb\n"


def test_delsp_drops_the_space() -> None:
    assert decode_flowed("a \nb", delsp=True) == "ab"


def test_text_is_wrapped_so_that_it_flows() -> None:
    text = "word " * 40 + "end\n> " + "quoted " * 20 + "end\n" + "x" * 200 + " y"
    lines = encode_flowed(text).split("\r\n")
    assert all(len(line) <= 78 for line in lines if "x" not in line)
    assert decode_flowed("\r\n".join(lines)) == text


def test_a_word_longer_than_a_line_stays_whole() -> None:
    assert encode_flowed("x" * 100) == "x" * 100
    assert encode_flowed("x" * 100 + " y").split("\r\n") == ["x" * 100 + " ", "y"]


def test_the_signature_mark_keeps_its_space() -> None:
    assert encode_flowed("a \n-- \nme") == "a\r\n-- \r\nme"
