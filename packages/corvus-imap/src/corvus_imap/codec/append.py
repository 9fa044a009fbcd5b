"""APPEND up to a message: what stands in front of each literal (RFC 9051 §6.3.12, RFC 3502, RFC 4466).

The message itself is never here: it streams.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.codec.grammar import Grammar
from corvus_imap.errors import ParseError
from corvus_imap.types.atoms import TAG
from corvus_imap.types.flags import Flag

_VERB: Final = re.compile(rb"[^ \r\n]{1,1024} APPEND ", re.IGNORECASE)


@final
@dataclass(frozen=True, slots=True)
class Offer:
    """What is said of a message before it comes."""

    flags: tuple[Flag, ...] = ()
    date: datetime | None = None
    utf8: bool = False


def append_arguments(command: bytearray) -> int | None:
    """Where the arguments begin, if *command* is an APPEND; else ``None``."""
    found = _VERB.match(command)
    return found.end() if found else None


def parse_offer(cursor: Cursor, *, binary: bool) -> Offer:
    """
    ``[SP flag-list] [SP date-time] SP`` up to a literal head, which is where the cursor's text ends.

    Raises:
        ParseError: Something else.
    """
    #   append-message = append-opts SP append-data                       ; RFC 4466 §6
    #   append-opts    = [SP flag-list] [SP date-time] *(SP append-ext)
    cursor.sp()
    flags: tuple[Flag, ...] = ()
    date = None
    if cursor.at(b"("):
        flags = cursor.flag_list()
        cursor.sp()
    if cursor.at(b'"'):
        date = cursor.date_time()
        cursor.sp()
    #   append-data =/ "UTF8" SP "(" literal8 ")"                         ; RFC 6855 §4
    utf8 = cursor.data[cursor.pos :].upper() == b"UTF8 ("
    if utf8:
        if not cursor.grammar.offers("UTF8=ACCEPT") or not binary:
            raise ParseError("UTF8 needs a literal8 and UTF8=ACCEPT")
        cursor.pos += 6
    elif binary and not (cursor.grammar.offers("BINARY") or cursor.grammar.offers("UTF8=ACCEPT")):
        raise ParseError("a literal8 needs BINARY")
    cursor.end()
    return Offer(flags, date, utf8)


def parse_append(
    prefix: bytes, grammar: Grammar, *, utf8: bool, binary: bool
) -> tuple[bytes, str, Offer]:
    """
    The tag, the mailbox and the first offer of an APPEND.

    Args:
        prefix: The command up to the head of its first message.

    Raises:
        ParseError: With the tag, if it could be read.
    """
    found = TAG.match(prefix)
    if (
        not found
        or found.end() > grammar.limits.tag
        or prefix[found.end() : found.end() + 1] != b" "
    ):
        raise ParseError("a tag expected")
    cursor = Cursor(prefix, grammar, pos=found.end() + len(b" APPEND "), utf8=utf8)
    try:
        mailbox = cursor.mailbox()
        return found[0], mailbox, parse_offer(cursor, binary=binary)
    except ParseError as error:
        error.tag = found[0]
        raise
