"""
DKIM keys: `corvus_server.storage.protocols.Keys` over SQLite, sealed (R14).
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

import sqlite3
from typing import Any, Final, final

from corvus_server.storage.errors import AlreadyExists, NotFound
from corvus_server.storage.names import domain_name
from corvus_server.storage.seal import Sealer
from corvus_server.storage.sqlite.engine import Database, Transaction
from corvus_server.storage.values import DKIMKey

__all__ = ["SQLiteKeys"]

_COLUMNS: Final = "domain, selector, algorithm, record, active, created, retired"


def _key(row: tuple[Any, ...]) -> DKIMKey:
    return DKIMKey(
        domain=row[0],
        selector=row[1],
        algorithm=row[2],
        record=row[3],
        active=bool(row[4]),
        created=row[5],
        retired=row[6],
    )


@final
class SQLiteKeys:
    """Signing keys."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def add(self, key: DKIMKey, private_pem: bytes) -> DKIMKey:
        domain, selector = domain_name(key.domain), key.selector.lower()
        sealed = self._sealer.seal(private_pem, domain=domain, selector=selector)

        def run(tx: Transaction) -> DKIMKey:
            try:
                tx.db.execute(
                    "insert into dkim_keys (domain, selector, algorithm, record, sealed, active, created) "
                    "values (?, ?, ?, ?, ?, ?, ?)",
                    (
                        domain,
                        selector,
                        key.algorithm,
                        key.record,
                        sealed,
                        int(key.active),
                        key.created or tx.now,
                    ),
                )
            except sqlite3.IntegrityError:
                raise AlreadyExists(f"{domain} has a key {selector} already") from None
            return self._written(tx, domain, selector)

        return await self._database.write(run)

    def _written(self, tx: Transaction, domain: str, selector: str) -> DKIMKey:
        row = tx.db.execute(
            f"select {_COLUMNS} from dkim_keys where domain = ? and selector = ?",
            (domain, selector),
        ).fetchone()
        if row is None:
            raise NotFound(f"{domain} has no key {selector}")
        return _key(row)

    def get(self, domain: str, selector: str) -> DKIMKey | None:
        row = self._database.reader.execute(
            f"select {_COLUMNS} from dkim_keys where domain = ? and selector = ?",
            (domain_name(domain), selector.lower()),
        ).fetchone()
        return _key(row) if row else None

    def all(self, domain: str | None = None) -> list[DKIMKey]:
        where, values = ("", ()) if domain is None else ("where domain = ?", (domain_name(domain),))
        rows = self._database.reader.execute(
            f"select {_COLUMNS} from dkim_keys {where} order by domain, id", values
        ).fetchall()
        return [_key(row) for row in rows]

    def private_key(self, domain: str, selector: str) -> bytes:
        home, name = domain_name(domain), selector.lower()
        row = self._database.reader.execute(
            "select sealed from dkim_keys where domain = ? and selector = ?", (home, name)
        ).fetchone()
        if row is None:
            raise NotFound(f"{home} has no key {name}")
        return self._sealer.open(row[0], domain=home, selector=name)

    async def set_active(self, domain: str, selector: str, active: bool) -> DKIMKey:
        home, name = domain_name(domain), selector.lower()

        def run(tx: Transaction) -> DKIMKey:
            self._written(tx, home, name)
            tx.db.execute(
                "update dkim_keys set active = ?, retired = ? where domain = ? and selector = ?",
                (int(active), None if active else tx.now, home, name),
            )
            return self._written(tx, home, name)

        return await self._database.write(run)

    async def remove(self, domain: str, selector: str) -> None:
        home, name = domain_name(domain), selector.lower()

        def run(tx: Transaction) -> None:
            self._written(tx, home, name)
            tx.db.execute("delete from dkim_keys where domain = ? and selector = ?", (home, name))

        await self._database.write(run)
