"""
New messages: deliveries, APPENDs and queue entries, each with its body durable before its row (R5).
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, final

from corvus_server.storage.bodies import Body
from corvus_server.storage.errors import InvalidName, NoSuchMailbox, NotFound, OverQuota
from corvus_server.storage.facts import facts_of
from corvus_server.storage.flags import DELETED, SEEN
from corvus_server.storage.registry import Registry
from corvus_server.storage.sqlite.changes import remove_rows
from corvus_server.storage.sqlite.directory import SQLiteDirectory
from corvus_server.storage.sqlite.engine import Database, Transaction
from corvus_server.storage.sqlite.folders import QUEUE, Placement
from corvus_server.storage.sqlite.rows import (
    Computed,
    bump,
    encode_flags,
    insert_content,
    mailbox_account,
    unshifted,
)
from corvus_server.storage.values import (
    MAX_VERDICT,
    Accepted,
    Appended,
    Delivery,
    Filed,
    Intake,
    MessageFacts,
    NewMessage,
    Queued,
    RecipientState,
    Verdict,
)

__all__ = ["IntakeWriter", "PreparedIntake", "insert_verdict", "verdict_row"]

_INLINE: Final = 64 * 1024
"""Octets that are examined on the event loop; more goes to a thread."""
_MAX_NOTES: Final = 4096


@final
@dataclass(slots=True, eq=False)
class PreparedIntake:
    """An intake with its files named and its facts known, ready for the writer."""

    placements: Sequence[Placement]
    run: Callable[[Transaction], Accepted]


@final
@dataclass(slots=True, eq=False)
class _Copy:
    """One delivery, prepared."""

    index: int
    delivery: Delivery
    name: str
    prefix: bytes
    size: int
    computed: Computed


def verdict_row(verdict: Verdict) -> tuple[Any, ...]:
    """
    A verdict as values, without its time.

    Raises:
        ValueError: the tree is larger than `MAX_VERDICT`.
    """
    tree = json.dumps(dict(verdict.tree), ensure_ascii=False, separators=(",", ":"))
    if len(tree.encode("utf-8", "replace")) > MAX_VERDICT:
        raise ValueError(f"a verdict has at most {MAX_VERDICT} octets")
    return (
        verdict.action,
        verdict.sentence,
        verdict.mail_from,
        json.dumps(verdict.recipients[:100], ensure_ascii=False),
        verdict.client,
        tree,
    )


def insert_verdict(tx: Transaction, verdict: Verdict, row: tuple[Any, ...]) -> int:
    cursor = tx.db.execute(
        "insert into verdicts (created, action, sentence, mail_from, recipients, client, tree) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        (tx.now if verdict.created is None else verdict.created, *row),
    )
    assert cursor.lastrowid is not None  # a row was inserted
    return cursor.lastrowid


@final
class IntakeWriter:
    """How messages come into the store."""

    def __init__(
        self,
        database: Database,
        directory: SQLiteDirectory,
        registry: Registry,
        new_name: Callable[[], str],
    ) -> None:
        self._database = database
        self._directory = directory
        self._registry = registry
        self._new_name = new_name

    async def facts(
        self, body: Body, given: MessageFacts | None, prefix: bytes = b""
    ) -> MessageFacts:
        """The facts of ``prefix + body``."""
        if given is not None and not prefix:
            return given
        if body.size <= _INLINE:
            return facts_of(prefix + body.getvalue())
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: facts_of(prefix + body.getvalue()))

    # Deliveries and the queue.

    async def accept(self, intake: Intake) -> Accepted:
        prepared = await self.prepare(intake)
        return await self._database.write(prepared.run, prepared.placements)

    async def prepare(self, intake: Intake) -> PreparedIntake:
        """Everything that can be done before the writer's turn."""
        if intake.body.consumed:
            raise ValueError("the body was handed in before")
        facts = intake.facts
        if facts is None and intake.deliveries:
            facts = await self.facts(intake.body, None)
        targets: list[tuple[str, str]] = []
        copies: list[_Copy] = []
        plain = Computed.of(facts) if facts is not None else None
        for index, delivery in enumerate(intake.deliveries):
            account = self._directory.account_by_id(delivery.account_id)
            if account is None:
                raise NotFound("there is no such account")
            name = self._new_name()
            targets.append((account.folder, name))
            assert plain is not None  # there is a delivery, so there are facts
            copies.append(await self._copy(index, delivery, name, plain, intake.body))
        queue_names = []
        for queued in intake.queued:
            queue_names.append(self._new_name())
            targets.append((QUEUE, queue_names[-1]))
            _check_queued(queued)
        verdict = intake.verdict
        verdict_values = verdict_row(verdict) if verdict is not None else None
        # R2: accounts in order; within one, in the order given.
        copies.sort(key=lambda copy: copy.delivery.account_id)

        def run(tx: Transaction) -> Accepted:
            verdict_id = None
            if verdict is not None and verdict_values is not None:
                verdict_id = insert_verdict(tx, verdict, verdict_values)
            filed: list[Filed | None] = [None] * len(copies)
            refused = []
            for copy in copies:
                filed[copy.index] = self._file(tx, copy, verdict_id)
                if filed[copy.index] is None:
                    refused.append(copy)
            if refused and len(refused) == len(copies) and not intake.queued:
                raise OverQuota(
                    "the account is over its quota",
                    tuple(copy.delivery.account_id for copy in refused),
                )
            for copy in refused:
                folder = targets[copy.index][0]
                tx.after.append(partial(self._directory.forget_body, folder, copy.name))
            queue_ids = [
                _enqueue(tx, queued, name, intake.body.size)
                for queued, name in zip(intake.queued, queue_names, strict=True)
            ]
            tx.wake_queue = tx.wake_queue or bool(queue_ids)
            return Accepted(filed=tuple(filed), queue_ids=tuple(queue_ids), verdict_id=verdict_id)

        placements = [Placement(intake.body, targets)] if targets else []
        return PreparedIntake(placements, run)

    async def _copy(
        self, index: int, delivery: Delivery, name: str, plain: Computed, body: Body
    ) -> _Copy:
        """The facts of the body serve all recipients, unless a prefix would become part of what they are."""
        prefix = delivery.prefix
        if not prefix or plain.facts.begins_with_field:
            return _Copy(index, delivery, name, prefix, plain.facts.size + len(prefix), plain)
        whole = await self.facts(body, plain.facts, prefix)
        # insert_content shifts by the prefix: these facts are shifted back first.
        return _Copy(
            index, delivery, name, prefix, whole.size, Computed.of(unshifted(whole, prefix))
        )

    def _file(self, tx: Transaction, copy: _Copy, verdict_id: int | None) -> Filed | None:
        """One copy into one mailbox; None if there is no room."""
        db = tx.db
        delivery = copy.delivery
        account_id = delivery.account_id
        row = db.execute(
            "update accounts set modseq = modseq + 1, next_serial = next_serial + 1, used = used + ?1, "
            "messages = messages + 1 where id = ?2 and (quota = 0 or used + ?1 <= quota) "
            "returning modseq, next_serial - 1",
            (copy.size, account_id),
        ).fetchone()
        if row is None:
            if db.execute("select 1 from accounts where id = ?", (account_id,)).fetchone() is None:
                raise NotFound("there is no such account")
            return None
        modseq, serial = row
        tx.touched[account_id] = modseq
        mailbox_id = _mailbox_for(tx, account_id, delivery.mailbox)
        internal = tx.now if delivery.internal_date is None else delivery.internal_date
        content = insert_content(
            tx,
            account_id,
            serial,
            body_file=copy.name,
            prefix=copy.prefix,
            computed=copy.computed,
            internal_time=int(internal),
            zone=delivery.zone,
            verdict_id=verdict_id,
        )
        flags = encode_flags(tx, self._registry, account_id, delivery.flags)
        uid = _insert_message(
            tx, mailbox_id, modseq, flags, copy.size, content, int(internal), delivery.zone
        )
        self._arrived(tx, mailbox_id, modseq, [uid], [flags], [copy.size], [serial])
        return Filed(
            account_id=account_id,
            mailbox_id=mailbox_id,
            uid=uid,
            modseq=modseq,
            email_id=f"M{content}",
        )

    def _arrived(
        self,
        tx: Transaction,
        mailbox_id: int,
        modseq: int,
        uids: Sequence[int],
        flags: Sequence[int],
        sizes: Sequence[int],
        serials: Sequence[int],
    ) -> None:
        tx.effects.append(
            lambda: self._registry.apply(
                mailbox_id, lambda state: state.appended(modseq, uids, flags, sizes, serials)
            )
        )

    # APPEND.

    async def append(
        self,
        mailbox_id: int,
        messages: Sequence[NewMessage],
        replaces: tuple[int, int] | None,
    ) -> Appended:
        owner = self._directory.mailbox_owner(mailbox_id)
        if owner is None:
            raise NoSuchMailbox("there is no such mailbox")
        placements = []
        prepared: list[tuple[NewMessage, str, Computed]] = []
        for message in messages:
            if message.body.consumed:
                raise ValueError("the body was handed in before")
            name = self._new_name()
            facts = await self.facts(message.body, message.facts)
            placements.append(Placement(message.body, [(owner.folder, name)]))
            prepared.append((message, name, Computed.of(facts)))
        octets = sum(computed.facts.size for _, _, computed in prepared)

        def run(tx: Transaction) -> Appended:
            account_id = mailbox_account(tx, mailbox_id)
            freed = self._replaced(tx, account_id, replaces) if replaces else None
            modseq = bump(
                tx,
                account_id,
                octets=octets - (freed[2] if freed else 0),
                messages=len(prepared) - (1 if freed else 0),
            )
            row = tx.db.execute(
                "update accounts set next_serial = next_serial + ? where id = ? "
                "returning quota > 0 and used > quota, next_serial",
                (len(prepared), account_id),
            ).fetchone()
            if row[0] and octets > (freed[2] if freed else 0):
                raise OverQuota("the account is over its quota", (account_id,))
            serial = row[1] - len(prepared)
            added: list[tuple[int, int, int, int]] = []
            for message, name, computed in prepared:
                size = computed.facts.size
                internal = tx.now if message.internal_date is None else message.internal_date
                content = insert_content(
                    tx,
                    account_id,
                    serial,
                    body_file=name,
                    prefix=b"",
                    computed=computed,
                    internal_time=int(internal),
                    zone=message.zone,
                    verdict_id=None,
                )
                flags = encode_flags(tx, self._registry, account_id, message.flags)
                uid = _insert_message(
                    tx, mailbox_id, modseq, flags, size, content, int(internal), message.zone
                )
                added.append((uid, flags, size, serial))
                serial += 1
            uids = tuple(row[0] for row in added)
            rows = [tuple(row[i] for row in added) for i in range(4)] if added else [()] * 4
            if replaces and freed and replaces[0] == mailbox_id:
                uid, flags, size = freed
                self._replace_within(tx, mailbox_id, modseq, uid, flags, size, rows)
            else:
                self._arrived(tx, mailbox_id, modseq, *rows)
                if replaces and freed:
                    uid, flags, size = freed
                    remove_rows(tx, self._registry, replaces[0], modseq, [uid], [flags], size)
            validity = tx.db.execute(
                "select uid_validity from mailboxes where id = ?", (mailbox_id,)
            ).fetchone()[0]
            return Appended(uid_validity=validity, uids=uids, modseq=modseq)

        return await self._database.write(run, placements)

    def _replaced(
        self, tx: Transaction, account_id: int, replaces: tuple[int, int]
    ) -> tuple[int, int, int]:
        """(uid, flags, size) of the message that goes (RFC 8508)."""
        row = tx.db.execute(
            "select m.uid, m.flags, m.size, m.content_id from messages m join mailboxes b on b.id = m.mailbox_id "
            "where m.mailbox_id = ? and m.uid = ? and b.account_id = ?",
            (*replaces, account_id),
        ).fetchone()
        if row is None:
            raise NotFound("the message that is to be replaced is gone")
        tx.db.execute("insert or ignore into doomed values (?, ?)", (row[3], tx.now))
        return row[0], row[1], row[2]

    def _replace_within(
        self,
        tx: Transaction,
        mailbox_id: int,
        modseq: int,
        uid: int,
        flags: int,
        size: int,
        rows: Sequence[Sequence[int]],
    ) -> None:
        """The old goes and the new comes in one MODSEQ of one mailbox."""
        # The row must go without an effect of its own: a state takes each MODSEQ once.
        effects = len(tx.effects)
        remove_rows(tx, self._registry, mailbox_id, modseq, [uid], [flags], size)
        del tx.effects[effects:]
        uids, values, sizes, serials = rows
        tx.effects.append(
            lambda: self._registry.apply(
                mailbox_id,
                lambda state: state.moved_within(modseq, [uid], uids, values, sizes, serials),
            )
        )


