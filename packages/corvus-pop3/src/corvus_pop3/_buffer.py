"""Lines out of octets: CRLF ends a line, and nothing else does."""

from __future__ import annotations

from typing import final

from corvus_pop3.errors import RemoteProtocolError


@final
class LineBuffer:
    """
    Octets received and not yet parsed.

    A search continues where the last one ended, so one octet at a time costs O(n).
    """

    __slots__ = ("_data", "_searched")

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        self._data += data

    def starts_with(self, word: bytes) -> bool:
        """Whether the next line starts with *word* (upper case), in any case."""
        return self._data[: len(word)].upper() == word

    def take_line(self, limit: int) -> bytes | None:
        """
        Take the next line without its CRLF, or ``None`` while it is incomplete.

        A lone CR or LF is content, to be refused by whoever reads the line: were it an end, octets
        that one side takes for an argument would be a command to the other.

        Raises:
            RemoteProtocolError: The line is, or is bound to become, longer than *limit* with CRLF.
        """
        end = self._data.find(b"\r\n", self._searched)
        if end < 0:
            # The last octet may be the CR of a CRLF that is still under way.
            self._searched = max(len(self._data) - 1, 0)
            if len(self._data) >= limit:
                raise RemoteProtocolError(f"a line of more than {limit} octets")
            return None
        if end + 2 > limit:
            raise RemoteProtocolError(f"a line of more than {limit} octets")
        line = bytes(self._data[:end])
        del self._data[: end + 2]
        self._searched = 0
        return line

    @property
    def octets(self) -> bytearray:
        """What is held, to be looked at; for the body of a multi-line response."""
        return self._data

    def drop(self, count: int) -> None:
        """Forget the first *count* octets: they have been read."""
        del self._data[:count]
        self._searched = 0

    def clear(self) -> None:
        self._data.clear()
        self._searched = 0
