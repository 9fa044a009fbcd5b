"""A DNS of dictionaries, for the generators of corvus-dkim and corvus-auth.

``Answer`` is the caller's class: the libraries define it twice, alike on purpose, and this kit
imports neither.  A zone is ``{name: {rdtype: [records]}}``; a name that is absent is NXDOMAIN, a
type that is absent under a present name NODATA.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Zone = Mapping[str, Mapping[str, Sequence[Any]]]


class Resolver:
    """Answers from *zone*, and remembers what was asked, in order."""

    def __init__(self, answer: Callable[..., Any], zone: Zone) -> None:
        self._answer = answer
        self._zone = {name.lower().rstrip("."): records for name, records in zone.items()}
        self.asked: list[tuple[str, str]] = []

    def resolve(self, name: str, rdtype: str) -> Any:
        self.asked.append((name, rdtype))
        records = self._zone.get(name.lower().rstrip("."))
        if records is None:
            return self._answer("nxdomain")
        if rdtype not in records:
            return self._answer("nodata")
        found = records[rdtype]
        if isinstance(found, str):  # a status, such as "timeout"
            return self._answer(found)
        return self._answer("ok", tuple(found), False, 300)


class FailingResolver(Resolver):
    """As `Resolver`, but look-up number *fail_at* (from 0) ends with *status*.

    Run a test once for each number up to `asked`, and every look-up has failed in turn.
    """

    def __init__(
        self, answer: Callable[..., Any], zone: Zone, *, fail_at: int, status: str = "timeout"
    ) -> None:
        super().__init__(answer, zone)
        self._fail_at = fail_at
        self._status = status

    def resolve(self, name: str, rdtype: str) -> Any:
        number = len(self.asked)
        found = super().resolve(name, rdtype)
        return self._answer(self._status) if number == self._fail_at else found


class SlowResolver(Resolver):
    """As `Resolver`, but each round of look-ups costs *delay* seconds of a virtual clock.

    Those asked together (`aresolve_many`) cost one delay; `elapsed` is the sum.
    """

    def __init__(self, answer: Callable[..., Any], zone: Zone, *, delay: float) -> None:
        super().__init__(answer, zone)
        self._delay = delay
        self.elapsed = 0.0

    async def aresolve(self, name: str, rdtype: str) -> Any:
        self.elapsed += self._delay
        return super().resolve(name, rdtype)

    async def aresolve_many(self, questions: Sequence[Any]) -> list[Any]:
        self.elapsed += self._delay
        return [super(SlowResolver, self).resolve(q.name, q.rdtype) for q in questions]
