"""
The small records: logins, verdicts, the greylist, web sessions, settings.
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Final, final

from corvus_server.storage.errors import AlreadyExists, NotFound
from corvus_server.storage.sqlite.engine import Database, Transaction
from corvus_server.storage.sqlite.intake import insert_verdict, verdict_row
from corvus_server.storage.values import GreylistEntry, LoginAttempt, Verdict, WebSession

__all__ = [
    "SQLiteGreylist",
    "SQLiteLogins",
    "SQLiteSettings",
    "SQLiteVerdicts",
    "SQLiteWebSessions",
]

_VERDICT: Final = "id, created, action, sentence, mail_from, recipients, client, tree"
_SESSION: Final = "digest, account_id, created, expires, last_seen, client, agent, data"
_GREY: Final = "network, domain, first_seen, last_seen, deferred, passed"


@final
class SQLiteLogins:
    """Attempts to sign in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, attempt: LoginAttempt) -> None:
        def run(tx: Transaction) -> None:
            tx.db.execute(
                "insert into logins (at, address, network, ok, service, mechanism, client) "
                "values (?, ?, ?, ?, ?, ?, ?)",
                (
                    attempt.when,
                    attempt.address.lower()[:320],
                    attempt.network,
                    int(attempt.ok),
                    attempt.service,
                    attempt.mechanism,
                    attempt.client,
                ),
            )

        await self._database.write(run)

    def failures(self, address: str, network: str, since: float) -> int:
        key = (address.lower()[:320], network)
        count: int = self._database.reader.execute(
            "select count(*) from logins where address = ?1 and network = ?2 and ok = 0 and at > ?3 and id > "
            "coalesce((select max(id) from logins where address = ?1 and network = ?2 and ok = 1 and at > ?3), 0)",
            (*key, since),
        ).fetchone()[0]
        return count

    def recent(self, limit: int = 100, address: str | None = None) -> list[LoginAttempt]:
        where, values = ("", ()) if address is None else ("where address = ?", (address.lower(),))
        rows = self._database.reader.execute(
            f"select at, address, network, ok, service, mechanism, client from logins {where} "
            "order by id desc limit ?",
            (*values, limit),
        ).fetchall()
        return [
            LoginAttempt(
                when=row[0],
                address=row[1],
                network=row[2],
                ok=bool(row[3]),
                service=row[4],
                mechanism=row[5],
                client=row[6],
            )
            for row in rows
        ]

    async def forget(self, address: str, network: str | None = None) -> None:
        def run(tx: Transaction) -> None:
            where, values = ("", ()) if network is None else (" and network = ?", (network,))
            tx.db.execute(
                f"delete from logins where address = ? and ok = 0{where}",
                (address.lower(), *values),
            )

        await self._database.write(run)


def _verdict(row: tuple[Any, ...]) -> Verdict:
    return Verdict(
        id=row[0],
        created=row[1],
        action=row[2],
        sentence=row[3],
        mail_from=row[4],
        recipients=tuple(json.loads(row[5])),
        client=row[6],
        tree=json.loads(row[7]),
    )


@final
class SQLiteVerdicts:
    """Why mail went where it went."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, verdict: Verdict) -> int:
        row = verdict_row(verdict)
        return await self._database.write(lambda tx: insert_verdict(tx, verdict, row))

    def get(self, verdict_id: int) -> Verdict | None:
        row = self._database.reader.execute(
            f"select {_VERDICT} from verdicts where id = ?", (verdict_id,)
        ).fetchone()
        return _verdict(row) if row else None

    def recent(
        self, limit: int = 100, *, action: str | None = None, before_id: int | None = None
    ) -> list[Verdict]:
        conditions, values = ["1"], []
        if action is not None:
            conditions.append("action = ?")
            values.append(action)
        if before_id is not None:
            conditions.append("id < ?")
            values.append(str(before_id))
        rows = self._database.reader.execute(
            f"select {_VERDICT} from verdicts where {' and '.join(conditions)} order by id desc limit ?",
            (*values, limit),
        ).fetchall()
        return [_verdict(row) for row in rows]


def _grey(row: tuple[Any, ...]) -> GreylistEntry:
    return GreylistEntry(
        network=row[0],
        domain=row[1],
        first_seen=row[2],
        last_seen=row[3],
        deferred=row[4],
        passed=row[5],
    )


@final
class SQLiteGreylist:
    """What is known of (client network, envelope domain)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, network: str, domain: str) -> GreylistEntry | None:
        row = self._database.reader.execute(
            f"select {_GREY} from greylist where network = ? and domain = ?",
            (network, domain.lower()),
        ).fetchone()
        return _grey(row) if row else None

    async def seen(self, network: str, domain: str, *, passed: bool) -> GreylistEntry:
        def run(tx: Transaction) -> GreylistEntry:
            row = tx.db.execute(
                "insert into greylist values (?1, ?2, ?3, ?3, ?4, ?5) on conflict (network, domain) do update set "
                "last_seen = ?3, deferred = deferred + ?4, passed = passed + ?5 "
                f"returning {_GREY}",
                (network, domain.lower(), tx.now, int(not passed), int(passed)),
            ).fetchone()
            return _grey(row)

        return await self._database.write(run)

    def entries(self, limit: int = 100) -> list[GreylistEntry]:
        rows = self._database.reader.execute(
            f"select {_GREY} from greylist order by last_seen desc, network, domain limit ?",
            (limit,),
        ).fetchall()
        return [_grey(row) for row in rows]

    async def forget(self, *, before: float | None = None, network: str | None = None) -> int:
        conditions, values = ["1"], []
        if before is not None:
            conditions.append("last_seen < ?")
            values.append(before)
        if network is not None:
            conditions.append("network = ?")
            values.append(network)  # type: ignore[arg-type]  # parameters of one statement

        def run(tx: Transaction) -> int:
            return tx.db.execute(
                f"delete from greylist where {' and '.join(conditions)}", values
            ).rowcount

        return await self._database.write(run)


