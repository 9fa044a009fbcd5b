"""The page about the simulation tells the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from corvus_server import simulation

PAGE = Path(__file__).parents[4] / "docs" / "explanation" / "simulation.md"


def test_the_example_on_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not PAGE.exists():
        pytest.skip("the documentation is not beside the package")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    exec(code.replace('Path("somewhere")', f"Path({str(tmp_path)!r})"), {})
    said = capsys.readouterr().out
    assert "delivered=1, queued=0, failed=0, unsure=False" in said
    assert "crow.example info smtp message" in said


def test_every_public_name_has_a_docstring() -> None:
    for name in simulation.__all__:
        thing = getattr(simulation, name)
        if callable(thing):
            assert thing.__doc__, name
