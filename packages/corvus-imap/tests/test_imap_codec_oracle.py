"""The command decoder against the imap-codec wheel: same commands, same meaning.

What the two differ in, and why, is in `DIFFERENCES`; nothing else is allowed to differ.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_imap import (
    ALL_CAPABILITIES,
    BodySection,
    FetchAttribute,
    Flag,
    Limits,
    SearchReturn,
    SectionText,
    SequenceSet,
    commands,
)
from corvus_imap.codec.grammar import Grammar
from corvus_imap.codec.parse_command import parse_command
from corvus_imap.errors import ParseError
from corvus_imap.types import search as s
from corvus_imap.types.sequence import STAR

imap_codec = pytest.importorskip("imap_codec", reason="the imap-codec wheel is an oracle")

pytestmark = [pytest.mark.interop, pytest.mark.property]

GRAMMAR = Grammar(frozenset(ALL_CAPABILITIES), Limits(), "/")

#: Commands that only one of the two takes, with the reason.
DIFFERENCES = {
    b"SEARCH UID $": "imap-codec 0.1 has no SEARCHRES",
    b"FETCH 1 (FLAGS) (CHANGEDSINCE 5)": "imap-codec 0.1 is built without CONDSTORE",
    b"FETCH 01 FLAGS": "nz-number begins with 1 to 9 (RFC 9051 §9); imap-codec does not mind",
    b"SEARCH CHARSET UTF-7 ALL": "we know which charsets we have",
    b'LIST "" (a b)': "imap-codec 0.1 has no LIST-EXTENDED",
    b"SELECT R&D": "imap-codec leaves modified UTF-7 to its caller; a name has one spelling here",
    b"SEARCH KEYWORD \\Seen": "clients ask so; imap-codec wants an atom",
    b"SEARCH SINCE 31-Feb-1994": "no such day: we say so, imap-codec as well",
    b"IDLE ": "a space at the end: both refuse",
}


def ours(line: bytes) -> Any:
    try:
        return parse_command(b"a " + line, GRAMMAR)[1]
    except ParseError:
        return None


def theirs(line: bytes) -> Any:
    try:
        return imap_codec.CommandCodec.decode(b"a " + line + b"\r\n")[1].as_dict()["body"]
    except (imap_codec.DecodeFailed, imap_codec.DecodeIncomplete, imap_codec.DecodeLiteralFound):
        return None


# One value for both: ours translated into what imap-codec shows.


def _number(value: int) -> Any:
    return "Asterisk" if value == STAR else {"Value": value}


def _sequence(messages: Any) -> Any:
    assert isinstance(messages, SequenceSet)
    return [
        {"Single": _number(low)} if low == high else {"Range": (_number(low), _number(high))}
        for low, high in messages.ranges
    ]


def _ordered(ranges: Any) -> Any:
    """imap-codec keeps "4:2" as it stands; both mean 2:4 (RFC 9051 §9)."""
    out = []
    for item in ranges:
        if "Range" in item:
            low, high = item["Range"]
            key = [STAR if n == "Asterisk" else n["Value"] for n in (low, high)]
            low, high = (low, high) if key[0] <= key[1] else (high, low)
            item = {"Single": low} if low == high else {"Range": (low, high)}
        out.append(item)
    return out


def _text(value: Any) -> str:
    """An astring of theirs."""
    if "Atom" in value:
        return str(value["Atom"])
    inner = value["String"]
    return str(inner["Quoted"]) if "Quoted" in inner else bytes(inner["Literal"]["data"]).decode()


_FLAGS = {"Seen", "Answered", "Flagged", "Deleted", "Draft"}


def _flag(value: Any) -> Flag:
    if isinstance(value, str):
        return Flag("\\" + value)
    return Flag(value["Keyword"]) if "Keyword" in value else Flag("\\" + value["Extension"])


_HAS = {"Answered", "Deleted", "Draft", "Flagged", "Recent", "Seen"}


def _key(value: Any) -> s.SearchKey:
    if isinstance(value, str):
        if value == "All":
            return s.All()
        if value in _HAS:
            return s.HasFlag(Flag("\\" + value))
        if value == "Old":
            return s.LacksFlag(Flag("\\Recent"))
        if value == "New":
            return s.And((s.HasFlag(Flag("\\Recent")), s.LacksFlag(Flag("\\Seen"))))
        assert value.startswith("Un")
        return s.LacksFlag(Flag("\\" + value[2:].capitalize()))
    (name, inner), *_ = value.items()
    match name:
        case "And":
            return s.And(tuple([_key(key) for key in inner]))
        case "Not":
            return s.Not(_key(inner))
        case "Or":
            return s.Or(_key(inner[0]), _key(inner[1]))
        case "SequenceSet" | "Uid":
            messages = _sequence_of(inner)
            return s.Uid(messages) if name == "Uid" else s.Sequence(messages)
        case "Larger":
            return s.Larger(inner)
        case "Smaller":
            return s.Smaller(inner)
        case "Keyword":
            return s.HasFlag(Flag(inner))
        case "Unkeyword":
            return s.LacksFlag(Flag(inner))
        case "Header":
            return s.HeaderKey(_text(inner[0]), _text(inner[1]))
        case "Before" | "On" | "Since":
            day = date.fromisoformat(inner)
            return s.DateKey(s.DateField.INTERNAL, s.Relation(name.upper()), day)
        case "SentBefore" | "SentOn" | "SentSince":
            day = date.fromisoformat(inner)
            return s.DateKey(s.DateField.SENT, s.Relation(name[4:].upper()), day)
        case _:
            return s.TextKey(s.TextField(name.upper()), _text(inner))


def _sequence_of(ranges: Any) -> SequenceSet:
    found: list[tuple[int, int]] = []
    for item in _ordered(ranges):
        low, high = item.get("Range", (item.get("Single"), item.get("Single")))
        found.append((_place(low), _place(high)))
    return SequenceSet(tuple(found))


def _place(number: Any) -> int:
    return STAR if number == "Asterisk" else int(number["Value"])


numbers = st.sampled_from([b"1", b"2", b"17", b"4294967295", b"*", b"0", b"4294967296", b"x"])
ranges = numbers | st.tuples(numbers, numbers).map(b":".join)
sets = st.lists(ranges, min_size=1, max_size=3).map(b",".join)
strings = st.sampled_from([b"a", b'"a b"', b'"q\\"q"', b'""', b"NIL", b"x]y", b'"\\x"', b"(", b""])
flags = st.sampled_from(
    [b"\\Seen", b"\\deleted", b"\\Flagged", b"work", b"$Junk", b"a(b", b"\\Xtra"]
)
plain = st.sampled_from(
    [b"ALL", b"answered", b"DELETED", b"NEW", b"OLD", b"RECENT", b"SEEN", b"UNSEEN", b"UNDRAFT",
     b"UNFLAGGED", b"BOGUS", b"DRAFT"]
)  # fmt: skip
arguments = (
    st.tuples(
        st.sampled_from([b"BCC", b"BODY", b"Cc", b"FROM", b"SUBJECT", b"TEXT", b"TO"]), strings
    )
    | st.tuples(st.sampled_from([b"SINCE", b"BEFORE", b"SENTON"]),
                st.sampled_from([b"1-Feb-1994", b'"17-dec-2001"', b"32-Jan-2000", b"1-Foo-2000"]))
    | st.tuples(st.sampled_from([b"LARGER", b"SMALLER"]), st.sampled_from([b"0", b"5", b"-1"]))
    | st.tuples(st.sampled_from([b"KEYWORD", b"UNKEYWORD"]), st.sampled_from([b"work", b"$Junk"]))
    | st.tuples(st.just(b"UID"), sets)
    | st.tuples(st.just(b"HEADER"), strings, strings)
).map(b" ".join)  # fmt: skip
keys = st.recursive(
    plain | arguments | sets,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda found: b"(" + b" ".join(found) + b")")
        | inner.map(lambda key: b"NOT " + key)
        | st.tuples(inner, inner).map(lambda pair: b"OR " + b" ".join(pair))
    ),
    max_leaves=5,
)


@given(st.lists(keys, min_size=1, max_size=3).map(b" ".join), st.booleans())
def test_a_search_means_the_same(key: bytes, uid: bool) -> None:
    line = (b"UID " if uid else b"") + b"SEARCH " + key
    mine, other = ours(line), theirs(line)
    if other is None:
        assert mine is None, line
        return
    assert isinstance(mine, commands.Search), line
    criteria = [_key(item) for item in other["Search"]["criteria"]]
    expected = criteria[0] if len(criteria) == 1 else s.And(tuple(criteria))
    assert mine == commands.Search(expected, None, uid, None)


@given(
    sets,
    st.lists(flags, max_size=3),
    st.sampled_from([b"FLAGS", b"+FLAGS", b"-flags.silent", b"X"]),
)
def test_a_store_means_the_same(messages: bytes, given_flags: list[bytes], item: bytes) -> None:
    line = b"STORE " + messages + b" " + item + b" (" + b" ".join(given_flags) + b")"
    mine, other = ours(line), theirs(line)
    if other is None:
        assert mine is None, line
        return
    assert isinstance(mine, commands.Store), line
    store = other["Store"]
    assert _sequence(mine.messages) == _ordered(store["sequence_set"])
    assert mine.action.name.title() == store["kind"]
    assert mine.silent == (store["response"] == "Silent")
    assert [flag.folded for flag in mine.flags] == [_flag(f).folded for f in store["flags"]]


items = st.sampled_from(
    [b"FLAGS", b"uid", b"ENVELOPE", b"RFC822.SIZE", b"INTERNALDATE", b"BODY", b"BODYSTRUCTURE",
     b"BODY[]", b"BODY.PEEK[HEADER]", b"BODY[1.2]<0.5>", b"BODY[1.MIME]", b"BODY[MIME]", b"RFC822",
     b"BODY[HEADER.FIELDS (From To)]", b"BODY[1.HEADER.FIELDS.NOT (X)]", b"BODY[]<0.0>", b"BOGUS",
     b"BODY[0]", b"BODY[1.]", b"BODY[TEXT]", b"RFC822.TEXT", b"BODY[HEADER.FIELDS ()]"]
)  # fmt: skip


@given(sets, st.lists(items, min_size=1, max_size=3) | st.sampled_from([b"ALL", b"FAST", b"FULL"]))
def test_a_fetch_means_the_same(messages: bytes, wanted: Any) -> None:
    macro = isinstance(wanted, bytes)
    line = b"FETCH " + messages + b" " + (wanted if macro else b"(" + b" ".join(wanted) + b")")
    mine, other = ours(line), theirs(line)
    if other is None:
        assert mine is None, line
        return
    assert isinstance(mine, commands.Fetch), line
    assert _sequence(mine.messages) == _ordered(other["Fetch"]["sequence_set"])
    if macro:
        return
    names = other["Fetch"]["macro_or_item_names"]["MessageDataItemNames"]
    assert len(names) == len(mine.items)
    for item, name in zip(mine.items, names, strict=True):
        if isinstance(name, str):
            assert isinstance(item, FetchAttribute)
            assert item.name.replace("_", "").upper() == name.upper()
            continue
        body = name["BodyExt"]
        assert isinstance(item, BodySection)
        assert item.peek == body["peek"]
        partial = None if item.partial is None else (item.partial.offset, item.partial.length)
        assert partial == body["partial"]
        section = body["section"]
        if section is None:
            assert item.section.text is None
        else:
            (kind, inner), *_ = section.items()
            part = inner[0] if isinstance(inner, tuple) else inner
            assert list(item.section.part) == (part or [])
            text = item.section.text
            told = "Part" if text is None else text.name.replace("_", "")
            assert told.upper() == kind.upper()
            if text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
                assert list(item.section.fields) == [_text(field) for field in inner[1]]


@given(
    st.sampled_from(
        [b"SELECT", b"EXAMINE", b"CREATE", b"DELETE", b"SUBSCRIBE", b"UNSUBSCRIBE", b"LOGIN x",
         b"RENAME x", b"COPY 1", b"UID MOVE 1:*", b'LIST ""', b'LSUB ""', b"GETQUOTAROOT"]
    ),
    st.sampled_from([b" inbox", b" x", b' "a b"', b' ""', b" x]", b" (", b" *", b' "\\""', b" a b", b""]),
)  # fmt: skip
def test_commands_with_names_are_taken_or_refused_alike(verb: bytes, name: bytes) -> None:
    if name == b" a b" and verb.startswith(b"LIST"):
        return
    assert (ours(verb + name) is None) == (theirs(verb + name) is None), verb + name


@pytest.mark.parametrize("line", DIFFERENCES)
def test_each_difference_is_still_one(line: bytes) -> None:
    reason = DIFFERENCES[line]
    taken = (ours(line) is not None, theirs(line) is not None)
    if "as well" in reason or "both" in reason:
        assert taken == (False, False)
    else:
        assert taken[0] != taken[1]


def test_search_return_is_esearch_and_theirs_is_older() -> None:
    mine = ours(b"SEARCH RETURN (MIN COUNT) ALL")
    assert mine.returns == {SearchReturn.MIN, SearchReturn.COUNT}
    assert theirs(b"SEARCH RETURN (MIN COUNT) ALL") is None
