"""SORT: message numbers in the order of one or more criteria (RFC 5256 §3, RFC 5957).

A pure function over facts that were computed when a message was delivered; what it costs is one
stable sort per criterion, at the speed of `list.sort`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

from corvus_imap.collation import casemap

__all__ = ["SortFacts", "SortKey", "sort"]


class SortKey(enum.Enum):
    """What is compared (RFC 5256 §3; the last two are RFC 5957's)."""

    ARRIVAL = "ARRIVAL"  # INTERNALDATE, to the second
    CC = "CC"  # the mailbox of the first Cc address
    DATE = "DATE"  # the sent date, in UTC
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"  # the base subject
    TO = "TO"
    DISPLAYFROM = "DISPLAYFROM"  # the name a person sees
    DISPLAYTO = "DISPLAYTO"


@final
@dataclass(frozen=True, slots=True)
class SortFacts:
    """
    What SORT needs to know of one message.

    Texts are as the message has them, words decoded; an absent field is ``""``, which "always
    collates before non-empty strings" (:rfc:`5256#section-3`).
    """

    internal_date: float
    """Seconds since the epoch."""
    sent_date: float
    """
    Seconds since the epoch, in UTC.

    "If the sent date cannot be determined (a Date: header is missing or cannot be parsed), the
    INTERNALDATE for that message is used as the sent date" (:rfc:`5256#section-2.2`): the caller
    does so.
    """
    size: int
    """RFC822.SIZE."""
    base_subject: str = ""
    """`corvus_imap.base_subject` of the subject."""
    from_mailbox: str = ""
    """addr-mailbox (what stands before the ``@``) of the first From address; so with the next
    two."""
    to_mailbox: str = ""
    cc_mailbox: str = ""
    from_name: str = ""
    """Display name of the first From address, or its address where it has none (RFC 5957 §3)."""
    to_name: str = ""


#: Criterion -> (attribute of `SortFacts`, whether it is text and so collated).
_COLUMNS: Final[dict[SortKey, tuple[str, bool]]] = {
    SortKey.ARRIVAL: ("internal_date", False),
    SortKey.CC: ("cc_mailbox", True),
    SortKey.DATE: ("sent_date", False),
    SortKey.FROM: ("from_mailbox", True),
    SortKey.SIZE: ("size", False),
    SortKey.SUBJECT: ("base_subject", True),
    SortKey.TO: ("to_mailbox", True),
    SortKey.DISPLAYFROM: ("from_name", True),
    SortKey.DISPLAYTO: ("to_name", True),
}


def sort(criteria: Iterable[tuple[SortKey, bool]], messages: Sequence[SortFacts]) -> list[int]:
    """
    Order *messages*, which are given in the order of their sequence numbers.

    Args:
        criteria: Pairs of key and whether it stands behind REVERSE, most important first.

    Returns:
        Indices into *messages*; where all criteria are equal, in the order of sequence numbers, and
        REVERSE "does not affect the implicit 'sequence number' sort criterion"
        (:rfc:`5256#section-3`).

    >>> box = [SortFacts(0, 0, 9, "b"), SortFacts(0, 0, 9, "A"), SortFacts(0, 0, 5, "b")]
    >>> sort([(SortKey.SUBJECT, False), (SortKey.SIZE, True)], box)
    [1, 0, 2]
    """
    order = list(range(len(messages)))
    # Stable sorts, the least important criterion first: `reverse=True` keeps equals in their order,
    # too.
    for key, reverse in reversed(list(criteria)):
        attribute, is_text = _COLUMNS[key]
        column = [getattr(message, attribute) for message in messages]
        if is_text:
            column = [casemap(text) for text in column]
        order.sort(key=column.__getitem__, reverse=reverse)
    return order