def _mailbox_for(tx: Transaction, account_id: int, wanted: str) -> int:
    """By name or by special use; INBOX where there is none, so that mail is never without a place."""
    column = "special_use" if wanted.startswith("\\") else "name"
    row = tx.db.execute(
        f"select id from mailboxes where account_id = ? and {column} = ? order by id limit 1",
        (account_id, wanted),
    ).fetchone()
    if row is None:
        row = tx.db.execute(
            "select id from mailboxes where account_id = ? and name = 'INBOX'", (account_id,)
        ).fetchone()
    if row is None:
        raise NoSuchMailbox("the account has no INBOX")
    mailbox_id: int = row[0]
    return mailbox_id


def _insert_message(
    tx: Transaction,
    mailbox_id: int,
    modseq: int,
    flags: int,
    size: int,
    content: int,
    internal_time: int,
    zone: int,
) -> int:
    """The next UID of the mailbox, taken in the transaction of its row (R1)."""
    uid: int = tx.db.execute(
        "update mailboxes set uid_next = uid_next + 1, modseq = ?, messages = messages + 1, "
        "unseen = unseen + ?, deleted = deleted + ?, octets = octets + ? where id = ? returning uid_next - 1",
        (modseq, int(not flags & SEEN), int(bool(flags & DELETED)), size, mailbox_id),
    ).fetchone()[0]
    tx.db.execute(
        "insert into messages values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (mailbox_id, uid, flags, modseq, size, content, internal_time, zone, int(tx.now)),
    )
    return uid


