"""What can be set and called is written down, and what is written down exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from corvus_server.cli import main
from corvus_server.config import SETTINGS

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"


def _commands(group: click.Command, path: str = "corvus") -> Iterator[str]:
    for name, command in getattr(group, "commands", {}).items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def test_every_setting_has_a_row_with_its_default_and_meaning() -> None:
    """The page and the table agree, both ways."""
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line in (REFERENCE / "server-settings.md").read_text("utf-8").splitlines()
        if line.startswith("| `COR_")
    ]
    expected = [
        (f"`{row.key}`", f"`{row.default}`" if row.default else "empty", row.help)
        for row in SETTINGS
    ]
    assert sorted(rows) == sorted(expected)


def test_every_command_has_a_row() -> None:
    """A command nobody can read about does not exist for its user."""
    text = (REFERENCE / "server-commands.md").read_text("utf-8")
    written = set(
        re.findall(
            r"^\| `(corvus [a-z-]+(?: (?:add|list|remove|show|retry|hold|release|drop"
            r"|set|rotate|retire|activate|pass|forget|lift))?)",
            text,
            re.M,
        )
    )
    assert written == set(_commands(main))
