"""Policy discovery (RFC 9989 §4.10.1) and its evaluation (§4.10.2, §5.3).

`discover` only looks up, so it can run beside SPF and DKIM; `evaluate` is pure.  Between them
`complete` looks up what relaxed alignment with a domain off the author's own walk may need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, final

from corvus_auth.dmarc.author import Author
from corvus_auth.dmarc.psl import suffix_list
from corvus_auth.dmarc.record import BELOW, Policy, Record
from corvus_auth.dmarc.result import DMARCResult, Identifier, Status
from corvus_auth.dmarc.walk import Node, fetch, walk, walk_names
from corvus_auth.domains import DomainError, is_within, to_ascii
from corvus_auth.lookup import Evaluation, Lookup

Mode = Literal["rfc9989", "rfc7489"]

#: Identifiers whose trees are walked; a message may carry hundreds of signatures.
MAX_IDENTIFIERS: Final = 10


@final
@dataclass(frozen=True, slots=True)
class Discovery:
    """What DNS says about an Author Domain; what `evaluate` judges by."""

    status: Status
    """`Status.PASS` when a record applies; else the verdict, whatever SPF and DKIM say."""
    reason: str
    author_domain: str = ""
    organizational_domain: str = ""
    policy_domain: str = ""
    record: Record | None = None
    exists: bool | None = None
    """Whether the Author Domain exists; ``None`` where it makes no difference."""
    disposition: Policy = Policy.NONE
    """Of a message without a usable Author Domain."""
    walk_failed: str = ""
    """The domain whose look-up failed although a record applies: alignment may be undecided."""
    mode: Mode = "rfc9989"
    tree: Mapping[str, Node] = field(default_factory=dict, repr=False, compare=False)
    suffixes: Any = field(default=None, repr=False, compare=False)

    @property
    def policy(self) -> Policy | None:
        """The policy that applies to the Author Domain, as published."""
        if self.record is None:
            return None
        return self.record.effective(
            subdomain=self.author_domain != self.policy_domain, exists=self.exists
        )


def discover(
    from_domain: str | Author, *, mode: Mode = "rfc9989", suffixes: Any = None
) -> Evaluation[Discovery]:
    """
    Find the policy for an Author Domain: one round of parallel look-ups, two when ``np`` matters.

    Args:
        from_domain: The Author Domain in any form, or what `author` made of the From fields.
        mode: ``"rfc7489"`` finds the organizational domain by the public suffix list instead of
            the tree walk, and reads ``pct`` instead of ``np``, ``psd`` and ``t``.
        suffixes: For ``rfc7489``: an object with ``privatesuffix(domain) -> str | None``; without
            it the package publicsuffixlist is used (extra ``[psl]``).

    Returns:
        A `Discovery`; trouble in DNS is in its status, never an exception.

    Raises:
        ImportError: ``rfc7489`` without the extra.
    """
    if isinstance(from_domain, Author):
        if from_domain.domain is None:
            return Discovery(
                Status.PERMERROR,
                from_domain.problem,
                disposition=from_domain.disposition,
                mode=mode,
            )
        name = from_domain.domain
    else:
        name = from_domain
    try:
        author_domain = to_ascii(name)
    except DomainError as error:
        return Discovery(
            Status.PERMERROR, f"no Author Domain: {error}", disposition=Policy.REJECT, mode=mode
        )
    if mode == "rfc7489":
        return (yield from _discover_by_suffix(author_domain, suffixes or suffix_list()))
    tree = yield from fetch(walk_names(author_domain))
    own = tree[author_domain]
    walked = walk(author_domain, tree)
    organizational = walked.organizational_domain
    found = Discovery(Status.NONE, "", author_domain, organizational, mode=mode, tree=tree)
    if own.failed:
        return _undecided(found, author_domain, own.failed)
    if own.record is not None:
        # "If a valid DMARC Policy Record is found there, then this is the DMARC Policy Record to
        # be applied to the message": what fails further up can only matter for alignment.
        return _applies(found, author_domain, own.record, walked.failed)
    if walked.failed:
        return _undecided(found, walked.failed, tree[walked.failed].failed)
    for domain in (organizational, walked.psd):
        record = tree[domain].record if domain in tree else None
        if record is None:
            continue
        # A record that leads to no processing is no reason to go on to the public suffix: "PSD
        # policy is not used for Organizational Domains that have published" one (§4.10.1).
        applied = _applies(found, domain, record, "")
        if applied.status is Status.PASS and record.np is not None:
            return (yield from _with_existence(applied, record))
        return applied
    note = next((f" ({tree[d].note} at {d})" for d in tree if tree[d].note), "")
    return replace(found, reason=f"no DMARC record for {author_domain}{note}")


def _applies(found: Discovery, domain: str, record: Record, failed: str) -> Discovery:
    if not record.applies:
        reason = f"the record of {domain} has no valid policy and no reporting address"
        return replace(found, reason=reason)
    return replace(
        found,
        status=Status.PASS,
        reason=f"the record of {domain} applies",
        policy_domain=domain,
        record=record,
        walk_failed=failed,
    )


def _undecided(found: Discovery, domain: str, status: str) -> Discovery:
    reason = f"DNS: {status} for _dmarc.{domain}"
    return replace(found, status=Status.TEMPERROR, reason=reason)


def _with_existence(found: Discovery, record: Record) -> Evaluation[Discovery]:
    """Ask whether the Author Domain exists, where ``np`` differs from what else would apply."""
    present = record.effective(subdomain=True, exists=True)
    absent = record.effective(subdomain=True, exists=False)
    if present == absent:
        return found
    # "if the response code received for a query for a domain name is NXDOMAIN, then the domain
    # name and any possible subdomains do not exist" (RFC 9989 §3.2.13)
    answer = yield Lookup(found.author_domain, "A")
    if answer.status in ("timeout", "servfail"):
        reason = f"DNS: {answer.status} for {found.author_domain}"
        return replace(found, status=Status.TEMPERROR, reason=reason)
    return replace(found, exists=answer.status != "nxdomain")


def _discover_by_suffix(author_domain: str, suffixes: Any) -> Evaluation[Discovery]:
    """RFC 7489 §6.6.3."""
    organizational = suffixes.privatesuffix(author_domain) or author_domain
    found = Discovery(
        Status.NONE,
        f"no DMARC record for {author_domain}",
        author_domain,
        organizational,
        mode="rfc7489",
        suffixes=suffixes,
    )
    tree = yield from fetch((author_domain, organizational))
    for domain in dict.fromkeys((author_domain, organizational)):
        node = tree[domain]
        if node.failed:
            return _undecided(found, domain, node.failed)
        if node.record is not None:
            return _applies(found, domain, replace(node.record, np=None), "")
        if node.note:
            # "If the remaining set contains multiple records or no records, policy discovery
            # terminates"; one that is not empty is not passed over.
            return replace(found, reason=f"{node.note} at _dmarc.{domain}")
    return found


def _status_of(result: Any) -> str:
    status = getattr(result, "status", "")
    return str(getattr(status, "value", status)).lower()


def _identifiers(spf: Any, dkim: Sequence[Any], status: str) -> list[Identifier]:
    """The domains of the results with *status*, as A-labels, each once."""
    found: list[Identifier] = []
    for method, results in (("spf", () if spf is None else (spf,)), ("dkim", dkim or ())):
        for result in results:
            if _status_of(result) != status or not result.domain:
                continue
            try:
                identifier = Identifier(method, to_ascii(str(result.domain)))
            except DomainError:
                continue
            if identifier not in found:
                found.append(identifier)
            if len(found) >= 10 * MAX_IDENTIFIERS:
                return found
    return found


def _needs_walk(found: Discovery, identifier: Identifier) -> tuple[str, ...]:
    """The names that must be known before relaxed alignment of *identifier* can be told."""
    if found.record is None or found.mode != "rfc9989":
        return ()
    strict = found.record.strict_spf if identifier.method == "spf" else found.record.strict_dkim
    domain = identifier.domain
    if (
        strict
        or domain == found.author_domain
        or not is_within(domain, found.organizational_domain)
    ):
        return ()
    return tuple([name for name in walk_names(domain) if name not in found.tree])


def complete(found: Discovery, *, spf: Any, dkim: Sequence[Any] = ()) -> Evaluation[Discovery]:
    """
    Walk the trees of the authenticated identifiers, as far as alignment depends on them.

    Asks nothing when an identifier is aligned without it, when alignment is strict, and for
    domains outside of the organizational domain; else all names in one round.  At most
    `MAX_IDENTIFIERS` domains are walked.
    """
    if found.status is not Status.PASS:
        return found
    candidates = [*_identifiers(spf, dkim, "pass"), *_identifiers(spf, dkim, "temperror")]
    wanted = [(i, _needs_walk(found, i)) for i in candidates[:MAX_IDENTIFIERS]]
    if any(not names and _aligned(found, i) == "yes" for i, names in wanted):
        return found
    missing = list(dict.fromkeys([name for _, names in wanted for name in names]))
    if not missing:
        return found
    more = yield from fetch(missing)
    return replace(found, tree={**found.tree, **more})


def _aligned(found: Discovery, identifier: Identifier) -> Literal["yes", "no", "unknown"]:
    """RFC 9989 §4.4, §4.10.2.  Unknown: a look-up that would tell has failed."""
    record = found.record
    domain = identifier.domain
    if domain == found.author_domain:
        return "yes"
    # "The DMARC Policy Record for the Author Domain indicates strict alignment.  In this case, a
    # simple string comparison [...] is all that is required."
    if record is None or (record.strict_spf if identifier.method == "spf" else record.strict_dkim):
        return "no"
    if found.mode == "rfc7489":
        mine = found.suffixes.privatesuffix(domain)
        return "yes" if mine == found.organizational_domain else "no"
    if found.walk_failed:
        # Either domain may have an organizational domain above what was seen.
        return "unknown" if domain.rpartition(".")[2] == _top(found.author_domain) else "no"
    if not is_within(domain, found.organizational_domain):
        return "no"
    walked = walk(domain, found.tree)
    if walked.failed:
        return "unknown"
    return "yes" if walked.organizational_domain == found.organizational_domain else "no"


def _top(domain: str) -> str:
    return domain.rpartition(".")[2]


def evaluate(
    found: Discovery, *, spf: Any = None, dkim: Sequence[Any] = (), sample: int = 0
) -> DMARCResult:
    """
    Judge a message by a discovered policy and the results of SPF and DKIM (RFC 9989 §5.3).  Pure.

    Identifiers whose trees `complete` did not walk are taken to have no records between
    themselves and the organizational domain, which is so unless somebody publishes ``psd``.

    Args:
        spf: Anything with ``.status`` and ``.domain``, or ``None``.
        dkim: One of the same per signature, in any order.
        sample: For ``rfc7489``: a number from 0 to 99, drawn by the caller; the policy is applied
            when it is below ``pct``.
    """
    if found.status is not Status.PASS or found.record is None:
        return DMARCResult(
            found.status,
            found.reason,
            found.disposition,
            None,
            found.author_domain,
            found.organizational_domain,
            mode=found.mode,
        )
    policy = found.policy or Policy.NONE
    passed = _identifiers(spf, dkim, "pass")
    aligned: list[Identifier] = []
    unknown: list[Identifier] = []
    for identifier in passed:
        match _aligned(found, identifier):
            case "yes":
                aligned.append(identifier)
            case "unknown":
                unknown.append(identifier)
    disposition = Policy.NONE
    if aligned:
        # "If one or more of the Authenticated Identifiers align with the Author Domain, the
        # message is considered to pass" (§5.3.5)
        status = Status.PASS
        reason = f"{' and '.join(map(str, aligned[:3]))} aligned with {found.author_domain}"
    elif unknown or (
        # "If one or more DNS queries required to perform DMARC validation on the message do not
        # complete due to temporary or permanent DNS errors, the message cannot be considered to
        # pass or fail" (§5.3.6): required are those that could have made it pass.
        unknown := [i for i in _identifiers(spf, dkim, "temperror") if _aligned(found, i) != "no"]
    ):
        status = Status.TEMPERROR
        reason = f"DNS did not tell whether {unknown[0]} vouches for {found.author_domain}"
    else:
        status = Status.FAIL
        others = ", ".join(map(str, passed[:3]))
        why = f"only {others} passed" if others else "neither SPF nor DKIM passed"
        reason = f"nothing aligned with {found.author_domain}: {why}"
        disposition = policy
        if found.mode == "rfc7489":
            if sample >= found.record.pct:
                disposition = BELOW[policy]
        elif found.record.testing:
            # "the policy applied to any failing messages will be one level below" (§4.7)
            disposition = BELOW[policy]
        if disposition is not policy:
            reason += f"; {policy} is published in test mode, so {disposition} applies"
    return DMARCResult(
        status,
        reason,
        disposition,
        policy,
        found.author_domain,
        found.organizational_domain,
        found.policy_domain,
        tuple(aligned),
        found.record,
        found.mode,
    )
