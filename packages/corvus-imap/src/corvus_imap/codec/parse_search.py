"""Search keys (RFC 9051 §6.4.4, §9 search-key), for SEARCH, SORT and THREAD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.errors import ParseError
from corvus_imap.types.fetch import MAX_NUMBER64
from corvus_imap.types.flags import ANSWERED, DELETED, DRAFT, FLAGGED, RECENT, SEEN
from corvus_imap.types.search import (
    All,
    And,
    DateField,
    DateKey,
    HasFlag,
    HeaderKey,
    LacksFlag,
    Larger,
    Not,
    Or,
    Relation,
    SearchKey,
    SearchReturn,
    Sequence,
    Smaller,
    TextField,
    TextKey,
    Uid,
)

#: Charsets that a search text may come in, by the names clients use; all map to Python's codec.
#: "Servers MUST support US-ASCII and UTF-8 charsets" (RFC 9051 §6.4.4); the others are old clients'.
CHARSETS: Final = {
    "US-ASCII": "ascii",
    "ASCII": "ascii",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "ISO-8859-1": "latin-1",
    "ISO-8859-15": "iso-8859-15",
    "KOI8-R": "koi8-r",
    "WINDOWS-1252": "cp1252",
}
#: What BADCHARSET names (RFC 9051 §7.1).
BAD_CHARSET: Final = b"BADCHARSET (US-ASCII UTF-8)"

# Texts come in the command's charset; `parse_keys` sets it for the length of one search.
_Parser = Callable[[Cursor, str], SearchKey]


def _text(cursor: Cursor, codec: str) -> str:
    octets = cursor.astring("a search text")
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        raise ParseError("the search text is not in the charset it claims") from None


def _flag(flag: HasFlag | LacksFlag | And | All) -> _Parser:
    return lambda cursor, codec: flag


def _keyword(kind: type[HasFlag] | type[LacksFlag]) -> _Parser:
    def parse(cursor: Cursor, codec: str) -> SearchKey:
        #   "KEYWORD" SP flag-keyword: an atom, though clients ask for \Seen this way as well
        cursor.sp()
        return kind(cursor.flag())

    return parse


def _in_field(field: TextField) -> _Parser:
    def parse(cursor: Cursor, codec: str) -> SearchKey:
        cursor.sp()
        return TextKey(field, _text(cursor, codec))

    return parse


def _header(cursor: Cursor, codec: str) -> SearchKey:
    #   "HEADER" SP header-fld-name SP astring
    cursor.sp()
    name = cursor.text("a header field")
    cursor.sp()
    return HeaderKey(name, _text(cursor, codec))


def _date(field: DateField, relation: Relation) -> _Parser:
    def parse(cursor: Cursor, codec: str) -> SearchKey:
        cursor.sp()
        return DateKey(field, relation, cursor.date())

    return parse


def _size(kind: type[Larger] | type[Smaller]) -> _Parser:
    def parse(cursor: Cursor, codec: str) -> SearchKey:
        cursor.sp()
        return kind(cursor.number(MAX_NUMBER64))

    return parse


def _uid(cursor: Cursor, codec: str) -> SearchKey:
    cursor.sp()
    return Uid(cursor.messages())


def _not(cursor: Cursor, codec: str) -> SearchKey:
    cursor.sp()
    cursor.nest()
    key = Not(_key(cursor, codec))
    cursor.unnest()
    return key


def _or(cursor: Cursor, codec: str) -> SearchKey:
    cursor.nest()
    cursor.sp()
    one = _key(cursor, codec)
    cursor.sp()
    key = Or(one, _key(cursor, codec))
    cursor.unnest()
    return key


_KEYS: Final[dict[bytes, _Parser]] = {
    b"ALL": _flag(All()),
    b"ANSWERED": _flag(HasFlag(ANSWERED)),
    b"BCC": _in_field(TextField.BCC),
    b"BEFORE": _date(DateField.INTERNAL, Relation.BEFORE),
    b"BODY": _in_field(TextField.BODY),
    b"CC": _in_field(TextField.CC),
    b"DELETED": _flag(HasFlag(DELETED)),
    b"DRAFT": _flag(HasFlag(DRAFT)),
    b"FLAGGED": _flag(HasFlag(FLAGGED)),
    b"FROM": _in_field(TextField.FROM),
    b"HEADER": _header,
    b"KEYWORD": _keyword(HasFlag),
    b"LARGER": _size(Larger),
    # "This is functionally equivalent to "(RECENT UNSEEN)"" (RFC 3501 §6.4.4).
    b"NEW": _flag(And((HasFlag(RECENT), LacksFlag(SEEN)))),
    b"NOT": _not,
    # "functionally equivalent to "NOT RECENT" (as opposed to "NOT NEW")" (RFC 3501 §6.4.4).
    b"OLD": _flag(LacksFlag(RECENT)),
    b"ON": _date(DateField.INTERNAL, Relation.ON),
    b"OR": _or,
    b"RECENT": _flag(HasFlag(RECENT)),
    b"SEEN": _flag(HasFlag(SEEN)),
    b"SENTBEFORE": _date(DateField.SENT, Relation.BEFORE),
    b"SENTON": _date(DateField.SENT, Relation.ON),
    b"SENTSINCE": _date(DateField.SENT, Relation.SINCE),
    b"SINCE": _date(DateField.INTERNAL, Relation.SINCE),
    b"SMALLER": _size(Smaller),
    b"SUBJECT": _in_field(TextField.SUBJECT),
    b"TEXT": _in_field(TextField.TEXT),
    b"TO": _in_field(TextField.TO),
    b"UID": _uid,
    b"UNANSWERED": _flag(LacksFlag(ANSWERED)),
    b"UNDELETED": _flag(LacksFlag(DELETED)),
    b"UNDRAFT": _flag(LacksFlag(DRAFT)),
    b"UNFLAGGED": _flag(LacksFlag(FLAGGED)),
    b"UNKEYWORD": _keyword(LacksFlag),
    b"UNSEEN": _flag(LacksFlag(SEEN)),
}

_SET_BEGINS: Final = frozenset(b"0123456789*$")


def _key(cursor: Cursor, codec: str) -> SearchKey:
    # All keys of a command are counted, not those of one list: each may cost a look at every message.
    cursor.keys += 1
    if cursor.keys > cursor.grammar.limits.search_keys:
        raise ParseError("too many search keys", code=b"LIMIT")
    data, pos = cursor.data, cursor.pos
    first = data[pos] if pos < len(data) else 0
    if first in _SET_BEGINS:
        return Sequence(cursor.messages())
    if first == 0x28:
        cursor.pos += 1
        cursor.nest()
        key = _keys_until(cursor, codec)
        cursor.unnest()
        return key
    word = cursor.word("a search key")
    parse = _KEYS.get(word)
    if parse is not None:
        return parse(cursor, codec)
    extension = cursor.grammar.search_keys.get(word)
    if extension is None:
        raise ParseError("no such search key")
    return extension(cursor)


def _keys_until(cursor: Cursor, codec: str) -> SearchKey:
    """Keys up to the closing parenthesis."""
    keys = [_key(cursor, codec)]
    while cursor.list_rest():
        keys.append(_key(cursor, codec))
    return And(tuple(keys))


def parse_keys(cursor: Cursor, charset: str) -> SearchKey:
    """``search-key *(SP search-key)`` to the end of the command; several are `And`."""
    codec = CHARSETS[charset.upper()]
    keys = [_key(cursor, codec)]
    while not cursor.at_end:
        cursor.sp()
        keys.append(_key(cursor, codec))
    return keys[0] if len(keys) == 1 else And(tuple(keys))


def parse_charset(cursor: Cursor) -> str:
    """
    ``charset`` and the space behind it.

    Raises:
        ParseError: With BADCHARSET where the charset is not known.
    """
    #   charset = atom / quoted
    charset = cursor.text("a charset").upper()
    if charset not in CHARSETS:
        raise ParseError("the charset is not known here", code=BAD_CHARSET)
    cursor.sp()
    return charset


def parse_return_options(cursor: Cursor) -> frozenset[SearchReturn] | None:
    """``RETURN (...)`` and the space behind it, if it comes next."""
    known = cursor.grammar.search_returns
    if not known or cursor.data[cursor.pos : cursor.pos + 8].upper() != b"RETURN (":
        return None
    cursor.pos += 8
    options: set[SearchReturn] = set()
    if cursor.skip(b")"):
        cursor.sp()
        return frozenset()
    while True:
        option = known.get(cursor.word("a return option"))
        if option is None:
            raise ParseError("no such return option")
        options.add(option)
        if not cursor.list_rest():
            cursor.sp()
            return frozenset(options)


def parse_search(
    cursor: Cursor,
) -> tuple[SearchKey, frozenset[SearchReturn] | None, str | None]:
    """Everything behind ``SEARCH ``: the key, the return options, the charset."""
    returns = parse_return_options(cursor)
    charset = None
    if cursor.data[cursor.pos : cursor.pos + 8].upper() == b"CHARSET ":
        cursor.pos += 8
        charset = parse_charset(cursor)
    # Without CHARSET rev1 means US-ASCII; rev2 and common practice mean UTF-8, which holds it.
    return parse_keys(cursor, charset or "UTF-8"), returns, charset
