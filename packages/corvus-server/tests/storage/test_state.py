"""The mailboxes in memory, and what sessions are told of them."""

from __future__ import annotations

import asyncio
import gc
from array import array
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_server.storage.flags import DELETED, SEEN, Keywords, split_flags
from corvus_server.storage.registry import Notices, Registry
from corvus_server.storage.state import _JOURNAL, MailboxState, View


def state(uids: Sequence[int] = (), *, mailbox: int = 1) -> MailboxState:
    n = len(uids)
    return MailboxState(
        id=mailbox,
        account_id=1,
        uid_validity=1,
        uid_next=(uids[-1] if uids else 0) + 1,
        modseq=10,
        keywords=Keywords({1: ("Blue",)}),
        uids=array("I", uids),
        flags=array("I", [0] * n),
        modseqs=array("Q", [10] * n),
        sizes=array("I", [100] * n),
        serials=array("I", range(1, n + 1)),
    )


def grow(box: MailboxState, modseq: int, *uids: int, serials: Sequence[int] | None = None) -> None:
    n = len(uids)
    box.appended(modseq, uids, [0] * n, [50] * n, serials or [u + 100 for u in uids])


def test_a_hundred_thousand_messages_cost_little_and_are_shared() -> None:
    box = state(range(1, 100_001))
    assert box.memory < 20_000_000
    views = [box.view() for _ in range(1000)]
    assert all(view._uids is box.uids for view in views)
    grow(box, 11, 100_001)
    # Appending copies nothing for anybody.
    assert all(view._uids is box.uids and len(view) == 100_000 for view in views)
    assert views[0].poll().exists == 100_001
    box.expunged(12, [5])
    assert views[0]._uids is views[1]._uids
    assert views[0].poll().expunged == ((5, 5),)
    assert views[0]._uids is box.uids


def test_what_was_read_already_is_not_applied_twice() -> None:
    box = state([1, 2, 3])
    grow(box, 10, 4)
    box.expunged(9, [1])
    box.flagged(10, [1], [SEEN])
    assert list(box.uids) == [1, 2, 3]
    assert list(box.flags) == [0, 0, 0]


def test_changes_without_rows_raise_the_modseq() -> None:
    box = state([1])
    grow(box, 11)
    box.flagged(12, [], [])
    box.expunged(13, [])
    assert box.modseq == 13
    assert not box.view().poll()


def test_flags_are_found_for_runs_and_for_scattered_messages() -> None:
    box = state([1, 3, 5, 7, 9])
    box.flagged(11, [3, 5, 7], [SEEN, DELETED, 1 << 8])
    box.flagged(12, [1, 4, 9], [SEEN, SEEN, SEEN])
    assert list(box.flags) == [SEEN, SEEN, DELETED, 1 << 8, SEEN]
    assert list(box.modseqs) == [12, 11, 11, 11, 12]
    assert box.flag_text(1 << 8 | SEEN) == b"\\Seen Blue"
    assert box.keyword_names() == ("Blue",)


def test_expunging_what_is_not_there_takes_nothing() -> None:
    box = state([2, 4, 6])
    box.expunged(11, [1, 3, 4, 5, 99])
    assert list(box.uids) == [2, 6]
    assert list(box.serials) == [1, 3]


def test_a_message_that_came_and_went_unseen_is_not_told() -> None:
    box = state([1])
    view = box.view()
    grow(box, 11, 2)
    box.flagged(12, [2], [SEEN])
    box.expunged(13, [2])
    assert not view.poll()
    assert len(view) == 1


def test_ones_own_change_is_not_told_again() -> None:
    box = state([1, 2])
    view = box.view()
    box.flagged(11, [1], [SEEN])
    box.flagged(12, [2], [SEEN])
    assert [c[1] for c in view.poll(ignore={11}).changed] == [2]


def test_numbers_of_changes_are_those_after_the_expunges() -> None:
    box = state([1, 2, 3])
    view = box.view()
    box.expunged(11, [1])
    box.flagged(12, [3], [SEEN])
    poll = view.poll()
    assert (poll.expunged, poll.changed) == (((1, 1),), ((2, 3, SEEN, 12),))


def test_a_session_that_slept_too_long_compares_everything() -> None:
    box = state(range(1, 50))
    view, awake = box.view(), box.view()
    for n in range(_JOURNAL + 10):
        box.flagged(11 + n, [n % 49 + 1], [n % 2])
    box.expunged(5000, [10, 20])
    grow(box, 5001, 60)
    assert box.journal(0) is None
    for session in (view, awake):
        poll = session.poll()
        assert poll.expunged == ((20, 20), (10, 10))
        assert poll.exists == 48
        assert len(poll.changed) == 47
        assert not session.poll()


def test_ranges_of_a_view_are_what_it_was_told() -> None:
    box = state([2, 4, 6])
    view = box.view()
    grow(box, 11, 8)
    assert list(view.uids(2)) == [4, 6]
    assert list(view.uids(1, 99)) == [2, 4, 6]
    assert list(view.uid_range(3, 8)) == [4, 6]
    assert list(view.uid_range(7, 8)) == []
    assert view.current
    assert view.seq(8) is None
    with pytest.raises(IndexError):
        view.uid(0)


