"""A linter for a domain's SPF record: terms counted, includes resolved, mistakes named.

Unlike an evaluation it follows every branch, whoever the client is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

from corvus_auth.domains import DomainError, to_ascii
from corvus_auth.lookup import Answer, Evaluation, Lookup
from corvus_auth.printable import printable
from corvus_auth.spf.limits import Limits
from corvus_auth.spf.record import COUNTED, Kind, Record, Term, is_spf, parse_record
from corvus_auth.spf.result import Status

#: "Otherwise, there is a possibility of exceeding a DNS protocol limit" (RFC 7208 §3.4).
LONG: Final = 450


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One remark."""

    level: str
    """``error``: mail is judged wrongly; ``warning``: it may be; ``note``: it could be better."""
    domain: str
    """In whose record."""
    text: str

    def __str__(self) -> str:
        return f"{self.level}: {self.domain}: {self.text}"


@final
@dataclass(frozen=True, slots=True)
class Report:
    """What is to say about a domain's SPF."""

    domain: str
    records: tuple[tuple[int, str, str], ...]
    """Depth, domain and text of each record, in the order in which they are reached."""
    terms: int
    """Terms that cause look-ups, of ten that are allowed."""
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not any(finding.level == "error" for finding in self.findings)

    def __str__(self) -> str:
        lines = [f"{'  ' * depth}{domain}: {text}" for depth, domain, text in self.records]
        lines.append(f"{self.terms} of 10 terms cause look-ups")
        lines.extend(map(str, self.findings or ["no mistakes found"]))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON-safe values."""
        return {
            "domain": self.domain,
            "ok": self.ok,
            "terms": self.terms,
            "records": [{"depth": d, "domain": n, "text": t} for d, n, t in self.records],
            "findings": [
                {"level": f.level, "domain": f.domain, "text": f.text} for f in self.findings
            ],
        }


class _Lint:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.records: list[tuple[int, str, str]] = []
        self.findings: list[Finding] = []
        self.terms = 0
        self.voids = 0
        self.path: list[str] = []

    def say(self, level: str, domain: str, text: str) -> None:
        self.findings.append(Finding(level, domain, printable(text, 300)))

    def domain(self, domain: str, depth: int) -> Evaluation[None]:
        if domain in self.path:
            self.say("error", domain, "the record leads back to itself: a loop")
            return
        answer: Answer = yield Lookup(domain, "TXT")
        if answer.status in ("timeout", "servfail"):
            self.say("error", domain, f"DNS does not answer: {answer.status}")
            return
        found = [raw for raw in answer.records if is_spf(raw)]
        self._look_alikes(domain, answer)
        if not found:
            self.say("error", domain, "there is no SPF record")
            return
        if len(found) > 1:
            self.say("error", domain, f"there are {len(found)} SPF records; only one may be")
        record = parse_record(found[0][: self.limits.record])
        self.records.append((depth, domain, record.text))
        if len(found[0]) > LONG:
            self.say("warning", domain, f"the record has {len(found[0])} octets; {LONG} fit well")
        for text in record.errors:
            self.say("error", domain, text)
        if record.error:
            return
        self.path.append(domain)
        yield from self._record(record, domain, depth)
        self.path.pop()

    def _look_alikes(self, domain: str, answer: Answer) -> None:
        for raw in answer.records:
            start = raw.lstrip(b' "\t')[:8].lower()
            if start.startswith((b"v=spf", b"spf1")) and not is_spf(raw):
                self.say("warning", domain, f"not read as SPF: {printable(raw, 60)!r}")

    def _record(self, record: Record, domain: str, depth: int) -> Evaluation[None]:
        for text in record.unreachable:
            self.say("warning", domain, f"{text} stands beside or behind all and is never used")
        for text in record.unknown:
            self.say("note", domain, f"{text} means nothing to SPF")
        last = record.terms[-1] if record.terms else None
        if last is not None and last.kind is Kind.ALL:
            if last.status is Status.PASS:
                self.say("error", domain, f"{last.text} lets everybody send")
            elif last.status is Status.NEUTRAL and depth == 0:
                self.say("warning", domain, f"{last.text} protects nothing")
        elif record.redirect is None and depth == 0:
            self.say("warning", domain, "the record ends neither in all nor in redirect")
        seen: set[str] = set()
        for term in record.terms:
            if term.text.lower() in seen:
                self.say("note", domain, f"{term.text} appears twice")
            seen.add(term.text.lower())
            yield from self._term(term, domain, depth)
        if record.redirect is not None:
            yield from self._term(record.redirect, domain, depth)

    def _term(self, term: Term, domain: str, depth: int) -> Evaluation[None]:
        if term.kind is Kind.IP4 or term.kind is Kind.IP6:
            size = (32 if term.kind is Kind.IP4 else 128) - term.shift4
            if size < (8 if term.kind is Kind.IP4 else 19) and term.status is Status.PASS:
                self.say("warning", domain, f"{term.text} is a very large network")
        if term.kind not in COUNTED:
            return
        self.terms += 1
        if self.terms == self.limits.terms + 1:
            self.say("error", domain, f"{term.text} is the eleventh term that causes look-ups")
        if self.terms > 2 * self.limits.terms:
            # There is nothing new to say, and a record of 16 KB has room for four thousand more.
            return
        if term.kind is Kind.PTR:
            self.say("warning", domain, f"{term.text} is slow and unreliable (do not use)")
        if term.spec is not None and term.spec.letters:
            if "p" in term.spec.letters:
                self.say("warning", domain, f"{term.text} uses %{{p}} (do not use)")
            return
        target = domain if term.spec is None else term.target
        if target is None:
            self.say("error", domain, f"{term.text} is no name that can exist")
            return
        if term.kind is Kind.INCLUDE or term.kind is Kind.REDIRECT:
            yield from self.domain(target, depth + 1)
        elif term.kind is Kind.MX:
            answer: Answer = yield Lookup(target, "MX")
            self._void(term, domain, answer)
            if len(answer.records) > self.limits.mx_hosts:
                count = len(answer.records)
                self.say("error", domain, f"{term.text} has {count} hosts; ten are allowed")
        elif term.kind is Kind.A:
            answers: tuple[Answer, ...] = yield (Lookup(target, "A"), Lookup(target, "AAAA"))
            self._void(term, domain, next((a for a in answers if a.records), answers[0]))
        elif term.kind is Kind.EXISTS:
            answer = yield Lookup(target, "A")
            self._void(term, domain, answer)

    def _void(self, term: Term, domain: str, answer: Answer) -> None:
        if answer.status in ("timeout", "servfail"):
            self.say("error", domain, f"{term.text}: DNS does not answer: {answer.status}")
        elif not answer.records:
            self.voids += 1
            level = "error" if self.voids > self.limits.void_lookups else "warning"
            self.say(level, domain, f"{term.text} finds nothing: a void look-up")


def explain(domain: str, *, limits: Limits = Limits()) -> Evaluation[Report]:
    """
    Examine the SPF record of *domain* and of all it includes.  A generator of look-ups.

    >>> from corvus_auth.lookup import ZoneResolver, run
    >>> zone = ZoneResolver({"example.com": {"TXT": [b"v=spf1 ip4:192.0.2.1 +all"]}})
    >>> print(run(explain("example.com"), zone))
    example.com: v=spf1 ip4:192.0.2.1 +all
    0 of 10 terms cause look-ups
    error: example.com: +all lets everybody send
    """
    lint = _Lint(limits)
    try:
        name = to_ascii(domain)
    except DomainError as error:
        lint.say("error", printable(domain, 100), f"not a domain: {error}")
        return Report(printable(domain, 100), (), 0, tuple(lint.findings))
    yield from lint.domain(name, 0)
    return Report(name, tuple(lint.records), lint.terms, tuple(lint.findings))
