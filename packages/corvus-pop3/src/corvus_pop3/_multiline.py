"""
Multi-line responses (RFC 1939 §3): line ends repaired, cut for TOP, dots stuffed and unstuffed.

Everything here streams: a chunk goes in, a chunk comes out, and what is kept between two chunks is
a few octets, however long a line or a message is.  Nothing looks at MIME.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import final

#: One pass of C over the octets says whether there is anything to do, and mostly there is not.
#: (Faster than ``find`` and ``count``, and all of them are far faster than Python at each line.)
_LONE_LF = re.compile(rb"\n(?<!\r\n)")
_DOT_IN_FRONT = re.compile(rb"\n\.")

_CR, _LF, _DOT = b"\r\n."


@final
class LineEnds:
    """
    Make every line end a CRLF, the last one included.

    A stored lone LF would make ``"\\n.\\n"`` of a message the end of the response for a client that
    reads line by line, and RETR would be cut short there.  A lone CR ends a line for nobody and is
    left as it is.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = _LF  # nothing sent yet: we are at the start of a line

    def feed(self, chunk: bytes) -> bytes:
        if not chunk:
            return chunk
        repaired = chunk
        if _LONE_LF.search(chunk):
            # The LF of a CRLF that was torn by the chunks is complete without us.
            torn = self._last == _CR and chunk[0] == _LF
            rest = chunk[1:] if torn else chunk
            if b"\r" in rest:
                rest = rest.replace(b"\r\n", b"\n")
            repaired = b"\n" * torn + rest.replace(b"\n", b"\r\n")
        self._last = chunk[-1]
        return repaired

    def finish(self) -> bytes:
        """What is missing for the last line to end: "each terminated by a CRLF pair" (§3)."""
        return b"" if self._last == _LF else b"\n" if self._last == _CR else b"\r\n"


def wire_size(chunks: Iterable[bytes]) -> int:
    """
    Count the octets of a message as RETR sends it: what belongs into ``conn.open(sizes=...)``.

    "If the POP3 server host internally represents end-of-line as a single character, then the POP3
    server simply counts each occurrence of this character in a message as two octets"; stuffed dots
    "need not (and must not) be counted twice" (:rfc:`1939#section-11`).

    >>> wire_size([b"Subject: x\\n\\n.dot", b" without an end"])
    35
    """
    ends = LineEnds()
    return sum(len(ends.feed(chunk)) for chunk in chunks) + len(ends.finish())


@final
class TopCut:
    """
    Let the header, the blank line and *lines* lines of the body pass (RFC 1939 §7, TOP).

    Fed with octets whose line ends are CRLF.
    """

    __slots__ = ("_left", "_tail", "done")

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._tail: bytes | None = b"\n"  # the last octets of the header; None within the body
        self.done = False
        """Whether everything asked for has passed; what follows is dropped."""

    def feed(self, chunk: bytes) -> bytes:
        if self.done:
            return b""
        start = 0
        if self._tail is not None:
            start = self._end_of_header(self._tail, chunk)
            if start < 0:
                self._tail = (self._tail + chunk[-2:])[-2:]
                return chunk
            self._tail = None
        return chunk[: self._end_of_lines(chunk, start)]

    @staticmethod
    def _end_of_header(tail: bytes, chunk: bytes) -> int:
        """Where in *chunk* the blank line ends, or -1."""
        seam = (tail + chunk[:2]).find(b"\n\r\n")
        if seam >= 0:
            return seam + 3 - len(tail)
        blank = chunk.find(b"\n\r\n")
        return blank + 3 if blank >= 0 else -1

    def _end_of_lines(self, chunk: bytes, start: int) -> int:
        """Where in *chunk* the last line that was asked for ends."""
        held = chunk.count(b"\n", start)
        if held < self._left:
            self._left -= held
            return len(chunk)
        while self._left:
            start = chunk.index(b"\n", start) + 1
            self._left -= 1
        self.done = True
        return start


@final
class DotStuffer:
    """
    Stuff dots: "If any line of the multi-line response begins with the termination octet, the line
    is "byte-stuffed" by pre-pending the termination octet to that line" (RFC 1939 §3).

    Fed with octets in which every LF ends a line.
    """

    __slots__ = ("_at_line_start",)

    def __init__(self) -> None:
        self._at_line_start = True

    def feed(self, chunk: bytes) -> bytes:
        if not chunk:
            return chunk
        stuffed = chunk.replace(b"\n.", b"\n..") if _DOT_IN_FRONT.search(chunk) else chunk
        if self._at_line_start and chunk[0] == _DOT:
            stuffed = b"." + stuffed
        self._at_line_start = chunk[-1] == _LF
        return stuffed


@final
class MessageWriter:
    """A message on its way out, in the order of the lines above: repair, cut, stuff."""

    __slots__ = ("_cut", "_ends", "_stuffer")

    def __init__(self, lines: int | None = None) -> None:
        self._ends = LineEnds()
        self._cut = None if lines is None else TopCut(lines)
        self._stuffer = DotStuffer()

    @property
    def done(self) -> bool:
        return self._cut is not None and self._cut.done

    def feed(self, chunk: bytes) -> bytes:
        return self._write(self._ends.feed(chunk))

    def finish(self) -> bytes:
        """The rest and the line of "a termination octet (decimal code 046, ".") and a CRLF pair" (§3)."""
        return self._write(self._ends.finish()) + b".\r\n"

    def _write(self, octets: bytes) -> bytes:
        return self._stuffer.feed(octets if self._cut is None else self._cut.feed(octets))


#: "Hence a multi-line response is terminated with the five octets "CRLF.CRLF"" (RFC 1939 §3).
_END = b"\r\n.\r\n"


@final
class MessageReader:
    """A multi-line response on its way in: dots unstuffed, the end found and nothing else."""

    __slots__ = ("_held", "_strip", "done")

    def __init__(self) -> None:
        # As if the CRLF of the status line were part of the body: then each line starts alike.
        self._held = b"\r\n"
        self._strip = 2
        self.done = False
        """Whether the end has been seen."""

    def feed(self, data: bytes | bytearray) -> tuple[bytes, int]:
        """
        Read *data* as far as the end, return what is certainly body, and how many octets were read.

        At most four octets are held back, those that may be the beginning of the end.  What stands
        behind the end is neither looked at nor copied: it may be ten thousand answers more.
        """
        used = self._end(data)
        self.done = used >= 0
        if self.done:
            body = (self._held + data[:used])[: -len(_END) + 2]
        else:
            used = len(data)
            body = self._held + data
            keep = next((n for n in (4, 3, 2, 1) if body.endswith(_END[:n])), 0)
            cut = len(body) - keep
            body, self._held = body[:cut], body[cut:]
        # "the first octet of the line (the termination octet) is stripped away" (§3).
        body = body.replace(b"\r\n.", b"\r\n")
        strip = min(self._strip, len(body))
        self._strip -= strip
        return body[strip:], used

    def _end(self, data: bytes | bytearray) -> int:
        """Where in *data* the response ends, or -1."""
        seam = (self._held + data[: len(_END) - 1]).find(_END)
        if seam >= 0:
            return seam + len(_END) - len(self._held)
        end = data.find(_END)
        return end + len(_END) if end >= 0 else -1
