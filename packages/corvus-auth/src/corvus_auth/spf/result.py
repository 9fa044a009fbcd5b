"""The verdict of an SPF evaluation and the trace of how it came about (RFC 7208 §2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, final

from corvus_auth.lookup import Answer, Lookup
from corvus_auth.printable import printable


class Status(StrEnum):
    """The seven results of RFC 7208 §2.6, spelt as the RFC spells them."""

    NONE = "none"
    """No domain was presented, or it publishes no SPF record."""
    NEUTRAL = "neutral"
    """The domain says that it does not say."""
    PASS = "pass"  # noqa: S105 - a verdict, no password
    """The client is authorized to use the domain."""
    FAIL = "fail"
    """The client is not authorized."""
    SOFTFAIL = "softfail"
    """The client is probably not authorized."""
    TEMPERROR = "temperror"
    """DNS did not answer, or not in time; a later try may end otherwise."""
    PERMERROR = "permerror"
    """The published records cannot be interpreted; somebody has to mend them."""


#: Records of an answer that a trace keeps, and characters of each.
TRACE_RECORDS: Final = 20
TRACE_TEXT: Final = 500

#: A step as the evaluation notes it; made into a `TraceStep` when somebody looks.
RawStep = tuple[int, str, Any, str, str, tuple[tuple[Lookup, Answer], ...]]


@final
@dataclass(frozen=True, slots=True)
class TraceLookup:
    """A question the evaluation asked, and its answer; printable."""

    name: str
    rdtype: str
    status: str
    records: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-safe values."""
        return {
            "name": self.name,
            "type": self.rdtype,
            "status": self.status,
            "records": list(self.records),
        }


@final
@dataclass(frozen=True, slots=True)
class TraceStep:
    """One term that was tried, or one record that was fetched; all text is printable ASCII."""

    depth: int
    """0 in the record of the domain itself, one more in each include or redirect."""
    domain: str
    """The domain in whose record the term stands."""
    term: str
    """The term as published; ``""`` where the record itself was fetched."""
    outcome: str
    """``record``, ``match``, ``no match``, ``redirect``, ``explanation``, or an error's status."""
    why: str
    """One sentence."""
    lookups: tuple[TraceLookup, ...] = ()
    """What was asked for this step, in order."""

    def __str__(self) -> str:
        asked = "".join(
            [f" [{q.name} {q.rdtype}: {', '.join(q.records) or q.status}]" for q in self.lookups]
        )
        what = self.term or "record"
        return f"{'  ' * self.depth}{self.domain}: {what}: {self.outcome}, {self.why}{asked}"

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-safe values."""
        return {
            "depth": self.depth,
            "domain": self.domain,
            "term": self.term,
            "outcome": self.outcome,
            "why": self.why,
            "lookups": [q.to_dict() for q in self.lookups],
        }


def _lookup(lookup: Lookup, answer: Answer) -> TraceLookup:
    records = [_record(r) for r in answer.records[:TRACE_RECORDS]]
    if len(answer.records) > TRACE_RECORDS:
        records.append(f"... {len(answer.records) - TRACE_RECORDS} more")
    return TraceLookup(
        printable(lookup.name, TRACE_TEXT), lookup.rdtype, answer.status, tuple(records)
    )


def _record(record: Any) -> str:
    if isinstance(record, tuple):
        return " ".join([_record(part) for part in record])
    return printable(record if isinstance(record, bytes) else str(record), TRACE_TEXT)


@final
@dataclass(frozen=True, init=False)
class SPFResult:
    """What SPF says about one identity.  ``status`` and ``reason`` are always set."""

    status: Status
    reason: str
    """One sentence, printable, for logs and people."""
    domain: str
    """The domain that was checked, as A-labels where it has them; ``""`` when there was none."""
    identity: str = "mailfrom"
    """``"mailfrom"``, or ``"helo"`` when the reverse-path was null."""
    sender: str = ""
    """The mailbox that was checked; local-part ``postmaster`` when it had none."""
    helo: str = ""
    """The HELO or EHLO name as it was given."""
    ip: IPv4Address | IPv6Address | None = None
    """The client; IPv4 where it came as an IPv4-mapped address."""
    mechanism: str = "default"
    """The term that decided, ``"default"`` when none matched (RFC 7208 §9.1)."""
    explanation: str = ""
    """With `Status.FAIL`: what the domain wants the client to be told.  The text of a third
    party, printable ASCII, at most `Limits.explanation` characters; ``""`` when there is none."""
    lookups: int = 0
    """Questions put to DNS."""
    terms: int = 0
    """Terms counted against the limit of ten (RFC 7208 §4.6.4)."""
    void_lookups: int = 0
    """Terms whose look-up came back empty."""
    raw_trace: tuple[RawStep, ...] = field(default=(), repr=False, compare=False)

    # Written by hand: the generated one of a frozen dataclass calls object.__setattr__ thirteen
    # times, which took longer than the whole evaluation of a plain record.
    def __init__(
        self,
        status: Status,
        reason: str,
        domain: str,
        identity: str = "mailfrom",
        sender: str = "",
        helo: str = "",
        ip: IPv4Address | IPv6Address | None = None,
        mechanism: str = "default",
        explanation: str = "",
        lookups: int = 0,
        terms: int = 0,
        void_lookups: int = 0,
        raw_trace: tuple[RawStep, ...] = (),
    ) -> None:
        self.__dict__.update(
            status=status,
            reason=reason,
            domain=domain,
            identity=identity,
            sender=sender,
            helo=helo,
            ip=ip,
            mechanism=mechanism,
            explanation=explanation,
            lookups=lookups,
            terms=terms,
            void_lookups=void_lookups,
            raw_trace=raw_trace,
        )

    @property
    def trace(self) -> tuple[TraceStep, ...]:
        """Each record fetched and each term tried, in order; built when asked for."""
        return tuple(self._steps())

    def _steps(self) -> Iterator[TraceStep]:
        for depth, domain, term, outcome, why, lookups in self.raw_trace:
            if not why:
                why = term.explain(outcome, self.ip)
            yield TraceStep(
                depth,
                printable(domain, TRACE_TEXT),
                "" if term is None else printable(term.text, TRACE_TEXT),
                outcome,
                printable(why, TRACE_TEXT),
                tuple([_lookup(q, a) for q, a in lookups]),
            )

    def __str__(self) -> str:
        return f"spf={self.status} ({self.reason})"

    def to_dict(self) -> dict[str, Any]:
        """All of it, trace included, as JSON-safe values."""
        return {
            "status": str(self.status),
            "reason": self.reason,
            "domain": printable(self.domain),
            "identity": self.identity,
            "sender": printable(self.sender),
            "helo": printable(self.helo),
            "ip": None if self.ip is None else str(self.ip),
            "mechanism": printable(self.mechanism),
            "explanation": self.explanation,
            "lookups": self.lookups,
            "terms": self.terms,
            "void_lookups": self.void_lookups,
            "trace": [step.to_dict() for step in self.trace],
        }
