"""The embedded store: SQLite and body files in a data folder."""

from corvus_server.storage.sqlite.engine import Counters
from corvus_server.storage.sqlite.schema import VERSION
from corvus_server.storage.sqlite.store import SQLiteStore

__all__ = ["VERSION", "Counters", "SQLiteStore"]
