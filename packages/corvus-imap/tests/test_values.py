"""Values that cannot be wrong: what their constructors refuse, and how they are written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from corvus_imap import (
    NEED_DATA,
    PAUSED,
    BinarySection,
    Code,
    Flag,
    Partial,
    Secret,
    Section,
    SectionText,
    SequenceSet,
    codes,
    decode_mailbox,
    encode_mailbox,
    responses,
)
from corvus_imap.codec.render import render, render_date_time
from corvus_imap.types import atoms
from corvus_imap.types.mailbox import check_name
from corvus_imap.types.resync import QResync
from corvus_imap.types.search import And
from corvus_imap.types.sequence import SAVED_RESULT
from corvus_imap.types.structure import BodyStructure, Disposition


@pytest.mark.parametrize(
    ("code", "wire"),
    [
        (codes.append_uid(38505, [3955]), b"APPENDUID 38505 3955"),
        (codes.bad_charset(["UTF-8", "US-ASCII"]), b"BADCHARSET (UTF-8 US-ASCII)"),
        (codes.capability(["IMAP4rev1", "IDLE"]), b"CAPABILITY IMAP4rev1 IDLE"),
        (codes.high_modseq(715194045007), b"HIGHESTMODSEQ 715194045007"),
        (codes.mailbox_id("F2212"), b"MAILBOXID (F2212)"),
        (codes.modified(SequenceSet.of([7, 9])), b"MODIFIED 7,9"),
        (codes.permanent_flags(["\\seen"], new_keywords=True), b"PERMANENTFLAGS (\\Seen \\*)"),
        (codes.permanent_flags([]), b"PERMANENTFLAGS ()"),
        (codes.uid_validity(3857529045), b"UIDVALIDITY 3857529045"),
        (codes.unseen(12), b"UNSEEN 12"),
    ],
)
def test_response_codes_are_written_and_read(code: Code, wire: bytes) -> None:
    assert bytes(code) == wire
    assert Code.parse(wire) == code


def test_the_numbers_of_a_code() -> None:
    assert Code.parse(b"UIDNEXT 5").numbers() == (5,)
    with pytest.raises(ValueError):
        Code("ALERT").numbers()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SequenceSet(()),
        lambda: SequenceSet(((0, 1),)),
        lambda: SequenceSet(((2, 1),)),
        lambda: SequenceSet.parse(b"1,,2"),
        lambda: SequenceSet.of([]),
        lambda: list(SequenceSet.parse(b"1:*").in_given_order()),
        lambda: Flag("a b"),
        lambda: Flag("\\"),
        lambda: Flag("ä"),
        lambda: Section(text=SectionText.MIME),
        lambda: Section((0,)),
        lambda: Section(text=SectionText.HEADER_FIELDS),
        lambda: Section(text=SectionText.TEXT, fields=("a",)),
        lambda: Section(text=SectionText.HEADER_FIELDS, fields=("a\r\nb",)),
        lambda: Section.parse(b"1."),
        lambda: Section.parse(b".TEXT"),
        lambda: Section.parse(b"1TEXT"),
        lambda: Partial(0, 0),
        lambda: Partial(-1, 5),
        lambda: And(()),
        lambda: QResync(0, 1),
        lambda: QResync(1, 0),
        lambda: QResync(1, 1, SequenceSet.parse(b"1:*")),
        lambda: responses.ThreadNode(None, (responses.ThreadNode(1),)),
        lambda: responses.ThreadNode(
            1, (responses.ThreadNode(None, (responses.ThreadNode(2),) * 2),)
        ),
        lambda: atoms.quoted(b"a\r\n"),
        lambda: atoms.string(b"a\0"),
        lambda: check_name("\ud800"),
        lambda: decode_mailbox(b"&AAAA"),
        lambda: decode_mailbox(b"&2AA-"),
        lambda: encode_mailbox("a\tb"),
        lambda: render_date_time(datetime(2026, 1, 1)),
        lambda: render(responses.Condition(responses.Kind.OK, "a\nb")),
        lambda: render(responses.Condition(responses.Kind.OK, "a", tag="a b")),
        lambda: render(responses.Continuation(b"a\r\n")),
        lambda: render(responses.List("x", "//")),
        lambda: render(responses.List("x", "/", ("Sent",))),
        lambda: render(responses.Fetch(1, (("BODY[]", b"\0"),))),
        lambda: render(responses.Fetch(1, (("UID 5 FLAGS", 5),))),
        lambda: render(responses.Quota("x", (("A B", 1, 2),))),
    ],
)
def test_what_is_wrong_is_refused_where_it_is_made(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        wrong()


@pytest.mark.parametrize(
    ("response", "wire"),
    [
        (responses.Condition(responses.Kind.BYE), b"* BYE .\r\n"),
        (responses.Condition(responses.Kind.NO, "Käse", tag="a"), b"a NO K?se\r\n"),
        (responses.Search(), b"* SEARCH\r\n"),
        (responses.Search((), 5), b"* SEARCH\r\n"),
        (responses.Thread(), b"* THREAD\r\n"),
        (
            responses.Namespace((("", None),), (("~", "/"),)),
            b'* NAMESPACE (("" NIL)) (("~" "/")) NIL\r\n',
        ),
        (responses.ESearch(), b"* ESEARCH\r\n"),
        (
            responses.Fetch.of(1, {"ENVELOPE": responses.Raw(b"(...)"), "BINARY[1]": b"a\0"}),
            b"* 1 FETCH (ENVELOPE (...) BINARY[1] ~{2}\r\na\0)\r\n",
        ),
        (responses.List("a b", "\\", ("\\Sent",)), b'* LIST (\\Sent) "\\\\" "a b"\r\n'),
    ],
)
def test_responses_at_their_edges(response: responses.Response, wire: bytes) -> None:
    assert render(response) == wire


def test_a_thread_as_deep_as_a_mailbox_is_long_is_written() -> None:
    node = responses.ThreadNode(1)
    for number in range(2, 5000):
        node = responses.ThreadNode(number, (node,))
    assert render(responses.Thread((node,))).startswith(b"* THREAD (4999 4998 ")


def test_body_structures_without_extensions_and_with_many_languages() -> None:
    part = BodyStructure(b"text", b"plain", lines=1, extended=False)
    mixed = BodyStructure(
        b"multipart",
        b"mixed",
        parts=(part,),
        disposition=Disposition(b"inline"),
        language=(b"de", b"en"),
    )
    assert render(responses.Fetch(1, (("BODY", mixed),))) == (
        b'* 1 FETCH (BODY (("text" "plain" NIL NIL NIL "7BIT" 0 1) "mixed" NIL ("inline" NIL) '
        b'("de" "en") NIL))\r\n'
    )


def test_strings_take_the_form_that_can_carry_them() -> None:
    assert atoms.string(b"x" * 1001).startswith(b"{1001}\r\n")
    assert atoms.string("ä\n".encode(), utf8=True) == b"{3}\r\n\xc3\xa4\n"
    assert atoms.string(b"\xff", utf8=True) == b"{1}\r\n\xff"
    assert atoms.string('ä"'.encode(), utf8=True) == b'"\xc3\xa4\\""'
    assert atoms.astring(b"NIL") == b'"NIL"'
    assert atoms.astring(b"a]") == b"a]"
    assert atoms.nstring(None) == b"NIL"


def test_secrets_compare_and_hash_and_never_show() -> None:
    assert Secret(b"a") == Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"
    assert len({Secret(b"a"), Secret(b"a")}) == 1
    assert len(Secret(b"abc")) == 3
    assert "abc" not in f"{Secret(b'abc')!r}{Secret(b'abc')}"


def test_the_names_of_items_in_the_answer() -> None:
    assert BinarySection((1, 2), peek=True, partial=Partial(5, 9)).label == b"BINARY[1.2]<5>"
    assert BinarySection().label == b"BINARY[]"
    assert bytes(Section.parse(b"header.fields.not (a b)")) == b"HEADER.FIELDS.NOT (a b)"


def test_small_words() -> None:
    assert (repr(NEED_DATA), repr(PAUSED), repr(SAVED_RESULT)) == (
        "NEED_DATA",
        "PAUSED",
        "SAVED_RESULT",
    )
    assert bytes(SAVED_RESULT) == b"$"
    assert len(SequenceSet.parse(b"1:3,7")) == 4
    assert Flag(Flag("work")) == "work"
    assert Flag(b"\\SEEN") == "\\Seen"
    east = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert render_date_time(east) == b'" 2-Jan-2026 03:04:05 +0530"'
    assert render_date_time(east.astimezone(UTC)) == b'" 1-Jan-2026 21:34:05 +0000"'
