"""Header fields as they stand in the octets (RFC 5322 §2.2), and reading them by name.

A field ends at a line feed that is not followed by a space or tab.  Nothing else ends a line:
a bare CR, NUL, VT, FF, FS, GS, RS or NEL is an octet like any other.  `str.splitlines` and the
standard library's `email` see line ends there, so that ``Subject: a<VT>X: y`` becomes two fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, Protocol, final

from corvus_message.charsets import decode_unlabelled
from corvus_message.words import decode_words

#   field-name = 1*ftext ; ftext = %d33-57 / %d59-126          RFC 5322 §3.6.8
#   obs-optional = field-name *WSP ":" unstructured CRLF       RFC 5322 §4.5.8
# A line that begins with "--" may be a delimiter, and no known field name does.  Possessive, so
# that each octet is read once.
FIELD: Final = re.compile(rb"(?!--)([!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")


class _Scanner(Protocol):
    def match(self) -> re.Match[bytes] | None: ...


#: Matches one after the other, each where the last one ended: `re.Scanner` is made of it, and a
#: header is read in two thirds of the time that a loop over `match` takes.
_scanner: Callable[[bytes, int, int], _Scanner] = FIELD.scanner  # type: ignore[attr-defined]  # in no stub


def scan_fields(octets: bytes, start: int, stop: int, most: int) -> list[re.Match[bytes]]:
    """The fields from *start* on, up to *stop*, the first line that is none, or *most*."""
    return list(islice(iter(_scanner(octets, start, stop).match, None), most))


_EDGES: Final = b" \t\r\n"


def unfold(value: bytes) -> bytes:
    """
    A field's value without its folds: "simply removing any CRLF that is immediately followed by
    WSP" (RFC 5322 §2.2.3), and without white space at both ends.

    >>> unfold(b" a\\r\\n\\tb\\r\\n")
    b'a\\tb'
    """
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip(_EDGES)


@final
class Field:
    """One header field: its place in the buffer, and its octets."""

    __slots__ = ("_match",)

    def __init__(self, match: re.Match[bytes]) -> None:
        self._match = match

    @property
    def name(self) -> bytes:
        """The name as the sender spelt it."""
        return self._match[1]

    @property
    def start(self) -> int:
        """Where the name begins."""
        return self._match.start()

    @property
    def value_start(self) -> int:
        """The octet behind the colon."""
        return self._match.start(2)

    @property
    def end(self) -> int:
        """Behind the line end of the last line."""
        return self._match.end()

    @property
    def octets(self) -> bytes:
        """The whole field, folds and line end included: what a signature covers."""
        return self._match[0]

    @property
    def raw_value(self) -> bytes:
        """Everything between the colon and the last line end (of which a CR remains)."""
        return self._match[2]

    @property
    def value(self) -> bytes:
        """The value unfolded and stripped, otherwise as it stands."""
        return unfold(self._match[2])

    @property
    def text(self) -> str:
        """The value for people: unfolded, encoded words decoded, 8-bit octets guessed."""
        return decode_words(self.value)

    def __repr__(self) -> str:
        return f"Field({self.name!r}, {self.value[:60]!r})"


@final
class Headers:
    """
    The fields of one header, in order; by name without regard to case.

    >>> from corvus_message import parse
    >>> h = parse(b"To: a@b\\r\\nSubject: =?utf-8?q?caf=C3=A9?=\\r\\n\\r\\n").headers
    >>> h["subject"], h.get("cc"), "TO" in h, len(h)
    ('café', None, True, 2)
    >>> [(f.name, f.start, f.end) for f in h.fields]
    [(b'To', 0, 9), (b'Subject', 9, 41)]
    """

    __slots__ = ("_matches",)

    def __init__(self, matches: list[re.Match[bytes]]) -> None:
        self._matches = matches

    @property
    def fields(self) -> list[Field]:
        """All fields in the order of the message."""
        return [Field(match) for match in self._matches]

    def all(self, name: str | bytes) -> list[Field]:
        """Every field of that name, from the top down."""
        wanted = (name if isinstance(name, bytes) else name.encode()).lower()
        return [Field(match) for match in self._matches if match[1].lower() == wanted]

    def first(self, name: str | bytes) -> Field | None:
        """The topmost field of that name."""
        wanted = (name if isinstance(name, bytes) else name.encode()).lower()
        for match in self._matches:
            if match[1].lower() == wanted:
                return Field(match)
        return None

    def get(self, name: str | bytes) -> str | None:
        """The topmost field's text (see `Field.text`), or ``None`` if there is none."""
        field = self.first(name)
        return None if field is None else field.text

    def __getitem__(self, name: str | bytes) -> str:
        """The topmost field's text; KeyError if there is none."""
        field = self.first(name)
        if field is None:
            raise KeyError(name)
        return field.text

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str | bytes) and self.first(name) is not None

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self._matches)

    def items(self) -> list[tuple[str, str]]:
        """Pairs of name and text, in order."""
        return [(decode_unlabelled(field.name), field.text) for field in self.fields]

    def __repr__(self) -> str:
        return f"Headers({self.fields!r})"
