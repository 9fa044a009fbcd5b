"""What the documentation shows is what happens."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import corvus_auth
from corvus_auth.lookup import ZoneResolver

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.parents[1]
GUIDES = ["check-spf-with-your-resolver", "log-in-with-sasl", "dmarc-reports"]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(corvus_auth.__path__, "corvus_auth.")
    if not module.name.endswith(("__main__", ".dns"))
)
PUBLIC = [
    "corvus_auth",
    "corvus_auth.spf",
    "corvus_auth.dmarc",
    "corvus_auth.sasl",
    "corvus_auth.passwords",
]


def run(path: Path) -> None:
    results = doctest.testfile(str(path), module_relative=False, encoding="utf-8")
    assert results.failed == 0
    assert results.attempted > 4


def load(name: str) -> ModuleType:
    path = ROOT / "examples" / f"{name}.py"
    if not path.exists():
        pytest.skip("the examples are not here")
    assert path.read_text("utf-8").count("\n") < 60
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_runs() -> None:
    run(PACKAGE / "README.md")
    assert (PACKAGE / "README.md").read_text("utf-8").count("\n") <= 120


@pytest.mark.parametrize("guide", GUIDES)
def test_the_guides_run(guide: str) -> None:
    path = ROOT / "docs" / "howto" / f"{guide}.md"
    if not path.exists():
        pytest.skip("the documentation is not here")
    run(path)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_there(module: str) -> None:
    loaded = importlib.import_module(module)
    assert len(set(loaded.__all__)) == len(loaded.__all__)
    for name in loaded.__all__:
        assert hasattr(loaded, name), name


def test_the_two_halves_do_not_import_each_other() -> None:
    sources = {
        path: path.read_text("utf-8") for path in (PACKAGE / "src" / "corvus_auth").rglob("*.py")
    }
    mail = ["spf", "dmarc", "authres", "verdict"]
    login = ["sasl", "passwords", "secret"]
    for path, text in sources.items():
        part = path.relative_to(PACKAGE / "src" / "corvus_auth").parts[0].removesuffix(".py")
        others = login if part in mail else mail if part in login else []
        for other in others:
            assert f"corvus_auth.{other}" not in text.replace("`corvus_auth.", "`"), (path, other)
            assert f"from corvus_auth import {other}" not in text, (path, other)


def test_the_example_of_a_verdict_runs() -> None:
    example = load("auth_verdict")
    zone = ZoneResolver(
        {
            "example.com": {"TXT": [b"v=spf1 ip4:192.0.2.1 -all"]},
            "_dmarc.example.com": {"TXT": [b"v=DMARC1; p=reject"]},
        }
    )
    message = b"To: x\r\nFrom: Alice\r\n <alice@example.com>\r\nSubject: x\r\n\r\nFrom: y\r\n"
    verdict = example.judge(message, "192.0.2.1", "alice@example.com", "h", zone)
    assert str(verdict) == "example.com is vouched for by SPF (example.com)."


def test_the_example_of_a_login_runs() -> None:
    pytest.importorskip("argon2")
    example = load("auth_login")
    lines = ["AGFsaWNlAENvcnZ1czIwMjYh", "AGFsaWNlAHdyb25n", "AG1hbGxvcnkAeA==", "***", "YQ=="]
    assert list(example.replies(lines)) == [
        "235 hello alice",
        "535 no",
        "535 no",
        "535 no",
        "535 no",
    ]
