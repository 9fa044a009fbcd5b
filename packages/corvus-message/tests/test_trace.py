"""The Received field, and fields taken out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from corvus_message import parse, parse_date, received, without_fields

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_received_field_says_who_and_how() -> None:
    octets = received(
        helo="[IPv6:2001:db8::1]", ip="2001:db8::1", reverse_name="client.example", by="mx.example",
        protocol="ESMTPSA", id="4F2", date=WHEN,
    )  # fmt: skip
    value = parse(octets).field(b"received")
    assert value == (
        b"from [IPv6:2001:db8::1] (client.example [IPv6:2001:db8::1]) by mx.example with"
        b" ESMTPSA id 4F2; Fri, 02 Jan 2026 03:04:05 +0000"
    )
    assert all(len(line) <= 78 for line in octets.split(b"\r\n"))


def test_local_submission_has_no_address() -> None:
    assert received(helo="localhost", by="mx.example", protocol="LMTP", date=WHEN).startswith(
        b"Received: from localhost by mx.example with LMTP;"
    )


@pytest.mark.parametrize(
    "evil", ["x\r\nBcc: y", "x) by evil (y", "x; Mon", "a b", "\0", "", "<x>", "x" * 5000, '"']
)
def test_what_a_client_says_stays_where_it_was_said(evil: str) -> None:
    octets = received(
        helo=evil, ip=evil, reverse_name=evil, by="mx.example", id=evil, recipient=evil,
        tls=evil, protocol=evil, date=WHEN,
    )  # fmt: skip
    m = parse(octets + b"\r\n")
    assert len(m.headers) == 1
    value = m.field(b"received")
    assert value is not None
    assert value.count(b";") == 1
    assert value.count(b"(") == value.count(b")") == 2
    assert parse_date(value.partition(b";")[2]) == WHEN
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))


def test_fields_are_taken_out_and_nothing_else_moves() -> None:
    raw = b"Bcc: a\r\n b\r\nTo : c\r\nBCC:\r\n\r\nBcc: body"
    assert without_fields(parse(raw), ["Bcc"]) == b"To : c\r\n\r\nBcc: body"
    assert without_fields(parse(raw), lambda f: f.value == b"c") == raw.replace(b"To : c\r\n", b"")
    assert without_fields(parse(raw), []) == raw
