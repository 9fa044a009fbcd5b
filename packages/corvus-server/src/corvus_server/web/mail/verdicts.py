"""A stored verdict as people read it: a sentence, badges, a timeline, the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, final

from corvus_server.inbound.verdict import flips
from corvus_server.storage.values import Verdict
from corvus_server.web import words

#: How a result looks: state (a colour with an icon) by status.
STATES: Final = {
    "pass": "good", "bestguesspass": "good", "fail": "bad", "reject": "bad", "policy": "bad",
    "softfail": "warn", "permerror": "warn", "temperror": "warn", "quarantine": "warn",
    "none": "none", "neutral": "none",
}  # fmt: skip
PLACES: Final = {
    "inbox": "Delivered to the inbox", "junk": "Put into Junk", "reject": "Refused",
    "greylist": "Asked to come again", "defer": "Put off",
}  # fmt: skip
TONES: Final = {
    "inbox": "good",
    "junk": "warn",
    "reject": "bad",
    "greylist": "warn",
    "defer": "warn",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """One check, in a word: ``SPF pass``."""

    name: str
    status: str
    state: str
    """``good``, ``warn``, ``bad`` or ``none``."""
    reason: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One signal as a bar: `share` of 100 of the largest."""

    name: str
    weight: float
    evidence: str
    share: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One station of a mail's life."""

    title: str
    state: str = "none"
    text: str = ""
    when: float | None = None
    facts: Sequence[tuple[str, str]] = ()
    lookups: Sequence[tuple[str, str, str, str]] = ()
    """DNS answers: (name, type, status, records)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that is known about why a mail is where it is."""

    headline: str
    tone: str
    badges: Sequence[Badge]
    steps: Sequence[Step]
    weights: Sequence[Weight]
    score: float
    threshold: float
    fill: int
    """The score, of 100; the threshold stands at 50."""
    flips: Sequence[str]
    cut: bool


def headline(tree: Mapping[str, Any], sentence: str = "") -> str:
    """
    The decision as one sentence.

    >>> headline({"decision": "junk", "sentence": "the signature does not match"})
    'Put into Junk: the signature does not match.'
    """
    place = PLACES.get(str(tree.get("decision", "")), "Kept")
    reason = str(sentence or tree.get("sentence") or "").strip()
    text = f"{place}: {reason}" if reason else place
    return text if text.endswith((".", "!", "?")) else text + "."


def badges(tree: Mapping[str, Any]) -> list[Badge]:
    """SPF, DKIM and DMARC; of several signatures the best."""
    checks = _map(tree.get("checks"))
    found = []
    spf = _map(checks.get("spf"))
    if spf:
        found.append(_badge("SPF", spf))
    signatures = [_map(each) for each in _list(checks.get("dkim"))]
    if signatures:
        found.append(_badge("DKIM", min(signatures, key=lambda each: each.get("status") != "pass")))
    else:
        found.append(Badge(name="DKIM", status="none", state="none", reason="It is not signed."))
    dmarc = _map(checks.get("dmarc"))
    if dmarc:
        found.append(_badge("DMARC", dmarc))
    return found


def _badge(name: str, result: Mapping[str, Any]) -> Badge:
    status = str(result.get("status", "none"))
    return Badge(
        name=name,
        status=status,
        state=STATES.get(status, "none"),
        reason=str(result.get("reason", "")),
    )


def story(verdict: Verdict) -> Story:
    """Everything that the page of a mail shows of its verdict."""
    tree = verdict.tree
    score, threshold = _number(tree.get("score")), _number(tree.get("threshold")) or 5.0
    signals = [_map(each) for each in _list(tree.get("signals"))]
    # A threshold may be zero or less: everything is junk then, and nothing is divided by it.
    most = max([abs(threshold), *(abs(_number(each.get("weight"))) for each in signals)])
    fill = 50 * score / threshold if threshold > 0 else 100.0 * (score >= threshold)
    weights = [
        Weight(
            name=str(each.get("name", "")),
            weight=_number(each.get("weight")),
            evidence=str(each.get("evidence", "")),
            share=round(100 * abs(_number(each.get("weight"))) / most),
        )
        for each in sorted(signals, key=lambda each: -_number(each.get("weight")))
    ]
    try:
        turned = flips(tree)
    except (KeyError, TypeError, ValueError):
        turned = []  # a tree of an older version
    return Story(
        headline=headline(tree, verdict.sentence),
        tone=TONES.get(str(tree.get("decision")), "none"),
        badges=badges(tree),
        steps=_steps(tree, verdict),
        weights=weights,
        score=score,
        threshold=threshold,
        fill=round(max(0.0, min(100.0, fill))),
        flips=[words.visible(text[:1].upper() + text[1:]) for text in turned],
        cut=bool(tree.get("cut")),
    )


