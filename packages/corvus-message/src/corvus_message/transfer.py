"""Content-Transfer-Encoding, both ways (RFC 2045 §6), and uuencode.

The decoders take anything and lose nothing that can be read: "All line breaks or other characters
not found in Table 1 must be ignored by decoding software" (RFC 2045 §6.8).  Each comes as a
function over the whole and as a class that is fed chunks and holds at most one line.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64: Final = bytes(o for o in range(256) if o not in _BASE64)


class Decoder(Protocol):
    """Octets in, decoded octets out, in constant memory."""

    def update(self, chunk: bytes) -> bytes:
        """Decode what is complete with *chunk*."""

    def finish(self) -> bytes:
        """Decode what is left; nothing may be fed afterwards."""


# --- base64 -----------------------------------------------------------------------------


def _base64_run(run: bytes) -> bytes:
    """One run of alphabet characters without padding; a lone last character carries no octet."""
    left = len(run) % 4
    if left == 1:
        run = run[:-1]
    elif left:
        run += b"=" * (4 - left)
    return binascii.a2b_base64(run)


def decode_base64(octets: bytes) -> bytes:
    """
    Decode base64; foreign characters are skipped, missing padding is supplied, and what follows
    padding is a new run (some senders join two encodings).

    >>> decode_base64(b"aGVs bG8"), decode_base64(b"aA==aQ==")
    (b'hello', b'hi')
    """
    clean = octets.translate(None, _NOT_BASE64)
    body = clean.rstrip(b"=")
    if b"=" not in body:
        return _base64_run(body)
    return b"".join(_base64_run(run) for run in body.split(b"=") if run)


class Base64Decoder:
    """Base64 in chunks."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def update(self, chunk: bytes) -> bytes:
        data = self._held + chunk.translate(None, _NOT_BASE64)
        done: list[bytes] = []
        if b"=" in data:
            *runs, data = data.split(b"=")
            done = [_base64_run(run) for run in runs if run]
        whole = len(data) // 4 * 4
        self._held = data[whole:]
        done.append(binascii.a2b_base64(data[:whole]))
        return b"".join(done)

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return _base64_run(held)


def encode_base64(octets: bytes, *, line: int = 76, eol: bytes = b"\r\n") -> bytes:
    """
    Base64 in lines of at most *line* characters ("no more than 76", RFC 2045 §6.8).

    >>> encode_base64(b"hello")
    b'aGVsbG8=\\r\\n'
    """
    step = line // 4 * 3
    view = memoryview(octets)
    return b"".join(
        binascii.b2a_base64(view[i : i + step], newline=False) + eol
        for i in range(0, len(octets), step)
    )


# --- quoted-printable --------------------------------------------------------------------

# "when decoding a Quoted-Printable body, any trailing white space on a line must be deleted"
# (RFC 2045 §6.7 (3)).  The look-behind keeps a megabyte of spaces linear.
_TRAILING: Final = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
# `a2b_qp` takes "=CR" for a soft break and drops the rest of the line with it; a bare CR is data.
_BARE_CR: Final = re.compile(rb"=\r(?!\n)")


def decode_quoted_printable(octets: bytes) -> bytes:
    """
    Decode quoted-printable; an "=" that begins nothing legal stands for itself.

    >>> decode_quoted_printable(b"caf=C3=A9 =\\r\\nau lait  \\r\\n=ZZ")
    b'caf\\xc3\\xa9 au lait\\r\\n=ZZ'
    """
    octets = _TRAILING.sub(b"", octets)
    if b"=\r" in octets:
        octets = _BARE_CR.sub(b"=3D\r", octets)
    return binascii.a2b_qp(octets)


class QuotedPrintableDecoder:
    """
    Quoted-printable in chunks, line by line.

    Of a line that never ends at most `longest_line` octets are held; then it is cut, in front
    of an escape rather than inside, and white space before the cut is kept.
    """

    longest_line: Final = 4_096

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def update(self, chunk: bytes) -> bytes:
        data = self._held + chunk
        cut = data.rfind(b"\n") + 1
        self._held = data[cut:]
        done = decode_quoted_printable(data[:cut]) if cut else b""
        if len(self._held) > self.longest_line:
            data = self._held
            cut = len(data) - 2
            if b"=" in data[cut - 2 : cut]:
                cut = data.index(b"=", cut - 2)
            # The mark keeps `decode_quoted_printable` from taking the cut for the end of a line.
            done += decode_quoted_printable(data[:cut] + b"|")[:-1]
            self._held = data[cut:]
        return done

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return decode_quoted_printable(held)


# "=" and what is neither printable nor space or tab.
_QP_UNSAFE: Final = re.compile(rb"[^!-<>-~ \t]")
_QP_ESCAPES: Final = {bytes((o,)): b"=%02X" % o for o in range(256)}
_LONGEST_QP_LINE: Final = 76


