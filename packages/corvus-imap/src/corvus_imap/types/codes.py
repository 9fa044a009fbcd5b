"""Response codes: what a program reads in ``* OK [UIDNEXT 5] text`` (RFC 9051 §7.1, RFC 5530).

A `Code` is a name and the argument behind it; the functions below make those that have one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from corvus_imap.types.atoms import ATOM
from corvus_imap.types.flags import Flag
from corvus_imap.types.sequence import SequenceSet

#   resp-text-code = ... / atom [SP 1*<any TEXT-CHAR except "]">]
_ARGUMENT: Final = re.compile(rb"[^\x00\r\n\]]+")

#: Names without an argument, with the RFC that gave them their meaning, as IANA sorts them.
NAMES: Final = {
    "ALERT": "9051",
    "ALREADYEXISTS": "5530",
    "AUTHENTICATIONFAILED": "5530",
    "AUTHORIZATIONFAILED": "5530",
    "CANNOT": "5530",
    "CLIENTBUG": "5530",
    "CLOSED": "7162",
    "COMPRESSIONACTIVE": "4978",
    "CONTACTADMIN": "5530",
    "CORRUPTION": "5530",
    "EXPIRED": "5530",
    "EXPUNGEISSUED": "5530",
    "HASCHILDREN": "9051",
    "INUSE": "5530",
    "LIMIT": "5530",
    "NOMODSEQ": "7162",
    "NONEXISTENT": "5530",
    "NOPERM": "5530",
    "NOTSAVED": "5182",
    "OVERQUOTA": "5530",
    "PARSE": "9051",
    "PRIVACYREQUIRED": "5530",
    "READ-ONLY": "9051",
    "READ-WRITE": "9051",
    "SERVERBUG": "5530",
    "TOOBIG": "4469",
    "TRYCREATE": "9051",
    "UIDNOTSTICKY": "4315",
    "UNAVAILABLE": "5530",
    "UNKNOWN-CTE": "3516",
    "USEATTR": "6154",
}


@final
@dataclass(frozen=True, slots=True)
class Code:
    """
    A response code.

    >>> bytes(Code("TRYCREATE")), bytes(uid_next(4392))
    (b'TRYCREATE', b'UIDNEXT 4392')
    """

    name: str
    """In capitals."""
    argument: bytes | None = None
    """What stands behind the name, without ``]``, CR, LF and NUL."""

    def __post_init__(self) -> None:
        name = self.name.encode("ascii")
        # "]" is no atom-char, so that the code cannot end before its end.
        if not ATOM.fullmatch(name) or name != name.upper():
            raise ValueError(f"not the name of a response code: {self.name!r}")
        if self.argument is not None and not _ARGUMENT.fullmatch(self.argument):
            raise ValueError("the argument of a response code holds no ], CR, LF or NUL")

    @classmethod
    def parse(cls, text: bytes) -> Code:
        """
        The code that stands as *text* between the brackets.

        Raises:
            ValueError: No atom at the beginning.
        """
        name, space, argument = text.partition(b" ")
        return cls(name.decode("ascii", "replace").upper(), argument if space else None)

    def __bytes__(self) -> bytes:
        name = self.name.encode("ascii")
        return name if self.argument is None else name + b" " + self.argument

    def numbers(self) -> tuple[int, ...]:
        """
        The numbers of the argument: ``UIDNEXT``, ``UIDVALIDITY``, ``HIGHESTMODSEQ``, ``UNSEEN``.

        Raises:
            ValueError: It holds something else.
        """
        return tuple([int(word) for word in (self.argument or b"").split(b" ")])


def append_uid(uid_validity: int, uids: Iterable[int]) -> Code:
    """``APPENDUID``: the UIDs that APPEND gave, in the order of the messages (RFC 4315 §3)."""
    return Code("APPENDUID", b"%d %b" % (uid_validity, bytes(SequenceSet.in_order(uids))))


def bad_charset(charsets: Iterable[str]) -> Code:
    """``BADCHARSET``: what would have been understood."""
    return Code("BADCHARSET", b"(" + " ".join(charsets).encode("ascii") + b")")


def capability(names: Iterable[str]) -> Code:
    """``CAPABILITY``: saves the client the command."""
    return Code("CAPABILITY", " ".join(names).encode("ascii"))


def copy_uid(uid_validity: int, source: Iterable[int], destination: Iterable[int]) -> Code:
    """
    ``COPYUID``: where each message went; both in the same order (RFC 4315 §3).

    >>> bytes(copy_uid(38505, [304, 319, 320], [3956, 3957, 3958]))
    b'COPYUID 38505 304,319:320 3956:3958'
    """
    old, new = SequenceSet.in_order(source), SequenceSet.in_order(destination)
    return Code("COPYUID", b"%d %b %b" % (uid_validity, bytes(old), bytes(new)))


def high_modseq(value: int) -> Code:
    """``HIGHESTMODSEQ`` (RFC 7162 §3.1.2.1)."""
    return Code("HIGHESTMODSEQ", b"%d" % value)


def mailbox_id(value: str) -> Code:
    """``MAILBOXID`` (RFC 8474 §4.1)."""
    return Code("MAILBOXID", b"(" + value.encode("ascii") + b")")


def modified(messages: SequenceSet) -> Code:
    """``MODIFIED``: what a conditional STORE left alone (RFC 7162 §3.1.3)."""
    return Code("MODIFIED", bytes(messages))


def permanent_flags(flags: Iterable[str], *, new_keywords: bool = False) -> Code:
    r"""``PERMANENTFLAGS``; *new_keywords* adds ``\*``: the client may invent some."""
    names = [str(Flag(flag)) for flag in flags]
    if new_keywords:
        names.append("\\*")
    return Code("PERMANENTFLAGS", b"(" + " ".join(names).encode("ascii") + b")")


def uid_next(value: int) -> Code:
    """``UIDNEXT``."""
    return Code("UIDNEXT", b"%d" % value)


def uid_validity(value: int) -> Code:
    """``UIDVALIDITY``."""
    return Code("UIDVALIDITY", b"%d" % value)


def unseen(number: int) -> Code:
    """``UNSEEN``: the first unseen message (RFC 3501 §7.1 only)."""
    return Code("UNSEEN", b"%d" % number)
