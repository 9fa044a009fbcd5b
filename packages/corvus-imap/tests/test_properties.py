"""What holds for every input: the four properties of an engine, and parse(serialize(x)) == x."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_imap import (
    ALL_CAPABILITIES,
    AppendOffered,
    AppendReceived,
    AuthResponse,
    BinarySection,
    BinarySize,
    BodySection,
    ChallengeReceived,
    ClientConnection,
    Code,
    CommandCompleted,
    CommandReceived,
    ConnectionEnded,
    FetchAttribute,
    Flag,
    IdleDone,
    IdleStarted,
    Limits,
    LiteralChunk,
    MessageWanted,
    Partial,
    Policy,
    Preview,
    ProtocolError,
    RemoteProtocolError,
    SearchReturn,
    Secret,
    Section,
    SectionText,
    SequenceSet,
    ServerConnection,
    decode_mailbox,
    encode_mailbox,
)
from corvus_imap import commands as c
from corvus_imap import responses as r
from corvus_imap.codec._lexer import Cursor
from corvus_imap.codec.grammar import Grammar
from corvus_imap.codec.parse_command import parse_command
from corvus_imap.codec.parse_response import parse_response
from corvus_imap.codec.render import render
from corvus_imap.codec.serialize_command import serialize_command
from corvus_imap.extensions.compress import Compress, Deflater, Inflater
from corvus_imap.extensions.id import Id
from corvus_imap.extensions.quota import GetQuota, GetQuotaRoot, SetQuota
from corvus_imap.extensions.sort import Sort, SortField, SortKey, Thread, ThreadAlgorithm
from corvus_imap.extensions.special_use import USES
from corvus_imap.types import search as s
from corvus_imap.types.fetch import FETCH_MACROS
from corvus_imap.types.listing import ListReturn, ListSelect
from corvus_imap.types.mailbox import ListPattern, fold_inbox
from corvus_imap.types.resync import QResync
from corvus_imap.types.sequence import SAVED_RESULT, STAR
from corvus_imap.types.status import StatusItem
from corvus_imap.types.structure import Address, BodyStructure, Disposition, Envelope
from corvus_testing.properties import (
    assert_any_chunking_is_the_same,
    assert_only_protocol_errors,
    converse,
)
from corvus_testing.strategies import cuts, hostile_octets

pytestmark = pytest.mark.property

CAPABILITIES = (*ALL_CAPABILITIES, "QUOTASET", "ESORT")
GRAMMAR = Grammar(frozenset(CAPABILITIES), Limits(), "/")
LENIENT = Grammar(frozenset(), Limits(), None, lenient=True)
SMALL = Limits(
    command_before_login=200, line=200, command=400, literal=50, literals=5, message=100,
    messages=3, drain=300, drain_before_login=300, mistakes=5, inflated=100,
)  # fmt: skip

# Values.

words = st.text("abcXYZ019-_.", min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
octets = st.binary(max_size=12).map(lambda raw: raw.replace(b"\0", b""))
names = texts.filter(lambda name: not any(ch in name for ch in "\u2028\u2029")).map(
    lambda name: fold_inbox("".join(ch for ch in name if ch >= " " and not "\x7f" <= ch <= "\x9f"))
)
numbers = st.integers(1, STAR)
modseqs = st.integers(1, (1 << 63) - 1)
big = st.integers(0, (1 << 63) - 1)
ranges = st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair)))
sets = st.lists(ranges, min_size=1, max_size=4).map(lambda found: SequenceSet(tuple(found)))
known_sets = st.lists(st.integers(1, STAR - 1), min_size=1, max_size=4).map(SequenceSet.of)
messages = sets | st.just(SAVED_RESULT)
flags = st.sampled_from(
    [Flag(name) for name in ("\\Seen", "\\Deleted", "\\Flagged", "$Junk", "work", "\\X-Ext")]
)
flag_tuples = st.lists(flags, max_size=3).map(tuple)
days = st.dates(date(1970, 1, 1), date(2099, 12, 31))
moments = st.builds(
    lambda moment, minutes: moment.replace(tzinfo=timezone(timedelta(minutes=minutes))),
    st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1)).map(
        lambda moment: moment.replace(microsecond=0)
    ),
    st.integers(-14 * 60, 14 * 60),
)

# Commands.

parts = st.lists(st.integers(1, 99), max_size=3).map(tuple)
partials = st.none() | st.builds(Partial, big, modseqs)
sections = (
    st.builds(Section, parts)
    | st.builds(Section, parts, st.sampled_from([SectionText.HEADER, SectionText.TEXT]))
    | st.builds(Section, parts.filter(bool), st.just(SectionText.MIME))
    | st.builds(
        Section,
        parts,
        st.sampled_from([SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT]),
        st.lists(st.text("!abcZ-*%(", min_size=1, max_size=8), min_size=1, max_size=3).map(tuple),
    )
)
items = (
    st.sampled_from(FetchAttribute)
    | st.builds(BodySection, sections, st.booleans(), partials)
    | st.builds(BinarySection, parts, st.booleans(), partials)
    | st.builds(BinarySize, parts)
    | st.builds(Preview, st.booleans())
)
leaves: st.SearchStrategy[Any] = st.one_of(
    st.just(s.All()),
    st.builds(s.HasFlag, flags),
    st.builds(s.LacksFlag, flags),
    st.builds(s.TextKey, st.sampled_from(s.TextField), texts),
    st.builds(s.HeaderKey, texts, texts),
    st.builds(s.DateKey, st.sampled_from(s.DateField), st.sampled_from(s.Relation), days),
    st.builds(s.Older, st.integers(1, 1 << 31)),
    st.builds(s.Younger, st.integers(1, 1 << 31)),
    st.builds(s.Larger, big),
    st.builds(s.Smaller, big),
    st.builds(s.Sequence, messages),
    st.builds(s.Uid, messages),
    st.builds(s.ModSeq, big),
    st.builds(s.ModSeq, big, flags, st.sampled_from(["all", "priv", "shared"])),
    st.builds(s.EmailId, st.text("abZ09_-", min_size=1, max_size=9)),
    st.builds(s.ThreadId, st.text("abZ09_-", min_size=1, max_size=9)),
    st.just(s.SaveDateSupported()),
)
keys = st.recursive(
    leaves,
    lambda inner: (
        st.builds(s.Not, inner)
        | st.builds(s.Or, inner, inner)
        | st.lists(inner, min_size=1, max_size=3).map(lambda found: s.And(tuple(found)))
    ),
    max_leaves=5,
)
returns = st.none() | st.frozensets(st.sampled_from(SearchReturn))
status_items = st.lists(st.sampled_from(StatusItem), min_size=1, max_size=4, unique=True).map(tuple)
uid_sets = st.none() | messages
secrets = octets.map(Secret)


def lists() -> st.SearchStrategy[c.List]:
    def make(
        reference: str,
        patterns: list[str],
        select: frozenset[ListSelect],
        told: frozenset[ListReturn],
        status: tuple[StatusItem, ...],
        extended: bool,
    ) -> c.List:
        extended = extended or bool(select or told or status or len(patterns) > 1)
        return c.List(reference, tuple(patterns), select, told, status, extended)

    selects = st.frozensets(
        st.sampled_from([ListSelect.SUBSCRIBED, ListSelect.REMOTE, ListSelect.SPECIAL_USE])
    )
    return st.builds(
        make,
        names,
        st.lists(names, min_size=1, max_size=3),
        selects,
        st.frozensets(st.sampled_from(ListReturn)),
        st.just(()) | status_items,
        st.booleans(),
    )


commands: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [
            c.Capability(),
            c.Noop(),
            c.Logout(),
            c.StartTLS(),
            c.Namespace(),
            c.Idle(),
            c.Check(),
            c.Close(),
            c.Unselect(),
            Compress(),
        ]
    ),
    st.builds(
        c.Authenticate,
        st.sampled_from(["PLAIN", "X"]),
        st.none() | st.binary(max_size=9).map(Secret),
    ),
    st.builds(c.Login, texts, secrets),
    st.builds(c.Enable, st.lists(words, min_size=1, max_size=3).map(tuple)),
    st.builds(
        c.Select,
        names,
        st.booleans(),
        st.booleans(),
        st.none()
        | st.builds(
            QResync,
            st.integers(1, STAR - 1),
            modseqs,
            st.none() | known_sets,
            st.none() | st.tuples(known_sets, known_sets),
        ),
    ),
    st.builds(c.Create, names, st.lists(st.sampled_from(USES), max_size=2).map(tuple)),
    st.builds(c.Delete, names),
    st.builds(c.Rename, names, names),
    st.builds(c.Subscribe, names),
    st.builds(c.Unsubscribe, names),
    lists(),
    st.builds(c.Lsub, names, names),
    st.builds(c.Status, names, status_items),
    st.builds(c.Expunge, uid_sets),
    st.builds(c.Search, keys, returns, st.booleans(), st.sampled_from([None, "UTF-8"])),
    st.builds(
        c.Fetch,
        messages,
        st.lists(items, min_size=1, max_size=4).map(tuple),
        st.booleans(),
        st.none() | big,
    ),
    st.builds(
        c.Store,
        messages,
        st.sampled_from(c.StoreAction),
        flag_tuples,
        st.booleans(),
        st.booleans(),
        st.none() | big,
    ),
    st.builds(c.Copy, messages, names, st.booleans()),
    st.builds(c.Move, messages, names, st.booleans()),
    st.builds(
        Id,
        st.lists(st.tuples(words, st.none() | texts), max_size=3).map(tuple),
    ),
    st.builds(
        Sort,
        st.lists(
            st.builds(SortKey, st.sampled_from(SortField), st.booleans()), min_size=1, max_size=3
        ).map(tuple),
        keys,
        st.booleans(),
        st.just("UTF-8"),
        returns,
    ),
    st.builds(Thread, st.sampled_from(ThreadAlgorithm), keys, st.booleans(), st.just("UTF-8")),
    st.builds(GetQuota, texts),
    st.builds(GetQuotaRoot, names),
    st.builds(
        SetQuota,
        texts,
        st.lists(st.tuples(st.sampled_from(["STORAGE", "MESSAGE"]), big), max_size=2).map(tuple),
    ),
)


@given(commands, st.booleans(), st.sampled_from([0, 4096]))
def test_a_command_comes_back_from_its_octets(command: Any, utf8: bool, nonsync: int) -> None:
    pieces = serialize_command("a1", command, utf8=utf8, nonsync=nonsync)
    assert all(piece.endswith(b"}\r\n") for piece in pieces[:-1])
    wire = b"".join(pieces)
    assert wire.endswith(b"\r\n")
    assert parse_command(wire[:-2], GRAMMAR, utf8=utf8) == (b"a1", command)


@given(commands, st.booleans(), cuts)
def test_a_command_reaches_the_engine_whole_however_it_is_cut(
    command: Any, utf8: bool, places: list[int]
) -> None:
    wire = b"".join(serialize_command("a1", command, nonsync=1 << 20)) + b"a2 NOOP\r\n"
    conn = Policy(CAPABILITIES, require_tls=False)

    def make() -> ServerConnection:
        return ServerConnection(policy=conn)

    assert_any_chunking_is_the_same(make, wire, places, answer, errors=ProtocolError)


# Responses.

condition_texts = st.text("abc. []é", min_size=1, max_size=9).filter(
    lambda text: not text.startswith(("[", " ")) and text.isascii()
)
codes = st.none() | st.builds(
    Code, st.sampled_from(["UIDNEXT", "X-Y"]), st.none() | st.sampled_from([b"5", b"(a b)"])
)
atoms = st.lists(words, max_size=3).map(tuple)
strings = octets
optional = st.none() | strings
addresses = st.lists(st.builds(Address, optional, optional, optional, optional), max_size=2).map(
    tuple
)
envelopes = st.builds(
    Envelope, optional, optional, addresses, addresses, addresses, addresses, addresses, addresses,
    optional, optional,
)  # fmt: skip
parameters = st.lists(st.tuples(strings, strings), max_size=2).map(tuple)
dispositions = st.none() | st.builds(Disposition, strings, parameters)
languages = st.lists(strings, max_size=2).map(tuple)
body_extensions: st.SearchStrategy[Any] = st.recursive(
    optional | st.integers(0, 99),
    lambda inner: st.lists(inner, min_size=1, max_size=2).map(tuple),
    max_leaves=3,
)
tails = {
    "disposition": dispositions,
    "language": languages,
    "location": optional,
    "extensions": st.lists(body_extensions, max_size=2).map(tuple),
}
leaf_fields = {
    "parameters": parameters,
    "content_id": optional,
    "description": optional,
    "encoding": strings.filter(bool),
    "octets": st.integers(0, 1 << 40),
    "md5": optional,
}


def leaf_bodies(**fields: Any) -> st.SearchStrategy[BodyStructure]:
    plain = {name: value for name, value in leaf_fields.items() if name != "md5"}
    return st.builds(BodyStructure, **leaf_fields, **tails, **fields) | st.builds(
        BodyStructure, extended=st.just(False), **plain, **fields
    )


simple = leaf_bodies(media_type=st.just(b"IMAGE"), subtype=strings) | leaf_bodies(
    media_type=st.just(b"text"), subtype=strings, lines=st.integers(0, 99)
)
bodies: st.SearchStrategy[BodyStructure] = st.recursive(
    simple,
    lambda inner: (
        st.builds(
            BodyStructure,
            media_type=st.just(b"MULTIPART"),
            subtype=strings,
            parameters=parameters,
            parts=st.lists(inner, min_size=1, max_size=2).map(tuple),
            **tails,
        )
        | leaf_bodies(
            media_type=st.just(b"MESSAGE"),
            subtype=st.just(b"RFC822"),
            lines=st.integers(0, 99),
            envelope=envelopes,
            parts=inner.map(lambda body: (body,)),
        )
    ),
    max_leaves=3,
)
numbered: st.SearchStrategy[r.ThreadNode] = st.recursive(
    st.builds(r.ThreadNode, st.integers(1, 99)),
    lambda inner: st.builds(
        r.ThreadNode, st.integers(1, 99), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=6,
)
thread_nodes = numbered | st.builds(
    r.ThreadNode, st.none(), st.lists(numbered, min_size=2, max_size=3).map(tuple)
)
fetches = st.fixed_dictionaries(
    {},
    optional={
        "UID": st.integers(1, 99),
        "FLAGS": flag_tuples,
        "INTERNALDATE": moments,
        "RFC822.SIZE": big,
        "MODSEQ": modseqs,
        "ENVELOPE": envelopes,
        "BODYSTRUCTURE": bodies,
        "BODY[1.HEADER]": optional,
        "BODY[HEADER.FIELDS (FROM)]<0>": octets,
        "BINARY[1]": st.none() | st.binary(max_size=9),
        "BINARY.SIZE[2.1]": st.integers(0, 99),
        "EMAILID": words.filter(lambda word: "." not in word),
        "THREADID": st.none() | words,
        "SAVEDATE": st.none() | moments,
        "PREVIEW": st.none() | texts,
    },
)
attributes = st.lists(st.sampled_from(["\\Noselect", "\\HasChildren", "\\Sent"]), max_size=2).map(
    tuple
)
delimiters = st.sampled_from([None, "/", ".", "\\", '"'])
namespaces = st.lists(st.tuples(names, delimiters), max_size=2).map(tuple)
responses: st.SearchStrategy[Any] = st.one_of(
    st.builds(
        r.Condition,
        st.sampled_from([r.Kind.OK, r.Kind.NO, r.Kind.BAD]),
        condition_texts,
        codes,
        st.none() | st.sampled_from(["a1", "TAG"]),
    ),
    st.builds(r.Condition, st.sampled_from(r.Kind), condition_texts, codes),
    st.builds(r.Continuation, st.sampled_from([b"", b"abcd", b"go on"])),
    st.builds(r.Capability, atoms),
    st.builds(r.Enabled, atoms),
    st.builds(r.Flags, flag_tuples),
    st.builds(r.Exists, st.integers(0, STAR - 1)),
    st.builds(r.Recent, st.integers(0, STAR - 1)),
    st.builds(r.Expunge, st.integers(1, STAR - 1)),
    st.builds(r.Vanished, known_sets, st.booleans()),
    st.builds(r.Search, st.lists(st.integers(1, 99), min_size=1).map(tuple), st.none() | modseqs),
    st.builds(r.Sort, st.lists(st.integers(1, 99)).map(tuple)),
    st.builds(
        r.ESearch,
        st.none() | words,
        st.booleans(),
        st.none() | st.integers(1, 99),
        st.none() | st.integers(1, 99),
        st.none() | st.integers(0, 99),
        st.none() | known_sets,
        st.none() | modseqs,
    ),
    st.builds(r.Thread, st.lists(thread_nodes, max_size=3).map(tuple)),
    st.builds(
        r.List,
        names,
        delimiters,
        attributes,
        st.just(()) | st.just(("SUBSCRIBED",)),
        st.none() | names,
    ),
    st.builds(r.Lsub, names, delimiters, attributes),
    st.builds(
        r.Status,
        names,
        st.lists(
            st.tuples(st.just(StatusItem.MESSAGES), big)
            | st.tuples(st.just(StatusItem.MAILBOXID), words)
            | st.tuples(st.just(StatusItem.APPENDLIMIT), st.none()),
            max_size=3,
        ).map(tuple),
    ),
    st.builds(r.Namespace, namespaces, namespaces, namespaces),
    st.builds(r.Fetch.of, st.integers(1, 99), fetches),
    st.builds(r.Id, st.lists(st.tuples(words, st.none() | texts), max_size=3).map(tuple)),
    st.builds(
        r.Quota,
        texts,
        st.lists(st.tuples(st.just("STORAGE"), big, big), max_size=2).map(tuple),
    ),
    st.builds(r.QuotaRoot, names, st.lists(texts, max_size=2).map(tuple)),
)


@given(responses, st.booleans())
def test_a_response_comes_back_from_its_octets(response: Any, utf8: bool) -> None:
    wire = render(response, utf8=utf8)
    assert wire.endswith(b"\r\n")
    back = parse_response(wire[:-2], Cursor(wire[:-2], LENIENT, utf8=utf8))
    assert back == response


@given(responses, cuts)
def test_a_response_reaches_the_client_whole_however_it_is_cut(
    response: Any, places: list[int]
) -> None:
    wire = b"* OK hello\r\n" + render(response) + b"* 3 EXISTS\r\n"
    assert_any_chunking_is_the_same(
        ClientConnection, wire, places, lambda conn, event: None, errors=ProtocolError
    )


# Names and patterns.


@given(names, st.booleans())
def test_a_mailbox_name_comes_back_from_its_octets(name: str, utf8: bool) -> None:
    written = encode_mailbox(name, utf8=utf8)
    cursor = Cursor(written, GRAMMAR, utf8=utf8)
    assert cursor.mailbox() == name
    cursor.end()


@given(st.binary(max_size=20), st.booleans())
def test_octets_that_are_a_name_are_its_only_spelling(raw: bytes, utf8: bool) -> None:
    try:
        name = decode_mailbox(raw, utf8=utf8)
    except ValueError:
        return
    if name[:5] != "INBOX":
        again = encode_mailbox(name, utf8=utf8)
        assert Cursor(again, GRAMMAR, utf8=utf8).mailbox() == name


def _matches_slowly(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(_matches_slowly(pattern[1:], name[at:]) for at in range(len(name) + 1))
    if pattern[0] == "%":
        reach = name.find("/") if "/" in name else len(name)
        return any(_matches_slowly(pattern[1:], name[at:]) for at in range(reach + 1))
    return name[:1] == pattern[0] and _matches_slowly(pattern[1:], name[1:])


@given(st.text("ab/*%", max_size=7), st.text("ab/", max_size=8))
def test_a_pattern_matches_what_the_naive_matcher_matches(pattern: str, name: str) -> None:
    assert ListPattern(pattern, "/").matches(name) == _matches_slowly(pattern, name)


@given(sets, st.integers(0, 60))
def test_a_set_resolves_to_the_numbers_it_denotes(found: SequenceSet, largest: int) -> None:
    naive = set()
    for low, high in found.ranges:
        first, last = (largest if n == STAR else n for n in (low, high))
        naive |= {n for n in range(1, largest + 1) if min(first, last) <= n <= max(first, last)}
    assert list(found.numbers(largest)) == sorted(naive)
    assert SequenceSet.parse(bytes(found)) == found


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_a_set_made_of_numbers_holds_them_in_order(given_numbers: list[int]) -> None:
    assert list(SequenceSet.in_order(given_numbers).in_given_order()) == given_numbers
    assert list(SequenceSet.of(given_numbers).numbers(50)) == sorted(set(given_numbers))


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 100))
def test_what_is_deflated_inflates_in_small_steps(pieces: list[bytes], most: int) -> None:
    deflater, inflater = Deflater(), Inflater(most)
    for piece in pieces:
        inflater.feed(deflater.deflate(piece))
        back = b""
        while step := inflater.inflate():
            assert len(step) <= most
            back += step
        assert back == piece


# The engines.


def answer(conn: ServerConnection, event: Any) -> None:
    if isinstance(event, CommandReceived) and isinstance(event.command, c.Authenticate):
        conn.challenge(b"x")
    elif isinstance(
        event, CommandReceived | AppendOffered | AppendReceived | AuthResponse | IdleDone
    ):
        conn.accept()


def joined(events: list[Any]) -> list[Any]:
    out: list[Any] = []
    for event in events:
        if isinstance(event, LiteralChunk) and out and isinstance(out[-1], LiteralChunk):
            out[-1] = LiteralChunk(out[-1].data + event.data)
        else:
            out.append(event)
    return out


lines = st.sampled_from(
    [
        b"l LOGIN a b\r\n", b"s SELECT INBOX\r\n", b"n NOOP\r\n", b"i IDLE\r\n", b"DONE\r\n",
        b"p APPEND INBOX {5}\r\n", b"p APPEND INBOX {5+}\r\n", b"hello", b"\r\n", b" {3+}\r\n",
        b"abc", b"p APPEND {5+}\r\nINBOX (\\Seen) {120+}\r\n", b"x" * 60, b"q LOGOUT\r\n",
        b"f FETCH 1:* (FLAGS UID)\r\n", b"u AUTHENTICATE PLAIN\r\n", b"AAAA\r\n", b"*\r\n",
        b"e ENABLE IMAP4rev2 QRESYNC\r\n", b"b SEARCH {60+}\r\n", b"b SEARCH TEXT {4}\r\n",
        b"c SEARCH TEXT {4+}\r\n", b"t SELECT {4+}\r\n", b"a" * 300, b"l LOGIN {300+}\r\n",
    ]
)  # fmt: skip
wires = st.lists(lines | hostile_octets, max_size=12).map(b"".join)


@given(wires, cuts, st.booleans())
def test_any_chunking_gives_the_same_events_and_octets(
    wire: bytes, places: list[int], preauth: bool
) -> None:
    policy = Policy(
        tuple(name for name in CAPABILITIES if not name.startswith("COMPRESS")), require_tls=False
    )

    def make() -> ServerConnection:
        return ServerConnection(policy=policy, limits=SMALL, preauth=preauth)

    assert_any_chunking_is_the_same(
        make, wire, places, answer, errors=ProtocolError, normalise=joined
    )


@given(st.lists(lines | hostile_octets, max_size=12), st.booleans())
def test_nothing_but_a_protocol_error_escapes_and_little_is_held(
    chunks: list[bytes], preauth: bool
) -> None:
    policy = Policy(CAPABILITIES, require_tls=False, starttls=True)
    most = 600 + max([len(chunk) for chunk in chunks], default=0)
    run = assert_only_protocol_errors(
        lambda: ServerConnection(policy=policy, limits=SMALL, preauth=preauth),
        chunks,
        answer,
        errors=ProtocolError,
        most_buffered=most,
    )
    assert run.error is None or isinstance(run.error, RemoteProtocolError)
    assert run.written.endswith(b"\r\n")


server_lines = st.sampled_from(
    [
        b"* OK [CAPABILITY IMAP4rev1] hi\r\n", b"* PREAUTH hi\r\n", b"A1 OK done\r\n",
        b"A2 NO [X] no\r\n", b"+ go\r\n", b"* 1 FETCH (BODY[] {5}\r\n", b"hello)\r\n",
        b"* LIST () NIL {3}\r\n", b"* BYE\r\n", b"* 3 EXPUNGE\r\n", b"{60}\r\n", b"y" * 70,
    ]
)  # fmt: skip


@given(st.lists(server_lines | hostile_octets, max_size=10))
def test_nothing_but_a_protocol_error_escapes_the_client(chunks: list[bytes]) -> None:
    limits = Limits(response_line=200, response_literal=50, response=300)

    def make() -> ClientConnection:
        conn = ClientConnection(limits=limits)
        conn.receive_data(b"* OK hi\r\n")
        conn.next_event()
        conn.send(c.Login("a", Secret(b"b\n")))
        conn.send(c.Select("x"))
        conn.send(c.Idle())
        return conn

    def reply(conn: ClientConnection, event: Any) -> None:
        if isinstance(event, IdleStarted):
            conn.done()

    assert_only_protocol_errors(
        make,
        chunks,
        reply,
        errors=ProtocolError,
        most_buffered=600 + max([len(chunk) for chunk in chunks], default=0),
    )


@given(st.lists(commands | st.just("append"), max_size=6), st.booleans())
def test_client_and_server_come_to_an_end_and_every_command_is_answered(
    asked: list[Any], refuse: bool
) -> None:
    server = ServerConnection(policy=Policy(CAPABILITIES, require_tls=False))
    client = ClientConnection()
    waiting = [c.Login("a", Secret(b"b")), c.Select("INBOX"), *asked]
    completed: list[Any] = []
    received: list[Any] = []

    def next_one() -> None:
        while waiting:
            command = waiting.pop(0)
            try:
                if command == "append":
                    client.append("Sent", 5, flags=["\\Seen"])
                else:
                    client.send(command)
            except ProtocolError:
                continue
            return

    def client_answer(conn: ClientConnection, event: Any) -> None:
        match event:
            case CommandCompleted():
                completed.append(event.command)
                next_one()
            case ChallengeReceived():
                conn.respond(b"yes")
            case IdleStarted():
                conn.done()
            case MessageWanted():
                conn.chunk(b"hel")
                conn.chunk(b"lo")
            case ConnectionEnded():
                pass
            case _:
                if not completed and not received:
                    received.append(event)
                    next_one()

    def server_answer(conn: ServerConnection, event: Any) -> None:
        if refuse and isinstance(event, CommandReceived | AppendOffered) and event.tag > "A2":
            conn.no()
        elif isinstance(event, CommandReceived) and isinstance(event.command, c.Authenticate):
            conn.challenge(b"x")
        else:
            answer(conn, event)

    converse(client, server, client_answer, server_answer)
    assert not client._flying
    assert not client._queue


def test_the_macros_of_fetch_are_no_items() -> None:
    assert set(FETCH_MACROS) == {"ALL", "FAST", "FULL"}
