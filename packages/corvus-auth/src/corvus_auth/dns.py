"""Ready-made resolvers over dnspython (extra ``[dns]``): caching, parallel, never raising.

This module does I/O; nothing else in the package imports it.  Both resolvers keep answers for
their TTL in a bounded cache, ask several questions at once, and turn every kind of trouble into the
status of an `Answer`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, final

try:
    import dns.asyncresolver
except ImportError as error:
    raise ImportError("corvus_auth.dns needs the extra: corvus-auth[dns]") from error
import dns.exception
import dns.flags
import dns.name
import dns.rdatatype
import dns.resolver

from corvus_auth.lookup import Answer, AnswerStatus, Lookup

#: Seconds for one look-up with all its retries.
LIFETIME: Final = 5.0
#: Answers kept, and bounds of their time: a TTL of zero still serves the message in hand.
CACHE: Final = 4096
MIN_TTL: Final = 1
MAX_TTL: Final = 3600
#: Questions that the plain resolver asks at the same time.
THREADS: Final = 10


class _Cache:
    """Answers by question, oldest out first; ``clock`` is monotonic seconds."""

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        self._size = size
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[float, Answer]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str, rdtype: str) -> Answer | None:
        kept = self._kept.get((name, rdtype))
        if kept is None or kept[0] <= self._clock():
            return None
        return kept[1]

    def put(self, name: str, rdtype: str, answer: Answer) -> Answer:
        if answer.status in ("ok", "nodata", "nxdomain"):
            ttl = min(max(answer.ttl, MIN_TTL), MAX_TTL)
            until = self._clock() + ttl
            # The threads of `resolve_many` share it: another one must not throw an answer out
            # between two lines here.
            with self._lock:
                self._kept[name, rdtype] = (until, answer)
                self._kept.move_to_end((name, rdtype))
                while len(self._kept) > self._size:
                    self._kept.popitem(last=False)
        return answer


def _name(text: str) -> dns.name.Name:
    # Not from_text(): a macro may have expanded to a backslash, which is a character here and no
    # escape.
    labels = [label.encode("ascii") for label in text.rstrip(".").split(".")]
    return dns.name.Name([*labels, b""])


def _record(rdtype: str, rdata: Any) -> Any:
    if rdtype == "TXT":
        return b"".join(rdata.strings)
    if rdtype in ("A", "AAAA"):
        return rdata.address
    if rdtype in ("PTR", "CNAME"):
        return rdata.target.to_text(omit_final_dot=True)
    if rdtype == "MX":
        return (rdata.preference, rdata.exchange.to_text(omit_final_dot=True))
    if rdtype == "TLSA":
        return (rdata.usage, rdata.selector, rdata.mtype, rdata.cert)
    raise ValueError(f"no such type: {rdtype}")


def _negative_ttl(responses: Any) -> int:
    """The time for which "no" may be kept (RFC 2308 §5)."""
    for response in responses:
        for rrset in response.authority:
            if rrset.rdtype == dns.rdatatype.SOA:
                return int(min(rrset.ttl, rrset[0].minimum))
    return 60


def _answer(rdtype: str, found: dns.resolver.Answer) -> Answer:
    secure = bool(found.response.flags & dns.flags.AD)
    if found.rrset is None:
        return Answer("nodata", (), secure, _negative_ttl([found.response]))
    records = tuple([_record(rdtype, rdata) for rdata in found.rrset])
    return Answer("ok", records, secure, int(found.rrset.ttl))


def _trouble(error: Exception) -> Answer:
    if isinstance(error, dns.resolver.NXDOMAIN):
        responses = error.responses()  # type: ignore[no-untyped-call]  # dnspython's own gap
        return Answer("nxdomain", ttl=_negative_ttl(responses.values()))
    status: AnswerStatus = "servfail"
    if isinstance(error, dns.exception.Timeout | TimeoutError):
        status = "timeout"
    return Answer(status)


#: What may go wrong with a look-up; ValueError and UnicodeError are names that no name can be.
_ERRORS: Final = (dns.exception.DNSException, OSError, ValueError)


def _server(text: str, port: int) -> tuple[str, int]:
    """Address and port of ``192.0.2.1``, ``192.0.2.1:5300``, ``2001:db8::1``, ``[2001:db8::1]:53``."""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return address, int(rest.removeprefix(":") or port)
    address, colon, rest = text.partition(":")
    if colon and ":" not in rest:
        return address, int(rest)
    return text, port


def _configure(resolver: Any, nameservers: Sequence[str], port: int, lifetime: float) -> None:
    if nameservers:
        pairs = [_server(text, port) for text in nameservers]
        resolver.nameservers = [address for address, _ in pairs]
        resolver.nameserver_ports = dict(pairs)
    resolver.lifetime = lifetime
    resolver.search = []
    # The DO bit asks for DNSSEC; the AD bit in the answer is believed, so the name servers and the
    # way to them have to be your own.
    resolver.use_edns(0, dns.flags.DO, 1232)
    resolver.flags = dns.flags.RD | dns.flags.AD


@final
class DNSResolver:
    """
    A plain resolver; look-ups that may run in parallel do, in threads.

    Args:
        nameservers: Addresses, with a port or without; those of the system when empty.
        port: Of those without.
        lifetime: Seconds for one look-up with all its retries.
        cache: Answers kept.
    """

    def __init__(
        self,
        nameservers: Sequence[str] = (),
        *,
        port: int = 53,
        lifetime: float = LIFETIME,
        cache: int = CACHE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = dns.resolver.Resolver(configure=not nameservers)
        _configure(self._resolver, nameservers, port, lifetime)
        self._cache = _Cache(cache, clock)

    def resolve(self, name: str, rdtype: str) -> Answer:
        """Answer one question.  Never raises for what DNS does."""
        name = name.lower()
        kept = self._cache.get(name, rdtype)
        if kept is not None:
            return kept
        try:
            found = self._resolver.resolve(_name(name), rdtype, raise_on_no_answer=False)
            answer = _answer(rdtype, found)
        except _ERRORS as error:
            answer = _trouble(error)
        return self._cache.put(name, rdtype, answer)

    def resolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        """Answer several questions at once, in order."""
        missing = [
            q for q in dict.fromkeys(lookups) if self._cache.get(q.name.lower(), q.rdtype) is None
        ]
        if len(missing) < 2:
            return [self.resolve(q.name, q.rdtype) for q in lookups]
        with ThreadPoolExecutor(min(THREADS, len(missing))) as pool:
            answers = dict(
                zip(
                    missing,
                    pool.map(lambda q: self.resolve(q.name, q.rdtype), missing),
                    strict=True,
                )
            )
        return [answers[q] if q in answers else self.resolve(q.name, q.rdtype) for q in lookups]


@final
class AsyncDNSResolver:
    """An asynchronous resolver for asyncio; else as `DNSResolver`."""

    def __init__(
        self,
        nameservers: Sequence[str] = (),
        *,
        port: int = 53,
        lifetime: float = LIFETIME,
        cache: int = CACHE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        _configure(self._resolver, nameservers, port, lifetime)
        self._cache = _Cache(cache, clock)

    async def resolve(self, name: str, rdtype: str) -> Answer:
        """Answer one question.  Never raises for what DNS does."""
        name = name.lower()
        kept = self._cache.get(name, rdtype)
        if kept is not None:
            return kept
        try:
            found = await self._resolver.resolve(_name(name), rdtype, raise_on_no_answer=False)
            answer = _answer(rdtype, found)
        except _ERRORS as error:
            answer = _trouble(error)
        return self._cache.put(name, rdtype, answer)

    async def aresolve(self, name: str, rdtype: str) -> Answer:
        """The same under the name that says so."""
        return await self.resolve(name, rdtype)

    async def aresolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        """Answer several questions at once, in order."""
        asked = list(dict.fromkeys(lookups))
        answers = dict(
            zip(
                asked,
                await asyncio.gather(*[self.resolve(q.name, q.rdtype) for q in asked]),
                strict=True,
            )
        )
        return [answers[q] for q in lookups]
