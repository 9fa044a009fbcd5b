"""What FETCH can ask for (RFC 9051 §6.4.5, and the extensions that add an item)."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final, final

from corvus_imap.types.atoms import astring

#: "number64 = 1*DIGIT ; Unsigned 63-bit integer (0 <= n <= 9,223,372,036,854,775,807)".
MAX_NUMBER64: Final = (1 << 63) - 1


class FetchAttribute(enum.Enum):
    """Items without arguments; the value is their spelling."""

    BODY = "BODY"  # the short BODYSTRUCTURE, without extension data
    BODYSTRUCTURE = "BODYSTRUCTURE"
    EMAILID = "EMAILID"  # RFC 8474 §4.1
    ENVELOPE = "ENVELOPE"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    MODSEQ = "MODSEQ"  # RFC 7162 §3.1.4.2
    RFC822 = "RFC822"  # RFC 3501 only: BODY[] under another name, as are the next two
    RFC822_HEADER = "RFC822.HEADER"  # does not set \Seen
    RFC822_SIZE = "RFC822.SIZE"
    RFC822_TEXT = "RFC822.TEXT"
    SAVEDATE = "SAVEDATE"  # RFC 8514 §4.1
    THREADID = "THREADID"  # RFC 8474 §4.2
    UID = "UID"

    def __bytes__(self) -> bytes:
        return self.value.encode("ascii")


class SectionText(enum.Enum):
    """What of a part is meant where it is not its content (RFC 9051 §6.4.5.1)."""

    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    MIME = "MIME"
    TEXT = "TEXT"


#   section-spec = section-msgtext / (section-part ["." section-text])
#   section-part = nz-number *("." nz-number)                       ; RFC 9051 §9
SECTION_PART: Final = rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*"
_SECTION: Final = re.compile(
    rb"(%b)?(?:(\.|\A)(HEADER(?:\.FIELDS(?:\.NOT)?)?|TEXT|MIME)(?: \(([^()]+)\))?)?" % SECTION_PART,
    re.IGNORECASE,
)
#   header-fld-name = astring; without colon, space, 8-bit octets (RFC 5322 §3.6.8)
_FIELD_NAME: Final = re.compile(r"[!-9;-~]+")


@final
@dataclass(frozen=True, slots=True)
class Section:
    """
    What stands between the brackets of ``BODY[...]``.

    >>> Section.parse(b"1.2.HEADER.FIELDS (From To)")
    Section(part=(1, 2), text=<SectionText.HEADER_FIELDS: 'HEADER.FIELDS'>, fields=('From', 'To'))
    >>> bytes(Section.parse(b"4.2.MIME")), bytes(Section())
    (b'4.2.MIME', b'')
    """

    part: tuple[int, ...] = ()
    """Part numbers from the outside in; empty for the message itself."""
    text: SectionText | None = None
    """``None`` for the part's content, or the whole message."""
    fields: tuple[str, ...] = ()
    """The names that ``HEADER.FIELDS`` selects or excludes, as the client spelt them."""

    def __post_init__(self) -> None:
        if any(not 0 < number <= 0xFFFFFFFF for number in self.part):
            raise ValueError("a part is numbered from 1 and has 32 bits")
        # "The MIME part specifier MUST be prefixed by one or more numeric part specifiers"
        # (RFC 9051 §6.4.5.1).
        if self.text is SectionText.MIME and not self.part:
            raise ValueError("MIME needs a part number before it")
        listing = self.text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)
        if listing != bool(self.fields):
            raise ValueError("HEADER.FIELDS, and nothing else, needs names of header fields")
        for name in self.fields:
            if not _FIELD_NAME.fullmatch(name):
                raise ValueError(f"not the name of a header field: {name!r}")

    @classmethod
    def parse(cls, text: bytes) -> Section:
        """
        The section that *text* (without brackets) denotes; field names as atoms only.

        Raises:
            ValueError: Not a section.
        """
        found = _SECTION.fullmatch(text)
        # "." joins a part number and a name, and neither begins nor ends a section.
        if not found or (found[2] is not None and bool(found[1]) != (found[2] == b".")):
            raise ValueError(f"not a section: {text!r}")
        part = tuple([int(number) for number in found[1].split(b".")]) if found[1] else ()
        name = SectionText(found[3].decode("ascii").upper()) if found[3] else None
        fields = tuple(found[4].decode("ascii", "replace").split(" ")) if found[4] else ()
        return cls(part, name, fields)

    def __bytes__(self) -> bytes:
        words = [".".join([str(number) for number in self.part])] if self.part else []
        if self.text is not None:
            words.append(self.text.value)
        spec = ".".join(words).encode("ascii")
        if self.fields:
            spec += (
                b" (" + b" ".join([astring(name.encode("ascii")) for name in self.fields]) + b")"
            )
        return spec


