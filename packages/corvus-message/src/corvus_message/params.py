"""Values with parameters: Content-Type, Content-Disposition (RFC 2045 §5.1, 2183, 2231).

Reading takes what real mail does wrong: a boundary without quotes, a quote that never closes, the
same parameter twice (the first one counts), spaces in an unquoted value, comments, encoded words
inside quotes (which RFC 2047 §5 forbids and everybody sends), charsets nobody knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final
from urllib.parse import unquote_to_bytes

from corvus_message import charsets
from corvus_message.words import decode_words

#: Attribute and value as they stand in the field, quotes and escapes removed; in order.
RawParams = tuple[tuple[bytes, bytes], ...]

_WS: Final = rb"[ \t\r\n]*+"
#   parameter := attribute "=" value ; value := token / quoted-string     RFC 2045 §5.1
# An unquoted value ends at ";".  A quote that never closes ends there too.
_PARAM: Final = re.compile(
    rb";" + _WS + rb'([^ \t\r\n=;"]++)' + _WS + rb"=" + _WS + rb"(?:"
    rb'"((?:[^"\\]++|\\.)*+)"|"?([^;]*+))',
    re.DOTALL,
)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
#   "type / subtype": tokens, so no tspecials (RFC 2045 §5.1)
_TOKEN: Final = rb"[^\x00-\x20()<>@,;:\\\"/\[\]?=]++"
_TYPE: Final = re.compile(_WS + rb"(" + _TOKEN + rb")" + _WS + rb"/" + _WS + rb"(" + _TOKEN + rb")")
_VALUE: Final = re.compile(_WS + rb"([^ \t\r\n;]*)")
_QUOTE_OR_COMMENT: Final = re.compile(rb'["()\\]')
#   attribute [ "*" section ] [ "*" ]                                      RFC 2231 §7
_SECTION: Final = re.compile(rb"([^*]++)(?:\*(0|[1-9][0-9]{0,3}))?(\*)?")
_ATTRIBUTE_CHAR: Final = re.compile(r"[!#$&+\-.0-9A-Z^_`a-z{|}~]+")
_EDGES: Final = b" \t\r\n"


def strip_comments(value: bytes) -> bytes:
    """
    *value* without its comments, quoted strings untouched; nested comments are counted, not
    descended into.  A comment that never closes runs to the end.

    >>> strip_comments(b'text/plain (a (b) "c) ; charset="(x)"')
    b'text/plain  ; charset="(x)"'
    """
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    depth = 0
    quoted = False
    start = 0
    position = 0
    while match := _QUOTE_OR_COMMENT.search(value, position):
        position = match.end()
        mark = match[0]
        if mark == b"\\":
            position += 1
        elif quoted:
            quoted = mark != b'"'
        elif depth:
            depth += (mark == b"(") - (mark == b")")
            start = position
        elif mark == b'"':
            quoted = True
        elif mark == b"(":
            kept.append(value[start : match.start()])
            depth = 1
    if not depth:
        kept.append(value[start:])
    return b"".join(kept)


def parse_params(value: bytes) -> RawParams:
    """The parameters behind the first ";" of *value*, as they stand."""
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    found = _PARAM.findall(value)
    if b"\\" in value:
        found = [(name, _ESCAPED.sub(rb"\1", quoted), bare) for name, quoted, bare in found]
    return tuple([(name, quoted or bare.strip(_EDGES)) for name, quoted, bare in found])


def _extended(octets: bytes, charset: str | None) -> str:
    return charsets.decode_charset(octets, charset)


def decode_params(raw: RawParams) -> tuple[tuple[str, str], ...]:
    """
    Parameters for people: names in lower case, each once, continuations joined and charsets
    decoded (RFC 2231 §3, §4); in the order of their first appearance.

    >>> decode_params(((b"title*0*", b"us-ascii'en'This%20is%20"), (b"TITLE*1", b"fun")))
    (('title', 'This is fun'),)
    """
    plain: dict[bytes, bytes] = {}
    # name -> section -> (percent-encoded, value); section -1 is the form without a number.
    sections: dict[bytes, dict[int, tuple[bool, bytes]]] = {}
    order: dict[bytes, None] = {}
    for attribute, value in raw:
        match = _SECTION.fullmatch(attribute)
        name = (match[1] if match else attribute).lower()
        order.setdefault(name)
        if match is None or (match[2] is None and match[3] is None):
            plain.setdefault(name, value)
        else:
            number = -1 if match[2] is None else int(match[2])
            sections.setdefault(name, {}).setdefault(number, (match[3] is not None, value))
    return tuple(
        (
            charsets.decode_unlabelled(name),
            _join_sections(sections[name]) if _usable(sections.get(name)) else _plain(plain, name),
        )
        for name in order
        if name in plain or _usable(sections.get(name))
    )


def _usable(sections: dict[int, tuple[bool, bytes]] | None) -> bool:
    return sections is not None and (-1 in sections or 0 in sections)


def _plain(plain: dict[bytes, bytes], name: bytes) -> str:
    return decode_words(plain[name])


def _join_sections(sections: dict[int, tuple[bool, bytes]]) -> str:
    # "the single asterisk" form wins: it is complete in itself.
    numbers = [-1] if -1 in sections else range(len(sections))
    charset: str | None = None
    joined: list[bytes] = []
    for number in numbers:
        if number not in sections:
            break  # a gap: what is behind it belongs nowhere
        encoded, value = sections[number]
        if encoded:
            if number <= 0 and value.count(b"'") >= 2:
                # "charset'language'text", both of which may be empty (RFC 2231 §4).
                name, _, value = value.split(b"'", 2)
                charset = name.decode("ascii", "replace")
            value = unquote_to_bytes(value)
        joined.append(value)
    return _extended(b"".join(joined), charset)


@dataclass(frozen=True, slots=True)
class ParameterValue:
    """A value and its parameters: ``attachment; filename=a.txt``."""

    value: str
    """In lower case, comments removed."""

    raw_params: RawParams
    """As they stand, in order, duplicates and ``name*0*`` included: what BODYSTRUCTURE shows."""

    @property
    def params(self) -> tuple[tuple[str, str], ...]:
        """For people: see `decode_params`."""
        return decode_params(self.raw_params)

    def get(self, name: str) -> str | None:
        """The parameter of that name (any case), decoded; ``None`` if there is none."""
        name = name.lower()
        for key, value in decode_params(self.raw_params):
            if key == name:
                return value
        return None


@final
@dataclass(frozen=True, slots=True)
class ContentType(ParameterValue):
    """A media type (RFC 2045 §5)."""

    type: str
    """``text``, ``multipart`` ...; lower case."""

    subtype: str
    """``plain``, ``mixed`` ...; lower case."""

    @property
    def charset(self) -> str | None:
        """The charset parameter as it was written, or ``None``."""
        return self.get("charset")


#: "plain US-ASCII text" is the default (RFC 2045 §5.2); inside a digest a message (RFC 2046 §5.1.5).
TEXT_PLAIN: Final = ContentType("text/plain", (), "text", "plain")
MESSAGE_RFC822: Final = ContentType("message/rfc822", (), "message", "rfc822")


@lru_cache(maxsize=512)
def _content_type(value: bytes) -> ContentType | None:
    return _read_content_type(value)


def _read_content_type(value: bytes) -> ContentType | None:
    value = strip_comments(value)
    match = _TYPE.match(value)
    if match is None:
        return None
    main = match[1].decode("latin-1").lower()
    sub = match[2].decode("latin-1").lower()
    return ContentType(f"{main}/{sub}", parse_params(value), main, sub)


def parse_content_type(value: bytes) -> ContentType | None:
    """
    Read a Content-Type; ``None`` if it has no type and subtype.

    >>> t = parse_content_type(b'Text/HTML (x); charset="utf-8"; CHARSET=dup')
    >>> t.value, t.charset, t.raw_params
    ('text/html', 'utf-8', ((b'charset', b'utf-8'), (b'CHARSET', b'dup')))
    """
    # Most parts of most mail share a handful of short values.
    return _content_type(value) if len(value) <= 80 else _read_content_type(value)


def parse_disposition(value: bytes) -> ParameterValue:
    """
    Read a Content-Disposition (RFC 2183).

    >>> parse_disposition(b"attachment; filename*=utf-8''%e2%82%ac.txt").get("filename")
    '€.txt'
    """
    value = strip_comments(value)
    match = _VALUE.match(value)
    assert match is not None  # every part of the pattern may be empty
    return ParameterValue(match[1].decode("latin-1").lower(), parse_params(value))


_TOKEN_TEXT: Final = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")
_PRINTABLE: Final = re.compile(r"[ -~]*")
#: Of one `attribute=value`: the space in front and the semicolon behind make it 78.
_LONGEST_PIECE: Final = 76


def format_params(params: Iterable[tuple[str, str]]) -> list[str]:
    """
    Parameters as they stand in a field, one string for each ``attribute=value``, none longer
    than 76 octets unless the attribute itself is (RFC 2231).

    A token stays bare, printable ASCII is quoted, anything else, CR and LF included, is
    percent-encoded UTF-8; what is long is continued.

    >>> format_params([("charset", "utf-8"), ("name", "a b"), ("filename", "\\u20ac")])
    ['charset=utf-8', 'name="a b"', "filename*=utf-8''%E2%82%AC"]

    Raises:
        ValueError: An attribute is not a token, or holds one of ``*'%``.
    """
    out: list[str] = []
    for name, value in params:
        if not _ATTRIBUTE_CHAR.fullmatch(name):
            raise ValueError(f"not a parameter name: {name!r}")
        plain = _plainly(name, value)
        if plain is not None and len(plain) <= _LONGEST_PIECE:
            out.append(plain)
            continue
        pieces = [_percent(character) for character in value]
        whole = f"{name}*=utf-8''{''.join(pieces)}"
        if len(whole) <= _LONGEST_PIECE:
            out.append(whole)
            continue
        piece = f"{name}*0*=utf-8''"
        number = 0
        filled = False
        for encoded in pieces:
            if filled and len(piece) + len(encoded) > _LONGEST_PIECE:
                out.append(piece)
                number += 1
                piece = f"{name}*{number}*="
            piece += encoded
            filled = True
        out.append(piece)
    return out


def _plainly(name: str, value: str) -> str | None:
    """As a token or a quoted string; ``None`` where neither can carry the value."""
    if _TOKEN_TEXT.fullmatch(value):
        return f"{name}={value}"
    if _PRINTABLE.fullmatch(value) is None or "=?" in value:
        return None
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


def _percent(character: str) -> str:
    if _ATTRIBUTE_CHAR.fullmatch(character):
        return character
    return "".join(f"%{o:02X}" for o in character.encode("utf-8", "replace"))