def encode_quoted_printable(octets: bytes, *, eol: bytes = b"\r\n") -> bytes:
    """
    Quoted-printable of text whose lines end in CRLF or LF; they end in *eol* afterwards.

    Lines are at most 76 octets; trailing white space, bare CR and every control are escaped; so
    are a "." that is alone and a line that begins with "From ", which relays have been known to
    alter (RFC 2049 §3).

    >>> encode_quoted_printable(b"caf\\xc3\\xa9 \\n.\\n")
    b'caf=C3=A9=20\\r\\n=2E\\r\\n'
    """
    out: list[bytes] = []
    lines = octets.split(b"\n")
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        if not last and line.endswith(b"\r"):
            line = line[:-1]
        out.append(_qp_line(line, eol))
        if not last:
            out.append(eol)
    return b"".join(out)


def _qp_line(line: bytes, eol: bytes) -> bytes:
    line = _QP_UNSAFE.sub(lambda match: _QP_ESCAPES[match[0]], line)
    if line.endswith((b" ", b"\t")):
        line = line[:-1] + _QP_ESCAPES[line[-1:]]
    if line == b"." or line.startswith(b"From "):
        line = _QP_ESCAPES[line[:1]] + line[1:]
    if len(line) <= _LONGEST_QP_LINE:
        return line
    pieces: list[bytes] = []
    start = 0
    while len(line) - start > _LONGEST_QP_LINE:
        # One column for the "=" of the soft line break, and no escape is cut.
        cut = start + _LONGEST_QP_LINE - 1
        if line[cut - 1] == 0x3D:
            cut -= 1
        elif line[cut - 2] == 0x3D:
            cut -= 2
        pieces.append(line[start:cut])
        start = cut
    pieces.append(line[start:])
    return (b"=" + eol).join(pieces)


# --- uuencode ----------------------------------------------------------------------------

_UU_BEGIN: Final = re.compile(rb"(?:\A|\n)begin(?:-base64)? [0-7]{3,4} ([^\r\n]*)\r?\n")


def _uu_line(line: bytes) -> bytes:
    line = line.rstrip(b"\r\n")
    if not line or not 0x20 <= line[0] <= 0x60:
        return b""
    count = (line[0] - 32) & 63
    need = (count + 2) // 3 * 4
    # Trailing spaces are lost on the way, and some encoders add a check character.
    body = line[1 : 1 + need].ljust(need)
    try:
        return binascii.a2b_uu(line[:1] + body)
    except binascii.Error:
        return b""


class UUDecoder:
    """Uuencode in chunks: what stands between ``begin`` and ``end``; the rest is dropped."""

    __slots__ = ("_held", "_inside")

    def __init__(self) -> None:
        self._held = b""
        self._inside = False

    def update(self, chunk: bytes) -> bytes:
        *lines, rest = (self._held + chunk).split(b"\n")
        # A line of uuencode has at most 62 octets: what is longer is none.
        self._held = rest if len(rest) < 1024 else rest[:1024]
        return b"".join([self._line(line) for line in lines])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return self._line(held)

    def _line(self, line: bytes) -> bytes:
        if self._inside:
            if line.rstrip() == b"end":
                self._inside = False
                return b""
            return _uu_line(line)
        self._inside = _UU_BEGIN.match(line + b"\n") is not None
        return b""


def decode_uuencode(octets: bytes) -> bytes:
    """
    Decode the uuencoded files in *octets*, joined.

    >>> decode_uuencode(b"begin 644 a.txt\\n%:&5L;&\\\\ \\n`\\nend\\n")
    b'hello'
    """
    decoder = UUDecoder()
    return decoder.update(octets) + decoder.finish()


# --- by name -----------------------------------------------------------------------------


class IdentityDecoder:
    """7bit, 8bit and binary: the octets are what they are (RFC 2045 §6.2)."""

    __slots__ = ()

    def update(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""


def _identity(octets: bytes) -> bytes:
    return octets


_UU_NAMES: Final = ("x-uuencode", "uuencode", "x-uue", "uue")
_WHOLE: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "base64": decode_base64,
    "quoted-printable": decode_quoted_printable,
    **dict.fromkeys(_UU_NAMES, decode_uuencode),
}
_STREAMING: Final[Mapping[str, Callable[[], Decoder]]] = {
    "base64": Base64Decoder,
    "quoted-printable": QuotedPrintableDecoder,
    **dict.fromkeys(_UU_NAMES, UUDecoder),
}


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Undo the transfer encoding of that (lower case) name; an unknown one leaves *octets*."""
    return _WHOLE.get(encoding, _identity)(octets)


def transfer_decoder(encoding: str) -> Decoder:
    """A new streaming decoder for the transfer encoding of that (lower case) name."""
    return _STREAMING.get(encoding, IdentityDecoder)()
