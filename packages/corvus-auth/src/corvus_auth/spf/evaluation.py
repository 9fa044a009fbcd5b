"""``check_host()``: the evaluation of RFC 7208 §4 to §6, as a generator of look-ups.

The generator reads no clock and does no I/O.  What ends it early (a limit, trouble in DNS) is a
`_Stop` inside and a verdict outside; nothing a domain publishes makes it raise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import Final, cast

from corvus_auth.domains import DomainError, to_ascii
from corvus_auth.lookup import Answer, Evaluation, Lookup
from corvus_auth.printable import printable
from corvus_auth.spf.limits import Limits
from corvus_auth.spf.macros import MacroError, MacroString, compile_macros, target_name
from corvus_auth.spf.record import Kind, Term, is_spf, parse_record
from corvus_auth.spf.result import RawStep, SPFResult, Status

Address = IPv4Address | IPv6Address


class _Stop(Exception):
    """The whole evaluation ends here, however deep."""

    def __init__(self, status: Status, reason: str) -> None:
        self.status = status
        self.reason = reason


#: What one ``check_host()`` returns: result, reason, deciding term, ``exp`` and its domain.
_Outcome = tuple[Status, str, str, Term | None, str]

#: The kinds as plain globals: looking up members of an enum costs more than what is done with them.
_ALL, _IP4, _IP6, _INCLUDE = Kind.ALL, Kind.IP4, Kind.IP6, Kind.INCLUDE
_MX, _PTR, _EXISTS = Kind.MX, Kind.PTR, Kind.EXISTS

#: Questions are values: one that was asked before is the same object.
_lookup: Final = lru_cache(maxsize=4096)(Lookup)

_NO_MATCH: Final = "no match"
_MATCH: Final = "match"
_FAILED: Final = frozenset({"timeout", "servfail"})


@lru_cache(maxsize=4096)
def _number4(text: str) -> int:
    try:
        return int(IPv4Address(text))
    except AddressValueError:
        return -1


@lru_cache(maxsize=4096)
def _number6(text: str) -> int:
    try:
        return int(IPv6Address(text))
    except AddressValueError:
        return -1


@lru_cache(maxsize=4096)
def client_address(ip: str | Address) -> Address:
    """
    The client's address; IPv4 for "clients on IPv4-mapped IPv6 addresses" (RFC 7208 §5).

    Raises:
        ValueError: *ip* is no address.
    """
    address = ip_address(ip) if isinstance(ip, str) else ip
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.scope_id is not None:
            return IPv6Address(int(address))
    return address


class _Check:
    """One evaluation: its identities, its counters, its trace."""

    # What `evaluate` sets before the first step.
    sender: str
    local: str
    origin: str
    helo: str
    receiver: str
    now: float | Callable[[], float]
    clock: Callable[[], float] | None
    deadline: float

    def __init__(self, address: Address, limits: Limits) -> None:
        self.address = address
        self.v4 = address.version == 4
        self.number = int(address)
        self.rdtype = "A" if self.v4 else "AAAA"
        self.limits = limits
        self.most = limits.lookups
        self.asked = self.terms = self.voids = 0
        self.trace: list[RawStep] = []
        self.validated: list[str] | None = None

    # Budgets.

    def _budget(self, count: int = 1) -> None:
        self.asked += count
        if self.asked > self.most:
            self.asked -= count
            raise _Stop(
                Status.PERMERROR, f"the records need more than {self.limits.lookups} look-ups"
            )
        if self.clock is not None and self.clock() >= self.deadline:
            # "If such a limit is exceeded, the result of authorization SHOULD be "temperror"."
            raise _Stop(Status.TEMPERROR, "the evaluation took too long")

    def _count_term(self) -> None:
        # "MUST limit the total number of those terms to 10 during SPF evaluation" (§4.6.4)
        self.terms += 1
        if self.terms > self.limits.terms:
            self.terms -= 1
            raise _Stop(Status.PERMERROR, f"more than {self.limits.terms} terms cause look-ups")

    def _count_void(self, term: Term) -> None:
        self.voids += 1
        if self.voids > self.limits.void_lookups:
            raise _Stop(
                Status.PERMERROR,
                f"more than {self.limits.void_lookups} void look-ups, the last for {term.text!r}",
            )

    def _trouble(self, lookup: Lookup, answer: Answer) -> _Stop:
        # "if the DNS server returns an error (RCODE other than 0 or 3) or the query times out,
        # the mechanism stops and the topmost check_host() returns "temperror"" (§5)
        return _Stop(Status.TEMPERROR, f"DNS: {answer.status} for {lookup.name} {lookup.rdtype}")

    # check_host() itself.

    def host(self, domain: str, depth: int) -> Evaluation[_Outcome]:
        """RFC 7208 §4.4 to §4.7 for *domain*."""
        lookup = _lookup(domain, "TXT")
        self._budget()
        answer: Answer = yield lookup
        status = answer.status
        trace = self.trace
        if status in _FAILED:
            # "the result "temperror"", of the topmost evaluation too: every way a recursive one
            # is used hands it on (§4.4, §5.2, §6.1).
            trace.append(
                (depth, domain, None, "temperror", "DNS gave no answer", ((lookup, answer),))
            )
            raise self._trouble(lookup, answer)
        found = [raw for raw in answer.records if is_spf(raw)]
        if len(found) != 1:
            if not found:
                why = "no such domain" if status == "nxdomain" else "no SPF record"
                trace.append((depth, domain, None, "none", why, ((lookup, answer),)))
                return Status.NONE, f"{domain}: {why}", "default", None, domain
            why = "more than one SPF record"
            trace.append((depth, domain, None, "permerror", why, ((lookup, answer),)))
            return (
                Status.PERMERROR,
                f"{domain} publishes more than one SPF record",
                "default",
                None,
                domain,
            )
        raw = found[0]
        if len(raw) > self.limits.record:
            why = f"the record is longer than {self.limits.record} octets"
            trace.append((depth, domain, None, "permerror", why, ((lookup, answer),)))
            return Status.PERMERROR, f"{domain}: {why}", "default", None, domain
        record = parse_record(raw)
        if record.error:
            trace.append((depth, domain, None, "permerror", record.error, ((lookup, answer),)))
            return Status.PERMERROR, f"{domain}: {record.error}", "default", None, domain
        trace.append((depth, domain, None, "record", record.text, ((lookup, answer),)))
        for term in record.terms:
            kind = term.kind
            if kind is _IP4:
                matched = self.v4 and self.number >> term.shift4 == term.network
            elif kind is _IP6:
                matched = not self.v4 and self.number >> term.shift6 == term.network
            elif kind is _ALL:
                matched = True
            else:
                self._count_term()
                spec = term.spec
                target = term.target
                if target is None:
                    target = domain if spec is None else (yield from self._target(spec, domain))
                if kind is _INCLUDE:
                    matched = yield from self._include(term, target, domain, depth)
                elif target is None:
                    trace.append((depth, domain, term, _NO_MATCH, "no such name can exist", ()))
                    continue
                elif kind is _MX:
                    matched = yield from self._mx(term, target, domain, depth)
                elif kind is _PTR:
                    matched = yield from self._ptr(term, target, domain, depth)
                else:
                    matched = yield from self._addresses(term, target, domain, depth)
                if matched:
                    return (
                        term.status,
                        f"{domain}: {term.text} matches",
                        term.text,
                        record.exp,
                        domain,
                    )
                continue
            if matched:
                trace.append((depth, domain, term, _MATCH, "", ()))
                return term.status, f"{domain}: {term.text} matches", term.text, record.exp, domain
            trace.append((depth, domain, term, _NO_MATCH, "", ()))
        if record.redirect is not None:
            return (yield from self._redirect(record.redirect, domain, depth))
        # "a result of "neutral", just as if "?all" were specified as the last directive" (§4.7)
        return Status.NEUTRAL, f"{domain}: nothing matches", "default", None, domain

    def _target(self, spec: MacroString, domain: str) -> Evaluation[str | None]:
        values = self._values(domain)
        if "p" in spec.letters:
            self._count_term()
            values["p"] = yield from self._name_of_client(domain)
        return target_name(spec.expand(values))

    def _redirect(self, term: Term, domain: str, depth: int) -> Evaluation[_Outcome]:
        """RFC 7208 §6.1."""
        self._count_term()
        target = term.target
        if target is None and term.spec is not None:
            target = yield from self._target(term.spec, domain)
        if target is None:
            why = "no such name can exist"
            self.trace.append((depth, domain, term, "permerror", why, ()))
            return Status.PERMERROR, f"{domain}: {term.text}: {why}", term.text, None, domain
        self.trace.append((depth, domain, term, "redirect", f"the record of {target} decides", ()))
        outcome = yield from self.host(target, depth + 1)
        if outcome[0] is Status.NONE:
            # "with the exception that if no SPF record is found, or if the <target-name> is
            # malformed, the result is a "permerror" rather than "none""
            reason = f"{domain}: {term.text}: {outcome[1]}"
            self.trace.append((depth, domain, term, "permerror", outcome[1], ()))
            return Status.PERMERROR, reason, term.text, None, domain
        return outcome

    # The mechanisms that ask DNS; each notes its own step.

    def _include(self, term: Term, target: str | None, domain: str, depth: int) -> Evaluation[bool]:
        """RFC 7208 §5.2 and its table."""
        if target is None:
            why = "no such name can exist"
            self.trace.append((depth, domain, term, "permerror", why, ()))
            raise _Stop(Status.PERMERROR, f"{domain}: {term.text}: {why}")
        self.trace.append((depth, domain, term, "include", f"the record of {target} is asked", ()))
        status, reason, _, _, _ = yield from self.host(target, depth + 1)
        if status is Status.PASS:
            self.trace.append((depth, domain, term, _MATCH, f"{target} says pass", ()))
            return True
        if status is Status.PERMERROR or status is Status.NONE:
            self.trace.append((depth, domain, term, "permerror", reason, ()))
            raise _Stop(Status.PERMERROR, f"{domain}: {term.text}: {reason}")
        self.trace.append((depth, domain, term, _NO_MATCH, f"{target} says {status}", ()))
        return False

    def _addresses(self, term: Term, target: str, domain: str, depth: int) -> Evaluation[bool]:
        """``a`` and ``exists`` (RFC 7208 §5.3, §5.7)."""
        exists = term.kind is _EXISTS
        # "a DNS A RR lookup (even when the connection type is IPv6)"
        lookup = _lookup(target, "A" if exists else self.rdtype)
        self._budget()
        answer: Answer = yield lookup
        if answer.status in _FAILED:
            self.trace.append(
                (depth, domain, term, "temperror", "DNS gave no answer", ((lookup, answer),))
            )
            raise self._trouble(lookup, answer)
        matched = bool(answer.records) if exists else self._is_client(answer, term)
        self.trace.append(
            (depth, domain, term, _MATCH if matched else _NO_MATCH, "", ((lookup, answer),))
        )
        if not answer.records:
            self._count_void(term)
        return matched

    def _is_client(self, answer: Answer, term: Term) -> bool:
        if self.v4:
            mine, shift = self.number >> term.shift4, term.shift4
            return any(_number4(r) >> shift == mine for r in answer.records)
        mine, shift = self.number >> term.shift6, term.shift6
        return any(_number6(r) >> shift == mine for r in answer.records)

    def _mx(self, term: Term, target: str, domain: str, depth: int) -> Evaluation[bool]:
        """RFC 7208 §5.4; the hosts are asked in parallel."""
        lookup = _lookup(target, "MX")
        self._budget()
        answer: Answer = yield lookup
        asked: list[tuple[Lookup, Answer]] = [(lookup, answer)]
        if answer.status in _FAILED:
            self.trace.append(
                (depth, domain, term, "temperror", "DNS gave no answer", tuple(asked))
            )
            raise self._trouble(lookup, answer)
        # "the evaluation of each "MX" record MUST NOT result in querying more than 10 address
        # records [...] the "mx" mechanism MUST produce a "permerror" result" (§4.6.4)
        if len(answer.records) > self.limits.mx_hosts:
            why = f"more than {self.limits.mx_hosts} mail exchangers"
            self.trace.append((depth, domain, term, "permerror", why, tuple(asked)))
            raise _Stop(Status.PERMERROR, f"{domain}: {term.text}: {why}")
        hosts = [target_name(str(host)) for _, host in sorted(answer.records)]
        lookups = tuple([_lookup(host, self.rdtype) for host in hosts if host is not None])
        matched = False
        void = True
        if lookups:
            answers = yield from self._several(lookups)
            asked.extend(zip(lookups, answers, strict=True))
            for question, found in zip(lookups, answers, strict=True):
                if found.status in _FAILED:
                    self.trace.append(
                        (depth, domain, term, "temperror", "DNS gave no answer", tuple(asked))
                    )
                    raise self._trouble(question, found)
                void = void and not found.records
                if self._is_client(found, term):
                    matched = True
                    break
        self.trace.append((depth, domain, term, _MATCH if matched else _NO_MATCH, "", tuple(asked)))
        if void:
            self._count_void(term)
        return matched

    def _several(self, lookups: tuple[Lookup, ...]) -> Evaluation[tuple[Answer, ...]]:
        self._budget(len(lookups))
        if len(lookups) == 1:
            return ((yield lookups[0]),)
        return cast("tuple[Answer, ...]", (yield lookups))

    def _ptr(self, term: Term, target: str, domain: str, depth: int) -> Evaluation[bool]:
        """RFC 7208 §5.5 (do not use)."""
        asked: list[tuple[Lookup, Answer]] = []
        names = yield from self._validated_names(asked)
        matched = any(name == target or name.endswith("." + target) for name in names)
        self.trace.append((depth, domain, term, _MATCH if matched else _NO_MATCH, "", tuple(asked)))
        # "If a DNS error occurs while doing the PTR RR lookup, then this mechanism fails to match":
        # only an answer that is empty is void.
        if asked and not asked[0][1].records and asked[0][1].status not in _FAILED:
            self._count_void(term)
        return matched

    def _validated_names(self, asked: list[tuple[Lookup, Answer]]) -> Evaluation[list[str]]:
        """The names of the client that lead back to it; asked for once in an evaluation."""
        if self.validated is not None:
            return self.validated
        lookup = _lookup(self.address.reverse_pointer, "PTR")
        self._budget()
        answer: Answer = yield lookup
        asked.append((lookup, answer))
        # "all records other than the first 10 MUST be ignored" (§4.6.4)
        found = [target_name(str(name)) for name in answer.records[: self.limits.ptr_names]]
        names = list(dict.fromkeys([name for name in found if name is not None]))
        self.validated = []
        if names:
            lookups = tuple([_lookup(name, self.rdtype) for name in names])
            answers = yield from self._several(lookups)
            asked.extend(zip(lookups, answers, strict=True))
            number = _number4 if self.v4 else _number6
            # "If a DNS error occurs while doing an A RR lookup, then that domain name is skipped"
            self.validated = [
                name
                for name, addresses in zip(names, answers, strict=True)
                if self.number in [number(r) for r in addresses.records]
            ]
        return self.validated

    # Macros and explanations.

    def _values(self, domain: str) -> dict[str, str]:
        if self.v4:
            dotted, version = str(self.address), "in-addr"
        else:
            dotted, version = ".".join(f"{self.number:032X}"), "ip6"
        return {
            "s": self.sender,
            "l": self.local,
            "o": self.origin,
            "d": domain,
            "i": dotted,
            "v": version,
            "h": self.helo,
        }

    def _values_to_explain(self, domain: str) -> dict[str, str]:
        """With the letters that are "allowed only in "exp" text" (RFC 7208 §7.2)."""
        now = self.now() if callable(self.now) else self.now
        more = {"c": str(self.address), "r": self.receiver, "t": str(int(now))}
        return self._values(domain) | more

    def _name_of_client(self, domain: str) -> Evaluation[str]:
        """``%{p}``: "If the <domain> is present in the list of validated domains, it SHOULD be
        used.  Otherwise, if a subdomain of the <domain> is present" (RFC 7208 §7.3)."""
        names = yield from self._validated_names([])
        for name in names:
            if name == domain:
                return name
        for name in names:
            if name.endswith("." + domain):
                return name
        return names[0] if names else "unknown"

    def explanation(self, exp: Term, domain: str) -> Evaluation[str]:
        """RFC 7208 §6.2; ``""`` whatever goes wrong, "as if no "exp" modifier was given"."""
        try:
            target = exp.target
            if target is None and exp.spec is not None:
                values = self._values(domain)
                if "p" in exp.spec.letters:
                    values["p"] = yield from self._name_of_client(domain)
                target = target_name(exp.spec.expand(values))
            if target is None:
                return ""
            self._budget()
            lookup = _lookup(target, "TXT")
            answer: Answer = yield lookup
            outcome = (0, domain, exp, "explanation", "the domain explains", ((lookup, answer),))
            self.trace.append(outcome)
            # "or if no records are returned, or if more than one record is returned, or if there
            # are syntax errors in the explanation string"
            if len(answer.records) != 1 or len(answer.records[0]) > self.limits.record:
                return ""
            spec = compile_macros(answer.records[0].decode("ascii"), explain=True)
            values = self._values_to_explain(domain)
            if "p" in spec.letters:
                values["p"] = yield from self._name_of_client(domain)
            text = spec.expand(values)
        except (_Stop, MacroError, UnicodeDecodeError):
            return ""
        # What macros bring in (a local-part, a HELO name) must not bring in a line end.
        if not (text.isascii() and text.isprintable()):
            return ""
        return text[: self.limits.explanation]


