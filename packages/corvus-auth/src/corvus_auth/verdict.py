"""The whole verdict on a message: SPF, every signature and DMARC, with all look-ups in parallel.

corvus-dkim's evaluation is an argument, never an import: anything that yields look-ups and returns
a list of results with ``.status`` and ``.domain`` will do.

>>> from corvus_auth import spf
>>> from corvus_auth.lookup import ZoneResolver, run
>>> zone = ZoneResolver({
...     "example.com": {"TXT": [b"v=spf1 ip4:192.0.2.0/24 -all"]},
...     "_dmarc.example.com": {"TXT": [b"v=DMARC1; p=reject"]},
... })
>>> checked = spf.evaluate("192.0.2.7", "alice@example.com", "mx.example.com")
>>> print(run(authenticate("example.com", spf=checked), zone))
example.com is vouched for by SPF (example.com).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from corvus_auth import authres
from corvus_auth.dmarc import Author, DMARCResult, Mode, Status, complete, discover, evaluate
from corvus_auth.lookup import Evaluation, gather
from corvus_auth.printable import printable
from corvus_auth.spf.result import SPFResult


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """Who vouches for a message, and why."""

    dmarc: DMARCResult
    spf: SPFResult | None = None
    dkim: tuple[Any, ...] = ()
    """One result per signature, as the evaluation returned them."""

    @property
    def sentence(self) -> str:
        """The verdict in one sentence for people; printable."""
        dmarc = self.dmarc
        who = dmarc.author_domain or "The author"
        match dmarc.status:
            case Status.PASS:
                by = " and ".join(
                    [f"{i.method.upper()} ({i.domain})" for i in dmarc.aligned_by[:3]]
                )
                return f"{who} is vouched for by {by}."
            case Status.FAIL:
                return (
                    f"Nobody vouches for {who}: {self._passed()}; "
                    f"its policy asks for {_ASKS[str(dmarc.disposition)]}."
                )
            case Status.NONE:
                return f"{who} publishes no policy ({dmarc.reason}): {self._passed()}."
            case Status.TEMPERROR:
                return f"It cannot be told now who vouches for {who}: {dmarc.reason}."
            case _:
                return f"DMARC cannot be applied: {dmarc.reason}."

    def _passed(self) -> str:
        passed = [
            f"{method} passed for {printable(str(result.domain), 100)}"
            for method, result in [("SPF", self.spf), *[("DKIM", r) for r in self.dkim]]
            if result is not None and str(getattr(result.status, "value", result.status)) == "pass"
        ]
        if passed:
            return ", ".join(passed[:3])
        spf = f"SPF says {self.spf.status}" if self.spf is not None else "SPF was not checked"
        if not self.dkim:
            return f"{spf}, and there is no signature"
        return f"{spf}, and no signature passed"

    def __str__(self) -> str:
        return self.sentence

    def results(self) -> tuple[authres.Result, ...]:
        """The results for an Authentication-Results field: SPF, each signature, DMARC."""
        found = [] if self.spf is None else [authres.from_spf(self.spf)]
        if self.dkim:
            found.extend([authres.from_dkim(result) for result in self.dkim])
        else:
            found.append(authres.Result("dkim", "none"))
        found.append(authres.from_dmarc(self.dmarc))
        return tuple(found)

    def field(self, authserv_id: str) -> bytes:
        """The whole Authentication-Results field, to be put in front of the message."""
        return authres.field(authserv_id, self.results())

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON-safe values."""
        return {
            "sentence": self.sentence,
            "dmarc": self.dmarc.to_dict(),
            "spf": None if self.spf is None else self.spf.to_dict(),
            "dkim": [_dkim_dict(result) for result in self.dkim],
        }


_ASKS = {"none": "nothing", "quarantine": "quarantine", "reject": "rejection"}

_DKIM_ATTRIBUTES = ("reason", "domain", "selector", "identity", "algorithm")


def _dkim_dict(result: Any) -> dict[str, Any]:
    if hasattr(result, "to_dict"):
        found: dict[str, Any] = result.to_dict()
        return found
    shown: dict[str, Any] = {"status": str(getattr(result.status, "value", result.status))}
    for name in _DKIM_ATTRIBUTES:
        value = getattr(result, name, None)
        if value is not None:
            shown[name] = printable(str(value), 500)
    return shown


def authenticate(
    from_domain: str | Author,
    *,
    spf: Evaluation[SPFResult] | SPFResult | None = None,
    dkim: Evaluation[Sequence[Any]] | Sequence[Any] = (),
    mode: Mode = "rfc9989",
) -> Evaluation[Verdict]:
    """
    Run SPF, DKIM and the discovery of the DMARC policy side by side, then judge.

    What the three ask at the same time is yielded in one tuple.  One more round follows only where
    alignment depends on records below the organizational domain.

    Args:
        from_domain: The domain in From, or what `corvus_auth.dmarc.author` made of the fields.
        spf: An evaluation (`corvus_auth.spf.evaluate`), or its result where it is there already.
        dkim: An evaluation (``corvus_dkim.evaluate``), or results that are there already.
    """
    evaluations = [discover(from_domain, mode=mode), _evaluation(spf), _evaluation(dkim)]
    found, checked, signatures = yield from gather(evaluations)
    signatures = tuple(signatures or ())
    found = yield from complete(found, spf=checked, dkim=signatures)
    return Verdict(evaluate(found, spf=checked, dkim=signatures), checked, signatures)


def _evaluation(given: Any) -> Evaluation[Any]:
    """What was given if it is an evaluation, else one that has it as its result at once."""
    return given if hasattr(given, "send") else _done(given)


def _done(result: Any) -> Evaluation[Any]:
    return result
    yield
