"""What can go wrong between servers, by the dice of the simulation: so that it can be repeated."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import final

from corvus_server.simulation.links import Weather
from corvus_server.simulation.world import Host, Simulation

HOUR = 3600.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """How much goes wrong."""

    lines: float = 0.2
    """Share of connections that meet with something."""
    outage: float = 12 * HOUR
    """Virtual seconds between two outages, on average."""
    longest: float = 6 * HOUR
    """How long an outage may last."""
    crashes: bool = True
    """Whether machines crash, or are shut down in good order instead."""

    def weather(self, world: Simulation) -> None:
        """Let lines be bad from now on."""
        dice = world.dice

        def weather(source: str, address: str, port: int) -> Weather:
            delay = dice.choice((0.005, 0.02, 0.1, 1.0))
            if dice.random() >= self.lines:
                return Weather(delay=delay)
            pieces = dice.randint(1, 30)
            return dice.choice(
                (
                    Weather(delay=delay, refused=True),
                    Weather(delay=delay, unreachable=True),
                    Weather(delay=delay, cut_after=pieces),
                    Weather(delay=delay, silent_after=pieces),
                    Weather(delay=delay, half_close_after=pieces),
                    Weather(delay=30.0),
                )
            )

        world.weather = weather

    async def strike(self, world: Simulation, until: float) -> None:
        """Bring one outage after the other until virtual time *until*, and mend each."""
        dice = world.dice
        while True:
            await asyncio.sleep(dice.expovariate(1 / self.outage))
            if world.now.monotonic() >= until:
                return
            host = world.hosts[dice.choice(sorted(world.hosts))]
            lasting = dice.uniform(60.0, self.longest)
            what = dice.choice(("machine", "dns", "dns of all", "names"))
            world.note_text(f"trouble: {what} of {host.domain} for {lasting:.0f} s")
            await self._one(world, host, what, lasting)

    async def _one(self, world: Simulation, host: Host, what: str, lasting: float) -> None:
        if what == "machine":
            if self.crashes:
                await host.crash()
            else:
                await host.stop()
            await asyncio.sleep(lasting)
            await host.start()
            return
        status = world.dice.choice(("timeout", "servfail"))
        if what == "dns of all":
            world.dns.fail("*", status=status)
        elif what == "dns":
            world.dns.fail(host.domain, status=status)
        else:
            world.dns.fail(host.name, status=status)
        await asyncio.sleep(lasting)
        world.dns.heal()

    def calm(self, world: Simulation) -> None:
        """Let the sun shine again."""
        world.weather = lambda source, address, port: Weather()
        world.dns.heal()
