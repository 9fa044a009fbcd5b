"""Messages that come, are found and go: delivery, APPEND, search and the sweep."""

from __future__ import annotations

import pytest

from corvus_server.storage.errors import NoSuchMailbox, NotFound, OverQuota
from corvus_server.storage.facts import cut_fields, facts_of, field_codes
from corvus_server.storage.values import Delivery, Intake, NewMessage, Verdict
from corvus_server.testing.world import World, mail, stored

__all__ = ["MessageSuite"]


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
