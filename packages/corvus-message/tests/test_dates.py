"""Dates, current and obsolete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from corvus_message import format_date, parse_date


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T09:55:06-06:00"),
        ("21 Nov 1997 09:55 +0530", "1997-11-21T09:55:00+05:30"),
        # RFC 5322 appendix A.6.2 and A.5
        ("21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06+00:00"),
        (
            "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n  -0330 (Nfld)",
            "1969-02-13T23:32:00-03:30",
        ),
        # RFC 5322 §4.3: two and three digits, names and letters of zones
        ("1 Jan 49 00:00:00 Z", "2049-01-01T00:00:00+00:00"),
        ("1 Jan 50 00:00:00 UT", "1950-01-01T00:00:00+00:00"),
        ("1 Jan 120 00:00:00 UT", "2020-01-01T00:00:00+00:00"),
        ("1 Jan 2020 00:00:00 EST", "2020-01-01T00:00:00-05:00"),
        ("1 Jan 2020 00:00:00 PDT", "2020-01-01T00:00:00-07:00"),
        ("1 Jan 2020 00:00:00 A", "2020-01-01T00:00:00+00:00"),
        ("1 Jan 2020 00:00:00 XYZ", "2020-01-01T00:00:00+00:00"),
        ("1 Jan 2020 00:00:00 -0000", "2020-01-01T00:00:00+00:00"),
        ("1 Jan 2020 00:00:00", "2020-01-01T00:00:00+00:00"),
        ("Sat, 31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:59+00:00"),
        # Seen in mail
        ("Wednesday, 01-Jan-20 00:00:00 GMT", "2020-01-01T00:00:00+00:00"),
        ("1 January 2020 1:02:03 +01:00", "2020-01-01T01:02:03+01:00"),
        ("Wed Jan  1 00:00:00 2020", "2020-01-01T00:00:00+00:00"),
        ("Wed Jan 1 00:00:00 CET 2020", "2020-01-01T00:00:00+01:00"),
        ("Wed 1 Jan 2020, 09.30.05 +0000", "2020-01-01T09:30:05+00:00"),
        ("1 Jan 2020 00:00:00.123 +0000", "2020-01-01T00:00:00+00:00"),
    ],
)
def test_a_date_is_read(value: str, wanted: str) -> None:
    found = parse_date(value)
    assert found is not None
    assert found.isoformat() == wanted
    assert parse_date(value.encode()) == found


@pytest.mark.parametrize(
    "value",
    [
        "",
        "tomorrow",
        "32 Jan 2020 00:00:00 +0000",
        "30 Feb 2020 00:00:00 +0000",
        "1 Foo 2020 00:00:00 +0000",
        "1 Jan 2020 25:00:00 +0000",
        "1 Jan 2020 00:00:61 +0000",
        "1 Jan 2020 00:00:00 +9999",
        "1 Jan 0000 00:00:00 +0000",
        "\xff\0",
    ],
)
def test_what_is_no_date_is_none(value: str) -> None:
    assert parse_date(value) is None


def test_a_date_is_written() -> None:
    moment = datetime(2026, 3, 9, 1, 2, 3, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    assert format_date(moment) == "Mon, 09 Mar 2026 01:02:03 -0330"
    assert format_date(datetime(2026, 3, 9)) == "Mon, 09 Mar 2026 00:00:00 -0000"
    assert parse_date(format_date(moment)) == moment
    assert format_date(datetime(2026, 3, 9, tzinfo=UTC)).endswith("+0000")
