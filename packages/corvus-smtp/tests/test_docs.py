"""The page of the reference that is drawn from the tables, and that no event is missing there."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from corvus_smtp import Event
from corvus_smtp._diagram import state_table

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "corvus-smtp.md"

pytestmark = pytest.mark.skipif(
    not PAGE.is_file(), reason="the documentation stands in the repository, not in the package"
)


def test_the_picture_of_the_states_is_that_of_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    drawn = text.partition("<!-- states -->\n")[2].partition("\n<!-- end of states -->")[0]
    assert drawn == state_table()


def test_every_event_is_in_the_table_of_what_is_owed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for event in get_args(Event):
        assert f"`{event.__name__}`" in text
