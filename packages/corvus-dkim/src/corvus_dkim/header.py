"""The header of a message as octets: where it ends, which fields it has, which of them are signed.

Nothing is decoded and nothing is repaired.  A line without a colon is kept as a field without a
name: it can be signed by nobody and spoils nobody's signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, final

from corvus_dkim.canonical import relaxed_headers

_FIELD_END: Final = re.compile(rb"\r\n(?![ \t])")
_LENIENT_FIELD_END: Final = re.compile(rb"\r?\n(?![ \t])")


def find_body(data: bytes | bytearray, start: int = 0) -> tuple[int, int] | None:
    """
    Find the empty line.

    A bare LF ends a line here, so that a field that other software would see cannot hide behind
    one; `Header.bare` then says so, and no signature over such a header is accepted.

    Args:
        data: A message from its first octet, or as much of it as there is.
        start: Where to begin; what stands before was searched already.

    Returns:
        The lengths of the header and of header and empty line, or ``None`` if it is not there yet.
    """
    if start < 2:
        if data.startswith(b"\r\n"):
            return 0, 2
        if data.startswith(b"\n"):
            return 0, 1
    # The last three octets of what was searched may begin the empty line.
    start = max(0, start - 3)
    end = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start, len(data) if end < 0 else end)
    if bare >= 0:
        return bare + 1, bare + 2
    return None if end < 0 else (end + 1, end + 3)


@final
class Header:
    """The fields of one message, in order, with an index by name."""

    __slots__ = ("bare", "fields", "index")

    def __init__(self, octets: bytes) -> None:
        """Take the header without the empty line behind it."""
        self.bare = octets.count(b"\n") != octets.count(b"\r\n")
        """Whether a line ends in a bare LF."""
        ends = _LENIENT_FIELD_END if self.bare else _FIELD_END
        self.fields: list[bytes] = ends.split(octets)
        """Each field as it stands, without the CRLF at its end."""
        if not self.fields[-1]:
            self.fields.pop()
        self.index: dict[bytes, list[int]] = {}
        """Positions in `fields` by name in lower case, from top to bottom."""
        index = self.index
        for position, field in enumerate(self.fields):
            name, colon, _ = field.partition(b":")
            if colon:
                # "Field-name *WSP :" is obsolete syntax that still arrives (RFC 5322 §4.5).
                key = name.rstrip(b" \t").lower()
                if key in index:
                    index[key].append(position)
                else:
                    index[key] = [position]

    def count(self, name: bytes) -> int:
        """How many fields of *name* (lower case) there are."""
        return len(self.index.get(name, ()))

    def value(self, position: int) -> bytes:
        """What stands behind the colon of a field, folds included."""
        return self.fields[position].partition(b":")[2]

    def select(self, names: Iterable[bytes], *, without: int = -1) -> list[int]:
        """
        The fields that a list of names (lower case) signs, in the list's order.

        "Signers wishing to sign multiple instances of such a header field MUST include the header
        field name multiple times ... and MUST sign such header fields in order from the bottom of
        the header field block to the top" (RFC 6376 §5.4.2).  A name that is listed more often
        than it occurs stands for "the null input": it signs the absence of further fields.

        Args:
            names: The ``h=`` tag.
            without: The position of the signature field itself, which is never among them.
        """
        index = self.index
        used: dict[bytes, int] = {}
        selected = []
        for name in names:
            found = index.get(name)
            if found is None:
                continue
            count = used.get(name, 0) + 1
            if count <= len(found) and found[-count] == without:
                count += 1
            used[name] = count
            if count <= len(found):
                selected.append(found[-count])
        return selected

    def canonical(self, positions: Iterable[int], form: str) -> bytes:
        """The fields at *positions* one after the other, in ``"simple"`` or ``"relaxed"`` form."""
        fields = [self.fields[position] for position in positions]
        if form == "simple":
            return b"".join([field + b"\r\n" for field in fields])
        return relaxed_headers(fields)
