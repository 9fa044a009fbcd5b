"""
What lies in the mailboxes: `corvus_server.storage.protocols.Messages` over SQLite.
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

import json
import sqlite3
import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final, final

from corvus_server.storage.bodies import BodyReader
from corvus_server.storage.errors import NoSuchMailbox
from corvus_server.storage.flags import Keywords
from corvus_server.storage.registry import Registry
from corvus_server.storage.sqlite import changes
from corvus_server.storage.sqlite.engine import Database, Transaction
from corvus_server.storage.sqlite.folders import BodyFolders
from corvus_server.storage.sqlite.intake import IntakeWriter
from corvus_server.storage.sqlite.rows import encode_uids
from corvus_server.storage.sqlite.search import Search
from corvus_server.storage.state import MailboxState
from corvus_server.storage.values import (
    Appended,
    Changes,
    Copied,
    Expunged,
    FlagOperation,
    FlagsStored,
    NewMessage,
    Part,
    StoredBody,
    Summary,
)

__all__ = ["SQLiteMessages", "load_state"]

#: Column of `Messages.fetch` -> (table, expression).
_COLUMNS: Final = {
    "flags": ("m", "m.flags"),
    "modseq": ("m", "m.modseq"),
    "size": ("m", "m.size"),
    "internal_time": ("m", "cast(m.internal_time as real)"),
    "saved_at": ("m", "cast(m.saved_at as real)"),
    "email_id": ("m", "'M' || m.content_id"),
    "internal_date": ("e", "e.internal_date"),
    "envelope": ("e", "e.envelope"),
    "bodystructure": ("d", "d.bodystructure"),
    "body": ("d", "d.body"),
    "header_fields": ("d", "d.header_fields"),
    "preview": ("d", "d.preview"),
    "subject": ("d", "d.subject"),
    "sender": ("d", "d.sender"),
    "to": ("d", "d.recipients"),
    "cc": ("d", "d.cc"),
    "header_size": ("c", "c.header_size"),
    "message_id": ("c", "c.message_id"),
    "sent_at": ("c", "c.sent_at"),
    "has_attachment": ("c", "c.has_attachment"),
    "thread_id": ("c", "'T' || c.thread_id"),
    "verdict_id": ("c", "c.verdict_id"),
    "body_file": ("c", "c.body_file"),
    "prefix": ("c", "c.prefix"),
}
_JOINS: Final = {
    "e": "join envelopes e on e.id = m.content_id",
    "d": "join details d on d.id = m.content_id",
    "c": "join contents c on c.id = m.content_id",
}


def load_state(db: sqlite3.Connection, mailbox_id: int, keywords: Keywords) -> MailboxState:
    """
    Read a mailbox into columns.

    One row comes back, made by SQLite in hexadecimal: 100,000 tuples would cost twice the time, and hold the
    interpreter while they are made.
    """
    db.execute("begin")
    try:
        row = db.execute(
            "select account_id, uid_validity, uid_next, modseq from mailboxes where id = ?",
            (mailbox_id,),
        ).fetchone()
        if row is None:
            raise NoSuchMailbox("there is no such mailbox")
        text = db.execute(
            "select group_concat(printf('%08x%08x%016x%08x%08x', "
            "uid, flags, modseq, size, content_id & 4294967295), '') "
            "from (select uid, flags, modseq, size, content_id from messages "
            "where mailbox_id = ? order by uid)",
            (mailbox_id,),
        ).fetchone()[0]
        sets = db.execute(
            "select id, names from keyword_sets where account_id = ?", (row[0],)
        ).fetchall()
    finally:
        db.execute("rollback")
    for set_id, names in sets:
        keywords.learn(set_id, tuple(names.split(" ")))
    octets = bytes.fromhex(text or "")
    # A row is six numbers of 32 bits, or three of 64, whose second is the MODSEQ.
    words, pairs = array("I", octets), array("Q", octets)
    if sys.byteorder == "little":  # printf writes the most significant digit first
        words.byteswap()
        pairs.byteswap()
    return MailboxState(
        id=mailbox_id,
        account_id=row[0],
        uid_validity=row[1],
        uid_next=row[2],
        modseq=row[3],
        keywords=keywords,
        uids=words[0::6],
        flags=words[1::6],
        modseqs=pairs[1::3],
        sizes=words[4::6],
        serials=words[5::6],
    )


@final
class SQLiteMessages:
    """Messages."""

    def __init__(
        self,
        database: Database,
        folders: BodyFolders,
        registry: Registry,
        intake: IntakeWriter,
        search: Search,
    ) -> None:
        self._database = database
        self._folders = folders
        self._registry = registry
        self._intake = intake
        self._search = search
        self._recent: dict[int, int] = {}

    # States.

    async def open(self, mailbox_id: int) -> MailboxState:
        state = self._registry.opened(mailbox_id)
        if state is not None:
            return state
        row = self._database.reader.execute(
            "select account_id from mailboxes where id = ?", (mailbox_id,)
        ).fetchone()
        if row is None:
            raise NoSuchMailbox("there is no such mailbox")
        keywords = self._registry.keywords(row[0])

        async def load() -> MailboxState:
            return await self._database.read(lambda db: load_state(db, mailbox_id, keywords))

        return await self._registry.open(mailbox_id, load)

    def opened(self, mailbox_id: int) -> MailboxState | None:
        return self._registry.opened(mailbox_id)

    def claim_recent(self, mailbox_id: int) -> int:
        row = self._database.reader.execute(
            "select uid_next, recent_from from mailboxes where id = ?", (mailbox_id,)
        ).fetchone()
        if row is None:
            raise NoSuchMailbox("there is no such mailbox")
        uid_next: int = row[0]
        first: int = max(row[1], self._recent.get(mailbox_id, 0))
        if first < uid_next:
            self._recent[mailbox_id] = uid_next

            def run(tx: Transaction) -> None:
                tx.db.execute(
                    "update mailboxes set recent_from = max(recent_from, ?) where id = ?",
                    (uid_next, mailbox_id),
                )

            self._database.write_later(run)
        return first

    # Reading.

    def _rows(
        self, mailbox_id: int, uids: Sequence[int], columns: Iterable[str]
    ) -> list[tuple[Any, ...]]:
        if not uids:
            return []
        wanted = [_COLUMNS[column] for column in columns]
        joins = " ".join(
            _JOINS[table] for table in dict.fromkeys(t for t, _ in wanted) if table != "m"
        )
        expressions = "".join(f", {expression}" for _, expression in wanted)
        first, last = uids[0], uids[-1]
        head = f"select m.uid{expressions} from messages m {joins} where m.mailbox_id = ? and "
        if last - first < 2 * len(uids) + 8:
            # Dense: read the range, drop what was not asked for.
            rows = self._database.reader.execute(
                f"{head} m.uid between ? and ? order by m.uid", (mailbox_id, first, last)
            ).fetchall()
            if last - first + 1 == len(uids):
                return rows
            asked = set(uids)
            return [row for row in rows if row[0] in asked]
        condition, values = encode_uids(uids)
        return self._database.reader.execute(
            f"{head} {condition.replace('uid', 'm.uid')} order by m.uid", (mailbox_id, *values)
        ).fetchall()

    def fetch(
        self, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        return self._rows(mailbox_id, uids, columns)

    def summaries(self, mailbox_id: int, uids: Sequence[int]) -> list[Summary]:
        rows = self._rows(
            mailbox_id,
            uids,
            (
                "flags",
                "size",
                "internal_time",
                "sent_at",
                "subject",
                "sender",
                "to",
                "preview",
                "has_attachment",
                "message_id",
                "email_id",
                "thread_id",
                "verdict_id",
            ),
        )
        if not rows:
            return []
        keywords = self._known_keywords(mailbox_id, rows)
        return [
            Summary(
                uid=row[0],
                flags=frozenset(keywords.names(row[1])),
                size=row[2],
                internal_date=row[3],
                sent_at=row[4],
                subject=row[5],
                sender=row[6],
                to=row[7],
                preview=row[8],
                has_attachment=bool(row[9]),
                message_id=row[10],
                email_id=row[11],
                thread_id=row[12],
                verdict_id=row[13],
            )
            for row in rows
        ]

    def _known_keywords(self, mailbox_id: int, rows: Sequence[tuple[Any, ...]]) -> Keywords:
        db = self._database.reader
        account_id = db.execute(
            "select account_id from mailboxes where id = ?", (mailbox_id,)
        ).fetchone()[0]
        keywords = self._registry.keywords(account_id)
        for set_id in {row[1] >> 8 for row in rows}:
            if not keywords.knows(set_id):
                names = db.execute(
                    "select names from keyword_sets where account_id = ? and id = ?",
                    (account_id, set_id),
                ).fetchone()[0]
                keywords.learn(set_id, tuple(names.split(" ")))
        return keywords

    def parts(self, mailbox_id: int, uid: int) -> tuple[Part, ...]:
        row = self._database.reader.execute(
            "select d.parts, length(c.prefix) from messages m join details d on d.id = m.content_id "
            "join contents c on c.id = m.content_id where m.mailbox_id = ? and m.uid = ?",
            (mailbox_id, uid),
        ).fetchone()
        if row is None:
            return ()
        shift = row[1]
        return tuple(
            # The header of the message itself begins with the prefix.
            Part(path, header + shift if path else 0, body + shift, end + shift, *rest)
            for path, header, body, end, *rest in json.loads(row[0])
        )

    def bodies(self, mailbox_id: int, uids: Sequence[int]) -> list[StoredBody]:
        rows = self._rows(mailbox_id, uids, ("size", "prefix", "body_file"))
        if not rows:
            return []
        folder = self._folder(mailbox_id)
        return [
            StoredBody(uid=uid, size=size, prefix=prefix, folder=folder, name=name)
            for uid, size, prefix, name in rows
        ]

    def _folder(self, mailbox_id: int) -> str:
        folder: str = self._database.reader.execute(
            "select a.folder from mailboxes m join accounts a on a.id = m.account_id where m.id = ?",
            (mailbox_id,),
        ).fetchone()[0]
        return folder

    def read_body(self, body: StoredBody, offset: int = 0, length: int | None = None) -> bytes:
        return self._folders.read(
            body.folder,
            body.name,
            body.prefix,
            offset,
            body.size - offset if length is None else length,
        )

    def open_body(self, body: StoredBody) -> BodyReader:
        return BodyReader(body.prefix, fd=self._folders.open(body.folder, body.name))

    def changes_since(self, mailbox_id: int, modseq: int) -> Changes:
        db = self._database.reader
        db.execute("begin")
        try:
            row = db.execute(
                "select modseq, horizon from mailboxes where id = ?", (mailbox_id,)
            ).fetchone()
            if row is None:
                raise NoSuchMailbox("there is no such mailbox")
            changed = db.execute(
                "select uid, flags, modseq from messages where mailbox_id = ? and modseq > ? order by uid",
                (mailbox_id, modseq),
            ).fetchall()
            gone = db.execute(
                "select first_uid, last_uid from tombstones where mailbox_id = ? and modseq > ? order by first_uid",
                (mailbox_id, modseq),
            ).fetchall()
        finally:
            db.execute("rollback")
        return Changes(
            modseq=row[0],
            changed=tuple(changed),
            vanished=tuple(_merged(gone)),
            complete=modseq >= row[1],
        )

    # Writing.

    async def append(
        self,
        mailbox_id: int,
        messages: Sequence[NewMessage],
        *,
        replaces: tuple[int, int] | None = None,
    ) -> Appended:
        return await self._intake.append(mailbox_id, messages, replaces)

    async def store_flags(
        self,
        mailbox_id: int,
        uids: Sequence[int],
        operation: FlagOperation,
        flags: Iterable[str],
        *,
        unchanged_since: int | None = None,
    ) -> FlagsStored:
        wanted = tuple(flags)

        def run(tx: Transaction) -> FlagsStored:
            return changes.store_flags(
                tx, self._registry, mailbox_id, uids, operation, wanted, unchanged_since
            )

        return await self._database.write(run)

    async def copy(self, mailbox_id: int, uids: Sequence[int], target_id: int) -> Copied:
        return await self._database.write(
            lambda tx: changes.transfer(tx, self._registry, mailbox_id, uids, target_id, move=False)
        )

    async def move(self, mailbox_id: int, uids: Sequence[int], target_id: int) -> Copied:
        return await self._database.write(
            lambda tx: changes.transfer(tx, self._registry, mailbox_id, uids, target_id, move=True)
        )

    async def expunge(
        self, mailbox_id: int, uids: Sequence[int] | None = None, *, only_deleted: bool = True
    ) -> Expunged:
        return await self._database.write(
            lambda tx: changes.expunge(
                tx, self._registry, mailbox_id, uids, only_deleted=only_deleted
            )
        )

    # Searching.

    async def search_text(self, mailbox_id: int, field: str, needle: str) -> list[int]:
        state = await self.open(mailbox_id)
        return await self._search.text(state, field, needle)

    async def search_header(self, mailbox_id: int, name: str, needle: str) -> list[int]:
        state = await self.open(mailbox_id)
        return await self._search.header(state, name, needle)

    async def search_dates(
        self, mailbox_id: int, which: str, since: int | None, before: int | None
    ) -> list[int]:
        return await self._search.dates(mailbox_id, which, since, before)

    async def thread(self, account_id: int, thread_id: str) -> list[tuple[int, int]]:
        number = int(thread_id[1:]) if thread_id[:1] == "T" and thread_id[1:].isdigit() else 0
        if number >> 32 != account_id:
            return []  # somebody else's, or nobody's
        return await self._database.read(
            lambda db: db.execute(
                "select m.mailbox_id, m.uid from contents c join messages m on m.content_id = c.id "
                "where c.thread_id = ? order by m.internal_time, m.content_id, m.mailbox_id, m.uid",
                (number,),
            ).fetchall()
        )

    async def index(self, limit: int | None = None) -> int:
        return await self._search.index(limit)


def _merged(ranges: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Ascending ranges, touching ones as one."""
    current: tuple[int, int] | None = None
    for first, last in ranges:
        if current is not None and first <= current[1] + 1:
            current = (current[0], max(current[1], last))
            continue
        if current is not None:
            yield current
        current = (first, last)
    if current is not None:
        yield current
