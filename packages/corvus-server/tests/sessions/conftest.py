"""Every test of the sessions runs over both stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corvus_server.storage.memory import MemoryStore
from corvus_server.storage.protocols import Store
from corvus_server.storage.sqlite import SQLiteStore

from .running import Running


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the store of the test, on the server's loop."""
    if request.param == "memory":
        return MemoryStore
    return lambda: SQLiteStore(tmp_path / "data", background=False, sync="syncfs")


@pytest.fixture
def server(open_store: Callable[[], Store]) -> Iterator[Running]:
    """A server with alice and bob, whose log must have no error at the end."""
    with Running(open_store) as running:
        yield running
    assert running.errors() == []
