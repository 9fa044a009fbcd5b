"""Status lines, both ways."""

import pytest

from corvus_pop3 import LocalProtocolError, Response, ResponseCode
from corvus_pop3.responses import TEXT_OF_CODE, format_response, parse_response


@pytest.mark.parametrize(
    ("line", "response"),
    [
        (b"+OK", Response(True, "")),
        (b"+OK ", Response(True, "")),
        (b"+OK 2 320", Response(True, "2 320")),
        (b"-ERR [IN-USE] busy", Response(False, "busy", "IN-USE")),
        (b"-ERR [sys/temp] later", Response(False, "later", "SYS/TEMP")),
        (b"-ERR [AUTH]", Response(False, "", "AUTH")),
        (b"-ERR [not closed", Response(False, "[not closed")),
        (b"-ERR [two words] x", Response(False, "[two words] x")),
        (b"-ERR []", Response(False, "[]")),
        (b"+OK \xc3\xa4 \xff", Response(True, "ä �")),
    ],
)
def test_a_status_line_is_read(line: bytes, response: Response) -> None:
    assert parse_response(line) == response


@pytest.mark.parametrize(
    "line",
    [b"", b"OK", b"+ok x", b"-err", b"+OKAY", b"-ERRx", b" +OK", b"+OK a\0", b"+OK a\rb", b"* OK"],
)
def test_anything_else_is_no_status_line(line: bytes) -> None:
    assert parse_response(line) is None


def test_a_detail_of_a_code_that_nobody_knows_is_ignored() -> None:
    response = Response(False, "", "SYS/TEMP/DISK")
    assert response.is_code(ResponseCode.SYS_TEMP)
    assert not response.is_code(ResponseCode.SYS_PERM)
    assert not Response(False, "", "AUTHX").is_code(ResponseCode.AUTH)
    assert not Response(False, "").is_code(ResponseCode.AUTH)


@pytest.mark.parametrize("code", [None, *ResponseCode])
def test_what_is_formatted_is_read_back(code: ResponseCode | None) -> None:
    line = format_response(False, "why not", code=code)
    assert parse_response(line[:-2]) == Response(False, "why not", code and code.value)


@pytest.mark.parametrize(
    "text", ["a\rb", "a\nb", "a\0b", "ä", "\ud800", "[AUTH] forged", "x" * 511]
)
def test_a_text_that_cannot_be_sent_is_your_mistake(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        format_response(True, text)


def test_letters_go_to_those_who_asked_for_them() -> None:
    assert format_response(True, "ä", utf8=True) == b"+OK \xc3\xa4\r\n"
    with pytest.raises(LocalProtocolError):
        format_response(True, "\ud800", utf8=True)


def test_a_line_has_at_most_512_octets() -> None:
    assert len(format_response(True, "x" * 506)) == 512
    with pytest.raises(LocalProtocolError, match="513"):
        format_response(True, "x" * 507)


def test_a_response_without_text_has_no_space_at_its_end() -> None:
    assert format_response(True, "") == b"+OK\r\n"


def test_every_code_has_a_text() -> None:
    assert set(TEXT_OF_CODE) == {None, *ResponseCode}
