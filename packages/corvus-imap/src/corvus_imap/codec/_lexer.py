"""A cursor over one whole command: the tokens of RFC 9051 §9, each one compiled regex.

A command reaches the cursor complete, literals in place (``{5}\\r\\nhello``), without its last CRLF.
Every method takes its token and moves on, or raises `ParseError` with a sentence for the client;
no sentence holds an octet of the peer.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from corvus_imap.errors import ParseError
from corvus_imap.types.atoms import ASTRING_CHARS, ATOM_CHARS
from corvus_imap.types.flags import RECENT, Flag
from corvus_imap.types.mailbox import decode_mailbox
from corvus_imap.types.sequence import SAVED_RESULT, SEQUENCE_SET, MessageSet, SequenceSet

if TYPE_CHECKING:
    from corvus_imap.codec.grammar import Grammar

_ATOM: Final = re.compile(rb"[%b]+" % ATOM_CHARS)
_ASTRING: Final = re.compile(rb"[%b]+" % ASTRING_CHARS)
#   quoted = DQUOTE *QUOTED-CHAR DQUOTE                              ; RFC 9051 §9
_QUOTED: Final = re.compile(rb'"([^"\\\r\n\x00]*(?:\\["\\][^"\\\r\n\x00]*)*)"')
_ESCAPE: Final = re.compile(rb"\\(.)")
_EIGHT_BIT: Final = re.compile(rb"[\x80-\xff]")
#   literal = "{" number64 ["+"] "}" CRLF *CHAR8 ; literal8 = "~{" number64 "}" CRLF *OCTET
_LITERAL: Final = re.compile(rb"(~?)\{([0-9]{1,19})\+?\}\r\n")
_NUMBER: Final = re.compile(rb"[0-9]{1,19}")
_WORD: Final = re.compile(rb"[A-Za-z0-9.\-=]+")
_FLAG: Final = re.compile(rb"\\?[%b]+" % ATOM_CHARS)
#   flag-list = "(" [flag *(SP flag)] ")"
_FLAG_LIST: Final = re.compile(rb"\((\\?[%b]+(?: \\?[%b]+)*)?\)" % (ATOM_CHARS, ATOM_CHARS))
#   list-mailbox = 1*list-char / string ; list-char = ATOM-CHAR / list-wildcards / resp-specials
_PATTERN: Final = re.compile(rb"[%b%%*]+" % ASTRING_CHARS)
_DATE: Final = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_DATE_TIME: Final = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})'
    rb' ([+-])([0-9]{2})([0-9]{2})"'
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(b" "), start=1
    )
}


class Cursor:
    """Where we are in one command."""

    __slots__ = ("data", "depth", "grammar", "keys", "pos", "utf8")

    def __init__(self, data: bytes, grammar: Grammar, *, pos: int = 0, utf8: bool = False) -> None:
        self.data = data
        self.grammar = grammar
        self.pos = pos
        self.utf8 = utf8
        """UTF-8 was enabled: quoted strings and mailbox names hold it (RFC 6855, RFC 9051)."""
        self.depth = 0
        self.keys = 0
        """Search keys so far, however they are nested."""

    # Delimiters.

    def at(self, octets: bytes) -> bool:
        """Whether *octets* come next; they stay."""
        return self.data.startswith(octets, self.pos)

    def skip(self, octets: bytes) -> bool:
        """Take *octets* if they come next."""
        if self.data.startswith(octets, self.pos):
            self.pos += len(octets)
            return True
        return False

    def need(self, octets: bytes, what: str) -> None:
        """Take *octets* or fail."""
        if not self.data.startswith(octets, self.pos):
            raise ParseError(f"{what} expected")
        self.pos += len(octets)

    def sp(self) -> None:
        """Take one space: "SP refers to exactly one space" (RFC 9051 §9, rule 2)."""
        if self.data[self.pos : self.pos + 1] != b" ":
            raise ParseError("a space expected")
        self.pos += 1

    def spaces(self) -> None:
        """Take one space or more, as a client does where examples of the RFCs have two."""
        self.sp()
        while self.skip(b" "):
            pass

    def end(self) -> None:
        """Fail unless the command ends here."""
        if self.pos != len(self.data):
            raise ParseError("the command should end here")

    @property
    def at_end(self) -> bool:
        return self.pos >= len(self.data)

    def list_rest(self) -> bool:
        """Inside parentheses, behind an item: true after a space, false after the closing one."""
        following = self.data[self.pos : self.pos + 1]
        if following == b" ":
            self.pos += 1
            return True
        if following == b")":
            self.pos += 1
            return False
        raise ParseError("a space or a closing parenthesis expected")

    # Atoms, numbers, strings.

    def _take(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        found = pattern.match(self.data, self.pos)
        if not found:
            raise ParseError(f"{what} expected")
        self.pos = found.end()
        return found[0]

    def atom(self, what: str = "an atom") -> bytes:
        return self._take(_ATOM, what)

    def word(self, what: str = "a keyword") -> bytes:
        """A keyword in capitals: "alphabetic characters are case insensitive" (RFC 9051 §9)."""
        return self._take(_WORD, what).upper()

    def number(self, most: int = 0xFFFFFFFF, least: int = 0, what: str = "a number") -> int:
        value = int(self._take(_NUMBER, what))
        if not least <= value <= most:
            raise ParseError(f"{what} out of range")
        return value

    def modseq(self, least: int = 0) -> int:
        """A mod-sequence: 63 bits (RFC 7162 §7)."""
        return self.number((1 << 63) - 1, least, "a mod-sequence")

    def literal(self, *, octets_too: bool = False) -> bytes | None:
        """The literal that comes next, or ``None`` if none does."""
        found = _LITERAL.match(self.data, self.pos)
        if not found:
            return None
        start = found.end()
        stop = start + int(found[2])
        if stop > len(self.data) or (found[1] and not octets_too):
            raise ParseError("a literal out of place")
        self.pos = stop
        content = self.data[start:stop]
        # "The ASCII NUL character, %x00, MUST NOT be used anywhere" but in literal8 (RFC 9051 §9).
        if not found[1] and b"\0" in content:
            raise ParseError("NUL in a literal")
        return content

    def string(self, what: str = "a string") -> bytes:
        """``quoted / literal``."""
        if self.data[self.pos : self.pos + 1] == b'"':
            found = _QUOTED.match(self.data, self.pos)
            if not found:
                raise ParseError("a quoted string is not well-formed")
            self.pos = found.end()
            content = found[1]
            if b"\\" in content:
                content = _ESCAPE.sub(rb"\1", content)
            if _EIGHT_BIT.search(content):
                self._check_utf8(content)
            return content
        content_or_none = self.literal()
        if content_or_none is None:
            raise ParseError(f"{what} expected")
        return content_or_none

    def _check_utf8(self, content: bytes) -> None:
        # RFC 6855 §3 widens quoted strings for those who have enabled UTF8=ACCEPT; before that they
        # have 7 bits.
        if self.grammar.lenient:
            return
        if not self.utf8:
            raise ParseError("8-bit octets in a quoted string; use a literal or ENABLE UTF8=ACCEPT")
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            raise ParseError("a quoted string is not UTF-8") from None

    def astring(self, what: str = "a string") -> bytes:
        """``1*ASTRING-CHAR / string``."""
        found = _ASTRING.match(self.data, self.pos)
        if found:
            self.pos = found.end()
            return found[0]
        return self.string(what)

    def nstring(self, what: str = "a string or NIL") -> bytes | None:
        """``string / nil``."""
        if self.data[self.pos : self.pos + 3].upper() == b"NIL":
            self.pos += 3
            return None
        return self.string(what)

    def text(self, what: str = "a string") -> str:
        """An astring that is text: UTF-8 is read wherever octets beyond ASCII are legal."""
        try:
            return self.astring(what).decode("utf-8")
        except UnicodeDecodeError:
            raise ParseError(f"{what} is not UTF-8") from None

    # The nouns of the grammar.

    def mailbox(self) -> str:
        """A mailbox name, decoded, INBOX in capitals."""
        return self._name(self.astring("a mailbox name"))

    def pattern(self) -> str:
        """``list-mailbox``: a name in which ``*`` and ``%`` are wild."""
        found = _PATTERN.match(self.data, self.pos)
        if found:
            self.pos = found.end()
            return self._name(found[0])
        return self._name(self.string("a mailbox name or pattern"))

    def _name(self, octets: bytes) -> str:
        grammar = self.grammar
        if len(octets) > grammar.limits.mailbox_name:
            raise ParseError("the mailbox name is too long", code=b"LIMIT")
        try:
            return decode_mailbox(octets, utf8=self.utf8, delimiter=grammar.delimiter)
        except ValueError:
            kind = "UTF-8" if self.utf8 else "modified UTF-7"
            raise ParseError(f"the mailbox name is not valid {kind}", code=b"CANNOT") from None

    def messages(self) -> MessageSet:
        """``sequence-set``, ``$`` included where SEARCHRES is offered."""
        found = SEQUENCE_SET.match(self.data, self.pos)
        if found:
            self.pos = found.end()
            try:
                return SequenceSet.of_matched(found[0])
            except ValueError:
                raise ParseError("a message number has 32 bits") from None
        if self.data[self.pos : self.pos + 1] == b"$" and self.grammar.saved_result:
            self.pos += 1
            return SAVED_RESULT
        raise ParseError("a set of message numbers expected")

    def known_messages(self) -> SequenceSet:
        """A sequence-set that is spelt out: no ``$``."""
        messages = self.messages()
        if not isinstance(messages, SequenceSet):
            raise ParseError("a set of numbers expected")
        return messages

    def flag(self) -> Flag:
        return Flag(self._take(_FLAG, "a flag"))

    def flag_list(self) -> tuple[Flag, ...]:
        r"""``flag-list``; ``\Recent`` is dropped, since clients send back what FETCH told them."""
        self.need(b"(", "a list of flags")
        found = _FLAG_LIST.match(self.data, self.pos - 1)
        if not found:
            raise ParseError("a flag expected")
        self.pos = found.end()
        if not found[1]:
            return ()
        return self.checked_flags([Flag(word) for word in found[1].split(b" ")])

    def checked_flags(self, flags: list[Flag]) -> tuple[Flag, ...]:
        if len(flags) > self.grammar.limits.flags:
            raise ParseError("too many flags", code=b"LIMIT")
        # "flag ... Does not include \Recent" (RFC 9051 §9): only a server can say it.
        return tuple([flag for flag in flags if flag is not RECENT])

    def date(self) -> date:
        """``date``: ``1-Feb-1994``, quoted or not."""
        found = _DATE.match(self.data, self.pos)
        if not found:
            raise ParseError("a date expected")
        self.pos = found.end()
        try:
            return date(int(found[4]), _MONTHS[found[3].upper()], int(found[2]))
        except (KeyError, ValueError):
            raise ParseError("no such date") from None

    def date_time(self) -> datetime:
        """``date-time``: ``"17-Jul-1996 02:44:25 -0700"``."""
        found = _DATE_TIME.match(self.data, self.pos)
        if not found:
            raise ParseError("a date and time expected")
        self.pos = found.end()
        offset = timedelta(hours=int(found[8]), minutes=int(found[9]))
        try:
            return datetime(
                int(found[3]),
                _MONTHS[found[2].upper()],
                int(found[1]),
                int(found[4]),
                int(found[5]),
                # A leap second is told as the one before it: datetime has none.
                min(int(found[6]), 59) if found[6] == b"60" else int(found[6]),
                tzinfo=timezone(-offset if found[7] == b"-" else offset),
            )
        except (KeyError, ValueError):
            raise ParseError("no such date and time") from None

    def nest(self) -> None:
        """One level deeper; pair with `unnest`."""
        self.depth += 1
        if self.depth > self.grammar.limits.search_depth:
            raise ParseError("nested too deeply")

    def unnest(self) -> None:
        self.depth -= 1
