"""What a FETCH asks for, as columns: each item says how its values are made for a batch of messages.

Flags and sizes are in memory; envelopes, structures and the usual header fields were computed at
delivery (R11); only sections of the body open a file.  So a list of ten thousand messages is octets
joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Any, Final, final

import corvus_imap as imap
from corvus_imap.render import numbers
from corvus_imap.section import binary_size, section_octets
from corvus_imap.types.fetch import (
    BinarySection,
    BinarySize,
    BodySection,
    FetchAttribute,
    FetchItem,
    Partial,
    Preview,
    SectionText,
)
from corvus_server.sessions.imap.batch import Batch
from corvus_server.sessions.imap.words import words
from corvus_server.storage.facts import cut_fields, field_codes, format_internal_date

A = FetchAttribute
Values = Iterable[bytes]


class Item:
    """One item of a FETCH: ``before``, a value, ``after``."""

    __slots__ = ("after", "before")

    needs: tuple[str, ...] = ()
    """Stored columns that it is made of."""
    opens = False
    """It needs the body."""

    def __init__(self, before: bytes, after: bytes = b"") -> None:
        self.before = before
        self.after = after

    def columns(self, batch: Batch) -> tuple[Values, ...]:
        """The values, one for each message; where there are several columns they are joined."""
        raise NotImplementedError

    def weight(self, size: int) -> int:
        """Octets that are read of a message of *size* octets."""
        return 0


@final
class Computed(Item):
    """From what is in memory."""

    __slots__ = ("_make",)

    def __init__(self, before: bytes, after: bytes, make: Callable[[Batch], Values]) -> None:
        super().__init__(before, after)
        self._make = make

    def columns(self, batch: Batch) -> tuple[Values, ...]:
        return (self._make(batch),)


@final
class Stored(Item):
    """As it was computed at delivery."""

    __slots__ = ("_make", "needs")

    def __init__(
        self,
        before: bytes,
        column: str,
        make: Callable[[Sequence[Any]], Values] | None = None,
        after: bytes = b"",
    ) -> None:
        super().__init__(before, after)
        self.needs = (column,)
        self._make = make

    def columns(self, batch: Batch) -> tuple[Values, ...]:
        values = batch.stored(self.needs[0])
        return (values if self._make is None else self._make(values),)


@final
class Kept(Item):
    """``BODY[HEADER.FIELDS (...)]`` of fields that were kept."""

    __slots__ = ("_codes", "_section")

    needs = ("header_fields",)

    def __init__(self, item: BodySection, codes: frozenset[int]) -> None:
        super().__init__(item.label + b" ")
        self._codes = codes
        self._section = item.section

    def columns(self, batch: Batch) -> tuple[Values, ...]:
        codes, packed = self._codes, batch.stored("header_fields")
        if None in packed:
            # Too much to keep, or told as it stands: the header itself says it.
            found = [
                section_octets(batch.header(at), self._section) or b""
                if kept is None
                else cut_fields(kept, codes)
                for at, kept in enumerate(packed)
            ]
            return _literals(found), found
        # `facts.cut_fields` without its empty line: a code octet, the field, NUL between.
        found = [
            b"".join([field[1:] for field in kept.split(b"\0") if field and field[0] in codes])
            for kept in packed
        ]
        return [b"{%d}\r\n" % (len(octets) + 2) for octets in found], found, repeat(b"\r\n")


@final
class Stretch(Item):
    """The message, its header or its text: octets that lie together."""

    __slots__ = ("needs", "partial", "text")

    opens = True

    def __init__(self, label: bytes, text: SectionText | None, partial: Partial | None) -> None:
        super().__init__(label + b" ")
        self.needs = () if text is None else ("header_size",)
        self.text = text
        self.partial = partial

    def weight(self, size: int) -> int:
        if self.text is SectionText.HEADER:
            return min(size, 2048)
        return size if self.partial is None else min(size, self.partial.length)

    def bounds(self, size: int, header_size: int) -> tuple[int, int]:
        """First octet, and how many."""
        start, stop = 0, size
        if self.text is SectionText.HEADER:
            stop = header_size
        elif self.text is SectionText.TEXT:
            start = header_size
        if self.partial is not None:
            # "If the starting octet is beyond the end of the text, an empty string is returned"
            # (RFC 9051 §6.4.5).
            start = min(start + self.partial.offset, stop)
            stop = min(start + self.partial.length, stop)
        return start, stop - start

    def columns(self, batch: Batch) -> tuple[Values, ...]:
        if self.text is None and self.partial is None:
            found = [batch.octets(at) for at in range(len(batch))]
        else:
            found = [
                batch.read(at, *self.bounds(body.size, batch.header_size(at)))
                for at, body in enumerate(batch.bodies)
            ]
        return _literals(found), found


@final
class Fields(Item):
    """``BODY[HEADER.FIELDS (...)]`` of others: cut out of the header."""

    __slots__ = ("_partial", "_section")

    opens = True
    needs = ("header_size",)

    def __init__(self, item: BodySection) -> None:
        super().__init__(item.label + b" ")
        self._section = item.section
        self._partial = item.partial

    def weight(self, size: int) -> int:
        return min(size, 2048)

    def columns(self, batch: Batch) -> tuple[Values, ...]:
        found = [
            _cut(section_octets(batch.header(at), self._section) or b"", self._partial)
            for at in range(len(batch))
        ]
        return _literals(found), found


@final
class Parsed(Item):
    """Any other section: of a part, or inside a message."""

    __slots__ = ("partial", "section")

    opens = True

    def __init__(self, item: BodySection) -> None:
        super().__init__(item.label + b" ")
        self.section = item.section
        self.partial = item.partial

    def weight(self, size: int) -> int:
        return size

    def columns(self, batch: Batch) -> tuple[Values, ...]:
        found = [section_octets(batch.part(at), self.section) for at in range(len(batch))]
        cut = [b"" if octets is None else _cut(octets, self.partial) for octets in found]
        heads = [
            b"NIL" if octets is None else b"{%d}\r\n" % len(kept)
            for octets, kept in zip(found, cut, strict=True)
        ]
        return heads, cut


@final
class Decoded(Item):
    """``BINARY[...]`` and ``BINARY.SIZE[...]`` (RFC 3516)."""

    __slots__ = ("_item",)

    opens = True

    def __init__(self, item: BinarySection | BinarySize) -> None:
        super().__init__((item.label if isinstance(item, BinarySection) else bytes(item)) + b" ")
        self._item = item

    def weight(self, size: int) -> int:
        return size

    def value(self, octets: Any) -> bytes:
        """
        The value of one message, which may be `corvus_message.Part` or octets.

        Raises:
            imap.UnknownEncoding: Answer ``NO [UNKNOWN-CTE]``.
        """
        item = self._item
        if isinstance(item, BinarySection):
            return imap.binary(octets, item.part, item.partial)
        # A part that is not there has no octets.
        return b"%d" % (binary_size(octets, item.part) or 0)

    def columns(self, batch: Batch) -> tuple[Values, ...]:
        return ([self.value(batch.part(at)) for at in range(len(batch))],)


def _literals(found: Sequence[bytes]) -> list[bytes]:
    return [b"{%d}\r\n" % len(octets) for octets in found]


def _cut(octets: bytes, partial: Partial | None) -> bytes:
    if partial is None:
        return octets
    return octets[partial.offset : partial.offset + partial.length]


def _ascii(values: Sequence[str]) -> list[bytes]:
    """Words without blanks as octets."""
    return " ".join(values).encode("ascii").split(b" ") if values else []


def _dates(values: Sequence[float]) -> list[bytes]:
    return [format_internal_date(int(value)) for value in values]


def _previews(values: Sequence[str]) -> list[bytes]:
    found = []
    for value in values:
        octets = value.encode("utf-8")
        # Quoted strings hold no UTF-8 for clients that did not ask for it; literals always may.
        if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
            found.append(b'"%b"' % octets)
        else:
            found.append(b"{%d}\r\n%b" % (len(octets), octets))
    return found


_ATTRIBUTES: Final[dict[FetchAttribute, Item]] = {
    A.UID: Computed(b"UID ", b"", lambda batch: words(batch.uids)),
    A.FLAGS: Computed(b"FLAGS (", b")", lambda batch: batch.flag_texts()),
    A.MODSEQ: Computed(b"MODSEQ (", b")", lambda batch: numbers(batch.column("modseqs"))),
    A.RFC822_SIZE: Computed(b"RFC822.SIZE ", b"", lambda batch: numbers(batch.column("sizes"))),
    A.INTERNALDATE: Stored(b"INTERNALDATE ", "internal_date"),
    A.ENVELOPE: Stored(b"ENVELOPE ", "envelope"),
    A.BODY: Stored(b"BODY ", "body"),
    A.BODYSTRUCTURE: Stored(b"BODYSTRUCTURE ", "bodystructure"),
    A.EMAILID: Stored(b"EMAILID (", "email_id", _ascii, b")"),
    A.THREADID: Stored(b"THREADID (", "thread_id", _ascii, b")"),
    A.SAVEDATE: Stored(b"SAVEDATE ", "saved_at", _dates),
    A.RFC822: Stretch(b"RFC822", None, None),
    A.RFC822_HEADER: Stretch(b"RFC822.HEADER", SectionText.HEADER, None),
    A.RFC822_TEXT: Stretch(b"RFC822.TEXT", SectionText.TEXT, None),
}
_LYING_TOGETHER: Final = (None, SectionText.HEADER, SectionText.TEXT)


def _item(item: FetchItem) -> Item:
    if isinstance(item, FetchAttribute):
        return _ATTRIBUTES[item]
    if isinstance(item, Preview):
        return Stored(b"PREVIEW ", "preview", _previews)
    if isinstance(item, BodySection):
        section = item.section
        if section.part or section.text not in (*_LYING_TOGETHER, *_LISTS):
            return Parsed(item)
        if section.text in _LYING_TOGETHER:
            return Stretch(item.label, section.text, item.partial)
        if section.text is SectionText.HEADER_FIELDS and item.partial is None:
            codes = field_codes([name.encode("ascii") for name in section.fields])
            if codes is not None:
                return Kept(item, codes)
        return Fields(item)
    return Decoded(item)


_LISTS: Final = (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)


def sets_seen(item: FetchItem) -> bool:
    r"""Whether fetching *item* sets ``\Seen``."""
    if isinstance(item, BodySection | BinarySection):
        return not item.peek
    return item in (A.RFC822, A.RFC822_TEXT)


@final
class Plan:
    """A FETCH, ready for any number of messages."""

    __slots__ = ("_between", "_weighing", "items", "names", "opens")

    def __init__(self, items: tuple[FetchItem, ...]) -> None:
        self.items = [_item(item) for item in items]
        self.opens = any(item.opens for item in self.items)
        self.names = tuple(dict.fromkeys(name for item in self.items for name in item.needs))
        self._weighing = [item.weight for item in self.items if item.opens]
        between = [b" FETCH ("]
        for item in self.items:
            between[-1] += item.before
            between.append(item.after + b" ")
        between[-1] = self.items[-1].after + b")\r\n"
        self._between = between

    def weights(self, sizes: Sequence[int]) -> Sequence[int]:
        """Octets that are read of messages of *sizes* octets."""
        return [max([weigh(size) for weigh in self._weighing]) for size in sizes]

    def render(self, batch: Batch) -> bytes:
        """The responses for a batch, ready to be sent."""
        # "* ", "1", " FETCH (UID ", "7", ")\r\n": constants and columns turn by turn, all of it in C.
        turns: list[Iterable[bytes]] = [
            repeat(b"* "),
            words(batch.seqs),
            repeat(self._between[0]),
        ]
        for item, behind in zip(self.items, self._between[1:], strict=True):
            turns += item.columns(batch)
            turns.append(repeat(behind))
        return b"".join(chain.from_iterable(zip(*turns, strict=False)))


@lru_cache(maxsize=256)
def plan_of(items: tuple[FetchItem, ...]) -> Plan:
    """The plan for *items*; clients ask for the same few all day."""
    return Plan(items)
