"""The DNS tree walk (RFC 9989 §4.10) and the organizational domain it leads to.

All names of a walk are known beforehand, at most eight of them, so they are asked in parallel;
records beyond the place where the walk stops are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from corvus_auth.dmarc.record import Record, is_dmarc, parse_record
from corvus_auth.domains import MAX_NAME
from corvus_auth.lookup import Answer, Evaluation, Lookup

#: "Author Domains with more than eight labels do not result in more than eight DNS queries."
MAX_LABELS: Final = 8
#: TXT records of one answer that are looked at, and octets of a record.
MAX_RECORDS: Final = 50
MAX_RECORD: Final = 16_384


@final
@dataclass(frozen=True, slots=True)
class Node:
    """What stands at ``_dmarc.`` of one domain."""

    record: Record | None = None
    failed: str = ""
    """The status of an answer that was none: ``"timeout"`` or ``"servfail"``."""
    note: str = ""
    """Why there is no record although something was found."""


#: The nodes that were looked up, by domain.
Tree = Mapping[str, Node]


def walk_names(domain: str) -> tuple[str, ...]:
    """
    The domains whose ``_dmarc`` is queried for *domain*, longest first.

    >>> walk_names("a.b.c.d.e.f.g.h.i.j.mail.example.com")[:2]
    ('a.b.c.d.e.f.g.h.i.j.mail.example.com', 'g.h.i.j.mail.example.com')
    """
    labels = domain.split(".")
    # "If x < 8, remove the left-most (highest-numbered) label from the subject domain.  If x >= 8,
    # remove the left-most (highest-numbered) labels from the subject domain until 7 labels remain."
    shorter = labels[1:] if len(labels) < MAX_LABELS else labels[1 - MAX_LABELS :]
    return (domain, *[".".join(shorter[at:]) for at in range(len(shorter))])


def read_node(answer: Answer) -> Node:
    """The node in an answer to the TXT query."""
    if answer.status in ("timeout", "servfail"):
        return Node(failed=answer.status)
    # "Records that do not start with a "v" tag that identifies the current version of DMARC are
    # discarded.  If multiple DMARC Policy Records are returned for a single target, they are all
    # discarded."
    found = [
        raw for raw in answer.records[:MAX_RECORDS] if len(raw) <= MAX_RECORD and is_dmarc(raw)
    ]
    if len(found) == 1:
        return Node(parse_record(found[0]))
    return Node(note="more than one record" if found else "")


def fetch(domains: Sequence[str]) -> Evaluation[dict[str, Node]]:
    """Look up the nodes of *domains*, all of them in parallel."""
    # A name that does not fit under "_dmarc." cannot exist.
    asked = [d for d in dict.fromkeys(domains) if len(d) + 7 <= MAX_NAME]
    nodes: dict[str, Node] = {d: Node() for d in domains}
    lookups = tuple([Lookup(f"_dmarc.{d}", "TXT") for d in asked])
    if len(lookups) == 1:
        nodes[asked[0]] = read_node((yield lookups[0]))
    elif lookups:
        answers: tuple[Answer, ...] = yield lookups
        for domain, answer in zip(asked, answers, strict=True):
            nodes[domain] = read_node(answer)
    return nodes


@final
@dataclass(frozen=True, slots=True)
class Walk:
    """A finished walk."""

    organizational_domain: str
    psd: str = ""
    """The public suffix domain, where a record with ``psd=y`` ended the walk."""
    failed: str = ""
    """The domain whose look-up failed, so that the walk cannot be trusted."""
    missing: tuple[str, ...] = ()
    """Domains of the walk that were never looked up and are taken to have no record."""


def walk(domain: str, tree: Tree) -> Walk:
    """
    Find the organizational domain of *domain* in *tree* (RFC 9989 §4.10, §4.10.2).  Pure.

    The nodes of `walk_names` should be in *tree*; those that are not are reported as missing.
    """
    selected = ""
    missing: list[str] = []
    failed = ""
    names = walk_names(domain)
    for at, name in enumerate(names):
        node = tree.get(name)
        if node is None:
            missing.append(name)
            continue
        if node.failed:
            failed = failed or name
            continue
        record = node.record
        if record is None:
            continue
        # "1. If a valid DMARC Policy Record contains the "psd" tag set to "n" ("psd=n"), this is
        # the Organizational Domain"
        if record.psd == "n":
            return Walk(name, "", failed, tuple(missing))
        # "2. If a valid DMARC Policy Record, other than the one for the domain where the Tree Walk
        # started, contains the "psd" tag set to "y" ("psd=y"), the Organizational Domain is the
        # domain one label below this one in the DNS hierarchy"
        if record.psd == "y":
            if at == 0:
                return Walk(name, name, failed, tuple(missing))
            return Walk(_one_below(domain, name), name, failed, tuple(missing))
        # "3. Otherwise, select the DMARC Policy Record found at the name with the fewest number of
        # labels."
        selected = name
    # "If this process does not determine the Organizational Domain, then the initial target domain
    # is the Organizational Domain."
    return Walk(selected or domain, "", failed, tuple(missing))


def _one_below(domain: str, ancestor: str) -> str:
    below = domain[: -len(ancestor) - 1]
    return f"{below.rpartition('.')[2]}.{ancestor}"
