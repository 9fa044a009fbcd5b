"""Both stores, one suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from corvus_server.storage.memory import MemoryStore
from corvus_server.storage.sqlite import SQLiteStore
from corvus_server.testing.store_suite import StoreFactory, StoreSuite


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def store_factory(self) -> StoreFactory:
        return lambda clock: MemoryStore(now=clock)


class TestSQLiteStore(StoreSuite):
    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> StoreFactory:
        return lambda clock: SQLiteStore(tmp_path / "data", now=clock, background=False)
