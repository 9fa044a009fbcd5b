"""Authentication of incoming mail: SPF, every DKIM signature, DMARC, the reverse name, the lists.

All of them are generators, driven together, so that DNS is asked in parallel; a budget of time
bounds the whole.  Trouble is a result (``temperror``), never an exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, cast, final

import corvus_auth
import corvus_message
from corvus_auth import authres, dmarc, spf
from corvus_auth.lookup import Answer, Lookup, arun, gather

#: Seconds that all look-ups of one mail may take: "at least 20 seconds" (RFC 7208 §4.6.4).
BUDGET: Final = 20.0
#: Names of an address that are looked up forward: "only the first 10 names" (RFC 7208 §4.6.4).
MAX_NAMES: Final = 10


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """What was found out about who sent a mail."""

    spf: Any = None
    dkim: tuple[Any, ...] = ()
    dmarc: Any = None
    from_domain: str = ""
    from_problem: str = ""
    ptr: tuple[str, ...] | None = None
    blocklists: Mapping[str, str] = field(default_factory=dict)
    allowlists: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    whole: Any = None
    """What `corvus_auth.authenticate` returned: the sentence and the header field."""

    @classmethod
    def none(cls) -> Authentication:
        """Nothing was asked."""
        return cls()

    @staticmethod
    def status(result: Any) -> str:
        """The word for a result: ``pass``, ``fail``, ``none`` ..."""
        return "none" if result is None else str(getattr(result.status, "value", result.status))

    @property
    def spf_domain(self) -> str:
        return "" if self.spf is None else str(self.spf.domain)

    def header(self, hostname: str) -> bytes:
        """The Authentication-Results field with our name, CRLF included; empty if nothing was asked."""
        if self.whole is None:
            return b""
        results = list(self.whole.results())
        if self.ptr is not None:
            results.append(authres.Result("iprev", "pass" if self.ptr else "fail"))
        return authres.field(hostname, results)

    def to_json(self) -> dict[str, Any]:
        """The evidence, with the DNS answers it rests on."""
        return {
            "spf": None if self.spf is None else self.spf.to_dict(),
            "dkim": [result.to_dict() for result in self.dkim],
            "dmarc": None if self.dmarc is None else self.dmarc.to_dict(),
            "ptr": None if self.ptr is None else list(self.ptr),
            "blocklists": dict(self.blocklists),
            "allowlists": dict(self.allowlists),
            "seconds": round(self.seconds, 4),
        }


@final
class Authenticator:
    """Asks everything there is to ask about who sent a mail."""

    def __init__(
        self,
        resolver: Any,
        *,
        monotonic: Callable[[], float],
        dnsbl: Sequence[str] = (),
        dnswl: Sequence[str] = (),
        budget: float = BUDGET,
    ) -> None:
        self._resolver = resolver
        self._monotonic = monotonic
        self._dnsbl = tuple(dnsbl)
        self._dnswl = tuple(dnswl)
        self._budget = budget

    async def check(
        self,
        *,
        ip: str,
        helo: str,
        mail_from: str,
        message: corvus_message.Part,
        signatures: Generator[Any, Any, Sequence[Any]] | None,
    ) -> Authentication:
        """
        Check one mail.

        Args:
            signatures: The evaluation of its DKIM signatures (`corvus_dkim`).

        Returns:
            Results for all of it; what the budget cut off is ``temperror`` or unknown.
        """
        began = self._monotonic()
        author = dmarc.author([field.raw_value for field in message.headers.all(b"from")])
        whole, ptr, blocked, allowed = await self._ask(
            gather(
                [
                    corvus_auth.authenticate(
                        author,
                        spf=spf.evaluate(ip, mail_from, helo),
                        dkim=signatures if signatures is not None else (),
                    ),
                    reverse_names(ip),
                    listed(ip, self._dnsbl),
                    listed(ip, self._dnswl),
                ]
            )
        )
        return Authentication(
            spf=whole.spf,
            dkim=tuple(whole.dkim),
            dmarc=whole.dmarc,
            from_domain=author.domain or "",
            from_problem=author.problem,
            ptr=ptr,
            blocklists=blocked,
            allowlists=allowed,
            seconds=self._monotonic() - began,
            whole=whole,
        )

    async def _ask(self, evaluation: Generator[Any, Any, Any]) -> Any:
        """Drive *evaluation*; when the budget is spent, every further look-up has timed out."""
        end = self._monotonic() + self._budget
        return await arun(evaluation, _Budgeted(self._resolver, end, self._monotonic))


class _Budgeted:
    """A resolver whose answers come in time or are time-outs."""

    def __init__(self, resolver: Any, end: float, monotonic: Callable[[], float]) -> None:
        self._resolver = resolver
        self._end = end
        self._monotonic = monotonic
        self._resolve = getattr(resolver, "aresolve", None) or resolver.resolve

    async def aresolve(self, name: str, rdtype: str) -> Answer:
        left = self._end - self._monotonic()
        if left <= 0:
            return Answer("timeout")
        found = self._resolve(name, rdtype)
        if isinstance(found, Answer):
            return found
        try:
            return cast("Answer", await asyncio.wait_for(found, left))
        except TimeoutError:
            return Answer("timeout")
        except OSError:
            return Answer("servfail")

    async def aresolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        return list(await asyncio.gather(*(self.aresolve(q.name, q.rdtype) for q in lookups)))


def reverse_names(ip: str) -> Generator[Any, Any, tuple[str, ...] | None]:
    """
    The names of *ip* that also lead back to it (RFC 8601 §2.7.3, "iprev").

    Returns:
        The names, none, or ``None`` if DNS did not say.
    """
    try:
        address = ip_address(ip)
    except ValueError:
        return None
    answer = yield Lookup(address.reverse_pointer, "PTR")
    if answer.status in ("timeout", "servfail"):
        return None
    names = [str(name).rstrip(".") for name in answer.records[:MAX_NAMES]]
    if not names:
        return ()
    rdtype = "A" if address.version == 4 else "AAAA"
    answers = yield tuple(Lookup(name, rdtype) for name in names)
    found = tuple(
        name
        for name, forward in zip(names, answers, strict=True)
        if any(_same(record, address) for record in forward.records)
    )
    if not found and any(forward.status in ("timeout", "servfail") for forward in answers):
        return None
    return found


def _same(record: Any, address: IPv4Address | IPv6Address) -> bool:
    try:
        return ip_address(str(record)) == address
    except ValueError:
        return False


def listed(ip: str, zones: Sequence[str]) -> Generator[Any, Any, dict[str, str]]:
    """
    Which DNS lists name *ip* (RFC 5782), with what they answered.

    Only 127.0.0.0/8 is a listing: an expired list domain that resolves to a web page lists nobody.
    127.255.255.x is a list's word for "you may not ask", which is none either.
    """
    if not zones:
        return {}
    try:
        name = (
            ip_address(ip).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
        )
    except ValueError:
        return {}
    answers = yield tuple(Lookup(f"{name}.{zone}", "A") for zone in zones)
    found: dict[str, str] = {}
    for zone, answer in zip(zones, answers, strict=True):
        for record in answer.records:
            text = str(record)
            if text.startswith("127.") and not text.startswith("127.255.255."):
                found[zone] = text
                break
    return found
