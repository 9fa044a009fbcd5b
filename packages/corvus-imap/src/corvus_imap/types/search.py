r"""Search keys as a tree (RFC 9051 §6.4.4, RFC 5032, RFC 7162, RFC 8474, RFC 8514).

Keys that are short for others become those: ``OLD`` is ``LacksFlag(\Recent)``, ``DELETED`` is
``HasFlag(\Deleted)``, ``NEW`` is ``And(HasFlag(\Recent), LacksFlag(\Seen))``.  Text is decoded: the
CHARSET of the command has done its work before a key is made.  ``Limits.search_depth`` caps how
deep a parsed key can be, so that recursion over it is safe.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date
from typing import Final, final

from corvus_imap.types.flags import Flag
from corvus_imap.types.sequence import MessageSet

#: "mod-sequence-value = 1*DIGIT ; Positive unsigned 63-bit integer" (RFC 7162 §7).
MAX_MODSEQ: Final = (1 << 63) - 1


@final
@dataclass(frozen=True, slots=True)
class All:
    """``ALL``: every message."""


@final
@dataclass(frozen=True, slots=True)
class HasFlag:
    """``SEEN``, ``DELETED``, ``KEYWORD work`` ..."""

    flag: Flag


@final
@dataclass(frozen=True, slots=True)
class LacksFlag:
    """``UNSEEN``, ``OLD``, ``UNKEYWORD work`` ..."""

    flag: Flag


class TextField(enum.Enum):
    """Where a text is looked for."""

    BCC = "BCC"
    BODY = "BODY"  # "in the body of the message", not in its header
    CC = "CC"
    FROM = "FROM"
    SUBJECT = "SUBJECT"
    TEXT = "TEXT"  # in header and body
    TO = "TO"


@final
@dataclass(frozen=True, slots=True)
class TextKey:
    """``FROM bob``, ``BODY invoice`` ...: it holds *text*, in any case; ``""`` always matches."""

    field: TextField
    text: str


@final
@dataclass(frozen=True, slots=True)
class HeaderKey:
    """``HEADER List-Id corvus``: a field *name* exists and holds *text* (``""``: exists)."""

    name: str
    text: str


class DateField(enum.Enum):
    """Which date is compared, as the prefix of the key."""

    INTERNAL = ""  # INTERNALDATE: "disregarding time and timezone"
    SENT = "SENT"  # the Date field: "disregarding time and timezone"
    SAVED = "SAVED"  # RFC 8514 §4.3


class Relation(enum.Enum):
    """How it is compared."""

    BEFORE = "BEFORE"
    ON = "ON"
    SINCE = "SINCE"  # on that day or later


@final
@dataclass(frozen=True, slots=True)
class DateKey:
    """``SINCE 1-Feb-1994``, ``SENTBEFORE ...``, ``SAVEDON ...``."""

    field: DateField
    relation: Relation
    day: date


@final
@dataclass(frozen=True, slots=True)
class Older:
    """``OLDER n``: INTERNALDATE is at least *seconds* ago (RFC 5032 §3)."""

    seconds: int


@final
@dataclass(frozen=True, slots=True)
class Younger:
    """``YOUNGER n``: INTERNALDATE is at most *seconds* ago (RFC 5032 §3)."""

    seconds: int


@final
@dataclass(frozen=True, slots=True)
class Larger:
    """``LARGER n``: RFC822.SIZE is more than *octets*."""

    octets: int


@final
@dataclass(frozen=True, slots=True)
class Smaller:
    """``SMALLER n``: RFC822.SIZE is less than *octets*."""

    octets: int


@final
@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence set as a key: messages with these numbers."""

    messages: MessageSet


@final
@dataclass(frozen=True, slots=True)
class Uid:
    """``UID 1:100``."""

    messages: MessageSet


@final
@dataclass(frozen=True, slots=True)
class ModSeq:
    r"""``MODSEQ 62``, ``MODSEQ "/flags/\\draft" all 62``: at least it (RFC 7162 §3.1.5)."""

    value: int
    flag: Flag | None = None
    """The flag whose change is asked for; a server may take it as the message's (§3.1.5)."""
    scope: str = "all"
    """``priv``, ``shared`` or ``all``; only told with a *flag*."""

    def __post_init__(self) -> None:
        #   entry-type-req = entry-type-resp / "all"                     ; RFC 7162 §7
        if self.scope not in ("priv", "shared", "all"):
            raise ValueError(f"not a scope of mod-sequences: {self.scope!r}")


@final
@dataclass(frozen=True, slots=True)
class EmailId:
    """``EMAILID M123`` (RFC 8474 §5.3)."""

    value: str


@final
@dataclass(frozen=True, slots=True)
class ThreadId:
    """``THREADID T123`` (RFC 8474 §5.3)."""

    value: str


@final
@dataclass(frozen=True, slots=True)
class SaveDateSupported:
    """``SAVEDATESUPPORTED``: the mailbox keeps save dates (RFC 8514 §4.3)."""


@final
@dataclass(frozen=True, slots=True)
class Not:
    """``NOT key``."""

    key: SearchKey


@final
@dataclass(frozen=True, slots=True)
class Or:
    """``OR one other``."""

    one: SearchKey
    other: SearchKey


@final
@dataclass(frozen=True, slots=True)
class And:
    """``(key key ...)``: all of them; never empty."""

    keys: tuple[SearchKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("parentheses hold at least one key")


SearchKey = (
    All
    | HasFlag
    | LacksFlag
    | TextKey
    | HeaderKey
    | DateKey
    | Older
    | Younger
    | Larger
    | Smaller
    | Sequence
    | Uid
    | ModSeq
    | EmailId
    | ThreadId
    | SaveDateSupported
    | Not
    | Or
    | And
)


class SearchReturn(enum.Enum):
    """What ``RETURN (...)`` asks for (RFC 4731 §3.1, RFC 5182 §2.1)."""

    MIN = "MIN"
    MAX = "MAX"
    ALL = "ALL"
    COUNT = "COUNT"
    SAVE = "SAVE"
