"""SEARCH keys, one by one, over facts and over text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

import pytest

from corvus_imap import (
    SAVED_RESULT,
    Flag,
    MailboxView,
    Matcher,
    MessageFacts,
    MessageText,
    NoSuchMessage,
    SequenceSet,
    Snapshot,
    matches,
)
from corvus_imap.match import uses_numbers
from corvus_imap.types.search import (
    All,
    And,
    DateField,
    DateKey,
    EmailId,
    HasFlag,
    HeaderKey,
    LacksFlag,
    Larger,
    ModSeq,
    Not,
    Older,
    Or,
    Relation,
    SaveDateSupported,
    SearchKey,
    Sequence,
    Smaller,
    TextField,
    TextKey,
    ThreadId,
    Uid,
    Younger,
)
from corvus_message import Part, parse

SEEN: Final = HasFlag(Flag("\\Seen"))
ARRIVED: Final = datetime(2026, 11, 22, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
FACTS: Final = MessageFacts(
    uid=70,
    number=7,
    flags=frozenset({"\\seen", "work"}),
    internal_date=ARRIVED,
    size=1000,
    modseq=620,
    email_id="M1",
    thread_id="T1",
)
MESSAGE: Final = (
    b"From: =?utf-8?q?Z=C3=B6e?= <zoe@example.org>\r\nTo: Ann <ann@b.example>\r\n"
    b"Cc: Bob <bob@c.example>\r\nBcc: dan@d.example\r\nSubject: =?iso-8859-1?q?Caf=E9?= today\r\n"
    b"Date: Sat, 21 Nov 2026 23:50:00 -0800\r\nX-Empty:\r\nX-Two: one\r\nX-Two: two\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"U3RyYcOfZSBpbiBNw7xuY2hlbg==\r\n"  # Straße in München
    b"--b\r\nContent-Type: text/html; charset=iso-8859-1; name=page.html\r\n\r\n<b>caf\xe9</b>\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\n\r\nbinary words\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?inn=C3=A9r?=\r\n\r\ndeep text\r\n"
    b"--b--\r\n"
)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (All(), True),
        (SEEN, True),
        (HasFlag(Flag("WORK")), True),
        (HasFlag(Flag("\\Deleted")), False),
        (LacksFlag(Flag("\\Seen")), False),
        (LacksFlag(Flag("\\Deleted")), True),
        (Larger(999), True),
        (Larger(1000), False),
        (Smaller(1000), False),
        (Smaller(1001), True),
        (ModSeq(620), True),
        (ModSeq(621), False),
        (EmailId("M1"), True),
        (EmailId("m1"), False),
        (ThreadId("T1"), True),
        (ThreadId("T2"), False),
        (SaveDateSupported(), False),
        (Not(SEEN), False),
        (Or(Not(SEEN), Larger(1)), True),
        (Or(Not(SEEN), Larger(1000)), False),
        (And((SEEN, Larger(1))), True),
        (And((SEEN, Larger(1000))), False),
        (Sequence(SequenceSet.parse(b"1:3,7")), True),
        (Sequence(SequenceSet.parse(b"8:*")), False),
        (Sequence(SAVED_RESULT), False),
        (Uid(SequenceSet.parse(b"60:*")), True),
        (Uid(SequenceSet.parse(b"1:69,71")), False),
    ],
)
def test_facts_decide_without_the_message(key: SearchKey, found: bool) -> None:
    def opened() -> bytes:
        raise AssertionError("the message was opened")

    matcher = Matcher(key)
    assert matcher(FACTS, opened) is found
    assert not matcher.needs_text


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (TextKey(TextField.FROM, "zÖE"), True),
        (TextKey(TextField.FROM, "zoe@EXAMPLE"), True),
        (TextKey(TextField.FROM, "ann"), False),
        (TextKey(TextField.TO, "ann <ANN@"), True),
        (TextKey(TextField.CC, "bob"), True),
        (TextKey(TextField.BCC, "dan"), True),
        (TextKey(TextField.BCC, ""), True),
        (TextKey(TextField.SUBJECT, "CAFÉ TODAY"), True),
        (TextKey(TextField.SUBJECT, "inner"), False),
        (TextKey(TextField.BODY, "strasse"), True),
        (TextKey(TextField.BODY, "münchen"), True),
        (TextKey(TextField.BODY, "CAFÉ</b>"), True),
        (TextKey(TextField.BODY, "deep"), True),
        # The header of a message inside is body; that of a part is not; what is no text is not
        # read.
        (TextKey(TextField.BODY, "subject: INNÉR"), True),
        (TextKey(TextField.BODY, "page.html"), False),
        (TextKey(TextField.BODY, "ann@b"), False),
        (TextKey(TextField.BODY, "binary words"), False),
        (TextKey(TextField.TEXT, "page.html"), True),
        (TextKey(TextField.TEXT, "ann@b"), True),
        (TextKey(TextField.TEXT, "deep"), True),
        (TextKey(TextField.TEXT, "nowhere"), False),
        (HeaderKey("x-empty", ""), True),
        (HeaderKey("x-empty", "a"), False),
        (HeaderKey("X-TWO", "WO"), True),
        (HeaderKey("x-none", ""), False),
        (HeaderKey("content-type", "multipart"), True),
        (DateKey(DateField.SENT, Relation.ON, date(2026, 11, 21)), True),
        (DateKey(DateField.SENT, Relation.SINCE, date(2026, 11, 22)), False),
        (DateKey(DateField.SENT, Relation.BEFORE, date(2026, 11, 22)), True),
    ],
)
def test_text_is_decoded_and_has_no_case(key: SearchKey, found: bool) -> None:
    assert matches(key, MESSAGE, FACTS) is found
    assert Matcher(key)(FACTS, lambda: parse(MESSAGE)) is found
    assert Matcher(key).needs_text


@pytest.mark.parametrize(
    ("relation", "day", "found"),
    [
        (Relation.ON, 22, True),
        (Relation.ON, 23, False),
        (Relation.SINCE, 22, True),
        (Relation.SINCE, 23, False),
        (Relation.BEFORE, 22, False),
        (Relation.BEFORE, 23, True),
    ],
)
def test_dates_are_those_that_stand_there_and_not_those_in_utc(
    relation: Relation, day: int, found: bool
) -> None:
    """ "disregarding time and timezone": 23:30 -0500 on the 22nd is the 22nd."""
    for field in (DateField.INTERNAL, DateField.SAVED):
        assert matches(DateKey(field, relation, date(2026, 11, day)), b"", FACTS) is found


def test_a_kept_sent_date_spares_the_message_and_a_missing_one_matches_nothing() -> None:
    kept = MessageFacts(
        uid=1, number=1, flags=(), internal_date=ARRIVED, size=1, sent_date=date(2001, 2, 3)
    )
    key = DateKey(DateField.SENT, Relation.ON, date(2001, 2, 3))
    assert Matcher(key)(kept, lambda: b"never parsed")
    for header in (b"", b"Date: yesterday\r\n"):
        assert not matches(key, header + b"\r\n", FACTS)
        assert not matches(DateKey(DateField.SENT, Relation.BEFORE, date.max), header, FACTS)


def test_save_dates_count_where_they_are_kept() -> None:
    saved = MessageFacts(
        uid=1,
        number=1,
        flags=(),
        internal_date=ARRIVED,
        size=1,
        save_date=ARRIVED + timedelta(days=9),
    )
    assert matches(DateKey(DateField.SAVED, Relation.ON, date(2026, 12, 1)), b"", saved)
    assert matches(SaveDateSupported(), b"", saved)


def test_older_and_younger_both_hold_at_the_second() -> None:
    now = ARRIVED.astimezone(UTC) + timedelta(seconds=60)
    for seconds, older, younger in ((59, True, False), (60, True, True), (61, False, True)):
        assert matches(Older(seconds), b"", FACTS, now=now) is older
        assert matches(Younger(seconds), b"", FACTS, now=now) is younger
    assert matches(Younger(0xFFFFFFFF), b"", FACTS, now=now)
    with pytest.raises(ValueError, match="what time"):
        Matcher(Not(Older(1)))


def test_numbers_mean_those_of_the_session() -> None:
    view = MailboxView(Snapshot([4, 8, 70]))
    seventh = MessageFacts(uid=70, number=3, flags=(), internal_date=ARRIVED, size=1)
    view.save([70])
    for key, found in (
        (Sequence(SequenceSet.parse(b"*")), True),
        (Sequence(SequenceSet.parse(b"1:2")), False),
        (Sequence(SAVED_RESULT), True),
        (Uid(SequenceSet.parse(b"500:*")), True),
        (Uid(SequenceSet.parse(b"1:8")), False),
        (Uid(SAVED_RESULT), True),
    ):
        assert Matcher(key, view=view)(seventh, b"") is found
    with pytest.raises(NoSuchMessage):
        Matcher(Or(All(), Sequence(SequenceSet.parse(b"4"))), view=view)


def test_a_message_alone_is_unflagged_number_one_and_as_old_as_its_date() -> None:
    assert matches(LacksFlag(Flag("\\Seen")), MESSAGE)
    assert matches(Sequence(SequenceSet.parse(b"1")), MESSAGE)
    assert matches(DateKey(DateField.INTERNAL, Relation.ON, date(2026, 11, 21)), MESSAGE)
    assert matches(DateKey(DateField.INTERNAL, Relation.ON, date(1970, 1, 1)), b"")
    assert matches(Larger(len(MESSAGE) - 1), MESSAGE)
    assert not matches(Larger(len(MESSAGE)), MESSAGE)


def test_dear_keys_are_asked_last() -> None:
    asked: list[str] = []

    class Spy:
        def header(self, name: str) -> list[str]:
            asked.append(name)
            return []

        def texts(self, *, header: bool) -> Iterator[str]:
            asked.append("text" if header else "body")
            return iter(())

        def sent_date(self) -> date | None:
            asked.append("date")
            return None

    body = TextKey(TextField.BODY, "x")
    text = TextKey(TextField.TEXT, "x")
    subject = TextKey(TextField.SUBJECT, "x")
    assert not Matcher(And((body, subject, LacksFlag(Flag("\\Seen")))))(FACTS, Spy())
    assert asked == []
    assert not Matcher(And((body, Not(subject))))(FACTS, Spy())
    assert asked == ["SUBJECT", "body"]
    assert Matcher(Or(text, SEEN))(FACTS, Spy())
    assert asked == ["SUBJECT", "body"]
    assert not Matcher(Or(And((text,)), subject))(FACTS, Spy())
    assert asked == ["SUBJECT", "body", "SUBJECT", "text"]
    assert not Matcher(DateKey(DateField.SENT, Relation.ON, date.max))(FACTS, Spy())
    assert asked[-1] == "date"


def test_a_message_is_parsed_at_most_once() -> None:
    opened: list[int] = []

    def source() -> bytes:
        opened.append(1)
        return MESSAGE

    text = MessageText(source)
    key = And((TextKey(TextField.SUBJECT, "today"), TextKey(TextField.TEXT, "deep")))
    assert Matcher(key)(FACTS, text)
    assert Matcher(key)(FACTS, text)
    assert opened == [1]


def test_a_message_is_decoded_once_for_all_keys_and_no_further_than_they_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded: list[Part] = []
    decode = Part.content_text

    def counted(part: Part) -> str:
        decoded.append(part)
        return decode(part)

    monkeypatch.setattr(Part, "content_text", counted)
    head = TextKey(TextField.TEXT, "today")
    assert matches(head, MESSAGE)
    assert not decoded
    body = TextKey(TextField.BODY, "nowhere")
    assert not matches(Or(body, Or(TextKey(TextField.TEXT, "nowhere"), body)), MESSAGE)
    assert len(decoded) == len(set(map(id, decoded)))


def test_the_content_of_an_undivided_multipart_is_searched_as_it_is_shown() -> None:
    assert matches(
        TextKey(TextField.BODY, "HELLO"), b"Content-Type: multipart/mixed\r\n\r\nhello\r\n"
    )


def test_message_numbers_in_a_key_are_found_however_deep() -> None:
    numbers = Sequence(SequenceSet.parse(b"1"))
    assert uses_numbers(And((All(), Not(Or(SEEN, numbers)))))
    assert not uses_numbers(And((Uid(SequenceSet.parse(b"1")), Sequence(SAVED_RESULT), Not(SEEN))))
