"""Look-ups: the drivers and the zone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from corvus_dkim.lookup import Answer, Evaluation, Lookup, ZoneResolver, arun, run

ONE = Lookup("a.example", "TXT")
TWO = Lookup("b.example", "TXT")


def ask(*questions: Any) -> Evaluation[list[Any]]:
    """Ask one question after the other and return the statuses."""
    found = []
    for question in questions:
        answer = yield question
        found.append([a.status for a in answer] if isinstance(question, tuple) else answer.status)
    return found


class Plain:
    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    def resolve(self, name: str, rdtype: str) -> Answer:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return Answer(self.outcome)


class Many(Plain):
    def resolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        return [self.resolve(q.name, q.rdtype) for q in lookups]

    async def aresolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        return self.resolve_many(lookups)


class Coroutines(Plain):
    async def resolve(self, name: str, rdtype: str) -> Answer:  # type: ignore[override]  # on purpose
        return super().resolve(name, rdtype)


class Named(Plain):
    async def aresolve(self, name: str, rdtype: str) -> Answer:
        return Answer("nodata")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("ok", "ok"),
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(), "servfail"),
        (OSError(), "servfail"),
    ],
)
def test_any_resolver_carries_look_ups_out(outcome: Any, status: str) -> None:
    expected = [status, [status, status], []]
    for resolver in (Plain(outcome), Many(outcome)):
        assert run(ask(ONE, (ONE, TWO), ()), resolver) == expected
    for other in (Plain(outcome), Many(outcome), Coroutines(outcome)):
        assert asyncio.run(arun(ask(ONE, (ONE, TWO), ()), other)) == expected


def test_aresolve_is_preferred_to_resolve() -> None:
    assert asyncio.run(arun(ask(ONE), Named("ok"))) == ["nodata"]


def test_bugs_of_a_resolver_pass_through() -> None:
    with pytest.raises(KeyError):
        run(ask(ONE), Plain(KeyError("bug")))
    with pytest.raises(KeyError):
        asyncio.run(arun(ask(ONE), Plain(KeyError("bug"))))


def test_a_zone_answers_and_follows_aliases() -> None:
    zone = ZoneResolver(
        {
            "A.example.": {"txt": ["text", b"octets", ["two ", b"parts"]], "MX": [[10, "mx"]]},
            "alias.example": {"CNAME": ["a.example."]},
            "loop.example": {"CNAME": ["loop.example"]},
            "lost.example": {"CNAME": ["nowhere.example"]},
            "late.example": {"CNAME": "timeout"},
            "slow.example": {"TXT": "servfail", "A": []},
            "x.y.deep.example": {"A": ["192.0.2.1"]},
        }
    )
    assert zone.resolve("a.example", "TXT").records == (b"text", b"octets", b"two parts")
    assert zone.resolve("a.example", "MX").records == ((10, "mx"),)
    assert zone.resolve("ALIAS.example.", "TXT").records[0] == b"text"
    assert zone.resolve("loop.example", "TXT").status == "servfail"
    assert zone.resolve("lost.example", "TXT").status == "nxdomain"
    assert zone.resolve("late.example", "TXT").status == "timeout"
    assert zone.resolve("slow.example", "TXT").status == "servfail"
    assert zone.resolve("slow.example", "A").status == "nodata"
    assert zone.resolve("deep.example", "A").status == "nodata"
    assert zone.resolve("x.y.deep.example", "A").records == ("192.0.2.1",)
    assert zone.resolve("other.example", "A").status == "nxdomain"


def test_a_zone_is_read_from_json() -> None:
    zone = ZoneResolver.from_json('{"a.example": {"TXT": ["v=DKIM1; p="]}}')
    assert zone.resolve("a.example", "TXT") == Answer("ok", (b"v=DKIM1; p=",), ttl=300)
    for wrong in ("[]", '{"a": []}', '{"a": {"TXT": "gone"}}', "{"):
        with pytest.raises(ValueError, match=r"zone|neither|Expecting|property"):
            ZoneResolver.from_json(wrong)
