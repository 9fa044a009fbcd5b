"""
The folders of an account: `corvus_server.storage.protocols.Mailboxes` over SQLite.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Final, final

from corvus_server.storage.errors import AlreadyExists, InvalidName, NoSuchMailbox
from corvus_server.storage.names import SEPARATOR, mailbox_name, superiors
from corvus_server.storage.registry import Registry
from corvus_server.storage.sqlite.changes import take_messages, transfer
from corvus_server.storage.sqlite.engine import Database, Transaction
from corvus_server.storage.sqlite.rows import bump, next_uid_validity
from corvus_server.storage.values import Mailbox

__all__ = ["SQLiteMailboxes"]

_COLUMNS: Final = (
    "m.id, m.account_id, m.name, m.special_use, m.uid_validity, m.uid_next, m.modseq, m.messages, "
    "m.unseen, m.deleted, m.octets, s.name is not null, m.created"
)
_FROM: Final = (
    "from mailboxes m left join subscriptions s on s.account_id = m.account_id and s.name = m.name"
)


def _mailbox(row: tuple[Any, ...]) -> Mailbox:
    return Mailbox(
        id=row[0],
        account_id=row[1],
        name=row[2],
        special_use=row[3],
        uid_validity=row[4],
        uid_next=row[5],
        modseq=row[6],
        messages=row[7],
        unseen=row[8],
        deleted=row[9],
        octets=row[10],
        subscribed=bool(row[11]),
        created=row[12],
    )


def _find(tx: Transaction, account_id: int, name: str) -> Mailbox:
    row = tx.db.execute(
        f"select {_COLUMNS} {_FROM} where m.account_id = ? and m.name = ?", (account_id, name)
    ).fetchone()
    if row is None:
        raise NoSuchMailbox(f"there is no mailbox {name}")
    return _mailbox(row)


@final
class SQLiteMailboxes:
    """Folders."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    def _query(self, where: str, *values: Any) -> list[Mailbox]:
        rows = self._database.reader.execute(f"select {_COLUMNS} {_FROM} where {where}", values)
        return [_mailbox(row) for row in rows.fetchall()]

    def all(self, account_id: int) -> list[Mailbox]:
        return self._query("m.account_id = ? order by m.name <> 'INBOX', m.name", account_id)

    def get(self, account_id: int, name: str) -> Mailbox | None:
        try:
            key = mailbox_name(name)
        except InvalidName:
            return None
        found = self._query("m.account_id = ? and m.name = ?", account_id, key)
        return found[0] if found else None

    def by_id(self, mailbox_id: int) -> Mailbox | None:
        found = self._query("m.id = ?", mailbox_id)
        return found[0] if found else None

    def special(self, account_id: int, special_use: str) -> Mailbox | None:
        found = self._query(
            "m.account_id = ? and lower(m.special_use) = lower(?) order by m.id limit 1",
            account_id,
            special_use,
        )
        return found[0] if found and special_use else None

    # Making, renaming, deleting.

    async def create(self, account_id: int, name: str, *, special_use: str = "") -> Mailbox:
        key = mailbox_name(name)

        def run(tx: Transaction) -> Mailbox:
            modseq = bump(tx, account_id)
            if _exists(tx, account_id, key):
                raise AlreadyExists(f"there is a mailbox {key} already")
            _create_with_superiors(tx, account_id, key, modseq, special_use)
            return _find(tx, account_id, key)

        return await self._database.write(run)

    async def rename(self, account_id: int, name: str, new_name: str) -> Mailbox:
        old, new = mailbox_name(name), mailbox_name(new_name)
        if (new + SEPARATOR).startswith(old + SEPARATOR) and old != "INBOX":
            raise InvalidName("a mailbox cannot become its own inferior")
        if new == "INBOX":
            raise AlreadyExists("there is a mailbox INBOX already")

        def run(tx: Transaction) -> Mailbox:
            modseq = bump(tx, account_id)
            mailbox = _find(tx, account_id, old)
            if old == "INBOX":
                return self._empty_inbox(tx, mailbox, new, modseq)
            moves = [(mailbox, new)]
            # "if the mailbox has inferior hierarchical names, these MUST also be renamed" (RFC 9051 §6.3.6)
            for inferior in _inferiors(tx, account_id, old):
                moves.append((inferior, new + inferior.name[len(old) :]))
            for _, target in moves:
                mailbox_name(target)  # an inferior may have become too long or deep
                if _exists(tx, account_id, target):
                    raise AlreadyExists(f"there is a mailbox {target} already")
            _make_superiors(tx, account_id, new, modseq)
            for moved, target in moves:
                self._rename_one(tx, moved, target, modseq)
            return _find(tx, account_id, new)

        return await self._database.write(run)

    def _rename_one(self, tx: Transaction, mailbox: Mailbox, target: str, modseq: int) -> None:
        _retire(tx, mailbox)
        used = tx.db.execute(
            "select uid_validity from retired_names where account_id = ? and name = ?",
            (mailbox.account_id, target),
        ).fetchone()
        validity = mailbox.uid_validity
        if used is not None and used[0] >= validity:
            # The name has meant other messages under this or a larger value (R3).
            validity = next_uid_validity(tx, mailbox.account_id)
            tx.effects.append(lambda: self._registry.drop(mailbox.id))
        tx.db.execute(
            "update mailboxes set name = ?, uid_validity = ?, modseq = ? where id = ?",
            (target, validity, modseq, mailbox.id),
        )
        # A subscription is of the name; who subscribed to a mailbox wants to keep it.
        tx.db.execute(
            "update or replace subscriptions set name = ? where account_id = ? and name = ?",
            (target, mailbox.account_id, mailbox.name),
        )

    def _empty_inbox(self, tx: Transaction, inbox: Mailbox, new: str, modseq: int) -> Mailbox:
        """
        "all of the messages are moved to a new mailbox with the given name, leaving INBOX empty" (RFC 9051 §6.3.6)
        """
        if _exists(tx, inbox.account_id, new):
            raise AlreadyExists(f"there is a mailbox {new} already")
        _create_with_superiors(tx, inbox.account_id, new, modseq, "")
        target = _find(tx, inbox.account_id, new)
        uids = [
            row[0]
            for row in tx.db.execute(
                "select uid from messages where mailbox_id = ? order by uid", (inbox.id,)
            )
        ]
        transfer(tx, self._registry, inbox.id, uids, target.id, modseq, move=True)
        return _find(tx, inbox.account_id, new)

    async def delete(self, account_id: int, name: str) -> None:
        key = mailbox_name(name)
        if key == "INBOX":
            raise InvalidName("INBOX cannot be deleted")

        def run(tx: Transaction) -> None:
            mailbox = _find(tx, account_id, key)
            bump(tx, account_id, octets=-mailbox.octets, messages=-mailbox.messages)
            take_messages(tx, mailbox.id)
            _retire(tx, mailbox)
            tx.db.execute("delete from tombstones where mailbox_id = ?", (mailbox.id,))
            tx.db.execute(
                "delete from annotations where account_id = ? and mailbox_id = ?",
                (account_id, mailbox.id),
            )
            tx.db.execute("delete from mailboxes where id = ?", (mailbox.id,))
            tx.effects.append(lambda: self._registry.drop(mailbox.id))

        await self._database.write(run)

    async def set_special_use(self, account_id: int, name: str, special_use: str) -> Mailbox:
        key = mailbox_name(name)

        def run(tx: Transaction) -> Mailbox:
            mailbox = _find(tx, account_id, key)
            bump(tx, account_id)
            tx.db.execute(
                "update mailboxes set special_use = ? where id = ?", (special_use, mailbox.id)
            )
            return _find(tx, account_id, key)

        return await self._database.write(run)

    # Subscriptions and annotations.

    def subscriptions(self, account_id: int) -> list[str]:
        rows = self._database.reader.execute(
            "select name from subscriptions where account_id = ? order by name", (account_id,)
        )
        return [row[0] for row in rows.fetchall()]

    async def subscribe(self, account_id: int, name: str, subscribed: bool = True) -> None:
        key = mailbox_name(name)

        def run(tx: Transaction) -> None:
            bump(tx, account_id)
            if subscribed:
                tx.db.execute(
                    "insert or ignore into subscriptions values (?, ?)", (account_id, key)
                )
            else:
                tx.db.execute(
                    "delete from subscriptions where account_id = ? and name = ?", (account_id, key)
                )

        await self._database.write(run)

    def annotations(self, account_id: int, mailbox_id: int | None = None) -> dict[str, bytes]:
        rows = self._database.reader.execute(
            "select entry, value from annotations where account_id = ? and mailbox_id = ? order by entry",
            (account_id, mailbox_id or 0),
        )
        return dict(rows.fetchall())

    async def annotate(
        self, account_id: int, mailbox_id: int | None, entries: Mapping[str, bytes | None]
    ) -> None:
        def run(tx: Transaction) -> None:
            bump(tx, account_id)
            if (
                mailbox_id is not None
                and not tx.db.execute(
                    "select 1 from mailboxes where id = ? and account_id = ?",
                    (mailbox_id, account_id),
                ).fetchone()
            ):
                raise NoSuchMailbox("there is no such mailbox")
            for entry, value in entries.items():
                if value is None:
                    tx.db.execute(
                        "delete from annotations where account_id = ? and mailbox_id = ? and entry = ?",
                        (account_id, mailbox_id or 0, entry.lower()),
                    )
                else:
                    tx.db.execute(
                        "insert or replace into annotations values (?, ?, ?, ?)",
                        (account_id, mailbox_id or 0, entry.lower(), value),
                    )

        await self._database.write(run)


