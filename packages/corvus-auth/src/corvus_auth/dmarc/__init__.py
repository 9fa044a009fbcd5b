"""DMARC, RFC 9989: whether somebody vouches for the domain in From, and what to do if not.

`check` and `acheck` do all of it with a resolver of yours.  They are `discover` (look-ups only, so
it can run beside SPF and DKIM), `complete` (the organizational domains of what passed) and
`evaluate` (pure).  `author` finds the domain in the From fields.

>>> from corvus_auth.lookup import ZoneResolver
>>> from types import SimpleNamespace
>>> zone = ZoneResolver({"_dmarc.example.com": {"TXT": [b"v=DMARC1; p=reject"]}})
>>> signed = SimpleNamespace(status="pass", domain="mail.example.com")
>>> result = check("news.example.com", spf=None, dkim=[signed], resolver=zone)
>>> print(result)
dmarc=pass (dkim mail.example.com aligned with news.example.com)
>>> check("news.example.com", spf=None, dkim=[], resolver=zone).disposition
<Policy.REJECT: 'reject'>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corvus_auth.dmarc.author import Author, author
from corvus_auth.dmarc.policy import Discovery, Mode, complete, discover, evaluate
from corvus_auth.dmarc.record import Policy, Record, ReportURI, is_dmarc, parse_record
from corvus_auth.dmarc.report import (
    DKIMEntry,
    Override,
    PublishedPolicy,
    Report,
    Row,
    SPFEntry,
    compress_report,
    destinations,
    format_report,
)
from corvus_auth.dmarc.report_reader import ReportError, read_report
from corvus_auth.dmarc.result import DMARCResult, Identifier, Status
from corvus_auth.lookup import Evaluation, arun, run

__all__ = [
    "Author",
    "DKIMEntry",
    "DMARCResult",
    "Discovery",
    "Identifier",
    "Mode",
    "Override",
    "Policy",
    "PublishedPolicy",
    "Record",
    "Report",
    "ReportError",
    "ReportURI",
    "Row",
    "SPFEntry",
    "Status",
    "acheck",
    "author",
    "check",
    "complete",
    "compress_report",
    "destinations",
    "discover",
    "evaluate",
    "format_report",
    "is_dmarc",
    "parse_record",
    "read_report",
    "verdict",
]


def verdict(
    from_domain: str | Author,
    *,
    spf: Any,
    dkim: Sequence[Any],
    mode: Mode = "rfc9989",
    suffixes: Any = None,
) -> Evaluation[DMARCResult]:
    """Discover, complete and evaluate: the generator under `check`."""
    found = yield from discover(from_domain, mode=mode, suffixes=suffixes)
    found = yield from complete(found, spf=spf, dkim=dkim)
    return evaluate(found, spf=spf, dkim=dkim)


def check(
    from_domain: str | Author,
    *,
    spf: Any,
    dkim: Sequence[Any],
    resolver: Any,
    mode: Mode = "rfc9989",
) -> DMARCResult:
    """
    Check a message whose SPF and DKIM results are known, with a plain resolver.

    Args:
        from_domain: The domain in From, or what `author` made of the From fields.
        spf: An `corvus_auth.spf.SPFResult`, anything with ``.status`` and ``.domain``, or ``None``.
        dkim: One such result per signature; ``()`` for none.
        resolver: See `corvus_auth.lookup`.
        mode: ``"rfc7489"`` uses the public suffix list (extra ``[psl]``), for comparison.
    """
    return run(verdict(from_domain, spf=spf, dkim=dkim, mode=mode), resolver)


async def acheck(
    from_domain: str | Author,
    *,
    spf: Any,
    dkim: Sequence[Any],
    resolver: Any,
    mode: Mode = "rfc9989",
) -> DMARCResult:
    """Check a message with an asynchronous resolver; else as `check`."""
    return await arun(verdict(from_domain, spf=spf, dkim=dkim, mode=mode), resolver)
