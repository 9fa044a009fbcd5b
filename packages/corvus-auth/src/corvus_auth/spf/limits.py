"""How much an evaluation may ask for: the limits of RFC 7208 §4.6.4 and a budget over all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one evaluation; each is finite, whatever the records say."""

    terms: int = 10
    """Terms that cause look-ups: "MUST limit the total number of those terms to 10"."""
    void_lookups: int = 2
    """"SPF implementations SHOULD limit "void lookups" to two." """
    mx_hosts: int = 10
    """Hosts of one ``mx``; more are a permerror."""
    ptr_names: int = 10
    """Names of one client address; "all records other than the first 10 MUST be ignored"."""
    lookups: int = 40
    """Questions in all.  Ten ``mx`` of ten hosts are 111 within the RFC's own limits, a lever
    for attacks on others (RFC 7208 §11.1); honest records stay under 25.  More are a permerror."""
    seconds: float = 20.0
    """"Such a limit SHOULD allow at least 20 seconds"; later, the result is a temperror.  The
    clock is an argument of `evaluate`; one look-up that hangs is the resolver's to end."""
    record: int = 16_384
    """Octets of a record; longer ones are a permerror."""
    identity: int = 1000
    """Characters at the end of the sender, its local-part and the HELO name that macros see.  A
    path has 256 octets at most (RFC 5321 §4.5.3.1.3), and a record can repeat it 4000 times."""
    explanation: int = 500
    """Characters of an explanation; the rest is cut, so that it fits a reply."""
