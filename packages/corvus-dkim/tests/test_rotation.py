"""Rotation of keys."""

from __future__ import annotations

from typing import Any

import pytest

import corvus_dkim
from corvus_dkim.lookup import Answer
from corvus_dkim.rotation import DNSState, Plan, Schedule, Selector, check, compare, plan, state

DAY = 24 * 3600
SHORT = Schedule(propagation=2, lifetime=10, retention=5)


def test_a_selector_lives_through_four_states() -> None:
    one = Selector("s1", 100)
    moments = {101: "published", 102: "active", 111: "active", 112: "retired", 116: "retired"}
    moments[117] = "revoked"
    assert {now: str(state(one, now, SHORT)) for now in moments} == moments


def test_a_selector_can_be_retired_early() -> None:
    one = Selector("s1", 100, retired=105)
    assert [str(state(one, now, SHORT)) for now in (104, 105, 110)] == [
        "active",
        "retired",
        "revoked",
    ]
    assert str(state(Selector("s1", 100, retired=10**9), 112, SHORT)) == "retired"


@pytest.mark.parametrize(
    ("selectors", "now", "expected"),
    [
        ([], 0, Plan(None, True, (), ())),
        ([("s1", 0)], 1, Plan(None, False, ("s1",), ())),
        ([("s1", 0)], 5, Plan("s1", False, ("s1",), ())),
        ([("s1", 0)], 10, Plan("s1", True, ("s1",), ())),
        ([("s2", 10), ("s1", 0)], 11, Plan("s1", False, ("s1", "s2"), ())),
        ([("s2", 9), ("s1", 0)], 11, Plan("s2", False, ("s1", "s2"), ())),
        ([("s2", 10), ("s1", 0)], 12, Plan("s2", False, ("s1", "s2"), ())),
        ([("s2", 10), ("s1", 0)], 17, Plan("s2", False, ("s2",), ("s1",))),
    ],
)
def test_the_plan_at_each_moment(
    selectors: list[tuple[str, float]], now: float, expected: Plan
) -> None:
    assert plan([Selector(n, p) for n, p in selectors], now, SHORT) == expected


def test_keys_are_compared_with_dns(world: Any) -> None:
    key, other = world.keys["ed25519"], world.keys["rsa"]
    record = corvus_dkim.key_record(key)
    world.publish("good", "v=spf1 -all", record)
    world.publish("other", corvus_dkim.key_record(other))
    world.publish("junk", "junk")
    world.publish("revoked", "v=DKIM1; k=ed25519; p=")
    world.zone[world.name("slow")] = {"TXT": "timeout"}
    world.zone[world.name("broken")] = {"TXT": "servfail"}
    names = ["good", "other", "junk", "revoked", "slow", "broken", "gone"]
    found = check("example.com", [(name, key) for name in names], resolver=world.resolver)
    assert found == {
        "good": DNSState.MATCHES,
        "other": DNSState.DIFFERENT,
        "junk": DNSState.DIFFERENT,
        "revoked": DNSState.REVOKED,
        "slow": DNSState.UNKNOWN,
        "broken": DNSState.UNKNOWN,
        "gone": DNSState.MISSING,
    }
    assert check("example.com", [], resolver=world.resolver) == {}


def test_one_key_is_one_look_up(world: Any) -> None:
    evaluation = compare("example.com", [("s1", world.keys["rsa"])])
    assert next(evaluation).name == "s1._domainkey.example.com"
    with pytest.raises(StopIteration) as stop:
        evaluation.send(Answer("nodata"))
    assert stop.value.value == {"s1": DNSState.MISSING}
