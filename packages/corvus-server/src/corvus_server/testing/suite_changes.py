"""Flags, order, copies and views: the conformance suite's part on what changes, and most of the rules."""

from __future__ import annotations

import asyncio

import pytest

from corvus_server.storage.errors import NoSuchMailbox
from corvus_server.storage.values import FlagOperation
from corvus_server.testing.world import World, mail, stored

__all__ = ["ChangeSuite"]

ADD, REMOVE, REPLACE = FlagOperation.ADD, FlagOperation.REMOVE, FlagOperation.REPLACE


class ChangeSuite:
    """What becomes of messages, and who is told."""

    # Flags, R10.

    @stored
    async def test_flags_are_added_removed_and_replaced(self, world: World) -> None:
        await world.append([mail("a"), mail("b"), mail("c")])
        box = world.box()
        store = world.store.messages.store_flags
        await store(box.id, [1, 2], ADD, ["\\Seen", "$Label1", "Work"])
        await store(box.id, [2, 3], REMOVE, ["\\seen", "$LABEL1"])
        assert await world.flags(box, 1) == {"\\Seen", "$Label1", "Work"}
        assert await world.flags(box, 2) == {"Work"}
        await store(box.id, [1, 2, 3], REPLACE, ["\\Flagged", "work"])
        for uid in (1, 2, 3):
            # A keyword keeps the spelling it had first.
            assert await world.flags(box, uid) == {"\\Flagged", "Work"}
        counts = world.box()
        assert (counts.messages, counts.unseen, counts.deleted) == (3, 3, 0)

    @stored
    async def test_keywords_are_without_limit(self, world: World) -> None:
        await world.append([mail()])
        box = world.box()
        names = {f"keyword-{n}" for n in range(300)}
        for name in sorted(names)[:40]:
            await world.store.messages.store_flags(box.id, [1], ADD, [name])
        await world.store.messages.store_flags(box.id, [1], ADD, names)
        assert await world.flags(box, 1) == names

    @stored
    async def test_nobody_sets_recent_and_unknown_system_flags(self, world: World) -> None:
        await world.append([mail()])
        await world.store.messages.store_flags(
            world.box().id, [1], ADD, ["\\Recent", "\\Nonsense", "\\Draft"]
        )
        assert await world.flags(world.box(), 1) == {"\\Draft"}

    @stored
    async def test_r10_a_store_that_changes_nothing_leaves_the_modseq(self, world: World) -> None:
        await world.append([mail(), mail()])
        box = world.box()
        first = await world.store.messages.store_flags(box.id, [1], ADD, ["\\Seen"])
        again = await world.store.messages.store_flags(box.id, [1, 2], ADD, ["\\Seen"])
        assert (again.changed, again.failed) == ((2,), ())
        third = await world.store.messages.store_flags(box.id, [1, 2], ADD, ["\\Seen"])
        assert third.changed == ()
        assert third.modseq == again.modseq == world.box().modseq
        rows = world.store.messages.fetch(box.id, [1, 2], ("modseq",))
        assert rows == [(1, first.modseq), (2, again.modseq)]

    @stored
    async def test_r10_unchangedsince_compares_inside_the_transaction(self, world: World) -> None:
        await world.append([mail(), mail(), mail()])
        box = world.box()
        base = box.modseq
        changed = await world.store.messages.store_flags(box.id, [2], ADD, ["\\Flagged"])
        done = await world.store.messages.store_flags(
            box.id, [1, 2, 3, 99], ADD, ["\\Seen"], unchanged_since=base
        )
        assert (done.changed, done.failed) == ((1, 3), (2,))
        assert await world.flags(box, 2) == {"\\Flagged"}
        # Of two that say the same at once, one wins.
        results = await asyncio.gather(
            *(
                world.store.messages.store_flags(
                    box.id, [2], ADD, [f"Winner{n}"], unchanged_since=changed.modseq
                )
                for n in range(5)
            )
        )
        assert sorted(r.changed for r in results) == [(), (), (), (), (2,)]

    @stored
    async def test_flags_of_many_scattered_messages_change_at_once(self, world: World) -> None:
        await world.append([mail() for _ in range(120)])
        box = world.box()
        odd = list(range(1, 121, 2))
        done = await world.store.messages.store_flags(box.id, odd, ADD, ["\\Deleted"])
        assert done.changed == tuple(odd)
        assert world.box().deleted == 60
        rows = world.store.messages.fetch(box.id, odd[:50], ("flags",))
        assert [r[0] for r in rows] == odd[:50]
        gone = await world.store.messages.expunge(box.id)
        assert gone.uids == tuple(odd)
        assert world.uids(box) == list(range(2, 121, 2))

    # R1.

    @stored
    async def test_r1_uids_and_modseqs_follow_the_commits(self, world: World) -> None:
        inbox = world.box()
        seen: list[tuple[int, int]] = []

        async def deliver(n: int) -> None:
            filed = await world.deliver(mail(f"m{n}"))
            seen.append((filed.uid, filed.modseq))
            # Nobody is answered before what came earlier can be read.
            assert world.uids(inbox)[: filed.uid] == list(range(1, filed.uid + 1))

        await asyncio.gather(*(deliver(n) for n in range(30)))
        assert [uid for uid, _ in seen] == list(range(1, 31))
        assert [m for _, m in seen] == sorted({m for _, m in seen})

    @stored
    async def test_r1_one_modseq_counts_the_whole_account(self, world: World) -> None:
        a = await world.deliver()
        b = await world.deliver(mailbox="Junk")
        c = await world.store.messages.store_flags(a.mailbox_id, [1], ADD, ["\\Seen"])
        assert a.modseq < b.modseq < c.modseq
        account = world.store.directory.account_by_id(world.alice.id)
        assert account is not None
        assert account.modseq == c.modseq
        assert world.box("Junk").modseq == b.modseq

    @stored
    async def test_r1_no_uid_comes_back(self, world: World) -> None:
        box = world.box()
        for _ in range(3):
            filed = await world.deliver()
            await world.store.messages.expunge(box.id, [filed.uid], only_deleted=False)
        assert world.box().uid_next == 4
        assert (await world.deliver()).uid == 4

    # COPY, MOVE, EXPUNGE, R4.

    @stored
    async def test_copy_keeps_flags_date_and_identity(self, world: World) -> None:
        await world.append(
            [mail("a"), mail("b")], flags=frozenset({"\\Seen", "Kept"}), internal_date=1e9
        )
        inbox, archive = world.box(), world.box("Archive")
        await world.append([mail("first")], archive)
        world.clock.forward(100)
        done = await world.store.messages.copy(inbox.id, [1, 2, 77], archive.id)
        assert (done.sources, done.targets) == ((1, 2), (2, 3))
        assert done.uid_validity == archive.uid_validity
        columns = ("internal_time", "email_id", "thread_id", "size", "flags")
        assert [r[1:] for r in world.store.messages.fetch(inbox.id, [1, 2], columns)] == [
            r[1:] for r in world.store.messages.fetch(archive.id, [2, 3], columns)
        ]
        saved = world.store.messages.fetch(archive.id, [2], ("saved_at",))[0][1]
        assert saved == world.clock.at
        assert world.raw(archive, 3) == mail("b")
        # "succeeds although the folder already holds the message" (clients retry for ever otherwise)
        again = await world.store.messages.copy(inbox.id, [1], archive.id)
        assert again.targets == (4,)

    @stored
    async def test_copying_nothing_is_no_change(self, world: World) -> None:
        done = await world.store.messages.copy(world.box().id, [5], world.box("Trash").id)
        assert (done.sources, done.targets) == ((), ())
        with pytest.raises(NoSuchMailbox):
            await world.store.messages.copy(world.box().id, [1], 999)
        with pytest.raises(NoSuchMailbox):
            await world.store.messages.copy(world.box().id, [1], world.box(account=world.bob).id)

    @stored
    async def test_copy_into_the_same_mailbox(self, world: World) -> None:
        await world.append([mail("a")])
        view = (await world.store.messages.open(world.box().id)).view()
        await world.store.messages.copy(world.box().id, [1], world.box().id)
        assert world.uids(world.box()) == [1, 2]
        assert view.poll().exists == 2

    @stored
    async def test_move_is_copy_and_expunge_in_one_step(self, world: World) -> None:
        await world.append([mail(f"m{n}") for n in range(5)])
        inbox, trash = world.box(), world.box("Trash")
        view = (await world.store.messages.open(inbox.id)).view()
        other = (await world.store.messages.open(trash.id)).view()
        done = await world.store.messages.move(inbox.id, [2, 4], trash.id)
        assert (done.sources, done.targets) == ((2, 4), (1, 2))
        assert view.poll().expunged == ((4, 4), (2, 2))
        assert other.poll().exists == 2
        assert world.uids(inbox) == [1, 3, 5]
        assert world.raw(trash, 2) == mail("m3")
        assert world.store.messages.changes_since(inbox.id, inbox.modseq).vanished == (
            (2, 2),
            (4, 4),
        )

    @stored
    async def test_move_within_a_mailbox_gives_new_uids(self, world: World) -> None:
        await world.append([mail("a"), mail("b")])
        view = (await world.store.messages.open(world.box().id)).view()
        done = await world.store.messages.move(world.box().id, [1], world.box().id)
        assert done.targets == (3,)
        assert world.uids(world.box()) == [2, 3]
        poll = view.poll()
        assert (poll.expunged, poll.exists) == (((1, 1),), 2)
        assert list(view.uids()) == [2, 3]

    @stored
    async def test_expunge_takes_what_is_deleted_and_no_more(self, world: World) -> None:
        await world.append([mail(f"m{n}") for n in range(5)])
        box = world.box()
        expunge = world.store.messages.expunge
        assert (await expunge(box.id)).uids == ()
        await world.store.messages.store_flags(box.id, [1, 2, 4], ADD, ["\\Deleted"])
        assert (await expunge(box.id, [1, 3])).uids == (1,)
        assert (await expunge(box.id)).uids == (2, 4)
        assert (await expunge(box.id, [5], only_deleted=False)).uids == (5,)
        after = world.box()
        assert (after.messages, after.unseen, after.deleted) == (1, 1, 0)

    @stored
    async def test_r4_expunges_leave_tombstones(self, world: World) -> None:
        await world.append([mail(f"m{n}") for n in range(6)])
        box = world.box()
        base = world.box().modseq
        first = await world.store.messages.expunge(box.id, [1, 2, 5], only_deleted=False)
        await world.store.messages.store_flags(box.id, [3], ADD, ["\\Seen"])
        changes = world.store.messages.changes_since(box.id, base)
        assert changes.vanished == ((1, 2), (5, 5))
        assert [c[0] for c in changes.changed] == [3]
        assert changes.complete
        assert changes.modseq == world.box().modseq
        later = world.store.messages.changes_since(box.id, first.modseq)
        assert (later.vanished, len(later.changed)) == ((), 1)

    @stored
    async def test_r4_beyond_the_horizon_is_said_not_silent(self, world: World) -> None:
        await world.append([mail(), mail()])
        box = world.box()
        base = box.modseq
        gone = await world.store.messages.expunge(box.id, [1], only_deleted=False)
        world.clock.forward(31 * 86400)
        assert (await world.store.sweep()).tombstones > 0
        assert not world.store.messages.changes_since(box.id, base).complete
        assert world.store.messages.changes_since(box.id, gone.modseq).complete

    # R8, R9.

    @stored
    async def test_r8_a_notice_says_who_and_when_and_nothing_else(self, world: World) -> None:
        heard: list[tuple[int, int]] = []
        everything: list[int] = []
        end = world.store.subscribe(world.alice.id, lambda a, m: heard.append((a, m)))
        end_all = world.store.subscribe(None, lambda a, m: everything.append(a))
        filed = await world.deliver()
        await world.deliver(account_id=world.bob.id)
        assert heard == [(world.alice.id, filed.modseq)]
        assert everything == [world.alice.id, world.bob.id]
        end()
        end_all()
        end()
        await world.deliver()
        assert len(heard) == 1

    @stored
    async def test_r8_what_is_noticed_can_be_read(self, world: World) -> None:
        box = world.box()
        view = (await world.store.messages.open(box.id)).view()
        polls = []
        end = world.store.subscribe(world.alice.id, lambda a, m: polls.append(view.poll()))
        await world.deliver()
        await world.store.messages.store_flags(box.id, [1], ADD, ["\\Seen"])
        await world.store.messages.expunge(box.id, [1], only_deleted=False)
        end()
        assert [p.exists for p in polls] == [1, None, None]
        assert [len(p.changed) for p in polls] == [0, 1, 0]
        assert [p.expunged for p in polls] == [(), (), ((1, 1),)]

    @stored
    async def test_r9_a_session_keeps_its_numbers_until_it_is_told(self, world: World) -> None:
        await world.append([mail(f"m{n}") for n in range(5)])
        box = world.box()
        mine = (await world.store.messages.open(box.id)).view()
        theirs = (await world.store.messages.open(box.id)).view()
        await world.store.messages.expunge(box.id, [2, 3], only_deleted=False)
        await world.deliver()
        # While FETCH is answered no EXPUNGE may be told; EXISTS may.
        poll = mine.poll(expunges=False)
        assert (poll.expunged, poll.exists) == ((), 6)
        assert [mine.uid(n) for n in range(1, 7)] == [1, 2, 3, 4, 5, 6]
        poll = mine.poll()
        assert poll.expunged == ((3, 3), (2, 2))
        assert [mine.uid(n) for n in range(1, 5)] == [1, 4, 5, 6]
        assert mine.seq(5) == 3
        assert mine.seq(2) is None
        assert not mine.poll()
        assert theirs.poll().exists == 4
        with pytest.raises(IndexError):
            theirs.uid(5)

    @stored
    async def test_r9_a_state_is_shared_and_right_from_the_start(self, world: World) -> None:
        await world.append([mail(f"m{n}") for n in range(3)], flags=frozenset({"Red"}))
        box = world.box()
        states = await asyncio.gather(*(world.store.messages.open(box.id) for _ in range(5)))
        assert len({id(state) for state in states}) == 1
        state = states[0]
        assert list(state.uids) == [1, 2, 3]
        assert state.uid_next == 4
        assert state.modseq == box.modseq
        assert state.keyword_names() == ("Red",)
        assert state.first_unseen() == 0
        await world.store.messages.store_flags(box.id, [1, 2, 3], ADD, ["\\Seen"])
        assert state.first_unseen() is None
        await world.deliver()
        assert state.first_unseen() == 3
        assert list(state.sizes) == [
            r[1] for r in world.store.messages.fetch(box.id, [1, 2, 3, 4], ("size",))
        ]

    @stored
    async def test_r9_opening_while_others_write_misses_nothing(self, world: World) -> None:
        box = world.box()
        await world.append([mail() for _ in range(20)])

        async def write() -> None:
            for n in range(15):
                await world.deliver(mail(f"w{n}"))
                await world.store.messages.expunge(box.id, [n + 1], only_deleted=False)

        async def read() -> None:
            for _ in range(15):
                state = await world.store.messages.open(box.id)
                assert list(state.uids) == sorted(state.uids)
                await asyncio.sleep(0)

        await asyncio.gather(write(), read(), read())
        state = await world.store.messages.open(box.id)
        assert list(state.uids) == world.uids(box) == list(range(16, 36))

    @stored
    async def test_recent_belongs_to_the_first_who_asks(self, world: World) -> None:
        box = world.box()
        await world.append([mail(), mail()])
        claim = world.store.messages.claim_recent
        assert claim(box.id) == 1
        assert claim(box.id) == 3
        await world.deliver()
        assert claim(box.id) == 3
        assert claim(box.id) == 4
