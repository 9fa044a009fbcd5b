"""
The versions of the schema, and the way from each to the next (R13).

A migration is an SQL file of this package named ``NNNN_word.sql``; it runs in one transaction with the new version
number.  Released files are never changed: data written by any version opens with the newest.
"""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from typing import Final

from corvus_server.storage.errors import StoreError

__all__ = ["APPLICATION_ID", "VERSION", "migrate", "migrations"]

APPLICATION_ID: Final = 0x434F5256
"""``CORV``, so that ``file`` and we know our own databases."""


def migrations() -> list[tuple[int, str]]:
    """(version, SQL), ascending."""
    folder = files(__package__).joinpath("migrations")
    found = [
        (int(entry.name[:4]), entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    return sorted(found)


VERSION: Final = migrations()[-1][0]


def _statements(script: str) -> list[str]:
    """The statements of a script; `executescript` would commit a transaction that is open."""
    statements, statement = [], ""
    for line in script.split("\n"):
        statement += line.partition("--")[0] + "\n"
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements


def migrate(db: sqlite3.Connection) -> int:
    """
    Bring a database to `VERSION`; returns the version it had (0: it was empty).

    Raises:
        StoreError: it was written by a newer version, or is not ours.
    """
    had: int = db.execute("pragma user_version").fetchone()[0]
    owner: int = db.execute("pragma application_id").fetchone()[0]
    if had > VERSION:
        raise StoreError(
            f"the store was written by a newer Corvus (schema {had}, this one knows {VERSION})"
        )
    if owner not in (0, APPLICATION_ID) or (had and not owner):
        raise StoreError("the database in the data folder is not one of Corvus")
    for version, script in migrations():
        if version <= had:
            continue
        db.execute("begin immediate")
        try:
            for statement in _statements(script):
                db.execute(statement)
            db.execute(f"pragma application_id = {APPLICATION_ID}")
            db.execute(f"pragma user_version = {version}")
            db.execute("commit")
        except BaseException:
            if db.in_transaction:
                db.execute("rollback")
            raise
    return had
