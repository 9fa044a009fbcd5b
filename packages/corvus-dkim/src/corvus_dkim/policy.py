"""What a verifier accepts, in one value; each default says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

#: "Verifiers MUST NOT consider signatures using RSA keys of less than 1024 bits as valid
#: signatures" (RFC 8301 §3.2): no policy goes below.
LEAST_RSA_BITS: Final = 1024


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    What a verifier accepts.

    What the RFCs forbid is a `PERMERROR` whatever stands here; what only this policy refuses is a
    `POLICY` result, and only if the signature is good otherwise.
    """

    minimum_rsa_bits: int = 1024
    """Shorter RSA keys are refused.  1024 is the RFC's floor, and much honest mail still uses it."""
    maximum_rsa_bits: int = 8192
    """Longer RSA keys are a `PERMERROR`: the work grows with the square, and nobody needs them."""
    accept_body_length: bool = False
    """Whether ``l=`` is accepted.  Off: anybody may append a second message to the signed one."""
    max_signatures: int = 10
    """Signatures that are evaluated, and so look-ups; "Verifiers MAY limit the total number of
    signatures they will attempt to verify" (RFC 6376 §4.2).  Those beyond get a `POLICY` result."""
    max_key_records: int = 4
    """TXT records that are tried for one selector, where one is right (RFC 6376 §3.6.2.2)."""
    max_header_octets: int = 1024 * 1024
    """A longer header is not kept: its signatures are `PERMERROR`."""
    check_expiry: bool = True
    """Whether ``x=`` in the past is refused."""
    expiry_slack: int = 300
    """Seconds after ``x=`` in which a signature is still taken; clocks drift (RFC 6376 §3.5)."""
    future_slack: int | None = 3600
    """Seconds ``t=`` may lie ahead of our clock; ``None`` never looks."""
    normalise_line_ends: bool = False
    """Whether bare LF and bare CR count as CRLF: for messages out of files, never for the wire."""

    def __post_init__(self) -> None:
        if self.minimum_rsa_bits < LEAST_RSA_BITS:
            raise ValueError("RFC 8301 §3.2 forbids RSA keys of less than 1024 bits")
        if self.maximum_rsa_bits < self.minimum_rsa_bits:
            raise ValueError("maximum_rsa_bits is below minimum_rsa_bits")
        if min(self.max_signatures, self.max_key_records, self.max_header_octets) < 1:
            raise ValueError("a limit is at least 1")