@final
@dataclass(frozen=True, slots=True)
class Partial:
    """``<0.1024>``: octets of a body from *offset* (counted from 0), at most *length* of them."""

    offset: int
    length: int

    def __post_init__(self) -> None:
        # "partial = "<" number64 "." nz-number64 ">"" (RFC 9051 §9).
        if not (0 <= self.offset <= MAX_NUMBER64 and 0 < self.length <= MAX_NUMBER64):
            raise ValueError("a partial is an offset and a length that is not 0")

    def __bytes__(self) -> bytes:
        return b"<%d.%d>" % (self.offset, self.length)


@final
@dataclass(frozen=True, slots=True)
class BodySection:
    r"""``BODY[section]<partial>``; without *peek* it sets ``\Seen``."""

    section: Section = Section()
    peek: bool = False
    partial: Partial | None = None

    def __bytes__(self) -> bytes:
        return b"BODY%b[%b]%b" % (
            b".PEEK" if self.peek else b"",
            bytes(self.section),
            b"" if self.partial is None else bytes(self.partial),
        )

    @property
    def label(self) -> bytes:
        """
        The item's name in the answer: no ``PEEK``, and of a partial the offset alone.

        >>> BodySection(Section((1,)), peek=True, partial=Partial(512, 100)).label
        b'BODY[1]<512>'
        """
        # RFC 9051 §7.5.2 names the item "BODY[<section>]<<origin octet>>".
        origin = b"" if self.partial is None else b"<%d>" % self.partial.offset
        return b"BODY[%b]%b" % (bytes(self.section), origin)


def _part(part: tuple[int, ...]) -> bytes:
    return ".".join([str(number) for number in part]).encode("ascii")


@final
@dataclass(frozen=True, slots=True)
class BinarySection:
    r"""``BINARY[1.2]<partial>``: a part with its transfer encoding undone (RFC 3516 §4.2)."""

    part: tuple[int, ...] = ()
    peek: bool = False
    partial: Partial | None = None

    def __bytes__(self) -> bytes:
        return b"BINARY%b[%b]%b" % (
            b".PEEK" if self.peek else b"",
            _part(self.part),
            b"" if self.partial is None else bytes(self.partial),
        )

    @property
    def label(self) -> bytes:
        """The item's name in the answer; see `BodySection.label`."""
        origin = b"" if self.partial is None else b"<%d>" % self.partial.offset
        return b"BINARY[%b]%b" % (_part(self.part), origin)


@final
@dataclass(frozen=True, slots=True)
class BinarySize:
    """``BINARY.SIZE[1.2]``: how long `BinarySection` would be (RFC 3516 §4.3)."""

    part: tuple[int, ...] = ()

    def __bytes__(self) -> bytes:
        return b"BINARY.SIZE[%b]" % _part(self.part)


@final
@dataclass(frozen=True, slots=True)
class Preview:
    """``PREVIEW``: the beginning of the text, for a list of messages (RFC 8970 §3.1)."""

    lazy: bool = False
    """Answer only with what is at hand, NIL rather than work (RFC 8970 §3.1)."""

    def __bytes__(self) -> bytes:
        return b"PREVIEW (LAZY)" if self.lazy else b"PREVIEW"


#: One item of a FETCH command.
FetchItem = FetchAttribute | BodySection | BinarySection | BinarySize | Preview

#: ``FAST``, ``ALL`` and ``FULL`` (RFC 9051 §6.4.5), which stand for others and cannot be combined.
FETCH_MACROS: Final[dict[str, tuple[FetchItem, ...]]] = {
    "FAST": (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE),
    "ALL": (
        FetchAttribute.FLAGS,
        FetchAttribute.INTERNALDATE,
        FetchAttribute.RFC822_SIZE,
        FetchAttribute.ENVELOPE,
    ),
    "FULL": (
        FetchAttribute.FLAGS,
        FetchAttribute.INTERNALDATE,
        FetchAttribute.RFC822_SIZE,
        FetchAttribute.ENVELOPE,
        FetchAttribute.BODY,
    ),
}
