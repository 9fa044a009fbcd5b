"""Authentication of incoming mail: SPF, every DKIM signature, DMARC, the reverse name, the lists.

All of them are generators, driven together, so that DNS is asked in parallel; a budget of time
bounds the whole.  Trouble is a result (``temperror``), never an exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, final

import corvus_auth
import corvus_message
from corvus_auth import authres, dmarc, spf
from corvus_auth.lookup import Answer, Lookup, arun, gather

#: Seconds that all look-ups of one mail may take: "at least 20 seconds" (RFC 7208 §4.6.4).
BUDGET: Final = 20.0
#: Names of an address that are looked up forward: "only the first 10 names" (RFC 7208 §4.6.4).
MAX_NAMES: Final = 10


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """What was found out about who sent a mail."""

    spf: Any = None
    dkim: tuple[Any, ...] = ()
    dmarc: Any = None
    from_domain: str = ""
    from_problem: str = ""
    ptr: tuple[str, ...] | None = None
    blocklists: Mapping[str, str] = field(default_factory=dict)
    allowlists: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    whole: Any = None
    """What `corvus_auth.authenticate` returned: the sentence and the header field."""

    @classmethod
    def none(cls) -> Authentication:
        """Nothing was asked."""
        return cls()

    @staticmethod
    def status(result: Any) -> str:
        """The word for a result: ``pass``, ``fail``, ``none`` ..."""
        return "none" if result is None else str(getattr(result.status, "value", result.status))

    @property
    def spf_domain(self) -> str:
        return "" if self.spf is None else str(self.spf.domain)

    def field(self, hostname: str) -> bytes:
        """The Authentication-Results field with our name, CRLF included; empty if nothing was asked."""
        if self.whole is None:
            return b""
        extra = []
        if self.ptr is not None:
            extra.append(authres.Result("iprev", "pass" if self.ptr else "fail"))
        return bytes(self.whole.header_field(hostname, extra=extra))

    def to_json(self) -> dict[str, Any]:
        """The evidence, with the DNS answers it rests on."""
        return {
            "spf": None if self.spf is None else self.spf.to_dict(),
            "dkim": [result.to_json() for result in self.dkim],
            "dmarc": None if self.dmarc is None else self.dmarc.to_dict(),
            "ptr": None if self.ptr is None else list(self.ptr),
            "blocklists": dict(self.blocklists),
            "allowlists": dict(self.allowlists),
            "seconds": round(self.seconds, 4),
        }
