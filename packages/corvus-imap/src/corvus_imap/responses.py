"""A value for every response of RFC 3501, RFC 9051 and the extensions (RFC 9051 §7).

``conn.send(value)`` writes them, a client's `ResponseReceived` holds them.  Use them with the module's
name, as in ``responses.Exists(3)``: a `Search` is a command, a ``responses.Search`` is its answer.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import final

from corvus_imap.types.codes import Code
from corvus_imap.types.flags import Flag
from corvus_imap.types.sequence import SequenceSet
from corvus_imap.types.status import StatusItem
from corvus_imap.types.structure import BodyStructure, Envelope


class Kind(enum.Enum):
    """How a `Condition` begins."""

    OK = "OK"
    NO = "NO"
    BAD = "BAD"
    BYE = "BYE"  # never tagged
    PREAUTH = "PREAUTH"  # a greeting: logged in already


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """A status response (§7.1): ``a1 OK [READ-WRITE] done``, ``* BYE later``."""

    kind: Kind
    text: str = ""
    """For people; without CR, LF and NUL."""
    code: Code | None = None
    tag: str | None = None
    """``None`` if untagged."""


@final
@dataclass(frozen=True, slots=True)
class Continuation:
    """``+ text``: go on (§7.6).  In AUTHENTICATE *text* is base64."""

    text: bytes = b""


@final
@dataclass(frozen=True, slots=True)
class Capability:
    """``* CAPABILITY IMAP4rev1 ...``."""

    names: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Enabled:
    """``* ENABLED CONDSTORE`` (§7.2.1)."""

    names: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Flags:
    r"""``* FLAGS (\Seen ...)``: what the mailbox has."""

    flags: tuple[Flag, ...]


@final
@dataclass(frozen=True, slots=True)
class Exists:
    """``* 23 EXISTS``."""

    count: int


@final
@dataclass(frozen=True, slots=True)
class Recent:
    """``* 5 RECENT`` (RFC 3501 only)."""

    count: int


@final
@dataclass(frozen=True, slots=True)
class Expunge:
    """``* 3 EXPUNGE``: those behind move up at once."""

    number: int


@final
@dataclass(frozen=True, slots=True)
class Vanished:
    """``* VANISHED (EARLIER) 41,43:116``: gone, by UID (RFC 7162 §3.2.10)."""

    uids: SequenceSet
    earlier: bool = False


@final
@dataclass(frozen=True, slots=True)
class Search:
    """``* SEARCH 2 84 (MODSEQ 917)`` (RFC 3501 §7.2.5, RFC 7162 §3.1.5)."""

    numbers: tuple[int, ...] = ()
    modseq: int | None = None


@final
@dataclass(frozen=True, slots=True)
class ESearch:
    """``* ESEARCH (TAG "a") UID COUNT 5 ALL 1:3,9`` (RFC 4731 §3.1); what is ``None`` is not told."""

    tag: str | None = None
    uid: bool = False
    min: int | None = None
    max: int | None = None
    count: int | None = None
    all: SequenceSet | None = None
    modseq: int | None = None


@final
@dataclass(frozen=True, slots=True)
class Sort:
    """``* SORT 5 3 4`` in order (RFC 5256 §4)."""

    numbers: tuple[int, ...] = ()
    modseq: int | None = None


@final
@dataclass(frozen=True, slots=True, repr=False)
class ThreadNode:
    """A message (``None``: a parent that is not there) and what answers it."""

    number: int | None
    children: tuple[ThreadNode, ...] = ()

    def __post_init__(self) -> None:
        # thread-nested = 2*thread-list: what is not there can only be the root of several
        # (RFC 5256 §5; §3 step 4 removes every other).
        if self.number is None and len(self.children) < 2:
            raise ValueError("a missing parent has at least two children")
        if any(child.number is None for child in self.children):
            raise ValueError("a missing parent is the root of its thread")

    def __repr__(self) -> str:
        # A thread can be as deep as it is long, and whoever logs an event has no stack for that.
        return f"<ThreadNode {self.number} children={len(self.children)}>"


@final
@dataclass(frozen=True, slots=True)
class Thread:
    """``* THREAD (2)(3 6 (4 23)(44 7 96))`` (RFC 5256 §4)."""

    threads: tuple[ThreadNode, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class List:
    r"""``* LIST (\HasNoChildren) "/" INBOX``; see the fields for what RFC 5258 adds."""

    mailbox: str
    delimiter: str | None = "/"
    """``None`` for a flat name (NIL)."""
    attributes: tuple[str, ...] = ()
    """``\\Noselect``, ``\\HasChildren``, ``\\Sent`` ..., with their backslash."""
    child_info: tuple[str, ...] = ()
    """Why a parent is told, such as ``("SUBSCRIBED",)`` (RFC 5258 §3.5)."""
    old_name: str | None = None
    """What it was called before (RFC 9051 §6.3.9.7)."""


@final
@dataclass(frozen=True, slots=True)
class Lsub:
    """``* LSUB () "/" INBOX`` (RFC 3501 only)."""

    mailbox: str
    delimiter: str | None = "/"
    attributes: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Status:
    """``* STATUS INBOX (MESSAGES 3)``."""

    mailbox: str
    items: tuple[tuple[StatusItem, int | str | None], ...]
    """Numbers; a string for MAILBOXID, ``None`` for an APPENDLIMIT that there is not."""

    @classmethod
    def of(cls, mailbox: str, items: Mapping[StatusItem, int | str | None]) -> Status:
        """The response for a dict."""
        return cls(mailbox, tuple(items.items()))


@final
@dataclass(frozen=True, slots=True)
class Namespace:
    """``* NAMESPACE (("" "/")) NIL NIL``: prefixes and delimiters; ``()`` is NIL (RFC 2342 §5)."""

    personal: tuple[tuple[str, str | None], ...] = (("", "/"),)
    other: tuple[tuple[str, str | None], ...] = ()
    shared: tuple[tuple[str, str | None], ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Raw:
    """Octets that are rendered already, such as an ENVELOPE from the store; nothing is checked."""

    octets: bytes


#: A value of a FETCH item.
FetchValue = int | str | bytes | None | datetime | tuple[Flag, ...] | Envelope | BodyStructure | Raw


@final
@dataclass(frozen=True, slots=True)
class Fetch:
    """
    ``* 23 FETCH (UID 5 FLAGS ())``.

    The values by item: UID, RFC822.SIZE, MODSEQ and ``BINARY.SIZE[...]`` are numbers, FLAGS a tuple,
    INTERNALDATE a `datetime` with a zone (SAVEDATE as well, or ``None``), ENVELOPE an `Envelope` or `Raw`,
    BODY and BODYSTRUCTURE a `BodyStructure` or `Raw`, EMAILID and THREADID a `str`, PREVIEW a `str` or ``None``,
    everything in brackets `bytes` or ``None``.  For large bodies and many messages there are
    `send_raw` and `send_literal`.
    """

    number: int
    items: tuple[tuple[str, FetchValue], ...]

    @classmethod
    def of(cls, number: int, items: Mapping[str, FetchValue]) -> Fetch:
        """The response for a dict."""
        return cls(number, tuple(items.items()))

    def __getitem__(self, item: str) -> FetchValue:
        for name, value in self.items:
            if name == item:
                return value
        raise KeyError(item)

    def __contains__(self, item: object) -> bool:
        return any(name == item for name, _ in self.items)


@final
@dataclass(frozen=True, slots=True)
class Id:
    """``* ID ("name" "Corvus")``; no pairs: NIL (RFC 2971 §3.2)."""

    pairs: tuple[tuple[str, str | None], ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Quota:
    """``* QUOTA "" (STORAGE 10 512)``: resource, usage, limit (RFC 9208 §4.2.1)."""

    root: str
    resources: tuple[tuple[str, int, int], ...] = ()


@final
@dataclass(frozen=True, slots=True)
class QuotaRoot:
    """``* QUOTAROOT INBOX ""`` (RFC 9208 §4.2.2)."""

    mailbox: str
    roots: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Unknown:
    """Untagged data that this package does not understand; a client lets it pass."""

    octets: bytes
    """The whole response without its last CRLF."""


#: Everything that a server can say.
Response = (
    Condition
    | Continuation
    | Capability
    | Enabled
    | Flags
    | Exists
    | Recent
    | Expunge
    | Vanished
    | Search
    | ESearch
    | Sort
    | Thread
    | List
    | Lsub
    | Status
    | Namespace
    | Fetch
    | Id
    | Quota
    | QuotaRoot
)
