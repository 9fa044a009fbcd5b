"""Whatever the octets of a message: an answer that a client can read, and sections that fit the
buffer."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_imap import (
    Limits,
    Section,
    SectionText,
    UnknownEncoding,
    binary,
    bodystructure,
    envelope,
    matches,
    section,
)
from corvus_imap.codec._lexer import Cursor
from corvus_imap.codec.grammar import Grammar
from corvus_imap.codec.parse_structure import parse_body, parse_envelope
from corvus_imap.codec.render_structure import render_body, render_envelope
from corvus_imap.section import binary_size, section_octets, section_range
from corvus_imap.sort import SortFacts
from corvus_imap.thread import ThreadFacts
from corvus_imap.types.search import HeaderKey, TextField, TextKey
from corvus_message import parse

pytestmark = pytest.mark.property

NAMES = (
    b"From To Cc Subject Date Message-ID References Content-ID Content-Type Content-Type Content-Type"
    b" Content-Transfer-Encoding Content-Disposition Content-Language"
).split()
VALUES = [
    b"multipart/mixed; boundary=b",
    b"multipart/digest; boundary=c",
    b"message/rfc822",
    b"message/global",
    b"text/plain; charset=utf-8",
    b"text/html; n*0*=utf-8''%41; n*1=b",
    b"base64",
    b"quoted-printable",
    b"x-none",
    b'"a, b" <c@d>, e: f@g;',
    b"=?utf-8?q?=C3=A4?= <x",
    b'attachment; filename="a\\"b"',
    b"de, en",
    b"<1@x> <2@y>",
]
LINES = [b"\r\n", b"\r\n", b"\n", b"--b\r\n", b"--c\r\n", b"--b--\r\n", b"text\r\n", b"YWJj\r\n"]

fields = st.builds(
    lambda name, value, end: name + b": " + value + end,
    st.sampled_from(NAMES),
    st.sampled_from(VALUES) | st.binary(max_size=12),
    st.sampled_from([b"\r\n", b"\r\n", b"\n"]),
)
pieces = fields | st.sampled_from(LINES)
messages = st.lists(pieces, max_size=14).map(b"".join) | st.binary(max_size=60)


def tree(octets: bytes) -> list[object]:
    """
    Read an answer as a strict client does; strings are bytes, NIL is None.

    In octets that are not UTF-8 or before UTF8=ACCEPT no 8-bit octet stands in a quoted string.
    """
    token = re.compile(
        rb'(\()|(\))|"((?:[^"\\\r\n\x00]|\\["\\])*)"|\{(\d+)\}\r\n|(NIL)|(\d+)| ', re.S
    )
    stack: list[list[object]] = [[]]
    position = 0
    while position < len(octets):
        match = token.match(octets, position)
        assert match is not None, octets[position : position + 40]
        position = match.end()
        if match[1]:
            stack.append([])
        elif match[2]:
            inner = stack.pop()
            stack[-1].append(inner)
        elif match[3] is not None:
            match[3].decode("utf-8")
            stack[-1].append(match[3])
        elif match[4] is not None:
            stack[-1].append(octets[position : position + int(match[4])])
            position += int(match[4])
        elif match[5]:
            stack[-1].append(None)
        elif match[6]:
            stack[-1].append(int(match[6]))
    assert len(stack) == 1
    return stack[0]


def check_envelope(value: object) -> None:
    assert isinstance(value, list)
    assert len(value) == 10
    for at, member in enumerate(value):
        if not 2 <= at <= 7:
            assert member is None or isinstance(member, bytes)
        elif member is not None:
            assert member, "an address list is NIL or not empty"
            depth = 0
            for address in member:
                assert len(address) == 4
                _, _, mailbox, host = address
                # A group begins without a host and ends without both; groups do not nest.
                depth += 0 if host is not None else 1 if mailbox is not None else -1
                assert depth in (0, 1)
            assert depth == 0


def check_params(value: object) -> None:
    assert value is None or (isinstance(value, list) and value and len(value) % 2 == 0)


def check_body(value: object, *, extended: bool) -> int:
    """The grammar of RFC 9051 §9, ``body``; how many parts there are."""
    assert isinstance(value, list)
    if isinstance(value[0], list):
        children = [part for part in value if isinstance(part, list)]
        count = next(i for i, part in enumerate(value) if not isinstance(part, list))
        if extended:
            assert len(value) == count + 5
            check_params(value[count + 1])
        else:
            assert len(value) == count + 1
        return 1 + sum(check_body(part, extended=extended) for part in children[:count])
    kind, subtype, params, ident, description, encoding, size, *rest = value
    assert isinstance(kind, bytes)
    assert isinstance(subtype, bytes)
    assert isinstance(encoding, bytes)
    assert isinstance(size, int)
    assert all(text is None or isinstance(text, bytes) for text in (ident, description))
    check_params(params)
    parts = 1
    if kind == b"text":
        assert isinstance(rest.pop(0), int)
    elif (kind, subtype) == (b"message", b"rfc822"):
        check_envelope(rest.pop(0))
        parts += check_body(rest.pop(0), extended=extended)
        assert isinstance(rest.pop(0), int)
    assert len(rest) == (4 if extended else 0)
    return parts


@given(messages)
def test_every_answer_is_what_the_grammar_says(message: bytes) -> None:
    part = parse(message)
    check_envelope(tree(envelope(part))[0])
    for extended in (False, True):
        assert check_body(tree(bodystructure(part, extended=extended))[0], extended=extended) >= 1
    # Before UTF8=ACCEPT 8-bit octets are in literals alone; and the two say the same.
    for told, accepted in (
        (envelope(part), envelope(part, utf8=True)),
        (bodystructure(part, extended=False), bodystructure(part, extended=False, utf8=True)),
    ):
        quoted = re.sub(rb"\{(\d+)\}\r\n", b"", told) if told.isascii() else told
        assert b"\0" not in quoted
        if b'"global"' not in told:
            assert tree(told) == tree(accepted)


@given(messages, st.lists(st.integers(1, 3), max_size=4), st.sampled_from([None, *SectionText]))
def test_every_section_is_a_stretch_of_the_message(
    message: bytes, path: list[int], text: SectionText | None
) -> None:
    if text is SectionText.MIME and not path:
        return
    listing = text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)
    spec = Section(tuple(path), text, ("to", "content-type") if listing else ())
    told = section(message, spec)
    octets = section_octets(message, spec)
    if octets is None:
        assert told == b"NIL"
        return
    assert told == b"{%d}\r\n%b" % (len(octets), octets)
    if not listing:
        where = section_range(message, spec)
        assert where is not None
        assert 0 <= where.start <= where.stop <= len(message)
        assert message[where.start : where.stop] == octets


@given(messages, st.lists(st.integers(1, 3), max_size=3))
def test_binary_size_is_the_size_of_binary(message: bytes, path: list[int]) -> None:
    try:
        told = binary(message, tuple(path))
    except UnknownEncoding:
        return
    size = binary_size(message, tuple(path))
    if told == b"NIL":
        assert size is None
    else:
        head, _, octets = told.partition(b"\r\n")
        assert head == (b"~{%d}" if b"\0" in octets else b"{%d}") % len(octets)
        assert size == len(octets)


@given(messages)
def test_header_and_text_are_the_message_and_the_subsets_are_the_header(message: bytes) -> None:
    def octets(spec: bytes) -> bytes:
        found = section_octets(message, Section.parse(spec))
        assert found is not None
        return found

    assert octets(b"HEADER") + octets(b"TEXT") == message
    chosen, others = octets(b"HEADER.FIELDS (to)"), octets(b"HEADER.FIELDS.NOT (to)")
    # Both end in the blank line, if there is one; else nothing is counted twice.
    assert len(octets(b"HEADER")) <= len(chosen) + len(others) <= len(octets(b"HEADER")) + 4


@given(messages, st.text(max_size=6))
def test_search_and_facts_never_raise(message: bytes, text: str) -> None:
    for field in TextField:
        assert matches(TextKey(field, text), message) in (True, False)
    matches(HeaderKey("content-type", text), message)
    SortFacts.of(message, 0.0)
    ThreadFacts.of(message, 1, 0.0)


#: As strict as the grammar: 8-bit octets in quoted strings only after UTF8=ACCEPT.
GRAMMAR = Grammar(frozenset(), Limits(response_depth=500, search_depth=500))


@given(messages, st.booleans())
def test_our_own_client_reads_what_is_said_and_says_the_same(message: bytes, utf8: bool) -> None:
    part = parse(message)
    told = envelope(part, utf8=utf8)
    cursor = Cursor(told, GRAMMAR, utf8=utf8)
    assert render_envelope(parse_envelope(cursor), utf8) == told
    assert cursor.pos == len(told)
    for extended in (False, True):
        told = bodystructure(part, utf8=utf8, extended=extended)
        cursor = Cursor(told, GRAMMAR, utf8=utf8)
        body = parse_body(cursor)
        assert cursor.pos == len(told)
        # One language may be a string or a list of one (RFC 9051 §9, body-fld-lang): compare the values.
        assert parse_body(Cursor(render_body(body, utf8), GRAMMAR, utf8=utf8)) == body
