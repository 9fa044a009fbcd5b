"""Sets of message numbers: ``1:4,7,9:*`` and ``$`` (RFC 9051 §9 sequence-set, RFC 5182).

A set keeps its ranges in the order in which they were given, because COPYUID pairs two sets by
position (RFC 4315 §3); what to *do* with a set is asked of `SequenceSet.resolve`, which sorts,
merges and clips, so that the work never exceeds the size of the mailbox.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, final

#: The largest nz-number, "Non-zero unsigned 32-bit integer (0 < n < 4,294,967,296)" (RFC 9051 §9).
MAX_NUMBER: Final = 0xFFFFFFFF

#: ``*``: the largest number in use, whatever it is; greater than every number.
STAR: Final = MAX_NUMBER + 1

#   sequence-set = (seq-number / seq-range) ["," sequence-set]      ; RFC 9051 §9
#   seq-range    = seq-number ":" seq-number
#   seq-number   = nz-number / "*"
# Each octet is looked at once: no two alternatives begin alike.
_NUMBER = rb"(?:[1-9][0-9]{0,9}|\*)"
SEQUENCE_SET: Final = re.compile(rb"%b(?::%b)?(?:,%b(?::%b)?)*" % ((_NUMBER,) * 4))


class SavedResult(enum.Enum):
    """``$``: what the last ``SEARCH RETURN (SAVE)`` of this session found (RFC 5182 §2.1)."""

    SAVED = "$"

    def __bytes__(self) -> bytes:
        return b"$"

    def __repr__(self) -> str:
        return "SAVED_RESULT"


SAVED_RESULT: Final = SavedResult.SAVED


def _number(text: bytes) -> int:
    if text == b"*":
        return STAR
    value = int(text)
    if value > MAX_NUMBER:
        raise ValueError("a message number has 32 bits")
    return value


@final
@dataclass(frozen=True, slots=True)
class SequenceSet:
    """
    Message numbers or UIDs, as ranges.

    >>> s = SequenceSet.parse(b"9:*,4:2,7")
    >>> s.ranges
    ((9, 4294967296), (2, 4), (7, 7))
    >>> bytes(s)
    b'9:*,2:4,7'
    >>> s.resolve(10)
    (range(2, 5), range(7, 8), range(9, 11))
    >>> s.resolve(5)  # "9:*" of five messages is 5:9, which holds the fifth
    (range(2, 6),)
    """

    ranges: tuple[tuple[int, int], ...]
    """Pairs of first and last with ``first <= last``; `STAR` stands for ``*``.  Never empty."""

    def __post_init__(self) -> None:
        if not self.ranges:
            raise ValueError("a sequence set is never empty")
        for first, last in self.ranges:
            if not 1 <= first <= last <= STAR:
                raise ValueError(f"not a range of message numbers: {first}:{last}")

    @classmethod
    def parse(cls, text: bytes) -> SequenceSet:
        """
        The set that *text* denotes, in linear time.

        Raises:
            ValueError: Not a sequence-set, or a number beyond 32 bits.
        """
        if not SEQUENCE_SET.fullmatch(text):
            raise ValueError("not a sequence set")
        return cls.of_matched(text)

    @classmethod
    def of_matched(cls, text: bytes) -> SequenceSet:
        """`parse` for *text* that `SEQUENCE_SET` has matched already."""
        ranges = []
        for item in text.split(b","):
            first, colon, last = item.partition(b":")
            low = _number(first)
            high = _number(last) if colon else low
            # "2:4 and 4:2 are equivalent" (RFC 9051 §9).
            ranges.append((low, high) if low <= high else (high, low))
        return cls(tuple(ranges))

    @classmethod
    def of(cls, numbers: Iterable[int]) -> SequenceSet:
        """
        The shortest set of *numbers*: sorted, without doubles, neighbours joined.

        >>> bytes(SequenceSet.of([5, 1, 2, 3, 9]))
        b'1:3,5,9'
        """
        ranges: list[tuple[int, int]] = []
        low = high = 0
        for number in sorted(numbers):
            if low and number <= high + 1:
                high = number if number > high else high
                continue
            if low:
                ranges.append((low, high))
            low = high = number
        if low:
            ranges.append((low, high))
        return cls(tuple(ranges))

    @classmethod
    def in_order(cls, numbers: Iterable[int]) -> SequenceSet:
        """
        *numbers* in their order, rising neighbours joined, as COPYUID wants (RFC 4315 §3).

        >>> bytes(SequenceSet.in_order([5, 1, 2, 3, 9]))
        b'5,1:3,9'
        """
        ranges: list[tuple[int, int]] = []
        low = high = 0
        for number in numbers:
            if low and number == high + 1:
                high = number
                continue
            if low:
                ranges.append((low, high))
            low = high = number
        if low:
            ranges.append((low, high))
        return cls(tuple(ranges))

    def __bytes__(self) -> bytes:
        return b",".join(
            [
                b"%b" % _wire(first) if first == last else b"%b:%b" % (_wire(first), _wire(last))
                for first, last in self.ranges
            ]
        )

    @property
    def highest(self) -> int:
        """The highest number named, `STAR` if ``*`` is."""
        return max(last for _, last in self.ranges)

    def resolve(self, largest: int) -> tuple[range, ...]:
        """
        The numbers from 1 to *largest* that are in the set: rising, disjoint ranges.

        ``*`` is *largest*: "In the case of message sequence numbers, it is the number of messages in a
        non-empty mailbox.  In the case of unique identifiers, it is the unique identifier of the last
        message in the mailbox" (RFC 9051 §9).  So ``9:*`` always
        holds the last message, even the fifth of five.  An empty mailbox (0) gives ``()``.
        """
        if largest < 1:
            return ()
        found: list[tuple[int, int]] = []
        for low, high in self.ranges:
            if high == STAR:
                low, high = min(low, largest), max(low if low != STAR else 0, largest)
            if low <= largest:
                found.append((low, min(high, largest)))
        if len(found) == 1:
            low, high = found[0]
            return (range(low, high + 1),)
        found.sort()
        merged: list[range] = []
        start = stop = 0
        for low, high in found:
            if stop and low <= stop + 1:
                stop = max(stop, high)
                continue
            if stop:
                merged.append(range(start, stop + 1))
            start, stop = low, high
        if stop:
            merged.append(range(start, stop + 1))
        return tuple(merged)

    def numbers(self, largest: int) -> Iterator[int]:
        """Every number of `resolve`, rising."""
        for span in self.resolve(largest):
            yield from span

    def in_given_order(self) -> Iterator[int]:
        """
        Every number in the order of the ranges, for sets without ``*`` (COPYUID).

        Raises:
            ValueError: The set holds ``*``, so that it has no end of its own.
        """
        if self.highest == STAR:
            raise ValueError("a set with * has no numbers of its own")
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __len__(self) -> int:
        """How many numbers the ranges name (``*`` counts as a number), without merging overlaps."""
        return sum(last - first + 1 for first, last in self.ranges)


def _wire(number: int) -> bytes:
    return b"*" if number == STAR else b"%d" % number


#: What a command names its messages by.
MessageSet = SequenceSet | SavedResult
