"""
The form in which text is searched: the same on both sides, whether an index or a scan compares.
"""

from __future__ import annotations

from corvus_imap.collation import casemap

__all__ = ["search_key"]


def search_key(text: str) -> str:
    """
    Text as SEARCH compares it: ``i;unicode-casemap`` (RFC 5051), white space as one blank.

    >>> search_key("Größe\\r\\n und") in search_key("die GRÖSSE und mehr")
    True
    """
    words = " ".join(text.split())
    if text[:1].isspace():
        words = " " + words
    if text[-1:].isspace() and words != " ":
        words += " "
    return casemap(words.replace("\0", "\ufffd"))
