"""The smallest tokens: atoms, tags, secrets, and strings as they are written (RFC 9051 §4, §9).

Not here: literals that stream.  They have a size and chunks and belong to the engines.
"""

from __future__ import annotations

import hmac
import re
from typing import Final, final

#   ATOM-CHAR     = <any CHAR except atom-specials>                 ; RFC 9051 §9
#   atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
ATOM_CHARS: Final = rb"!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~"
ATOM: Final = re.compile(rb"[%b]+" % ATOM_CHARS)
#   ASTRING-CHAR  = ATOM-CHAR / resp-specials
ASTRING_CHARS: Final = ATOM_CHARS + rb"\]"
ASTRING: Final = re.compile(rb"[%b]+" % ASTRING_CHARS)
#   tag           = 1*<any ASTRING-CHAR except "+">
TAG: Final = re.compile(rb"[%b]+" % ASTRING_CHARS.replace(b"+", b""))

#: "A quoted string is a sequence of zero or more Unicode characters, excluding CR and LF"
#: (RFC 9051 §4.3); NUL stands nowhere at all (§9, rule 3).
_NOT_QUOTABLE: Final = re.compile(rb"[\x00\r\n\x80-\xff]")
_SPECIALS: Final = re.compile(rb'["\\]')

#: RFC 9051 §4.3 sets no limit to quoted strings, but clients have: go by literal beyond this.
_LONGEST_QUOTED: Final = 1000


@final
class Secret:
    """
    Octets that never show: a password, a SASL response.

    >>> Secret(b"hunter2")
    Secret(...)
    >>> Secret(b"hunter2") == Secret(b"hunter2")  # compared in constant time
    True
    """

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = bytes(octets)

    def reveal(self) -> bytes:
        """The octets themselves; call it where they are checked and nowhere else."""
        return self._octets

    def __repr__(self) -> str:
        return "Secret(...)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._octets, other._octets)

    def __hash__(self) -> int:
        return hash((Secret, self._octets))

    def __len__(self) -> int:
        return len(self._octets)


def is_atom(text: bytes) -> bool:
    """Whether *text* is an atom: letters, digits and what no delimiter needs."""
    return ATOM.fullmatch(text) is not None


def quoted(octets: bytes) -> bytes:
    r"""
    *octets* as a quoted string.

    >>> quoted(b'say "hi"')
    b'"say \\"hi\\""'

    Raises:
        ValueError: CR, LF, NUL or 8-bit octets, which only a literal can carry.
    """
    if _NOT_QUOTABLE.search(octets):
        raise ValueError("a quoted string holds neither CR, LF, NUL nor 8-bit octets")
    return b'"' + _SPECIALS.sub(rb"\\\g<0>", octets) + b'"'


def string(octets: bytes, *, utf8: bool = False) -> bytes:
    r"""
    *octets* as a string in a response: quoted where it can be, else a literal.

    >>> string(b"Betreff: \xc3\xa4")
    b'{11}\r\nBetreff: \xc3\xa4'

    Args:
        utf8: The client has enabled UTF8=ACCEPT or IMAP4rev2, so that quoted strings may hold
            UTF-8 (RFC 6855 §3, RFC 9051 §4.3).  Before that raw UTF-8 stays in literals.

    Raises:
        ValueError: A NUL, which no string carries (RFC 9051 §9, rule 3).
    """
    if b"\0" in octets:
        raise ValueError("NUL must not be used anywhere in a string")
    if len(octets) <= _LONGEST_QUOTED:
        if not _NOT_QUOTABLE.search(octets):
            if b'"' in octets or b"\\" in octets:
                octets = _SPECIALS.sub(rb"\\\g<0>", octets)
            return b'"' + octets + b'"'
        if utf8 and b"\r" not in octets and b"\n" not in octets:
            try:
                octets.decode("utf-8")
            except UnicodeDecodeError:
                pass
            else:
                return b'"' + _SPECIALS.sub(rb"\\\g<0>", octets) + b'"'
    return b"{%d}\r\n%b" % (len(octets), octets)


def astring(octets: bytes, *, utf8: bool = False) -> bytes:
    """*octets* as an astring: an atom where that is possible and no NIL, else as `string`."""
    if ASTRING.fullmatch(octets) and octets.upper() != b"NIL":
        return octets
    return string(octets, utf8=utf8)


def nstring(octets: bytes | None, *, utf8: bool = False) -> bytes:
    """*octets* as `string`; ``None`` is ``NIL``, which is not the empty string."""
    return b"NIL" if octets is None else string(octets, utf8=utf8)
