"""The examples in the README and in every docstring run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import corvus_dkim

README = Path(__file__).parents[1] / "README.md"
MODULES = sorted(
    f"corvus_dkim.{module.name}"
    for module in pkgutil.iter_modules(corvus_dkim.__path__)
    if module.name not in ("__main__", "dns")
)


def test_the_readme_runs() -> None:
    found = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert found.attempted > 5
    assert found.failed == 0
    assert len(README.read_text(encoding="utf-8").split("\n")) <= 121


@pytest.mark.parametrize("name", ["corvus_dkim", *MODULES])
def test_the_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_everything_that_is_exported_exists_and_says_what_it_is() -> None:
    for name in corvus_dkim.__all__:
        assert getattr(corvus_dkim, name).__doc__


def test_nothing_but_the_dns_module_needs_dnspython() -> None:
    import subprocess
    import sys

    modules = ", ".join(MODULES)
    code = f"import sys; sys.modules['dns'] = None; import corvus_dkim, {modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
