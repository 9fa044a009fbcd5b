"""Bare CR and bare LF: seen, or turned into CRLF.

"Bare CR or LF characters (used by some systems as a local line separator convention) MUST be
converted to the SMTP-standard CRLF sequence before the message is signed" (RFC 6376 §5.3).  What is
signed must also be what is sent, so a signer refuses them unless told that the caller converts.
"""

from __future__ import annotations


def has_bare(data: bytes) -> bool:
    """Whether *data* holds a CR or LF that is not part of a CRLF."""
    lines = data.count(b"\r\n")
    return data.count(b"\n") != lines or data.count(b"\r") != lines


def normalise(data: bytes) -> bytes:
    """
    Turn every bare CR and bare LF of *data* into CRLF.

    >>> normalise(b"one\\ntwo\\r\\nthree\\r")
    b'one\\r\\ntwo\\r\\nthree\\r\\n'
    """
    if not has_bare(data):
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


class Lines:
    """
    A stream of octets in which no CRLF is ever cut in two.

    `update` returns what may be passed on; a CR at the end waits for what comes next.
    """

    __slots__ = ("_carry", "_normalise", "bare")

    def __init__(self, *, normalise: bool) -> None:
        self._normalise = normalise
        self._carry = b""
        self.bare = False
        """Whether a bare CR or LF was seen (and not turned into CRLF)."""

    def update(self, chunk: bytes) -> bytes:
        """Take the next octets."""
        data = self._carry + chunk if self._carry else chunk
        if data.endswith(b"\r"):
            self._carry, data = b"\r", data[:-1]
        else:
            self._carry = b""
        return self._pass(data)

    def finish(self) -> bytes:
        """Say that there is no more, and take what was held back."""
        data, self._carry = self._carry, b""
        return self._pass(data)

    def _pass(self, data: bytes) -> bytes:
        if self._normalise:
            return normalise(data)
        self.bare = self.bare or has_bare(data)
        return data
