"""The dialogue that is kept, and what must not be in it."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_server.outbound import relay, schedule
from corvus_server.simulation import clock, dns
from corvus_server.transports import client
from corvus_server.transports.client import MAX_DIALOGUE, Dialogue


@pytest.mark.parametrize("module", [client, relay, schedule, clock, dns])
def test_the_examples_in_the_docstrings_run(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]  # a module is one
    assert result.failed == 0
    assert result.attempted


def test_beginning_and_end_are_kept() -> None:
    dialogue = Dialogue()
    for n in range(10_000):
        dialogue.heard(b"250-line %d\r\n" % n)
    text = str(dialogue)
    assert "line 0\n" in text
    assert "line 9999" in text
    assert "(...)" in text
    assert len(text.encode()) <= MAX_DIALOGUE


@pytest.mark.property
@given(st.lists(st.binary(max_size=300), max_size=60))
def test_a_dialogue_stays_small_and_shows_no_controls(pieces: list[bytes]) -> None:
    dialogue = Dialogue()
    for piece in pieces:
        dialogue.heard(piece * 20)
    text = str(dialogue)
    assert len(text.encode()) <= MAX_DIALOGUE
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.property
@given(st.integers(1, 40), st.sampled_from(["hunter2", "pässword", "a" * 50]))
def test_a_secret_is_hidden_wherever_the_other_side_cuts_its_words(cut: int, secret: str) -> None:
    dialogue = Dialogue([secret])
    said = f"535 you said {secret}, which is wrong\r\n".encode()
    dialogue.heard(said[:cut])
    assert secret not in str(dialogue)
    dialogue.heard(said[cut:])
    assert secret not in str(dialogue)
    assert "***" in str(dialogue)
