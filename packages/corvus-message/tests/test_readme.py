"""The examples of the README and of the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import corvus_message

README = Path(__file__).resolve().parents[1] / "README.md"
MODULES = sorted(m.name for m in pkgutil.iter_modules(corvus_message.__path__))


def test_the_readme_runs() -> None:
    # The fences would be taken for output.
    text = README.read_text(encoding="utf-8").replace("\n```", "\n\n")
    test = doctest.DocTestParser().get_doctest(text, {}, "README.md", str(README), 0)
    assert len(test.examples) >= 15
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_the_docstrings_run(name: str) -> None:
    module = importlib.import_module(f"corvus_message.{name}")
    assert doctest.testmod(module).failed == 0


def test_all_public_names_are_there_and_documented() -> None:
    assert len(set(corvus_message.__all__)) == len(corvus_message.__all__)
    for name in corvus_message.__all__:
        assert getattr(corvus_message, name).__doc__, name
