"""ENVELOPE: the rules of RFC 9051 §7.5.2, one by one."""

from __future__ import annotations

import pytest

from corvus_imap import envelope
from corvus_imap.envelope import preview
from corvus_message import parse


def members(header: bytes, *, utf8: bool = False) -> bytes:
    return envelope(header + b"\r\n", utf8=utf8)


def test_the_fields_stand_in_the_order_of_the_rfc() -> None:
    """The example of RFC 3501 §8, whose message this is."""
    header = (
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
        b"From: Terry Gray <gray@cac.washington.edu>\r\n"
        b"Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
        b"To: imap@cac.washington.edu\r\n"
        b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
        b"Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
    )
    assert members(header) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes"'
        b' (("Terry Gray" NIL "gray" "cac.washington.edu"))'
        b' (("Terry Gray" NIL "gray" "cac.washington.edu"))'
        b' (("Terry Gray" NIL "gray" "cac.washington.edu"))'
        b' ((NIL NIL "imap" "cac.washington.edu"))'
        b' ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU"))'
        b' NIL NIL "<B27397-0100000@cac.washington.edu>")'
    )


def test_a_parsed_message_is_as_good_as_its_octets() -> None:
    raw = b"Subject: x\r\n\r\n"
    assert envelope(parse(raw)) == envelope(raw) == envelope(memoryview(raw))


def test_absent_is_nil_and_empty_is_a_string() -> None:
    assert members(b"") == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert members(b"Date:\r\nSubject: \r\nIn-Reply-To:\r\nMessage-ID:\r\n") == (
        b'("" "" NIL NIL NIL NIL NIL NIL "" "")'
    )


def test_an_empty_address_field_is_nil_and_sender_and_reply_to_fall_back_on_from() -> None:
    assert members(b"From: a@b\r\nSender:\r\nTo:\r\nCc: , ,\r\n") == (
        b'(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)'
    )
    assert members(b"From: a@b\r\nSender: c@d\r\nReply-To: e@f\r\n") == (
        b'(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "c" "d")) ((NIL NIL "e" "f")) NIL NIL NIL NIL NIL)'
    )


def test_a_group_has_a_beginning_and_an_end() -> None:
    assert members(b"To: Staff: Ed <e@x>, j@y;, last@z\r\n") == (
        b'(NIL NIL NIL NIL NIL ((NIL NIL "Staff" NIL)("Ed" NIL "e" "x")(NIL NIL "j" "y")'
        b'(NIL NIL NIL NIL)(NIL NIL "last" "z")) NIL NIL NIL NIL)'
    )
    assert b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))' in members(
        b"To: undisclosed-recipients:;\r\n"
    )


def test_a_source_route_is_the_second_member() -> None:
    assert b'((NIL "@x,@y" "a" "b"))' in members(b"To: <@x,@y:a@b>\r\n")


def test_no_host_is_a_word_because_nil_would_begin_a_group() -> None:
    assert b'((NIL NIL "root" "MISSING_DOMAIN"))' in members(b"To: root\r\n")
    assert b'(("Mail Delivery System" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))' in members(
        b"To: Mail Delivery System\r\n"
    )
    assert b'(("x" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))' in members(b"To: x <>\r\n")


def test_recipients_add_up_and_of_the_other_fields_the_first_counts() -> None:
    header = b"To: a@b\r\nTo:\r\nTo: c@d\r\nSubject: 1\r\nSubject: 2\r\nFrom: e@f\r\nFrom: g@h\r\n"
    assert members(header) == (
        b'(NIL "1" ((NIL NIL "e" "f")) ((NIL NIL "e" "f")) ((NIL NIL "e" "f"))'
        b' ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL NIL)'
    )


def test_what_is_quoted_or_encoded_stays_a_string_of_the_same_octets() -> None:
    assert b'(("say \\"hi\\\\" NIL "a b" "c"))' in members(b'To: "say \\"hi\\\\" <"a b"@c>\r\n'), (
        "quotes of the field are undone, those of the string are made"
    )
    assert b'"=?utf-8?q?=C3=A4?="' in members(b"Subject: =?utf-8?q?=C3=A4?=\r\n")


def test_a_fold_is_removed_with_its_line_end_alone() -> None:
    assert b'"one\ttwo three"' in members(b"Subject: one\r\n\ttwo\r\n three\r\n")


@pytest.mark.parametrize(
    ("value", "rev1", "rev2"),
    [
        (b"\xc3\xa4", b"{2}\r\n\xc3\xa4", b'"\xc3\xa4"'),
        # What is no UTF-8 can stand in no quoted string.
        (b"\xe4", b"{1}\r\n\xe4", b"{1}\r\n\xe4"),
        (b"bare\rCR", b"{7}\r\nbare\rCR", b"{7}\r\nbare\rCR"),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
        (b"a\0b", b'"ab"', b'"ab"'),
    ],
)
def test_eight_bits_are_literals_until_the_client_takes_utf8(
    value: bytes, rev1: bytes, rev2: bytes
) -> None:
    """Stalwart 0.16.17 sent raw UTF-8 to clients that had not asked for it."""
    header = b"Subject: " + value + b"\r\n"
    tail = b" NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert members(header) == b"(NIL " + rev1 + tail
    assert members(header, utf8=True) == b"(NIL " + rev2 + tail
    assert (
        rev1.removeprefix(b'"') in members(b"To: a@b, " + value + b" <c@d>\r\n") or b"\r" in value
    )


def test_a_preview_is_text_in_utf8_and_never_nil() -> None:
    html = b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>caf\xc3\xa9</p>\r\n"
    assert preview(html) == b"{5}\r\ncaf\xc3\xa9"
    assert preview(html, utf8=True) == b'"caf\xc3\xa9"'
    assert preview(b"Content-Type: image/gif\r\n\r\nGIF89a") == b'""'
    assert len(preview(b"\r\n" + b"word " * 500)) == 2 + 199
