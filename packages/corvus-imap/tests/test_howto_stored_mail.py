"""The page about stored mail says what happens."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "imap-serve-stored-mail.md"


@pytest.mark.skipif(not PAGE.exists(), reason="the package stands without its workspace")
def test_the_howto_runs() -> None:
    text = PAGE.read_text(encoding="utf-8").replace("\n```", "\n\n")
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 20
    assert doctest.DocTestRunner().run(test).failed == 0