def _session(row: tuple[Any, ...]) -> WebSession:
    return WebSession(
        digest=row[0],
        account_id=row[1],
        created=row[2],
        expires=row[3],
        last_seen=row[4],
        client=row[5],
        agent=row[6],
        data=json.loads(row[7]),
    )


@final
class SQLiteWebSessions:
    """Who is signed in on the web."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, session: WebSession) -> None:
        data = json.dumps(dict(session.data))

        def run(tx: Transaction) -> None:
            try:
                tx.db.execute(
                    "insert into web_sessions values (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        session.digest,
                        session.account_id,
                        session.created,
                        session.expires,
                        session.last_seen or session.created,
                        session.client,
                        session.agent[:500],
                        data,
                    ),
                )
            except sqlite3.IntegrityError as error:
                if tx.db.execute(
                    "select 1 from accounts where id = ?", (session.account_id,)
                ).fetchone():
                    raise AlreadyExists("there is such a session already") from error
                raise NotFound("there is no such account") from error

        await self._database.write(run)

    def get(self, digest: bytes) -> WebSession | None:
        row = self._database.reader.execute(
            f"select {_SESSION} from web_sessions where digest = ? and expires > ?",
            (digest, self._database.now()),
        ).fetchone()
        return _session(row) if row else None

    async def touch(
        self, digest: bytes, *, expires: float | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        stored = None if data is None else json.dumps(dict(data))

        def run(tx: Transaction) -> None:
            if not tx.db.execute(
                "update web_sessions set last_seen = ?, expires = coalesce(?, expires), "
                "data = coalesce(?, data) where digest = ?",
                (tx.now, expires, stored, digest),
            ).rowcount:
                raise NotFound("the session has ended")

        await self._database.write(run)

    async def end(self, digest: bytes) -> None:
        def run(tx: Transaction) -> None:
            tx.db.execute("delete from web_sessions where digest = ?", (digest,))

        await self._database.write(run)

    async def end_all(self, account_id: int, *, but: bytes | None = None) -> int:
        def run(tx: Transaction) -> int:
            return tx.db.execute(
                "delete from web_sessions where account_id = ? and digest is not ?",
                (account_id, but),
            ).rowcount

        return await self._database.write(run)

    def of(self, account_id: int) -> list[WebSession]:
        rows = self._database.reader.execute(
            f"select {_SESSION} from web_sessions where account_id = ? and expires > ? order by last_seen desc",
            (account_id, self._database.now()),
        ).fetchall()
        return [_session(row) for row in rows]


@final
class SQLiteSettings:
    """Small facts of the installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str, default: Any = None) -> Any:
        row = self._database.reader.execute(
            "select value from settings where key = ?", (key,)
        ).fetchone()
        return json.loads(row[0]) if row else default

    def all(self, prefix: str = "") -> dict[str, Any]:
        rows = self._database.reader.execute(
            "select key, value from settings where substr(key, 1, ?) = ? order by key",
            (len(prefix), prefix),
        ).fetchall()
        return {key: json.loads(value) for key, value in rows}

    async def set(self, key: str, value: Any) -> None:
        text = json.dumps(value)

        def run(tx: Transaction) -> None:
            if value is None:
                tx.db.execute("delete from settings where key = ?", (key,))
            else:
                tx.db.execute("insert or replace into settings values (?, ?)", (key, text))

        await self._database.write(run)
