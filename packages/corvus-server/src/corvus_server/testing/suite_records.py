"""Verdicts, greylist, web sessions, settings, keys, and the store as a whole: the conformance suite's last part."""

from __future__ import annotations

import pytest

from corvus_server.storage.errors import AlreadyExists, InvalidName, NotFound, StoreClosed
from corvus_server.storage.values import MAX_VERDICT, DKIMKey, Verdict, WebSession
from corvus_server.testing.world import World, stored

__all__ = ["RecordSuite"]


def session(account_id: int, digest: bytes, expires: float, **fields: object) -> WebSession:
    return WebSession(
        digest=digest,
        account_id=account_id,
        created=1.0,
        expires=expires,
        **fields,  # type: ignore[arg-type]  # as given
    )


class RecordSuite:
    """Records."""

    @stored
    async def test_verdicts_of_mail_that_was_not_kept_are_kept(self, world: World) -> None:
        verdicts = world.store.verdicts
        ids = []
        for action in ("reject", "greylist", "reject"):
            verdict = Verdict(
                action=action,
                sentence="Because.",
                mail_from="c@crow.example",
                recipients=("alice@corvus.local",),
                client="192.0.2.1",
                tree={"children": [1, None, "ü"]},
            )
            ids.append(await verdicts.record(verdict))
        assert [v.id for v in verdicts.recent(action="reject")] == [ids[2], ids[0]]
        assert [v.id for v in verdicts.recent(1, before_id=ids[2])] == [ids[1]]
        found = verdicts.get(ids[1])
        assert found is not None
        assert (found.action, found.tree, found.recipients) == (
            "greylist",
            {"children": [1, None, "ü"]},
            ("alice@corvus.local",),
        )
        assert verdicts.get(999) is None

    @stored
    async def test_a_verdict_has_a_limit(self, world: World) -> None:
        room = MAX_VERDICT - len('{"a":""}')
        await world.store.verdicts.record(Verdict(action="reject", tree={"a": "x" * room}))
        with pytest.raises(ValueError, match="16384"):
            await world.store.verdicts.record(
                Verdict(action="reject", tree={"a": "x" * (room + 1)})
            )

    @stored
    async def test_the_greylist_counts_sights(self, world: World) -> None:
        greylist = world.store.greylist
        assert greylist.get("192.0.2.0/24", "crow.example") is None
        first = await greylist.seen("192.0.2.0/24", "Crow.example", passed=False)
        world.clock.forward(300)
        second = await greylist.seen("192.0.2.0/24", "crow.example", passed=True)
        assert (first.deferred, first.passed) == (1, 0)
        assert (second.first_seen, second.last_seen) == (world.clock.at - 300, world.clock.at)
        assert (second.deferred, second.passed) == (1, 1)
        assert greylist.get("192.0.2.0/24", "CROW.example") == second
        await greylist.seen("198.51.100.0/24", "x.example", passed=False)
        assert len(greylist.entries()) == 2
        assert await greylist.forget(network="198.51.100.0/24") == 1
        assert await greylist.forget(before=world.clock.at + 1) == 1
        assert greylist.entries() == []

    @stored
    async def test_web_sessions_end(self, world: World) -> None:
        sessions = world.store.web_sessions
        soon, late = world.clock.at + 10, world.clock.at + 1000
        await sessions.create(session(world.alice.id, b"one", soon, data={"csrf": "t"}))
        await sessions.create(session(world.alice.id, b"two", late, client="192.0.2.1"))
        await sessions.create(session(world.bob.id, b"three", late))
        with pytest.raises(AlreadyExists):
            await sessions.create(session(world.bob.id, b"one", late))
        with pytest.raises(NotFound):
            await sessions.create(session(999, b"four", late))
        found = sessions.get(b"one")
        assert found is not None
        assert found.data == {"csrf": "t"}
        assert "one" not in repr(found)
        world.clock.forward(10)
        assert sessions.get(b"one") is None
        assert [s.digest for s in sessions.of(world.alice.id)] == [b"two"]
        await sessions.touch(b"two", expires=late + 5, data={"a": 1})
        touched = sessions.get(b"two")
        assert touched is not None
        assert (touched.last_seen, touched.expires, touched.data) == (
            world.clock.at,
            late + 5,
            {"a": 1},
        )
        with pytest.raises(NotFound):
            await sessions.touch(b"none")
        assert (await world.store.sweep()).sessions == 1
        await sessions.create(session(world.alice.id, b"five", late))
        assert await sessions.end_all(world.alice.id, but=b"five") == 1
        await sessions.end(b"five")
        assert sessions.of(world.alice.id) == []
        assert sessions.get(b"three") is not None
        await world.store.directory.remove_account(world.bob.id)
        assert sessions.get(b"three") is None

    @stored
    async def test_settings_hold_what_json_holds(self, world: World) -> None:
        settings = world.store.settings
        assert settings.get("a.b") is None
        assert settings.get("a.b", 7) == 7
        await settings.set("a.b", {"x": [1, 2.5, None, "ü"]})
        await settings.set("a.c", False)
        await settings.set("b", "")
        assert settings.get("a.b") == {"x": [1, 2.5, None, "ü"]}
        assert settings.get("a.c", True) is False
        assert settings.all("a.") == {"a.b": {"x": [1, 2.5, None, "ü"]}, "a.c": False}
        await settings.set("a.b", None)
        assert settings.get("a.b", "gone") == "gone"

    @stored
    async def test_r14_keys_are_kept_and_opened(self, world: World) -> None:
        keys = world.store.keys
        key = DKIMKey(
            domain="Corvus.local", selector="CV1", algorithm="rsa", record="v=DKIM1; p=abc"
        )
        made = await keys.add(key, b"-----BEGIN PRIVATE KEY-----")
        assert (made.domain, made.selector, made.active) == ("corvus.local", "cv1", True)
        assert keys.private_key("corvus.local", "cv1") == b"-----BEGIN PRIVATE KEY-----"
        with pytest.raises(AlreadyExists):
            await keys.add(key, b"other")
        await keys.add(
            DKIMKey(domain="corvus.local", selector="cv2", algorithm="ed25519", record="r"), b"two"
        )
        retired = await keys.set_active("corvus.local", "cv1", False)
        assert (retired.active, retired.retired) == (False, world.clock.at)
        assert [k.selector for k in keys.all("corvus.local")] == ["cv1", "cv2"]
        assert [k.active for k in keys.all()] == [False, True]
        await keys.remove("corvus.local", "cv1")
        for domain, selector in (("corvus.local", "cv1"), ("x.example", "cv2")):
            with pytest.raises(NotFound):
                keys.private_key(domain, selector)
        with pytest.raises(NotFound):
            await keys.remove("corvus.local", "cv1")
        assert keys.get("corvus.local", "cv1") is None
        with pytest.raises(InvalidName):
            await keys.add(DKIMKey(domain="a b", selector="s", algorithm="rsa", record=""), b"x")

    @stored
    async def test_a_closed_store_says_so(self, world: World) -> None:
        await world.reopen()
        await world.store.close()
        await world.store.close()
        with pytest.raises(StoreClosed):
            await world.store.directory.add_domain("x.example")
        with pytest.raises(StoreClosed):
            world.store.new_body()
        await world.reopen()
