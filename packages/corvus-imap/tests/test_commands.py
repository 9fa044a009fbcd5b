"""Commands at the edges of their grammar: what is refused, and with which words."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from corvus_imap import ALL_CAPABILITIES, Flag, Limits, Secret, SequenceSet, commands
from corvus_imap.codec.grammar import Grammar
from corvus_imap.codec.parse_command import parse_command, read_tag
from corvus_imap.codec.serialize_command import serialize_command
from corvus_imap.errors import ParseError
from corvus_imap.extensions.id import Id
from corvus_imap.types.listing import ListReturn, ListSelect
from corvus_imap.types.search import DateField, DateKey, HasFlag, ModSeq, Relation
from corvus_imap.types.status import StatusItem

GRAMMAR = Grammar(frozenset((*ALL_CAPABILITIES, "QUOTASET", "ESORT")), Limits(patterns=3), "/")
REV1 = Grammar(frozenset({"IMAP4rev1"}), Limits(), "/")


def parse(line: bytes, *, utf8: bool = False) -> object:
    return parse_command(b"a " + line, GRAMMAR, utf8=utf8)[1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "a command expected"),
        (b"UID", "a command expected behind UID"),
        (b"UID NOOP", "unknown command"),
        (b"NOOP x", "the command should end here"),
        (b"LOGIN", "a space expected"),
        (b"LOGIN  a b", "a user name expected"),
        (b"LOGIN a\tb", "a space expected"),
        (b"LOGIN {3}\r\n\xff\xff\xff b", "a user name is not UTF-8"),
        (b"LOGIN a ~{1}\r\nb", "the command should end here"),
        (b"LOGIN a {9}\r\nb", "a literal out of place"),
        (b"AUTHENTICATE PLAIN x", "the initial response is not base64"),
        (b"AUTHENTICATE PLAIN ", "an initial response is not empty"),
        (b"ENABLE", "a space expected"),
        (b"ENABLE ", "a capability expected"),
        (b"SELECT x (BOGUS)", "no such SELECT parameter"),
        (b"SELECT x (CONDSTORE CONDSTORE)", "the same SELECT parameter twice"),
        (b"SELECT x (QRESYNC 5)", "an opening parenthesis expected"),
        (b"SELECT x (QRESYNC (0 5))", "a number out of range"),
        (b"SELECT x (QRESYNC (1 5 1:*))", "* is not allowed in QRESYNC"),
        (b"SELECT x (QRESYNC (1 5 $))", "a set of numbers expected"),
        (b"SELECT x (QRESYNC (1 5 (1 2 3)))", "a closing parenthesis expected"),
        (b"CREATE x (USE (Sent))", "a use begins with a backslash"),
        (b"CREATE x (USE (" + b"\\All " * 9 + b"\\All))", "too many uses"),
        (b"CREATE x (USE (\\All]))", "a space or a closing parenthesis expected"),
        (b"STATUS x MESSAGES", "STATUS items expected"),
        (b"STATUS x ()", "a STATUS item expected"),
        (b"STATUS x (BOGUS)", "no such STATUS item"),
        (b'LIST (BOGUS) "" *', "no such LIST selection option"),
        (b'LIST (RECURSIVEMATCH) "" *', "RECURSIVEMATCH needs another selection option"),
        (b'LIST (RECURSIVEMATCH REMOTE) "" *', "RECURSIVEMATCH needs another selection option"),
        (b'LIST "" (a b c d)', "too many patterns"),
        (b'LIST "" * RETURN (BOGUS)', "no such LIST return option"),
        (b'LIST "" * RETURN (CHILDREN', "a space or a closing parenthesis expected"),
        (b"SEARCH", "a space expected"),
        (b"SEARCH BOGUS", "no such search key"),
        (b"SEARCH RETURN (BOGUS) ALL", "no such return option"),
        (b"SEARCH RETURN (MIN)ALL", "a space expected"),
        (b"SEARCH CHARSET BOGUS ALL", "the charset is not known here"),
        (b"SEARCH SINCE 1-Feb-94", "a date expected"),
        (b"SEARCH SINCE 30-Feb-1994", "no such date"),
        (b"SEARCH OLDER 0", "a number out of range"),
        (b'SEARCH MODSEQ "/flags" all 5', "an entry name begins with /flags/"),
        (b'SEARCH MODSEQ "/flags/a b" all 5', "an entry name ends in a flag"),
        (b'SEARCH MODSEQ "/flags/a" some 5', "priv, shared or all expected"),
        (b"SEARCH EMAILID a.b", "an object id expected"),
        (
            b"SEARCH CHARSET US-ASCII SUBJECT {1}\r\n\xe4",
            "the search text is not in the charset it claims",
        ),
        (b"FETCH 1", "a space expected"),
        (b"FETCH 1 ()", "a FETCH item expected"),
        (b"FETCH 1 BODY.PEEK", "a section expected"),
        (b"FETCH 1 BODY[BOGUS]", "a section expected"),
        (b"FETCH 1 BODY[HEADER.FIELDS (a:b)]", "no such section"),
        (b"FETCH 1 BODY[HEADER.FIELDS ({1}\r\n\xff)]", "a header field's name is ASCII"),
        (b"FETCH 1 BODY[]<5>", "a partial expected"),
        (b"FETCH 1 BODY[]<0.0>", "a partial has an offset and a length that is not 0"),
        (b"FETCH 1 BODY[99999999999.1]", "a section expected"),
        (b"FETCH 1 BINARY[99999999999]", "a part number has 32 bits"),
        (b"FETCH 1 BINARY[x]", "a part number expected"),
        (b"FETCH 1 BINARY[4294967296]", "a part number has 32 bits"),
        (b"FETCH 1 BINARY.SIZE[1]<0.5>", "BINARY.SIZE has no partial"),
        (b"FETCH 1 PREVIEW (EAGER)", "no such preview modifier"),
        (b"FETCH 1 FLAGS (BOGUS)", "no such FETCH modifier"),
        (b"FETCH 1 (" + b"UID " * 256 + b"UID)", "too many FETCH items"),
        (b"STORE 1 BOGUS (\\Seen)", "FLAGS expected"),
        (b"STORE 1 FLAGS", "FLAGS expected"),
        (b"STORE 1 FLAGS (" + b"x " * 256 + b"x)", "too many flags"),
        (b"COPY $x y", "a space expected"),
        (b"COPY x y", "a set of message numbers expected"),
        (b"UID EXPUNGE 4294967296", "a message number has 32 bits"),
        (b"ID x", "a list or NIL expected"),
        (b'ID "x"', "a list or NIL expected"),
        (b'ID ("' + b"x" * 31 + b'" NIL)', "an ID field has 30 octets and a value 1024 at most"),
        (b"ID (" + b" ".join([b'"x" NIL'] * 31) + b")", "ID has 30 pairs at most"),
        (b'SETQUOTA "" x', "an opening parenthesis expected"),
        (b"SORT (BOGUS) UTF-8 ALL", "no such sort criterion"),
        (b"SORT (" + b"DATE " * 14 + b"DATE) UTF-8 ALL", "too many sort criteria"),
        (b"THREAD BOGUS UTF-8 ALL", "no such threading algorithm"),
        (b"COMPRESS GZIP", "no such algorithm"),
    ],
)
def test_what_is_no_command_is_refused_with_a_sentence(line: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(line)
    assert caught.value.reason == reason
    assert caught.value.tag == b"a"


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"create x (use (\\sent \\x-mine))", commands.Create("x", ("\\Sent", "\\x-mine"))),
        (b"CREATE x (USE ())", commands.Create("x")),
        (b'LIST () "" %', commands.List("", ("%",), extended=True)),
        (
            b'LIST (SUBSCRIBED RECURSIVEMATCH) "" (a* "b c") RETURN (CHILDREN STATUS (MESSAGES))',
            commands.List(
                "",
                ("a*", "b c"),
                frozenset({ListSelect.SUBSCRIBED, ListSelect.RECURSIVEMATCH}),
                frozenset({ListReturn.CHILDREN}),
                (StatusItem.MESSAGES,),
                extended=True,
            ),
        ),
        (b'LIST "" * RETURN ()', commands.List("", ("*",), extended=True)),
        (b"STORE 1 -FLAGS \\Seen \\recent x", commands.Store(
            SequenceSet.of([1]), commands.StoreAction.REMOVE, (Flag("\\Seen"), Flag("x")))),
        (b"SEARCH KEYWORD \\Flagged", commands.Search(HasFlag(Flag("\\Flagged")))),
        (b'SEARCH on "01-jan-2000"', commands.Search(
            DateKey(DateField.INTERNAL, Relation.ON, date(2000, 1, 1)))),
        (b'SEARCH MODSEQ "/flags/\\\\draft" ALL 620162338', commands.Search(
            ModSeq(620162338, Flag("\\Draft"), "all"))),
        (b"ID NIL", Id()),
        (b"ID ()", Id()),
        (b"AUTHENTICATE plain =", commands.Authenticate("PLAIN", Secret(b""))),
        (b"LOGIN a]b NIL", commands.Login("a]b", Secret(b"NIL"))),
    ],
)  # fmt: skip
def test_odd_commands_that_are_right(line: bytes, command: object) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line", [b"", b" NOOP", b"a+b NOOP", b"(a NOOP", b'"a" NOOP', b"\xe4 NOOP"]
)
def test_a_tag_is_no_more_than_a_tag(line: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parse_command(line, GRAMMAR)
    assert caught.value.tag is None
    assert read_tag(line) is None


def test_a_tag_has_a_length() -> None:
    assert parse_command(b"x" * 256 + b" NOOP", GRAMMAR)[0] == b"x" * 256
    with pytest.raises(ParseError):
        parse_command(b"x" * 257 + b" NOOP", GRAMMAR)


@pytest.mark.parametrize(
    "line",
    [
        b"IDLE", b"ENABLE X", b"NAMESPACE", b"UNSELECT", b"MOVE 1 x", b"UID MOVE 1 x", b"ID NIL",
        b"UID EXPUNGE 1", b"SORT (DATE) UTF-8 ALL", b"COMPRESS DEFLATE", b'GETQUOTA ""',
        b"SEARCH RETURN () ALL", b"SEARCH OLDER 5", b"FETCH 1 MODSEQ", b"FETCH 1 BINARY[]",
        b"SELECT x (CONDSTORE)", b"CREATE x (USE (\\All))", b"SEARCH UID $", b"STATUS x (MAILBOXID)",
        b'LIST (SUBSCRIBED) "" *', b'LIST "" * RETURN (CHILDREN)', b"FETCH 1 PREVIEW",
        b"FETCH 1 SAVEDATE", b"STORE 1 (UNCHANGEDSINCE 5) FLAGS ()", b"SEARCH SAVEDON 1-Jan-2000",
    ],
)  # fmt: skip
def test_words_of_an_extension_that_is_not_offered_are_unknown_words(line: bytes) -> None:
    parse(line)
    with pytest.raises(ParseError):
        parse_command(b"a " + line, REV1)


def test_imap4rev2_brings_its_extensions_with_it() -> None:
    rev2 = Grammar(frozenset({"IMAP4rev2"}), Limits(), "/")
    for line in (b"IDLE", b"MOVE 1 x", b"SEARCH RETURN (SAVE) ALL", b"FETCH $ BINARY[1]",
                 b'LIST (SPECIAL-USE) "" * RETURN (SUBSCRIBED STATUS (SIZE))', b"UID EXPUNGE 1"):  # fmt: skip
        parse_command(b"a " + line, rev2)
    with pytest.raises(ParseError):
        parse_command(b"a FETCH 1 MODSEQ", rev2)


def test_a_grammar_remembers_no_more_than_a_few_lists_of_items() -> None:
    grammar = Grammar(frozenset(ALL_CAPABILITIES), Limits(), "/")
    for number in range(1, 1200):
        parse_command(b"a FETCH 1 BODY[%d]" % number, grammar)
    assert len(grammar._fetch_items) <= 512
    parse_command(b"a FETCH 1 (BODY[" + b"1." * 300 + b"1])", grammar)
    assert all(len(text) <= 512 for text in grammar._fetch_items)


@pytest.mark.parametrize("char", [b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xe2\x80\xa8", b"\t"])
def test_what_others_take_for_a_line_end_is_none(char: bytes) -> None:
    with pytest.raises(ParseError):
        parse(b"LOGIN a b" + char + b"a NOOP")


@pytest.mark.parametrize(
    "text", ["", '"17-Jul-1996 02:44:25 -0700', '"32-Jul-1996 02:44:25 -0700"', '"17-Xxx-1996 02:44:25 +0000"',
             '"17-Jul-1996 24:44:25 -0700"', '"17-Jul-1996 02:44:61 -0700"', '"17-Jul-1996 02:44:25 -2500"']
)  # fmt: skip
def test_a_date_and_time_is_one_or_refused(text: str) -> None:
    from corvus_imap.codec._lexer import Cursor

    with pytest.raises(ParseError):
        Cursor(text.encode(), GRAMMAR).date_time()
    leap = Cursor(b'"31-Dec-2016 23:59:60 +0000"', GRAMMAR).date_time()
    assert leap == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_what_cannot_be_written_is_refused() -> None:
    refused: list[tuple[str, commands.Command]] = [
        ("a b", commands.Noop()),
        ("", commands.Noop()),
        ("a", commands.Enable(("a b",))),
        ("a", commands.Login("a\0", Secret(b""))),
        ("a", commands.Select("\r\n")),
    ]
    for tag, command in refused:
        with pytest.raises(ValueError):
            serialize_command(tag, command)


def test_8_bit_that_is_no_utf8_goes_out_as_a_literal() -> None:
    [head, rest] = serialize_command("a", commands.Login("a", Secret(b"\xff")), utf8=True)
    assert (head, rest) == (b"a LOGIN a {1}\r\n", b"\xff\r\n")
