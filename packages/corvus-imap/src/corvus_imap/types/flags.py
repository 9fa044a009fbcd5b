r"""Flags of messages: ``\Seen``, ``$Forwarded``, ``work`` (RFC 9051 §2.3.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, final

from corvus_imap.types.atoms import ATOM_CHARS

#: Flags with a spelling of their own, by it in lower case; filled below, where they are made.
_KNOWN: Final[dict[bytes, Flag]] = {}

_FLAG: Final = re.compile(rb"\\?[%b]+" % ATOM_CHARS)


@final
class Flag(str):
    r"""
    One flag, as its spelling; system flags come out as the RFC spells them.

    >>> Flag("\\seen")
    '\\Seen'
    >>> Flag("Work").folded  # what to compare and store keywords by
    'work'

    Raises:
        ValueError: Neither an atom nor a backslash and an atom.
    """

    __slots__ = ()

    def __new__(cls, text: str | bytes) -> Flag:
        if isinstance(text, bytes):
            raw = text
        elif isinstance(text, Flag):
            return text
        else:
            raw = text.encode("ascii")
        known = _KNOWN.get(raw.lower())
        if known is not None:
            return known
        if not _FLAG.fullmatch(raw):
            raise ValueError(f"not a flag: {text!r}")
        return super().__new__(cls, raw.decode("ascii"))

    def __bytes__(self) -> bytes:
        return self.encode("ascii")

    def __repr__(self) -> str:
        return str.__repr__(self)

    @property
    def folded(self) -> str:
        """In lower case, since "all alphabetic characters are case insensitive" (RFC 9051 §9)."""
        return self.lower()

    @property
    def is_system(self) -> bool:
        r"""Whether it begins with a backslash, as only flags of the RFCs do."""
        return self.startswith("\\")


# Names of RFC 9051 §2.3.2 in its order; \Recent is of RFC 3501 and may only be told, never set.

SEEN: Final = Flag("\\Seen")
ANSWERED: Final = Flag("\\Answered")
FLAGGED: Final = Flag("\\Flagged")
DELETED: Final = Flag("\\Deleted")
DRAFT: Final = Flag("\\Draft")
RECENT: Final = Flag("\\Recent")
FORWARDED: Final = Flag("$Forwarded")
MDN_SENT: Final = Flag("$MDNSent")
JUNK: Final = Flag("$Junk")
NOT_JUNK: Final = Flag("$NotJunk")
PHISHING: Final = Flag("$Phishing")
for _flag in (SEEN, ANSWERED, FLAGGED, DELETED, DRAFT, RECENT):
    _KNOWN[bytes(_flag).lower()] = _flag
for _flag in (FORWARDED, MDN_SENT, JUNK, NOT_JUNK, PHISHING):
    _KNOWN[bytes(_flag).lower()] = _flag

#: The flags of RFC 9051 §2.3.2 that a client may set.
SYSTEM_FLAGS: Final = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)


def flag_list(flags: Iterable[str]) -> bytes:
    r"""
    *flags* in parentheses, as FETCH, FLAGS and APPEND write them.

    >>> flag_list(["\\Seen", "work"])
    b'(\\Seen work)'
    """
    return b"(" + " ".join([Flag(flag) for flag in flags]).encode("ascii") + b")"
