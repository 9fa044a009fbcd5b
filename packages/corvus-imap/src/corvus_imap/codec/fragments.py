"""Where a command ends: lines and literals, in one pass, before anything is understood.

A fragment is found by looking for CRLF from where the last search stopped and at the last octets of
the line; no octet is looked at twice however it is cut up.  What is too long is thrown away as it
comes.  "Two-stage": one bad command costs one command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, final

#   literal  = "{" number64 ["+"] "}" CRLF *CHAR8                     ; RFC 9051 §9
#   literal8 = "~{" number64 ["+"] "}" CRLF *OCTET                    ; RFC 4466 §6
_LITERAL: Final = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\r\n\Z")
#: The longest literal head: ``~{`` 20 digits ``+}`` CRLF.
_LONGEST_HEAD: Final = 26


@final
@dataclass(frozen=True, slots=True)
class LiteralHead:
    """A line ends in ``{size}``."""

    size: int
    synchronizing: bool
    """The peer waits for ``+`` before it sends the octets."""
    binary: bool
    """``~{size}``: literal8."""
    at: int
    """Where the head begins, counted from the beginning of the command."""


class Fragments:
    """What was received and is not understood yet."""

    __slots__ = ("_line", "_scan", "buffer", "skipped")

    def __init__(self) -> None:
        self.buffer = bytearray()
        """From the first octet of the command on."""
        self._line = 0
        """Where the current line of the command begins: behind the last literal."""
        self._scan = 0
        """From where to look for CRLF."""
        self.skipped = 0
        """Octets of the command that were thrown away."""

    def __len__(self) -> int:
        return len(self.buffer)

    # Whole commands.

    def next_line(self, most: int) -> LiteralHead | int | None:
        """
        Look for the end of the line.

        Returns:
            The length of the whole command, CRLF included; a `LiteralHead` if the line ends in one
            (then `head_end` is behind it); ``None`` if the line has not come yet; -1 if it is longer
            than *most*.
        """
        buffer = self.buffer
        found = buffer.find(b"\r\n", self._scan)
        if found < 0:
            if len(buffer) - self._line > most:
                return -1
            # A CR may have come without its LF.
            self._scan = max(self._scan, len(buffer) - 1)
            return None
        end = found + 2
        if end - self._line > most:
            return -1
        self._scan = end
        if buffer[found - 1 : found] == b"}":
            start = max(self._line, end - _LONGEST_HEAD)
            head = _LITERAL.search(buffer, start, end)
            if head:
                return LiteralHead(int(head[2]), head[3] != b"+", head[1] == b"~", head.start())
        return end

    @property
    def line_start(self) -> int:
        """Where the current line of the command begins."""
        return self._line

    @property
    def head_end(self) -> int:
        """Behind the line that was found last."""
        return self._scan

    def keep_literal(self, size: int) -> None:
        """The literal behind the head stays in the command; the next line begins behind it."""
        self._line = self._scan = self._scan + size

    def take(self, length: int) -> bytes:
        """The first *length* octets: a whole command, or one up to a literal that streams."""
        octets = bytes(self.buffer[:length])
        del self.buffer[:length]
        self._line = self._scan = 0
        return octets

    # Octets of a literal that streams.

    def take_some(self, most: int) -> bytes:
        """At most *most* octets, whatever they are."""
        return self.take(min(most, len(self.buffer)))

    # What is thrown away.

    def drop(self, size: int) -> int:
        """Throw away up to *size* octets; how many there were."""
        dropped = min(size, len(self.buffer))
        del self.buffer[:dropped]
        self._line = self._scan = 0
        self.skipped += dropped
        return dropped

    def drop_line(self) -> LiteralHead | bool:
        """
        Throw away the rest of a line.

        Returns:
            True when the CRLF is gone, False when more has to come, or the head of a literal with
            which the line ended.
        """
        buffer = self.buffer
        found = buffer.find(b"\r\n", self._scan)
        if found < 0:
            # Enough is kept to know a literal head by.
            self.drop(max(0, len(buffer) - _LONGEST_HEAD))
            self._scan = max(0, len(self.buffer) - 1)
            return False
        end = found + 2
        head = _LITERAL.search(buffer, max(0, end - _LONGEST_HEAD), end)
        found_head = None
        if head:
            found_head = LiteralHead(int(head[2]), head[3] != b"+", head[1] == b"~", 0)
        self.drop(end)
        return found_head or True