def _identity(mail_from: str | None, helo: str) -> tuple[str, str, str, str]:
    """Which identity is checked: its name, the sender, its local-part, its domain as given."""
    sender = (mail_from or "").strip()
    if sender.startswith("<") and sender.endswith(">"):
        sender = sender[1:-1]
    if not sender:
        # "When the reverse-path is null, this document defines the "MAIL FROM" identity to be the
        # mailbox composed of the local-part "postmaster" and the "HELO" identity" (§2.4)
        name = helo.strip()
        return "helo", f"postmaster@{name}", "postmaster", name
    local, _, domain = sender.rpartition("@")
    if local:
        return "mailfrom", sender, local, domain
    # "If the <sender> has no local-part, substitute the string "postmaster"" (§4.3)
    return "mailfrom", f"postmaster@{domain}", "postmaster", domain


def evaluate(
    ip: str | Address,
    mail_from: str | None,
    helo: str,
    *,
    limits: Limits = Limits(),
    receiver: str = "unknown",
    now: float | Callable[[], float] = 0,
    clock: Callable[[], float] | None = None,
) -> Evaluation[SPFResult]:
    """
    Evaluate SPF for the MAIL FROM identity, or for HELO when it is null (RFC 7208 §4).

    Yields a `Lookup`, or a tuple of them that may run in parallel, and expects an `Answer` or a
    tuple of answers back.

    Args:
        ip: The SMTP client.  An IPv4-mapped IPv6 address counts as IPv4.
        mail_from: The reverse-path, with or without angle brackets; ``""``, ``"<>"`` or ``None``
            is the null one.
        helo: The argument of HELO or EHLO.
        limits: See `Limits`.
        receiver: The name of the host that checks, for ``%{r}`` in explanations.
        now: Seconds since the epoch, for ``%{t}`` in explanations, or a function that says so:
            it is called only where an explanation asks.
        clock: A monotonic clock in seconds, for `Limits.seconds`; ``None``: no deadline.

    Returns:
        A verdict with ``status`` and ``reason`` always set; trouble in DNS is a temperror, broken
        records are a permerror, neither is an exception.

    Raises:
        ValueError: *ip* is no address, which is the caller's mistake.
    """
    check = _Check(client_address(ip), limits)
    identity, sender, local, given = _identity(mail_from, helo)
    most = limits.identity
    check.local, check.helo = local[-most:], helo[-most:]
    check.receiver = receiver
    check.now = now
    check.clock = clock
    check.deadline = clock() + limits.seconds if clock is not None else 0.0
    explanation = ""
    mechanism = "default"
    domain = given
    try:
        domain = to_ascii(given)
        check.origin = given.removesuffix(".") if given.isascii() else domain
        check.sender = sender[-most:] if given.isascii() else f"{check.local}@{domain}"
        if "." not in domain:
            raise DomainError("a single label is no mail domain")
        status, reason, mechanism, exp, where = yield from check.host(domain, 0)
        if status is Status.FAIL and exp is not None:
            explanation = yield from check.explanation(exp, where)
    except DomainError as error:
        # "If the <domain> is malformed [...] or is not a multi-label domain name [...]
        # check_host() immediately returns the result "none"" (§4.3)
        status, reason = Status.NONE, f"no domain to check: {error}"
    except _Stop as stop:
        status, reason = stop.status, stop.reason
        if not check.trace or check.trace[-1][3] != status:
            # A budget is no term's own outcome.
            check.trace.append((0, domain, None, str(status), reason, ()))
    return SPFResult(
        status,
        # Printable by construction; a term may be as long as its record.
        reason if len(reason) <= 500 else printable(reason, 500),
        domain,
        identity,
        sender,
        helo,
        check.address,
        mechanism,
        explanation,
        check.asked,
        check.terms,
        check.voids,
        tuple(check.trace),
    )
