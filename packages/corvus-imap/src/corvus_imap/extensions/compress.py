"""COMPRESS=DEFLATE: the connection deflated, and a bomb in small steps (RFC 4978)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final, final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.errors import ParseError
from corvus_imap.extensions._extension import Extension


@final
@dataclass(frozen=True, slots=True)
class Compress:
    """COMPRESS; ``ok`` starts the compression behind itself."""

    algorithm: str = "DEFLATE"


def _verb(cursor: Cursor, uid: bool) -> Compress:
    #   compress = "COMPRESS" SP algorithm ; algorithm = "DEFLATE"
    cursor.sp()
    if cursor.word("an algorithm") != b"DEFLATE":
        raise ParseError("no such algorithm")
    return Compress()


EXTENSION: Final = Extension(capability="COMPRESS=DEFLATE", rfc="4978", verbs={b"COMPRESS": _verb})

# A raw deflate stream with the largest window: no zlib header (RFC 4978 §4).
_RAW: Final = -15


class Deflater:
    """What goes out."""

    __slots__ = ("_stream",)

    def __init__(self) -> None:
        self._stream = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, _RAW)

    def deflate(self, octets: bytes) -> bytes:
        """
        *octets* compressed, flushed to a byte boundary so that the peer can read all of them.

        A reader that waits for an answer must get all of it; the window is kept (RFC 4978 §4).
        """
        return self._stream.compress(octets) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class Inflater:
    """What comes in; never more than *most* octets at a time."""

    __slots__ = ("_most", "_stream", "_unsaid", "waiting")

    def __init__(self, most: int) -> None:
        self._stream = zlib.decompressobj(_RAW)
        self._most = most
        self._unsaid = False
        self.waiting = b""
        """Compressed octets that have not been looked at."""

    def feed(self, octets: bytes) -> None:
        self.waiting += octets

    def inflate(self) -> bytes:
        """
        The next octets, at most as many as the limit says; ``b""`` when all is said.

        Raises:
            ValueError: Not a deflate stream, or octets behind its end.
        """
        # zlib may have read all input and still owe output when it stopped at the limit.
        while self.waiting or self._unsaid:
            if self._stream.eof:
                raise ValueError("octets behind the end of the deflate stream")
            try:
                found = self._stream.decompress(self.waiting, self._most)
            except zlib.error:
                raise ValueError("not a deflate stream") from None
            self.waiting = self._stream.unconsumed_tail or self._stream.unused_data
            self._unsaid = len(found) == self._most and not self._stream.eof
            if found:
                return found
        return b""
