"""The store in memory, put together."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import final

from corvus_server.storage.bodies import Body
from corvus_server.storage.errors import (
    InvalidName,
    NoSuchMailbox,
    OverQuota,
    StoreClosed,
)
from corvus_server.storage.facts import facts_of
from corvus_server.storage.memory.directory import MemoryDirectory
from corvus_server.storage.memory.mailboxes import MemoryMailboxes
from corvus_server.storage.memory.messages import MemoryMessages
from corvus_server.storage.memory.queue import MemoryQueue
from corvus_server.storage.memory.records import (
    MemoryGreylist,
    MemoryKeys,
    MemoryLogins,
    MemorySettings,
    MemoryVerdicts,
    MemoryWebSessions,
)
from corvus_server.storage.memory.tables import Box, Tables
from corvus_server.storage.protocols import ChangeCallback
from corvus_server.storage.seal import KEY_SIZE, Sealer
from corvus_server.storage.values import (
    Accepted,
    Delivery,
    Filed,
    Finding,
    Intake,
    MessageFacts,
    SweepReport,
)

__all__ = ["MemoryStore"]

_DAY = 86400.0


@final
class MemoryStore:
    """
    A store that forgets everything when it is closed.

    Args:
        now: The clock.
        random: The source of tokens and nonces.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._tables = tables = Tables(now)
        self.directory = MemoryDirectory(tables)
        self.logins = MemoryLogins(tables)
        self.mailboxes = MemoryMailboxes(tables)
        self.messages = MemoryMessages(tables)
        self.queue = MemoryQueue(tables, self._accept, lambda: random(16).hex())
        self.verdicts = MemoryVerdicts(tables)
        self.greylist = MemoryGreylist(tables)
        self.web_sessions = MemoryWebSessions(tables)
        self.settings = MemorySettings(tables)
        self.keys = MemoryKeys(tables, Sealer(random(KEY_SIZE), random))

    def new_body(self) -> Body:
        if self._tables.closed:
            raise StoreClosed("the store is closed")
        return Body()

    async def accept(self, intake: Intake) -> Accepted:
        return self._accept(intake)

    def _accept(self, intake: Intake) -> Accepted:
        tables = self._tables
        tables.writable()
        if intake.body.consumed:
            raise ValueError("the body was handed in before")
        raw = intake.body.getvalue()
        facts = intake.facts or facts_of(raw)
        for queued in intake.queued:
            if not queued.recipients:
                raise ValueError("a queue entry has at least one recipient")
            if any("@" not in r.address for r in queued.recipients):
                raise InvalidName("a recipient is not an address")
        if intake.verdict is not None:
            self.verdicts.check(intake.verdict)
        wholes = []
        for delivery in intake.deliveries:
            tables.owner(delivery.account_id)
            prefix = delivery.prefix
            plain = not prefix or facts.begins_with_field
            wholes.append(facts.behind(prefix) if plain else facts_of(raw, prefix=prefix))
        room = self._room(intake, wholes)
        if intake.deliveries and not any(room) and not intake.queued:
            raise OverQuota(
                "the account is over its quota", tuple(d.account_id for d in intake.deliveries)
            )
        verdict_id = self.verdicts.insert(intake.verdict) if intake.verdict else None
        filed = [
            self._file(delivery, raw, whole, verdict_id) if fits else None
            for delivery, whole, fits in zip(intake.deliveries, wholes, room, strict=True)
        ]
        queue_ids = [self.queue.enqueue(queued, raw) for queued in intake.queued]
        if intake.deliveries or intake.queued:
            intake.body.done()
        tables.tell()
        if queue_ids:
            tables.notices.wake_queue()
        return Accepted(filed=tuple(filed), queue_ids=tuple(queue_ids), verdict_id=verdict_id)

    def _room(self, intake: Intake, wholes: list[MessageFacts]) -> list[bool]:
        """Which deliveries fit, counting the ones before them."""
        used: dict[int, int] = {}
        room = []
        for delivery, facts in zip(intake.deliveries, wholes, strict=True):
            account = self._tables.account(self._tables.owner(delivery.account_id))
            after = used.get(account.id, account.used) + facts.size
            fits = not account.quota or after <= account.quota
            if fits:
                used[account.id] = after
            room.append(fits)
        return room

    def _file(
        self, delivery: Delivery, raw: bytes, facts: MessageFacts, verdict_id: int | None
    ) -> Filed:
        tables = self._tables
        owner = tables.owner(delivery.account_id)
        box = self._box_for(delivery)
        modseq = tables.bump(delivery.account_id)
        content = tables.add_content(
            owner, raw, delivery.prefix, facts, delivery.internal_date, delivery.zone, verdict_id
        )
        flags = tables.encode_flags(owner, delivery.flags)
        (uid,) = tables.insert(box, modseq, [(flags, content)])
        return Filed(
            account_id=delivery.account_id,
            mailbox_id=box.id,
            uid=uid,
            modseq=modseq,
            email_id=f"M{content.account_id << 32 | content.serial}",
        )

    def _box_for(self, delivery: Delivery) -> Box:
        boxes = self._tables.boxes_of(delivery.account_id)
        for box in boxes.values():
            if delivery.mailbox in (box.name, box.special_use or box.name):
                return box
        if "INBOX" not in boxes:
            raise NoSuchMailbox("the account has no INBOX")
        return boxes["INBOX"]

    def subscribe(self, account_id: int | None, callback: ChangeCallback) -> Callable[[], None]:
        return self._tables.notices.subscribe(account_id, callback)

    async def check(self, *, fix: bool = False) -> list[Finding]:
        findings = []
        for box in self._tables.boxes.values():
            owner = self._tables.owners.get(box.account_id)
            subject = f"{owner.account.address if owner else '?'}/{box.name}"
            for rule, right, message in (
                ("R1", owner is not None and box.modseq <= owner.modseq, "MODSEQ"),
                ("R1", all(uid < box.uid_next for uid in box.rows), "UIDNEXT"),
                ("R1", list(box.rows) == sorted(box.rows), "order of UIDs"),
                ("R1", all(row.modseq <= box.modseq for row in box.rows.values()), "HIGHESTMODSEQ"),
                ("R4", not any(uid in box.rows for uid, _, _ in box.tombstones), "tombstones"),
            ):
                if not right:
                    findings.append(Finding(rule=rule, subject=subject, message=f"wrong {message}"))
        for entry in self._tables.entries.values():
            if (entry.finished is None) != (entry.id in self._tables.queue_bodies):
                findings.append(
                    Finding(rule="R5", subject=f"queue entry {entry.id}", message="wrong body")
                )
        return findings

    async def sweep(self, *, grace: float = 3600.0) -> SweepReport:
        tables = self._tables
        tables.writable()
        now = tables.now()
        stones = 0
        for box in tables.boxes.values():
            old = [stone for stone in box.tombstones if stone[2] < now - 30 * _DAY]
            if old:
                box.horizon = max(box.horizon, *(modseq for _, modseq, _ in old))
                kept = [stone for stone in box.tombstones if stone[1] > box.horizon]
                stones += len(box.tombstones) - len(kept)
                box.tombstones = kept
        expired = [digest for digest, s in tables.sessions.items() if s.expires <= now]
        for digest in expired:
            del tables.sessions[digest]
        finished = [
            e.id
            for e in tables.entries.values()
            if e.finished is not None and e.finished < now - 30 * _DAY
        ]
        for entry_id in finished:
            del tables.entries[entry_id]
            del tables.attempts[entry_id]
        tables.recipients = {
            i: r for i, r in tables.recipients.items() if r.entry_id in tables.entries
        }
        return SweepReport(tombstones=stones, sessions=len(expired), queue_entries=len(finished))

    async def flush(self) -> None:
        self._tables.writable()

    async def close(self) -> None:
        self._tables.closed = True

    async def __aenter__(self) -> MemoryStore:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
