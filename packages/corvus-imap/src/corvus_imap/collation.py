"""How SEARCH, SORT and THREAD compare text: ``i;unicode-casemap`` (RFC 5051, RFC 5256 §7).

Two strings are equal here when a person would call them the same word: letters without case,
compatibility forms as the letters they stand for, accents as marks beside their letter.  So a
search for ``cafe`` finds ``CAFÉ`` (the accent follows its letter), as RFC 5051 has it.

One step beyond the RFC, on purpose: it uses the *simple* title-case mapping of a character, which
leaves ``ß`` and the ligatures alone; we use the full upper-case mapping, so that ``strasse`` finds
``Straße``.
"""

from __future__ import annotations

from unicodedata import normalize

__all__ = ["casemap"]


def casemap(text: str) -> str:
    """
    Map *text* to the form in which it is compared, by code point (:rfc:`5051#section-2`).

    Never shown to anybody: compare, search in and sort by it.  ASCII takes the fast way.

    >>> casemap("Straße") == casemap("STRASSE")
    True
    >>> casemap("e") in casemap("CAFÉ")
    True
    """
    if text.isascii():
        return text.upper()
    # Decomposed first, or the letters inside of "ª" and "ﬁ" would stay small; then once more,
    # because an upper case letter may decompose where its small one did not.
    return normalize("NFKD", normalize("NFKD", text).upper())
