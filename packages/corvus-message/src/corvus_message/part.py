"""A message, or a part of one: offsets over one buffer, decoded when asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, final

from corvus_message import body as views
from corvus_message import charsets
from corvus_message.body import BodyView
from corvus_message.header import Field, Headers, unfold
from corvus_message.limits import Defect
from corvus_message.params import ContentType, ParameterValue, parse_disposition, strip_comments
from corvus_message.transfer import decode_transfer, transfer_decoder
from corvus_message.words import decode_words

#: The encodings (RFC 2045 §6.1) as nearly everybody spells them.
_ENCODINGS: Final = {
    name.encode(): name for name in ("7bit", "8bit", "binary", "base64", "quoted-printable")
}
#: The octets decoded at a time by `Part.chunks`.
_CHUNK: Final = 65_536


@final
class Part:
    """
    A message or a part of one, made by `parse`.

    ``part.buffer[part.start:part.end]`` is the part, ``[part.start:part.body_start]`` its header
    (the empty line included), ``[part.body_start:part.end]`` its body.  A ``message/rfc822`` part
    has one child, the message inside, whose header begins where the part's body begins.

    >>> from corvus_message import parse
    >>> m = parse(b"Content-Type: text/plain; charset=utf-8\\r\\n\\r\\ncaf\\xc3\\xa9\\r\\n")
    >>> m.type, m.subtype, m.size, m.lines, m.text()
    ('text', 'plain', 7, 1, 'café\\n')
    """

    __slots__ = (
        "_index",
        "_matches",
        "body_start",
        "buffer",
        "children",
        "content_type",
        "defects",
        "end",
        "start",
    )

    buffer: bytes
    """The octets that were parsed, shared by all parts of the tree."""
    start: int
    """Where the header begins."""
    body_start: int
    """Where the body begins: behind the empty line."""
    end: int
    """Behind the last octet; the line end before a delimiter belongs to the delimiter."""
    children: list[Part]
    """The parts of a multipart, or the one message inside a ``message/rfc822``."""
    content_type: ContentType
    """As the header says, or the default of RFC 2045 §5.2 and RFC 2046 §5.1.5."""
    defects: tuple[Defect, ...]
    """What is wrong with this part (not its children), in the order it was found."""

    def __init__(
        self,
        buffer: bytes,
        start: int,
        body_start: int,
        end: int,
        matches: list[re.Match[bytes]],
        index: dict[bytes, re.Match[bytes]],
        content_type: ContentType,
        defects: tuple[Defect, ...],
    ) -> None:
        self.buffer = buffer
        self.start = start
        self.body_start = body_start
        self.end = end
        self.children = []
        self.content_type = content_type
        self.defects = defects
        self._matches = matches
        self._index = index

    def __repr__(self) -> str:
        return (
            f"<Part {self.content_type.value} {self.start}:{self.body_start}:{self.end}"
            f" children={len(self.children)}>"
        )

    # The tree.

    @property
    def parts(self) -> list[Part]:
        """The direct children; empty for a leaf."""
        return self.children

    def walk(self) -> Iterator[Part]:
        """This part and everything below, in the order of the message."""
        stack = [self]
        while stack:
            part = stack.pop()
            yield part
            stack.extend(reversed(part.children))

    @property
    def is_multipart(self) -> bool:
        """Whether the type is ``multipart/*`` (even if nothing could be divided)."""
        return self.content_type.type == "multipart"

    @property
    def message(self) -> Part | None:
        """The message inside a ``message/rfc822`` or ``message/global``; else ``None``."""
        if self.content_type.type == "message" and self.children:
            return self.children[0]
        return None

    # Octets.

    @property
    def octets(self) -> bytes:
        """Header and body."""
        return self.buffer[self.start : self.end]

    @property
    def header_octets(self) -> bytes:
        """The header with the empty line that ends it."""
        return self.buffer[self.start : self.body_start]

    @property
    def body_octets(self) -> bytes:
        """The body as it stands; the same as `content`."""
        return self.buffer[self.body_start : self.end]

    @property
    def size(self) -> int:
        """Octets of the body as it stands, before any decoding."""
        return self.end - self.body_start

    @property
    def lines(self) -> int:
        """Line ends in the body as it stands."""
        return self.buffer.count(b"\n", self.body_start, self.end)

    def content(self) -> bytes:
        """The body as it stands."""
        return self.buffer[self.body_start : self.end]

    def decoded(self) -> bytes:
        """The body with its transfer encoding undone.  Multiparts and messages have none."""
        if self.children:
            return self.content()
        return decode_transfer(self.content(), self.encoding)

    def chunks(self, size: int = _CHUNK) -> Iterator[bytes]:
        """The body with its transfer encoding undone, *size* encoded octets at a time."""
        decoder = transfer_decoder("binary" if self.children else self.encoding)
        for place in range(self.body_start, self.end, size):
            piece = decoder.update(self.buffer[place : min(place + size, self.end)])
            if piece:
                yield piece
        piece = decoder.finish()
        if piece:
            yield piece

    # Header fields.

    @property
    def headers(self) -> Headers:
        """All fields, in order and by name."""
        return Headers(self._matches)

    def field(self, name: bytes) -> bytes | None:
        """
        The value of the first field of that name (lower case), unfolded and stripped, otherwise
        as it stands; ``None`` if there is none.  One dictionary look-up: the way for those who
        read the same ten fields of every message.
        """
        match = self._index.get(name)
        if match is None:
            return None
        value = match[2]  # `unfold`, without the call
        if b"\n" in value:
            value = value.replace(b"\r\n", b"").replace(b"\n", b"")
        return value.strip(b" \t\r\n")

    def fields(self, name: bytes) -> list[bytes]:
        """The values of all fields of that name (lower case), like `field`."""
        if name not in self._index:
            return []
        return [unfold(match[2]) for match in self._matches if match[1].lower() == name]

    def field_octets(self, name: bytes) -> bytes | None:
        """The first field of that name (lower case): name, folds and line end included."""
        match = self._index.get(name)
        return None if match is None else Field(match).octets

    # What MIME says of the content.

    @property
    def type(self) -> str:
        """``text``, ``multipart`` ...; lower case."""
        return self.content_type.type

    @property
    def subtype(self) -> str:
        """``plain``, ``mixed`` ...; lower case."""
        return self.content_type.subtype

    @property
    def params(self) -> tuple[tuple[str, str], ...]:
        """The parameters of the content type for people (RFC 2231 undone)."""
        return self.content_type.params

    @property
    def raw_params(self) -> tuple[tuple[bytes, bytes], ...]:
        """The parameters of the content type as they stand."""
        return self.content_type.raw_params

    @property
    def encoding(self) -> str:
        """The Content-Transfer-Encoding, lower case; ``7bit`` if none is named (RFC 2045 §6.1)."""
        value = self.field(b"content-transfer-encoding")
        if not value:
            return "7bit"
        known = _ENCODINGS.get(value)
        if known is not None:
            return known
        # "base64 (a comment)", "base64;" and "'base64'" have been seen.
        word = strip_comments(value).strip(b" \t;'\"")
        return word.decode("latin-1").lower() or "7bit"

    @property
    def id(self) -> bytes | None:
        """Content-ID as it stands, angle brackets included."""
        return self.field(b"content-id")

    @property
    def description(self) -> bytes | None:
        """Content-Description as it stands, encoded words still encoded."""
        return self.field(b"content-description")

    @property
    def md5(self) -> bytes | None:
        """Content-MD5 as it stands (RFC 1864)."""
        return self.field(b"content-md5")

    @property
    def location(self) -> bytes | None:
        """Content-Location as it stands (RFC 2557)."""
        return self.field(b"content-location")

    @property
    def language(self) -> tuple[bytes, ...]:
        """The tags of Content-Language (RFC 3282), comments removed; often empty."""
        value = self.field(b"content-language")
        if not value:
            return ()
        tags = (tag.strip() for tag in strip_comments(value).split(b","))
        return tuple(tag for tag in tags if tag)

    @property
    def disposition(self) -> ParameterValue | None:
        """Content-Disposition (RFC 2183), or ``None`` where the field is missing or empty."""
        value = self.field(b"content-disposition")
        return parse_disposition(value) if value else None

    @property
    def filename(self) -> str | None:
        """
        The name the sender gave, decoded and otherwise untouched: it may hold slashes, dots and
        anything else.  Use `safe_filename` before it comes near a file system.
        """
        disposition = self.disposition
        name = disposition.get("filename") if disposition is not None else None
        # "name" of Content-Type is the older form, still sent beside or instead.
        return name if name is not None else self.content_type.get("name")

    # Text.

    def content_text(self) -> str:
        """The body of this one part as text, transfer encoding and charset undone."""
        return charsets.decode_charset(self.decoded(), self.content_type.charset)

    def text(self) -> str:
        """
        What there is to read, as plain text: the body of a message (attachments left out, plain
        text preferred, HTML stripped, flowed lines joined), lines ended by LF; ``""`` if nothing.
        """
        return views.text_of(self)

    def html(self) -> str | None:
        """
        The body as HTML, *not* sanitised; ``None`` if no part of it is HTML.  Plain text between
        HTML parts stands in ``<pre>``.
        """
        return views.html_of(self)

    def view(self) -> BodyView:
        """Which parts to show, and which to offer (:rfc:`8621#section-4.1.4`)."""
        return views.body_view(self)

    def attachments(self) -> list[Part]:
        """The parts to offer beside the body, inline images of an HTML body among them."""
        return list(views.body_view(self).attachments)

    def related(self) -> dict[str, Part]:
        """Parts by Content-ID, angle brackets removed: where ``cid:`` links lead."""
        return views.related_by_id(self)

    def preview(self, length: int = 200) -> str:
        """
        The first words of the body on one line, at most *length* (and 256) characters, quoted
        text and signature left out (:rfc:`8970#section-3.3`); ``""`` if there are none.
        """
        return views.preview_of(self, length)

    @property
    def subject(self) -> str:
        """The subject for people; ``""`` if there is none."""
        value = self.field(b"subject")
        return "" if value is None else decode_words(value)
