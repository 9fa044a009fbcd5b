"""The folders of an account: the conformance suite's second part."""

from __future__ import annotations

import pytest

from corvus_server.storage.errors import AlreadyExists, InvalidName, NoSuchMailbox
from corvus_server.testing.world import World, mail, stored

__all__ = ["MailboxSuite"]


class MailboxSuite:
    """Folders."""

    @stored
    async def test_inbox_is_found_in_any_case_and_listed_first(self, world: World) -> None:
        boxes = world.store.mailboxes
        assert boxes.all(world.alice.id)[0].name == "INBOX"
        assert boxes.get(world.alice.id, "iNbOx") == world.box()
        assert boxes.get(world.alice.id, "sent") is None

    @stored
    async def test_special_uses_are_found_whatever_the_name(self, world: World) -> None:
        boxes = world.store.mailboxes
        await boxes.rename(world.alice.id, "Junk", "Spam")
        found = boxes.special(world.alice.id, "\\junk")
        assert found is not None
        assert found.name == "Spam"
        assert boxes.special(world.alice.id, "") is None
        assert boxes.special(world.alice.id, "\\Important") is None
        filed = await world.deliver(mailbox="\\Junk")
        assert filed.mailbox_id == found.id

    @stored
    async def test_mail_for_a_mailbox_that_is_not_there_goes_to_inbox(self, world: World) -> None:
        filed = await world.deliver(mailbox="No such")
        assert filed.mailbox_id == world.box().id

    @stored
    async def test_creating_makes_the_superiors(self, world: World) -> None:
        boxes = world.store.mailboxes
        made = await boxes.create(world.alice.id, "Work/2027/Tax")
        assert made.name == "Work/2027/Tax"
        names = [b.name for b in boxes.all(world.alice.id)]
        assert "Work" in names
        assert "Work/2027" in names

    @stored
    async def test_mailbox_names_that_are_none_are_refused(self, world: World) -> None:
        boxes = world.store.mailboxes
        for name in (
            "",
            "/a",
            "a/",
            "a//b",
            "a\r\nb",
            "a\0",
            "\ud800",
            "x" * 1001,
            "/".join("a" * 51),
        ):
            with pytest.raises(InvalidName):
                await boxes.create(world.alice.id, name)
            assert boxes.get(world.alice.id, name) is None

    @stored
    async def test_a_name_is_created_once(self, world: World) -> None:
        for name in ("Sent", "inbox"):
            with pytest.raises(AlreadyExists):
                await world.store.mailboxes.create(world.alice.id, name)

    @stored
    async def test_mailboxes_of_others_are_not_seen(self, world: World) -> None:
        await world.store.mailboxes.create(world.bob.id, "Mine")
        assert world.store.mailboxes.get(world.alice.id, "Mine") is None
        with pytest.raises(NoSuchMailbox):
            await world.store.mailboxes.delete(world.alice.id, "Mine")

    # R3.

    @stored
    async def test_r3_uidvalidity_is_kept_on_rename(self, world: World) -> None:
        boxes = world.store.mailboxes
        made = await boxes.create(world.alice.id, "a")
        renamed = await boxes.rename(world.alice.id, "a", "b")
        assert (renamed.id, renamed.uid_validity) == (made.id, made.uid_validity)
        assert renamed.object_id == made.object_id

    @stored
    async def test_r3_uidvalidity_is_new_and_larger_on_recreation(self, world: World) -> None:
        boxes = world.store.mailboxes
        before = await boxes.create(world.alice.id, "a")
        await boxes.delete(world.alice.id, "a")
        world.clock.forward(-86400)  # a clock that jumps back changes nothing
        after = await boxes.create(world.alice.id, "a")
        assert after.uid_validity > before.uid_validity
        assert after.id != before.id

    @stored
    async def test_r3_a_name_that_meant_a_larger_uidvalidity_gets_a_new_one(
        self, world: World
    ) -> None:
        boxes = world.store.mailboxes
        old = await boxes.create(world.alice.id, "old")
        young = await boxes.create(world.alice.id, "young")
        await boxes.delete(world.alice.id, "young")
        renamed = await boxes.rename(world.alice.id, "old", "young")
        assert renamed.uid_validity > young.uid_validity > old.uid_validity

    @stored
    async def test_renaming_takes_the_inferiors_along(self, world: World) -> None:
        boxes = world.store.mailboxes
        inner = await boxes.create(world.alice.id, "a/b/c")
        await boxes.create(world.alice.id, "ab")
        await boxes.rename(world.alice.id, "a", "x/y")
        found = boxes.get(world.alice.id, "x/y/b/c")
        assert found is not None
        assert found.id == inner.id
        names = [b.name for b in boxes.all(world.alice.id)]
        assert "x" in names
        assert "ab" in names
        assert "a" not in names

    @stored
    async def test_renames_that_cannot_be_change_nothing(self, world: World) -> None:
        boxes = world.store.mailboxes
        await boxes.create(world.alice.id, "a/b")
        await boxes.create(world.alice.id, "t/b")
        before = boxes.all(world.alice.id)
        for new, error in (
            ("a/x", InvalidName),
            ("a", InvalidName),
            ("Sent", AlreadyExists),
            ("t", AlreadyExists),
            ("INBOX", AlreadyExists),
            ("x" * 999, InvalidName),
        ):
            with pytest.raises(error):
                await boxes.rename(world.alice.id, "a", new)
        with pytest.raises(NoSuchMailbox):
            await boxes.rename(world.alice.id, "none", "other")
        assert boxes.all(world.alice.id) == before

    @stored
    async def test_renaming_inbox_moves_its_messages_and_leaves_it(self, world: World) -> None:
        for n in range(3):
            await world.deliver(mail(f"m{n}"))
        inbox = world.box()
        made = await world.store.mailboxes.rename(world.alice.id, "INBOX", "old/mail")
        assert world.uids(made) == [1, 2, 3]
        assert world.uids(inbox) == []
        after = world.box()
        assert (after.id, after.uid_validity) == (inbox.id, inbox.uid_validity)
        assert after.uid_next == 4
        assert b"Subject: m1" in world.raw(made, 2)
        assert (await world.deliver()).uid == 4

    @stored
    async def test_deleting_leaves_the_inferiors(self, world: World) -> None:
        boxes = world.store.mailboxes
        await boxes.create(world.alice.id, "a/b")
        await boxes.delete(world.alice.id, "a")
        assert boxes.get(world.alice.id, "a") is None
        assert boxes.get(world.alice.id, "a/b") is not None

    @stored
    async def test_inbox_is_not_deleted(self, world: World) -> None:
        with pytest.raises(InvalidName):
            await world.store.mailboxes.delete(world.alice.id, "inbox")

    @stored
    async def test_deleting_gives_the_room_back(self, world: World) -> None:
        await world.store.mailboxes.create(world.alice.id, "a")
        await world.deliver(mailbox="a")
        await world.deliver()
        await world.store.mailboxes.delete(world.alice.id, "a")
        account = world.store.directory.account_by_id(world.alice.id)
        assert account is not None
        assert (account.messages, account.used) == (1, world.box().octets)

    @stored
    async def test_sessions_learn_that_their_mailbox_is_gone(self, world: World) -> None:
        box = await world.store.mailboxes.create(world.alice.id, "a")
        view = (await world.store.messages.open(box.id)).view()
        await world.store.mailboxes.delete(world.alice.id, "a")
        assert view.poll().gone
        with pytest.raises(NoSuchMailbox):
            await world.store.messages.open(box.id)

    @stored
    async def test_subscriptions_are_of_names(self, world: World) -> None:
        boxes = world.store.mailboxes
        await boxes.subscribe(world.alice.id, "not/yet")
        await boxes.subscribe(world.alice.id, "Trash", False)
        names = boxes.subscriptions(world.alice.id)
        assert "not/yet" in names
        assert "Trash" not in names
        assert not world.box("Trash").subscribed
        await boxes.subscribe(world.alice.id, "not/yet")  # twice is once
        await boxes.rename(world.alice.id, "Sent", "Gone out")
        assert "Gone out" in boxes.subscriptions(world.alice.id)
        await boxes.delete(world.alice.id, "Drafts")
        # "MUST NOT unilaterally remove an existing mailbox name from the subscription list" (RFC 9051 §6.3.7)
        assert "Drafts" in boxes.subscriptions(world.alice.id)

    @stored
    async def test_annotations_are_set_and_taken_away(self, world: World) -> None:
        boxes, inbox = world.store.mailboxes, world.box()
        await boxes.annotate(
            world.alice.id, inbox.id, {"/Shared/Comment": b"hi", "/private/x": b"\0\xff"}
        )
        await boxes.annotate(world.alice.id, None, {"/shared/admin": b"mailto:a@b"})
        assert boxes.annotations(world.alice.id, inbox.id) == {
            "/private/x": b"\0\xff",
            "/shared/comment": b"hi",
        }
        await boxes.annotate(world.alice.id, inbox.id, {"/shared/comment": None})
        assert boxes.annotations(world.alice.id, inbox.id) == {"/private/x": b"\0\xff"}
        assert boxes.annotations(world.alice.id) == {"/shared/admin": b"mailto:a@b"}
        with pytest.raises(NoSuchMailbox):
            await boxes.annotate(world.bob.id, inbox.id, {"/a": b""})

    @stored
    async def test_special_use_is_given_later(self, world: World) -> None:
        boxes = world.store.mailboxes
        await boxes.create(world.alice.id, "Everything", special_use="\\All")
        await boxes.create(world.alice.id, "b")
        changed = await boxes.set_special_use(world.alice.id, "b", "\\Flagged")
        assert changed.special_use == "\\Flagged"
        found = boxes.special(world.alice.id, "\\All")
        assert found is not None
        assert found.name == "Everything"
