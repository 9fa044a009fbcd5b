"""Names of mailboxes: modified UTF-7, INBOX, and patterns of LIST (RFC 9051 §5.1, RFC 3501 §5.1.3).

A name is a `str` everywhere but on the wire.  What stands in it is nobody's path: a server keys its
mailboxes by name or id and never joins names to folders.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, final

from corvus_imap.types.atoms import astring

# CR, LF and NUL would end a line; other control characters and the line separators have no place in
# a name either: names are Net-Unicode (RFC 9051 §5.1, RFC 5198 §2).
_CONTROL: Final = re.compile("[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]")
_PLAIN_ASCII: Final = re.compile(rb"[ -%'-~]*")
#   modified base64 between "&" and "-"; "," stands for "/"        ; RFC 3501 §5.1.3
_SHIFT: Final = re.compile(rb"&([A-Za-z0-9+,]*)-")
_RUN: Final = re.compile("[^ -~]+|&")


def check_name(name: str) -> str:
    """
    *name* itself, if a mailbox can be called so.

    Raises:
        ValueError: Control characters, line separators or lone surrogates.
    """
    if _CONTROL.search(name):
        raise ValueError("a mailbox name holds no control characters")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a mailbox name holds no lone surrogates") from None
    return name


def encode_utf7(name: str) -> bytes:
    """
    *name* in modified UTF-7.

    >>> encode_utf7("~peter/mail/台北/日本語")
    b'~peter/mail/&U,BTFw-/&ZeVnLIqe-'
    >>> encode_utf7("R&D")
    b'R&-D'
    """

    def shift(run: re.Match[str]) -> str:
        if run[0] == "&":
            return "&-"
        packed = base64.b64encode(run[0].encode("utf-16-be")).rstrip(b"=")
        return "&" + packed.replace(b"/", b",").decode("ascii") + "-"

    return _RUN.sub(shift, name).encode("ascii")


def decode_utf7(octets: bytes) -> str:
    """
    The name that modified UTF-7 *octets* stand for.

    Only the one canonical spelling of a name is taken: two spellings of one name are how a filter
    in front and a store behind come to disagree.

    Raises:
        ValueError: Not modified UTF-7, or not canonical.
    """
    if b"&" not in octets and _PLAIN_ASCII.fullmatch(octets):
        return octets.decode("ascii")
    text: list[str] = []
    position = 0
    while True:
        ampersand = octets.find(b"&", position)
        stop = len(octets) if ampersand < 0 else ampersand
        text.append(octets[position:stop].decode("ascii"))
        if ampersand < 0:
            break
        shift = _SHIFT.match(octets, ampersand)
        if not shift:
            raise ValueError("& begins a shift that does not end")
        position = shift.end()
        text.append(_unpack(shift[1]) if shift[1] else "&")
    name = "".join(text)
    if encode_utf7(name) != octets:
        raise ValueError("not the canonical spelling")
    return name


def _unpack(packed: bytes) -> str:
    padded = packed.replace(b",", b"/") + b"=" * (-len(packed) % 4)
    try:
        return base64.b64decode(padded, validate=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("the shifted part is not base64 of UTF-16") from None


def fold_inbox(name: str, delimiter: str | None = "/") -> str:
    """
    *name* with INBOX in capitals, alone or as the first of several levels.

    "All case variants of INBOX (e.g., "iNbOx") MUST be interpreted as INBOX" (RFC 9051 §9); below it
    the same is done, or ``inbox/a`` and ``INBOX/a`` would be two mailboxes that look alike.

    >>> fold_inbox("Inbox"), fold_inbox("inBox/a"), fold_inbox("inboxes")
    ('INBOX', 'INBOX/a', 'inboxes')
    """
    # Not by `upper` alone: "ı", a letter that is not i, has the capital I.
    if (
        name[:5].isascii()
        and name[:5].upper() == "INBOX"
        and (len(name) == 5 or (delimiter is not None and name[5:6] == delimiter))
    ):
        return "INBOX" + name[5:]
    return name


def decode_mailbox(octets: bytes, *, utf8: bool = False, delimiter: str | None = "/") -> str:
    """
    The name that stands as *octets* in a command or response.

    Args:
        utf8: UTF-8 was enabled (RFC 6855 §3, RFC 9051 §5.1); else modified UTF-7.

    Raises:
        ValueError: Not a name in that encoding.
    """
    return fold_inbox(
        check_name(octets.decode("utf-8") if utf8 else decode_utf7(octets)), delimiter
    )


def encode_mailbox(name: str, *, utf8: bool = False) -> bytes:
    """
    *name* as the astring that stands for it.

    >>> encode_mailbox("INBOX"), encode_mailbox("Sent Items"), encode_mailbox("Entwürfe")
    (b'INBOX', b'"Sent Items"', b'Entw&APw-rfe')

    Raises:
        ValueError: Control characters, which would end the line.
    """
    octets = check_name(name).encode("utf-8") if utf8 else encode_utf7(check_name(name))
    return astring(octets, utf8=utf8)


@final
class ListPattern:
    """
    A pattern of LIST: ``*`` is any octets, ``%`` any but the delimiter (RFC 9051 §6.3.9).

    The places in the pattern that a name has reached are the bits of one number, so that a match
    costs one step for each character of the name whatever the pattern
    (``*%*%*%...`` is what others choke on).

    >>> [name for name in ("a", "a/b", "ab") if ListPattern("a%", "/").matches(name)]
    ['a', 'ab']
    """

    __slots__ = ("_any", "_delimiter", "_end", "_level", "_literal", "_masks", "pattern")

    def __init__(self, pattern: str, delimiter: str | None = "/") -> None:
        self.pattern = pattern
        self._delimiter = delimiter
        # "inbox" in a pattern means INBOX (RFC 9051 §6.3.9: the name is case-insensitive).
        pattern = fold_inbox(pattern, delimiter)
        self._masks: dict[str, int] = {}
        self._any = self._level = 0
        place = 0
        last_wild = ""
        for char in pattern:
            if char in "*%":
                if delimiter is None:
                    char = "*"
                # "**" is "*", and so is any mixture.
                if last_wild:
                    if char == "*":
                        self._any |= 1 << place
                        self._level &= ~(1 << place)
                        last_wild = char
                    continue
                if char == "*":
                    self._any |= 1 << place
                else:
                    self._level |= 1 << place
                last_wild = char
                continue
            last_wild = ""
            self._masks[char] = self._masks.get(char, 0) | 1 << place
            place += 1
        self._end = 1 << place
        self._literal = pattern if not self._any | self._level else None

    def matches(self, name: str) -> bool:
        """Whether *name* is one that the pattern means."""
        if self._literal is not None:
            return name == self._literal
        loops, level = self._any | self._level, self._any
        masks, delimiter = self._masks, self._delimiter
        # Bit n: the first n letters of the pattern are behind us.  A wildcard is a bit that stays.
        places = 1
        for char in name:
            stay = places & (level if char == delimiter else loops)
            places = stay | ((places & masks.get(char, 0)) << 1)
            if not places:
                return False
        return bool(places & self._end)
