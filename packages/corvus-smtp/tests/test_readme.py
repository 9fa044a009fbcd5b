"""What README and docstrings show is what happens."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import corvus_smtp

MODULES = sorted(module.name for module in pkgutil.iter_modules(corvus_smtp.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(f"corvus_smtp.{name}"))
    assert failed == 0


def test_readme() -> None:
    readme = Path(__file__).parents[1] / "README.md"
    failed, tried = doctest.testfile(str(readme), module_relative=False)
    assert failed == 0
    assert tried > 3


def test_every_public_name_is_exported_once() -> None:
    assert len(set(corvus_smtp.__all__)) == len(corvus_smtp.__all__)
    assert all(hasattr(corvus_smtp, name) for name in corvus_smtp.__all__)
