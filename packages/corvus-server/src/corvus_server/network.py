"""The network as a parameter: how a connection to an address is made, and who a peer is.

The server never opens a socket to the world by itself; it asks a `Network`.  `SystemNetwork` is the
machine's.  `MappedNetwork` gives each party of `corvus demo` a public-looking address of its own
while everything stays on loopback.  The simulation has a third, without sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol, final


class Network(Protocol):
    """Makes outgoing connections and names incoming peers."""

    async def connect(
        self,
        factory: Callable[[], asyncio.Protocol],
        address: str,
        port: int,
        *,
        source: str | None = None,
    ) -> tuple[Any, Any]:
        """
        Connect to *address*, an IP address, and return ``(transport, protocol)``.

        Raises:
            OSError: Nobody answers there.
        """

    def identify(self, address: str) -> str:
        """The address by which a peer that connected from *address* is known."""


@final
class SystemNetwork:
    """The machine's own network."""

    async def connect(
        self,
        factory: Callable[[], asyncio.Protocol],
        address: str,
        port: int,
        *,
        source: str | None = None,
    ) -> tuple[Any, Any]:
        loop = asyncio.get_running_loop()
        local = (source, 0) if source else None
        return await loop.create_connection(factory, address, port, local_addr=local)

    def identify(self, address: str) -> str:
        return address


@final
class MappedNetwork:
    """
    A small Internet on loopback, for `corvus demo` and tests.

    Args:
        routes: ``{(address, port): (loopback address, real port)}``.  What has no route is
            unreachable: no packet leaves this machine.
        parties: ``{address: loopback address}``: where a party's own connections come from.
    """

    def __init__(
        self,
        routes: Mapping[tuple[str, int], tuple[str, int]],
        parties: Mapping[str, str],
    ) -> None:
        self.routes = dict(routes)
        self._source = dict(parties)
        self._known = {loopback: address for address, loopback in parties.items()}

    async def connect(
        self,
        factory: Callable[[], asyncio.Protocol],
        address: str,
        port: int,
        *,
        source: str | None = None,
    ) -> tuple[Any, Any]:
        try:
            host, real = self.routes[address, port]
        except KeyError:
            raise OSError(f"no route to {address} port {port}") from None
        loop = asyncio.get_running_loop()
        local = (self._source[source], 0) if source in self._source else None
        return await loop.create_connection(factory, host, real, local_addr=local)

    def identify(self, address: str) -> str:
        return self._known.get(address, address)
