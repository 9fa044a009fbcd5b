"""
Flags as one integer: five system flags in the low octet, a set of keywords above it.

A mailbox of 100,000 messages has a handful of different flag sets.  So each account numbers the keyword sets it has
seen (RFC 9051 §2.3.2 puts no limit on keywords), a message carries ``set << 8 | system``, an array holds a mailbox,
and the octets of a FLAGS response are looked up instead of made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

__all__ = [
    "ANSWERED",
    "DELETED",
    "DRAFT",
    "FLAGGED",
    "SEEN",
    "SYSTEM_FLAGS",
    "Keywords",
    "split_flags",
]

SEEN: Final = 1
ANSWERED: Final = 2
FLAGGED: Final = 4
DELETED: Final = 8
DRAFT: Final = 16

SYSTEM_FLAGS: Final[Mapping[str, int]] = {
    "\\Seen": SEEN,
    "\\Answered": ANSWERED,
    "\\Flagged": FLAGGED,
    "\\Deleted": DELETED,
    "\\Draft": DRAFT,
}
_BY_LOWER: Final = {name.lower(): bit for name, bit in SYSTEM_FLAGS.items()}
_SYSTEM_NAMES: Final = tuple(
    tuple(name for name, bit in SYSTEM_FLAGS.items() if value & bit) for value in range(32)
)


def split_flags(flags: Iterable[str]) -> tuple[int, tuple[str, ...]]:
    """
    The system bits and the keywords, each keyword once (in any case), sorted.

    ``\\Recent`` and other names behind a backslash are nobody's to set and are passed over.

    >>> split_flags(["\\\\Seen", "$Forwarded", "$forwarded"])
    (1, ('$Forwarded',))
    """
    bits = 0
    keywords: dict[str, str] = {}
    for flag in flags:
        if flag.startswith("\\"):
            bits |= _BY_LOWER.get(flag.lower(), 0)
        elif flag:
            keywords.setdefault(flag.lower(), flag)
    return bits, tuple(keywords[key] for key in sorted(keywords))


class Keywords:
    """The keyword sets of one account that this process knows, and the flag texts made of them."""

    __slots__ = ("_sets", "_texts")

    def __init__(self, sets: Mapping[int, tuple[str, ...]] = {}) -> None:
        self._sets: dict[int, tuple[str, ...]] = {0: (), **sets}
        self._texts: dict[int, bytes] = {}

    def learn(self, set_id: int, names: tuple[str, ...]) -> None:
        self._sets[set_id] = names

    def knows(self, set_id: int) -> bool:
        return set_id in self._sets

    def names(self, value: int) -> tuple[str, ...]:
        """All flags of a value, system flags first."""
        return _SYSTEM_NAMES[value & 31] + self._sets[value >> 8]

    def keywords(self, value: int) -> tuple[str, ...]:
        return self._sets[value >> 8]

    def text(self, value: int) -> bytes:
        """As it stands between the parentheses of ``FLAGS (...)``."""
        try:
            return self._texts[value]
        except KeyError:
            text = " ".join(self.names(value)).encode("ascii", "replace")
            self._texts[value] = text
            return text
