"""Ready-made resolvers over dnspython (extra ``[dns]``): caching, parallel, never raising.

This module does I/O; nothing else in the package needs it (the command and `compat` load it when
they have to ask real DNS).  Both resolvers keep answers for their TTL in a bounded cache, ask several
questions at once, pass on whether the answer was secured by DNSSEC, and turn every kind of trouble
into the status of an `Answer`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, final

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.resolver

from corvus_dkim.lookup import Answer, AnswerStatus, Lookup

#: Seconds for one look-up with all its retries.
LIFETIME: Final = 5.0
#: Answers kept, and bounds of their time: a TTL of zero still serves the message in hand.
CACHE: Final = 1024
MIN_TTL: Final = 1
MAX_TTL: Final = 3600
#: The time for which "there is no such name" is kept; short, since a key may be published any time.
NEGATIVE_TTL: Final = 60
#: Questions that the plain resolver asks at the same time.
THREADS: Final = 10

#: What may go wrong with a look-up; ValueError is a name that no name can be.
_ERRORS: Final = (dns.exception.DNSException, OSError, ValueError)


class _Resolver:
    """What both resolvers share: configuration, and a cache, the oldest answers out first."""

    def __init__(
        self,
        resolver: dns.resolver.BaseResolver,
        nameservers: Sequence[str],
        port: int,
        lifetime: float,
        clock: Callable[[], float],
    ) -> None:
        if nameservers:
            resolver.nameservers = list(nameservers)
            resolver.port = port
        resolver.lifetime = lifetime
        resolver.search = []
        # The DO bit asks for DNSSEC.  The AD bit in the answer is believed, so the name servers and
        # the way to them have to be your own.
        resolver.use_edns(0, dns.flags.DO, 1232)
        resolver.flags = dns.flags.RD | dns.flags.AD
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[float, Answer]] = OrderedDict()

    def _cached(self, name: str, rdtype: str) -> Answer | None:
        kept = self._kept.get((name.lower(), rdtype))
        return None if kept is None or kept[0] <= self._clock() else kept[1]

    def _keep(self, name: str, rdtype: str, answer: Answer) -> Answer:
        if answer.status in ("ok", "nodata", "nxdomain"):
            until = self._clock() + min(max(answer.ttl, MIN_TTL), MAX_TTL)
            self._kept[name.lower(), rdtype] = (until, answer)
            self._kept.move_to_end((name.lower(), rdtype))
            while len(self._kept) > CACHE:
                self._kept.popitem(last=False)
        return answer


def _answer(rdtype: str, found: dns.resolver.Answer) -> Answer:
    secure = bool(found.response.flags & dns.flags.AD)
    if found.rrset is None:
        return Answer("nodata", (), secure, NEGATIVE_TTL)
    records = tuple(
        [b"".join(r.strings) if rdtype == "TXT" else r.to_text().rstrip(".") for r in found.rrset]
    )
    return Answer("ok", records, secure, int(found.rrset.ttl))


def _trouble(error: Exception) -> Answer:
    if isinstance(error, dns.resolver.NXDOMAIN):
        return Answer("nxdomain", ttl=NEGATIVE_TTL)
    status: AnswerStatus = "servfail"
    if isinstance(error, dns.exception.Timeout | TimeoutError):
        status = "timeout"
    return Answer(status)


@final
class DNSResolver(_Resolver):
    """
    A plain resolver; look-ups that may run in parallel do, in threads.

    Args:
        nameservers: Addresses; those of the system when empty.
        port: Theirs.
        lifetime: Seconds for one look-up with all its retries.
        clock: Monotonic seconds, for the cache.
    """

    def __init__(
        self,
        nameservers: Sequence[str] = (),
        *,
        port: int = 53,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = dns.resolver.Resolver(configure=not nameservers)
        super().__init__(self._resolver, nameservers, port, lifetime, clock)

    def resolve(self, name: str, rdtype: str) -> Answer:
        """Answer one question.  Never raises for what DNS does."""
        kept = self._cached(name, rdtype)
        if kept is not None:
            return kept
        try:
            found = self._resolver.resolve(f"{name}.", rdtype, raise_on_no_answer=False)
            answer = _answer(rdtype, found)
        except _ERRORS as error:
            answer = _trouble(error)
        return self._keep(name, rdtype, answer)

    def resolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        """Answer several questions at once, in order."""
        asked = list(dict.fromkeys(lookups))
        with ThreadPoolExecutor(min(THREADS, len(asked)) or 1) as pool:
            found = dict(
                zip(asked, pool.map(lambda q: self.resolve(q.name, q.rdtype), asked), strict=True)
            )
        return [found[lookup] for lookup in lookups]


@final
class AsyncDNSResolver(_Resolver):
    """An asynchronous resolver for asyncio; else as `DNSResolver`."""

    def __init__(
        self,
        nameservers: Sequence[str] = (),
        *,
        port: int = 53,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        super().__init__(self._resolver, nameservers, port, lifetime, clock)

    async def resolve(self, name: str, rdtype: str) -> Answer:
        """Answer one question.  Never raises for what DNS does."""
        kept = self._cached(name, rdtype)
        if kept is not None:
            return kept
        try:
            found = await self._resolver.resolve(f"{name}.", rdtype, raise_on_no_answer=False)
            answer = _answer(rdtype, found)
        except _ERRORS as error:
            answer = _trouble(error)
        return self._keep(name, rdtype, answer)

    async def aresolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        """Answer several questions at once, in order."""
        asked = list(dict.fromkeys(lookups))
        found = await asyncio.gather(*[self.resolve(q.name, q.rdtype) for q in asked])
        answers = dict(zip(asked, found, strict=True))
        return [answers[lookup] for lookup in lookups]
