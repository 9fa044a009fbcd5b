"""Where mail for a domain goes: MX, address literals, smarthosts (RFC 5321 §5.1, RFC 7505).

`route` is a generator of look-ups, so it runs from a dictionary in tests.  What it returns explains
itself: the answers it rests on go into the record of the attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, final

from corvus_auth.domains import DomainError, to_ascii
from corvus_auth.lookup import Answer, Lookup

#: Hosts that are tried: a domain with a hundred MX records wants to be tried two hundred times.
MAX_HOSTS: Final = 10
#: Addresses of one host that are tried.
MAX_ADDRESSES: Final = 8


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One host that takes the mail, with its addresses in the order to try."""

    host: str
    preference: int
    addresses: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where to go, or why there is nowhere to go."""

    domain: str
    hops: tuple[Hop, ...] = ()
    code: int = 0
    """0 where there are hops; else the reply that this amounts to, such as 550 or 451."""
    enhanced: str = ""
    reason: str = ""
    """In words: why there is no hop, or how the hops were found."""
    proven: bool = True
    """Whether the names of the hosts can be believed: DNSSEC signs the MX records, or none were
    needed.  REQUIRETLS asks (RFC 8689 §2)."""
    evidence: tuple[dict[str, Any], ...] = field(default=())
    """The DNS answers used, JSON-safe."""

    @property
    def temporary(self) -> bool:
        return self.code // 100 == 4

    def to_dict(self) -> dict[str, Any]:
        return {
            "domain": self.domain,
            "hops": [
                {"host": h.host, "preference": h.preference, "addresses": list(h.addresses)}
                for h in self.hops
            ],
            "reason": self.reason,
            "answers": list(self.evidence),
        }


def route(
    domain: str,
    *,
    own_names: Sequence[str],
    own_addresses: Sequence[str] = (),
    allow_loopback: bool = False,
    shuffle: Callable[[list[Any]], object] = lambda hosts: None,
) -> Generator[Any, Any, Route]:
    """
    Find the hosts that take mail for *domain*.

    A CNAME at the domain or a host is followed by the resolver: "If a CNAME record is found, the
    resulting name is processed as if it were the initial name."

    Args:
        domain: A domain, or an address literal such as ``[192.0.2.1]``.
        own_names: Our host names: mail is never sent to ourselves.
        own_addresses: Our addresses.
        allow_loopback: Whether a host in 127.0.0.0/8 or ::1 may be one.
        shuffle: Mixes hosts of equal preference: "the sender-SMTP MUST randomize them to spread
            the load".

    Returns:
        A `Route`; trouble in DNS is one with a temporary code.
    """
    evidence: list[dict[str, Any]] = []
    own_names = [name.lower().rstrip(".") for name in own_names]
    if domain.startswith("["):
        return _literal_route(domain, own_addresses, allow_loopback)
    try:
        domain = to_ascii(domain)
    except DomainError:
        return _nowhere(domain, 550, "5.1.2", f"{domain} is no name of a domain", evidence)
    answer = yield Lookup(domain, "MX")
    evidence.append(_shown(domain, "MX", answer))
    if answer.status in ("timeout", "servfail"):
        return _nowhere(domain, 451, "4.4.3", "the MX records could not be looked up", evidence)
    if answer.status == "nxdomain":
        return _nowhere(domain, 550, "5.1.2", f"the domain {domain} does not exist", evidence)
    records = [(int(p), str(h).rstrip(".").lower()) for p, h in answer.records]
    if records == [(0, "")] or (len(records) == 1 and not records[0][1]):
        # RFC 7505 §3: a single MX record with the root for its host; §4.2 gives 556 and 5.1.10.
        return _nowhere(domain, 556, "5.1.10", f"{domain} says that it takes no mail", evidence)
    reason, proven = "by its MX records", answer.secure
    if not records:
        # "If an empty list of MXs is returned, the address is treated as if it was associated with
        # an implicit MX RR, with a preference of 0, pointing to that host."
        records, reason = [(0, domain)], "it has no MX record: the domain itself is tried"
        proven = True
    records = [(preference, host) for preference, host in records if host]
    mine = [preference for preference, host in records if host in own_names]
    if mine:
        # RFC 5321 §5.1: a relay that finds itself among the hosts discards those that are not
        # better than itself, else two of us would send a mail to and fro.
        records = [(p, h) for p, h in records if p < min(mine) and h not in own_names]
        if not records:
            return _to_ourselves(domain, evidence)
    if not records:
        return _nowhere(domain, 550, "5.1.2", f"{domain} has no MX record with a host", evidence)
    records = _ordered(records, shuffle)[:MAX_HOSTS]
    lookups = tuple(Lookup(host, kind) for _, host in records for kind in ("AAAA", "A"))
    answers = yield lookups
    hops: list[Hop] = []
    failed = refused = False
    ours: int | None = None
    for index, (preference, host) in enumerate(records):
        found: list[str] = []
        for lookup, each in zip(
            lookups[2 * index :], answers[2 * index : 2 * index + 2], strict=False
        ):
            evidence.append(_shown(lookup.name, lookup.rdtype, each))
            failed = failed or each.status in ("timeout", "servfail")
            found += [str(record) for record in each.records]
        if any(_same(text, own) for text in found for own in own_addresses):
            # Another name for ourselves: as with our own name, what is not better is out too.
            ours = preference if ours is None else min(ours, preference)
            continue
        usable = _usable(found, allow_loopback)
        refused = refused or (bool(found) and not usable)
        if usable:
            hops.append(Hop(host=host, preference=preference, addresses=tuple(usable)))
    if ours is not None:
        hops = [hop for hop in hops if hop.preference < ours]
    if hops:
        return Route(
            domain=domain,
            hops=tuple(hops),
            reason=reason,
            proven=proven,
            evidence=tuple(evidence),
        )
    if ours is not None:
        return _to_ourselves(domain, evidence)
    if failed:
        return _nowhere(
            domain, 451, "4.4.3", "the addresses of its hosts could not be looked up", evidence
        )
    if refused:
        return _nowhere(
            domain,
            550,
            "5.4.4",
            f"the hosts of {domain} have addresses that mail is not sent to",
            evidence,
        )
    return _nowhere(domain, 550, "5.1.2", f"no host of {domain} has an address", evidence)


def _ordered(
    records: Sequence[tuple[int, str]], shuffle: Callable[[list[Any]], object]
) -> list[tuple[int, str]]:
    """By preference, equals mixed, each host once."""
    found: list[tuple[int, str]] = []
    seen: set[str] = set()
    for preference in sorted({preference for preference, _ in records}):
        equals = [record for record in records if record[0] == preference]
        shuffle(equals)
        for record in equals:
            if record[1] not in seen:
                seen.add(record[1])
                found.append(record)
    return found


def _usable(addresses: Sequence[str], allow_loopback: bool) -> list[str]:
    """The addresses that mail may be sent to, the families in turn, so that neither crowds the other out."""
    families: dict[int, list[str]] = {4: [], 6: []}
    first = 0
    for text in dict.fromkeys(addresses):
        address = _address(text)
        if address is None or address.is_unspecified or address.is_multicast:
            continue
        if address.is_loopback and not allow_loopback:
            continue
        first = first or address.version
        families[address.version].append(str(address))
    found: list[str] = []
    mine, other = families[first or 6], families[10 - (first or 6)]
    for index in range(max(len(mine), len(other))):
        found += mine[index : index + 1] + other[index : index + 1]
    return list(dict.fromkeys(found))[:MAX_ADDRESSES]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address without a zone; one that maps IPv4 is the IPv4 address that it leads to."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        # Else ::ffff:127.0.0.1 and ::ffff:0.0.0.0 would be ways to ourselves.
        return address.ipv4_mapped or address
    return address


def _same(text: str, other: str) -> bool:
    address = _address(text)
    return address is not None and address == _address(other)


def _literal_route(domain: str, own_addresses: Sequence[str], allow_loopback: bool) -> Route:
    """``[192.0.2.1]``, ``[IPv6:2001:db8::1]`` (RFC 5321 §4.1.3): no question to anybody."""
    text = domain[1:-1] if domain.endswith("]") else ""
    tagged = text[:5].lower() == "ipv6:"
    inner = text[5:] if tagged else text
    address = _address(inner)
    if address is None or (":" in inner) is not tagged:
        return _nowhere(domain, 550, "5.1.3", f"{domain} is no address literal", [])
    if any(_same(str(address), own) for own in own_addresses):
        return _to_ourselves(domain, [])
    if not _usable([str(address)], allow_loopback):
        return _nowhere(domain, 550, "5.4.4", "the address is not one that mail is sent to", [])
    return Route(
        domain=domain,
        hops=(Hop(host=domain, preference=0, addresses=(str(address),)),),
        reason="the recipient names an address",
    )


def _to_ourselves(domain: str, evidence: list[dict[str, Any]]) -> Route:
    return _nowhere(
        domain, 550, "5.4.6", f"the MX records of {domain} lead back to this server", evidence
    )


def _shown(name: str, rdtype: str, answer: Answer) -> dict[str, Any]:
    return {
        "name": name,
        "type": rdtype,
        "status": answer.status,
        "records": [list(r) if isinstance(r, tuple) else str(r) for r in answer.records[:20]],
        "secure": answer.secure,
    }


def _nowhere(
    domain: str, code: int, enhanced: str, reason: str, evidence: list[dict[str, Any]]
) -> Route:
    return Route(
        domain=domain, code=code, enhanced=enhanced, reason=reason, evidence=tuple(evidence)
    )
