"""What an engine has to say: lines, literals in chunks, and compression behind them."""

from __future__ import annotations

from corvus_imap.errors import LocalProtocolError
from corvus_imap.extensions.compress import Deflater


class Output:
    """Octets to be written, in order; knows whether a line or a literal is open."""

    __slots__ = ("_deflater", "_encoded", "_open", "_parts", "closed", "literal_left")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._encoded = b""
        self._deflater: Deflater | None = None
        self._open = False
        self.literal_left = 0
        """Octets of the announced literal that are still owed."""
        self.closed = False
        """Nothing is written any more."""

    @property
    def in_line(self) -> bool:
        """Whether a response has been begun and not ended."""
        return self._open or self.literal_left > 0

    @property
    def compressed(self) -> bool:
        return self._deflater is not None

    def need_no_line(self) -> None:
        """Fail if a response has been begun and not ended."""
        if self._open or self.literal_left:
            raise LocalProtocolError("a response is not finished: it owes octets or its CRLF")

    def line(self, octets: bytes) -> None:
        """One or more whole lines of the engine's own."""
        self.need_no_line()
        if not self.closed:
            self._parts.append(octets)

    def raw(self, octets: bytes) -> None:
        """Octets of the caller: whole lines, or the part of one in front of or behind a literal."""
        if self.literal_left:
            raise LocalProtocolError(f"{self.literal_left} octets of the literal are still owed")
        if octets:
            self._open = not octets.endswith(b"\r\n")
            if not self.closed:
                self._parts.append(octets)

    def literal(self, size: int, *, binary: bool) -> None:
        """Announce *size* octets."""
        if size < 0 or self.literal_left:
            raise LocalProtocolError("a literal has a size, and stands in no other literal")
        self._open = True
        self.literal_left = size
        if not self.closed:
            self._parts.append(b"%b{%d}\r\n" % (b"~" if binary else b"", size))

    def chunk(self, octets: bytes) -> None:
        """Octets of the literal."""
        if len(octets) > self.literal_left:
            raise LocalProtocolError("more octets than the literal was announced with")
        self.literal_left -= len(octets)
        if not self.closed:
            self._parts.append(octets)

    def compress(self) -> None:
        """Deflate what comes from now on."""
        self._encoded += b"".join(self._parts)
        self._parts.clear()
        self._deflater = Deflater()

    def take(self) -> bytes:
        """Everything so far; emptied by reading."""
        if not self._parts and not self._encoded:
            return b""
        octets = b"".join(self._parts)
        self._parts.clear()
        if self._deflater is not None and octets:
            octets = self._deflater.deflate(octets)
        if self._encoded:
            octets = self._encoded + octets
            self._encoded = b""
        return octets
