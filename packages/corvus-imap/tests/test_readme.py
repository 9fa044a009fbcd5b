"""The README and every docstring run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import corvus_imap

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(corvus_imap.__path__, "corvus_imap.")
)


def test_the_readme_runs() -> None:
    readme = Path(__file__).parents[1] / "README.md"
    result = doctest.testfile(str(readme), module_relative=False)
    assert result.attempted >= 4
    assert result.failed == 0
    assert readme.read_text("utf-8").count("\n") <= 120


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_everything_public_is_there_and_documented() -> None:
    for name in corvus_imap.__all__:
        value = getattr(corvus_imap, name)
        if callable(value):
            assert value.__doc__, name
