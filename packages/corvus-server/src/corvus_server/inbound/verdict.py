"""A verdict: what was decided about a mail, by which rule, on what evidence.

It is data from the first moment: stored with the message as JSON (at most 16 KB), shown on the web
as a sentence, written into the mail as a header.  "What would have flipped it" is computed when it
is shown, from the same data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, final

from corvus_server.spam.signals import Signal

#: Octets of JSON that a verdict may take; what is longer is cut, and says so.
MAX_OCTETS: Final = 16 * 1024


class Decision(Enum):
    """What became of the mail."""

    INBOX = "inbox"
    JUNK = "junk"
    REJECT = "reject"
    """Refused for good (550)."""
    GREYLIST = "greylist"
    """Asked to come again (451)."""
    DEFER = "defer"
    """A check could not be made just now (451)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision about one mail, with its reasons."""

    decision: Decision
    rule: str
    """The rule that decided: ``dmarc-reject``, ``dmarc-quarantine``, ``score``, ``greylist`` ..."""
    sentence: str
    """The reason as one sentence for people."""
    score: float = 0.0
    threshold: float = 5.0
    signals: tuple[Signal, ...] = ()
    connection: Mapping[str, Any] = field(default_factory=dict)
    """``ip``, ``helo``, ``tls``, ``ptr`` of who brought it."""
    envelope: Mapping[str, Any] = field(default_factory=dict)
    """``mail_from``, ``recipients``, ``from_domain``."""
    checks: Mapping[str, Any] = field(default_factory=dict)
    """``spf``, ``dkim``, ``dmarc``, ``arc``: results with the DNS answers they rest on."""
    steps: Sequence[Mapping[str, Any]] = ()
    """The stations of the mail with their times: what happened, when, seconds it took."""

    def to_json(self) -> dict[str, Any]:
        """The tree, JSON-safe, cut to `MAX_OCTETS`."""
        tree: dict[str, Any] = {
            "decision": self.decision.value,
            "rule": self.rule,
            "sentence": self.sentence,
            "score": self.score,
            "threshold": self.threshold,
            "signals": [signal.to_json() for signal in self.signals],
            "connection": dict(self.connection),
            "envelope": dict(self.envelope),
            "checks": dict(self.checks),
            "steps": [dict(step) for step in self.steps],
        }
        limit = 2000
        while len(_dumps(tree)) > MAX_OCTETS and limit > 8:
            # Long answers are cut first, and again, and harder; the skeleton always fits.
            tree = _cut(tree, limit, items=max(4, limit // 20))
            tree["cut"] = True
            limit //= 2
        return tree

    @property
    def flips(self) -> list[str]:
        """What would have changed the decision, strongest first, in words."""
        return flips(self.to_json())

    def filed(self, decision: Decision) -> Verdict:
        return replace(self, decision=decision)


def flips(tree: Mapping[str, Any]) -> list[str]:
    """
    What would have changed the decision of a stored verdict.

    >>> flips({"decision": "junk", "rule": "score", "score": 5.5, "threshold": 5.0,
    ...        "signals": [{"name": "spf-fail", "weight": 2.5, "evidence": "e"}]})
    ['without “spf-fail” (2.5) the score would have been 3.0 and the mail in the inbox']
    """
    rule, decision = tree.get("rule"), tree.get("decision")
    score, threshold = float(tree.get("score", 0)), float(tree.get("threshold", 5))
    if rule in ("dmarc-reject", "dmarc-quarantine", "dmarc-forwarded"):
        domain = tree.get("envelope", {}).get("from_domain", "the author's domain")
        return [
            f"an SPF pass or a valid DKIM signature of {domain} would have let it in",
            f"{domain} asks for this in its DMARC policy; with p=none the score would have decided",
        ]
    found: list[tuple[float, str]] = []
    for signal in tree.get("signals", ()):
        weight, rest = signal["weight"], round(score - signal["weight"], 2)
        if decision == "junk" and rest < threshold:
            place = "in the inbox"
        elif decision == "inbox" and weight < 0 and rest >= threshold:
            place = "in Junk"
        else:
            continue
        words = f"without “{signal['name']}” ({weight}) the score would have been {rest}"
        found.append((abs(weight), f"{words} and the mail {place}"))
    found.sort(key=lambda pair: -pair[0])
    if not found and decision == "junk":
        return [f"a score below {threshold}; it was {score}"]
    if not found and decision == "inbox":
        return [f"{round(threshold - score, 2)} more points would have put it into Junk"]
    return [text for _, text in found]


def _dumps(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"), default=str).encode()


def _cut(value: Any, length: int, *, items: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= length else value[:length] + "…"
    if isinstance(value, Mapping):
        return {key: _cut(each, length, items=items) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(each, length, items=items) for each in value[:items]]
    return value
