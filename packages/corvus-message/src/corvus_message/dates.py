"""Dates of messages (RFC 5322 §3.3, and the obsolete forms of §4.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from corvus_message.params import strip_comments

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH_NAMES: Final = tuple(name.title() for name in _MONTHS)

#   obs-zone: hours east of Greenwich (RFC 5322 §4.3)
_ZONES: Final[Mapping[str, int]] = {
    "ut": 0, "gmt": 0, "utc": 0, "z": 0,
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
    # Not in the RFC, and common in old mail of Europe and Asia, where they mean one thing.
    "bst": 1, "cet": 1, "met": 1, "mez": 1, "cest": 2, "mest": 2, "mesz": 2, "eet": 2, "eest": 3,
    "msk": 3, "jst": 9, "kst": 9, "wet": 0, "west": 1,
}  # fmt: skip

#   date-time = [ day-of-week "," ] date time [CFWS]; year of 2 and 3 digits is obsolete.
_DATE: Final = re.compile(
    r"\s*(?:[A-Za-z]{2,9}\.?\s*,?\s*)?"
    r"([0-9]{1,2})[\s-]+([A-Za-z]{3})[a-z]{0,6}\.?[\s-]+([0-9]{2,4})"
    r"(?:\s+|\s*,\s*)([0-9]{1,2})\s*[:.]\s*([0-9]{2})(?:\s*[:.]\s*([0-9]{2}))?(?:\.[0-9]{1,9})?"
    r"(?:\s*([+-])\s*([0-9]{2}):?([0-9]{2})|\s*([A-Za-z]{1,5}))?"
)
#   asctime, as mbox and some cron jobs write it: "Thu Jan  1 00:00:00 2026"
_ASCTIME: Final = re.compile(
    r"\s*[A-Za-z]{3},?\s+([A-Za-z]{3})\s+([0-9]{1,2})\s+([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\s+([A-Za-z]{1,5}))?\s+([0-9]{4})"
)
_SPACES: Final = re.compile(r"\s+")
_LONGEST: Final = 200


def _year(text: str) -> int:
    year = int(text)
    # "between 00 and 49, the year is interpreted by adding 2000 ... between 50 and 99, or any
    # three digit year is encountered, the year is interpreted by adding 1900" (RFC 5322 §4.3).
    if len(text) == 2 and year < 50:
        return year + 2000
    return year + 1900 if len(text) < 4 else year


def _named_zone(name: str | None) -> timezone:
    # The military letters were misdefined in RFC 822 and are read as -0000, and so is "any such
    # time zone whose meaning is not known" (RFC 5322 §4.3).
    return timezone(timedelta(hours=_ZONES.get((name or "").lower(), 0)))


def parse_date(value: bytes | str) -> datetime | None:
    """
    The moment a Date field names, with its offset; ``None`` if it names none.

    A zone of ``-0000``, an unknown zone name or none at all gives UTC.  A leap second is read as
    the second before it, since `datetime` has none.

    >>> parse_date("Fri, 21 Nov 1997 09:55:06 -0600").isoformat()
    '1997-11-21T09:55:06-06:00'
    >>> parse_date("21 Nov 97 09:55:06 GMT").isoformat()
    '1997-11-21T09:55:06+00:00'
    >>> parse_date("tomorrow") is None
    True
    """
    octets = value.encode("utf-8", "replace") if isinstance(value, str) else value
    text = strip_comments(octets[: _LONGEST * 10]).decode("latin-1").strip()
    text = _SPACES.sub(" ", text)[:_LONGEST]
    if match := _DATE.match(text):
        day, month, year, hour, minute, second, sign, zone_h, zone_m, zone = match.groups()
        offset = _named_zone(zone)
        if sign:
            minutes = int(zone_h) * 60 + int(zone_m)
            if minutes >= 24 * 60:
                return None
            offset = timezone(timedelta(minutes=-minutes if sign == "-" else minutes))
    elif match := _ASCTIME.match(text):
        month, day, hour, minute, second, zone, year = match.groups()
        offset = _named_zone(zone)
    else:
        return None
    if month.lower() not in _MONTHS:
        return None
    try:
        return datetime(
            _year(year),
            _MONTHS.index(month.lower()) + 1,
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59) if int(second or 0) <= 60 else int(second),
            tzinfo=UTC if not offset.utcoffset(None) else offset,
        )
    except ValueError:
        return None


def format_date(moment: datetime) -> str:
    """
    A Date field's value, in English whatever the locale.

    >>> from datetime import UTC, datetime
    >>> format_date(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    'Fri, 02 Jan 2026 03:04:05 +0000'

    A moment without a zone is taken as UTC of a sender who does not know its own zone, which is
    what ``-0000`` says (:rfc:`5322#section-3.3`).
    """
    offset = moment.utcoffset()
    if offset is None:
        zone = "-0000"
    else:
        minutes = round(offset.total_seconds() / 60)
        zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02d} {_MONTH_NAMES[moment.month - 1]} "
        f"{moment.year:04d} {moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} {zone}"
    )
