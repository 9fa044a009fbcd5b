"""From octets to the tree: RFC 5322 §2.2 headers, RFC 2046 §5.1 multiparts, nested messages.

Three things make it fast and safe at once.  Headers are read by one regular expression that stops
by itself.  Delimiters are found by `bytes.find` for the one boundary of the multipart at hand, in
the region its parent left to it, so an enclosing delimiter always wins, as RFC 2046 §5.1.2 wants,
and each octet is looked at once for each level of nesting.  And there is no recursion: what is
still to be divided waits in a list.
"""

from __future__ import annotations

import re
from typing import Final

from corvus_message.header import FIELD, scan_fields, unfold
from corvus_message.limits import Defect, Limits
from corvus_message.params import (
    MESSAGE_RFC822,
    TEXT_PLAIN,
    ContentType,
    parse_content_type,
    strip_comments,
)
from corvus_message.part import Part

#   delimiter line: "--" boundary [ "--" ] transport-padding CRLF      RFC 2046 §5.1.1
# transport-padding is *LWSP-char.  "--" + "abcdef" is no delimiter of the boundary "abc".
_DELIMITER_TAIL: Final = re.compile(rb"(--)?[ \t]*+\r?(?:\n|\Z)")
# Where a header ends whose fields are no longer read: an empty line, or perhaps a delimiter.
_END_OF_HEADER: Final = re.compile(rb"\n(?:(\r?\n)|(?=--))")
# The only encodings that a composite type may have (RFC 2045 §6.4).
_NO_ENCODING: Final = frozenset({b"", b"7bit", b"8bit", b"binary"})
_NESTED: Final = frozenset({"message/rfc822", "message/global"})
_DEFAULT_LIMITS: Final = Limits()


def parse(raw: bytes | bytearray | memoryview, *, limits: Limits = _DEFAULT_LIMITS) -> Part:
    """
    Divide a message into its parts; never raises, whatever the octets.

    Args:
        raw: The message, lines ended by CRLF, LF or both.  `bytes` (or a view of a whole `bytes`
            object) is used as it is; anything else is copied once, since the tree lives longer
            than a buffer that can change.
        limits: What to stop at; see `Limits`.

    Returns:
        The outermost `Part`.  Costs about a microsecond a field and a `bytes.find` over each body;
        nothing is decoded.

    >>> m = parse(b"Content-Type: multipart/mixed; boundary=b\\n\\n--b\\n\\nhi\\n--b--\\n")
    >>> [(p.content_type.value, p.content()) for p in m.parts]
    [('text/plain', b'hi')]
    """
    if isinstance(raw, bytes):
        return _Parser(raw, limits).run()
    if isinstance(raw, memoryview):
        whole = raw.obj
        # Of equal size and contiguous, yet perhaps reversed; comparing costs less than a copy.
        if isinstance(whole, bytes) and raw.nbytes == len(whole) and raw == whole:
            return _Parser(whole, limits).run()
    return _Parser(bytes(raw), limits).run()


def _is_repeated(name: bytes, matches: list[re.Match[bytes]]) -> bool:
    return [match[1].lower() for match in matches].count(name) > 1


