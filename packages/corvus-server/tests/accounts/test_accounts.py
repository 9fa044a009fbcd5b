"""Passwords, lockout and budgets, under a clock that is told what time it is."""

from __future__ import annotations

import asyncio
import threading

from corvus_server.accounts.limits import RecipientBudget
from corvus_server.accounts.lockout import ADDRESS_FAILURES, NETWORK_FAILURES, WINDOW, Lockout
from corvus_server.accounts.passwords import REMEMBER, PasswordChecker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Verifier:
    """Counts what it costs; the hash of a secret is ``h:`` and the secret."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.threads: set[str] = set()

    def __call__(self, stored: str, secret: str) -> bool:
        self.calls.append(stored)
        self.threads.add(threading.current_thread().name)
        return stored == f"h:{secret}"


def make() -> tuple[PasswordChecker, Verifier, Clock]:
    clock, verifier = Clock(), Verifier()
    return PasswordChecker(verifier, "h:dummy", now=clock, workers=1), verifier, clock


def test_a_success_is_remembered_and_costs_nothing_the_second_time() -> None:
    checker, verifier, clock = make()

    async def main() -> None:
        assert await checker.check("a@b.test", "h:secret", "secret")
        assert await checker.check("a@b.test", "h:secret", "secret")
        assert len(verifier.calls) == 1
        clock.now += REMEMBER + 1
        assert await checker.check("a@b.test", "h:secret", "secret")
        assert len(verifier.calls) == 2

    asyncio.run(main())
    checker.close()
    assert all(name.startswith("argon2") for name in verifier.threads), "it ran on the loop"


def test_a_changed_password_forgets_the_old_one_at_once() -> None:
    checker, _, _ = make()

    async def main() -> None:
        assert await checker.check("a@b.test", "h:old", "old")
        assert not await checker.check("a@b.test", "h:new", "old")

    asyncio.run(main())
    checker.close()


def test_failures_are_not_remembered_and_unknown_users_cost_a_hash() -> None:
    checker, verifier, _ = make()

    async def main() -> None:
        for _ in range(2):
            assert not await checker.check("a@b.test", "h:secret", "wrong")
        assert not await checker.check("nobody@b.test", None, "dummy")
        assert verifier.calls == ["h:secret", "h:secret", "h:dummy"]

    asyncio.run(main())
    checker.close()


def test_a_megabyte_of_password_is_refused_before_it_costs_anything() -> None:
    checker, verifier, _ = make()
    assert not asyncio.run(checker.check("a@b.test", "h:x", "x" * 1_000_000))
    assert verifier.calls == []
    checker.close()


def test_a_door_closes_after_so_many_failures_and_opens_again() -> None:
    clock = Clock()
    lockout = Lockout(now=clock)
    for _ in range(ADDRESS_FAILURES - 1):
        assert not lockout.failed("a@b.test", "203.0.113.7")
    assert lockout.closed_for("a@b.test", "203.0.113.7") == 0
    assert lockout.failed("A@B.test", "203.0.113.8"), "the same network, the same door"
    assert lockout.closed_for("a@b.test", "203.0.113.9") == WINDOW
    clock.now += WINDOW + 1
    assert lockout.closed_for("a@b.test", "203.0.113.9") == 0


def test_attempts_against_a_closed_door_do_not_keep_it_closed() -> None:
    """A queue that was stuck after a worker died: failed lock attempts extended the lock."""
    clock = Clock()
    lockout = Lockout(now=clock)
    for _ in range(ADDRESS_FAILURES):
        lockout.failed("a@b.test", "203.0.113.7")
    clock.now += WINDOW - 1
    for _ in range(50):
        lockout.failed("a@b.test", "203.0.113.7")
    clock.now += 2
    assert lockout.closed_for("a@b.test", "203.0.113.7") == 0


def test_a_stranger_cannot_lock_out_the_owner_at_home() -> None:
    lockout = Lockout(now=Clock())
    for _ in range(ADDRESS_FAILURES):
        lockout.failed("a@b.test", "203.0.113.7")
    assert lockout.closed_for("a@b.test", "198.51.100.1") == 0


def test_who_tries_a_thousand_addresses_is_stopped_as_well() -> None:
    lockout = Lockout(now=Clock())
    for number in range(NETWORK_FAILURES):
        lockout.failed(f"user{number}@b.test", "203.0.113.7")
    assert lockout.closed_for("somebody.else@b.test", "203.0.113.200") > 0
    assert ("", "203.0.113.0/24") in [(a, n) for a, n, _ in lockout.closed()]


def test_a_success_forgets_the_failures_of_its_address() -> None:
    lockout = Lockout(now=Clock())
    for _ in range(ADDRESS_FAILURES - 1):
        lockout.failed("a@b.test", "203.0.113.7")
    lockout.succeeded("a@b.test", "203.0.113.7")
    assert not lockout.failed("a@b.test", "203.0.113.7")


def test_a_budget_comes_back_after_a_day() -> None:
    clock = Clock()
    budget = RecipientBudget(10, now=clock)
    budget.spend(1, 7)
    assert budget.left(1) == 3
    assert budget.left(2) == 10
    clock.now += 86_401
    assert budget.left(1) == 10
    assert RecipientBudget(0, now=clock).left(1) is None
