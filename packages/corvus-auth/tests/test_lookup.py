"""Look-ups, answers, the drivers and the zone resolver."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from corvus_auth.lookup import Answer, Evaluation, Lookup, ZoneResolver, arun, gather, run


def drive(coroutine: Any) -> Any:
    """Run a coroutine that never really waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


def ask(*names: str) -> Evaluation[list[str]]:
    found: list[str] = []
    for name in names:
        answer: Answer = yield Lookup(name, "A")
        found.append(answer.status)
    return found


def ask_all(*names: str) -> Evaluation[list[str]]:
    answers: tuple[Answer, ...] = yield tuple(Lookup(name, "A") for name in names)
    return [answer.status for answer in answers]


ZONE = ZoneResolver({"a.example": {"A": ["192.0.2.1"]}})


class Broken:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def resolve(self, name: str, rdtype: str) -> Answer:
        raise self.error


class BrokenMany(Broken):
    def resolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        raise self.error

    async def aresolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        raise self.error


class Coroutines:
    def __init__(self) -> None:
        self.rounds = 0

    async def resolve(self, name: str, rdtype: str) -> Answer:
        self.rounds += 1
        return ZONE.resolve(name, rdtype)


class Parallel(Coroutines):
    async def aresolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        self.rounds += 1
        return [ZONE.resolve(q.name, q.rdtype) for q in lookups]


def test_run_asks_one_after_the_other_and_several_at_once() -> None:
    assert run(ask("a.example", "b.example"), ZONE) == ["ok", "nxdomain"]
    assert run(ask_all("a.example", "b.example"), ZONE) == ["ok", "nxdomain"]


@pytest.mark.parametrize(
    ("error", "status"), [(TimeoutError(), "timeout"), (ConnectionError(), "servfail")]
)
def test_trouble_of_a_resolver_is_an_answer(error: Exception, status: str) -> None:
    for resolver in (Broken(error), BrokenMany(error)):
        assert run(ask("a.example"), resolver) == [status]
        assert run(ask_all("a.example", "b.example"), resolver) == [status, status]
        assert drive(arun(ask("a.example"), resolver)) == [status]
        assert drive(arun(ask_all("a.example", "b.example"), resolver)) == [status, status]


def test_a_bug_of_a_resolver_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        run(ask("a.example"), Broken(KeyError("bug")))


def test_arun_takes_plain_and_asynchronous_resolvers() -> None:
    assert drive(arun(ask("a.example"), ZONE)) == ["ok"]
    one_by_one, parallel = Coroutines(), Parallel()
    assert drive(arun(ask_all("a.example", "b.example"), one_by_one)) == ["ok", "nxdomain"]
    assert one_by_one.rounds == 2
    assert drive(arun(ask_all("a.example", "b.example"), parallel)) == ["ok", "nxdomain"]
    assert parallel.rounds == 1


def test_run_prefers_resolve_many() -> None:
    class Many:
        def resolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
            return [Answer("nodata") for _ in lookups]

        def resolve(self, name: str, rdtype: str) -> Answer:
            raise AssertionError("not one by one")

    assert run(ask_all("a.example", "b.example"), Many()) == ["nodata", "nodata"]


def test_gather_runs_evaluations_side_by_side() -> None:
    asked: list[Any] = []
    both = gather([ask("a.example", "b.example"), ask_all("c.example", "d.example"), ask()])
    question = next(both)
    try:
        while True:
            asked.append(
                [q.name for q in (question if isinstance(question, tuple) else (question,))]
            )
            count = len(asked[-1])
            answers = tuple(Answer("nodata") for _ in range(count))
            question = both.send(answers if isinstance(question, tuple) else answers[0])
    except StopIteration as end:
        results = end.value
    assert asked == [["a.example", "c.example", "d.example"], ["b.example"]]
    assert results == [["nodata", "nodata"], ["nodata", "nodata"], []]


def test_a_zone_tells_nodata_nxdomain_and_statuses_apart() -> None:
    zone = ZoneResolver(
        {
            "deep.below.example.com": {"TXT": ["text", ["two ", b"strings"]], "AAAA": []},
            "slow.example.com": {"A": "timeout"},
            "x.example.com": {"MX": [[10, "mx.example.com"]]},
        }
    )
    assert zone.resolve("below.example.com", "A").status == "nodata"  # an empty non-terminal
    assert zone.resolve("deep.below.example.com", "AAAA").status == "nodata"
    assert zone.resolve("other.example.net", "A").status == "nxdomain"
    assert zone.resolve("slow.example.com", "A").status == "timeout"
    assert zone.resolve("DEEP.below.example.com.", "TXT").records == (b"text", b"two strings")
    assert zone.resolve("x.example.com", "MX").records == ((10, "mx.example.com"),)


def test_a_zone_follows_aliases_but_no_loops() -> None:
    zone = ZoneResolver(
        {
            "alias.example": {"CNAME": ["b.example."]},
            "b.example": {"A": ["192.0.2.1"]},
            "gone.example": {"CNAME": ["nowhere.test"]},
            "loop.example": {"CNAME": ["loop.example"]},
            "slow.example": {"CNAME": "timeout"},
        }
    )
    assert zone.resolve("alias.example", "A").records == ("192.0.2.1",)
    assert zone.resolve("alias.example", "TXT").status == "nodata"
    assert zone.resolve("gone.example", "A").status == "nxdomain"
    assert zone.resolve("loop.example", "A").status == "servfail"
    assert zone.resolve("slow.example", "A").status == "timeout"


def test_a_zone_is_read_from_json() -> None:
    zone = ZoneResolver.from_json('{"example.com": {"TXT": ["v=spf1 -all"]}}')
    assert zone.resolve("example.com", "TXT") == Answer("ok", (b"v=spf1 -all",), False, 300)


@pytest.mark.parametrize("text", ["[]", '{"a": []}', "{", '{"a": {"A": "no status"}}'])
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ZoneResolver.from_json(text)


@pytest.mark.parametrize(
    ("rdtype", "records"),
    [
        ("TXT", 5),
        ("TXT", None),
        ("TXT", [5]),
        ("TXT", [["a", 5]]),
        ("MX", ["mx.example.com"]),
        ("MX", [[10]]),
        ("MX", [["10", "mx.example.com"]]),
        ("A", [5]),
        ("A", {"192.0.2.1": 1}),
        ("A", "192.0.2.1"),
        ("TLSA", [5]),
        ("TLSA", [[3, 1]]),
    ],
)
def test_a_mistake_in_a_zone_is_named_when_it_is_read(rdtype: str, records: object) -> None:
    with pytest.raises(ValueError, match=r"record|list"):
        ZoneResolver.from_json(json.dumps({"example.com": {rdtype: records}}))


def test_a_zone_may_hold_tlsa_records() -> None:
    zone = ZoneResolver({"_25._tcp.mx.example": {"TLSA": [[3, 1, 1, b"digest"]]}})
    assert zone.resolve("_25._tcp.mx.example", "TLSA").records == ((3, 1, 1, b"digest"),)