def _steps(tree: Mapping[str, Any], verdict: Verdict) -> list[Step]:
    connection, envelope = _map(tree.get("connection")), _map(tree.get("envelope"))
    checks = _map(tree.get("checks"))
    times = {str(_map(s).get("what")): _map(s) for s in _list(tree.get("steps"))}
    client = str(connection.get("ip") or verdict.client or "somebody")
    pointer = ", ".join(str(name) for name in _list(checks.get("ptr")))
    found = [
        Step(
            title="Connected",
            text=f"from {client}" + (f" ({pointer})" if pointer else ""),
            when=_when(times.get("received")),
            facts=_facts(connection, skip=("ip",)),
        ),
        Step(
            title="Handed over",
            text=f"from <{envelope.get('mail_from') or verdict.mail_from}>"
            f" to {words.plural(len(verdict.recipients) or 1, 'recipient')}",
            when=_when(times.get("complete")),
            facts=_facts(envelope, skip=("mail_from",)),
        ),
    ]
    spf = _map(checks.get("spf"))
    if spf:
        found.append(_check("SPF", spf, _traced(spf)))
    signatures = [_map(each) for each in _list(checks.get("dkim"))]
    for signature in signatures:
        found.append(_check(f"DKIM signature of {signature.get('domain') or '?'}", signature, ()))
    if not signatures:
        found.append(Step(title="DKIM", text="There is no signature."))
    dmarc = _map(checks.get("dmarc"))
    if dmarc:
        found.append(_check("DMARC", dmarc, ()))
    for key, word in (("blocklists", "Block list"), ("allowlists", "Allow list")):
        for zone, answer in _map(checks.get(key)).items():
            found.append(Step(title=f"{word} {zone}", state="warn", text=str(answer)))
    found.append(
        Step(
            title="Decided",
            state=TONES.get(str(tree.get("decision")), "none"),
            text=f"{headline(tree, verdict.sentence)} (rule {tree.get('rule', '?')})",
            when=verdict.created or _when(times.get("checked")),
        )
    )
    return found


def _check(title: str, result: Mapping[str, Any], lookups: Sequence[Any]) -> Step:
    status = str(result.get("status", "none"))
    reason = str(result.get("reason") or "")
    return Step(
        title=title,
        state=STATES.get(status, "none"),
        text=f"{status}: {reason}" if reason else status,
        facts=_facts(result, skip=("status", "reason", "trace", "b")),
        lookups=tuple(lookups),
    )


def _traced(spf: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    found = []
    for step in _list(spf.get("trace")):
        for lookup in _list(_map(step).get("lookups")):
            each = _map(lookup)
            records = " · ".join(str(r) for r in _list(each.get("records"))) or "(nothing)"
            row = (
                str(each.get("name", "")), str(each.get("type", "")),
                str(each.get("status", "")), records,
            )  # fmt: skip
            if row not in found:
                found.append(row)
    return found


def _facts(tree: Mapping[str, Any], skip: Sequence[str]) -> list[tuple[str, str]]:
    """Name and value of what is said in a word or a few."""
    found = []
    for key, value in tree.items():
        if key in skip or value in (None, "", [], {}):
            continue
        if isinstance(value, Mapping):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list | tuple):
            value = ", ".join(
                " ".join(str(v) for v in each.values()) if isinstance(each, Mapping) else str(each)
                for each in value
            )
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        elif key in ("timestamp", "expires") and isinstance(value, int | float):
            value = words.exact(value)
        found.append((key.replace("_", " "), words.visible(str(value))[:600]))
    return found


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, int | float) and isfinite(value) else 0.0
    except OverflowError:
        return 0.0


def _when(step: Any) -> float | None:
    return _number(_map(step).get("at")) or None