def test_contents_are_found_in_order_and_out_of_order() -> None:
    box = state(range(1, 101))
    assert box.uids_of([5, 3, 999]) == [3, 5]
    assert box.newest_serial == 100
    grow(box, 11, 101, serials=[7])  # a copy of something older
    assert box.uids_of({7, 8}) == [7, 8, 101]
    assert box.newest_serial == 100
    assert state().newest_serial == 0


@pytest.mark.property
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("grow"), st.integers(1, 3)),
            st.tuples(st.just("gone"), st.sets(st.integers(1, 25), max_size=5)),
            st.tuples(st.just("flag"), st.sets(st.integers(1, 25), min_size=1, max_size=5)),
            st.tuples(st.just("poll"), st.booleans()),
            st.tuples(st.just("view"), st.booleans()),
        ),
        max_size=25,
    )
)
def test_every_session_ends_with_what_is_there(steps: list[tuple[str, object]]) -> None:
    box = state([1, 2, 3])
    views: list[tuple[View, list[int]]] = [(box.view(), [1, 2, 3])]
    next_uid, modseq = 4, 10

    def poll(view: View, told: list[int], expunges: bool) -> None:
        found = view.poll(expunges=expunges)
        for seq, uid in found.expunged:
            assert told.pop(seq - 1) == uid
        if found.exists is not None:
            told += [view.uid(n) for n in range(len(told) + 1, found.exists + 1)]
        assert told == list(view.uids())
        for seq, uid, _, _ in found.changed:
            assert told[seq - 1] == uid

    for kind, value in steps:
        modseq += 1
        if kind == "grow":
            assert isinstance(value, int)
            grow(box, modseq, *range(next_uid, next_uid + value))
            next_uid += value
        elif kind == "gone":
            assert isinstance(value, set)
            box.expunged(modseq, sorted(value & set(box.uids)))
        elif kind == "flag":
            assert isinstance(value, set)
            uids = sorted(value & set(box.uids))
            box.flagged(modseq, uids, [SEEN] * len(uids))
        elif kind == "view":
            views.append((box.view(), list(box.uids)))
        else:
            for view, told in views[:: 2 if value else 1]:
                poll(view, told, bool(value))
    for view, told in views:
        poll(view, told, True)
        assert told == list(box.uids)


def test_split_flags_knows_system_flags_in_any_case() -> None:
    assert split_flags(["\\SEEN", "\\deleted", "\\Recent", "", "b", "A", "a"]) == (9, ("A", "b"))


# The registry.


def opened(registry: Registry, box: MailboxState) -> MailboxState:
    async def load() -> MailboxState:
        return box

    return asyncio.run(registry.open(box.id, load))


def test_states_nobody_looks_at_are_let_go_by_size() -> None:
    registry = Registry(keep=100 * 24)
    view = opened(registry, state(range(1, 81), mailbox=1)).view()
    opened(registry, state(range(1, 81), mailbox=2))
    opened(registry, state(range(1, 81), mailbox=3))
    gc.collect()
    assert registry.opened(1) is view.state  # somebody looks at it
    assert registry.opened(2) is None
    assert registry.opened(3) is not None


def test_a_failed_load_fails_all_who_wait_and_the_next_tries_again() -> None:
    async def main() -> None:
        registry = Registry()

        async def fail() -> MailboxState:
            await asyncio.sleep(0)
            raise RuntimeError("disk")

        results = await asyncio.gather(
            registry.open(1, fail), registry.open(1, fail), return_exceptions=True
        )
        assert [str(r) for r in results] == ["disk", "disk"]

        async def work() -> MailboxState:
            return state([1])

        assert len(await registry.open(1, work)) == 1

    asyncio.run(main())


def test_who_gives_up_reading_takes_nobody_along() -> None:
    async def main() -> None:
        registry = Registry()
        begun = asyncio.Event()

        async def never() -> MailboxState:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

        async def work() -> MailboxState:
            return state([1])

        reader = asyncio.ensure_future(registry.open(1, never))
        await begun.wait()
        waiter = asyncio.ensure_future(registry.open(1, work))
        impatient = asyncio.ensure_future(registry.open(1, work))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.sleep(0)
        reader.cancel()
        assert len(await waiter) == 1
        for task in (reader, impatient):
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())


def test_commits_during_a_load_are_applied_behind_it() -> None:
    async def main() -> None:
        registry = Registry()

        async def load() -> MailboxState:
            registry.apply(1, lambda box: grow(box, 10, 3))  # in what is read already
            registry.apply(1, lambda box: grow(box, 11, 4))
            return state([1, 2, 3])

        box = await registry.open(1, load)
        assert list(box.uids) == [1, 2, 3, 4]
        assert await registry.open(1, load) is box

    asyncio.run(main())


def test_a_callback_may_end_itself_and_others() -> None:
    notices = Notices()
    heard: list[str] = []
    ends: list[Callable[[], None]] = []

    def first(account: int, modseq: int) -> None:
        heard.append("first")
        for end in ends:
            end()

    ends.append(notices.subscribe(1, first))
    ends.append(notices.subscribe(None, lambda account, modseq: heard.append("all")))
    notices.notify(1, 5)
    notices.notify(1, 6)
    assert heard == ["first"]
