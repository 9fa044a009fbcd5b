"""How many connections one network may hold: counted here, judged before a session begins."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import final


@lru_cache(maxsize=65_536)
def network_of(address: str) -> str:
    """
    The network that shares a fate with *address*: its /24, or its /64 for IPv6.

    >>> network_of("203.0.113.7"), network_of("2001:db8::7")
    ('203.0.113.0/24', '2001:db8::/64')
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    length = 24 if isinstance(parsed, IPv4Address) else 64
    return str(ip_network((parsed, length), strict=False))


@lru_cache(maxsize=65_536)
def is_loopback(address: str) -> bool:
    """Whether *address* is this machine; such peers are never limited."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


@final
class ConnectionGate:
    """Counts connections, in all and by network."""

    def __init__(self, *, per_network: int, total: int = 20_000) -> None:
        """
        Args:
            per_network: What one network may hold; 0 is without limit.
            total: What the server holds in all, loopback excepted.
        """
        self._per_network = per_network
        self._total = total
        self._held: Counter[str] = Counter()
        self._all = 0

    def enter(self, address: str) -> bool:
        """Count a connection; whether it may stay.  Call `leave` at its end in either case."""
        if is_loopback(address):
            return True
        network = network_of(address)
        self._held[network] += 1
        self._all += 1
        if self._all > self._total:
            return False
        return not self._per_network or self._held[network] <= self._per_network

    def leave(self, address: str) -> None:
        if is_loopback(address):
            return
        network = network_of(address)
        self._all -= 1
        self._held[network] -= 1
        if self._held[network] <= 0:
            del self._held[network]
