"""
Domains, accounts, aliases, app passwords: `corvus_server.storage.protocols.Directory` over SQLite.
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar, final

from corvus_server.storage import names
from corvus_server.storage.errors import AlreadyExists, InvalidName, NotFound
from corvus_server.storage.sqlite.engine import Database, Transaction
from corvus_server.storage.sqlite.folders import BodyFolders, account_folder
from corvus_server.storage.values import (
    SPECIAL_USES,
    Account,
    Alias,
    AppPassword,
    Domain,
    Resolution,
)

__all__ = ["SQLiteDirectory"]

_ACCOUNT = (
    "id, address, name, password_hash, seeded, admin, enabled, quota, used, messages, modseq, "
    "created, folder"
)
_DOMAIN = "id, name, created, enabled, catch_all, strict_dmarc"
_APP = "id, account_id, name, secrets, scopes, created, last_used, last_address"

_T = TypeVar("_T")

_KNOWN_DOMAINS: Final = 10_000
"""Names that are remembered, ours or not; a stranger can ask for many."""


def _account(row: tuple[Any, ...]) -> Account:
    return Account(
        id=row[0],
        address=row[1],
        name=row[2],
        password_hash=row[3],
        seeded=bool(row[4]),
        admin=bool(row[5]),
        enabled=bool(row[6]),
        quota=row[7],
        used=row[8],
        messages=row[9],
        modseq=row[10],
        created=row[11],
        folder=row[12],
    )


def _domain(row: tuple[Any, ...]) -> Domain:
    return Domain(
        id=row[0],
        name=row[1],
        created=row[2],
        enabled=bool(row[3]),
        catch_all=row[4],
        strict_dmarc=bool(row[5]),
    )


def _alias(row: tuple[Any, ...]) -> Alias:
    return Alias(
        address=row[0], targets=tuple(json.loads(row[1])), enabled=bool(row[2]), created=row[3]
    )


def _app_password(row: tuple[Any, ...]) -> AppPassword:
    return AppPassword(
        id=row[0],
        account_id=row[1],
        name=row[2],
        secrets=json.loads(row[3]),
        scopes=frozenset(json.loads(row[4])),
        created=row[5],
        last_used=row[6],
        last_address=row[7],
    )


def _one(rows: list[tuple[Any, ...]]) -> tuple[Any, ...] | None:
    return rows[0] if rows else None


@final
class SQLiteDirectory:
    """Who has mail here."""

    def __init__(self, database: Database, folders: BodyFolders) -> None:
        self._database = database
        self._folders = folders
        # Asked at every RCPT and changed once a month; only this process writes.
        self._known_domains: dict[str, Domain | None] = {}

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._database.reader.execute(sql, values).fetchall()

    # Domains.

    def domain(self, name: str) -> Domain | None:
        try:
            key = names.domain_name(name)
        except InvalidName:
            return None
        return self._domain(key)

    def _domain(self, key: str) -> Domain | None:
        known = self._known_domains
        if key not in known:
            if len(known) >= _KNOWN_DOMAINS:
                known.clear()
            row = _one(self._query(f"select {_DOMAIN} from domains where name = ?", key))
            known[key] = _domain(row) if row else None
        return known[key]

    async def _write_domain(self, run: Callable[[Transaction], _T]) -> _T:
        def then_forget(tx: Transaction) -> _T:
            # With the commit, also when nobody waits for it any more.
            tx.effects.append(self._known_domains.clear)
            return run(tx)

        return await self._database.write(then_forget)

    def domains(self) -> list[Domain]:
        return [_domain(row) for row in self._query(f"select {_DOMAIN} from domains order by name")]

    async def add_domain(self, name: str) -> Domain:
        key = names.domain_name(name)

        def run(tx: Transaction) -> Domain:
            try:
                tx.db.execute("insert into domains (name, created) values (?, ?)", (key, tx.now))
            except sqlite3.IntegrityError:
                raise AlreadyExists(f"{key} is here already") from None
            return self._written_domain(tx, key)

        return await self._write_domain(run)

    def _written_domain(self, tx: Transaction, key: str) -> Domain:
        row = tx.db.execute(f"select {_DOMAIN} from domains where name = ?", (key,)).fetchone()
        if row is None:
            raise NotFound(f"{key} is not a domain of ours")
        return _domain(row)

    async def update_domain(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        catch_all: str | None = None,
        strict_dmarc: bool | None = None,
    ) -> Domain:
        key = names.domain_name(name)
        changes: dict[str, Any] = {}
        if enabled is not None:
            changes["enabled"] = int(enabled)
        if catch_all is not None:
            changes["catch_all"] = names.address(catch_all) if catch_all else None
        if strict_dmarc is not None:
            changes["strict_dmarc"] = int(strict_dmarc)

        def run(tx: Transaction) -> Domain:
            _update(tx, "domains", "name", key, changes)
            return self._written_domain(tx, key)

        return await self._write_domain(run)

    async def remove_domain(self, name: str) -> None:
        key = names.domain_name(name)

        def run(tx: Transaction) -> None:
            self._written_domain(tx, key)
            for table, what in (("accounts", "accounts"), ("aliases", "aliases")):
                if tx.db.execute(
                    f"select 1 from {table} where domain = ? limit 1", (key,)
                ).fetchone():
                    raise AlreadyExists(f"{key} still has {what}")
            tx.db.execute("delete from domains where name = ?", (key,))

        await self._write_domain(run)

    # Accounts.

    def account(self, address: str) -> Account | None:
        try:
            key = names.address(address)
        except InvalidName:
            return None
        return self._account(key)

    def _account(self, key: str) -> Account | None:
        row = _one(self._query(f"select {_ACCOUNT} from accounts where address = ?", key))
        return _account(row) if row else None

    def account_by_id(self, account_id: int) -> Account | None:
        row = _one(self._query(f"select {_ACCOUNT} from accounts where id = ?", account_id))
        return _account(row) if row else None

    def accounts(self, domain: str | None = None) -> list[Account]:
        if domain is None:
            rows = self._query(f"select {_ACCOUNT} from accounts order by domain, address")
        else:
            rows = self._query(
                f"select {_ACCOUNT} from accounts where domain = ? order by address",
                names.domain_name(domain),
            )
        return [_account(row) for row in rows]

    async def add_account(
        self,
        address: str,
        *,
        password_hash: str = "",
        name: str = "",
        admin: bool = False,
        quota: int = 0,
        seeded: bool = False,
    ) -> Account:
        key = names.address(address)
        home = key.rpartition("@")[2]

        def run(tx: Transaction) -> Account:
            self._written_domain(tx, home)
            if tx.db.execute("select 1 from aliases where address = ?", (key,)).fetchone():
                raise AlreadyExists(f"{key} is an alias")
            # UIDVALIDITY starts with the clock, so that a mailbox made again after a restore differs (R3).
            validity = max(int(tx.now), 1)
            try:
                cursor = tx.db.execute(
                    "insert into accounts (address, domain, name, password_hash, seeded, admin, quota, "
                    "next_uid_validity, created, folder) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        key,
                        home,
                        name,
                        password_hash,
                        int(seeded),
                        int(admin),
                        quota,
                        validity + len(SPECIAL_USES),
                        tx.now,
                        key,
                    ),
                )
            except sqlite3.IntegrityError:
                raise AlreadyExists(f"{key} is here already") from None
            account_id = cursor.lastrowid
            assert account_id is not None  # a row was inserted
            tx.db.execute(
                "update accounts set folder = ? where id = ?",
                (self._free_folder(tx, account_id, key), account_id),
            )
            for i, (mailbox, use) in enumerate(SPECIAL_USES.items()):
                tx.db.execute(
                    "insert into mailboxes (account_id, name, special_use, uid_validity, modseq, created) "
                    "values (?, ?, ?, ?, 1, ?)",
                    (account_id, mailbox, use, validity + i, tx.now),
                )
                tx.db.execute("insert into subscriptions values (?, ?)", (account_id, mailbox))
            tx.touched[account_id] = 1
            return self._written_account(tx, account_id)

        return await self._database.write(run)

    def _free_folder(self, tx: Transaction, account_id: int, key: str) -> str:
        """A folder of its own: somebody who had the address before may have left files that are still doomed."""
        folder = account_folder(account_id, key)
        taken = tx.db.execute("select 1 from accounts where folder = ?", (folder,)).fetchone()
        if taken or (self._folders.root / folder).exists():
            folder = f"{folder}%{account_id}"
        return folder

    def _written_account(self, tx: Transaction, account_id: int) -> Account:
        row = tx.db.execute(
            f"select {_ACCOUNT} from accounts where id = ?", (account_id,)
        ).fetchone()
        if row is None:
            raise NotFound("there is no such account")
        return _account(row)

    async def update_account(
        self,
        account_id: int,
        *,
        password_hash: str | None = None,
        name: str | None = None,
        admin: bool | None = None,
        enabled: bool | None = None,
        quota: int | None = None,
        seeded: bool | None = None,
    ) -> Account:
        if password_hash is not None and seeded is None:
            seeded = False
        given = {
            "password_hash": password_hash,
            "name": name,
            "admin": admin,
            "enabled": enabled,
            "quota": quota,
            "seeded": seeded,
        }
        changes = {key: value for key, value in given.items() if value is not None}

        def run(tx: Transaction) -> Account:
            _update(tx, "accounts", "id", account_id, changes)
            return self._written_account(tx, account_id)

        return await self._database.write(run)

    async def remove_account(self, account_id: int) -> None:
        def run(tx: Transaction) -> None:
            account = self._written_account(tx, account_id)
            low, high = account_id << 32, (account_id + 1) << 32
            mailboxes = "(select id from mailboxes where account_id = ?)"
            tx.db.execute(f"delete from messages where mailbox_id in {mailboxes}", (account_id,))
            tx.db.execute(f"delete from tombstones where mailbox_id in {mailboxes}", (account_id,))
            # The contents and their index entries go with the sweep, a few at a time.
            tx.db.execute(
                "insert or ignore into doomed select id, ? from contents where id >= ? and id < ?",
                (tx.now, low, high),
            )
            tx.db.execute(
                "insert or replace into settings values (?, ?)",
                (f"store.removed.{account_id}", json.dumps(account.folder)),
            )
            tx.db.execute("delete from accounts where id = ?", (account_id,))
            tx.touched[account_id] = account.modseq + 1

        await self._database.write(run)

    def mailbox_owner(self, mailbox_id: int) -> Account | None:
        """Whose mailbox it is: for the store itself."""
        rows = self._query("select account_id from mailboxes where id = ?", mailbox_id)
        return self.account_by_id(rows[0][0]) if rows else None

    def forget_body(self, folder: str, name: str) -> None:
        """Take away a body file that got no row: for the store itself."""
        self._folders.unlink(folder, name)

    def over_quota(self, account_id: int, octets: int = 0) -> bool:
        row = _one(self._query("select quota, used from accounts where id = ?", account_id))
        return row is not None and row[0] > 0 and row[1] + octets > row[0]

    # Aliases.

    def alias(self, address: str) -> Alias | None:
        try:
            key = names.address(address)
        except InvalidName:
            return None
        return self._alias(key)

    def _alias(self, key: str) -> Alias | None:
        row = _one(
            self._query(
                "select address, targets, enabled, created from aliases where address = ?", key
            )
        )
        return _alias(row) if row else None

    def aliases(self, domain: str | None = None) -> list[Alias]:
        sql = "select address, targets, enabled, created from aliases"
        if domain is None:
            return [_alias(row) for row in self._query(f"{sql} order by domain, address")]
        key = names.domain_name(domain)
        return [_alias(row) for row in self._query(f"{sql} where domain = ? order by address", key)]

    async def set_alias(
        self, address: str, targets: Sequence[str], *, enabled: bool = True
    ) -> Alias:
        key = names.address(address)
        home = key.rpartition("@")[2]
        listed = list(dict.fromkeys(names.address(target) for target in targets))
        if not listed:
            raise InvalidName("an alias stands for at least one address")

        def run(tx: Transaction) -> Alias:
            self._written_domain(tx, home)
            if tx.db.execute("select 1 from accounts where address = ?", (key,)).fetchone():
                raise AlreadyExists(f"{key} is an account")
            tx.db.execute(
                "insert into aliases (address, domain, targets, enabled, created) values (?, ?, ?, ?, ?) "
                "on conflict (address) do update set targets = excluded.targets, enabled = excluded.enabled",
                (key, home, json.dumps(listed), int(enabled), tx.now),
            )
            row = tx.db.execute(
                "select address, targets, enabled, created from aliases where address = ?", (key,)
            ).fetchone()
            return _alias(row)

        return await self._database.write(run)

    async def remove_alias(self, address: str) -> None:
        key = names.address(address)

        def run(tx: Transaction) -> None:
            if not tx.db.execute("delete from aliases where address = ?", (key,)).rowcount:
                raise NotFound(f"{key} is not an alias")

        await self._database.write(run)

    def resolve_recipient(self, address: str) -> Resolution:
        return names.resolve(address, domain=self._domain, account=self._account, alias=self._alias)

    # App passwords.

    def app_passwords(self, account_id: int) -> list[AppPassword]:
        rows = self._query(
            f"select {_APP} from app_passwords where account_id = ? order by id", account_id
        )
        return [_app_password(row) for row in rows]

    async def add_app_password(
        self,
        account_id: int,
        name: str,
        secrets: Mapping[str, str],
        *,
        scopes: Iterable[str] = (),
    ) -> AppPassword:
        stored = json.dumps(dict(secrets))
        allowed = json.dumps(sorted(scopes))

        def run(tx: Transaction) -> AppPassword:
            self._written_account(tx, account_id)
            cursor = tx.db.execute(
                "insert into app_passwords (account_id, name, secrets, scopes, created) values (?, ?, ?, ?, ?)",
                (account_id, name, stored, allowed, tx.now),
            )
            row = tx.db.execute(
                f"select {_APP} from app_passwords where id = ?", (cursor.lastrowid,)
            ).fetchone()
            return _app_password(row)

        return await self._database.write(run)

    async def remove_app_password(self, account_id: int, app_password_id: int) -> None:
        def run(tx: Transaction) -> None:
            if not tx.db.execute(
                "delete from app_passwords where id = ? and account_id = ?",
                (app_password_id, account_id),
            ).rowcount:
                raise NotFound("there is no such app password")

        await self._database.write(run)

    async def touch_app_password(self, app_password_id: int, client: str) -> None:
        def run(tx: Transaction) -> None:
            tx.db.execute(
                "update app_passwords set last_used = ?, last_address = ? where id = ?",
                (tx.now, client, app_password_id),
            )

        await self._database.write(run)


def _update(
    tx: Transaction, table: str, key_column: str, key: Any, changes: Mapping[str, Any]
) -> None:
    if changes:
        assignments = ", ".join(f"{column} = ?" for column in changes)
        tx.db.execute(
            f"update {table} set {assignments} where {key_column} = ?", (*changes.values(), key)
        )
