"""The demo's Internet: two parties, their addresses, and a DNS that knows what they publish.

Addresses are those of documentation (RFC 5737): nothing that is shown here exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from corvus_auth.lookup import Answer, Lookup

#: ``{domain: (host, address, loopback address of its own connections)}``.
OURS: Final = ("corvus.local", "mail.corvus.local", "192.0.2.25", "127.0.0.2")
CROW: Final = ("crow.example", "mx.crow.example", "203.0.113.25", "127.0.0.3")


@final
@dataclass(frozen=True, slots=True)
class Published:
    """What a party's server would have an administrator publish: its DKIM records, as they are now."""

    domain: str
    current: Callable[[], Sequence[Any]]
    """The signing keys (``selector``, ``record``), read at each question: rotation shows at once."""


@final
class DemoDNS:
    """Answers for the two domains and nobody else; asynchronous, as the server's resolver is."""

    def __init__(self) -> None:
        self._static: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._names: set[str] = set()
        self._published: dict[str, Published] = {}
        for domain, host, address, policy in (
            (
                OURS[0],
                OURS[1],
                OURS[2],
                b"v=DMARC1; p=quarantine; rua=mailto:postmaster@corvus.local",
            ),
            (CROW[0], CROW[1], CROW[2], b"v=DMARC1; p=reject; rua=mailto:postmaster@crow.example"),
        ):
            reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
            self._add(domain, "MX", (10, host))
            self._add(domain, "TXT", b"v=spf1 mx -all")
            self._add(f"_dmarc.{domain}", "TXT", policy)
            self._add(host, "A", address)
            self._add(reverse, "PTR", host)

    def publish(self, published: Published) -> None:
        """Serve the DKIM records of a domain from its server's own keys."""
        self._published[published.domain] = published

    def _add(self, name: str, rdtype: str, *records: Any) -> None:
        self._static[name, rdtype] = records
        self._names.add(name)

    def resolve(self, name: str, rdtype: str) -> Answer:
        name = name.lower().rstrip(".")
        records = self._static.get((name, rdtype))
        if records is not None:
            return Answer("ok", records, False, 300)
        selector, _, domain = name.partition("._domainkey.")
        if domain in self._published and rdtype == "TXT":
            for key in self._published[domain].current():
                if key.selector == selector:
                    return Answer("ok", (key.record.encode("ascii"),), False, 300)
        known = name in self._names or any(n.endswith(f".{name}") for n in self._names)
        return Answer("nodata" if known else "nxdomain")

    async def aresolve(self, name: str, rdtype: str) -> Answer:
        return self.resolve(name, rdtype)

    async def aresolve_many(self, lookups: Sequence[Lookup]) -> list[Answer]:
        return [self.resolve(question.name, question.rdtype) for question in lookups]

    def zone(self) -> Mapping[tuple[str, str], tuple[Any, ...]]:
        """What stands in it, for the pages that explain the demo."""
        return dict(self._static)
