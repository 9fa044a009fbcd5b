"""A network in memory: who listens where, and what the weather is for each connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, final

from corvus_server.simulation.links import Line, Weather


@final
class SimulatedNetwork:
    """
    A `corvus_server.network.Network` without sockets.

    Args:
        weather: Asked with (source, address, port) for each connection; by default it is fine.
    """

    def __init__(
        self, weather: Callable[[str, str, int], Weather] = lambda source, address, port: Weather()
    ) -> None:
        self.weather = weather
        self.lines: list[Line] = []
        """Connections that stand, oldest first."""
        self.connections = 0
        """Connections so far."""
        self._listening: dict[tuple[str, int], tuple[Callable[[], asyncio.Protocol], Context]] = {}
        self._ports = 0

    def listen(self, address: str, port: int, factory: Callable[[], asyncio.Protocol]) -> None:
        """
        Let *factory* make a protocol for each connection to *address* and *port*.

        It is called in the context of whoever listens, not of whoever connects.
        """
        self._listening[address, port] = (factory, copy_context())

    def unlisten(self, address: str) -> None:
        """Let nobody listen at *address* any more: its machine is off."""
        for key in [key for key in self._listening if key[0] == address]:
            del self._listening[key]

    def cut(self, address: str) -> None:
        """Cut every line to or from *address*, as when the plug is pulled."""
        for line in self.lines:
            ends = (line.client.get_extra_info("sockname"), line.server.get_extra_info("sockname"))
            if any(end[0] == address for end in ends):
                line.client._reset()
                line.server._reset()

    async def close(self) -> None:
        """Cut every line and wait until both ends have heard of it."""
        self._listening.clear()
        for line in self.lines:
            line.client._reset()
            line.server._reset()
        await asyncio.sleep(1.0)

    async def connect(
        self,
        factory: Callable[[], asyncio.Protocol],
        address: str,
        port: int,
        *,
        source: str | None = None,
    ) -> tuple[Any, Any]:
        """
        Connect; ``(transport, protocol)`` as asyncio's loop does.

        Raises:
            OSError: Nobody listens there.
        """
        here = source or "192.0.2.1"
        weather = self.weather(here, address, port)
        if weather.unreachable:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(2 * weather.delay)
        listener = self._listening.get((address, port))
        if weather.refused or listener is None:
            raise ConnectionRefusedError(f"nobody answers at {address} port {port}")
        self._ports = self._ports % 50_000 + 1
        self.connections += 1
        make, context = listener
        context = context.copy()
        line = Line(weather, (here, 10_000 + self._ports), (address, port), server_context=context)
        self.lines = [each for each in self.lines if not each.over]
        self.lines.append(line)
        protocol = factory()
        line.connect(protocol, context.run(make))
        return line.client, protocol

    def identify(self, address: str) -> str:
        """Addresses here are what they seem."""
        return address
