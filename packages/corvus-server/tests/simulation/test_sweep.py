"""One mail between two whole servers, broken at every piece that crosses the line (R7, R15)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from corvus_server.simulation import (
    Sent,
    Simulation,
    Weather,
    Whereabouts,
    census,
    message,
    run,
)

ALICE, CAROL = "alice@corvus.example", "carol@crow.example"
#: More pieces than a session with STARTTLS has.
PIECES = 28
#: Which of them are tried: all, where the moment matters; the quick run leaves out some of the others.
STEPS = {"cut": 1, "sender": 1, "silent": 3, "half-close": 3, "receiver": 3}


def delivered(folder: Path, trouble: str, piece: int) -> tuple[Whereabouts, list[str]]:
    """Where the mail is an hour later, if *trouble* comes when *piece* pieces have passed."""
    world = Simulation(folder, seed=piece)

    async def main() -> Whereabouts:
        async with world:
            corvus = await world.add("corvus.example", ["alice"])
            crow = await world.add("crow.example", ["carol"])
            first = [True]

            def weather(source: str, address: str, port: int) -> Weather:
                if not first:
                    return Weather()
                first.clear()
                return {
                    "cut": Weather(cut_after=piece),
                    "silent": Weather(silent_after=piece),
                    "half-close": Weather(half_close_after=piece),
                }.get(trouble, Weather())

            world.weather = weather
            mail = Sent(number=7, sender=ALICE, recipients=(CAROL,))
            assert await corvus.submit(ALICE, [CAROL], message(mail))
            if trouble in ("sender", "receiver"):
                victim = corvus if trouble == "sender" else crow
                for _ in range(1000):
                    if world.network.lines and world.network.lines[0].pieces >= piece:
                        break
                    await asyncio.sleep(0.001)
                await victim.crash()
                await asyncio.sleep(600)
                await victim.start()
            await asyncio.sleep(3600)
            for host in world.hosts.values():
                assert await host.store.check() == []
            (found,) = census(world, [mail])
            return found

    return run(main()), world.log


@pytest.mark.parametrize("trouble", STEPS)
def test_a_mail_survives_trouble_at_every_piece(tmp_path: Path, trouble: str) -> None:
    repeated = []
    for piece in range(0, PIECES, STEPS[trouble]):
        found, log = delivered(tmp_path, trouble, piece)
        assert found.delivered >= 1, (piece, log)
        assert found.queued == found.failed == 0
        assert found.accounted, (piece, found)
        if found.delivered > 1:
            assert found.delivered == 2
            assert any("repeat" in line or "may have arrived" in line for line in log)
            repeated.append(piece)
    # The one moment that nobody can close: the mail is kept there, and the 250 did not come back.
    # Whoever lives through it has the mail twice, and the record of the attempt says why.
    if STEPS[trouble] == 1:
        assert repeated, "the sweep has met the moment after the 250"
    assert len(repeated) <= 4


def test_a_receiver_that_dies_with_its_250_on_the_wire_has_the_mail_twice(tmp_path: Path) -> None:
    world = Simulation(tmp_path, seed=1)

    async def main() -> Whereabouts:
        async with world:
            corvus = await world.add("corvus.example", ["alice"])
            crow = await world.add("crow.example", ["carol"])
            kept = asyncio.Event()
            crow.store.subscribe(None, lambda account, modseq: kept.set())
            mail = Sent(number=7, sender=ALICE, recipients=(CAROL,))
            assert await corvus.submit(ALICE, [CAROL], message(mail))
            await kept.wait()
            await crow.crash()
            await asyncio.sleep(600)
            await crow.start()
            await asyncio.sleep(3600)
            (found,) = census(world, [mail])
            return found

    found = run(main())
    assert (found.delivered, found.queued, found.failed, found.unsure) == (2, 0, 0, True)
    assert any("may have arrived" in line for line in world.log)
