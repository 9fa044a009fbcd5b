"""
``corvus check`` (R12): what is stored, compared with itself.

The rows are read in one snapshot while the server works on.  What could be a delivery under way (a file without a
row) is looked at again in the writer's turn, when nothing is under way; repairs are made there, too.
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, final

from corvus_server.storage.errors import StoreError
from corvus_server.storage.facts import facts_of, format_internal_date
from corvus_server.storage.seal import Sealer
from corvus_server.storage.sqlite.engine import Database, Transaction
from corvus_server.storage.sqlite.folders import QUEUE, BodyFolders
from corvus_server.storage.sqlite.rows import parts_text, unshifted
from corvus_server.storage.values import Finding
from corvus_server.storage.words import search_key

__all__ = ["Checker"]

_MAILBOX: Final = "a.address || '/' || b.name"


@final
class Checker:
    """One run of the check."""

    def __init__(self, database: Database, folders: BodyFolders, sealer: Sealer) -> None:
        self._database = database
        self._folders = folders
        self._sealer = sealer

    async def run(self, *, fix: bool) -> list[Finding]:
        files = await self._database.read(lambda db: self._files())
        findings, suspects = await self._database.read(lambda db: self._read(db, files))
        if suspects:
            findings += await self._database.write(lambda tx: self._orphans(tx, suspects, fix))
        findings += await self._database.write(lambda tx: _index(tx, fix), settled=True)
        if not fix:
            return findings
        return await self._database.write(lambda tx: self._repair(tx, findings), settled=True)

    def _files(self) -> set[str]:
        """All body files, relative to the data folder; listed before the rows are read."""
        root = self._folders.root
        found = {f"{QUEUE}/{entry.name}" for entry in (root / QUEUE).iterdir()}
        for new in (root / "mail").glob("*/*/new"):
            folder = new.parent.relative_to(root)
            found.update(f"{folder}/{entry.name}" for entry in new.iterdir())
        return found

    # Reading.

    def _read(self, db: sqlite3.Connection, files: set[str]) -> tuple[list[Finding], set[str]]:
        db.execute("begin")
        try:
            findings = [
                *_database(db),
                *_mailboxes(db),
                *_accounts(db),
                *_messages(db),
                *_queue(db),
            ]
            findings += self._keys(db)
            named: set[str] = set()
            for finding in self._bodies(db, named):
                findings.append(finding)
            return findings, files - named
        finally:
            db.execute("rollback")

    def _bodies(self, db: sqlite3.Connection, named: set[str]) -> Iterator[Finding]:
        """Every row has its file, of the right size; what is named goes into `named`."""
        rows = db.execute(
            "select c.id, c.body_file, c.size - length(c.prefix), coalesce(a.folder, json_extract(s.value, '$')), "
            "a.address from contents c left join accounts a on a.id = c.id >> 32 "
            "left join settings s on s.key = 'store.removed.' || (c.id >> 32)"
        )
        for content, name, size, folder, address in rows:
            path = f"{folder}/{name}"
            named.add(path)
            yield from self._one_body(
                self._folders.path_of(folder or "", name), size, f"{address} message M{content}"
            )
        rows = db.execute(
            "select id, body_file, size - length(prefix) from queue_entries where finished is null"
        )
        for entry, name, size in rows:
            named.add(f"{QUEUE}/{name}")
            yield from self._one_body(
                self._folders.path_of(QUEUE, name), size, f"queue entry {entry}"
            )

    def _one_body(self, path: Path, size: int, subject: str) -> Iterator[Finding]:
        try:
            found = path.stat().st_size
        except OSError:
            yield Finding(rule="R5", subject=subject, message=f"its body {path.name} is missing")
            return
        if found != size:
            yield Finding(
                rule="R5", subject=subject, message=f"its body has {found} octets instead of {size}"
            )

    def _keys(self, db: sqlite3.Connection) -> Iterator[Finding]:
        for domain, selector, sealed in db.execute(
            "select domain, selector, sealed from dkim_keys"
        ):
            try:
                self._sealer.open(sealed, domain=domain, selector=selector)
            except StoreError as error:
                yield Finding(
                    rule="R14", subject=f"{selector}._domainkey.{domain}", message=str(error)
                )

    # In the writer's turn.

    def _orphans(self, tx: Transaction, suspects: set[str], fix: bool) -> list[Finding]:
        """Files that still have no row now that every delivery of that moment is done."""
        findings = []
        for path in sorted(suspects):
            folder, _, name = path.rpartition("/")
            if folder == QUEUE:
                row = tx.db.execute(
                    "select 1 from queue_entries where body_file = ? and finished is null", (name,)
                ).fetchone()
            else:
                # A name is random and long: whoever has it, has this file.
                row = tx.db.execute(
                    "select 1 from contents c join accounts a on a.folder = ? where c.body_file = ? "
                    "and c.id between a.id << 32 and (a.id << 32) + 4294967295",
                    (folder, name),
                ).fetchone()
            where = self._folders.path_of(folder, name)
            if row is not None or not where.exists():
                continue
            if fix:
                self._folders.unlink(folder, name)
            findings.append(
                Finding(
                    rule="R5",
                    subject=str(where.relative_to(self._folders.root)),
                    message="no message has this body",
                    fixable=True,
                    fixed=fix,
                )
            )
        return findings

    def _repair(self, tx: Transaction, findings: list[Finding]) -> list[Finding]:
        """Counters, structures and orphans; what is lost stays a finding."""
        if any(f.fixable and not f.fixed for f in findings):
            _recount(tx)
            _doom_unreferenced(tx)
            self._recompute(tx)
        return [
            Finding(
                rule=f.rule,
                subject=f.subject,
                message=f.message,
                fixable=f.fixable,
                fixed=f.fixable,
            )
            for f in findings
        ]

    def _recompute(self, tx: Transaction) -> None:
        """Cached structures that are missing, made again from the body."""
        rows = tx.db.execute(
            "select c.id, c.body_file, c.prefix, a.folder, min(m.internal_time), m.zone from contents c "
            "join accounts a on a.id = c.id >> 32 join messages m on m.content_id = c.id "
            "where not exists (select 1 from envelopes where id = c.id) "
            "or not exists (select 1 from details where id = c.id) "
            "or not exists (select 1 from heads where id = c.id) group by c.id"
        ).fetchall()
        for content, name, prefix, folder, internal, zone in rows:
            try:
                raw = self._folders.path_of(folder, name).read_bytes()
            except OSError:
                continue  # a finding of its own
            facts = unshifted(facts_of(prefix + raw), prefix)
            db = tx.db
            db.execute(
                "insert or replace into envelopes values (?, ?, ?)",
                (content, format_internal_date(internal, zone), facts.envelope),
            )
            db.execute(
                "insert or replace into details values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    content, facts.bodystructure, facts.header_fields, facts.body, facts.subject, facts.sender,
                    facts.to, facts.cc, facts.preview, parts_text(facts),
                ),
            )  # fmt: skip
            if not db.execute("select 1 from heads where id = ?", (content,)).fetchone():
                keys = [
                    search_key(text)
                    for text in (facts.subject, facts.sender, facts.to, facts.cc, facts.bcc)
                ]
                db.execute("insert into heads values (?, ?, ?, ?, ?, ?)", (content, *keys))
        if rows:
            tx.db.execute("insert into head_index (head_index) values ('rebuild')")


def _rows(
    db: sqlite3.Connection,
    sql: str,
    rule: str,
    message: Callable[..., str],
    *,
    fixable: bool = False,
) -> Iterator[Finding]:
    """One finding a row: the first column is the subject, the others go into the message."""
    for subject, *values in db.execute(sql):
        yield Finding(rule=rule, subject=str(subject), message=message(*values), fixable=fixable)


def _database(db: sqlite3.Connection) -> Iterator[Finding]:
    for (line,) in db.execute("pragma quick_check(20)"):
        if line != "ok":
            yield Finding(rule="schema", subject="corvus.db", message=str(line))
    for table, row, parent, _ in db.execute("pragma foreign_key_check"):
        yield Finding(
            rule="schema",
            subject=f"{table} row {row}",
            message=f"it refers to a row of {parent} that is gone",
        )


def _mailboxes(db: sqlite3.Connection) -> Iterator[Finding]:
    source = "from mailboxes b join accounts a on a.id = b.account_id"
    yield from _rows(
        db,
        f"select {_MAILBOX}, max(m.uid), b.uid_next {source} join messages m on m.mailbox_id = b.id "
        "group by b.id having max(m.uid) >= b.uid_next",
        "R1",
        lambda uid, uid_next: f"UID {uid} is not below UIDNEXT {uid_next}",
    )
    yield from _rows(
        db,
        f"select {_MAILBOX}, max(m.modseq), b.modseq {source} join messages m on m.mailbox_id = b.id "
        "group by b.id having max(m.modseq) > b.modseq",
        "R1",
        lambda modseq, highest: f"MODSEQ {modseq} is above HIGHESTMODSEQ {highest}",
    )
    yield from _rows(
        db,
        f"select {_MAILBOX}, b.modseq, a.modseq {source} where b.modseq > a.modseq",
        "R1",
        lambda modseq, account: f"HIGHESTMODSEQ {modseq} is above the account's MODSEQ {account}",
    )
    yield from _rows(
        db,
        f"select {_MAILBOX}, b.uid_validity, a.next_uid_validity {source} "
        "where b.uid_validity >= a.next_uid_validity",
        "R3",
        lambda validity, following: f"UIDVALIDITY {validity} is not below the next one {following}",
    )
    yield from _rows(
        db,
        f"select {_MAILBOX}, b.messages, b.unseen, b.deleted, b.octets, count(m.uid), "
        "count(m.uid) - coalesce(sum(m.flags & 1), 0), coalesce(sum(m.flags >> 3 & 1), 0), "
        f"coalesce(sum(m.size), 0) {source} left join messages m on m.mailbox_id = b.id group by b.id "
        "having b.messages <> count(m.uid) or b.octets <> coalesce(sum(m.size), 0) "
        "or b.unseen <> count(m.uid) - coalesce(sum(m.flags & 1), 0) "
        "or b.deleted <> coalesce(sum(m.flags >> 3 & 1), 0)",
        "R12",
        lambda *v: f"counts (messages, unseen, deleted, octets) are {v[:4]} and should be {v[4:]}",
        fixable=True,
    )
    yield from _rows(
        db,
        f"select {_MAILBOX}, m.uid, m.modseq, t.modseq {source} join tombstones t on t.mailbox_id = b.id "
        "join messages m on m.mailbox_id = b.id and m.uid between t.first_uid and t.last_uid",
        "R4",
        lambda uid, modseq, gone: (
            f"UID {uid} is there (MODSEQ {modseq}) and expunged (MODSEQ {gone})"
        ),
    )
    yield from _rows(
        db,
        f"select {_MAILBOX}, max(t.last_uid), b.uid_next {source} join tombstones t on t.mailbox_id = b.id "
        "group by b.id having max(t.last_uid) >= b.uid_next",
        "R4",
        lambda uid, uid_next: f"UID {uid} was expunged and is not below UIDNEXT {uid_next}",
    )


def _accounts(db: sqlite3.Connection) -> Iterator[Finding]:
    yield from _rows(
        db,
        "select a.address, a.used, a.messages, coalesce(sum(b.octets), 0), coalesce(sum(b.messages), 0) "
        "from accounts a left join mailboxes b on b.account_id = a.id group by a.id "
        "having a.used <> coalesce(sum(b.octets), 0) or a.messages <> coalesce(sum(b.messages), 0)",
        "R12",
        lambda *v: f"octets and messages are {v[:2]} and should be {v[2:]}",
        fixable=True,
    )
    yield from _rows(
        db,
        "select address from accounts a where not exists "
        "(select 1 from mailboxes where account_id = a.id and name = 'INBOX')",
        "R12",
        lambda: "there is no INBOX",
    )
    yield from _rows(
        db,
        "select a.address, max(c.id) & 4294967295, a.next_serial from accounts a "
        "join contents c on c.id between a.id << 32 and (a.id << 32) + 4294967295 "
        "group by a.id having (max(c.id) & 4294967295) >= a.next_serial",
        "R1",
        lambda serial, following: f"content {serial} is not below the next one {following}",
    )


def _messages(db: sqlite3.Connection) -> Iterator[Finding]:
    source = "from messages m join mailboxes b on b.id = m.mailbox_id join accounts a on a.id = b.account_id"
    subject = f"{_MAILBOX} || ' uid ' || m.uid"
    yield from _rows(
        db,
        "select 'uid ' || uid, mailbox_id from messages m where not exists "
        "(select 1 from mailboxes where id = m.mailbox_id)",
        "R12",
        lambda mailbox: f"there is no mailbox {mailbox}",
    )
    yield from _rows(
        db,
        f"select {subject} {source} left join contents c on c.id = m.content_id where c.id is null "
        "or c.id >> 32 <> b.account_id",
        "R5",
        lambda: "its content is missing or somebody else's",
    )
    yield from _rows(
        db,
        f"select {subject}, m.size, c.size {source} join contents c on c.id = m.content_id where c.size <> m.size",
        "R12",
        lambda size, right: f"its size is {size} and should be {right}",
        fixable=True,
    )
    yield from _rows(
        db,
        f"select {subject} {source} where not exists (select 1 from envelopes where id = m.content_id) "
        "or not exists (select 1 from details where id = m.content_id) "
        "or not exists (select 1 from heads where id = m.content_id)",
        "R11",
        lambda: "what is computed at delivery is missing",
        fixable=True,
    )
    yield from _rows(
        db,
        f"select {subject}, m.flags >> 8 {source} where m.flags > 255 and not exists "
        "(select 1 from keyword_sets where account_id = b.account_id and id = m.flags >> 8)",
        "R12",
        lambda set_id: f"its keywords {set_id} are unknown",
    )
    yield from _rows(
        db,
        "select 'M' || id from contents c where not exists (select 1 from messages where content_id = c.id) "
        "and not exists (select 1 from doomed where content_id = c.id)",
        "R12",
        lambda: "no message has this content and nothing will sweep it",
        fixable=True,
    )


def _queue(db: sqlite3.Connection) -> Iterator[Finding]:
    yield from _rows(
        db,
        "select 'queue entry ' || id from queue_entries e where (finished is null) <> exists "
        "(select 1 from queue_recipients where entry_id = e.id and state in ('waiting', 'leased', 'held'))",
        "R7",
        lambda: "it is finished or not, and its recipients say otherwise",
    )
    yield from _rows(
        db,
        "select 'queue recipient ' || id, state from queue_recipients where (state = 'leased') <> "
        "(lease_token is not null) or state not in ('waiting', 'leased', 'held', 'delivered', 'failed', 'dropped')",
        "R7",
        lambda state: f"state {state} and its lease do not fit",
    )


def _index(tx: Transaction, fix: bool) -> list[Finding]:
    """The index of subjects and addresses against its rows."""
    try:
        tx.db.execute("insert into head_index (head_index, rank) values ('integrity-check', 1)")
    except sqlite3.DatabaseError:
        if fix:
            _reindex(tx)
        return [
            Finding(
                rule="R11",
                subject="head_index",
                message="the index of subjects and addresses does not fit its rows",
                fixable=True,
                fixed=fix,
            )
        ]
    return []


def _reindex(tx: Transaction) -> None:
    """The keys anew from the fields they were made of, and the index from the keys."""
    rows = tx.db.execute("select id, subject, sender, recipients, cc from details").fetchall()
    tx.db.executemany(
        "update heads set subject = ?, sender = ?, recipients = ?, cc = ? where id = ?",
        [(*(search_key(text) for text in texts), content) for content, *texts in rows],
    )
    tx.db.execute("insert into head_index (head_index) values ('rebuild')")


def _recount(tx: Transaction) -> None:
    db = tx.db
    db.execute(
        "update messages set size = (select size from contents where id = content_id) "
        "where size <> (select size from contents where id = content_id)"
    )
    db.execute(
        "update mailboxes set (messages, unseen, deleted, octets) = (select count(*), "
        "count(*) - coalesce(sum(flags & 1), 0), coalesce(sum(flags >> 3 & 1), 0), coalesce(sum(size), 0) "
        "from messages where mailbox_id = mailboxes.id)"
    )
    db.execute(
        "update accounts set (used, messages) = (select coalesce(sum(octets), 0), coalesce(sum(messages), 0) "
        "from mailboxes where account_id = accounts.id)"
    )


def _doom_unreferenced(tx: Transaction) -> None:
    tx.db.execute(
        "insert or ignore into doomed select id, ? from contents c "
        "where not exists (select 1 from messages where content_id = c.id)",
        (tx.now,),
    )
