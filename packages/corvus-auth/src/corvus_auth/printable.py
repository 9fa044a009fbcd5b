"""Remote text made fit for a log, a terminal, a header field's comment or JSON."""

from __future__ import annotations

import re
from typing import Final

_UNSAFE: Final = re.compile(r"[^ -~]")


def _escape(match: re.Match[str]) -> str:
    return (
        match[0].encode("ascii", "backslashreplace").decode("ascii")
        if ord(match[0]) > 0x7F
        else f"\\x{ord(match[0]):02x}"
    )


def printable(text: str | bytes, most: int = 1000) -> str:
    """
    *text* as printable ASCII, cut after *most* characters; what is not becomes an escape.

    >>> printable("a\\r\\nb\\u00e4")
    'a\\\\x0d\\\\x0ab\\\\xe4'
    """
    if isinstance(text, bytes):
        text = text[: most + 1].decode("utf-8", "surrogateescape")
    cut = len(text) > most
    text = text[:most]
    if not (text.isascii() and text.isprintable()):
        text = _UNSAFE.sub(_escape, text)
        cut = cut or len(text) > most
    return text[:most] + "..." if cut else text
