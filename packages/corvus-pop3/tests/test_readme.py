"""What the documentation shows is what happens."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import corvus_pop3

PACKAGE = Path(__file__).parents[1]
GUIDE = PACKAGE.parents[1] / "docs" / "howto" / "embed-pop3-server.md"
REFERENCE = PACKAGE.parents[1] / "docs" / "reference" / "corvus-pop3.md"
EXAMPLE = PACKAGE.parents[1] / "examples" / "pop3_maildir_server.py"
MODULES = sorted(
    f"corvus_pop3.{module.name}" for module in pkgutil.iter_modules(corvus_pop3.__path__)
)


def run(path: Path) -> None:
    results = doctest.testfile(str(path), module_relative=False, encoding="utf-8")
    assert results.failed == 0
    assert results.attempted > 4


def test_the_readme_runs() -> None:
    run(PACKAGE / "README.md")


@pytest.mark.skipif(not GUIDE.exists(), reason="the documentation is not here")
def test_the_embed_guide_runs() -> None:
    run(GUIDE)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not here")
def test_the_example_server_has_under_sixty_lines() -> None:
    assert EXAMPLE.read_text().count("\n") < 60


@pytest.mark.skipif(not REFERENCE.exists(), reason="the documentation is not here")
def test_every_public_name_is_in_the_reference() -> None:
    text = REFERENCE.read_text()
    documented = {
        name
        for module in ("events", "client_events", "errors")
        if f"automodule:: corvus_pop3.{module}\n" in text
        for name in vars(importlib.import_module(f"corvus_pop3.{module}"))
    }
    missing = [
        name
        for name in corvus_pop3.__all__
        if name not in documented and f"corvus_pop3.{name}\n" not in text
    ]
    assert [name for name in missing if name != "ENGLISH"] == []


def test_every_public_name_is_there() -> None:
    assert len(set(corvus_pop3.__all__)) == len(corvus_pop3.__all__)
    for name in corvus_pop3.__all__:
        assert hasattr(corvus_pop3, name), name
