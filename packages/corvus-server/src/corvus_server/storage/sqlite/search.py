"""
Search: what the index knows, and an exact scan of what it does not know yet.

Subjects and addresses are in a trigram index of the main database, written in the delivery transaction.  Header and
body text are in ``search.db``, which a job fills behind the deliveries and which can be thrown away: it holds
nothing that cannot be read again, and its high-water mark is in the same transaction as its rows.

Keys are folded before they are indexed (`words.search_key`), so the index and the scan compare the same characters.
A trigram index finds needles of three characters; shorter ones are found as the beginning of a trigram, for which
every text ends in two sentinels.  That is what CJK needs, where two characters are a word.
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final, final

from corvus_message import decode_words, parse
from corvus_server.storage.facts import search_texts
from corvus_server.storage.sqlite.engine import Database
from corvus_server.storage.sqlite.folders import BodyFolders
from corvus_server.storage.state import MailboxState
from corvus_server.storage.words import search_key

__all__ = ["Search", "SearchIndex"]

_HEADS: Final = {
    "subject": "subject",
    "from": "sender",
    "to": "recipients",
    "cc": "cc",
    "bcc": "bcc",
}
#: Which date -> (tables, its local seconds).
_DATES: Final = {
    "internal": ("messages m", "(m.internal_time + m.zone * 60)"),
    "saved": ("messages m", "m.saved_at"),
    "sent": (
        "messages m join contents c on c.id = m.content_id",
        "(cast(c.sent_at as integer) + c.sent_zone * 60)",
    ),
}
_SERIAL: Final = 0xFFFFFFFF
_INDEX_VERSION: Final = 1
"""Raise it when `search_texts` or `search_key` change: old indexes are made anew."""
_SENTINELS: Final = "\x02\x02"
_LARGE: Final = 2_000_000
"""Characters of text from which a message is not indexed but read at each search."""
_PHRASE: Final = 64
"""
Characters of a needle the index is asked for; of a longer one the rest is compared in the text.

A phrase of n trigrams in a text of N equal characters costs n times N: ten thousand of them held a thread for seconds.
"""
_BATCH: Final = 64
_DEAD: Final = 10_000
"""Dead rows below which an index is not worth making anew."""


def _phrase(key: str) -> str:
    """A needle as an FTS5 string: every character is itself."""
    return '"' + key.replace('"', '""') + '"'


@final
class SearchIndex:
    """
    The full-text index of headers and bodies: a file beside the database.

    One connection writes, one reads, each under a lock of its own; both are used from the pool.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._writer = self._open()
        self._reader = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30
        )
        self._reader.execute(
            "create virtual table temp.words using fts5vocab (main, texts, instance)"
        )

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError:
            # Damaged, or of another program: it holds nothing of its own.
            self._remove()
            return self._connect()

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").unlink()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        try:
            db.execute("pragma journal_mode = wal")
            # What a power cut takes from an index is indexed again: the mark goes with it.
            db.execute("pragma synchronous = normal")
            if db.execute("pragma user_version").fetchone()[0] != _INDEX_VERSION:
                db.execute("begin immediate")
                for table in ("texts", "marks", "large", "dead"):
                    db.execute(f"drop table if exists {table}")
                db.execute(
                    "create virtual table texts using fts5 (header, body, content = '', columnsize = 0, "
                    "tokenize = 'trigram case_sensitive 1')"
                )
                db.execute(
                    "create table marks (account_id integer primary key, serial integer not null)"
                )
                db.execute("create table large (id integer primary key)")
                db.execute("create table dead (count integer not null)")
                db.execute("insert into dead values (0)")
                db.execute(f"pragma user_version = {_INDEX_VERSION}")
                db.execute("commit")
        except BaseException:
            db.close()
            raise
        return db

    def mark(self, account_id: int) -> int:
        """The serial up to which the account is indexed."""
        with self._reading:
            row = self._reader.execute(
                "select serial from marks where account_id = ?", (account_id,)
            ).fetchone()
        return row[0] if row else 0

    def add(self, account_id: int, rows: Iterable[tuple[int, str, str]], mark: int) -> None:
        """Index rows of one account, ascending, and raise its mark, in one transaction."""
        db = self._writer
        with self._writing:
            db.execute("begin immediate")
            try:
                before = db.execute(
                    "select serial from marks where account_id = ?", (account_id,)
                ).fetchone()
                for content, header, body in rows:
                    if before is not None and content & _SERIAL <= before[0]:
                        continue  # somebody else was faster
                    if len(header) + len(body) > _LARGE:
                        db.execute("insert or ignore into large values (?)", (content,))
                    else:
                        db.execute(
                            "insert into texts (rowid, header, body) values (?, ?, ?)",
                            (content, header + _SENTINELS, body + _SENTINELS),
                        )
                db.execute(
                    "insert into marks values (?, ?) on conflict (account_id) "
                    "do update set serial = max(serial, excluded.serial)",
                    (account_id, mark),
                )
                db.execute("commit")
            except BaseException:
                if db.in_transaction:
                    db.execute("rollback")
                raise

    def find(self, account_id: int, key: str, columns: tuple[str, ...]) -> tuple[set[int], int]:
        """Content ids of an account whose text has the first `_PHRASE` characters of `key`; and the mark."""
        low, high = account_id << 32, (account_id << 32) + _SERIAL
        # The mark first: what is indexed in between is found twice, not missed.
        mark = self.mark(account_id)
        with self._reading:
            if len(key) >= 3:
                rows = self._reader.execute(
                    "select rowid from texts where texts match ? and rowid between ? and ?",
                    (f"{{{' '.join(columns)}}} : {_phrase(key[:_PHRASE])}", low, high),
                ).fetchall()
            else:
                marks = ",".join("?" * len(columns))
                rows = self._reader.execute(
                    "select distinct doc from temp.words where term >= ? and term < ? "
                    f"and doc between ? and ? and col in ({marks})",
                    (key, key + "\U0010ffff", low, high, *columns),
                ).fetchall()
        return {row[0] for row in rows}, mark

    def large(self, account_id: int) -> set[int]:
        with self._reading:
            rows = self._reader.execute(
                "select id from large where id between ? and ?",
                (account_id << 32, (account_id << 32) + _SERIAL),
            ).fetchall()
        return {row[0] for row in rows}

    def retire(self, count: int) -> None:
        """
        Note that contents are no more.

        A contentless index cannot forget single rows; they cost room and are never found, because no message has
        them.  When most of it is dead it is made anew.
        """
        if not count:
            return
        db = self._writer
        with self._writing:
            db.execute("begin immediate")
            try:
                db.execute("update dead set count = count + ?", (count,))
                dead = db.execute("select count from dead").fetchone()[0]
                total = db.execute("select coalesce(sum(serial), 0) from marks").fetchone()[0]
                if dead > _DEAD and 2 * dead > total:
                    db.execute("insert into texts (texts) values ('delete-all')")
                    for table in ("marks", "large"):
                        db.execute(f"delete from {table}")
                    db.execute("update dead set count = 0")
                db.execute("commit")
            except BaseException:
                if db.in_transaction:
                    db.execute("rollback")
                raise

    def close(self) -> None:
        with self._writing, self._reading:
            self._reader.close()
            self._writer.close()


