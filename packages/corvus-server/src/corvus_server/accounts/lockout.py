"""Lockout: too many failed sign-ins for one address from one network close the door for a while.

Counted per (address, network), so that a stranger who guesses cannot lock out the owner at home,
and per network, so that one who tries a thousand addresses is stopped as well.  An attempt against a
closed door does not keep it closed longer: else a forgotten client would never get in again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from corvus_server.transports.limits import network_of

#: Failures of one address from one network that close the door.
ADDRESS_FAILURES: Final = 10
#: Failures of one network, whatever the address.
NETWORK_FAILURES: Final = 100
#: Seconds after which failures are forgotten, and for which the door stays closed.
WINDOW: Final = 900.0
#: Doors that are remembered; the oldest is forgotten first.
REMEMBERED: Final = 100_000


@dataclass(slots=True)
class _Door:
    failures: int
    since: float
    closed_until: float = 0.0


@final
class Lockout:
    """Counts failures; says for how long a door stays closed."""

    def __init__(self, *, now: Callable[[], float], enabled: bool = True) -> None:
        self._now = now
        self._enabled = enabled
        self._doors: OrderedDict[tuple[str, str], _Door] = OrderedDict()

    def closed_for(self, address: str, peer: str) -> float:
        """Seconds until *address* may be tried from *peer* again; 0.0 when it may now."""
        if not self._enabled:
            return 0.0
        now = self._now()
        network = network_of(peer)
        doors = (self._doors.get((address.lower(), network)), self._doors.get(("", network)))
        return max([0.0, *(door.closed_until - now for door in doors if door is not None)])

    def failed(self, address: str, peer: str) -> bool:
        """Count a failure; whether a door has closed because of it."""
        if not self._enabled:
            return False
        network = network_of(peer)
        first = self._count((address.lower(), network), ADDRESS_FAILURES)
        second = self._count(("", network), NETWORK_FAILURES)
        return first or second

    def succeeded(self, address: str, peer: str) -> None:
        """Forget the failures of *address* from where it has now signed in."""
        self._doors.pop((address.lower(), network_of(peer)), None)

    def lift(self, address: str, network: str) -> bool:
        """Open the door of (*address*, *network*) again; whether it was closed."""
        door = self._doors.pop((address.lower(), network), None)
        return door is not None and door.closed_until > self._now()

    def closed(self) -> list[tuple[str, str, float]]:
        """The doors that are closed now: address (empty: all), network, seconds left."""
        now = self._now()
        return [
            (address, network, door.closed_until - now)
            for (address, network), door in self._doors.items()
            if door.closed_until > now
        ]

    def _count(self, key: tuple[str, str], most: int) -> bool:
        now = self._now()
        door = self._doors.get(key)
        if door is None or now - door.since > WINDOW:
            door = self._doors[key] = _Door(0, now)
            if len(self._doors) > REMEMBERED:
                self._doors.popitem(last=False)
        if door.closed_until > now:
            return False
        door.failures += 1
        if door.failures < most:
            return False
        door.closed_until = now + WINDOW
        door.failures = 0
        return True
