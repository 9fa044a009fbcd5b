"""A value for every command of RFC 3501 and RFC 9051, grouped by the state in which it is valid.

Commands of extensions stand in the extension's own file; `Command` names them all.  Lists of options
keep the order of the client; sets of options are frozensets.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import final

from corvus_imap.extensions.compress import Compress
from corvus_imap.extensions.id import Id
from corvus_imap.extensions.quota import GetQuota, GetQuotaRoot, SetQuota
from corvus_imap.extensions.sort import Sort, Thread
from corvus_imap.types.atoms import Secret
from corvus_imap.types.fetch import FetchItem
from corvus_imap.types.flags import Flag
from corvus_imap.types.listing import ListReturn, ListSelect
from corvus_imap.types.resync import QResync
from corvus_imap.types.search import SearchKey, SearchReturn
from corvus_imap.types.sequence import MessageSet
from corvus_imap.types.status import StatusItem

# Any state (RFC 9051 §6.1)


@final
@dataclass(frozen=True, slots=True)
class Capability:
    """CAPABILITY; ``ok`` tells the list by itself."""


@final
@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP; the moment for what has changed."""


@final
@dataclass(frozen=True, slots=True)
class Logout:
    """LOGOUT; ``ok`` says BYE by itself, and the connection closes."""


# Not authenticated (§6.2)


@final
@dataclass(frozen=True, slots=True)
class StartTLS:
    """STARTTLS; pause reading, then ``accept``, write, shake hands, ``start_tls``."""


@final
@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE: an exchange of octets that the engine does not look into."""

    mechanism: str
    """In capitals."""
    initial: Secret | None = None
    """The initial response (RFC 4959); ``None`` if there is none, ``b""`` if it is empty (``=``)."""


@final
@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN."""

    user: str
    password: Secret


# Authenticated (§6.3)


@final
@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE; ``ok`` enables what is known and tells it by itself (RFC 5161)."""

    capabilities: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Select:
    """
    SELECT, or EXAMINE with *read_only*.

    The mailbox that was selected before is closed when this arrives, whatever your answer
    (RFC 9051 §6.3.2); ``* OK [CLOSED]`` has been queued.
    """

    mailbox: str
    read_only: bool = False
    condstore: bool = False
    """``(CONDSTORE)``, so mod-sequences are wanted from now on (RFC 7162 §3.1.8)."""
    qresync: QResync | None = None


@final
@dataclass(frozen=True, slots=True)
class Create:
    """CREATE, with the uses that are wanted for it (RFC 6154 §3)."""

    mailbox: str
    use: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE."""

    mailbox: str


@final
@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    mailbox: str
    new: str


@final
@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE."""

    mailbox: str


@final
@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    mailbox: str


@final
@dataclass(frozen=True, slots=True)
class List:
    """LIST, extended or not (RFC 5258): *patterns* are put behind *reference*, see `ListPattern`."""

    reference: str
    patterns: tuple[str, ...]
    select: frozenset[ListSelect] = frozenset()
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()
    """``RETURN (STATUS (...))``, so tell these as STATUS does (RFC 5819)."""
    extended: bool = False
    """The client used the extended syntax, so that an empty pattern is no question for the delimiter."""


@final
@dataclass(frozen=True, slots=True)
class Lsub:
    """LSUB (RFC 3501 §6.3.9 only)."""

    reference: str
    pattern: str


@final
@dataclass(frozen=True, slots=True)
class Namespace:
    """NAMESPACE (RFC 2342)."""


@final
@dataclass(frozen=True, slots=True)
class Status:
    """STATUS."""

    mailbox: str
    items: tuple[StatusItem, ...]


@final
@dataclass(frozen=True, slots=True)
class Idle:
    """IDLE (RFC 2177): ``accept``, then ``push`` what happens until `IdleDone`."""


# Selected (§6.4)


@final
@dataclass(frozen=True, slots=True)
class Check:
    """CHECK (RFC 3501 §6.4.1 only)."""


@final
@dataclass(frozen=True, slots=True)
class Close:
    """CLOSE: what is flagged as deleted is expunged silently, unless read-only."""


@final
@dataclass(frozen=True, slots=True)
class Unselect:
    """UNSELECT: leave without expunging (RFC 3691)."""


@final
@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE, or UID EXPUNGE of those among *uids* (RFC 4315 §2.1)."""

    uids: MessageSet | None = None


@final
@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH and UID SEARCH."""

    key: SearchKey
    returns: frozenset[SearchReturn] | None = None
    """``None`` wants SEARCH as answer, a set ESEARCH (an empty one was given as ``RETURN ()``)."""
    uid: bool = False
    charset: str | None = None
    """As the client named it; texts in *key* are decoded already."""


@final
@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH and UID FETCH."""

    messages: MessageSet
    items: tuple[FetchItem, ...]
    """Macros are expanded; ``UID`` is not added for UID FETCH, yet must be told there (§6.4.9)."""
    uid: bool = False
    changed_since: int | None = None
    """Only what has a higher mod-sequence (RFC 7162 §3.1.4.1)."""
    vanished: bool = False
    """Tell what was expunged since then as well (RFC 7162 §3.2.6)."""


class StoreAction(enum.Enum):
    """What STORE does with its flags; the value is the prefix of ``FLAGS``."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@final
@dataclass(frozen=True, slots=True)
class Store:
    """STORE and UID STORE."""

    messages: MessageSet
    action: StoreAction
    flags: tuple[Flag, ...]
    silent: bool = False
    uid: bool = False
    unchanged_since: int | None = None
    """Leave alone, and name in MODIFIED, what has a higher mod-sequence (RFC 7162 §3.1.3)."""


@final
@dataclass(frozen=True, slots=True)
class Copy:
    """COPY and UID COPY."""

    messages: MessageSet
    mailbox: str
    uid: bool = False


@final
@dataclass(frozen=True, slots=True)
class Move:
    """MOVE and UID MOVE (RFC 6851)."""

    messages: MessageSet
    mailbox: str
    uid: bool = False


#: Everything that can stand in `CommandReceived`.  APPEND has events of its own.
Command = (
    Capability
    | Noop
    | Logout
    | StartTLS
    | Authenticate
    | Login
    | Enable
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | Unsubscribe
    | List
    | Lsub
    | Namespace
    | Status
    | Idle
    | Check
    | Close
    | Unselect
    | Expunge
    | Search
    | Fetch
    | Store
    | Copy
    | Move
    | Id
    | Sort
    | Thread
    | GetQuota
    | GetQuotaRoot
    | SetQuota
    | Compress
)