def _check_queued(queued: Queued) -> None:
    if not queued.recipients:
        raise ValueError("a queue entry has at least one recipient")
    for recipient in queued.recipients:
        if "@" not in recipient.address:
            raise InvalidName(f"{recipient.address!r} is not an address")
    if len(json.dumps(dict(queued.notes))) > _MAX_NOTES:
        raise ValueError(f"notes have at most {_MAX_NOTES} octets")


def _enqueue(tx: Transaction, queued: Queued, name: str, size: int) -> int:
    cursor = tx.db.execute(
        "insert into queue_entries (created, mail_from, size, prefix, body_file, account_id, eight_bit, smtputf8, "
        "require_tls, envelope_id, return_content, expires, priority, notes) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            tx.now,
            queued.mail_from,
            size + len(queued.prefix),
            queued.prefix,
            name,
            queued.account_id,
            int(queued.eight_bit),
            int(queued.smtputf8),
            int(queued.require_tls),
            queued.envelope_id,
            queued.return_content,
            queued.expires,
            queued.priority,
            json.dumps(dict(queued.notes), ensure_ascii=False),
        ),
    )
    entry_id = cursor.lastrowid
    assert entry_id is not None  # a row was inserted
    state = RecipientState.HELD if queued.held else RecipientState.WAITING
    due = tx.now if queued.not_before is None else queued.not_before
    tx.db.executemany(
        "insert into queue_recipients (entry_id, address, domain, state, next_attempt, notify, original) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                entry_id,
                recipient.address,
                recipient.address.rpartition("@")[2].lower(),
                state.value,
                due,
                recipient.notify,
                recipient.original,
            )
            for recipient in queued.recipients
        ],
    )
    return entry_id
