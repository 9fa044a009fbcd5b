"""What a client of QRESYNC knows about a mailbox (RFC 7162 §3.2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from corvus_imap.types.search import MAX_MODSEQ
from corvus_imap.types.sequence import STAR, SequenceSet


@final
@dataclass(frozen=True, slots=True)
class QResync:
    """``(QRESYNC (67890007 90060115194045000 41:211,214:541 (1,9 41,65)))``."""

    uid_validity: int
    """Compare it first; another UIDVALIDITY makes the rest worthless (§3.2.5.1)."""
    modseq: int
    """The highest mod-sequence that the client has seen."""
    known_uids: SequenceSet | None = None
    """The UIDs it holds; ``None`` for any of ``1:*``."""
    known_numbers: tuple[SequenceSet, SequenceSet] | None = None
    """Message numbers and the UIDs they had, in ascending order (§3.2.5.2)."""

    def __post_init__(self) -> None:
        if not (0 < self.uid_validity < STAR and 0 < self.modseq <= MAX_MODSEQ):
            raise ValueError("UIDVALIDITY has 32 bits and a mod-sequence 63, and neither is 0")
        # "* is not allowed" (RFC 7162 §7, three times).
        for known in (self.known_uids, *(self.known_numbers or ())):
            if known is not None and known.highest == STAR:
                raise ValueError("* is not allowed in what is known")
