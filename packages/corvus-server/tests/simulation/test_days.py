"""Whole servers for days of virtual time, with faults: every mail ends in exactly one place."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from corvus_server.simulation import (
    Do,
    Script,
    Sent,
    Simulation,
    Trouble,
    Whereabouts,
    census,
    message,
    run,
)

DAY = 86_400.0


class Day:
    """Two domains of ours and one whose server is moody; people who write at any hour."""

    def __init__(self, folder: Path, *, seed: int, store: str = "memory") -> None:
        self.world = Simulation(folder, seed=seed, store=store)
        self.sent: list[Sent] = []
        self.people = [
            f"{name}@{domain}"
            for domain in ("corvus.example", "crow.example")
            for name in ("alice", "bob")
        ]
        self.outside = [f"{name}@moody.example" for name in ("dan", "eve", "gone", "never")]

    async def furnish(self) -> None:
        for domain in ("corvus.example", "crow.example"):
            await self.world.add(domain, ["alice", "bob"])
        self.world.add_peer(
            "moody.example",
            Script(
                answers={
                    "connect": ["220 a", "421 4.3.2 busy", "220 b", Do.DROP, "220 c", "220 d"] * 40
                    + ["220 e"],
                    "rcpt:gone": "550 5.1.1 no such user",
                    "rcpt:never": "451 4.2.1 never ready",
                    "rcpt:eve": ["451 4.7.1 greylisted", "250 ok"],
                }
            ),
        )

    async def write(self, mails: int, seconds: float) -> None:
        dice = self.world.dice
        for number in range(mails):
            await asyncio.sleep(dice.expovariate(mails / seconds))
            sender = dice.choice(self.people)
            others = [*self.people, *self.outside, "x@nowhere.example"]
            recipients = tuple(dice.sample(others, dice.choice((1, 1, 1, 2, 4))))
            mail = Sent(number=number, sender=sender, recipients=recipients)
            host = self.world.hosts[sender.partition("@")[2]]
            if await host.submit(sender, recipients, message(mail)):
                self.sent.append(mail)


def lived(
    folder: Path, seed: int, *, days: float, mails: int, after: float, trouble: Trouble,
    store: str = "memory",
) -> tuple[list[Whereabouts], list[str], list[BaseException]]:  # fmt: skip
    day = Day(folder, seed=seed, store=store)
    world = day.world

    async def main() -> list[Whereabouts]:
        async with world:
            await day.furnish()
            trouble.weather(world)
            striking = asyncio.create_task(trouble.strike(world, days * DAY))
            await day.write(mails, days * DAY)
            await striking
            trouble.calm(world)
            await asyncio.sleep(after)
            found = census(world, day.sent)
            for host in world.hosts.values():
                assert await host.store.check() == []
            return found

    return run(main()), world.log, world.defects


@pytest.mark.parametrize("seed", [1, 2])
def test_every_mail_ends_in_exactly_one_place(tmp_path: Path, seed: int) -> None:
    found, log, defects = lived(
        tmp_path, seed, days=3, mails=100, after=6 * DAY, trouble=Trouble(outage=10_000.0)
    )
    assert defects == []
    lost = [each for each in found if each.places == 0]
    assert lost == []
    assert [each for each in found if not each.accounted] == []
    assert [each for each in found if each.queued] == [], "six days later all queues are empty"
    assert len(found) > 150
    # It was no easy life: the test would prove nothing without these.
    text = "\n".join(log)
    for word in (" crash", "trouble: dns", "delivery waiting", "delivery delivered"):
        assert word in text
    assert Counter(each.failed for each in found)[1] > 10
    # Repeats are R7's: counted, and named in the record.
    for each in found:
        assert each.places <= 1 or each.unsure


def test_in_the_middle_of_trouble_nothing_is_lost_either(tmp_path: Path) -> None:
    found, _, defects = lived(
        tmp_path, 5, days=2, mails=80, after=0.0, trouble=Trouble(lines=0.6, outage=7200.0)
    )
    assert defects == []
    assert [each for each in found if each.places == 0] == []
    assert [each for each in found if not each.accounted] == []
    assert [each for each in found if each.queued], "some are still on their way"


def test_the_same_seed_gives_the_same_log(tmp_path: Path) -> None:
    logs = []
    for name in ("first", "second"):
        _, log, _ = lived(
            tmp_path / name, 3, days=1, mails=40, after=3600.0, trouble=Trouble(outage=7200.0)
        )
        logs.append(log)
    assert len(logs[0]) > 200
    assert logs[0] == logs[1]


def test_another_seed_gives_another_log(tmp_path: Path) -> None:
    logs = [
        lived(tmp_path / str(seed), seed, days=0.2, mails=5, after=60.0, trouble=Trouble())[1]
        for seed in (3, 4)
    ]
    assert logs[0] != logs[1]


def test_the_same_on_sqlite(tmp_path: Path) -> None:
    found, _, defects = lived(
        tmp_path, 6, days=0.5, mails=20, after=0.25 * DAY, store="sqlite",
        trouble=Trouble(crashes=False),
    )  # fmt: skip
    assert defects == []
    assert [each for each in found if not each.accounted] == []
