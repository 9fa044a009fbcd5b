r"""FETCH lines out of stored values: octets that were made once, joined (RFC 9051 §7.5.2).

ENVELOPE, BODYSTRUCTURE, sizes and dates never change, so a store keeps them as they stand on the
wire and a FETCH of ten thousand messages formats nothing: `FetchLines` zips columns with the words
between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import final

from corvus_imap.codec.render import render_date_time
from corvus_imap.types.fetch import FetchAttribute

__all__ = ["FetchLines", "numbers", "render_date_time"]


def numbers(values: Iterable[int]) -> list[bytes]:
    """
    *values* as octets: message numbers, UIDs, sizes.

    >>> numbers([1, 20])
    [b'1', b'20']
    """
    # One string and one split cost half of formatting each number as bytes.
    text = " ".join(map(str, values))
    return text.encode("ascii").split(b" ") if text else []


@final
class FetchLines:
    r"""
    A kind of FETCH response: which items, in which order.

    >>> lines = FetchLines(FetchAttribute.FLAGS, FetchAttribute.UID, b"BODY[1]<0>")
    >>> print(
    ...     lines.render(
    ...         numbers([1, 2]), [b"(\\Seen)", b"()"], [b"7", b"9"], [b'"abc"', b"NIL"]
    ...     ).decode()
    ... )  # doctest: +NORMALIZE_WHITESPACE
    * 1 FETCH (FLAGS (\Seen) UID 7 BODY[1]<0> "abc")
    * 2 FETCH (FLAGS () UID 9 BODY[1]<0> NIL)

    Args:
        items: Attributes, or labels as they stand in the answer (``BodySection.label``).

    Raises:
        ValueError: No items, or a label that is no word of a response.
    """

    __slots__ = ("_between", "_last")

    def __init__(self, *items: FetchAttribute | bytes) -> None:
        labels = [bytes(item) for item in items]
        if not labels or any(
            not label or b"\r" in label or b"\n" in label or b"\0" in label for label in labels
        ):
            raise ValueError("a FETCH response holds at least one item, and each is a word")
        first, *rest = labels
        self._between = (b" FETCH (%b " % first, *[b" %b " % label for label in rest])
        self._last = b")\r\n"

    def render(self, message_numbers: Sequence[bytes], *columns: Sequence[bytes]) -> bytes:
        """
        Return one line per message, ready to be sent.

        The values are copied as they are: they come from this package (`envelope`, `bodystructure`,
        `flag_list`, `render_date_time`, `numbers`), never from a client.

        Args:
            message_numbers: From `numbers`.
            columns: For each item its value of each message. ``(\\Seen)`` for FLAGS, ``(7)`` for
                MODSEQ: as on the wire.

        Raises:
            ValueError: Columns of different lengths, or more or fewer of them than items.
        """
        if len(columns) != len(self._between) or any(
            len(c) != len(message_numbers) for c in columns
        ):
            raise ValueError("one column for each item, one value for each message")
        if not message_numbers:
            return b""
        # "* 1", " FETCH (UID ", "7", ")\r\n* ", ...: constants and columns turn by turn, all of it
        # in C.
        turns: list[Iterable[bytes]] = [message_numbers]
        for between, column in zip(self._between, columns, strict=True):
            turns += (repeat(between), column)
        turns.append(repeat(self._last + b"* "))
        joined = b"".join(chain([b"* "], chain.from_iterable(zip(*turns, strict=False))))
        return joined[:-2]
