"""Domains, accounts, aliases, app passwords, logins: the conformance suite's first part."""

# ruff: noqa: S105, S106 - no password of anybody

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from corvus_server.storage.errors import AlreadyExists, InvalidName, NotFound
from corvus_server.storage.values import SPECIAL_USES, LoginAttempt
from corvus_server.testing.world import World, mail, stored

__all__ = ["DirectorySuite"]


class DirectorySuite:
    """Who has mail here."""

    @stored
    async def test_a_domain_is_stored_in_lower_case_a_labels(self, world: World) -> None:
        await world.store.directory.add_domain("Bücher.Example.")
        found = world.store.directory.domain("BÜCHER.example")
        assert found is not None
        assert found.name == "xn--bcher-kva.example"

    @stored
    async def test_a_domain_is_added_once(self, world: World) -> None:
        with pytest.raises(AlreadyExists):
            await world.store.directory.add_domain("CORVUS.local")

    @stored
    async def test_a_domain_with_accounts_or_aliases_stays(self, world: World) -> None:
        directory = world.store.directory
        await directory.add_domain("b.example")
        await directory.set_alias("x@b.example", ["alice@corvus.local"])
        for name in ("corvus.local", "b.example"):
            with pytest.raises(AlreadyExists):
                await directory.remove_domain(name)
        await directory.remove_alias("x@b.example")
        await directory.remove_domain("b.example")
        assert [d.name for d in directory.domains()] == ["corvus.local"]

    @stored
    async def test_names_that_are_none_are_refused(self, world: World) -> None:
        for name in ("", "a b", "-\r\n", "a..b", "x" * 300):
            with pytest.raises(InvalidName):
                await world.store.directory.add_domain(name)
        for address in ("alice", "@corvus.local", "a b@corvus.local", "a\0@corvus.local"):
            with pytest.raises(InvalidName):
                await world.store.directory.add_account(address)
            assert world.store.directory.account(address) is None
            assert not world.store.directory.resolve_recipient(address).known

    @stored
    async def test_an_account_is_made_with_its_mailboxes(self, world: World) -> None:
        boxes = world.store.mailboxes.all(world.alice.id)
        assert {b.name: b.special_use for b in boxes} == dict(SPECIAL_USES)
        assert all(b.subscribed for b in boxes)
        assert len({b.uid_validity for b in boxes}) == len(boxes)

    @stored
    async def test_an_account_needs_a_domain_of_ours(self, world: World) -> None:
        with pytest.raises(NotFound):
            await world.store.directory.add_account("x@elsewhere.example")

    @stored
    async def test_addresses_are_one_whatever_their_case(self, world: World) -> None:
        with pytest.raises(AlreadyExists):
            await world.store.directory.add_account("ALICE@Corvus.Local")
        found = world.store.directory.account("Alice@CORVUS.local")
        assert found is not None
        assert found.id == world.alice.id

    @stored
    async def test_a_password_hash_is_in_no_repr(self, world: World) -> None:
        account = await world.store.directory.update_account(
            world.alice.id, password_hash="$argon2id$secret"
        )
        assert account.password_hash == "$argon2id$secret"
        assert "secret" not in repr(account)

    @stored
    async def test_a_new_password_is_no_longer_a_seeded_one(self, world: World) -> None:
        directory = world.store.directory
        seeded = await directory.add_account("s@corvus.local", password_hash="$1$", seeded=True)
        assert seeded.seeded
        assert not (await directory.update_account(seeded.id, password_hash="$2$")).seeded

    @stored
    async def test_updates_leave_the_rest(self, world: World) -> None:
        updated = await world.store.directory.update_account(world.alice.id, name="Alice A.")
        assert updated == replace(world.alice, name="Alice A.")
        with pytest.raises(NotFound):
            await world.store.directory.update_account(999, name="x")

    @stored
    async def test_a_removed_account_takes_everything_along(self, world: World) -> None:
        await world.deliver()
        box = world.box()
        await world.store.directory.remove_account(world.alice.id)
        assert world.store.directory.account("alice@corvus.local") is None
        assert world.store.mailboxes.by_id(box.id) is None
        assert not world.store.directory.resolve_recipient("alice@corvus.local").known
        assert await world.store.check() == []
        await world.store.sweep(grace=0)
        again = await world.store.directory.add_account("alice@corvus.local")
        assert again.id != world.alice.id
        world.alice = again
        assert world.uids(world.box()) == []

    @stored
    async def test_quota_is_asked_before_it_is_used(self, world: World) -> None:
        directory = world.store.directory
        await directory.update_account(world.alice.id, quota=1000)
        assert not directory.over_quota(world.alice.id, 1000)
        assert directory.over_quota(world.alice.id, 1001)
        filed = await world.deliver(mail(text="x" * 300))
        used = directory.account_by_id(world.alice.id)
        assert used is not None
        assert used.used == len(world.raw(world.box(), filed.uid))
        assert used.messages == 1
        assert not directory.over_quota(world.bob.id, 1 << 40)

    # Resolution.

    @stored
    async def test_an_unknown_recipient_is_not_known(self, world: World) -> None:
        found = world.store.directory.resolve_recipient("nobody@corvus.local")
        assert not found.known
        assert found.local_domain

    @stored
    async def test_a_foreign_recipient_is_not_ours(self, world: World) -> None:
        found = world.store.directory.resolve_recipient("carol@crow.example")
        assert not found.known
        assert not found.local_domain

    @stored
    async def test_an_alias_stands_for_many_here_and_outside(self, world: World) -> None:
        directory = world.store.directory
        await directory.set_alias(
            "all@corvus.local", ["Bob@corvus.local", "alice@corvus.local", "x@crow.example"]
        )
        found = directory.resolve_recipient("ALL@corvus.local")
        assert [a.address for a in found.accounts] == ["bob@corvus.local", "alice@corvus.local"]
        assert found.external == ("x@crow.example",)
        assert found.path == ("all@corvus.local",)

    @stored
    async def test_a_circle_of_aliases_ends_and_nobody_gets_two(self, world: World) -> None:
        directory = world.store.directory
        await directory.set_alias("a@corvus.local", ["b@corvus.local", "alice@corvus.local"])
        await directory.set_alias("b@corvus.local", ["a@corvus.local", "alice@corvus.local"])
        found = directory.resolve_recipient("a@corvus.local")
        assert [a.address for a in found.accounts] == ["alice@corvus.local"]

    @stored
    async def test_a_chain_of_aliases_is_followed_ten_deep(self, world: World) -> None:
        directory = world.store.directory
        for n in range(12):
            await directory.set_alias(f"a{n}@corvus.local", [f"a{n + 1}@corvus.local"])
        await directory.set_alias("a12@corvus.local", ["alice@corvus.local"])
        assert directory.resolve_recipient("a3@corvus.local").known
        assert not directory.resolve_recipient("a0@corvus.local").known

    @stored
    async def test_what_is_behind_a_plus_is_a_detail(self, world: World) -> None:
        directory = world.store.directory
        found = directory.resolve_recipient("alice+Lists@corvus.local")
        assert [a.id for a in found.accounts] == [world.alice.id]
        assert found.detail == "lists"
        # An address that has the plus in its name comes first.
        await directory.add_account("alice+x@corvus.local")
        found = directory.resolve_recipient("alice+x@corvus.local")
        assert [a.address for a in found.accounts] == ["alice+x@corvus.local"]
        assert found.detail == ""

    @stored
    async def test_a_catch_all_gets_what_nobody_else_does(self, world: World) -> None:
        directory = world.store.directory
        await directory.update_domain("corvus.local", catch_all="bob@corvus.local")
        found = directory.resolve_recipient("whoever@corvus.local")
        assert [a.id for a in found.accounts] == [world.bob.id]
        assert [a.id for a in directory.resolve_recipient("alice@corvus.local").accounts] == [
            world.alice.id
        ]
        await directory.update_domain("corvus.local", catch_all="")
        assert not directory.resolve_recipient("whoever@corvus.local").known

    @stored
    async def test_what_is_switched_off_gets_nothing(self, world: World) -> None:
        directory = world.store.directory
        await directory.update_account(world.alice.id, enabled=False)
        await directory.set_alias("off@corvus.local", ["bob@corvus.local"], enabled=False)
        for address in ("alice@corvus.local", "off@corvus.local"):
            found = directory.resolve_recipient(address)
            assert (found.known, found.disabled) == (False, True)
        await directory.update_domain("corvus.local", enabled=False)
        assert not directory.resolve_recipient("bob@corvus.local").local_domain

    @stored
    async def test_an_alias_and_an_account_do_not_share_an_address(self, world: World) -> None:
        directory = world.store.directory
        await directory.set_alias("x@corvus.local", ["bob@corvus.local"])
        with pytest.raises(AlreadyExists):
            await directory.add_account("x@corvus.local")
        with pytest.raises(AlreadyExists):
            await directory.set_alias("alice@corvus.local", ["bob@corvus.local"])
        with pytest.raises(InvalidName):
            await directory.set_alias("y@corvus.local", [])

    @stored
    async def test_an_alias_is_given_other_targets(self, world: World) -> None:
        directory = world.store.directory
        first = await directory.set_alias("x@corvus.local", ["bob@corvus.local"])
        world.clock.forward(60)
        second = await directory.set_alias("x@corvus.local", ["alice@corvus.local"])
        assert second.targets == ("alice@corvus.local",)
        assert second.created == first.created
        assert directory.aliases("corvus.local") == [second]
        await directory.remove_alias("x@corvus.local")
        with pytest.raises(NotFound):
            await directory.remove_alias("x@corvus.local")

    # App passwords and logins.

    @stored
    async def test_app_passwords_come_and_go(self, world: World) -> None:
        directory = world.store.directory
        made = await directory.add_app_password(
            world.alice.id, "phone", {"hash": "h1"}, scopes=["imap", "smtp"]
        )
        assert "h1" not in repr(made)
        world.clock.forward(5)
        await directory.touch_app_password(made.id, "192.0.2.1")
        (found,) = directory.app_passwords(world.alice.id)
        assert found.secrets == {"hash": "h1"}
        assert found.scopes == {"imap", "smtp"}
        assert (found.last_used, found.last_address) == (world.clock.at, "192.0.2.1")
        with pytest.raises(NotFound):
            await directory.remove_app_password(world.bob.id, made.id)
        await directory.remove_app_password(world.alice.id, made.id)
        assert directory.app_passwords(world.alice.id) == []

    @stored
    async def test_failures_are_counted_behind_the_last_success(self, world: World) -> None:
        logins = world.store.logins

        async def attempt(ok: bool, network: str = "192.0.2.0/24") -> None:
            world.clock.forward(1)
            await logins.record(
                LoginAttempt(
                    when=world.clock.at, address="Alice@corvus.local", network=network, ok=ok
                )
            )

        for ok in (False, False, True, False, False, False):
            await attempt(ok)
        await attempt(False, "198.51.100.0/24")
        since = world.clock.at - 100
        assert logins.failures("alice@corvus.local", "192.0.2.0/24", since) == 3
        assert logins.failures("alice@corvus.local", "192.0.2.0/24", world.clock.at - 3) == 2
        assert logins.failures("alice@corvus.local", "198.51.100.0/24", since) == 1
        assert [a.ok for a in logins.recent(4, "alice@corvus.local")] == [False] * 4
        await logins.forget("alice@corvus.local", "192.0.2.0/24")
        assert logins.failures("alice@corvus.local", "192.0.2.0/24", since) == 0
        assert logins.failures("alice@corvus.local", "198.51.100.0/24", since) == 1

    @stored
    async def test_many_writes_at_once_each_succeed_or_fail_alone(self, world: World) -> None:
        directory = world.store.directory
        results = await asyncio.gather(
            *(directory.add_account(f"u{n % 20}@corvus.local") for n in range(40)),
            return_exceptions=True,
        )
        refused = [r for r in results if isinstance(r, AlreadyExists)]
        assert len(refused) == 20
        assert len(directory.accounts("corvus.local")) == 22
