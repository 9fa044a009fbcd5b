"""What a client missed while it was away (RFC 7162 §3.2)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from corvus_imap import responses
from corvus_imap.types.resync import QResync
from corvus_imap.types.sequence import MessageSet, SavedResult, SequenceSet

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

Span = tuple[int, int]
#: Ranges in one VANISHED line.
_RANGES: Final = 1000


def resynchronise(session: IMAPSession, known: QResync) -> None:
    """Tell in SELECT's answer what changed behind ``QRESYNC (...)``."""
    box = session.box
    state = box.state
    if known.uid_validity != state.uid_validity:
        # "If the provided UIDVALIDITY doesn't match ... the server MUST ignore the remaining
        # parameters" (§3.2.5.1).
        return
    least = 1 if known.known_numbers is None else _agreed(session, *known.known_numbers) + 1
    changes = session.store.messages.changes_since(state.id, known.modseq)
    wanted = _spans(known.known_uids, state.uid_next - 1)
    gone = changes.vanished
    if not changes.complete:
        # The past is forgotten: everything that the client may know and that is not there is gone,
        # except below what both agree on (§3.2.5.2).
        gone = ((least, max(least, state.uid_next - 1)),)
    _tell_vanished(session, gone, wanted)
    lows = [low for low, _ in wanted]
    uids, values, modseqs = [], [], []
    for uid, flags, modseq in changes.changed:
        at = bisect_right(lows, uid) - 1
        if at >= 0 and uid <= wanted[at][1] and box.view.seq(uid) is not None:
            uids.append(uid)
            values.append(flags)
            modseqs.append(modseq)
    session.tell_flags(uids, values, modseqs)


def _agreed(session: IMAPSession, numbers: SequenceSet, uids: SequenceSet) -> int:
    """The highest UID whose number client and server agree on (§3.2.5.2); 0 if there is none."""
    view = session.box.view
    highest = 0
    for number, uid in zip(numbers.in_given_order(), uids.in_given_order(), strict=False):
        if view.seq(uid) != number:
            break
        highest = uid
    return highest


def vanished_earlier(session: IMAPSession, since: int, messages: MessageSet) -> None:
    """``UID FETCH ... (CHANGEDSINCE n VANISHED)`` (§3.2.6)."""
    if isinstance(messages, SavedResult):
        return  # what was expunged is no longer in "$" (RFC 5182 §2.1)
    state = session.box.state
    changes = session.store.messages.changes_since(state.id, since)
    last = state.uid_next - 1
    gone = changes.vanished if changes.complete else ((1, max(1, last)),)
    _tell_vanished(session, gone, _spans(messages, last))


def _spans(known: SequenceSet | None, last: int) -> list[Span]:
    """*known* as ascending ranges that do not overlap; ``None`` is all that ever was."""
    if known is None:
        return [(1, last)] if last else []
    return [(span.start, span.stop - 1) for span in known.resolve(max(1, last))]


def _tell_vanished(session: IMAPSession, gone: Iterable[Span], wanted: Sequence[Span]) -> None:
    """``VANISHED (EARLIER)`` of *gone*, as far as it is *wanted* and not there."""
    last = session.box.state.uid_next - 1
    holes = _without(_common(gone, wanted), session.box.view.uids())
    ranges = [(low, min(high, last)) for low, high in holes if low <= last]
    for start in range(0, len(ranges), _RANGES):
        some = SequenceSet(tuple(ranges[start : start + _RANGES]))
        session.conn.send(responses.Vanished(some, earlier=True))


def _common(ones: Iterable[Span], others: Sequence[Span]) -> Iterator[Span]:
    """What is in both; ascending, in one pass."""
    at = 0
    for low, high in ones:
        while at < len(others) and others[at][1] < low:
            at += 1
        here = at
        while here < len(others) and others[here][0] <= high:
            yield max(low, others[here][0]), min(high, others[here][1])
            here += 1


def _without(spans: Iterable[Span], uids: Sequence[int]) -> Iterator[Span]:
    """*spans* without *uids* (ascending)."""
    for low, high in spans:
        at = bisect_left(uids, low)
        while at < len(uids) and uids[at] <= high:
            if uids[at] > low:
                yield low, uids[at] - 1
            low = uids[at] + 1
            at += 1
        if low <= high:
            yield low, high
