"""SPF, RFC 7208: who may send mail for a domain.

`check` and `acheck` answer with a resolver of yours, `evaluate` is the generator under both.

>>> from corvus_auth.lookup import ZoneResolver
>>> zone = ZoneResolver({"example.com": {"TXT": [b"v=spf1 ip4:192.0.2.0/24 -all"]}})
>>> result = check("192.0.2.7", "alice@example.com", "mx.example.com", resolver=zone)
>>> result.status
<Status.PASS: 'pass'>
>>> print(result)
spf=pass (example.com: ip4:192.0.2.0/24 matches)
"""

from __future__ import annotations

import time
from typing import Any

from corvus_auth.lookup import arun, run
from corvus_auth.spf.evaluation import Address, evaluate
from corvus_auth.spf.limits import Limits
from corvus_auth.spf.lint import explain
from corvus_auth.spf.received import ReceivedSPF, format_received_spf, parse_received_spf
from corvus_auth.spf.result import SPFResult, Status, TraceLookup, TraceStep

__all__ = [
    "Limits",
    "ReceivedSPF",
    "SPFResult",
    "Status",
    "TraceLookup",
    "TraceStep",
    "acheck",
    "check",
    "evaluate",
    "explain",
    "format_received_spf",
    "parse_received_spf",
]


def check(
    ip: str | Address,
    mail_from: str | None,
    helo: str,
    *,
    resolver: Any,
    limits: Limits = Limits(),
    receiver: str = "unknown",
    now: float | None = None,
) -> SPFResult:
    """
    Check one identity with a plain resolver; see `evaluate` for the arguments and the verdict.

    The clock is read for the deadline, and for ``%{t}`` when *now* is ``None``.
    """
    return run(
        evaluate(
            ip,
            mail_from,
            helo,
            limits=limits,
            receiver=receiver,
            now=time.time if now is None else now,
            clock=time.monotonic,
        ),
        resolver,
    )


async def acheck(
    ip: str | Address,
    mail_from: str | None,
    helo: str,
    *,
    resolver: Any,
    limits: Limits = Limits(),
    receiver: str = "unknown",
    now: float | None = None,
) -> SPFResult:
    """Check one identity with an asynchronous resolver; else as `check`."""
    return await arun(
        evaluate(
            ip,
            mail_from,
            helo,
            limits=limits,
            receiver=receiver,
            now=time.time if now is None else now,
            clock=time.monotonic,
        ),
        resolver,
    )
