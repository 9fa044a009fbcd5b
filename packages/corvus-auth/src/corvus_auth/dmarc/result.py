"""The verdict of DMARC."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, final

from corvus_auth.dmarc.record import Policy, Record


class Status(StrEnum):
    """The results of RFC 9989 §9.2."""

    NONE = "none"
    """No policy record exists for the Author Domain."""
    PASS = "pass"  # noqa: S105 - a verdict, no password
    """A record exists, and an authenticated identifier is aligned."""
    FAIL = "fail"
    """A record exists, and no authenticated identifier is aligned."""
    TEMPERROR = "temperror"
    """A look-up that could have changed the verdict did not complete."""
    PERMERROR = "permerror"
    """The message has no usable Author Domain; see `corvus_auth.dmarc.author`."""


@final
@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier that SPF or DKIM authenticated."""

    method: str
    """``"spf"`` or ``"dkim"``."""
    domain: str

    def __str__(self) -> str:
        return f"{self.method} {self.domain}"


@final
@dataclass(frozen=True, slots=True)
class DMARCResult:
    """What DMARC says about a message.  ``status`` and ``reason`` are always set."""

    status: Status
    reason: str
    """One sentence, printable."""
    disposition: Policy = Policy.NONE
    """What the domain owner asks to be done with this message: ``none`` unless it failed (or has
    no usable author), ``t=y`` taken into account.  Handling is the receiver's decision."""
    policy: Policy | None = None
    """The policy that applies to the Author Domain, as published; ``None`` without a record."""
    author_domain: str = ""
    organizational_domain: str = ""
    policy_domain: str = ""
    """Where the record that applies was found."""
    aligned_by: tuple[Identifier, ...] = ()
    """The authenticated identifiers that are aligned; empty unless the status is ``pass``."""
    record: Record | None = None
    mode: str = "rfc9989"

    def __str__(self) -> str:
        return f"dmarc={self.status} ({self.reason})"

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON-safe values."""
        return {
            "status": str(self.status),
            "reason": self.reason,
            "disposition": str(self.disposition),
            "policy": None if self.policy is None else str(self.policy),
            "author_domain": self.author_domain,
            "organizational_domain": self.organizational_domain,
            "policy_domain": self.policy_domain,
            "aligned_by": [{"method": i.method, "domain": i.domain} for i in self.aligned_by],
            "record": None if self.record is None else self.record.text,
            "mode": self.mode,
        }
