"""SEARCH: whether a message matches a key (RFC 9051 §6.4.4, RFC 5032, RFC 7162, RFC 8474, RFC
8514).

A key is prepared once (`Matcher`): numbers become ranges, texts are collated, and what needs the
message is asked last, so that ``UNSEEN FROM ann`` opens only unseen messages.  Then each message
costs one call.

Text is compared decoded, "[MIME-IMB] content transfer encodings and [MIME-HDRS] strings in
[RFC5322]/ [MIME-IMB] headers MUST be decoded before comparing text" (RFC 9051 §6.4.4), and without
regard to case, as `corvus_imap.collation.casemap` has it.  Parts that are neither text nor messages
are not looked into: "Server implementations MAY exclude [MIME-IMB] body parts with terminal content
media types other than TEXT and MESSAGE from consideration in SEARCH matching".
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol, assert_never, final

from corvus_imap.collation import casemap
from corvus_imap.envelope import Message, parsed
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
from corvus_imap.types.sequence import MAX_NUMBER, MessageSet, SequenceSet
from corvus_imap.view import MailboxView
from corvus_message import Part, decode_words, parse_date

__all__ = ["Matcher", "MessageFacts", "MessageText", "SearchableText", "matches", "uses_numbers"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """What a store knows of a message without opening it."""

    uid: int
    number: int
    """Its message number in this session."""
    flags: Collection[str]
    r"""In lower case (``Flag.folded``); best a frozenset.  ``\\recent`` too, where it is kept."""
    internal_date: datetime
    """With its time zone: SEARCH compares the date that INTERNALDATE shows."""
    size: int
    """RFC822.SIZE."""
    modseq: int = 0
    sent_date: date | None = None
    """The date of the Date field as it stands there, if the store keeps it; else the message is
    asked."""
    save_date: datetime | None = None
    """``None``: the mailbox keeps none (:rfc:`8514`)."""
    email_id: str | None = None
    thread_id: str | None = None


class SearchableText(Protocol):
    """
    The text of one message, collated by `casemap`; asked only where it decides.

    `MessageText` is it over octets; a store that keeps decoded headers or an index brings its own.
    """

    def header(self, name: str) -> list[str]:
        """The fields of that name (any case), decoded and collated."""

    def texts(self, *, header: bool) -> Iterator[str]:
        """Pieces of text: of the body, with *header* also all header fields and MIME headers."""

    def sent_date(self) -> date | None:
        """The date that the Date field says, in its own time zone."""


@final
class MessageText:
    """
    `SearchableText` of a message; parsed when it is first needed.

    >>> m = MessageText(b"Subject: =?utf-8?q?Caf=C3=A9?=\\r\\n\\r\\nOne\\r\\n")
    >>> m.header("subject"), list(m.texts(header=False))
    (['CAFE\\u0301'], ['ONE\\r\\n'])
    """

    __slots__ = ("_part", "_pieces", "_source", "_unread")

    def __init__(self, message: Message | Callable[[], Message]) -> None:
        self._source = message
        self._part: Part | None = None
        #: What was looked at so far, and where the rest comes from: texts, and headers that only TEXT
        #: looks into and that are parts until it does.
        self._pieces: list[tuple[bool, str | Part]] = []
        self._unread: Iterator[tuple[bool, str | Part]] | None = None

    @property
    def part(self) -> Part:
        """The message, parsed."""
        if self._part is None:
            source = self._source
            self._part = parsed(source() if callable(source) else source)
        return self._part

    def header(self, name: str) -> list[str]:
        values = self.part.fields(name.encode("ascii", "replace").lower())
        return [casemap(decode_words(value)) for value in values]

    def texts(self, *, header: bool) -> Iterator[str]:
        # A thousand keys of one search decode a message once, and no further than one of them looks.
        if self._unread is None:
            self._unread = self._decode()
        at = 0
        while True:
            if at == len(self._pieces):
                found = next(self._unread, None)
                if found is None:
                    return
                self._pieces.append(found)
            for_text_only, piece = self._pieces[at]
            if header or not for_text_only:
                if isinstance(piece, Part):
                    piece = _header_text(piece)
                    self._pieces[at] = (for_text_only, piece)
                yield piece
            at += 1

    def _decode(self) -> Iterator[tuple[bool, str | Part]]:
        todo = [(self.part, False)]
        while todo:
            part, is_message = todo.pop()
            # The header of a message inside is body of the message around it; "MIME header fields"
            # of a part count for TEXT alone (RFC 9051 §6.4.4).
            yield not is_message, part
            if part.type == "text" or (part.is_multipart and not part.children):
                yield False, casemap(part.content_text())
            inside = part.message
            todo.extend([(child, child is inside) for child in reversed(part.children)])

    def sent_date(self) -> date | None:
        value = self.part.field(b"date")
        moment = None if value is None else parse_date(value)
        return None if moment is None else moment.date()


_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")


def _header_text(part: Part) -> str:
    """All fields of *part*, decoded and collated, one on a line."""
    octets = part.header_octets
    if octets.isascii() and b"=?" not in octets:
        # Nothing to decode, in most mail: unfolded in one go.
        return casemap(_FOLD.sub(b"", octets).decode("ascii"))
    return casemap("\n".join([f"{name}: {text}" for name, text in part.headers.items()]))


#: A prepared key.
_Test = Callable[[MessageFacts, SearchableText], bool]


@final
class Matcher:
    r"""
    A search key, prepared for many messages.

    >>> from corvus_imap.types.flags import Flag
    >>> unseen_from_ann = And((TextKey(TextField.FROM, "ann"), LacksFlag(Flag("\\Seen"))))
    >>> when = datetime(2026, 11, 22, tzinfo=UTC)
    >>> facts = MessageFacts(uid=7, number=1, flags={"\\seen"}, size=9, internal_date=when)
    >>> Matcher(unseen_from_ann)(facts, lambda: b"never opened")
    False

    Args:
        key: The search key, nested at most as deep as the parser allows (``Limits.search_depth``).
        now: The time for OLDER and YOUNGER, with its time zone.
        view: The session whose numbers and ``$`` are meant.  Without it ``*`` is the highest number
            there can be, and ``$`` is empty.

    Raises:
        NoSuchMessage: A message number beyond the last; answer BAD.
        ValueError: OLDER or YOUNGER without *now*.
    """

    __slots__ = ("_test", "needs_text")

    needs_text: Final[bool]
    """Whether any message can need to be opened."""

    def __init__(
        self, key: SearchKey, *, now: datetime | None = None, view: MailboxView | None = None
    ) -> None:
        self._test = _prepare(key, now, view)
        self.needs_text = _cost(key) > _FACTS

    def __call__(
        self, facts: MessageFacts, message: Message | SearchableText | Callable[[], Message]
    ) -> bool:
        """
        Whether the message matches.

        Args:
            message: Its octets, its `corvus_message.Part`, a function that gives one of them,
                called only if the text decides, or a `SearchableText`.
        """
        if isinstance(message, bytes | bytearray | memoryview | Part) or callable(message):
            message = MessageText(message)
        return self._test(facts, message)


def matches(
    key: SearchKey,
    message: Message,
    facts: MessageFacts | None = None,
    *,
    now: datetime | None = None,
    view: MailboxView | None = None,
) -> bool:
    r"""
    Whether one message matches *key*; for many, prepare a `Matcher`.

    Without *facts* the message stands alone: unflagged, number and UID 1, come in when its Date
    says.

    >>> matches(TextKey(TextField.SUBJECT, "CAFÉ"), b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n")
    True

    Raises:
        NoSuchMessage: As for `Matcher`.
        ValueError: As for `Matcher`.
    """
    part = parsed(message)
    if facts is None:
        value = part.field(b"date")
        sent = None if value is None else parse_date(value)
        facts = MessageFacts(
            uid=1, number=1, flags=(), internal_date=sent or _EPOCH, size=part.end - part.start
        )
    return Matcher(key, now=now, view=view)(facts, part)


def uses_numbers(key: SearchKey) -> bool:
    """Whether *key* names message numbers: then no EXPUNGE during UID SEARCH
    (`may_tell_expunges`)."""
    todo: list[SearchKey] = [key]
    while todo:
        one = todo.pop()
        if isinstance(one, Sequence) and isinstance(one.messages, SequenceSet):
            return True
        todo.extend(_inner(one))
    return False


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# What a key asks, from cheap to dear; keys of one AND are asked in this order.
_FACTS, _HEADER, _BODY = range(3)


def _inner(key: SearchKey) -> tuple[SearchKey, ...]:
    match key:
        case Not():
            return (key.key,)
        case Or():
            return (key.one, key.other)
        case And():
            return key.keys
        case _:
            return ()


def _cost(key: SearchKey) -> int:
    if isinstance(key, TextKey):
        return _BODY if key.field in (TextField.BODY, TextField.TEXT) else _HEADER
    if isinstance(key, HeaderKey) or (isinstance(key, DateKey) and key.field is DateField.SENT):
        return _HEADER
    return max(map(_cost, _inner(key)), default=_FACTS)


def _prepare(key: SearchKey, now: datetime | None, view: MailboxView | None) -> _Test:
    match key:
        case All():
            return lambda facts, text: True
        case HasFlag():
            flag = key.flag.folded
            return lambda facts, text: flag in facts.flags
        case LacksFlag():
            flag = key.flag.folded
            return lambda facts, text: flag not in facts.flags
        case TextKey():
            return _text(key)
        case HeaderKey():
            return _in_header(key.name, key.text)
        case DateKey():
            return _date(key)
        case Older() | Younger():
            if now is None:
                raise ValueError("OLDER and YOUNGER need to know what time it is")
            # "messages match if the INTERNALDATE is less recent than or equal to the target time"
            # (OLDER), "more recent than or equal to" it (YOUNGER); so both match at the second (RFC
            # 5032 §3).
            target = now - timedelta(seconds=key.seconds)
            if isinstance(key, Older):
                return lambda facts, text: facts.internal_date <= target
            return lambda facts, text: facts.internal_date >= target
        case Larger():
            octets = key.octets
            return lambda facts, text: facts.size > octets
        case Smaller():
            octets = key.octets
            return lambda facts, text: facts.size < octets
        case Sequence():
            return _numbered(key.messages, view)
        case Uid():
            return _with_uid(key.messages, view)
        case ModSeq():
            # "Messages that have modification values that are equal to or greater than" it; the
            # flag of the long form may be ignored by a server that keeps one value per message (RFC
            # 7162 §3.1.5).
            least = key.value
            return lambda facts, text: facts.modseq >= least
        case EmailId():
            wanted = key.value
            return lambda facts, text: facts.email_id == wanted
        case ThreadId():
            wanted = key.value
            return lambda facts, text: facts.thread_id == wanted
        case SaveDateSupported():
            return lambda facts, text: facts.save_date is not None
        case Not():
            inner = _prepare(key.key, now, view)
            return lambda facts, text: not inner(facts, text)
        case Or():
            one, other = (_prepare(k, now, view) for k in sorted((key.one, key.other), key=_cost))
            return lambda facts, text: one(facts, text) or other(facts, text)
        case And():
            tests = [_prepare(k, now, view) for k in sorted(key.keys, key=_cost)]
            return lambda facts, text: all(test(facts, text) for test in tests)
        case _:
            assert_never(key)


def _text(key: TextKey) -> _Test:
    """
    A substring of a field or of the text.

    "a message matches the key if the string is a substring of the associated text ... Note that the
    empty string is a substring" (:rfc:`9051#section-6.4.4`).
    """
    needle = casemap(key.text)
    if not needle:
        return lambda facts, text: True
    if key.field is TextField.BODY or key.field is TextField.TEXT:
        header = key.field is TextField.TEXT
        return lambda facts, text: any(needle in piece for piece in text.texts(header=header))
    return _in_header(key.field.value, key.text)


def _in_header(name: str, wanted: str) -> _Test:
    """ "Messages that have a header field with the specified field-name ... and that contain the
    string"."""
    needle = casemap(wanted)
    return lambda facts, text: any(needle in value for value in text.header(name))


#: How the day of a key is compared with that of a message.
_RELATIONS: Final[Mapping[Relation, Callable[[date], Callable[[date], bool]]]] = {
    Relation.BEFORE: lambda day: day.__gt__,
    Relation.ON: lambda day: day.__eq__,
    Relation.SINCE: lambda day: day.__le__,
}


def _date(key: DateKey) -> _Test:
    """A date "disregarding time and timezone": as it is written, not as it would be in UTC."""
    compare = _RELATIONS[key.relation](key.day)
    if key.field is DateField.INTERNAL:
        return lambda facts, text: compare(facts.internal_date.date())
    if key.field is DateField.SAVED:
        # "When the underlying storage of a mailbox does not support the save date attribute, the
        # SAVEDBEFORE, SAVEDON, and SAVEDSINCE search keys MUST use the internal date attribute
        # instead" (RFC 8514 §4.3).
        return lambda facts, text: compare((facts.save_date or facts.internal_date).date())

    def sent(facts: MessageFacts, text: SearchableText) -> bool:
        told = facts.sent_date or text.sent_date()
        return told is not None and compare(told)

    return sent


def _numbered(messages: MessageSet, view: MailboxView | None) -> _Test:
    contains = _contains(_spans(messages) if view is None else view.resolve(messages).numbers)
    return lambda facts, text: contains(facts.number)


def _with_uid(messages: MessageSet, view: MailboxView | None) -> _Test:
    if view is None:
        contains = _contains(_spans(messages))
        return lambda facts, text: contains(facts.uid)
    contains = _contains(view.resolve(messages, uid=True).numbers)
    return lambda facts, text: contains(facts.number)


def _spans(messages: MessageSet) -> tuple[range, ...]:
    return messages.resolve(MAX_NUMBER) if isinstance(messages, SequenceSet) else ()


def _contains(spans: tuple[range, ...]) -> Callable[[int], bool]:
    """Membership in ascending disjoint ranges by binary search."""
    starts = [span.start for span in spans]

    def contains(number: int) -> bool:
        index = bisect_right(starts, number) - 1
        return index >= 0 and number in spans[index]

    return contains
