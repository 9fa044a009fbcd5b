"""What has to be true before mail arrives: the DNS records to publish, and what is found of them.

What is wanted is made by pure functions out of the settings, the domains and their keys; what DNS
says is judged by a pure function; only `examine` asks.  ``corvus doctor`` prints the result, the
Health page shows it as cards.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from corvus_auth.lookup import Answer
from corvus_server.config import Config

GOOD: Final = "good"
MISSING: Final = "missing"
DIFFERENT: Final = "different"
UNKNOWN: Final = "unknown"

#: What mail programs look for (RFC 6186, RFC 8314 §5.1): service, setting of its listener, usual port.
SERVICES: Final = (
    ("_imaps._tcp", "imap_tls_addr", 993),
    ("_submissions._tcp", "submission_tls_addr", 465),
)
#: Octets of one string in a TXT record (RFC 1035 §3.3).
_STRING: Final = 255


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A DNS record to publish."""

    key: str
    """Stays the same as long as the record is wanted, such as ``mx:example.com``."""
    topic: str
    purpose: str
    """Why, in one line."""
    name: str
    """Absolute, without the final dot."""
    rdtype: str
    value: str
    """As it stands in a zone; empty where only the administrator knows it."""
    optional: bool = False
    """Mail flows without it."""

    @property
    def zone(self) -> str:
        """The line of a zone file; a comment where the value is not known here."""
        value = txt(self.value) if self.rdtype == "TXT" else self.value
        line = f"{self.name}. 3600 IN {self.rdtype} {value}"
        return line if self.value else f"; {line}(the public address of this machine)"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the checklist."""

    key: str
    topic: str
    purpose: str
    state: str
    """`GOOD`, `MISSING`, `DIFFERENT` or `UNKNOWN`."""
    finding: str
    """What was found and what to do, as a sentence."""
    name: str = ""
    rdtype: str = ""
    value: str = ""
    optional: bool = False
    domain: str = ""
    """The domain it belongs to; empty: the server."""


def txt(value: str) -> str:
    """
    A TXT value in the quoted strings that a zone file wants.

    >>> txt('v=spf1 mx -all')
    '"v=spf1 mx -all"'
    """
    safe = value.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{safe[at : at + _STRING]}"' for at in range(0, max(1, len(safe)), _STRING))


# What is wanted.


def own_addresses(config: Config) -> tuple[str, ...]:
    """The public addresses that the settings name; none where the server listens on all."""
    found = [*config.outbound_bind]
    if config.smtp_addr is not None and config.smtp_addr.host:
        found.append(config.smtp_addr.host)
    kept = []
    for text in dict.fromkeys(found):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not address.is_loopback and not address.is_unspecified:
            kept.append(str(address))
    return tuple(kept)


def host_records(config: Config) -> list[Record]:
    """A and AAAA of the server's own name."""
    known = own_addresses(config)
    found = []
    for rdtype, colon in (("A", False), ("AAAA", True)):
        held = [each for each in known if (":" in each) == colon]
        if held or rdtype == "A":
            found.append(
                Record(
                    key=f"{rdtype.lower()}:{config.hostname}",
                    topic=f"{rdtype} of {config.hostname}",
                    purpose="Leads other servers from this server's name to its address.",
                    name=config.hostname,
                    rdtype=rdtype,
                    value=held[0] if held else "",
                )
            )
    return found


def domain_records(config: Config, domain: str, keys: Sequence[Mapping[str, Any]]) -> list[Record]:
    """
    Everything to publish for *domain*.

    Args:
        keys: As `Operations.dkim_list` returns them; those of other domains and retired ones are
            passed over.
    """
    host = config.hostname
    found = [
        Record(
            key=f"mx:{domain}", topic="MX", name=domain, rdtype="MX", value=f"10 {host}.",
            purpose="Says that this server takes the mail of the domain.",
        ),
        Record(
            key=f"spf:{domain}", topic="SPF", name=domain, rdtype="TXT", value="v=spf1 mx -all",
            purpose="Says who may send in the domain's name: its MX, nobody else.",
        ),
    ]  # fmt: skip
    found += [
        Record(
            key=f"dkim:{key['name']}", topic=f"DKIM {key['selector']}", name=str(key["name"]),
            rdtype="TXT", value=str(key["record"]),
            purpose="Lets everybody check the signature on the mail that goes out.",
        )
        for key in keys
        if key["domain"] == domain and key["active"]
    ]  # fmt: skip
    found.append(
        Record(
            key=f"dmarc:{domain}", topic="DMARC", name=f"_dmarc.{domain}", rdtype="TXT",
            value=f"v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}",
            purpose="Asks others to set aside mail that pretends to be from the domain.",
        )
    )  # fmt: skip
    for service, setting, port in SERVICES:
        if getattr(config, setting) is not None:
            listener = getattr(config, setting)
            real = port if listener.loopback else listener.port
            found.append(
                Record(
                    key=f"srv:{service}.{domain}", topic=f"SRV {service}", optional=True,
                    name=f"{service}.{domain}", rdtype="SRV", value=f"0 1 {real} {host}.",
                    purpose="Tells mail programs where to connect, so that nobody types it.",
                )
            )  # fmt: skip
    found.append(
        Record(
            key=f"autoconfig:{domain}", topic="Autoconfig", optional=True,
            name=f"autoconfig.{domain}", rdtype="CNAME", value=f"{host}.",
            purpose="Lets Thunderbird set an account up from the address alone.",
        )
    )  # fmt: skip
    return found