class _Parser:
    """One run: the buffer, the budget, and what is still to be divided."""

    def __init__(self, raw: bytes, limits: Limits) -> None:
        self.raw = raw
        self.limits = limits
        self.parts_left = limits.parts
        self.fields_left = limits.total_fields

    def run(self) -> Part:
        raw = self.raw
        root = self.header(0, len(raw), TEXT_PLAIN)
        # Part, how deep it is, and the boundaries of the multiparts around it.
        todo: list[tuple[Part, int, tuple[bytes, ...]]] = [(root, 1, ())]
        while todo:
            part, depth, around = todo.pop()
            kind = part.content_type
            if kind.type == "multipart":
                inner = self.divide(part, depth, around)
                if inner is not None:
                    for child in reversed(part.children):
                        if child.content_type.type in ("multipart", "message"):
                            todo.append((child, depth + 1, inner))
            elif kind.value in _NESTED:
                if self.refused(part, depth):
                    continue
                child = self.header(part.body_start, part.end, TEXT_PLAIN)
                part.children.append(child)
                if child.content_type.type in ("multipart", "message"):
                    todo.append((child, depth + 1, around))
        return root

    def refused(self, part: Part, depth: int) -> bool:
        """Whether a container stays closed, the defect noted."""
        encoding = part._index.get(b"content-transfer-encoding")
        if depth > self.limits.depth:
            part.defects += (Defect.TOO_DEEP,)
        elif self.parts_left <= 0:
            part.defects += (Defect.TOO_MANY_PARTS,)
        elif (
            encoding is not None
            and strip_comments(unfold(encoding[2])).strip(b" \t;").lower() not in _NO_ENCODING
        ):
            part.defects += (Defect.ENCODED_CONTAINER,)
            # Senders that mislabel a multipart do not encode it, so it is divided all the same;
            # an encoded message cannot be, offsets into it do not exist.
            return part.content_type.type == "message"
        else:
            return False
        return True

    def divide(self, part: Part, depth: int, around: tuple[bytes, ...]) -> tuple[bytes, ...] | None:
        """Find the parts of a multipart; its boundaries for those below, or None if closed."""
        if self.refused(part, depth):
            return None
        boundary = b""
        for name, value in part.content_type.raw_params:
            if name.lower() == b"boundary":
                boundary = value
                break
        else:
            # "boundary*=us-ascii''x" (RFC 2231 §4): legal, if useless.
            boundary = (part.content_type.get("boundary") or "").encode("utf-8", "replace")
        # "boundary := 0*69<bchars> bcharsnospace": no space at the end (RFC 2046 §5.1.1).
        boundary = boundary.rstrip(b" \t")
        if not boundary or len(boundary) > self.limits.boundary or b"\n" in boundary:
            part.defects += (Defect.MISSING_BOUNDARY,)
            return None
        if boundary in around:
            part.defects += (Defect.REPEATED_BOUNDARY,)
            return None
        raw, end = self.raw, part.end
        default = MESSAGE_RFC822 if part.content_type.subtype == "digest" else TEXT_PLAIN
        needle = b"\n--" + boundary
        start = -1  # of the part being read; before the first delimiter there is none
        # The line feed in front of the first delimiter may be that of the empty line.
        position = part.body_start - 1
        closed = False
        while not closed:
            place = raw.find(needle, position, end)
            if place < 0:
                break
            position = place + len(needle)
            tail = _DELIMITER_TAIL.match(raw, position, end)
            if tail is None:
                continue
            if start >= 0:
                # "The CRLF preceding the boundary delimiter line is conceptually attached to
                # the boundary" (RFC 2046 §5.1.1), even where it is the only line end there is.
                cut = place - 1 if raw[place - 1] == 13 and place > start else place
                if not self.child(part, start, max(cut, start), default):
                    return (*around, boundary)
            closed = tail[1] is not None
            start = tail.end()
            # The line feed of this delimiter may be that in front of the next one.
            position = start - 1
        if start < 0 or (closed and not part.children):
            part.defects += (Defect.MISSING_DELIMITER,)
        elif not closed:
            part.defects += (Defect.MISSING_CLOSE,)
            self.child(part, start, end, default)
        return (*around, boundary)

    def child(self, part: Part, start: int, end: int, default: ContentType) -> bool:
        """Add a part; False where no more are allowed, and the rest stays undivided."""
        if self.parts_left <= 0:
            part.defects += (Defect.TOO_MANY_PARTS,)
            return False
        part.children.append(self.header(start, end, default))
        return True

    def header(self, start: int, end: int, default: ContentType) -> Part:
        """Read the header at *start*; the part goes to *end*."""
        raw = self.raw
        self.parts_left -= 1
        defects: tuple[Defect, ...] = ()
        position = start
        if start == 0 and raw.startswith((b"From ", b">From ")):
            # Not a field, and "From:" it is not: what mbox puts between messages.
            line_end = raw.find(b"\n")
            first = FIELD.match(raw)
            if line_end > 0 and first is None:
                position = line_end + 1
                defects = (Defect.MBOX_LINE,)
        stop = position + self.limits.header_octets
        if stop >= end:
            stop = end
        budget = self.limits.header_fields
        if budget > self.fields_left:
            budget = self.fields_left
        matches = scan_fields(raw, position, stop, budget + 1)
        if matches:
            position = matches[-1].end()
        if len(matches) > budget:
            position = matches.pop().start()
            defects += (Defect.TOO_MANY_FIELDS,)
            body_start = self.end_of_header(position, end)
        elif position == stop < end and matches and self.goes_on(stop):
            matches.pop()
            defects += (Defect.HEADER_TOO_LARGE,)
            body_start = self.end_of_header(position, end)
        elif raw.startswith(b"\r\n", position, end):
            body_start = position + 2
        elif raw.startswith(b"\n", position, end):
            body_start = position + 1
        elif stop < end and raw.find(b"\n", position, stop) < 0:
            # No line ends before the limit, so nobody knows what it is.
            defects += (Defect.HEADER_TOO_LARGE,)
            body_start = self.end_of_header(position, end)
        else:
            body_start = position
            if position < end:
                defects += (Defect.MISSING_SEPARATOR,)
        self.fields_left -= len(matches)
        # Backwards, so that the first field of a name is the one that stays.
        index = {match[1].lower(): match for match in matches[::-1]}
        content_type = default
        field = index.get(b"content-type")
        if field is not None:
            value = unfold(field[2])
            found = parse_content_type(value)
            if found is not None:
                content_type = found
            else:
                content_type = TEXT_PLAIN
                defects += (Defect.INVALID_CONTENT_TYPE,)
            if len(index) < len(matches) and _is_repeated(b"content-type", matches):
                defects += (Defect.DUPLICATE_CONTENT_TYPE,)
        return Part(raw, start, min(body_start, end), end, matches, index, content_type, defects)

    def goes_on(self, stop: int) -> bool:
        """Whether the field that reaches the limit goes on behind it, and so was not read whole."""
        return self.raw[stop - 1] != 10 or self.raw[stop] in b" \t"

    def end_of_header(self, position: int, end: int) -> int:
        """Where the body begins when the fields from *position* on are not read."""
        match = _END_OF_HEADER.search(self.raw, max(position - 1, 0), end)
        return end if match is None else match.end()
