"""
The maildrop as it was at login (RFC 1939 §4): numbers, sizes, unique-ids, and what is marked.

"After the POP3 server has opened the maildrop, it assigns a message-number to each message, and
notes the size of each message in octets."  Nothing here changes what is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import final

from corvus_pop3.commands import BadCommand
from corvus_pop3.errors import LocalProtocolError
from corvus_pop3.languages import Text

# "one to 70 characters in the range 0x21 to 0x7E" (RFC 1939 §7, UIDL), joined by spaces.
_UIDS = re.compile(r"[!-~]{1,70}(?: [!-~]{1,70})*")


@final
class Maildrop:
    """
    A snapshot; message *n* is ``sizes[n - 1]`` and ``uids[n - 1]``.

    Raises:
        LocalProtocolError: Sizes or unique-ids that cannot be.
    """

    __slots__ = ("deleted", "octets", "sizes", "uids")

    def __init__(self, sizes: Sequence[int] = (), uids: Sequence[str] = ()) -> None:
        self.sizes, self.uids = tuple(sizes), tuple(uids)
        if len(self.sizes) != len(self.uids):
            raise LocalProtocolError(f"{len(self.sizes)} sizes, {len(self.uids)} unique-ids")
        joined = " ".join(self.uids)
        # As many spaces as joints: none of them is part of a unique-id.
        if self.uids and (not _UIDS.fullmatch(joined) or joined.count(" ") != len(self.uids) - 1):
            raise LocalProtocolError("a unique-id is 1 to 70 characters from ! to ~")
        if self.sizes and not (min(self.sizes) >= 0 and max(self.sizes) < 10**18):
            raise LocalProtocolError("a size that no message has")
        self.deleted: set[int] = set()
        self.octets = sum(self.sizes)
        """Of the messages that are not marked: "messages marked as deleted are not counted"."""

    @property
    def count(self) -> int:
        """Messages that are not marked."""
        return len(self.sizes) - len(self.deleted)

    def message(self, digits: bytes) -> int:
        """
        The number of a message a command may speak of.

        Raises:
            BadCommand: Out of range, or marked as deleted.
        """
        number = int(digits)
        if not 1 <= number <= len(self.sizes):
            raise BadCommand(Text.NO_MESSAGE)
        if number in self.deleted:
            raise BadCommand(Text.ALREADY_DELETED, number=number)
        return number

    def delete(self, number: int) -> None:
        self.deleted.add(number)
        self.octets -= self.sizes[number - 1]

    def reset(self) -> None:
        self.deleted.clear()
        self.octets = sum(self.sizes)

    def scan_listings(self) -> Iterator[str]:
        """Lines of LIST: "messages marked as deleted are not listed" (RFC 1939 §5)."""
        return (
            f"{number} {size}\r\n"
            for number, size in enumerate(self.sizes, 1)
            if number not in self.deleted
        )

    def unique_id_listings(self) -> Iterator[str]:
        """Lines of UIDL: "No information follows the unique-id" (RFC 1939 §7)."""
        return (
            f"{number} {uid}\r\n"
            for number, uid in enumerate(self.uids, 1)
            if number not in self.deleted
        )
