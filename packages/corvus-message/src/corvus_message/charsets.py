"""Names of charsets, and octets to text without ever failing.

The labels are those of the WHATWG Encoding Standard, which says what browsers and senders mean:
"iso-8859-1" is windows-1252, "gb2312" is a subset of gb18030.  Mail adds a few that browsers
have dropped.  Nothing outside the table is handed to Python's codec registry, which knows codecs
that are no charsets at all (``zlib``, ``idna``, ``punycode``, ``unicode_escape``; the middle two
have been quadratic, CVE-2022-45061).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

#: Python codec -> the labels that mean it, lower case and without anything but letters and digits.
_CODECS: Final[Mapping[str, str]] = {
    "utf-8": "utf8 unicode11utf8 unicode20utf8 xunicode20utf8 utf8mb4 cp65001",
    "utf-16": "utf16 iso10646ucs2 ucs2 unicode csunicode",
    "utf-16-le": "utf16le unicodefeff",
    "utf-16-be": "utf16be unicodefffe",
    "utf-32": "utf32 ucs4 iso10646ucs4",
    "utf-32-le": "utf32le",
    "utf-32-be": "utf32be",
    # WHATWG bans UTF-7 because a page may be decoded after it was checked.  Here text is
    # decoded first and checked (by whoever shows it) afterwards.
    "utf-7": "utf7 unicode11utf7",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso88592 isoir101 iso885921987 l2 latin2",
    "iso8859-3": "csisolatin3 iso88593 isoir109 iso885931988 l3 latin3",
    "iso8859-4": "csisolatin4 iso88594 isoir110 iso885941988 l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso88595 isoir144 iso885951988",
    "iso8859-6": "arabic asmo708 csiso88596e csiso88596i csisolatinarabic ecma114 iso88596 "
    "iso88596e iso88596i isoir127 iso885961987",
    "iso8859-7": "csisolatingreek ecma118 elot928 greek greek8 iso88597 isoir126 iso885971987 "
    "suneugreek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso88598 iso88598e isoir138 iso885981988 "
    "visual csiso88598i iso88598i logical",
    "iso8859-10": "csisolatin6 iso885910 isoir157 l6 latin6",
    "iso8859-13": "iso885913",
    "iso8859-14": "iso885914",
    "iso8859-15": "csisolatin9 iso885915 l9 latin9",
    "iso8859-16": "iso885916",
    "koi8-r": "cskoi8r koi koi8 koi8r",
    "koi8-u": "koi8ru koi8u",
    "koi8-t": "koi8t",
    "mac-roman": "csmacintosh mac macintosh xmacroman",
    "mac-cyrillic": "xmaccyrillic xmacukrainian",
    "cp874": "dos874 iso885911 tis620 windows874 cp874",
    "cp1250": "cp1250 windows1250 xcp1250",
    "cp1251": "cp1251 windows1251 xcp1251 ansi1251",
    "cp1252": "ansix341968 ascii usascii us cp1252 cp819 csisolatin1 ibm819 iso88591 isoir100 "
    "iso885911987 l1 latin1 windows1252 xcp1252 iso646us csascii ibm367 cp367 8bit 7bit",
    "cp1253": "cp1253 windows1253 xcp1253",
    "cp1254": "cp1254 csisolatin5 iso88599 isoir148 iso885991989 l5 latin5 windows1254 xcp1254",
    "cp1255": "cp1255 windows1255 xcp1255",
    "cp1256": "cp1256 windows1256 xcp1256",
    "cp1257": "cp1257 windows1257 xcp1257",
    "cp1258": "cp1258 windows1258 xcp1258",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb231280 gbk isoir58 xgbk gb18030 cp936 "
    "ms936 windows936 euccn",
    "hz": "hzgb2312 hz",
    "big5hkscs": "big5 big5hkscs cnbig5 csbig5 xxbig5 cp950",
    "euc_jp": "cseucpkdfmtjapanese eucjp xeucjp ujis",
    "iso2022_jp_2": "csiso2022jp iso2022jp iso2022jp1 iso2022jp2",
    "iso2022_jp_3": "iso2022jp3 iso2022jp2004",
    "cp932": "csshiftjis ms932 mskanji shiftjis sjis windows31j xsjis cp932 cswindows31j",
    "cp949": "cseuckr csksc56011987 euckr isoir149 korean ksc5601 ksc56011987 ksc56011989 "
    "windows949 uhc cp949",
    "iso2022_kr": "csiso2022kr iso2022kr",
    "cp437": "cp437 ibm437 437",
    "cp850": "cp850 ibm850 850",
    "cp852": "cp852 ibm852 852",
    "cp855": "cp855 ibm855",
    "cp857": "cp857 ibm857",
    "cp858": "cp858 ibm858 ibm00858",
    "cp862": "cp862 ibm862 dos862",
    "cp775": "cp775 ibm775",
    "cp737": "cp737 ibm737",
}
_BY_LABEL: Final[Mapping[str, str]] = {
    label: codec for codec, labels in _CODECS.items() for label in labels.split()
}
_ASCII: Final = frozenset({"ansix341968", "ascii", "usascii", "us", "iso646us", "csascii", "7bit"})
_NOT_LABEL: Final = re.compile(r"[^a-z0-9]+")
_LONGEST_LABEL: Final = 64


def _label(name: str) -> str:
    # "charset='utf-8'", "charset=UTF8", "charset=utf-8 name=x", "=?utf-8*en?": all seen.
    name = name[:_LONGEST_LABEL].strip(" \t\"'").lower().partition(" ")[0]
    return _NOT_LABEL.sub("", name)


def codec(name: str) -> str | None:
    """
    The Python codec that a charset's name means, or ``None`` for a name nobody knows.

    >>> codec("ISO-8859-1"), codec("gb2312"), codec("x-nothing"), codec("zlib")
    ('cp1252', 'gb18030', None, None)
    """
    return _BY_LABEL.get(_label(name))


def decode_unlabelled(octets: bytes) -> str:
    """
    Octets of a header or body that nobody labelled: UTF-8 if they can be, else windows-1252.

    >>> decode_unlabelled(b"caf\\xe9"), decode_unlabelled(b"caf\\xc3\\xa9")
    ('café', 'café')
    """
    try:
        return octets.decode()
    except UnicodeDecodeError:
        # Octets 81 8D 8F 90 9D are no letters there; U+FFFD stands for each.
        return octets.decode("cp1252", "replace")


def decode_charset(octets: bytes, charset: str | None) -> str:
    """
    *octets* as text; what cannot be decoded becomes U+FFFD, and nothing is raised.

    Text labelled US-ASCII, not labelled, or labelled with an unknown name is UTF-8 where it can
    be, since that is what such senders send.
    """
    label = _label(charset) if charset else ""
    name = _BY_LABEL.get(label)
    if name is None or label in _ASCII:
        return decode_unlabelled(octets)
    try:
        text = octets.decode(name, "replace")
    except (UnicodeError, LookupError):
        # A codec may be missing from a small build of Python.
        return decode_unlabelled(octets)
    if name == "utf-7":
        # The one codec that gives out half a surrogate pair, at which whoever encodes the text
        # again would fail.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def encode_text(text: str) -> bytes:
    """Text as the octets of a UTF-8 header; octets that `surrogateescape` made come back."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
