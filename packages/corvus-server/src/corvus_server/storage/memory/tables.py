"""
What the memory store holds: plain dictionaries, and the few steps its groups share.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, final
from weakref import WeakValueDictionary

from corvus_server.storage.errors import NoSuchMailbox, NotFound, StoreClosed
from corvus_server.storage.flags import DELETED, SEEN, split_flags
from corvus_server.storage.registry import Notices, Registry
from corvus_server.storage.state import MailboxState
from corvus_server.storage.values import (
    Account,
    Alias,
    AppPassword,
    Attempt,
    Domain,
    GreylistEntry,
    LoginAttempt,
    Mailbox,
    MessageFacts,
    QueueEntry,
    QueueRecipient,
    Verdict,
    WebSession,
)

__all__ = ["Box", "Content", "Owner", "Row", "Tables", "json_copy"]


@final
@dataclass(slots=True, eq=False, weakref_slot=True)
class Content:
    """A message as it came: shared by its copies."""

    account_id: int
    serial: int
    raw: bytes
    prefix: bytes
    facts: MessageFacts
    internal_time: int
    zone: int
    thread_id: str
    verdict_id: int | None


@final
@dataclass(slots=True, eq=False)
class Row:
    """A message in a mailbox."""

    flags: int
    modseq: int
    content: Content
    saved_at: int

    @property
    def size(self) -> int:
        return self.content.facts.size


@final
@dataclass(slots=True, eq=False)
class Box:
    """A mailbox and its messages, ascending by UID because UIDs only grow."""

    id: int
    account_id: int
    name: str
    special_use: str
    uid_validity: int
    created: float
    modseq: int
    uid_next: int = 1
    recent_from: int = 1
    rows: dict[int, Row] = field(default_factory=dict)
    tombstones: list[tuple[int, int, float]] = field(default_factory=list)
    """(uid, modseq, when)."""
    horizon: int = 0

    def value(self, subscribed: bool) -> Mailbox:
        flags = [row.flags for row in self.rows.values()]
        return Mailbox(
            id=self.id,
            account_id=self.account_id,
            name=self.name,
            special_use=self.special_use,
            uid_validity=self.uid_validity,
            uid_next=self.uid_next,
            modseq=self.modseq,
            messages=len(flags),
            unseen=sum(not value & SEEN for value in flags),
            deleted=sum(bool(value & DELETED) for value in flags),
            octets=sum(row.size for row in self.rows.values()),
            subscribed=subscribed,
            created=self.created,
        )


@final
@dataclass(slots=True, eq=False)
class Owner:
    """What an account has beside its value."""

    account: Account
    modseq: int = 1
    next_uid_validity: int = 1
    next_serial: int = 1
    subscriptions: set[str] = field(default_factory=set)
    retired: dict[str, int] = field(default_factory=dict)
    annotations: dict[int, dict[str, bytes]] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)
    keyword_sets: dict[tuple[str, ...], int] = field(default_factory=dict)
    threads: dict[str, str] = field(default_factory=dict)
    app_passwords: dict[int, AppPassword] = field(default_factory=dict)


@final
class Tables:
    """Everything, and who is told of changes."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.closed = False
        self.registry = Registry()
        self.notices = Notices()
        self._last: dict[str, int] = {}
        self.contents: WeakValueDictionary[str, Content] = WeakValueDictionary()
        self.domains: dict[str, Domain] = {}
        self.owners: dict[int, Owner] = {}
        self.aliases: dict[str, Alias] = {}
        self.boxes: dict[int, Box] = {}
        self.logins: list[LoginAttempt] = []
        self.entries: dict[int, QueueEntry] = {}
        self.queue_bodies: dict[int, bytes] = {}
        self.recipients: dict[int, QueueRecipient] = {}
        self.tokens: dict[int, str] = {}
        self.attempts: dict[int, list[Attempt]] = {}
        self.verdicts: dict[int, Verdict] = {}
        self.greylist: dict[tuple[str, str], GreylistEntry] = {}
        self.sessions: dict[bytes, WebSession] = {}
        self.settings: dict[str, str] = {}
        self._touched: dict[int, int] = {}

    def number(self, kind: str) -> int:
        """The next number of a kind: never used again."""
        self._last[kind] = self._last.get(kind, 0) + 1
        return self._last[kind]

    def writable(self) -> None:
        if self.closed:
            raise StoreClosed("the store is closed")

    # Accounts.

    def owner(self, account_id: int) -> Owner:
        owner = self.owners.get(account_id)
        if owner is None:
            raise NotFound("there is no such account")
        return owner

    def account(self, owner: Owner) -> Account:
        """The value as of now, with what is counted."""
        boxes = [box for box in self.boxes.values() if box.account_id == owner.account.id]
        rows = [row for box in boxes for row in box.rows.values()]
        return replace(
            owner.account,
            used=sum(row.size for row in rows),
            messages=len(rows),
            modseq=owner.modseq,
        )

    def bump(self, account_id: int) -> int:
        """The next MODSEQ of an account (R1)."""
        owner = self.owner(account_id)
        owner.modseq += 1
        self._touched[account_id] = owner.modseq
        return owner.modseq

    def tell(self) -> None:
        """Send the notices of a finished write (R8)."""
        touched, self._touched = self._touched, {}
        for account_id, modseq in touched.items():
            self.notices.notify(account_id, modseq)

    def next_uid_validity(self, owner: Owner) -> int:
        validity = max(owner.next_uid_validity, int(self.now()))
        owner.next_uid_validity = validity + 1
        return validity

    # Mailboxes.

    def box(self, mailbox_id: int) -> Box:
        box = self.boxes.get(mailbox_id)
        if box is None:
            raise NoSuchMailbox("there is no such mailbox")
        return box

    def boxes_of(self, account_id: int) -> dict[str, Box]:
        return {box.name: box for box in self.boxes.values() if box.account_id == account_id}

    def make_box(self, owner: Owner, name: str, special_use: str, modseq: int) -> Box:
        box = Box(
            id=self.number("mailbox"),
            account_id=owner.account.id,
            name=name,
            special_use=special_use,
            uid_validity=self.next_uid_validity(owner),
            created=self.now(),
            modseq=modseq,
        )
        self.boxes[box.id] = box
        return box

    def load(self, box: Box) -> MailboxState:
        rows = box.rows
        return MailboxState(
            id=box.id,
            account_id=box.account_id,
            uid_validity=box.uid_validity,
            uid_next=box.uid_next,
            modseq=box.modseq,
            keywords=self.registry.keywords(box.account_id),
            uids=array("I", rows),
            flags=array("I", (row.flags for row in rows.values())),
            modseqs=array("Q", (row.modseq for row in rows.values())),
            sizes=array("I", (row.size for row in rows.values())),
            serials=array("I", (row.content.serial for row in rows.values())),
        )

    # Flags.

    def encode_flags(self, owner: Owner, flags: Iterable[str]) -> int:
        bits, keywords = split_flags(flags)
        if not keywords:
            return bits
        names = tuple(owner.spellings.setdefault(k.lower(), k) for k in keywords)
        set_id = owner.keyword_sets.setdefault(names, len(owner.keyword_sets) + 1)
        self.registry.keywords(owner.account.id).learn(set_id, names)
        return set_id << 8 | bits

    def flag_names(self, owner: Owner, value: int) -> tuple[str, ...]:
        return self.registry.keywords(owner.account.id).names(value)

    # Messages.

    def insert(self, box: Box, modseq: int, items: Iterable[tuple[int, Content]]) -> list[int]:
        """Put (flags, content) behind what is there; the UIDs."""
        uids, flags, sizes, serials = [], [], [], []
        for value, content in items:
            uid = box.uid_next
            box.uid_next += 1
            box.rows[uid] = Row(value, modseq, content, int(self.now()))
            uids.append(uid)
            flags.append(value)
            sizes.append(content.facts.size)
            serials.append(content.serial)
        box.modseq = modseq
        self.registry.apply(
            box.id, lambda state: state.appended(modseq, uids, flags, sizes, serials)
        )
        return uids

    def remove(self, box: Box, modseq: int, uids: list[int]) -> None:
        """Take messages away and leave tombstones (R4)."""
        for uid in uids:
            del box.rows[uid]
            box.tombstones.append((uid, modseq, self.now()))
        box.modseq = modseq
        self.registry.apply(box.id, lambda state: state.expunged(modseq, uids))

    def thread_of(self, owner: Owner, serial: int, facts: MessageFacts) -> str:
        own = f"T{owner.account.id << 32 | serial}"
        refs = ([facts.message_id] if facts.message_id else []) + list(facts.references[-32:])
        known = [owner.threads[ref] for ref in refs if ref in owner.threads]
        thread = min(known, key=lambda t: int(t[1:]), default=own)
        for ref in refs:
            owner.threads.setdefault(ref, thread)
        return thread

    def add_content(
        self,
        owner: Owner,
        raw: bytes,
        prefix: bytes,
        facts: MessageFacts,
        internal: float | None,
        zone: int,
        verdict_id: int | None,
    ) -> Content:
        serial = owner.next_serial
        owner.next_serial += 1
        content = Content(
            account_id=owner.account.id,
            serial=serial,
            raw=raw,
            prefix=prefix,
            facts=facts,
            internal_time=int(self.now() if internal is None else internal),
            zone=zone,
            thread_id=self.thread_of(owner, serial, facts),
            verdict_id=verdict_id,
        )
        self.contents[f"{content.account_id}.{serial}"] = content
        return content


def json_copy(value: Any) -> Any:
    """What comes back after a round through JSON, which is all a store promises to keep."""
    return json.loads(json.dumps(value))
