"""What came of one signature: a status, the reason in words, and the facts behind both."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, final


@final
class Status(StrEnum):
    """The results of RFC 8601 §2.7.1; "none" is an empty list of results."""

    PASS = "pass"  # noqa: S105 - a result, not a secret
    """The signature is good and nothing in the policy speaks against it."""
    FAIL = "fail"
    """The signature or the body hash does not match: the message is not what was signed."""
    POLICY = "policy"
    """The signature is good, and the `Policy` in force does not accept it."""
    NEUTRAL = "neutral"
    """The signature asks for something this verifier does not know, or its key is being tested."""
    TEMPERROR = "temperror"
    """DNS did not answer; the same message may pass later."""
    PERMERROR = "permerror"
    """The signature or its key cannot be used, now or later."""


@final
@dataclass(frozen=True, slots=True)
class SignatureResult:
    """
    The verdict on one DKIM-Signature field.

    ``status`` and ``reason`` are always set.  The other values are those of the field as far as it
    could be read; only after `Status.PASS` do they mean anything about the message.
    """

    status: Status
    reason: str
    """One sentence in ASCII without line ends or double quotes, fit for a header field or a log."""
    domain: str = ""
    """The ``d=`` tag in lower case: who takes responsibility.  Empty if the field has none."""
    selector: str = ""
    """The ``s=`` tag."""
    identity: str = ""
    """The ``i=`` tag, decoded; ``@domain`` by default (RFC 6376 §3.5)."""
    algorithm: str = ""
    """The ``a=`` tag in lower case, such as ``rsa-sha256``."""
    key_bits: int | None = None
    """The size of the key that was tried, in bits; 256 for Ed25519."""
    unsigned_octets: int = 0
    """Octets of the canonical body behind what ``l=`` covers; anybody may have written them."""
    canonicalization: str = ""
    """The ``c=`` tag in full, such as ``relaxed/simple``."""
    signed_fields: tuple[str, ...] = ()
    """The ``h=`` tag: names in lower case, in order, with repeats."""
    timestamp: int | None = None
    """The ``t=`` tag, seconds since 1970."""
    expires: int | None = None
    """The ``x=`` tag, seconds since 1970."""
    testing: bool = False
    """The key record carries ``t=y``: the signer says it is still trying."""
    secure: bool = False
    """The resolver vouched for the key record by DNSSEC."""
    signature: bytes = b""
    """The octets of ``b=``; with domain and selector they tell replays of one signature apart."""

    @property
    def passed(self) -> bool:
        """Whether the status is `Status.PASS`."""
        return self.status is Status.PASS

    def aligned_with(self, author_domain: str, *, organizational_domain: str = "") -> bool:
        """
        Whether this result lets DMARC pass for *author_domain* (RFC 9989 §4.4).

        Without *organizational_domain* the alignment is strict, the domains are equal.  With it
        the alignment is relaxed: both domains are that domain or lie below it.  A signature that
        leaves octets of the body unsigned is never aligned, and one that did not pass neither.

        >>> result = SignatureResult(Status.PASS, "good", domain="mail.example.com")
        >>> result.aligned_with("mail.example.com"), result.aligned_with("example.com")
        (True, False)
        >>> result.aligned_with("example.com", organizational_domain="example.com")
        True
        """
        if self.status is not Status.PASS or self.unsigned_octets or not self.domain:
            return False
        author = author_domain.lower().rstrip(".")
        if author == self.domain:
            return True
        above = organizational_domain.lower().strip(".")
        return bool(above) and all(
            domain == above or domain.endswith("." + above) for domain in (author, self.domain)
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as values that JSON knows; ``b`` holds the start of the signature (RFC 6008)."""
        return {
            "status": str(self.status),
            "reason": self.reason,
            "domain": self.domain,
            "selector": self.selector,
            "identity": self.identity,
            "algorithm": self.algorithm,
            "key_bits": self.key_bits,
            "unsigned_octets": self.unsigned_octets,
            "canonicalization": self.canonicalization,
            "signed_fields": list(self.signed_fields),
            "timestamp": self.timestamp,
            "expires": self.expires,
            "testing": self.testing,
            "secure": self.secure,
            "b": base64.b64encode(self.signature[:9]).decode("ascii"),
        }

    def to_json(self) -> str:
        """The result as one line of JSON."""
        return json.dumps(self.to_dict())
