r"""Where the parts of a message stand, small enough to be stored beside it.

Computed at delivery like ENVELOPE and BODYSTRUCTURE, so that ``BODY[1.2]<0.4096>`` of a message of
25 MB is one read of 4 KB: `corvus_imap.section.section_range` takes an `Outline` as well as a
message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, final

from corvus_imap.envelope import Message, parsed

__all__ = ["ENCODINGS", "Outline"]

#: Transfer encodings that can be undone; the identity encodings among them (RFC 2045 §6.1, and
#: uuencode from before it).
ENCODINGS: Final = frozenset(
    {"7bit", "8bit", "binary", "base64", "quoted-printable"}
    | {"x-uuencode", "uuencode", "x-uue", "uue"}
)

# One node: its kind, where it begins, octets of header and of body, how many children; and, if it
# is not "7bit", its encoding.  Parents stand before their children.
_NODE: Final = re.compile(rb"([tlmr])(\d{1,18}),(\d{1,18}),(\d{1,18}),(\d{1,9})(?:,([a-z0-9-]*))?")


@final
@dataclass(frozen=True, slots=True)
class Outline:
    r"""
    One part: where it stands, what is in it.

    >>> stored = bytes(Outline.of(b"Subject: x\r\n\r\nhello"))
    >>> stored
    b't0,14,5,0'
    >>> Outline.parse(stored).end
    19
    """

    start: int
    """Where its header begins."""
    body_start: int
    end: int
    kind: bytes
    """``b"m"`` a multipart, ``b"r"`` a message with a message inside, ``b"t"`` text, ``b"l"``
    other."""
    encoding: str = "7bit"
    """One of `ENCODINGS`, or ``""`` for one that nobody knows."""
    children: tuple[Outline, ...] = ()

    @property
    def is_multipart(self) -> bool:
        """Whether its children are numbered parts; it may have none."""
        return self.kind == b"m"

    @property
    def is_text(self) -> bool:
        """Whether BINARY gives it CRLF for line ends."""
        return self.kind == b"t"

    @property
    def message(self) -> Outline | None:
        """The message inside of a message."""
        return self.children[0] if self.kind == b"r" else None

    @classmethod
    def of(cls, message: Message) -> Outline:
        """Outline *message*, which is parsed if it is not."""
        built: list[Outline] = []
        for part in reversed(list(parsed(message).walk())):
            count = len(part.children)
            children = tuple(built[len(built) - count :][::-1])
            del built[len(built) - count :]
            if part.is_multipart:
                kind = b"m"
            elif part.message is not None:
                kind = b"r"
            else:
                kind = b"t" if part.type == "text" else b"l"
            encoding = part.encoding if part.encoding in ENCODINGS else ""
            built.append(cls(part.start, part.body_start, part.end, kind, encoding, children))
        return built[0]

    def __bytes__(self) -> bytes:
        """Its stored form: ASCII, some twenty octets a part."""
        out: list[bytes] = []
        todo = [self]
        while todo:
            node = todo.pop()
            encoding = "" if node.encoding == "7bit" else f",{node.encoding}"
            out.append(
                b"%b%d,%d,%d,%d%b"
                % (
                    node.kind,
                    node.start,
                    node.body_start - node.start,
                    node.end - node.body_start,
                    len(node.children),
                    encoding.encode("ascii"),
                )
            )
            todo.extend(reversed(node.children))
        return b" ".join(out)

    @classmethod
    def parse(cls, stored: bytes) -> Outline:
        """
        Read the stored form.

        Raises:
            ValueError: It is none.
        """
        built: list[Outline] = []
        for word in reversed(stored.split(b" ")):
            match = _NODE.fullmatch(word)
            if match is None or int(match[5]) > len(built):
                raise ValueError("not an outline")
            start, header, body, count = (int(match[at]) for at in (2, 3, 4, 5))
            if (match[1] == b"r" and count != 1) or (match[1] in (b"t", b"l") and count):
                raise ValueError("not an outline")
            children = tuple(built[len(built) - count :][::-1])
            del built[len(built) - count :]
            encoding = "7bit" if match[6] is None else match[6].decode("ascii")
            middle = start + header
            built.append(cls(start, middle, middle + body, match[1], encoding, children))
        if len(built) != 1:
            raise ValueError("not an outline")
        return built[0]
