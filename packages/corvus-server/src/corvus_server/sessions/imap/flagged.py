"""Which messages of a mailbox have a flag, an octet each: found without making a number in Python."""

from __future__ import annotations

import sys
from array import array
from typing import Final

from corvus_server.storage.flags import SYSTEM_FLAGS
from corvus_server.storage.state import MailboxState

__all__ = ["has", "keywords", "mask"]

_SIZE: Final = array("I").itemsize
#: Where the system flags stand in a number of an array, and where keywords do.
_LOW: Final = 0 if sys.byteorder == "little" else _SIZE - 1
_REST: Final = tuple(at for at in range(_SIZE) if at != _LOW)
_HAVING: Final = {
    bit: bytes(bool(value & bit) for value in range(256)) for bit in SYSTEM_FLAGS.values()
}


def mask(flags: array[int], bit: int) -> bytes:
    r"""
    1 for each message that has a system flag, 0 for the others.

    >>> mask(array("I", [1, 0, 0x209]), 1)
    b'\x01\x00\x01'
    """
    return flags.tobytes()[_LOW::_SIZE].translate(_HAVING[bit])


def has(flags: array[int], bit: int) -> bool:
    """Whether any message has a system flag."""
    return b"\1" in mask(flags, bit)


def keywords(state: MailboxState) -> tuple[str, ...]:
    """The keywords in use; most mailboxes have none, which is seen at a glance."""
    octets = state.flags.tobytes()
    if not any(octets[at::_SIZE].strip(b"\0") for at in _REST):
        return ()
    return state.keyword_names()
