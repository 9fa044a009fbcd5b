"""The octets of messages: DATA with its dots, BDAT with its counts, both streamed.

No line is ever looked at by itself.  What is held back between two reads is at most four octets.
"""

from __future__ import annotations

from typing import Final, final

from corvus_smtp._newlines import has_bare_newline, normalise_newlines
from corvus_smtp.errors import BareNewline

__all__ = ["BDATReader", "DATAReader", "DotStuffer", "MessageWriter"]

#: "the character sequence "<CRLF>.<CRLF>" ends the mail text" (RFC 5321 §4.1.1.4).  Not "\n.\n"
#: and not "\n.\r\n": a lone LF never ends DATA, however friendly that looks.  Accepting it while
#: a relay in front does not is SMTP smuggling (CVE-2023-51764, -51765, -51766).
END: Final = b"\r\n.\r\n"


class _Reader:
    """What both ways of receiving share: the count, the limit, and what is wrong so far."""

    __slots__ = ("_check", "_limit", "_normalise", "bare_newline", "size", "too_large")

    def __init__(self, limit: int, *, check: bool, normalise: bool) -> None:
        self._limit = limit
        self._check = check
        self._normalise = normalise
        self.size = 0
        self.too_large = False
        self.bare_newline = False

    def _judge(self, chunk: bytes) -> bytes:
        """Count *chunk*; give it as the receiver shall see it, or nothing once something is wrong."""
        if self._check and has_bare_newline(chunk):
            if not self._normalise:
                self.bare_newline = True
            chunk = normalise_newlines(chunk)
        self.size += len(chunk)
        if self.size > self._limit:
            self.too_large = True
        return b"" if self.too_large or self.bare_newline else chunk


@final
class DATAReader(_Reader):
    """The receiver of DATA: finds the end, takes off the dots (RFC 5321 §4.5.2)."""

    __slots__ = ("_fresh",)

    def __init__(self, limit: int, normalise: bool) -> None:
        # Not by way of the base class: there is one of these for every message.
        self._limit = limit
        self._check = True
        self._normalise = normalise
        self.size = 0
        self.too_large = False
        self.bare_newline = False
        self._fresh = True

    def read(self, buffer: bytes, position: int) -> tuple[bytes, int, bool]:
        """
        Take what can be taken from *buffer* at *position*.

        Returns:
            The chunk, the new position, and whether the message ended there.
        """
        if self._fresh:
            # The first CRLF of the five "ends the final line of the data (message text) or, if
            # there was no mail data, ends the DATA command itself" (RFC 5321 §4.1.1.4).
            head = buffer[position : position + 3]
            if head == b".\r\n":
                return b"", position + 3, True
            if head in (b"", b".", b".\r"):
                return b"", position, False
            if head[:1] == b".":
                position += 1
            self._fresh = False
        # Most chunks of attachments hold no dot at all, and memchr sees that ten times faster.
        dot = buffer.find(b".", position)
        # A line that begins with one is the end, or the first of those that were doubled.
        dotted = buffer.find(b"\r\n.", max(dot - 2, position)) if dot >= 0 else -1
        end = buffer.find(END, dotted) if dotted >= 0 else -1
        if end >= 0:
            start, position = position, end + 5
            chunk = buffer[start : end + 2]
        else:
            stop = len(buffer) - _held_back(buffer, position)
            chunk = buffer[position:stop]
            position = stop
        # "If the first character is a period and there are other characters on the line, the
        # first character is deleted" (RFC 5321 §4.5.2).  The CRLF in front is in this chunk,
        # because a CRLF at the end of one is held back.
        if dotted != end:
            chunk = chunk.replace(b"\r\n.", b"\r\n")
        return self._judge(chunk), position, end >= 0


def _held_back(buffer: bytes, position: int) -> int:
    """How many octets at the end of *buffer* may be the beginning of `END`, or a CR before its LF."""
    if buffer.endswith(b"\r", position):
        return 4 if buffer.endswith(b"\r\n.\r", position) else 1
    if buffer.endswith(b"\r\n", position):
        return 2
    return 3 if buffer.endswith(b"\r\n.", position) else 0


