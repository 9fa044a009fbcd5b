"""Tag=value lists (RFC 6376 §3.2), the form of signatures and of key records.

The list is kept as octets.  `parse` checks the grammar and reports where the value of ``b=`` stands,
because it has to be cut out of the field without touching its neighbours.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from functools import lru_cache
from typing import Final

from corvus_dkim.errors import TagListError

#   tag-name  =  ALPHA *ALNUMPUNC
_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")

#   tval      =  1*VALCHAR
#   VALCHAR   =  %x21-3A / %x3C-7E
# with FWS between, so CRLF only before WSP, and no other control.  Octets from 0x80 on are let
# through: "an implementation that wished to anticipate future standards would be advised not to
# preclude the use of UTF-8-encoded text" (RFC 6376 §3.2); the tags that matter check their own.
_ALLOWED: Final = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])

#: The names of the RFCs, which need no check.
_KNOWN: Final = frozenset(b"v a b bh c d h i l q s t x z k n p g cv".split())

_WSP: Final = b" \t\r\n"

#: Whitespace to delete from values in which it "is ignored".
_DELETE: Final = b" \t\r\n"

#   sub-domain = Let-dig [Ldh-str]
# and an underscore, which selectors in the field carry and DNS allows.
_LABEL: Final = rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN: Final = re.compile(_LABEL + rb"(?:\." + _LABEL + rb")+")
_SELECTOR: Final = re.compile(_LABEL + rb"(?:\." + _LABEL + rb")*")

#: Octets of a name in DNS, without the final dot.
MAX_NAME: Final = 253


class TagList(dict[bytes, bytes]):
    """
    Values by name, whitespace around them removed.

    `signature_span` holds the offsets behind the ``=`` of ``b=`` and of its ``;`` (or the end):
    the value and all whitespace around it, to be deleted before a signature is computed.
    """

    __slots__ = ("signature_span",)

    signature_span: tuple[int, int]


def parse(text: bytes) -> TagList:
    """
    Parse *text*, a field value or a TXT record.

    >>> parse(b"v=1; b = abc\\r\\n def;")
    {b'v': b'1', b'b': b'abc\\r\\n def'}

    Raises:
        TagListError: The text breaks the grammar, or a tag occurs twice: "if a tag name does occur
            more than once, the entire tag-list is invalid".
    """
    if not _is_text(text):
        raise TagListError("a character that no tag list may hold")
    tags = TagList()
    tags.signature_span = (0, 0)
    pieces = text.split(b";")
    if not pieces[-1].strip(_WSP):
        pieces.pop()  # tag-list = tag-spec *( ";" tag-spec ) [ ";" ]
        if not pieces:
            raise TagListError("an empty tag list")
    for number, piece in enumerate(pieces):
        name, equals, value = piece.partition(b"=")
        key = name.strip(_WSP)
        if not equals:
            raise TagListError("a tag without =")
        if key not in _KNOWN and not _NAME.fullmatch(key):
            raise TagListError("a tag whose name is none")
        if key in tags:
            raise TagListError(f"the tag {key[:20].decode('ascii')} occurs twice")
        tags[key] = value.strip(_WSP)
        if key == b"b":
            end = sum([len(p) for p in pieces[: number + 1]]) + number
            tags.signature_span = (end - len(value), end)
    return tags


def _is_text(text: bytes) -> bool:
    """Whether *text* is printable but for whitespace, and each CRLF in it is a fold."""
    lines = text.translate(None, _ALLOWED)
    if not lines:
        return True
    folds = text.count(b"\r\n ") + text.count(b"\r\n\t")
    return lines == b"\r\n" * folds


def base64_value(value: bytes) -> bytes:
    """
    Decode base64 with whitespace anywhere ("Whitespace is ignored in this value").

    Raises:
        TagListError: It is not base64, with padding and without anything behind it.
    """
    try:
        return a2b_base64(value.translate(None, _DELETE), strict_mode=True)
    except Error:
        raise TagListError("not base64") from None


def names_value(value: bytes) -> list[bytes]:
    """Split a colon-separated list, whitespace around the colons removed; an item may be empty."""
    return [item.strip(_WSP) for item in value.split(b":")]


def number_value(value: bytes, digits: int) -> int:
    """
    Read an unsigned decimal number of at most *digits* digits.

    Raises:
        TagListError: It is none, or longer.
    """
    if len(value) > digits or not value.isdigit():  # bytes.isdigit() knows ASCII digits only
        raise TagListError(f"not a number of at most {digits} digits")
    return int(value)


_HEX: Final = re.compile(rb"=(?:[0-9A-F]{2})?")
#   dkim-safe-char        =  %x21-3A / %x3C / %x3E-7E
# Octets from 0x80 on "MUST be encoded" here, so they are refused.
_UNSAFE: Final = re.compile(rb"[^\x21-\x3a\x3c-\x7e]")


def quoted_printable_value(value: bytes) -> bytes:
    """
    Decode DKIM-Quoted-Printable (RFC 6376 §2.11); whitespace "is NOT part of the value".

    >>> quoted_printable_value(b"Subject:demo=20run")
    b'Subject:demo run'

    Raises:
        TagListError: A character that must be encoded, or ``=`` without two upper-case digits.
    """
    value = value.translate(None, _DELETE)
    if _UNSAFE.search(value):
        raise TagListError("a character that must be quoted")

    def octet(match: re.Match[bytes]) -> bytes:
        found = match[0]
        if len(found) != 3:
            raise TagListError("= without two hexadecimal digits")
        return bytes([int(found[1:], 16)])

    return _HEX.sub(octet, value) if b"=" in value else value


def quote_printable(octets: bytes, also: bytes = b"") -> bytes:
    """Encode for DKIM-Quoted-Printable; the octets of *also* are quoted too."""
    return b"".join(
        [
            bytes([c]) if 0x21 <= c <= 0x7E and c not in b";=" and c not in also else b"=%02X" % c
            for c in octets
        ]
    )


def is_domain(name: bytes) -> bool:
    """Whether *name* is the ``domain-name`` of RFC 6376 §3.5: two labels at least, all ASCII."""
    return len(name) <= MAX_NAME and _is_domain(name)


def is_selector(name: bytes) -> bool:
    """Whether *name* is a ``selector`` (RFC 6376 §3.1): one label or more."""
    return len(name) <= MAX_NAME and _is_selector(name)


@lru_cache(maxsize=1024)
def _is_domain(name: bytes) -> bool:
    return _DOMAIN.fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _is_selector(name: bytes) -> bool:
    return _SELECTOR.fullmatch(name) is not None
