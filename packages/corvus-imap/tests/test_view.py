"""The session view: a client that believes every line is never wrong, whatever happened in
between."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_imap import SAVED_RESULT, MailboxView, NoSuchMessage, SequenceSet, Snapshot
from corvus_imap.view import may_tell_expunges


def view_of(*uids: int, **options: bool) -> MailboxView:
    return MailboxView(Snapshot(uids), **options)


def resolved(view: MailboxView, text: bytes, *, uid: bool = False) -> list[tuple[int, int]]:
    return list(view.resolve(SequenceSet.parse(text), uid=uid))


# When what may be told.


@pytest.mark.parametrize(
    ("command", "uid", "numbers", "allowed"),
    [
        (None, False, False, False),
        ("FETCH", False, False, False),
        ("STORE", False, False, False),
        ("SEARCH", False, False, False),
        ("SORT", False, False, False),
        ("THREAD", False, False, False),
        ("NOOP", False, False, True),
        ("IDLE", False, False, True),
        ("COPY", False, False, True),
        ("MOVE", False, False, True),
        ("EXPUNGE", False, False, True),
        ("FETCH", True, False, True),
        ("STORE", True, True, True),
        ("SEARCH", True, False, True),
        ("SEARCH", True, True, False),
        ("SORT", True, True, False),
        ("THREAD", True, True, False),
    ],
)
def test_expunges_are_told_only_where_the_rfcs_allow(
    command: str | None, uid: bool, numbers: bool, allowed: bool
) -> None:
    assert may_tell_expunges(command, uid=uid, numbers=numbers) is allowed


def test_the_expunge_example_of_rfc_9051() -> None:
    """Messages 3, 4, 7 and 11 of eleven: the numbers of RFC 9051 §6.4.3 and RFC 7162 §3.2.10.2."""
    uids = [11, 504, 505, 507, 508, 509, 510, 511, 512, 513, 625]
    view = MailboxView(Snapshot(uids))
    view.update(expunged=[505, 507, 510, 625])
    assert view.tell(expunges=True) == [
        b"* 3 EXPUNGE\r\n",
        b"* 3 EXPUNGE\r\n",
        b"* 5 EXPUNGE\r\n",
        b"* 8 EXPUNGE\r\n",
    ]
    resynced = MailboxView(Snapshot(uids), qresync=True)
    resynced.update(expunged=[505, 507, 510, 625])
    assert resynced.tell(expunges=True) == [b"* VANISHED 505,507,510,625\r\n"]
    resynced.update(expunged=[504, 508])
    assert resynced.tell(expunges=True) == [b"* VANISHED 504,508\r\n"]


def test_an_expunge_waits_and_the_numbers_with_it() -> None:
    view = view_of(4, 8, 15)
    view.update(expunged=[8])
    assert view.tell(expunges=False) == []
    assert (len(view), view.pending_expunges, view.is_gone(8), view.is_gone(4)) == (
        3,
        1,
        True,
        False,
    )
    # RFC 2180 §4.1: the ghost keeps its number until the client knows.
    assert resolved(view, b"2:3") == [(2, 8), (3, 15)]
    assert view.tell(expunges=True) == [b"* 2 EXPUNGE\r\n"]
    assert (len(view), view.pending_expunges, view.is_current) == (2, 0, True)
    assert resolved(view, b"2") == [(2, 15)]


def test_exists_and_flags_are_told_while_expunges_wait() -> None:
    view = view_of(4, 8, condstore=True)
    view.update(appeared=[15], expunged=[4], changed=[(8, b"\\Seen work", 12)])
    assert view.tell(expunges=False) == [
        b"* 3 EXISTS\r\n",
        b"* 2 FETCH (UID 8 FLAGS (\\Seen work) MODSEQ (12))\r\n",
    ]
    assert view.tell(expunges=True) == [b"* 1 EXPUNGE\r\n"]
    assert view.uids.tolist() == [8, 15]


def test_expunges_come_before_exists_so_that_exists_never_shrinks_the_mailbox() -> None:
    view = view_of(1, 2, 3)
    view.update(appeared=[4], expunged=[1, 3], changed=[(2, b"", 0)])
    assert view.tell(expunges=True) == [
        b"* 1 EXPUNGE\r\n",
        b"* 2 EXPUNGE\r\n",
        b"* 2 EXISTS\r\n",
        b"* 1 FETCH (UID 2 FLAGS ())\r\n",
    ]


def test_a_message_that_came_and_went_unseen_is_never_mentioned() -> None:
    """ "servers MUST NOT send UIDs for ... messages that were not announced" (RFC 7162
    §3.2.10.2)."""
    view = view_of(1, qresync=True)
    view.update(appeared=[2, 3])
    view.update(expunged=[2], changed=[(2, b"", 5), (3, b"", 6)])
    assert view.tell(expunges=True) == [b"* 2 EXISTS\r\n"]
    assert view.uids.tolist() == [1, 3]
    view.update(expunged=[2, 99])
    assert view.tell(expunges=True) == []


def test_flags_of_a_ghost_are_not_told() -> None:
    view = view_of(1, 2)
    view.update(changed=[(1, b"\\Seen", 3)])
    view.update(expunged=[1], changed=[(1, b"\\Flagged", 4)])
    assert view.tell(expunges=False) == []
    assert view.tell(expunges=True) == [b"* 1 EXPUNGE\r\n"]


def test_of_two_changes_of_a_message_the_newer_one_is_told() -> None:
    view = view_of(1)
    view.update(changed=[(1, b"\\Seen", 7), (1, b"", 5)])
    assert view.tell(expunges=False) == [b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n"]


def test_a_store_does_not_come_back_to_who_made_it() -> None:
    view = view_of(1, 2, 3)
    view.has_told([1], modseq=9)
    view.update(changed=[(1, b"\\Seen", 7), (2, b"\\Seen", 8), (3, b"", 9)])
    view.has_told([1, 2, 99], modseq=7)
    assert view.tell(expunges=False) == [
        b"* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n",
        b"* 3 FETCH (UID 3 FLAGS ())\r\n",
    ]


def test_a_uid_below_one_that_was_told_gets_no_number() -> None:
    view = view_of(5)
    view.update(appeared=[3, 5, 7, 7])
    assert view.tell(expunges=True) == [b"* 2 EXISTS\r\n"]
    assert view.uids.tolist() == [5, 7]


def test_a_long_vanished_is_cut_into_lines() -> None:
    view = MailboxView(Snapshot(range(1, 5001)), qresync=True)
    view.update(expunged=range(1, 5001, 2))
    lines = view.tell(expunges=True)
    assert [line.count(b",") + 1 for line in lines] == [1000, 1000, 500]
    assert all(line.startswith(b"* VANISHED ") and len(line) < 8000 for line in lines)


def test_highestmodseq_waits_for_what_vanished_waits_for() -> None:
    """RFC 7162 §4: 99 is told as long as VANISHED with 100 is delayed, though 104 was seen."""
    view = MailboxView(Snapshot([6, 7, 8]), modseq=96, qresync=True)
    view.update(modseq=99)
    view.update(expunged=[8], modseq=100)
    view.update(changed=[(6, b"\\Seen", 103)], modseq=103)
    assert view.highest_modseq == 96
    view.tell(expunges=False)
    assert view.highest_modseq == 99
    view.update(expunged=[7], modseq=104)
    view.tell(expunges=False)
    assert view.highest_modseq == 99
    view.tell(expunges=True)
    assert view.highest_modseq == 104


# Sharing.


def test_sessions_that_were_told_the_same_share_one_array() -> None:
    before = Snapshot(range(1, 1001))
    views = [MailboxView(before) for _ in range(10)]
    assert all(view.uids is before.uids for view in views)
    after = before.after(appeared=[1001, 1005], expunged=[3, 999])
    for view in views:
        view.update(appeared=[1001, 1005], expunged=[3, 999], snapshot=after)
        view.tell(expunges=True)
    assert all(view.uids is after.uids for view in views)
    assert before.uids[2] == 3
    assert len(after) == 1000


def test_a_view_with_ghosts_keeps_numbers_of_its_own_until_they_are_told() -> None:
    before = Snapshot([1, 2, 3])
    view, other = MailboxView(before), MailboxView(before)
    after = before.after(appeared=[4], expunged=[2])
    view.update(appeared=[4], expunged=[2], snapshot=after)
    view.tell(expunges=False)
    assert (view.uids.tolist(), other.uids.tolist()) == ([1, 2, 3, 4], [1, 2, 3])
    assert view.tell(expunges=True) == [b"* 2 EXPUNGE\r\n"]
    assert view.uids is after.uids


def test_a_snapshot_that_does_not_fit_is_not_believed() -> None:
    for wrong in ([1, 2, 3, 4], [1, 2]):
        view = view_of(1, 2, 3)
        view.update(expunged=[2], snapshot=Snapshot(wrong))
        view.tell(expunges=True)
        assert view.uids.tolist() == [1, 3]


def test_a_notice_of_flags_alone_does_not_end_the_sharing() -> None:
    before = Snapshot([1, 2, 3])
    view = MailboxView(before)
    after = before.after(expunged=[2])
    view.update(expunged=[2], snapshot=after)
    view.update(changed=[(1, b"", 9)], modseq=9)
    view.update(appeared=[4])
    view.update(expunged=[4], snapshot=after)
    view.tell(expunges=True)
    assert view.uids is after.uids


def test_an_idle_session_costs_no_more_than_its_fields() -> None:
    shared = Snapshot(range(1, 100_001))
    view = MailboxView(shared)
    assert sys.getsizeof(view) < 200
    assert not hasattr(view, "__dict__")
    assert view.uids is shared.uids


@pytest.mark.parametrize("uids", [[0], [2, 2], [3, 1], [-1], [1 << 32]])
def test_a_snapshot_is_strictly_ascending_and_has_32_bits(uids: list[int]) -> None:
    with pytest.raises(ValueError, match=r"ascending|32 bits"):
        Snapshot(uids)


def test_a_snapshot_never_gets_a_uid_below_its_last() -> None:
    with pytest.raises(ValueError, match="UID 5 appeared"):
        Snapshot([5]).after(appeared=[5])
    with pytest.raises(ValueError, match="UID 7 appeared"):
        Snapshot().after(appeared=[7, 7])


# Numbers.


def test_a_uid_set_finds_what_is_there_and_the_last_by_a_star() -> None:
    view = view_of(4, 8, 15, 16)
    assert resolved(view, b"1:8,16", uid=True) == [(1, 4), (2, 8), (4, 16)]
    # "3291:* includes the UID of the last message in the mailbox, even if that value is less than
    # 3291".
    assert resolved(view, b"3291:*", uid=True) == [(4, 16)]
    assert resolved(view, b"9:12,99", uid=True) == []
    assert resolved(view, b"1:*", uid=True) == [(1, 4), (2, 8), (3, 15), (4, 16)]
    assert resolved(view_of(), b"1:*", uid=True) == []


def test_uid_fetch_of_what_came_in_meanwhile_sees_it_once_exists_was_told() -> None:
    """Stalwart 0.16.6: ``UID FETCH n:*`` did not see messages moved in by another connection."""
    view = view_of(4)
    view.update(appeared=[9])
    assert view.tell(expunges=False) == [b"* 2 EXISTS\r\n"]
    assert resolved(view, b"5:*", uid=True) == [(2, 9)]


@pytest.mark.parametrize("text", [b"4", b"1:4", b"4:*", b"2,4294967295"])
def test_a_number_beyond_the_last_is_an_error(text: bytes) -> None:
    with pytest.raises(NoSuchMessage, match="3 messages"):
        resolved(view_of(4, 8, 15), text)


def test_numbers_of_an_empty_mailbox_are_an_error_and_uids_are_not() -> None:
    for text in (b"*", b"1:*", b"*:*", b"1"):
        with pytest.raises(NoSuchMessage, match="0 messages"):
            resolved(view_of(), text)


def test_a_star_is_the_last_message() -> None:
    view = view_of(4, 8, 15)
    assert resolved(view, b"*") == [(3, 15)]
    assert resolved(view, b"*:*,3:2") == [(2, 8), (3, 15)]
    assert resolved(view, b"*:1") == [(1, 4), (2, 8), (3, 15)]


def test_the_saved_result_follows_the_expunges() -> None:
    view = view_of(4, 8, 15, 16)
    assert list(view.resolve(SAVED_RESULT)) == []
    view.save([16, 8, 15, 8])
    assert list(view.resolve(SAVED_RESULT)) == [(2, 8), (3, 15), (4, 16)]
    assert list(view.resolve(SAVED_RESULT, uid=True)) == [(2, 8), (3, 15), (4, 16)]
    view.update(expunged=[8])
    view.tell(expunges=True)
    assert list(view.resolve(SAVED_RESULT)) == [(2, 15), (3, 16)]
    view.save([])
    assert list(view.resolve(SAVED_RESULT)) == []


def test_a_selection_stays_what_it_was() -> None:
    view = view_of(4, 8, 15)
    chosen = view.resolve(SequenceSet.parse(b"1:*"))
    part = view.resolve(SequenceSet.parse(b"1,3"))
    view.update(expunged=[4], appeared=[16])
    view.tell(expunges=True)
    assert list(chosen) == [(1, 4), (2, 8), (3, 15)]
    assert (len(part), part.uids.tolist()) == (2, [4, 15])
    assert chosen.uids.tolist() == [4, 8, 15]


def test_number_of_a_uid() -> None:
    view = view_of(4, 8)
    assert [view.number_of(uid) for uid in (4, 8, 5, 99)] == [1, 2, 0, 0]


# Against the naive model: a client that keeps a list and does what the lines say.


class Client:
    """Remembers UIDs by position; ``None`` for messages it was told of by EXISTS alone."""

    def __init__(self, uids: Sequence[int]) -> None:
        self.messages: list[int] = list(uids)
        self.flags: dict[int, bytes] = {}

    def read(self, lines: list[bytes], truth: list[int], *, expunges: bool) -> None:
        for line in lines:
            if match := re.fullmatch(rb"\* (\d+) EXPUNGE\r\n", line):
                assert expunges
                del self.messages[int(match[1]) - 1]
            elif match := re.fullmatch(rb"\* VANISHED ([0-9:,]+)\r\n", line):
                assert expunges
                for uid in SequenceSet.parse(match[1]).in_given_order():
                    self.messages.remove(uid)
            elif match := re.fullmatch(rb"\* (\d+) EXISTS\r\n", line):
                count = int(match[1])
                assert count > len(self.messages), "EXISTS only ever adds"
                known = max(self.messages, default=0)
                later = [uid for uid in truth if uid > known]
                self.messages += later[: count - len(self.messages)]
                assert len(self.messages) == count
            else:
                match = re.fullmatch(rb"\* (\d+) FETCH \(UID (\d+) FLAGS \((.*)\)\)\r\n", line)
                assert match is not None, line
                assert self.messages[int(match[1]) - 1] == int(match[2])
                self.flags[int(match[2])] = match[3]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 4)),
        st.tuples(st.just("expunge"), st.lists(st.integers(0, 12), max_size=4)),
        st.tuples(st.just("flags"), st.integers(0, 12)),
        st.tuples(st.just("notify"), st.booleans()),
        st.tuples(st.just("tell"), st.booleans()),
        st.tuples(st.just("resolve"), st.lists(st.tuples(st.integers(1, 15), st.integers(1, 15)))),
    ),
    max_size=30,
)


@pytest.mark.property
@given(STEPS, st.booleans(), st.integers(0, 6))
def test_a_client_that_believes_every_line_ends_up_right(
    steps: list[tuple[str, object]], qresync: bool, size: int
) -> None:
    truth = list(range(1, size + 1))
    flags: dict[int, bytes] = {}
    view = MailboxView(Snapshot(truth))
    # VANISHED without MODSEQ, so that both kinds of line have one shape here.
    view.qresync, view.condstore = qresync, False
    client, shared = Client(truth), Snapshot(truth)
    next_uid, modseq = size + 1, 1
    appeared: list[int] = []
    expunged: list[int] = []
    changed: list[tuple[int, bytes, int]] = []

    def notify(share: bool) -> None:
        nonlocal shared
        shared = shared.after(appeared=appeared, expunged=expunged)
        assert shared.uids.tolist() == truth
        view.update(
            appeared=appeared,
            expunged=expunged,
            changed=changed,
            modseq=modseq,
            snapshot=shared if share else None,
        )
        for pending in (appeared, expunged, changed):
            pending.clear()

    def tell(expunges: bool) -> None:
        lines = view.tell(expunges=expunges)
        if qresync:
            lines = [re.sub(rb" MODSEQ \(\d+\)", b"", line) for line in lines]
        client.read(lines, truth_and_ghosts(), expunges=expunges)
        assert view.uids.tolist() == client.messages

    def truth_and_ghosts() -> list[int]:
        return sorted({*truth, *view.uids})

    for what, argument in steps:
        match what, argument:
            case "append", int(count):
                # Appeared and expunged in one notice is a message nobody hears of.
                fresh = list(range(next_uid, next_uid + count))
                next_uid += count
                truth += fresh
                appeared += fresh
                modseq += 1
            case "expunge", list(places):
                for uid in {truth[place % len(truth)] for place in places if truth}:
                    truth.remove(uid)
                    expunged.append(uid)
                modseq += 1
            case "flags", int(place) if truth:
                modseq += 1
                uid = truth[place % len(truth)]
                flags[uid] = b"k%d" % modseq
                changed.append((uid, flags[uid], modseq))
            case "notify", bool(share):
                notify(share)
            case "tell", bool(expunges):
                tell(expunges)
                if expunges:
                    assert view.pending_expunges == 0
            case "resolve", list(pairs) if pairs:
                wanted = SequenceSet(tuple((min(pair), max(pair)) for pair in pairs))
                numbers = {n for low, high in wanted.ranges for n in range(low, high + 1)}
                model = [(i, uid) for i, uid in enumerate(client.messages, 1) if uid in numbers]
                assert list(view.resolve(wanted, uid=True)) == model
                if max(numbers) <= len(client.messages):
                    model = [(i, uid) for i, uid in enumerate(client.messages, 1) if i in numbers]
                    assert list(view.resolve(wanted)) == model
                else:
                    with pytest.raises(NoSuchMessage):
                        view.resolve(wanted)
    notify(share=True)
    tell(expunges=True)
    assert client.messages == truth
    assert view.is_current
    assert view.highest_modseq == modseq
    # What the client knows of flags is what they are.
    known = {uid: value for uid, value in client.flags.items() if uid in truth}
    assert known.items() <= flags.items()
