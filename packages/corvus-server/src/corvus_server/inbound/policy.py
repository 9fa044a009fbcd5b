"""The decision: from the results of the checks to inbox, junk, refusal or "come again".

A pure function over values, so that a stored verdict can be judged again under another policy.  The
rules are asked in order and the first that speaks decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from corvus_server.inbound.verdict import Decision
from corvus_server.spam.signals import Signal, score_of

#: The part of the junk threshold from which a mail is suspicious enough to be greylisted.
SUSPICIOUS: Final = 0.5


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator has chosen; a domain may be stricter."""

    junk_threshold: float = 5.0
    strict_dmarc: bool = False
    """Refuse what fails a ``p=reject`` even when some other domain vouches for it."""
    greylist: str = "suspicious"
    """``suspicious``, ``all`` or ``off``."""


@final
@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided, by which rule, and why in words."""

    decision: Decision
    rule: str
    sentence: str


def decide(
    *,
    policy: Policy,
    from_domain: str,
    spf: Any,
    dkim: Sequence[Any],
    dmarc: Any,
    signals: tuple[Signal, ...],
    may_greylist: bool,
    returned: bool,
) -> Ruling:
    """
    Decide about one mail.

    Args:
        from_domain: The author's domain as DMARC saw it.
        spf, dkim, dmarc: Results by shape: ``status``, ``domain``, and DMARC's ``disposition``.
        signals: What `corvus_server.spam.signals` found.
        may_greylist: Whether this sender may be asked to come again: not from loopback, private
            networks or known senders.
        returned: Whether this (network, domain) has already come again, late enough.
    """
    score = score_of(signals)
    vouched = _status(spf) == "pass" or any(_status(result) == "pass" for result in dkim)
    # A From field that names no single author is outside of DMARC and has a policy of its own
    # (`corvus_auth.dmarc.author`): status permerror, with a disposition.
    failed = _status(dmarc) in ("fail", "permerror")
    wanted = _value(getattr(dmarc, "disposition", "none")) if failed else "none"

    if _status(dmarc) == "temperror" and not vouched:
        # RFC 9989 §5.6.1.1: a policy that cannot be had just now is asked for again, not guessed.
        return Ruling(
            Decision.DEFER, "dns-trouble", f"the policy of {from_domain} could not be looked up"
        )
    if _status(dmarc) == "permerror" and wanted in ("reject", "quarantine"):
        decision = Decision.REJECT if wanted == "reject" else Decision.JUNK
        reason = str(getattr(dmarc, "reason", "")) or "its From field names no single author"
        return Ruling(decision, "author-unclear", reason)
    if wanted == "reject":
        broken = [r for r in (spf, *dkim) if _status(r) == "temperror"]
        if broken and not vouched:
            return Ruling(
                Decision.DEFER, "dns-trouble",
                f"{from_domain} wants its forgeries refused, and a look-up that could have"
                " vouched for this mail failed",
            )  # fmt: skip
        if not vouched or policy.strict_dmarc:
            return Ruling(
                Decision.REJECT, "dmarc-reject",
                f"{from_domain} wants mail refused that nobody it trusts vouches for",
            )  # fmt: skip
        other = next(
            (r.domain for r in dkim if _status(r) == "pass"), getattr(spf, "domain", "somebody")
        )
        return Ruling(
            Decision.JUNK, "dmarc-forwarded",
            f"{from_domain} does not vouch for it, {other} does: a mailing list, a forwarder,"
            " or a forgery",
        )  # fmt: skip
    if wanted == "quarantine":
        return Ruling(
            Decision.JUNK, "dmarc-quarantine",
            f"{from_domain} asks to set aside mail that nobody it trusts vouches for",
        )  # fmt: skip
    aligned = _status(dmarc) == "pass"
    suspicious = not aligned and score >= policy.junk_threshold * SUSPICIOUS
    wants_greylist = policy.greylist == "all" or (policy.greylist == "suspicious" and suspicious)
    if wants_greylist and may_greylist and not returned:
        return Ruling(
            Decision.GREYLIST, "greylist",
            "the sender is new here and nobody vouches for it: it is asked to come again",
        )  # fmt: skip
    if score >= policy.junk_threshold:
        worst = sorted(signals, key=lambda signal: -signal.weight)[:3]
        reasons = "; ".join(signal.evidence for signal in worst if signal.weight > 0)
        return Ruling(Decision.JUNK, "score", reasons)
    if aligned:
        return Ruling(Decision.INBOX, "vouched", f"{from_domain} vouches for it")
    return Ruling(Decision.INBOX, "score", "nothing serious speaks against it")


def _value(thing: Any) -> str:
    return str(getattr(thing, "value", thing))


def _status(result: Any) -> str:
    return "none" if result is None else _value(getattr(result, "status", "none"))
