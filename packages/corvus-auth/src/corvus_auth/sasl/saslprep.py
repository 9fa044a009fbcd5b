"""SASLprep: how user names and passwords are prepared before they are compared (RFC 4013)."""

from __future__ import annotations

import stringprep
import unicodedata
from typing import Final

#: What the Stream-Safe Text Format allows (UAX #15): far beyond what any language needs.
#: Normalization sorts such a run, in quadratic time.
MAX_MARKS: Final = 30


class PrepError(ValueError):
    """A string that SASLprep prohibits; the message holds nothing of it."""


def saslprep(text: str, *, stored: bool = False) -> str:
    """
    Prepare *text*.  Linear.

    >>> saslprep("I\\u00adX"), saslprep("\\u2168")
    ('IX', 'IX')

    Args:
        stored: Whether the string will be stored: then code points unassigned in Unicode 3.2 are
            refused; a query may have them (RFC 3454 §7).

    Raises:
        PrepError: A prohibited character, right-to-left text mixed with left-to-right, or more
            than 30 combining marks in a row.
    """
    if text.isascii():
        if not text.isprintable():
            raise PrepError("a control character is prohibited")
        return text
    # RFC 4013 §2.1: non-ASCII spaces to SPACE, what is "commonly mapped to nothing" to nothing.
    mapped = "".join(
        [
            " " if stringprep.in_table_c12(char) else char
            for char in text
            if not stringprep.in_table_b1(char)
        ]
    )
    marks = 0
    for char in mapped:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks > MAX_MARKS:
            raise PrepError("too many combining marks in a row")
    # §2.2, with the Unicode of the profile: newer code points stay as they are.
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    for char in prepared:
        if _prohibited(char):
            raise PrepError("a prohibited character")
        if stored and stringprep.in_table_a1(char):
            raise PrepError("a character that Unicode 3.2 does not know")
    _check_bidirectional(prepared)
    return prepared


def _prohibited(char: str) -> bool:
    """RFC 4013 §2.3."""
    return (
        stringprep.in_table_c12(char)
        or stringprep.in_table_c21_c22(char)
        or stringprep.in_table_c3(char)
        or stringprep.in_table_c4(char)
        or stringprep.in_table_c5(char)
        or stringprep.in_table_c6(char)
        or stringprep.in_table_c7(char)
        or stringprep.in_table_c8(char)
        or stringprep.in_table_c9(char)
    )


def _check_bidirectional(text: str) -> None:
    """RFC 3454 §6."""
    if not any(map(stringprep.in_table_d1, text)):
        return
    # "If a string contains any RandALCat character, the string MUST NOT contain any LCat
    # character" and "a RandALCat character MUST be the first character of the string, and [...]
    # the last character of the string".
    if any(map(stringprep.in_table_d2, text)):
        raise PrepError("text of both directions")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise PrepError("right-to-left text has to begin and end in a letter")