@final
class Search:
    """SEARCH over a store."""

    def __init__(self, database: Database, folders: BodyFolders, index: SearchIndex) -> None:
        self._database = database
        self._folders = folders
        self._index = index

    async def text(self, state: MailboxState, field: str, needle: str) -> list[int]:
        key = search_key(needle)
        if not key:
            return list(state.uids)  # "the empty string is a substring"
        if field in _HEADS:
            serials = await self._database.read(
                lambda db: self._heads(db, state.account_id, _HEADS[field], key)
            )
            return state.uids_of(serials)
        columns = ("header", "body") if field == "text" else ("body",)
        return await self._texts(state, key, columns)

    def _heads(self, db: sqlite3.Connection, account_id: int, column: str, key: str) -> set[int]:
        low, high = account_id << 32, (account_id << 32) + _SERIAL
        if len(key) >= 3:
            rows = db.execute(
                "select rowid from head_index where head_index match ? and rowid between ? and ?",
                (f"{column} : {_phrase(key[:_PHRASE])}", low, high),
            )
            if len(key) > _PHRASE:
                ids = [row[0] for row in rows.fetchall()]
                rows = db.execute(
                    f"select id from heads where id in (select value from json_each(?)) and instr({column}, ?)",
                    (json.dumps(ids), key),
                )
        else:
            rows = db.execute(
                f"select id from heads where id between ? and ? and instr({column}, ?)",
                (low, high, key),
            )
        return {row[0] & _SERIAL for row in rows.fetchall()}

    async def _texts(self, state: MailboxState, key: str, columns: tuple[str, ...]) -> list[int]:
        account_id = state.account_id
        found, mark, large = await self._database.read(
            lambda db: (
                *self._index.find(account_id, key, columns),
                self._index.large(account_id),
            )
        )
        serials = {content & _SERIAL for content in found}
        unread: set[int] = set()
        if state.newest_serial > mark:
            unread = {s for s in state.serials if s > mark}
        if large:
            unread |= {content & _SERIAL for content in large} & set(state.serials)
        if len(key) > _PHRASE:
            unread |= serials & set(state.serials)
            serials = set()
        if unread:

            def has(raw: bytes) -> bool:
                header, body = search_texts(raw)
                return key in body or ("header" in columns and key in header)

            serials |= await self._scan(account_id, unread, has)
        return state.uids_of(serials)

    async def header(self, state: MailboxState, name: str, needle: str) -> list[int]:
        key = search_key(needle)
        field = name.lower().encode("ascii", "replace")
        candidates = set(state.serials)
        account_id = state.account_id
        if len(key) >= 3:
            # The index says who may have it; the field says who has.
            found, mark = await self._database.read(
                lambda db: self._index.find(account_id, key, ("header",))
            )
            large = await self._database.read(lambda db: self._index.large(account_id))
            known = {content & _SERIAL for content in found | large}
            candidates = {s for s in candidates if s > mark or s in known}

        def has(raw: bytes) -> bool:
            values = parse(raw).fields(field)
            return any(key in search_key(decode_words(value)) for value in values)

        return state.uids_of(await self._scan(account_id, candidates, has))

    async def _scan(
        self, account_id: int, serials: set[int], has: Callable[[bytes], bool]
    ) -> set[int]:
        """Read messages and ask, in the pool, a few at a time so that others get their turn."""
        wanted = sorted(serials)
        found: set[int] = set()
        for start in range(0, len(wanted), _BATCH):
            part = [account_id << 32 | serial for serial in wanted[start : start + _BATCH]]
            found |= await self._database.read(partial(self._matching, contents=part, has=has))
        return found

    def _matching(
        self, db: sqlite3.Connection, contents: list[int], has: Callable[[bytes], bool]
    ) -> set[int]:
        return {content & _SERIAL for content, raw in self._read(db, contents) if has(raw)}

    def _read(self, db: sqlite3.Connection, contents: list[int]) -> list[tuple[int, bytes]]:
        """The octets of contents, with their prefixes; those that are gone are left out."""
        marks = ",".join("?" * len(contents))
        rows = db.execute(
            "select c.id, c.prefix, c.body_file, a.folder from contents c join accounts a on a.id = c.id >> 32 "
            f"where c.id in ({marks})",
            contents,
        ).fetchall()
        found = []
        for content, prefix, name, folder in rows:
            try:
                raw = self._folders.path_of(folder, name).read_bytes()
            except OSError:
                continue  # expunged and swept meanwhile
            found.append((content, prefix + raw))
        return found

    async def dates(
        self, mailbox_id: int, which: str, since: int | None, before: int | None
    ) -> list[int]:
        """By day: the date is compared as it is shown, "disregarding time and timezone" (RFC 9051 §6.4.4)."""
        source, seconds = _DATES[which]
        # Integer division rounds towards zero: dates before 1970 are moved up, and back.
        day = f"(({seconds} + 86400 * 1000000) / 86400 - 1000000)"
        conditions, values = ["m.mailbox_id = ?"], [mailbox_id]
        if which == "sent":
            conditions.append("c.sent_at is not null")
        if since is not None:
            conditions.append(f"{day} >= ?")
            values.append(since)
        if before is not None:
            conditions.append(f"{day} < ?")
            values.append(before)
        sql = f"select m.uid from {source} where {' and '.join(conditions)} order by m.uid"
        return await self._database.read(lambda db: [row[0] for row in db.execute(sql, values)])

    # The job.

    async def index(self, limit: int | None) -> int:
        """Index what is behind the marks; how many contents were looked at."""
        done = 0
        while limit is None or done < limit:
            step = _BATCH if limit is None else min(_BATCH, limit - done)
            count = await self._database.read(partial(self.index_step, limit=step))
            if not count:
                break
            done += count
        return done

    def index_step(self, db: sqlite3.Connection, limit: int) -> int:
        """Index up to `limit` contents of one account that has some; how many."""
        for account_id, next_serial in db.execute(
            "select id, next_serial from accounts order by id"
        ).fetchall():
            mark = self._index.mark(account_id)
            if mark + 1 >= next_serial:
                continue
            rows = db.execute(
                "select id from contents where id > ? and id < ? order by id limit ?",
                (account_id << 32 | mark, account_id << 32 | next_serial, limit),
            ).fetchall()
            contents = [row[0] for row in rows]
            if not contents:
                self._index.add(
                    account_id, (), next_serial - 1
                )  # expunged and swept before their turn
                continue
            texts = [
                (content, *search_texts(raw)) for content, raw in sorted(self._read(db, contents))
            ]
            self._index.add(account_id, texts, contents[-1] & _SERIAL)
            return len(contents)
        return 0
