"""A name server in memory: zones that can change, be slow, be silent, or be broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, final

from corvus_auth.lookup import Answer, Lookup

#: CNAMEs that are followed; a longer chain, or a ring, is a broken zone.
MAX_CNAMES: Final = 8
#: Virtual seconds after which a question that nobody answers is given up.
PATIENCE: Final = 5.0


@final
class SimulatedDNS:
    """
    Answers from ``{name: {type: [records]}}``, the shape of `corvus_auth.lookup.ZoneResolver`.

    >>> dns = SimulatedDNS({"a.example": {"MX": [(10, "mx.a.example")]}})
    >>> dns.resolve("A.example.", "MX").records
    ((10, 'mx.a.example'),)
    >>> dns.resolve("b.example", "MX").status
    'nxdomain'

    Args:
        zone: The records to begin with.
        delay: Virtual seconds that an answer takes.
    """

    def __init__(
        self, zone: Mapping[str, Mapping[str, Sequence[Any]]] = {}, *, delay: float = 0.02
    ) -> None:
        self._records: dict[str, dict[str, list[Any]]] = {}
        self._published: list[Callable[[str, str], Sequence[Any] | None]] = []
        self._faults: dict[tuple[str, str], str] = {}
        self.delay = delay
        self.signed: set[str] = set()
        """Names whose answers count as proven by DNSSEC."""
        self.asked = 0
        """Questions so far."""
        for name, types in zone.items():
            for rdtype, records in types.items():
                self.set(name, rdtype, *records)

    def set(self, name: str, rdtype: str, *records: Any) -> None:
        """Let *name* have these records of *rdtype* from now on, and no others."""
        self._records.setdefault(_key(name), {})[rdtype.upper()] = list(records)

    def remove(self, name: str) -> None:
        """Let *name* not exist."""
        self._records.pop(_key(name), None)

    def publish(self, source: Callable[[str, str], Sequence[Any] | None]) -> None:
        """Ask *source* (name, type) first; ``None`` is "not mine".  For keys that are still made."""
        self._published.append(source)

    def fail(self, name: str, rdtype: str = "*", status: str = "servfail") -> None:
        """Answer ``servfail``, or nothing in time (``timeout``); ``*`` means all names or types."""
        self._faults[_key(name), rdtype.upper()] = status

    def heal(self) -> None:
        """Take all faults away."""
        self._faults.clear()

    def resolve(self, name: str, rdtype: str) -> Answer:
        """The answer, at once."""
        self.asked += 1
        name, rdtype = _key(name), rdtype.upper()
        for key in ((name, rdtype), (name, "*"), ("*", rdtype), ("*", "*")):
            if key in self._faults:
                return Answer(self._faults[key])  # type: ignore[arg-type]  # one of the statuses
        for _ in range(MAX_CNAMES):
            for source in self._published:
                found = source(name, rdtype)
                if found is not None:
                    return Answer("ok", tuple(found), False, 300)
            types = self._records.get(name)
            if types is None:
                below = any(each.endswith(f".{name}") for each in self._records)
                return Answer("nodata" if below else "nxdomain")
            if types.get(rdtype):
                return Answer("ok", tuple(types[rdtype]), name in self.signed, 300)
            if not types.get("CNAME"):
                return Answer("nodata")
            name = _key(str(types["CNAME"][0]))
        return Answer("servfail")

    async def aresolve(self, name: str, rdtype: str) -> Answer:
        """The answer, when it has come over the wire."""
        answer = self.resolve(name, rdtype)
        await asyncio.sleep(PATIENCE if answer.status == "timeout" else self.delay)
        return answer

    async def aresolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        """Several at once: they take as long as the slowest."""
        answers = [self.resolve(each.name, each.rdtype) for each in lookups]
        slow = any(answer.status == "timeout" for answer in answers)
        await asyncio.sleep(PATIENCE if slow else self.delay)
        return answers


def _key(name: str) -> str:
    return name.lower().rstrip(".")