@final
class BDATReader(_Reader):
    """The receiver of BDAT: counts (RFC 3030 §2)."""

    __slots__ = ("_cr", "left")

    def __init__(self, limit: int, *, binary: bool, normalise: bool) -> None:
        super().__init__(limit, check=not binary, normalise=normalise)
        self._cr = False
        self.left = 0

    def begin(self, size: int) -> None:
        """Expect *size* octets: one BDAT."""
        self.left = size
        if self.size + size > self._limit:
            self.too_large = True

    def read(self, buffer: bytes, position: int) -> tuple[bytes, int]:
        """Take what belongs to this BDAT; it has ended when ``left`` is 0."""
        chunk = buffer[position : position + self.left]
        position += len(chunk)
        self.left -= len(chunk)
        if self._check and chunk:
            # A CRLF may be cut by the end of a read, or by the end of a BDAT.
            if self._cr:
                chunk = b"\r" + chunk
            self._cr = chunk.endswith(b"\r")
            if self._cr:
                chunk = chunk[:-1]
        return self._judge(chunk), position

    def finish(self) -> bytes:
        """Give what was held back, at the end of the last BDAT."""
        if not self._cr:
            return b""
        self._cr = False
        return self._judge(b"\r")


@final
class DotStuffer:
    r"""
    The sender of DATA: doubles the dots, in constant memory (RFC 5321 §4.5.2).

    >>> stuffer = DotStuffer()
    >>> stuffer.add(b".a\r") + stuffer.add(b"\n.b") + stuffer.end()
    b'..a\r\n..b\r\n.\r\n'
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b"\r\n"

    def add(self, chunk: bytes) -> bytes:
        """Give *chunk* as it goes onto the wire."""
        if not chunk:
            return b""
        stuffed = chunk.replace(b"\r\n.", b"\r\n..")
        # The CRLF may have ended, or begun, in the chunk before.
        if self._last == b"\r\n" and chunk[:1] == b".":
            stuffed = b"." + stuffed
        elif self._last[-1:] == b"\r" and chunk[:2] == b"\n.":
            stuffed = b"\n." + stuffed[1:]
        self._last = (self._last + chunk[-2:])[-2:]
        return stuffed

    def end(self) -> bytes:
        """
        Give what ends the message, the missing CRLF of its last line first.

        "The mail data is terminated by a line containing only a period": a dot behind text
        without CRLF would be part of it, and both sides would wait.
        """
        if self._last == b"\r\n":
            return b".\r\n"
        return b"\r\n.\r\n"


@final
class MessageWriter:
    """
    The sender of a message: no bare CR or LF gets out, whatever the caller stored.

    Relays that take a message in and send it on are how smuggling spreads: what one host takes
    for text the next takes for the end (Dovecot's CVE-2026-33604 stuffed no dot behind a bare CR).
    """

    __slots__ = ("_binary", "_cr", "_normalise", "_stuffer")

    def __init__(self, *, chunking: bool, binary: bool, normalise: bool) -> None:
        self._stuffer = None if chunking else DotStuffer()
        self._binary = binary
        self._normalise = normalise
        self._cr = False

    def add(self, chunk: bytes) -> bytes:
        """Give *chunk* as it goes onto the wire; what it raises changes nothing."""
        text, self._cr = self._clean(chunk)
        return self._stuffed(text)

    def end(self, chunk: bytes) -> bytes:
        """Give the last *chunk*, and what ends the message if it is not counted."""
        text, cr = self._clean(chunk)
        if cr:
            if not self._normalise:
                raise BareNewline("the message ends in a CR without LF")
            text += b"\r\n"
        self._cr = False
        return self._stuffed(text) + (b"" if self._stuffer is None else self._stuffer.end())

    def _clean(self, chunk: bytes) -> tuple[bytes, bool]:
        """Check or repair *chunk*; a CR at its end waits for the LF that may come."""
        if self._binary or not chunk:
            return chunk, self._cr
        if self._cr:
            chunk = b"\r" + chunk
        cr = chunk.endswith(b"\r")
        if cr:
            chunk = chunk[:-1]
        if has_bare_newline(chunk):
            if not self._normalise:
                raise BareNewline("the message holds a CR or LF on its own")
            chunk = normalise_newlines(chunk)
        return chunk, cr

    def _stuffed(self, text: bytes) -> bytes:
        return text if self._stuffer is None else self._stuffer.add(text)
