"""xtext: octets inside an ESMTP parameter (RFC 3461 §4), and its UTF-8 sister (RFC 6533 §3)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["decode_utf8_xtext", "decode_xtext", "encode_utf8_xtext", "encode_xtext"]

#   xtext = *( xchar / hexchar )
#   xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
#   hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits
_XTEXT: Final = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*+")
_HEXCHAR: Final = re.compile(rb"\+([0-9A-F]{2})")
_TO_ENCODE: Final = re.compile(rb"[^!-*,-<>-~]")
#   EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"                  ; RFC 6533 §3
_EMBEDDED: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_TO_EMBED: Final = re.compile(r"[^!-*,-<>-\[\]-~]")


def decode_xtext(value: bytes) -> bytes:
    """
    Give the octets that *value* stands for.

    >>> decode_xtext(b"QQ314159+20+2B")
    b'QQ314159 +'

    Raises:
        ValueError: It is no xtext.
    """
    if _XTEXT.fullmatch(value) is None:
        raise ValueError("not xtext")
    if b"+" not in value:
        return value
    return _HEXCHAR.sub(lambda match: bytes((int(match[1], 16),)), value)


def encode_xtext(octets: bytes) -> bytes:
    """
    Give the xtext of *octets*.

    >>> encode_xtext(b"a+b=c d")
    b'a+2Bb+3Dc+20d'
    """
    return _TO_ENCODE.sub(lambda match: b"+%02X" % match[0][0], octets)


def decode_utf8_xtext(value: bytes) -> str:
    r"""
    Give the text of a ``utf-8`` address: plain UTF-8, or ``\x{...}`` for what is not ASCII.

    >>> decode_utf8_xtext(b"j\\x{F6}rg@example.com")
    'jörg@example.com'

    Raises:
        ValueError: It is not UTF-8, or names no character.
    """

    def character(match: re.Match[str]) -> str:
        point = int(match[1], 16)
        if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            raise ValueError("no character has that number")
        return chr(point)

    return _EMBEDDED.sub(character, value.decode("utf-8"))


def encode_utf8_xtext(text: str) -> bytes:
    r"""
    Give the ``utf-8-addr-xtext`` of *text*, which is ASCII.

    >>> encode_utf8_xtext("jörg@example.com")
    b'j\\x{F6}rg@example.com'
    """
    return _TO_EMBED.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", text).encode("ascii")
