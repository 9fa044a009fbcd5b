"""pyspf's two functions, for programs that are moving: the same arguments, the same tuples.

``check2(i, s, h)`` returns ``(result, explanation)`` and ``check(i, s, h)`` ``(result, code,
explanation)``, as pyspf 2.0 does.  Differences: there is no global ``DNSLookup`` to replace, a
resolver is an argument (by default `corvus_auth.dns.DNSResolver`, extra ``[dns]``); limits are those
of `corvus_auth.spf.Limits`; the explanation of a ``fail`` is the domain's own only where it
publishes one that is valid.
"""

from __future__ import annotations

from typing import Any, Final

from corvus_auth import spf

#: pyspf's texts for each result.
_EXPLANATIONS: Final = {
    "pass": "sender SPF authorized",
    "fail": "SPF fail - not authorized",
    "permerror": "permanent error in processing",
    "temperror": "temporary DNS error in processing",
    "softfail": "domain owner discourages use of this host",
    "none": "",
    "neutral": "access neither permitted nor denied",
}
_CODES: Final = {"fail": 550, "permerror": 550, "temperror": 451}

_resolver: Any = None


def _default_resolver() -> Any:
    global _resolver
    if _resolver is None:
        from corvus_auth.dns import DNSResolver

        _resolver = DNSResolver()
    return _resolver


def check2(
    i: str,
    s: str,
    h: str,
    local: str | None = None,
    receiver: str | None = None,
    timeout: float = 20,
    verbose: bool = False,
    querytime: float = 20,
    *,
    resolver: Any = None,
) -> tuple[str, str]:
    """
    Check SPF for client *i*, sender *s* and HELO name *h*.

    *local*, *timeout* and *verbose* are taken and ignored; *querytime* is the deadline in seconds.
    """
    limits = spf.Limits(seconds=querytime if querytime > 0 else 20)
    result = spf.check(
        i,
        s,
        h,
        resolver=resolver or _default_resolver(),
        limits=limits,
        receiver=receiver or "unknown",
    )
    status = str(result.status)
    text = _EXPLANATIONS[status]
    if status == "fail" and result.explanation:
        text = result.explanation
    elif status in ("permerror", "temperror"):
        text = f"{text}: {result.reason}"
    return status, text


def check(
    i: str,
    s: str,
    h: str,
    local: str | None = None,
    receiver: str | None = None,
    verbose: bool = False,
    *,
    resolver: Any = None,
) -> tuple[str, int, str]:
    """As `check2`, with the SMTP reply code between: 250, 451 or 550."""
    status, text = check2(i, s, h, local, receiver, verbose=verbose, resolver=resolver)
    return status, _CODES.get(status, 250), text
