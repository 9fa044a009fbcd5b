"""Mail on its way out, in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, final

from corvus_server.storage.bodies import BodyReader
from corvus_server.storage.errors import LeaseLost, NotFound
from corvus_server.storage.memory.tables import Tables, json_copy
from corvus_server.storage.sqlite.queue import cut_dialogue
from corvus_server.storage.values import (
    Accepted,
    Attempt,
    Intake,
    Lease,
    Queued,
    QueueEntry,
    QueueRecipient,
    RecipientOutcome,
    RecipientState,
)

__all__ = ["MemoryQueue"]

_LEASABLE: Final = (RecipientState.WAITING, RecipientState.LEASED)


@final
class MemoryQueue:
    """The queue."""

    def __init__(
        self, tables: Tables, accept: Callable[[Intake], Accepted], new_token: Callable[[], str]
    ) -> None:
        self._tables = tables
        self._accept = accept
        self._new_token = new_token

    def enqueue(self, queued: Queued, raw: bytes) -> int:
        """A new entry: for the store itself."""
        tables = self._tables
        now = tables.now()
        entry = QueueEntry(
            id=tables.number("entry"),
            created=now,
            mail_from=queued.mail_from,
            size=len(raw) + len(queued.prefix),
            prefix=queued.prefix,
            account_id=queued.account_id,
            eight_bit=queued.eight_bit,
            smtputf8=queued.smtputf8,
            require_tls=queued.require_tls,
            envelope_id=queued.envelope_id,
            return_content=queued.return_content,
            expires=queued.expires,
            priority=queued.priority,
            notes=json_copy(dict(queued.notes)),
        )
        tables.entries[entry.id] = entry
        tables.queue_bodies[entry.id] = raw
        tables.attempts[entry.id] = []
        for wanted in queued.recipients:
            recipient = QueueRecipient(
                id=tables.number("recipient"),
                entry_id=entry.id,
                address=wanted.address,
                domain=wanted.address.rpartition("@")[2].lower(),
                state=RecipientState.HELD if queued.held else RecipientState.WAITING,
                next_attempt=now if queued.not_before is None else queued.not_before,
                notify=wanted.notify,
                original=wanted.original,
            )
            tables.recipients[recipient.id] = recipient
        return entry.id

    def _set(self, recipient: QueueRecipient) -> None:
        self._tables.recipients[recipient.id] = recipient

    # Leases.

    async def lease_due(
        self, now: float, limit: int, lease_seconds: float, *, skip_domains: Iterable[str] = ()
    ) -> list[Lease]:
        tables = self._tables
        tables.writable()
        skipped = set(skip_domains)
        groups: dict[tuple[int, str], list[QueueRecipient]] = {}
        for recipient in tables.recipients.values():
            if (
                recipient.state in _LEASABLE
                and recipient.next_attempt <= now
                and recipient.domain not in skipped
            ):
                groups.setdefault((recipient.entry_id, recipient.domain), []).append(recipient)

        def order(key: tuple[int, str]) -> tuple[int, float, int]:
            return (
                -tables.entries[key[0]].priority,
                min(r.next_attempt for r in groups[key]),
                key[0],
            )

        leases = []
        until = now + lease_seconds
        for key in sorted(groups, key=order)[:limit]:
            token = self._new_token()
            taken = []
            for recipient in groups[key]:
                leased = replace(
                    recipient,
                    state=RecipientState.LEASED,
                    attempts=recipient.attempts + 1,
                    lease_until=until,
                    next_attempt=until,
                )
                self._set(leased)
                tables.tokens[leased.id] = token
                taken.append(leased)
            entry = self.entry(key[0])
            assert entry is not None  # its recipients are there
            leases.append(
                Lease(token=token, entry=entry, domain=key[1], recipients=tuple(taken), until=until)
            )
        return leases

    def _of_token(self, token: str) -> dict[int, QueueRecipient]:
        found = {
            r.id: r
            for r in self._tables.recipients.values()
            if r.state is RecipientState.LEASED and self._tables.tokens.get(r.id) == token
        }
        if not found:
            raise LeaseLost("the lease belongs to somebody else now")
        return found

    async def renew(self, token: str, until: float) -> None:
        self._tables.writable()
        for recipient in self._of_token(token).values():
            self._set(replace(recipient, lease_until=until, next_attempt=until))

    async def finish_attempt(
        self,
        token: str,
        outcomes: Sequence[RecipientOutcome],
        attempt: Attempt | None,
        *,
        then: Intake | None = None,
    ) -> Accepted | None:
        tables = self._tables
        tables.writable()
        mine = self._of_token(token)
        for outcome in outcomes:
            if outcome.recipient_id not in mine:
                raise LeaseLost("the lease does not hold that recipient")
            if outcome.state is RecipientState.LEASED:
                raise ValueError("a finished attempt leaves no lease")
        accepted = self._accept(then) if then is not None else None
        entry_id = next(iter(mine.values())).entry_id
        now = tables.now()
        for outcome in outcomes:
            recipient = mine.pop(outcome.recipient_id)
            self._set(
                replace(
                    recipient,
                    state=outcome.state,
                    next_attempt=now if outcome.next_attempt is None else outcome.next_attempt,
                    lease_until=None,
                    last_code=outcome.code,
                    last_enhanced=outcome.enhanced,
                    last_text=outcome.text[:2000],
                    delay_told=recipient.delay_told or outcome.delay_told,
                    finished=now if outcome.state.final else None,
                )
            )
        for recipient in mine.values():
            self._set(
                replace(recipient, state=RecipientState.WAITING, lease_until=None, next_attempt=now)
            )
        if attempt is not None:
            self._record(entry_id, attempt)
        self._finish_entry(entry_id)
        tables.notices.wake_queue()
        return accepted

    def _record(self, entry_id: int, attempt: Attempt) -> None:
        details = json_copy(dict(attempt.details))
        if len(json.dumps(details, ensure_ascii=False).encode("utf-8", "replace")) > 16 * 1024:
            details = {"left out": "more than 16 KB"}
        kept = self._tables.attempts[entry_id]
        kept.append(
            replace(
                attempt,
                id=self._tables.number("attempt"),
                entry_id=entry_id,
                number=len(kept) + 1,
                text=attempt.text[:2000],
                tls=json_copy(dict(attempt.tls)),
                details=details,
                dialogue=cut_dialogue(attempt.dialogue),
            )
        )

    def _finish_entry(self, entry_id: int) -> None:
        entry = self._tables.entries[entry_id]
        if entry.finished is None and all(r.state.final for r in self.recipients(entry_id)):
            self._tables.entries[entry_id] = replace(entry, finished=self._tables.now())
            del self._tables.queue_bodies[entry_id]

    # Reading.

    def next_due(self) -> float | None:
        return min(
            (r.next_attempt for r in self._tables.recipients.values() if r.state in _LEASABLE),
            default=None,
        )

    def entry(self, entry_id: int) -> QueueEntry | None:
        entry = self._tables.entries.get(entry_id)
        return replace(entry, recipients=self.recipients(entry_id)) if entry else None

    def recipients(self, entry_id: int) -> tuple[QueueRecipient, ...]:
        return tuple(r for r in self._tables.recipients.values() if r.entry_id == entry_id)

    def entries(
        self,
        *,
        state: RecipientState | None = None,
        domain: str | None = None,
        account_id: int | None = None,
        finished: bool = False,
        before_id: int | None = None,
        limit: int = 100,
    ) -> list[QueueEntry]:
        found = []
        for entry_id in sorted(self._tables.entries, reverse=True):
            entry = self.entry(entry_id)
            assert entry is not None  # it is in the table
            if (
                (entry.finished is not None) is finished
                and (account_id is None or entry.account_id == account_id)
                and (before_id is None or entry.id < before_id)
                and any(
                    (state is None or r.state is state)
                    and (domain is None or r.domain == domain.lower())
                    for r in entry.recipients
                )
            ):
                found.append(entry)
        return found[:limit]

    def counts(self) -> dict[RecipientState, int]:
        counts: dict[RecipientState, int] = {}
        for recipient in self._tables.recipients.values():
            counts[recipient.state] = counts.get(recipient.state, 0) + 1
        return counts

    def attempts(self, entry_id: int) -> list[Attempt]:
        return list(self._tables.attempts.get(entry_id, ()))

    def read_body(self, entry: QueueEntry, offset: int = 0, length: int | None = None) -> bytes:
        with self.open_body(entry) as reader:
            return reader.pread(offset, entry.size - offset if length is None else length)

    def open_body(self, entry: QueueEntry) -> BodyReader:
        raw = self._tables.queue_bodies.get(entry.id)
        if raw is None:
            raise NotFound("the body of the message is gone")
        return BodyReader(entry.prefix, data=raw)

    # What an administrator does.

    def _change(
        self,
        entry_id: int,
        recipients: Sequence[int] | None,
        states: tuple[RecipientState, ...],
        change: Callable[[QueueRecipient], QueueRecipient],
    ) -> int:
        self._tables.writable()
        if entry_id not in self._tables.entries:
            raise NotFound("there is no such entry in the queue")
        chosen = [
            r
            for r in self.recipients(entry_id)
            if r.state in states and (recipients is None or r.id in recipients)
        ]
        for recipient in chosen:
            self._set(change(recipient))
        self._finish_entry(entry_id)
        self._tables.notices.wake_queue()
        return len(chosen)

    async def hold(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        return self._change(
            entry_id,
            recipients,
            (RecipientState.WAITING,),
            lambda r: replace(r, state=RecipientState.HELD),
        )

    async def release(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        return self._change(
            entry_id,
            recipients,
            (RecipientState.HELD,),
            lambda r: replace(r, state=RecipientState.WAITING),
        )

    async def retry(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        now = self._tables.now()
        return self._change(
            entry_id,
            recipients,
            (RecipientState.WAITING, RecipientState.HELD),
            lambda r: replace(r, state=RecipientState.WAITING, next_attempt=now),
        )

    async def drop(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        now = self._tables.now()
        return self._change(
            entry_id,
            recipients,
            (RecipientState.WAITING, RecipientState.HELD, RecipientState.LEASED),
            lambda r: replace(r, state=RecipientState.DROPPED, finished=now, lease_until=None),
        )

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._tables.notices.subscribe_queue(callback)
