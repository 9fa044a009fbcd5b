"""The pages and the example that belong to this package, where the whole workspace is there."""

from __future__ import annotations

import doctest
import importlib.util
import re
from pathlib import Path

import pytest

import corvus_message

ROOT = Path(__file__).resolve().parents[3]
HOWTOS = ("read-a-message.md", "build-a-message.md")

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="the package stands without its workspace"
)


@pytest.mark.parametrize("name", HOWTOS)
def test_the_howto_runs(name: str) -> None:
    path = ROOT / "docs" / "howto" / name
    text = path.read_text(encoding="utf-8").replace("\n```", "\n\n")
    test = doctest.DocTestParser().get_doctest(text, {}, name, str(path), 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "corvus-message.md").read_text(encoding="utf-8")
    named = re.findall(r"auto(?:class|function):: corvus_message\.(\w+)", page)
    assert sorted(named) == sorted(corvus_message.__all__)


def test_the_example_saves_attachments_and_nothing_outside_its_folder(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "message_attachments", ROOT / "examples" / "message_attachments.py"
    )
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    raw = corvus_message.build(
        from_="a@example.com",
        text="",
        attachments=[
            corvus_message.Attachment(content=b"one", filename="../../x.txt"),
            corvus_message.Attachment(content=b"two", filename="x.txt"),
            corvus_message.Attachment(content=b"three"),
        ],
    )
    saved = example.save(raw, tmp_path)
    assert [(p.name, p.read_bytes()) for p in saved] == [
        ("x.txt", b"one"),
        ("2-x.txt", b"two"),
        ("part-3", b"three"),
    ]
    assert all(p.parent == tmp_path for p in saved)
