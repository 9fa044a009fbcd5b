"""Stores of tests lie in memory where there is room: hundreds are opened, and none of them needs a disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    base = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        dir=base if os.access(base, os.W_OK) else None, prefix="corvus-store-"
    ) as name:
        yield Path(name)
