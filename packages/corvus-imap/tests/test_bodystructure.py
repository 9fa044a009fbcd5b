"""BODY and BODYSTRUCTURE: the rules of RFC 9051 §7.5.2, one by one."""

from __future__ import annotations

import pytest

from corvus_imap import bodystructure, section
from corvus_message import Limits, parse


def body(message: bytes) -> bytes:
    return bodystructure(message, extended=False)


def test_the_text_example_of_the_rfc() -> None:
    """A simple text message of 48 lines and 2279 octets."""
    message = b"\r\n" + (b"x" * 45 + b"\r\n") * 47 + b"x" * 68 + b"\r\n"
    assert len(message) - 2 == 2279
    assert body(message) == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 2279 48)'


def test_the_two_part_example_of_the_rfc() -> None:
    first, second = b"a" * 24 + b"\r\n", b"b" * 60 + b"\r\n"
    message = (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n\r\n'
        + first * 2
        + b"\r\n--x\r\nContent-Type: text/plain; charset=us-ascii; name=cc.diff\r\n"
        b"Content-ID: <960723163407.20117h@cac.washington.edu>\r\n"
        b"Content-Description: Compiler diff\r\nContent-Transfer-Encoding: BASE64\r\n\r\n"
        + second * 3
        + b"\r\n--x--\r\n"
    )
    assert body(message) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 52 2)'
        b'("text" "plain" ("charset" "us-ascii" "name" "cc.diff")'
        b' "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "base64" 186 3) "mixed")'
    )


def test_extension_data_stand_in_their_order() -> None:
    """md5, disposition, language, location; for a multipart parameters in front."""
    message = (
        b"Content-Type: application/pdf\r\nContent-MD5: Q2hlY2s=\r\n"
        b'Content-Disposition: attachment (c); filename="a b.pdf"\r\n'
        b"Content-Language: de, en (x)\r\nContent-Location: http://x/\r\n\r\n1234"
    )
    tail = b'("attachment" ("filename" "a b.pdf")) ("de" "en") "http://x/")'
    assert bodystructure(message) == (
        b'("application" "pdf" NIL NIL NIL "7bit" 4 "Q2hlY2s=" ' + tail
    )
    assert body(message) == b'("application" "pdf" NIL NIL NIL "7bit" 4)'
    multi = message.replace(b"application/pdf", b"multipart/mixed; boundary=x").replace(
        b"1234", b"--x\r\nContent-Type: image/gif\r\n\r\n--x--"
    )
    assert bodystructure(multi) == (
        b'(("image" "gif" NIL NIL NIL "7bit" 0 NIL NIL NIL NIL) "mixed" ("boundary" "x") ' + tail
    )


def test_a_message_inside_has_envelope_structure_and_lines() -> None:
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n"
    assert body(message) == (
        b'("message" "rfc822" NIL NIL NIL "7bit" 21'
        b' (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL)'
        b' ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1) 3)'
    )


def test_message_global_is_opened_only_for_who_knows_it() -> None:
    """RFC 9051 §9 media-message has "GLOBAL"; to a client of RFC 3501 it is any other type."""
    message = b"Content-Type: message/global\r\n\r\nSubject: \xc3\xa4\r\n\r\nx"
    assert body(message) == b'("message" "global" NIL NIL NIL "7bit" 16)'
    assert b'"\xc3\xa4"' in bodystructure(message, utf8=True)


def test_a_message_that_cannot_be_opened_is_not_called_one() -> None:
    encoded = (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViOiB4\r\n"
    )
    assert body(encoded) == b'("application" "octet-stream" NIL NIL NIL "base64" 10)'
    nested = parse(b"Content-Type: message/rfc822\r\n\r\n" * 3, limits=Limits(depth=2))
    assert bodystructure(nested, extended=False).count(b'"message" "rfc822"') == 2
    assert b'"application" "octet-stream"' in bodystructure(nested)


@pytest.mark.parametrize(
    "message",
    [
        b"Content-Type: multipart/mixed\r\n\r\nhi\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\nhi\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n",
    ],
)
def test_a_multipart_always_holds_a_part_and_its_content_is_that(message: bytes) -> None:
    content = message.partition(b"\r\n\r\n")[2]
    shown = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d %d' % (
        len(content),
        content.count(b"\n"),
    )
    assert bodystructure(message).startswith(b"(" + shown + b" NIL NIL NIL NIL)")
    assert body(message) == b"(" + shown + b') "mixed")'
    assert section(message, b"1") == b"{%d}\r\n%b" % (len(content), content)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b"a=b", b'"a" "b"'),
        (b"name*0=ab; name*1=cd", b'"name" "abcd"'),
        (b"name*1=cd; name*0=ab; x=y", b'"name" "abcd" "x" "y"'),
        (b"name*=utf-8''%c3%a4", b'"name*" "utf-8\'\'%c3%a4"'),
        (b"name*0*=utf-8''%c3; name*1*=%a4", b'"name*" "utf-8\'\'%c3%a4"'),
        (b"name*0*=utf-8''%c3; name*1=a%b", b'"name*" "utf-8\'\'%c3a%25b"'),
        (b"name*0=a; name*1*=%c3", b'"name*" "\'\'a%c3"'),
        # A gap ends the value; a continuation without a beginning is none.
        (b"name*0=a; name*2=c", b'"name" "a"'),
        (b"name*1=b", b'"name*1" "b"'),
        (b"NAME*0=a; name*1=b; name*1=c", b'"NAME" "ab"'),
    ],
)
def test_continued_parameters_are_put_together(given: bytes, told: bytes) -> None:
    message = b"Content-Type: image/png; " + given + b"\r\n\r\n"
    assert body(message) == b'("image" "png" (%b) NIL NIL "7bit" 0)' % told


def test_text_without_a_charset_is_us_ascii_and_says_so() -> None:
    for given, told in (
        (b"text/html", b'("charset" "us-ascii")'),
        (b"text/plain; name=x", b'("name" "x" "charset" "us-ascii")'),
        (b"text/plain; Charset=utf-8", b'("Charset" "utf-8")'),
        (b"text/plain; charset*=''utf-8", b'("charset*" "\'\'utf-8")'),
        (b"image/gif", b"NIL"),
    ):
        assert b" %b NIL NIL " % told in body(b"Content-Type: " + given + b"\r\n\r\n")


def test_an_empty_id_is_a_string_and_an_empty_disposition_none() -> None:
    message = b"Content-Type: image/gif\r\nContent-ID:\r\nContent-Disposition: ;x=y\r\n\r\n"
    assert bodystructure(message) == b'("image" "gif" NIL "" NIL "7bit" 0 NIL NIL NIL NIL)'


def test_eight_bit_parameters_are_literals_until_the_client_takes_utf8() -> None:
    message = b"Content-Type: image/gif; name=\xc3\xa4\r\n\r\n"
    assert b'("name" {2}\r\n\xc3\xa4)' in bodystructure(message)
    assert b'("name" "\xc3\xa4")' in bodystructure(message, utf8=True)
