"""Attacks on a store: what stands in an address, a header, a needle or a flag is data and nothing else."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from corvus_server.storage.sqlite import SQLiteStore
from corvus_server.storage.values import Delivery, FlagOperation, Queued, QueuedRecipient
from corvus_server.testing.store_suite import Clock, World, mail

HOSTILE = [
    "'; drop table messages; --",
    '" OR "1"="1',
    "subject : x",
    "{subject} : *",
    "NEAR(a b)",
    "^",
    "* AND NOT (",
    '""""',
    "%s%n",
    "\0\x01\x02",
    "\u202e\ufffd\U0010ffff",
    "a" * 10_000,
]


def on_disk(path: Path) -> tuple[SQLiteStore, World]:
    clock = Clock()
    store = SQLiteStore(path, now=clock, background=False)
    return store, World(store, clock, lambda clock: store)


def test_hostile_needles_and_subjects_are_text(tmp_path: Path) -> None:
    async def main() -> None:
        store, world = on_disk(tmp_path)
        async with store:
            await world.furnish()
            for hostile in HOSTILE:
                await world.deliver(mail(hostile.replace("\0", ""), text=hostile))
            for indexed in range(2):
                for number, hostile in enumerate(HOSTILE, 1):
                    found = await store.messages.search_text(world.box().id, "body", hostile)
                    assert number in found, (indexed, hostile)
                    for field in ("subject", "from", "to", "cc", "bcc", "text"):
                        await store.messages.search_text(world.box().id, field, hostile)
                    await store.messages.search_header(world.box().id, hostile, hostile)
                await store.messages.index()
            assert len(world.uids(world.box())) == len(HOSTILE)
            assert await store.check() == []

    asyncio.run(main())


def test_a_long_needle_costs_no_more_than_a_scan(tmp_path: Path) -> None:
    async def main() -> None:
        store, world = on_disk(tmp_path)
        async with store:
            await world.furnish()
            await world.deliver(mail("a" * 500, text="a" * 100_000))
            await world.deliver(mail("a" * 499 + "b", text="a" * 100_000 + "b"))
            await store.messages.index()
            search = store.messages.search_text
            began = time.perf_counter()
            assert await search(world.box().id, "body", "a" * 50_000 + "b") == [2]
            assert await search(world.box().id, "body", "a" * 50_000) == [1, 2]
            assert await search(world.box().id, "subject", "a" * 400 + "B") == [2]
            assert await search(world.box().id, "subject", "a" * 499) == [1, 2]
            assert time.perf_counter() - began < 2

    asyncio.run(main())


def test_hostile_flags_names_and_settings_are_text(tmp_path: Path) -> None:
    async def main() -> None:
        store, world = on_disk(tmp_path)
        async with store:
            await world.furnish()
            await world.deliver()
            for hostile in HOSTILE:
                flag = hostile.replace(" ", "").replace("\\", "")[:100]
                done = await store.messages.store_flags(
                    world.box().id, [1], FlagOperation.ADD, [flag]
                )
                assert done.changed
                await store.settings.set(hostile.replace("\0", ""), hostile)
                await store.greylist.seen(hostile, hostile, passed=False)
                assert store.mailboxes.get(world.alice.id, hostile) is None
                assert store.directory.account(hostile) is None
            assert await store.check() == []

    asyncio.run(main())


@pytest.mark.parametrize(
    "prefix",
    [
        b"X: y",
        b"X: y\n",
        b"X: y\r\n\r\n",
        b"\r\nX: y\r\n",
        b" folded\r\n",
        b"X: a\rb\r\n",
        b"X: a\0b\r\n",
        b"Subject: other\r\n",
        b"X: y\r\ncontent-type : text/html\r\n",
        b"Message-ID: <forged@x>\r\n",
    ],
)
def test_a_prefix_cannot_become_part_of_the_message(prefix: bytes) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Delivery(account_id=1, prefix=prefix)


@pytest.mark.parametrize("prefix", [b"X: y\r\n\r\nbody", b"X: y\n", b"\r\n"])
def test_a_prefix_of_what_goes_out_ends_no_header(prefix: bytes) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Queued(mail_from="", recipients=[QueuedRecipient(address="a@b")], prefix=prefix)


def test_one_account_sees_nothing_of_another(tmp_path: Path) -> None:
    """IDOR: ids of others in every call that takes one."""

    async def main() -> None:
        store, world = on_disk(tmp_path)
        async with store:
            await world.furnish()
            await world.deliver(account_id=world.bob.id)
            theirs = world.box(account=world.bob)
            thread = store.messages.fetch(theirs.id, [1], ("thread_id",))[0][1]
            assert await store.messages.thread(world.alice.id, thread) == []
            assert store.mailboxes.get(world.alice.id, theirs.name) != theirs
            for target in (theirs.id,):
                with pytest.raises(Exception, match="no such mailbox"):
                    await store.messages.move(world.box().id, [1], target)
            assert await store.check() == []

    asyncio.run(main())


def test_a_thread_of_a_hundred_thousand_references_costs_little(tmp_path: Path) -> None:
    async def main() -> None:
        store, world = on_disk(tmp_path)
        async with store:
            await world.furnish()
            began = time.perf_counter()
            await world.deliver(
                mail(references=[f"{n}@x" for n in range(10_000)], message_id="a@x")
            )
            assert time.perf_counter() - began < 2
            database = store._database.reader
            assert database.execute("select count(*) from thread_refs").fetchone()[0] <= 33

    asyncio.run(main())


def test_keywords_of_many_sets_are_kept_small(tmp_path: Path) -> None:
    """A client that gives each message a keyword of its own fills its own account, not the process."""

    async def main() -> None:
        store, world = on_disk(tmp_path)
        async with store:
            await world.furnish()
            await world.append([mail() for _ in range(50)])
            for uid in range(1, 51):
                await store.messages.store_flags(
                    world.box().id, [uid], FlagOperation.REPLACE, [f"K{uid}"]
                )
            state = await store.messages.open(world.box().id)
            assert len(state.keyword_names()) == 50
            assert await store.check() == []

    asyncio.run(main())