def zone_file(config: Config, domains: Sequence[str], keys: Sequence[Mapping[str, Any]]) -> str:
    """The records of *domains* as one file that name servers read (RFC 1035 §5)."""
    lines = [f"; What {config.hostname} asks you to publish."]
    # A record of the host is only ours to list where its name lies in one of these zones.
    if any(config.hostname == d or config.hostname.endswith(f".{d}") for d in domains):
        lines += [record.zone for record in host_records(config)]
    for domain in domains:
        lines += ["", f"; {domain}"]
        lines += [record.zone for record in domain_records(config, domain, keys)]
    return "\n".join(lines) + "\n"


# What is found.


def judge(record: Record, answer: Answer, domain: str = "") -> Step:
    """
    Compare what DNS says with what is wanted.

    >>> spf = Record(key="spf:a.example", topic="SPF", purpose="", name="a.example", rdtype="TXT",
    ...              value="v=spf1 mx -all")
    >>> judge(spf, Answer("ok", (b"v=spf1 a -all",))).finding
    'You have “v=spf1 a -all”, which others may read differently; publish “v=spf1 mx -all” if it is not on purpose.'
    """
    step = Step(
        key=record.key, topic=record.topic, purpose=record.purpose, state=MISSING, finding="",
        name=record.name, rdtype=record.rdtype, value=record.value, optional=record.optional,
        domain=domain,
    )  # fmt: skip
    if answer.status in ("timeout", "servfail"):
        return replace(step, state=UNKNOWN, finding="DNS does not answer just now.")
    state, finding = _JUDGES[record.rdtype](record, answer)
    return replace(step, state=state, finding=finding)


def _addresses(record: Record, answer: Answer) -> tuple[str, str]:
    have = [str(each) for each in answer.records]
    if not have:
        return MISSING, f"{record.name} has no address yet."
    if record.value and record.value not in have:
        words = f"You have {', '.join(have)}, and this server sends from {record.value}."
        return DIFFERENT, words
    return GOOD, f"Leads to {', '.join(have)}."


def _mx(record: Record, answer: Answer) -> tuple[str, str]:
    wanted = record.value.split()[1].rstrip(".").lower()
    have = [(int(p), str(h).rstrip(".").lower()) for p, h in answer.records]
    if not have:
        return MISSING, f"{record.name} names no mail server yet."
    if wanted in [host for _, host in have]:
        return GOOD, f"Names {wanted}."
    said = ", ".join(f"{p} {h or '.'}" for p, h in sorted(have))
    return DIFFERENT, f"You have {said}: mail for {record.name} goes there, not here."


def _text(record: Record, answer: Answer) -> tuple[str, str]:
    tag = record.value.partition("; ")[0].partition(" ")[0]
    texts = [r.decode("utf-8", "replace") for r in answer.records if isinstance(r, bytes)]
    if tag == "v=DKIM1":
        return _key(record, texts)
    held = [text for text in texts if text.lower().startswith(tag.lower())]
    if not held:
        return MISSING, "Not published yet."
    if len(held) > 1:
        # RFC 7208 §4.5 and RFC 9989 §4.10: more than one is an error, or as good as none.
        return DIFFERENT, f"You have {len(held)} of them, which counts as none; keep one."
    if _squeezed(held[0]) == _squeezed(record.value):
        return GOOD, "Published."
    if tag == "v=DMARC1":
        return GOOD, f"Published, with a policy of your own: {held[0]}"
    words = (
        f"You have “{held[0]}”, which others may read differently; publish “{record.value}”"
        " if it is not on purpose."
    )
    return (GOOD, f"Published, in your own words: {held[0]}") if _names_mx(held[0]) else (
        DIFFERENT, words
    )  # fmt: skip


