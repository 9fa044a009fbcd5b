"""
The nouns of the queue; `corvus_server.storage.values` has them, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, final

from corvus_server.storage.prefixes import check_prefix

__all__ = [
    "MAX_DIALOGUE",
    "Attempt",
    "Lease",
    "QueueEntry",
    "QueueRecipient",
    "Queued",
    "QueuedRecipient",
    "RecipientOutcome",
    "RecipientState",
]

MAX_DIALOGUE: Final = 16 * 1024
"""Octets of one attempt's dialogue; more is cut in the middle by the store."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRecipient:
    """A recipient outside, with what its RCPT said (RFC 3461)."""

    address: str
    notify: str = ""
    """``NEVER`` or a comma list of SUCCESS, FAILURE, DELAY; empty: not said."""
    original: str = ""
    """ORCPT, such as ``rfc822;alice@example.com``."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """One message for recipients outside; the body is that of the `Intake`, behind `prefix`."""

    mail_from: str
    """The reverse path without ``<>``; empty for a bounce."""
    recipients: Sequence[QueuedRecipient]
    prefix: bytes = b""
    account_id: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    require_tls: bool = False
    envelope_id: str = ""
    return_content: str = ""
    """RET: ``FULL``, ``HDRS`` or empty."""
    not_before: float | None = None
    expires: float | None = None
    """None: the queue runner's own rule."""
    priority: int = 0
    held: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the web shows beside it (subject, connection id); at most 4 KB as JSON."""

    def __post_init__(self) -> None:
        check_prefix(self.prefix)


class RecipientState(StrEnum):
    """Where a recipient of the queue stands."""

    WAITING = "waiting"
    LEASED = "leased"
    HELD = "held"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up, and the sender was told."""
    DROPPED = "dropped"
    """Taken out by an administrator; nobody was told."""

    @property
    def final(self) -> bool:
        return self in _FINAL


_FINAL: Final = frozenset({RecipientState.DELIVERED, RecipientState.FAILED, RecipientState.DROPPED})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRecipient:
    """One recipient of a queue entry, each with a fate of its own."""

    id: int
    entry_id: int
    address: str
    domain: str
    state: RecipientState = RecipientState.WAITING
    attempts: int = 0
    """Leases taken; one more than the attempts recorded means one was cut off and may have been delivered (R7)."""
    next_attempt: float = 0.0
    lease_until: float | None = None
    last_code: int = 0
    last_enhanced: str = ""
    last_text: str = ""
    notify: str = ""
    original: str = ""
    delay_told: bool = False
    finished: float | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """One message on its way out."""

    id: int
    created: float
    mail_from: str
    size: int
    """Octets with the prefix."""
    prefix: bytes = field(default=b"", repr=False)
    recipients: tuple[QueueRecipient, ...] = ()
    account_id: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    require_tls: bool = False
    envelope_id: str = ""
    return_content: str = ""
    expires: float | None = None
    priority: int = 0
    notes: Mapping[str, Any] = field(default_factory=dict)
    finished: float | None = None
    """When the last recipient got a final state; the body is gone then."""
    name: str = ""
    """The body file, relative to the queue folder."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Recipients of one entry at one domain, yours until `until` or until `finish_attempt`."""

    token: str
    entry: QueueEntry
    domain: str
    recipients: tuple[QueueRecipient, ...]
    until: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientOutcome:
    """What an attempt meant for one recipient."""

    recipient_id: int
    state: RecipientState
    """WAITING with `next_attempt`, HELD, or a final one."""
    next_attempt: float | None = None
    code: int = 0
    enhanced: str = ""
    text: str = ""
    delay_told: bool = False
    """A "delayed" DSN goes out with this outcome."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to deliver, as data: kept 30 days."""

    started: float
    finished: float
    outcome: str
    """``delivered``, ``deferred``, ``failed``, or the stage that broke such as ``connect``."""
    recipients: tuple[int, ...] = ()
    host: str = ""
    address: str = ""
    code: int = 0
    enhanced: str = ""
    text: str = ""
    tls: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    """MX answers, the address chosen and why, timings, why the next try is when it is; at most 16 KB as JSON."""
    dialogue: str = ""
    """C: and S: lines without message data and credentials; cut to `MAX_DIALOGUE`."""
    id: int = 0
    entry_id: int = 0
    number: int = 0
