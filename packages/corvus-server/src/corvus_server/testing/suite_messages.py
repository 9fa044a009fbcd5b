"""Messages, flags, order, views: the conformance suite's third part, and most of the rules."""

from __future__ import annotations

import asyncio

import pytest

from corvus_server.storage.errors import NoSuchMailbox, NotFound, OverQuota
from corvus_server.storage.facts import cut_fields, facts_of, field_codes
from corvus_server.storage.values import Delivery, FlagOperation, Intake, NewMessage, Verdict
from corvus_server.testing.world import World, mail, stored

__all__ = ["MessageSuite"]

ADD, REMOVE, REPLACE = FlagOperation.ADD, FlagOperation.REMOVE, FlagOperation.REPLACE


class MessageSuite:
    """Messages."""

    # Delivery.

    @stored
    async def test_a_delivered_message_is_read_octet_for_octet(self, world: World) -> None:
        raw = mail(text="ü" * 10) + bytes(range(256))
        filed = await world.deliver(raw, prefix=b"Return-Path: <c@crow.example>\r\n")
        assert world.raw(world.box(), filed.uid) == b"Return-Path: <c@crow.example>\r\n" + raw

    @stored
    async def test_a_large_body_is_streamed_in_and_out(self, world: World) -> None:
        chunk = b"0123456789abcdef" * 4096
        raw = mail() + chunk * 20
        with world.store.new_body() as body:
            body.write(mail())
            for _ in range(20):
                body.write(memoryview(chunk))
            await world.store.accept(
                Intake(
                    body=body, deliveries=[Delivery(account_id=world.alice.id, prefix=b"X: y\r\n")]
                )
            )
        (stored_body,) = world.store.messages.bodies(world.box().id, [1])
        assert stored_body.size == len(raw) + 6
        with world.store.messages.open_body(stored_body) as reader:
            pieces = []
            while piece := reader.read(100_000):
                pieces.append(piece)
            assert b"".join(pieces) == b"X: y\r\n" + raw
            reader.seek(3)
            assert reader.read(8) == b"y\r\nFrom:"
        assert world.store.messages.read_body(stored_body, len(raw), 99) == chunk[-6:]

    @stored
    async def test_one_body_goes_to_many_each_with_its_prefix(self, world: World) -> None:
        raw = mail()
        accepted = await world.accept(
            raw,
            Delivery(account_id=world.bob.id, prefix=b"Delivered-To: bob\r\n"),
            Delivery(account_id=world.alice.id, mailbox="\\Junk", flags=frozenset({"$Junk"})),
            Delivery(account_id=world.alice.id, prefix=b"Delivered-To: alice\r\n"),
        )
        assert [f.account_id for f in accepted.filed if f] == [
            world.bob.id,
            world.alice.id,
            world.alice.id,
        ]
        assert accepted.refused == ()
        assert world.raw(world.box(account=world.bob), 1) == b"Delivered-To: bob\r\n" + raw
        assert world.raw(world.box("Junk"), 1) == raw
        assert world.raw(world.box(), 1) == b"Delivered-To: alice\r\n" + raw
        assert await world.flags(world.box("Junk"), 1) == {"$Junk"}

    @stored
    async def test_an_unknown_account_refuses_the_whole_intake(self, world: World) -> None:
        body = world.store.new_body()
        body.write(mail())
        wrong = Intake(
            body=body, deliveries=[Delivery(account_id=world.alice.id), Delivery(account_id=999)]
        )
        with pytest.raises(NotFound):
            await world.store.accept(wrong)
        assert world.uids(world.box()) == []
        # The body is whole and may be handed in again.
        await world.store.accept(
            Intake(body=body, deliveries=[Delivery(account_id=world.alice.id)])
        )
        assert world.raw(world.box(), 1) == mail()
        with pytest.raises(ValueError, match="before"):
            await world.store.accept(
                Intake(body=body, deliveries=[Delivery(account_id=world.alice.id)])
            )

    @stored
    async def test_quotas_refuse_who_has_no_room_and_only_them(self, world: World) -> None:
        await world.store.directory.update_account(world.alice.id, quota=10)
        accepted = await world.accept(
            mail(), Delivery(account_id=world.alice.id), Delivery(account_id=world.bob.id)
        )
        assert accepted.refused == (0,)
        assert world.uids(world.box()) == []
        assert world.uids(world.box(account=world.bob)) == [1]
        with pytest.raises(OverQuota) as caught:
            await world.deliver()
        assert caught.value.account_ids == (world.alice.id,)
        with pytest.raises(OverQuota):
            await world.append([mail()])
        assert world.uids(world.box()) == []

    @stored
    async def test_quota_counts_copies_and_gives_back_what_is_expunged(self, world: World) -> None:
        filed = await world.deliver()
        size = world.box().octets
        await world.store.directory.update_account(world.alice.id, quota=2 * size)
        await world.store.messages.copy(world.box().id, [filed.uid], world.box("Archive").id)
        with pytest.raises(OverQuota):
            await world.store.messages.copy(world.box().id, [filed.uid], world.box("Trash").id)
        # Moving needs no room.
        await world.store.messages.move(world.box().id, [filed.uid], world.box("Trash").id)
        await world.store.messages.expunge(world.box("Trash").id, [1], only_deleted=False)
        await world.deliver()

    @stored
    async def test_a_message_has_its_verdict(self, world: World) -> None:
        verdict = Verdict(action="junk", sentence="It smells.", tree={"rule": "nose", "weight": 5})
        accepted = await world.accept(mail(), Delivery(account_id=world.alice.id), verdict=verdict)
        (summary,) = world.store.messages.summaries(world.box().id, [1])
        assert summary.verdict_id == accepted.verdict_id is not None
        found = world.store.verdicts.get(summary.verdict_id or 0)
        assert found is not None
        assert found.tree == {"rule": "nose", "weight": 5}
        assert found.created == world.clock.at

    # R11.

    @stored
    async def test_r11_what_fetch_needs_is_stored(self, world: World) -> None:
        raw = mail("Grüße", sender="Jürgen <j@crow.example>", message_id="m1@crow.example")
        prefix = b"Return-Path: <j@crow.example>\r\n"
        await world.deliver(raw, prefix=prefix, internal_date=837596665.0, zone=-420)
        facts = facts_of(prefix + raw)
        (row,) = world.store.messages.fetch(
            world.box().id,
            [1],
            (
                "size", "header_size", "envelope", "bodystructure", "body", "internal_date", "internal_time",
                "subject", "sender", "preview", "message_id", "email_id", "sent_at", "saved_at",
            ),
        )  # fmt: skip
        assert row == (
            1,
            len(prefix + raw),
            facts.header_size,
            facts.envelope,
            facts.bodystructure,
            facts.body,
            b'"17-Jul-1996 02:44:25 -0700"',
            837596665.0,
            "Grüße",
            "Jürgen <j@crow.example>",
            "At noon?",
            "m1@crow.example",
            row[12],
            facts.sent_at,
            world.clock.at,
        )
        parts = world.store.messages.parts(world.box().id, 1)
        whole = prefix + raw
        assert whole[parts[1].body : parts[1].end] == b"At noon?\r\n"
        assert world.store.messages.parts(world.box().id, 9) == ()

    @stored
    async def test_r11_the_usual_fields_are_cut_from_what_is_kept(self, world: World) -> None:
        await world.deliver(mail("s", more="X-Strange: yes\r\n"))
        (row,) = world.store.messages.fetch(world.box().id, [1], ("header_fields",))
        codes = field_codes([b"SUBJECT", b"from"])
        assert codes is not None
        assert cut_fields(row[1], codes) == (
            b"From: Carol <carol@crow.example>\r\nSubject: s\r\n\r\n"
        )
        assert field_codes([b"subject", b"x-strange"]) is None

    @stored
    async def test_octets_that_are_no_message_are_kept_all_the_same(self, world: World) -> None:
        for raw in (b"", b"\r\n", b"no header at all\r\n", b"\xff\0\r\n:\r\n", b"a" * 5000):
            prefix = b"Delivered-To: alice\r\n"
            filed = await world.deliver(raw, prefix=prefix)
            assert world.raw(world.box(), filed.uid) == prefix + raw
            (row,) = world.store.messages.fetch(world.box().id, [filed.uid], ("size", "envelope"))
            assert row[1:] == (len(prefix + raw), facts_of(prefix + raw).envelope)

    @stored
    async def test_messages_of_a_conversation_share_a_thread(self, world: World) -> None:
        await world.deliver(mail("q", message_id="1@x"))
        await world.deliver(mail("other", message_id="9@x"))
        await world.deliver(mail("Re: q", message_id="3@x", references=["1@x", "2@x"]))
        # The missing link comes last, and from somewhere else.
        await world.deliver(mail("Re: q", message_id="2@x", references=["1@x"]), mailbox="Archive")
        rows = world.store.messages.fetch(world.box().id, [1, 2, 3], ("thread_id",))
        assert rows[0][1] == rows[2][1] != rows[1][1]
        inbox, archive = world.box().id, world.box("Archive").id
        found = await world.store.messages.thread(world.alice.id, rows[0][1])
        assert found == [(inbox, 1), (inbox, 3), (archive, 1)]
        assert await world.store.messages.thread(world.bob.id, rows[0][1]) == []
        assert await world.store.messages.thread(world.alice.id, "nonsense") == []

    # APPEND.

    @stored
    async def test_append_is_all_or_nothing(self, world: World) -> None:
        sent = world.box("Sent")
        done = await world.append([mail("a"), mail("b")], sent, flags=frozenset({"\\Seen", "Foo"}))
        assert done.uids == (1, 2)
        assert done.uid_validity == sent.uid_validity
        assert b"Subject: b" in world.raw(sent, 2)
        assert await world.flags(sent, 2) == {"\\Seen", "Foo"}
        size = world.box("Sent").octets
        await world.store.directory.update_account(world.alice.id, quota=size + 300)
        with pytest.raises(OverQuota):
            await world.append([mail("c"), mail("d")], sent)
        assert world.uids(sent) == [1, 2]

    @stored
    async def test_append_to_what_is_not_there_says_so(self, world: World) -> None:
        body = world.store.new_body()
        body.write(mail())
        with pytest.raises(NoSuchMailbox):
            await world.store.messages.append(999, [NewMessage(body=body)])
        body.discard()

    @stored
    async def test_a_draft_is_replaced_in_one_step(self, world: World) -> None:
        drafts = world.box("Drafts")
        await world.append([mail("v1"), mail("other")], drafts)
        view = (await world.store.messages.open(drafts.id)).view()
        body = world.store.new_body()
        body.write(mail("v2"))
        done = await world.store.messages.append(
            drafts.id, [NewMessage(body=body)], replaces=(drafts.id, 1)
        )
        assert done.uids == (3,)
        poll = view.poll()
        assert (poll.expunged, poll.exists) == (((1, 1),), 2)
        assert world.uids(drafts) == [2, 3]
        # Into another mailbox, as sending a draft does.
        sent = world.box("Sent")
        body = world.store.new_body()
        body.write(mail("v3"))
        await world.store.messages.append(sent.id, [NewMessage(body=body)], replaces=(drafts.id, 3))
        assert (world.uids(drafts), world.uids(sent)) == ([2], [1])
        body = world.store.new_body()
        body.write(mail("v4"))
        with pytest.raises(NotFound):
            await world.store.messages.append(
                sent.id, [NewMessage(body=body)], replaces=(drafts.id, 3)
            )
        body.discard()
        assert world.uids(sent) == [1]

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

    # Search.

    @stored
    async def test_search_is_the_same_before_and_after_indexing(self, world: World) -> None:
        box = world.box()
        await world.append(
            [
                mail("Straße nach Süden", text="Die Größe ist 42.\r\nMit Grüßen"),
                mail("invoice 2027-01", sender="Åsa <asa@crow.example>", text="Bitte zahlen"),
                mail("会议通知", text="明天的会议在三点开始"),
                mail('100% "quoted" * OR NOT', text="a AND b"),
                mail(
                    "x",
                    to="Dave <dave@x.example>, team@x.example",
                    more="Cc: eve@x.example\r\nX-Thing: Blue\r\n",
                ),
            ]
        )
        cases = {
            ("subject", "STRASSE"): [1],
            ("subject", "ou"): [],
            ("subject", "oi"): [2],
            ("subject", "会议"): [3],
            ("subject", "通"): [3],
            ("subject", '"quoted" *'): [4],
            ("subject", "' or 1=1 --"): [],
            ("from", "åsa"): [2],
            ("from", "crow.example"): [1, 2, 3, 4, 5],
            ("to", "dave"): [5],
            ("cc", "EVE@"): [5],
            ("bcc", "eve"): [],
            ("body", "größe ist"): [1],
            ("body", "42. mit"): [1],
            ("body", "会议"): [3],
            ("body", "三"): [3],
            ("body", "始"): [3],
            ("body", "invoice"): [],
            ("text", "invoice"): [2],
            ("text", "blue"): [5],
            ("body", "a and b"): [4],
            ("body", "zz"): [],
            ("subject", ""): [1, 2, 3, 4, 5],
        }  # fmt: skip
        search = world.store.messages.search_text
        for round_ in range(2):
            for (field, needle), uids in cases.items():
                assert await search(box.id, field, needle) == uids, (round_, field, needle)
            header = world.store.messages.search_header
            assert await header(box.id, "X-Thing", "lu") == [5]
            assert await header(box.id, "x-thing", "blue") == [5]
            assert await header(box.id, "x-thing", "") == [5]
            assert await header(box.id, "subject", "blue") == []
            await world.store.messages.index()
        # The tail behind the mark is scanned.
        await world.deliver(mail("new", text="Noch eine Größe"))
        assert await search(box.id, "body", "größe") == [1, 6]
        await world.store.messages.expunge(box.id, [1], only_deleted=False)
        assert await search(box.id, "body", "größe") == [6]
        assert await search(box.id, "subject", "straße") == []

    @stored
    async def test_search_stays_inside_the_mailbox(self, world: World) -> None:
        await world.deliver(mail("secret plan"))
        await world.deliver(mail("secret plan"), account_id=world.bob.id)
        await world.deliver(mail("secret plan"), mailbox="Junk")
        await world.store.messages.index()
        for field in ("subject", "text"):
            assert await world.store.messages.search_text(world.box().id, field, "secret") == [1]

    @stored
    async def test_dates_are_compared_as_they_are_shown(self, world: World) -> None:
        day = 20_000
        box = world.box()
        late = day * 86400 + 86400 - 60  # one minute before midnight in UTC
        await world.append(
            [mail(date="Thu, 1 Jan 1970 00:30:00 +0100")], internal_date=late, zone=0
        )
        await world.append(
            [mail(date="Wed, 4 Oct 2024 23:59:00 -0700")], internal_date=late, zone=60
        )
        await world.append([mail(date="nonsense")], internal_date=-60, zone=0)
        search = world.store.messages.search_dates
        assert await search(box.id, "internal", day, day + 1) == [1]
        assert await search(box.id, "internal", day + 1, None) == [2]
        assert await search(box.id, "internal", None, 0) == [3]
        assert await search(box.id, "sent", 0, 1) == [1]
        assert await search(box.id, "sent", 20_000, 20_001) == [2]
        assert await search(box.id, "sent", None, None) == [1, 2]
        today = int(world.clock.at // 86400)
        assert await search(box.id, "saved", today, today + 1) == [1, 2, 3]

    # The sweep.

    @stored
    async def test_the_sweep_takes_what_nobody_has_and_no_more(self, world: World) -> None:
        await world.append([mail("a"), mail("b")])
        inbox, archive = world.box(), world.box("Archive")
        await world.store.messages.copy(inbox.id, [1], archive.id)
        await world.store.messages.expunge(inbox.id, [1, 2], only_deleted=False)
        await world.store.sweep(grace=3600)
        world.clock.forward(3601)
        await world.store.sweep(grace=3600)
        assert world.raw(archive, 1) == mail("a")
        assert await world.store.messages.search_text(archive.id, "subject", "a") == [1]

    @stored
    async def test_a_body_that_is_gone_says_so(self, world: World) -> None:
        await world.deliver()
        (handle,) = world.store.messages.bodies(world.box().id, [1])
        await world.store.messages.expunge(world.box().id, [1], only_deleted=False)
        world.clock.forward(1)
        await world.store.sweep(grace=0)
        with pytest.raises(NotFound):
            world.store.messages.read_body(handle)
