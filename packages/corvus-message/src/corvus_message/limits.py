"""What a message may cost: every depth, count and size that the parser bounds.

Nothing that exceeds a limit is lost or refused.  It stays in the buffer as opaque content, and
the part that holds it carries a `Defect` with the name of the limit.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    The bounds of `parse`; all of them finite, each one tested at the limit and one above.

    >>> Limits(depth=10).parts
    10000
    """

    depth: int = 100
    """Multiparts and messages inside each other.  Dovecot stops at 100 too (CVE-2020-12100)."""

    parts: int = 10_000
    """Parts in the whole message."""

    header_octets: int = 256 * 1024
    """Octets of one header that are read as fields; the rest of the header stays unread."""

    header_fields: int = 1_000
    """Fields of one header."""

    total_fields: int = 50_000
    """Fields in the headers of all parts: ten thousand parts with five fields each."""

    boundary: int = 200
    """Octets of a boundary.  RFC 2046 §5.1.1 allows 70; some senders use more, harmlessly."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


@final
class Defect(enum.Enum):
    """What is wrong with a part.  A defect is told, never raised."""

    MBOX_LINE = "the message begins with the From line of an mbox file"
    MISSING_SEPARATOR = "no empty line ends the header; the body begins at the first other line"
    HEADER_TOO_LARGE = "Limits.header_octets: the rest of the header was not read"
    TOO_MANY_FIELDS = "Limits.header_fields or total_fields: the rest of the header was not read"
    DUPLICATE_CONTENT_TYPE = "Content-Type stands more than once; the first one counts"
    INVALID_CONTENT_TYPE = "Content-Type cannot be read; text/plain is assumed (RFC 2045 §5.2)"
    MISSING_BOUNDARY = "a multipart without a usable boundary parameter"
    REPEATED_BOUNDARY = "the boundary is that of a multipart around this one"
    MISSING_DELIMITER = "no delimiter opens a part"
    MISSING_CLOSE = "the closing delimiter is missing"
    TOO_DEEP = "Limits.depth: the content was not opened"
    TOO_MANY_PARTS = "Limits.parts: the rest of the content was not divided"
    ENCODED_CONTAINER = "a message or multipart under base64, quoted-printable or another encoding"
