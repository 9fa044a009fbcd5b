"""
Taking away what nobody refers to any more, and what is past its time; a little in each transaction.
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, final

from corvus_server.storage.sqlite.engine import Database, Transaction
from corvus_server.storage.sqlite.folders import BodyFolders
from corvus_server.storage.sqlite.search import SearchIndex
from corvus_server.storage.values import SweepReport

__all__ = ["Sweeper"]

_BATCH: Final = 200
_DAY: Final = 86400.0

KEEP_TOMBSTONES: Final = 30 * _DAY
KEEP_ATTEMPTS: Final = 30 * _DAY
KEEP_VERDICTS: Final = 30 * _DAY
KEEP_LOGINS: Final = 90 * _DAY
KEEP_GREYLIST: Final = 40 * _DAY
"""Seconds; each after its last use."""


@final
class Sweeper:
    """One broom."""

    def __init__(self, database: Database, folders: BodyFolders, index: SearchIndex) -> None:
        self._database = database
        self._folders = folders
        self._index = index

    async def run(self, grace: float) -> SweepReport:
        contents = 0
        while True:
            count = await self._database.write(lambda tx: self._contents(tx, grace), settled=True)
            if count is None:
                break
            contents += count
        self._index.retire(contents)
        await self._database.write(self._removed_accounts)
        counts = await self._database.write(_past_their_time)
        return SweepReport(contents=contents, bodies=contents, **counts)

    def _contents(self, tx: Transaction, grace: float) -> int | None:
        """Some of the doomed contents with all that was computed of them; None when there are none left."""
        db = tx.db
        rows = db.execute(
            "select content_id from doomed where since <= ? order by since, content_id limit ?",
            (tx.now - grace, _BATCH),
        ).fetchall()
        if not rows:
            return None
        doomed = [row[0] for row in rows]
        marks = ",".join("?" * len(doomed))
        # A copy may still refer to it: then it is not doomed at all.
        dead = db.execute(
            "select c.id, c.body_file, coalesce(a.folder, json_extract(s.value, '$')), c.thread_id "
            "from contents c left join accounts a on a.id = c.id >> 32 "
            "left join settings s on s.key = 'store.removed.' || (c.id >> 32) "
            f"where c.id in ({marks}) and not exists (select 1 from messages where content_id = c.id) order by c.id",
            doomed,
        ).fetchall()
        ids = [row[0] for row in dead]
        self._unindex(tx, ids)
        for table in ("heads", "details", "envelopes", "contents"):
            db.executemany(f"delete from {table} where id = ?", [(i,) for i in ids])
        db.executemany("delete from doomed where content_id = ?", [(i,) for i in doomed])
        for content, name, folder, thread in dead:
            if folder is not None:
                tx.after.append(partial(self._folders.unlink, folder, name))
            _forget_thread(tx, content >> 32, thread)
        return len(ids)

    def _unindex(self, tx: Transaction, ids: Iterable[int]) -> None:
        for content in ids:
            tx.db.execute(
                "insert into head_index (head_index, rowid, subject, sender, recipients, cc, bcc) "
                "select 'delete', id, subject, sender, recipients, cc, bcc from heads where id = ?",
                (content,),
            )

    def _removed_accounts(self, tx: Transaction) -> None:
        """Folders of accounts that are gone, when their last content has gone."""
        rows = tx.db.execute(
            "select key, value from settings where key >= 'store.removed.' and key < 'store.removed/'"
        ).fetchall()
        for key, value in rows:
            account_id = int(key.rpartition(".")[2])
            if tx.db.execute(
                "select 1 from contents where id between ? and ? limit 1",
                (account_id << 32, (account_id << 32) + 0xFFFFFFFF),
            ).fetchone():
                continue
            tx.db.execute("delete from settings where key = ?", (key,))
            path = self._folders.root / json.loads(value)
            tx.after.append(partial(shutil.rmtree, path, ignore_errors=True))


def _forget_thread(tx: Transaction, account_id: int, thread: int) -> None:
    """The Message-IDs of a conversation, when its last message has gone."""
    if (
        tx.db.execute("select 1 from contents where thread_id = ? limit 1", (thread,)).fetchone()
        is None
    ):
        tx.db.execute(
            "delete from thread_refs where account_id = ? and thread_id = ?", (account_id, thread)
        )


def _past_their_time(tx: Transaction) -> dict[str, int]:
    db, now = tx.db, tx.now

    def delete(sql: str, *values: Any) -> int:
        return db.execute(sql, values).rowcount

    # "QRESYNC beyond the horizon falls back to full comparison": the horizon moves before the tombstones go (R4).
    old = now - KEEP_TOMBSTONES
    db.execute(
        "update mailboxes set horizon = max(horizon, (select max(modseq) from tombstones t "
        "where t.mailbox_id = mailboxes.id and t.at < ?)) where exists "
        "(select 1 from tombstones t where t.mailbox_id = mailboxes.id and t.at < ?)",
        (old, old),
    )
    return {
        "tombstones": delete(
            "delete from tombstones where modseq <= (select horizon from mailboxes where id = mailbox_id)"
        ),
        "attempts": delete(
            "delete from attempts where entry_id in (select id from queue_entries where finished < ?)",
            now - KEEP_ATTEMPTS,
        ),
        "queue_entries": delete(
            "delete from queue_entries where finished < ?", now - KEEP_ATTEMPTS
        ),
        "verdicts": delete(
            "delete from verdicts where created < ? and not exists "
            "(select 1 from contents where verdict_id = verdicts.id)",
            now - KEEP_VERDICTS,
        ),
        "sessions": delete("delete from web_sessions where expires <= ?", now),
        "logins": delete("delete from logins where at < ?", now - KEEP_LOGINS),
        "greylist": delete("delete from greylist where last_seen < ?", now - KEEP_GREYLIST),
    }
