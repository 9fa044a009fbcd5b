"""
Commands: one line, a keyword and what follows it (RFC 1939 §3, RFC 2449 §3).

    command = keyword *(SP param) CRLF        ; 255 octets maximum
    keyword = 3*4VCHAR
    param   = 1*VCHAR

LAST, XTND and the other commands of older memos are not here on purpose.
"""

from __future__ import annotations

import base64
import enum
import re
from collections.abc import Mapping
from typing import Final

from corvus_pop3.errors import LocalProtocolError
from corvus_pop3.languages import Text


class Verb(enum.Enum):
    """A keyword, in the order in which the RFCs introduce them."""

    # Members are singletons: hashed by identity they are found in the tables at the speed of C.
    __hash__ = object.__hash__

    QUIT = b"QUIT"  # RFC 1939 §4, §6
    STAT = b"STAT"  # RFC 1939 §5
    LIST = b"LIST"
    RETR = b"RETR"
    DELE = b"DELE"
    NOOP = b"NOOP"
    RSET = b"RSET"
    TOP = b"TOP"  # RFC 1939 §7
    UIDL = b"UIDL"
    USER = b"USER"
    PASS = b"PASS"
    APOP = b"APOP"
    CAPA = b"CAPA"  # RFC 2449 §5
    STLS = b"STLS"  # RFC 2595 §4
    AUTH = b"AUTH"  # RFC 5034 §4
    UTF8 = b"UTF8"  # RFC 6856 §2.1
    LANG = b"LANG"  # RFC 6856 §3


#: "Commands in the POP3 consist of a case-insensitive keyword" (RFC 1939 §3).
VERBS: Final[Mapping[bytes, Verb]] = {verb.value: verb for verb in Verb}

V = Verb

_NOTHING = re.compile(rb"")
_MESSAGE = re.compile(rb"([0-9]{1,19})")
_MESSAGE_OR_ALL = re.compile(rb"(?:([0-9]{1,19}))?")
# "Since the PASS command has exactly one argument, a POP3 server may treat spaces in the argument
# as part of the password, instead of as argument separators" (RFC 1939 §7).  So has USER.
_REST_OF_LINE = re.compile(rb"([^\x00\r\n]+)")

#: Verb -> what may follow the space behind it.  No pattern can match in two ways.
ARGUMENTS: Final[Mapping[Verb, re.Pattern[bytes]]] = {
    V.QUIT: _NOTHING,
    V.STAT: _NOTHING,
    V.LIST: _MESSAGE_OR_ALL,
    V.RETR: _MESSAGE,
    V.DELE: _MESSAGE,
    V.NOOP: _NOTHING,
    V.RSET: _NOTHING,
    V.TOP: re.compile(rb"([0-9]{1,19}) ([0-9]{1,19})"),
    V.UIDL: _MESSAGE_OR_ALL,
    V.USER: _REST_OF_LINE,
    V.PASS: _REST_OF_LINE,
    # "a 16-octet value which is sent in hexadecimal format, using lower-case ASCII characters"
    V.APOP: re.compile(rb"([^\x00\r\n]+) ([0-9a-f]{32})"),
    V.CAPA: _NOTHING,
    V.STLS: _NOTHING,
    V.AUTH: re.compile(rb"([A-Za-z0-9_-]{1,20})(?: ([A-Za-z0-9+/=]+))?"),
    V.UTF8: _NOTHING,
    V.LANG: re.compile(rb"(\*|[A-Za-z0-9-]{1,64})?"),
}

#: Spaces at the end of these belong to the argument; elsewhere they are a slip that harms nobody.
_SPACES_MATTER: Final = frozenset({V.USER, V.PASS})


class BadCommand(Exception):
    """A line that is no command; ``text`` says why.  Does not leave the package."""

    def __init__(self, text: Text, **filling: int) -> None:
        super().__init__(text.value)
        self.text = text
        self.filling = filling


def parse_command(line: bytes) -> tuple[Verb, tuple[bytes, ...]]:
    """
    Split *line*, which has lost its CRLF, into the verb and those of its arguments that are there.

    >>> parse_command(b"top 3 10")
    (<Verb.TOP: b'TOP'>, (b'3', b'10'))
    >>> parse_command(b"PASS two  words ")
    (<Verb.PASS: b'PASS'>, (b'two  words ',))

    Raises:
        BadCommand: No such keyword, or not its arguments.
    """
    word, _, rest = line.partition(b" ")
    verb = VERBS.get(word.upper())
    if verb is None:
        # A space in front, or behind an unknown word a password: never repeat what was said.
        raise BadCommand(Text.UNKNOWN)
    found = ARGUMENTS[verb].fullmatch(rest if verb in _SPACES_MATTER else rest.rstrip(b" "))
    if found is None:
        raise BadCommand(Text.SYNTAX)
    return verb, tuple(group for group in found.groups() if group is not None)


def format_command(verb: Verb, *arguments: bytes) -> bytes:
    """
    The line a client sends, with CRLF.

    Raises:
        LocalProtocolError: The arguments are not this verb's; a CR, LF or NUL never is.
    """
    line = b" ".join((verb.value, *arguments))
    try:
        if parse_command(line) != (verb, arguments):
            raise BadCommand(Text.SYNTAX)
    except BadCommand:
        # Without the arguments: one of them may be a password.
        raise LocalProtocolError(f"not the arguments of {verb.name}") from None
    return line + b"\r\n"


def from_base64(octets: bytes) -> bytes:
    """
    Decode strictly: the alphabet, the right padding, and nothing that has two spellings.

    Raises:
        BadCommand: It is anything else.
    """
    try:
        decoded = base64.b64decode(octets, validate=True)
    except ValueError:
        raise BadCommand(Text.NOT_BASE64) from None
    if base64.b64encode(decoded) != octets:
        raise BadCommand(Text.NOT_BASE64)
    return decoded