def _names_mx(policy: str) -> bool:
    """Whether an SPF record lets the domain's MX send."""
    return any(term.lower().lstrip("+") in ("mx", "+all") for term in policy.split())


def _key(record: Record, texts: Sequence[str]) -> tuple[str, str]:
    if not texts:
        return MISSING, "Not published yet: signatures with this key cannot be checked."
    if _squeezed(record.value) in [_squeezed(text) for text in texts]:
        return GOOD, "Published."
    return DIFFERENT, f"You have another key: {texts[0][:80]}… Signatures will not match."


def _srv(record: Record, answer: Answer) -> tuple[str, str]:
    wanted = record.value.rstrip(".").split()
    have = [[str(part).rstrip(".").lower() for part in each] for each in answer.records]
    if not have:
        return MISSING, "Not published yet; mail programs will ask for the server's name."
    if any(each[2:] == wanted[2:] for each in have):
        return GOOD, f"Leads to {wanted[3]} port {wanted[2]}."
    return DIFFERENT, f"You have {' '.join(have[0])}."


def _alias(record: Record, answer: Answer) -> tuple[str, str]:
    # Asked as A: an address record does as well as a CNAME.
    have = [str(each) for each in answer.records]
    if not have:
        return MISSING, "Not published yet; people will have to type the settings."
    return GOOD, f"Leads to {', '.join(have)}."


def _squeezed(text: str) -> str:
    return "".join(text.split()).rstrip(";")


_JUDGES: Final = {
    "A": _addresses, "AAAA": _addresses, "MX": _mx, "TXT": _text, "SRV": _srv, "CNAME": _alias,
}  # fmt: skip


def judge_pointer(hostname: str, address: str, answer: Answer) -> Step:
    """The PTR record of *address*: it is your provider who sets it."""
    step = Step(
        key=f"ptr:{address}", topic=f"PTR of {address}", state=MISSING, finding="",
        purpose="Leads from the address back to the name; many servers refuse mail without it.",
        name=ipaddress.ip_address(address).reverse_pointer, rdtype="PTR", value=f"{hostname}.",
    )  # fmt: skip
    if answer.status in ("timeout", "servfail"):
        return replace(step, state=UNKNOWN, finding="DNS does not answer just now.")
    names = [str(record).rstrip(".").lower() for record in answer.records]
    if hostname in names:
        return replace(step, state=GOOD, finding=f"Says {hostname}.")
    if not names:
        words = "Not set yet: your provider does it, usually on the page of the machine."
        return replace(step, finding=words)
    words = f"You have {', '.join(names)}; have your provider set it to {hostname}."
    return replace(step, state=DIFFERENT, finding=words)


# Asking.


async def examine(
    config: Config, domains: Sequence[str], keys: Sequence[Mapping[str, Any]], resolver: Any
) -> list[Step]:
    """
    Ask *resolver* (``aresolve``) for everything that is wanted: the server's own, then each domain's.

    All questions are asked at once: a DNS that is silent costs the patience of one.
    """
    groups = await asyncio.gather(
        _host(config, resolver), *(_domain(config, name, keys, resolver) for name in domains)
    )
    return [step for group in groups for step in group]


async def _host(config: Config, resolver: Any) -> list[Step]:
    records = host_records(config)
    answers = await asyncio.gather(*(resolver.aresolve(r.name, r.rdtype) for r in records))
    steps = [judge(record, answer) for record, answer in zip(records, answers, strict=True)]
    found = [str(each) for answer in answers for each in answer.records]
    addresses = list(dict.fromkeys([*own_addresses(config), *found]))[:4]
    pointers = await asyncio.gather(
        *(resolver.aresolve(ipaddress.ip_address(a).reverse_pointer, "PTR") for a in addresses)
    )
    pairs = zip(addresses, pointers, strict=True)
    return steps + [judge_pointer(config.hostname, address, answer) for address, answer in pairs]


async def _domain(
    config: Config, domain: str, keys: Sequence[Mapping[str, Any]], resolver: Any
) -> list[Step]:
    records = domain_records(config, domain, keys)
    answers = await asyncio.gather(
        *(resolver.aresolve(r.name, "A" if r.rdtype == "CNAME" else r.rdtype) for r in records)
    )
    return [judge(record, answer, domain) for record, answer in zip(records, answers, strict=True)]
