"""
Mail on its way out: `corvus_server.storage.protocols.Queue` over SQLite.

A lease is a token in the rows (R7): take what is due, commit, talk SMTP with no transaction open, and finish only if
the token is still there.  A leased recipient is due again when its lease ends, so a crash delays and never loses.
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, final

from corvus_server.storage.bodies import BodyReader
from corvus_server.storage.errors import LeaseLost, NotFound
from corvus_server.storage.registry import Notices
from corvus_server.storage.sqlite.engine import Database, Transaction
from corvus_server.storage.sqlite.folders import QUEUE, BodyFolders
from corvus_server.storage.sqlite.intake import IntakeWriter
from corvus_server.storage.values import (
    MAX_DIALOGUE,
    Accepted,
    Attempt,
    Intake,
    Lease,
    QueueEntry,
    QueueRecipient,
    RecipientOutcome,
    RecipientState,
)

__all__ = ["SQLiteQueue", "cut_dialogue"]

_ENTRY: Final = (
    "e.id, e.created, e.mail_from, e.size, e.prefix, e.account_id, e.eight_bit, e.smtputf8, e.require_tls, "
    "e.envelope_id, e.return_content, e.expires, e.priority, e.notes, e.finished, e.body_file"
)
_RECIPIENT: Final = (
    "id, entry_id, address, domain, state, attempts, next_attempt, lease_until, last_code, last_enhanced, "
    "last_text, notify, original, delay_told, finished"
)
_ATTEMPT: Final = (
    "id, entry_id, number, started, finished, outcome, recipients, host, address, code, enhanced, answer, tls, "
    "details, dialogue"
)
_OPEN: Final = "state in ('waiting', 'leased', 'held')"
_MAX_DETAILS: Final = 16 * 1024


def cut_dialogue(dialogue: str) -> str:
    """At most `MAX_DIALOGUE` octets: the beginning and the end say most."""
    octets = dialogue.encode("utf-8", "replace")
    if len(octets) <= MAX_DIALOGUE:
        return octets.decode("utf-8", "replace")
    half = MAX_DIALOGUE // 2 - 32
    cut = b"\n... %d octets left out ...\n" % (len(octets) - 2 * half)
    return (octets[:half] + cut + octets[-half:]).decode("utf-8", "ignore")


def _recipient(row: tuple[Any, ...]) -> QueueRecipient:
    return QueueRecipient(
        id=row[0],
        entry_id=row[1],
        address=row[2],
        domain=row[3],
        state=RecipientState(row[4]),
        attempts=row[5],
        next_attempt=row[6],
        lease_until=row[7],
        last_code=row[8],
        last_enhanced=row[9],
        last_text=row[10],
        notify=row[11],
        original=row[12],
        delay_told=bool(row[13]),
        finished=row[14],
    )


def _entry(row: tuple[Any, ...], recipients: tuple[QueueRecipient, ...]) -> QueueEntry:
    return QueueEntry(
        id=row[0],
        created=row[1],
        mail_from=row[2],
        size=row[3],
        prefix=row[4],
        account_id=row[5],
        eight_bit=bool(row[6]),
        smtputf8=bool(row[7]),
        require_tls=bool(row[8]),
        envelope_id=row[9],
        return_content=row[10],
        expires=row[11],
        priority=row[12],
        notes=json.loads(row[13]),
        finished=row[14],
        name=row[15],
        recipients=recipients,
    )


def _attempt(row: tuple[Any, ...]) -> Attempt:
    return Attempt(
        id=row[0],
        entry_id=row[1],
        number=row[2],
        started=row[3],
        finished=row[4],
        outcome=row[5],
        recipients=tuple(json.loads(row[6])),
        host=row[7],
        address=row[8],
        code=row[9],
        enhanced=row[10],
        text=row[11],
        tls=json.loads(row[12]),
        details=json.loads(row[13]),
        dialogue=row[14],
    )


@final
class SQLiteQueue:
    """The queue."""

    def __init__(
        self,
        database: Database,
        folders: BodyFolders,
        intake: IntakeWriter,
        notices: Notices,
        new_token: Callable[[], str],
    ) -> None:
        self._database = database
        self._folders = folders
        self._intake = intake
        self._notices = notices
        self._new_token = new_token

    # Leases.

    async def lease_due(
        self, now: float, limit: int, lease_seconds: float, *, skip_domains: Iterable[str] = ()
    ) -> list[Lease]:
        skipped = json.dumps(sorted(skip_domains))
        until = now + lease_seconds

        def run(tx: Transaction) -> list[Lease]:
            groups = tx.db.execute(
                "select r.entry_id, r.domain from queue_recipients r join queue_entries e on e.id = r.entry_id "
                "where r.state in ('waiting', 'leased') and r.next_attempt <= ? "
                "and r.domain not in (select value from json_each(?)) "
                "group by r.entry_id, r.domain order by max(e.priority) desc, min(r.next_attempt), r.entry_id "
                "limit ?",
                (now, skipped, limit),
            ).fetchall()
            leases = []
            for entry_id, domain in groups:
                token = self._new_token()
                tx.db.execute(
                    "update queue_recipients set state = 'leased', attempts = attempts + 1, lease_until = ?1, "
                    "next_attempt = ?1, lease_token = ?2 where entry_id = ?3 and domain = ?4 "
                    "and state in ('waiting', 'leased') and next_attempt <= ?5",
                    (until, token, entry_id, domain, now),
                )
                taken = _of_token(tx, token)
                entry = _read_entry(tx, entry_id)
                leases.append(
                    Lease(token=token, entry=entry, domain=domain, recipients=taken, until=until)
                )
            return leases

        # Looking first costs a key; a writer's turn for nothing costs an fsync.
        due = self.next_due()
        if due is None or due > now:
            return []
        return await self._database.write(run)

    async def renew(self, token: str, until: float) -> None:
        def run(tx: Transaction) -> None:
            if not tx.db.execute(
                "update queue_recipients set lease_until = ?1, next_attempt = ?1 "
                "where lease_token = ?2 and state = 'leased'",
                (until, token),
            ).rowcount:
                raise LeaseLost("the lease belongs to somebody else now")

        await self._database.write(run)

    async def finish_attempt(
        self,
        token: str,
        outcomes: Sequence[RecipientOutcome],
        attempt: Attempt | None,
        *,
        then: Intake | None = None,
    ) -> Accepted | None:
        prepared = await self._intake.prepare(then) if then is not None else None

        def run(tx: Transaction) -> Accepted | None:
            mine = {recipient.id: recipient for recipient in _of_token(tx, token)}
            if not mine:
                raise LeaseLost("the lease belongs to somebody else now")
            entry_id = next(iter(mine.values())).entry_id
            for outcome in outcomes:
                if outcome.recipient_id not in mine:
                    raise LeaseLost("the lease does not hold that recipient")
                _conclude(tx, outcome)
            tx.db.execute(
                "update queue_recipients set state = 'waiting', lease_until = null, lease_token = null, "
                "next_attempt = ? where lease_token = ?",
                (tx.now, token),
            )
            if attempt is not None:
                _insert_attempt(tx, entry_id, attempt)
            self._finish_entry(tx, entry_id)
            tx.wake_queue = True
            return prepared.run(tx) if prepared is not None else None

        return await self._database.write(run, prepared.placements if prepared else ())

    def _finish_entry(self, tx: Transaction, entry_id: int) -> None:
        """An entry whose recipients are all done lets go of its body, behind the commit."""
        if tx.db.execute(
            f"select 1 from queue_recipients where entry_id = ? and {_OPEN} limit 1", (entry_id,)
        ).fetchone():
            return
        row = tx.db.execute(
            "update queue_entries set finished = ? where id = ? and finished is null returning body_file",
            (tx.now, entry_id),
        ).fetchone()
        if row is not None:
            tx.after.append(lambda: self._folders.unlink(QUEUE, row[0]))

    # Reading.

    def next_due(self) -> float | None:
        row = self._database.reader.execute(
            "select min(next_attempt) from queue_recipients where state in ('waiting', 'leased')"
        ).fetchone()
        due: float | None = row[0]
        return due

    def entry(self, entry_id: int) -> QueueEntry | None:
        rows = self._database.reader.execute(
            f"select {_ENTRY} from queue_entries e where e.id = ?", (entry_id,)
        ).fetchall()
        return _entry(rows[0], self.recipients(entry_id)) if rows else None

    def recipients(self, entry_id: int) -> tuple[QueueRecipient, ...]:
        rows = self._database.reader.execute(
            f"select {_RECIPIENT} from queue_recipients where entry_id = ? order by id", (entry_id,)
        ).fetchall()
        return tuple(_recipient(row) for row in rows)

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
        conditions = ["e.finished is not null" if finished else "e.finished is null"]
        values: list[Any] = []
        if account_id is not None:
            conditions.append("e.account_id = ?")
            values.append(account_id)
        if before_id is not None:
            conditions.append("e.id < ?")
            values.append(before_id)
        if state is not None or domain is not None:
            inner = ["r.entry_id = e.id"]
            if state is not None:
                inner.append("r.state = ?")
                values.append(state.value)
            if domain is not None:
                inner.append("r.domain = ?")
                values.append(domain.lower())
            conditions.append(
                f"exists (select 1 from queue_recipients r where {' and '.join(inner)})"
            )
        rows = self._database.reader.execute(
            f"select {_ENTRY} from queue_entries e where {' and '.join(conditions)} order by e.id desc limit ?",
            (*values, limit),
        ).fetchall()
        return [_entry(row, self.recipients(row[0])) for row in rows]

    def counts(self) -> dict[RecipientState, int]:
        rows = self._database.reader.execute(
            "select state, count(*) from queue_recipients group by state"
        ).fetchall()
        return {RecipientState(state): count for state, count in rows}

    def attempts(self, entry_id: int) -> list[Attempt]:
        rows = self._database.reader.execute(
            f"select {_ATTEMPT} from attempts where entry_id = ? order by id", (entry_id,)
        ).fetchall()
        return [_attempt(row) for row in rows]

    def read_body(self, entry: QueueEntry, offset: int = 0, length: int | None = None) -> bytes:
        wanted = entry.size - offset if length is None else length
        return self._folders.read(QUEUE, entry.name, entry.prefix, offset, wanted)

    def open_body(self, entry: QueueEntry) -> BodyReader:
        return BodyReader(entry.prefix, fd=self._folders.open(QUEUE, entry.name))

    # What an administrator does.

    async def _change(
        self,
        entry_id: int,
        recipients: Sequence[int] | None,
        sql: str,
        states: str,
        finish: bool = False,
    ) -> int:
        chosen = "" if recipients is None else " and id in (select value from json_each(:chosen))"

        def run(tx: Transaction) -> int:
            if not tx.db.execute(
                "select 1 from queue_entries where id = ?", (entry_id,)
            ).fetchone():
                raise NotFound("there is no such entry in the queue")
            count = tx.db.execute(
                f"update queue_recipients set {sql} where entry_id = :entry and state in ({states}){chosen}",
                {"entry": entry_id, "now": tx.now, "chosen": json.dumps(list(recipients or ()))},
            ).rowcount
            if finish:
                self._finish_entry(tx, entry_id)
            tx.wake_queue = True
            return count

        return await self._database.write(run)

    async def hold(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        return await self._change(entry_id, recipients, "state = 'held'", "'waiting'")

    async def release(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        return await self._change(entry_id, recipients, "state = 'waiting'", "'held'")

    async def retry(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        return await self._change(
            entry_id, recipients, "state = 'waiting', next_attempt = :now", "'waiting', 'held'"
        )

    async def drop(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        return await self._change(
            entry_id,
            recipients,
            "state = 'dropped', finished = :now, lease_until = null, lease_token = null",
            "'waiting', 'held', 'leased'",
            finish=True,
        )

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._notices.subscribe_queue(callback)


def _of_token(tx: Transaction, token: str) -> tuple[QueueRecipient, ...]:
    rows = tx.db.execute(
        f"select {_RECIPIENT} from queue_recipients where lease_token = ? and state = 'leased' order by id",
        (token,),
    ).fetchall()
    return tuple(_recipient(row) for row in rows)


def _read_entry(tx: Transaction, entry_id: int) -> QueueEntry:
    row = tx.db.execute(
        f"select {_ENTRY} from queue_entries e where e.id = ?", (entry_id,)
    ).fetchone()
    recipients = tx.db.execute(
        f"select {_RECIPIENT} from queue_recipients where entry_id = ? order by id", (entry_id,)
    ).fetchall()
    return _entry(row, tuple(_recipient(r) for r in recipients))


def _conclude(tx: Transaction, outcome: RecipientOutcome) -> None:
    """One recipient's fate."""
    state = outcome.state
    if state is RecipientState.LEASED:
        raise ValueError("a finished attempt leaves no lease")
    due = tx.now if outcome.next_attempt is None else outcome.next_attempt
    tx.db.execute(
        "update queue_recipients set state = ?, next_attempt = ?, lease_until = null, lease_token = null, "
        "last_code = ?, last_enhanced = ?, last_text = ?, delay_told = max(delay_told, ?), finished = ? "
        "where id = ?",
        (
            state.value,
            due,
            outcome.code,
            outcome.enhanced,
            outcome.text[:2000],
            int(outcome.delay_told),
            tx.now if state.final else None,
            outcome.recipient_id,
        ),
    )


def _insert_attempt(tx: Transaction, entry_id: int, attempt: Attempt) -> None:
    details = json.dumps(dict(attempt.details), ensure_ascii=False)
    if len(details.encode("utf-8", "replace")) > _MAX_DETAILS:
        details = json.dumps({"left out": "more than 16 KB"})
    tx.db.execute(
        "insert into attempts (entry_id, number, started, finished, outcome, recipients, host, address, code, "
        "enhanced, answer, tls, details, dialogue) select ?, count(*) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
        "from attempts where entry_id = ?",
        (
            entry_id,
            attempt.started,
            attempt.finished,
            attempt.outcome,
            json.dumps(list(attempt.recipients)),
            attempt.host,
            attempt.address,
            attempt.code,
            attempt.enhanced,
            attempt.text[:2000],
            json.dumps(dict(attempt.tls), ensure_ascii=False),
            details,
            cut_dialogue(attempt.dialogue),
            entry_id,
        ),
    )
