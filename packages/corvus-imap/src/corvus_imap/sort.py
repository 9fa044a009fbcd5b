"""SORT: message numbers in the order of one or more criteria (RFC 5256 §3).

A pure function over facts that were computed when a message was delivered; what it costs is one
stable sort per criterion, at the speed of `list.sort`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

from corvus_imap.collation import casemap
from corvus_imap.envelope import Message, parsed
from corvus_imap.extensions.sort import SortField, SortKey
from corvus_message import Address, Part, address_list, base_subject, parse_date

__all__ = ["SortFacts", "sort"]


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

    @classmethod
    def of(cls, message: Message, internal_date: float) -> SortFacts:
        """
        Read the facts of *message* that came in at *internal_date*, to be stored at delivery.

        >>> SortFacts.of(b"From: Ann <ann@b.example>\\nSubject: Re: x\\n\\n", 99.0)
        SortFacts(internal_date=99.0, sent_date=99.0, size=42, base_subject='x', \
from_mailbox='ann', to_mailbox='', cc_mailbox='')
        """
        part = parsed(message)
        sent = parse_date(part.field(b"date") or b"")
        return cls(
            internal_date,
            internal_date if sent is None else sent.timestamp(),
            part.end - part.start,
            base_subject(part.field(b"subject") or b""),
            *[_first_mailbox(part, name) for name in (b"from", b"to", b"cc")],
        )


def _first_mailbox(part: Part, name: bytes) -> str:
    """addr-mailbox of the field's first address structure: of a group that is its name."""
    found = address_list(part.field(name) or b"")
    if not found:
        return ""
    return found[0].local if isinstance(found[0], Address) else found[0].name


#: Criterion -> (attribute of `SortFacts`, whether it is text and so collated).
_COLUMNS: Final[dict[SortField, tuple[str, bool]]] = {
    SortField.ARRIVAL: ("internal_date", False),
    SortField.CC: ("cc_mailbox", True),
    SortField.DATE: ("sent_date", False),
    SortField.FROM: ("from_mailbox", True),
    SortField.SIZE: ("size", False),
    SortField.SUBJECT: ("base_subject", True),
    SortField.TO: ("to_mailbox", True),
}


def sort(criteria: Iterable[SortKey], messages: Sequence[SortFacts]) -> list[int]:
    """
    Order *messages*, which are given in the order of their sequence numbers.

    Args:
        criteria: Those of the command, most important first.

    Returns:
        Indices into *messages*; where all criteria are equal, in the order of sequence numbers, and
        REVERSE "does not affect the implicit 'sequence number' sort criterion"
        (:rfc:`5256#section-3`).

    >>> box = [SortFacts(0, 0, 9, "b"), SortFacts(0, 0, 9, "A"), SortFacts(0, 0, 5, "b")]
    >>> sort([SortKey(SortField.SUBJECT), SortKey(SortField.SIZE, reverse=True)], box)
    [1, 0, 2]
    """
    order = list(range(len(messages)))
    # Stable sorts, the least important criterion first: `reverse=True` keeps equals in their order,
    # too.
    for key in reversed(list(criteria)):
        attribute, is_text = _COLUMNS[key.field]
        column = [getattr(message, attribute) for message in messages]
        if is_text:
            column = [casemap(text) for text in column]
        order.sort(key=column.__getitem__, reverse=key.reverse)
    return order
