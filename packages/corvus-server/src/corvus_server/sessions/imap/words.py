"""Numbers as octets, of which every answer is full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from corvus_imap.render import numbers

__all__ = ["words"]

#: Numbers whose octets are kept: a megabyte for the whole process, made when first asked for.
_KEPT: Final = 1 << 14
_WORDS: Final[list[bytes]] = []


def words(values: Sequence[int]) -> list[bytes]:
    """
    Message numbers or UIDs (ascending) as octets.

    >>> words(range(3, 6)), words([7, 70000])
    ([b'3', b'4', b'5'], [b'7', b'70000'])
    """
    count = len(values)
    if count and values[0] >= 0 and values[-1] < _KEPT and values[-1] - values[0] == count - 1:
        if not _WORDS:
            _WORDS.extend(numbers(range(_KEPT)))
        return _WORDS[values[0] : values[-1] + 1]
    return numbers(values)