def _exists(tx: Transaction, account_id: int, name: str) -> bool:
    row = tx.db.execute(
        "select 1 from mailboxes where account_id = ? and name = ?", (account_id, name)
    ).fetchone()
    return row is not None


def _create_with_superiors(
    tx: Transaction, account_id: int, name: str, modseq: int, special_use: str
) -> None:
    _make_superiors(tx, account_id, name, modseq)
    _insert(tx, account_id, name, modseq, special_use)


def _make_superiors(tx: Transaction, account_id: int, name: str, modseq: int) -> None:
    """
    "the server SHOULD create any superior hierarchical names that are needed" (RFC 9051 §6.3.4)
    """
    for superior in superiors(name):
        if not _exists(tx, account_id, superior):
            _insert(tx, account_id, superior, modseq, "")


def _insert(tx: Transaction, account_id: int, name: str, modseq: int, special_use: str) -> None:
    validity = next_uid_validity(tx, account_id)
    try:
        tx.db.execute(
            "insert into mailboxes (account_id, name, special_use, uid_validity, modseq, created) "
            "values (?, ?, ?, ?, ?, ?)",
            (account_id, name, special_use, validity, modseq, tx.now),
        )
    except sqlite3.IntegrityError:
        raise AlreadyExists(f"there is a mailbox {name} already") from None


def _inferiors(tx: Transaction, account_id: int, name: str) -> list[Mailbox]:
    # "0" follows "/" in ASCII, so this is a range of the index.
    rows = tx.db.execute(
        f"select {_COLUMNS} {_FROM} where m.account_id = ? and m.name >= ? and m.name < ? order by m.name",
        (account_id, name + "/", name + "0"),
    )
    return [_mailbox(row) for row in rows.fetchall()]


def _retire(tx: Transaction, mailbox: Mailbox) -> None:
    tx.db.execute(
        "insert into retired_names values (?, ?, ?) on conflict (account_id, name) "
        "do update set uid_validity = max(uid_validity, excluded.uid_validity)",
        (mailbox.account_id, mailbox.name, mailbox.uid_validity),
    )
