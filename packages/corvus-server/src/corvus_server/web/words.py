"""Numbers, times and names as people read them; the filters of the templates."""

from __future__ import annotations

import datetime
import hashlib
import unicodedata
from typing import Any, Final

import corvus_message

_UNITS: Final = (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10))
#: Colours of avatars in the style sheet.
HUES: Final = 10


def size(octets: int) -> str:
    """
    >>> size(900), size(1536), size(5 * 1024 * 1024)
    ('900 bytes', '1.5 KB', '5 MB')
    """
    for unit, one in _UNITS:
        if octets >= one:
            return f"{octets / one:.1f}".removesuffix(".0") + f" {unit}"
    return plural(octets, "byte")


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """
    >>> plural(1, "mail"), plural(1204, "mail"), plural(2, "reply", "replies")
    ('1 mail', '1,204 mails', '2 replies')
    """
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def span(seconds: float) -> str:
    """
    >>> span(3), span(240), span(7300), span(200_000)
    ('3 seconds', '4 minutes', '2 hours', '2 days')
    """
    seconds = max(0.0, seconds)
    for noun, one in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= one:
            return plural(int(seconds // one), noun)
    return plural(int(seconds), "second")


def ago(when: float, now: float) -> str:
    """
    A moment as one would say it.

    >>> ago(0, 30), ago(0, 300), ago(500, 200)
    ('just now', '5 minutes ago', 'in 5 minutes')
    """
    if when > now + 1:
        return f"in {span(when - now)}"
    if now - when < 45:
        return "just now"
    if now - when < 8 * 86_400:
        return f"{span(now - when)} ago"
    return day(when, now)


def short(when: float, now: float) -> str:
    """A moment in a list, where there is room for six letters."""
    past = now - when
    if past < 45:
        return "now"
    if past < 3600:
        return f"{max(1, int(past // 60))} min"
    if past < 86_400:
        return f"{int(past // 3600)} h"
    if past < 7 * 86_400:
        return f"{int(past // 86_400)} d"
    return day(when, now)


def day(when: float, now: float) -> str:
    """``3 Jan``, with the year if it is not this one."""
    moment, today = _moment(when), _moment(now)
    if moment is None:
        return "long ago"
    words = f"{moment.day} {moment:%b}"
    return words if today is not None and moment.year == today.year else f"{words} {moment.year}"


def exact(when: float) -> str:
    """``Mon, 3 Jan 2028, 08:00:12 UTC``."""
    moment = _moment(when)
    return (
        "unknown" if moment is None else f"{moment:%a}, {moment.day} {moment:%b %Y, %H:%M:%S} UTC"
    )


def iso(when: float) -> str:
    """For ``<time datetime>``."""
    moment = _moment(when)
    return "" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(when: float) -> str:
    """``08:00:12.345``, for the log."""
    moment = _moment(when)
    return "" if moment is None else f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def _moment(when: float) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromtimestamp(when, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def person(field: str) -> str:
    """
    Who a From or To field names, as one reads it: the name, or the address.

    >>> person("Carol Crow <carol@crow.example>, bob@x.example"), person("")
    ('Carol Crow, bob@x.example', '(nobody)')
    """
    found = people(field)
    names = [entry.name or entry.address for entry in found[:4]]
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return visible(", ".join(names) + more) or visible(field.strip()) or "(nobody)"


def people(field: str) -> list[corvus_message.Address]:
    """The addresses of a decoded field."""
    return list(corvus_message.addresses(field.encode("utf-8", "replace")))


def address(field: str) -> str:
    """The first address of a decoded field, or the empty text."""
    found = people(field)
    return found[0].address if found else ""


def visible(text: str) -> str:
    """
    *text* on one line without what turns a line around or hides in it.

    >>> visible("invoice\\u202efdp.exe\\n!")
    'invoicefdp.exe !'
    """
    kept = [
        " " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char
        for char in text
        if char not in _OVERRIDES
    ]
    return " ".join("".join(kept).split())


_OVERRIDES: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def initials(name: str) -> str:
    """
    >>> initials("Carol Crow"), initials("bob@x.example"), initials("!")
    ('CC', 'B', '?')
    """
    words = [word for word in name.partition("@")[0].split() if word[:1].isalpha()]
    if not words:
        return "?"
    letters = words[0][0] + (words[-1][0] if len(words) > 1 else "")
    return letters.upper()


def hue(text: str) -> int:
    """A colour that stays with an address."""
    return (
        hashlib.blake2b(text.lower().encode("utf-8", "replace"), digest_size=2).digest()[0] % HUES
    )


def number(value: Any) -> str:
    """
    >>> number(1204), number(2.50)
    ('1,204', '2.5')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")
