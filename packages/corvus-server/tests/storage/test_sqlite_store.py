"""What only a store on a disk promises: R5, R6, R12, R13, R14, and who owns the folder."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from corvus_server.storage.errors import DataFolderBusy, NotFound, StoreError, StoreUnavailable
from corvus_server.storage.sqlite import VERSION, SQLiteStore
from corvus_server.storage.sqlite.schema import migrations
from corvus_server.storage.values import Delivery, DKIMKey, FlagOperation, Intake
from corvus_server.testing.store_suite import Clock, World, mail


def on_disk(path: Path, test: Callable[[World], Awaitable[None]], **options: object) -> None:
    """Run `test` on a furnished store in `path`."""

    async def main() -> None:
        clock = Clock()

        def factory(clock: Clock) -> SQLiteStore:
            return SQLiteStore(path, now=clock, background=False, **options)  # type: ignore[arg-type]  # as given

        world = World(factory(clock), clock, factory)
        try:
            await test(await world.furnish())
        finally:
            await world.store.close()

    asyncio.run(main())


def raw_db(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path / "corvus.db", isolation_level=None)


def store_of(world: World) -> SQLiteStore:
    assert isinstance(world.store, SQLiteStore)
    return world.store


# R5 and the folders.


def test_r5_each_account_has_a_folder_and_copies_touch_no_file(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.accept(
            mail(), Delivery(account_id=world.alice.id), Delivery(account_id=world.bob.id)
        )
        new = tmp_path / "mail/corvus.local/alice/new"
        (body,) = new.iterdir()
        assert body.read_bytes() == mail()
        assert body.stat().st_mode & 0o777 == 0o600
        # One content, many recipients: one file with several names.
        (other,) = (tmp_path / "mail/corvus.local/bob/new").iterdir()
        assert body.stat().st_ino == other.stat().st_ino
        before = sorted(new.iterdir())
        await world.store.messages.copy(world.box().id, [1], world.box("Archive").id)
        await world.store.messages.move(world.box().id, [1], world.box("Trash").id)
        await world.store.mailboxes.rename(world.alice.id, "Trash", "Bin")
        assert sorted(new.iterdir()) == before
        assert {p.name for p in new.parent.iterdir()} == {"tmp", "new", "cur"}

    on_disk(tmp_path, test)


def test_r5_orphans_are_found_and_swept_by_a_repair(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.deliver()
        orphan = tmp_path / "mail/corvus.local/alice/new/orphan"
        orphan.write_bytes(b"nobody's")
        (tmp_path / "queue/orphan").write_bytes(b"nobody's")
        findings = await world.store.check()
        assert [f.subject for f in findings] == [
            "mail/corvus.local/alice/new/orphan",
            "queue/orphan",
        ]
        assert all(f.rule == "R5" and f.fixable and not f.fixed for f in findings)
        assert all(f.fixed for f in await world.store.check(fix=True))
        assert not orphan.exists()
        assert await world.store.check() == []

    on_disk(tmp_path, test)


def test_what_was_on_its_way_when_the_process_died_is_cleared(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        body = world.store.new_body()
        body.write(b"x" * 300_000)
        assert len(list((tmp_path / "tmp").iterdir())) == 1
        body.held = True  # as if the process died: nobody discards it
        await world.reopen()
        assert list((tmp_path / "tmp").iterdir()) == []
        body.held = False
        body.discard()

    on_disk(tmp_path, test)


def test_a_discarded_body_leaves_no_file(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        for size in (10, 400_000):
            with world.store.new_body() as body:
                body.write(b"x" * size)
            assert list((tmp_path / "tmp").iterdir()) == []

    on_disk(tmp_path, test)


def test_local_parts_cannot_leave_the_folder(tmp_path: Path) -> None:
    """Path traversal: what stands in an address becomes one plain file name."""

    async def test(world: World) -> None:
        odd = [
            "../../x",
            "..",
            ".",
            "a/b",
            "%2e%2e",
            "ü",
            "a" * 64,
            "é" * 100,
            "-rf",
            "~",
            "a'; drop table",
        ]
        folders = set()
        for local in odd:
            if " " in local:
                continue
            account = await world.store.directory.add_account(f"{local}@corvus.local")
            assert (tmp_path / account.folder).resolve().parent == (
                tmp_path / "mail/corvus.local"
            ).resolve()
            folders.add(account.folder)
            await world.deliver(account_id=account.id)
        assert len(folders) == len(odd) - 1
        assert await world.store.check() == []

    on_disk(tmp_path, test)


def test_a_swept_message_takes_its_file_and_leaves_those_of_others(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.accept(
            mail(), Delivery(account_id=world.alice.id), Delivery(account_id=world.bob.id)
        )
        await world.store.messages.expunge(world.box().id, [1], only_deleted=False)
        world.clock.forward(10)
        report = await world.store.sweep(grace=0)
        assert (report.contents, report.bodies) == (1, 1)
        assert list((tmp_path / "mail/corvus.local/alice/new").iterdir()) == []
        assert world.raw(world.box(account=world.bob), 1) == mail()
        db = raw_db(tmp_path)
        for table in ("contents", "envelopes", "details", "heads"):
            assert db.execute(f"select count(*) from {table}").fetchone()[0] == 1
        db.close()
        assert await world.store.check() == []

    on_disk(tmp_path, test)


def test_the_files_of_a_removed_account_go_with_the_sweep(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.deliver()
        await world.store.directory.remove_account(world.alice.id)
        again = await world.store.directory.add_account("alice@corvus.local")
        assert again.folder != world.alice.folder
        await world.deliver(mail("mine"), account_id=again.id)
        world.clock.forward(10)
        await world.store.sweep(grace=0)
        assert not (tmp_path / world.alice.folder).exists()
        assert world.raw(world.box(account=again), 1) == mail("mine")
        assert await world.store.check() == []

    on_disk(tmp_path, test)


# R6.


def test_r6_waiters_share_a_commit(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        store = store_of(world)
        before = store.counters.commits
        await asyncio.gather(*(world.deliver(mail(f"m{n}")) for n in range(40)))
        assert store.counters.commits - before < 20
        assert store.counters.largest_batch >= 4

    on_disk(tmp_path, test)


def test_r6_one_failure_in_a_batch_is_nobody_elses(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        results = await asyncio.gather(
            world.deliver(),
            world.store.messages.expunge(999),
            world.deliver(),
            world.store.directory.add_domain("corvus.local"),
            world.deliver(),
            return_exceptions=True,
        )
        assert [isinstance(r, StoreError) for r in results] == [False, True, False, True, False]
        assert world.uids(world.box()) == [1, 2, 3]
        assert await world.store.check() == []

    on_disk(tmp_path, test)


def test_r6_the_log_is_synced_in_full_at_every_commit(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        db = store_of(world)._database._writer_db
        assert db.execute("pragma journal_mode").fetchone()[0] == "wal"
        assert db.execute("pragma synchronous").fetchone()[0] == 2
        assert db.execute("pragma wal_autocheckpoint").fetchone()[0] == 0

    on_disk(tmp_path, test)


def test_r6_a_cancelled_waiter_does_no_harm(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        body = world.store.new_body()
        body.write(mail())
        task = asyncio.ensure_future(
            world.store.accept(Intake(body=body, deliveries=[Delivery(account_id=world.alice.id)]))
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        body.discard()
        await world.store.flush()
        # It was too late to take it back: it is there once, and whole.
        assert world.raw(world.box(), 1) == mail()
        assert await world.store.check() == []

    on_disk(tmp_path, test)


def test_checkpoints_keep_the_log_short(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        store = store_of(world)
        for n in range(6):
            await world.append([mail(f"{n}-{i}") for i in range(50)])
        database = store._database
        database._restart_wanted = True
        await store.flush()
        busy, pages, done = database._writer_db.execute("pragma wal_checkpoint(passive)").fetchone()
        assert (busy, pages - done) == (0, 0)
        assert await store.check() == []

    on_disk(tmp_path, test)


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.append([mail("a"), mail("b")], flags=frozenset({"Keep", "\\Seen"}))
        await world.enqueue("c@crow.example", raw=mail("out"))
        await world.store.settings.set("x", 1)
        box = world.box()
        await world.reopen()
        assert world.box() == box
        assert world.raw(box, 2) == mail("b")
        assert await world.flags(box, 2) == {"Keep", "\\Seen"}
        (summary, _) = world.store.messages.summaries(box.id, [1, 2])
        assert summary.flags == {"Keep", "\\Seen"}
        (entry,) = world.store.queue.entries()
        assert world.store.queue.read_body(entry) == mail("out")
        assert world.store.settings.get("x") == 1
        done = await world.store.messages.store_flags(box.id, [1], FlagOperation.ADD, ["keep"])
        assert done.changed == ()
        assert await world.store.check() == []

    on_disk(tmp_path, test)


# One process owns the folder.


def test_a_second_process_is_told_who_has_the_folder(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        with pytest.raises(DataFolderBusy, match=rf"corvus demo \(process {os.getpid()}\)") as busy:
            SQLiteStore(tmp_path, command="passwd")
        assert (busy.value.holder, busy.value.command) == (os.getpid(), "demo")
        (tmp_path / "lock").write_text("nonsense")
        with pytest.raises(DataFolderBusy, match="another process"):
            SQLiteStore(tmp_path)

    on_disk(tmp_path, test, command="demo")
    # And when it is gone, the folder is free.
    SQLiteStore(tmp_path, background=False).close_now()


def test_several_stores_live_in_one_process(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock()
        async with (
            SQLiteStore(tmp_path / "a", now=clock, background=False) as one,
            SQLiteStore(tmp_path / "b", now=clock, background=False) as two,
        ):
            await one.directory.add_domain("a.example")
            assert two.directory.domains() == []

    asyncio.run(main())


def test_a_store_outlives_an_event_loop(tmp_path: Path) -> None:
    """As commands use it that call `asyncio.run` several times."""
    store = SQLiteStore(tmp_path, background=False)
    asyncio.run(store.directory.add_domain("a.example"))
    asyncio.run(store.directory.add_domain("b.example"))
    assert len(store.directory.domains()) == 2
    store.close_now()
    store.close_now()


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        SQLiteStore(tmp_path / "file" / "data")


# R12.


@pytest.mark.parametrize(
    ("damage", "rule", "fixable"),
    [
        ("update mailboxes set messages = 7 where name = 'INBOX'", "R12", True),
        ("update mailboxes set unseen = 0, octets = 1 where name = 'INBOX'", "R12", True),
        ("update accounts set used = 5", "R12", True),
        ("update messages set size = size + 1 where uid = 1", "R12", True),
        ("delete from envelopes where id & 1", "R11", True),
        ("delete from details where id & 1", "R11", True),
        ("delete from heads where id & 1", "R11", True),
        ("update heads set subject = 'CHANGED'", "R11", True),
        ("delete from messages where uid = 2", "R12", True),
        ("update mailboxes set uid_next = 1 where name = 'INBOX'", "R1", False),
        ("update messages set modseq = 999 where uid = 1", "R1", False),
        ("update mailboxes set modseq = 999", "R1", False),
        ("update accounts set next_serial = 1", "R1", False),
        ("update accounts set next_uid_validity = 1", "R3", False),
        ("insert into tombstones select mailbox_id, 2, 1, 1, 0 from messages where uid = 1", "R4", False),
        ("insert into tombstones select mailbox_id, 2, 90, 99, 0 from messages where uid = 1", "R4", False),
        ("update contents set id = id + (1 << 40) where id & 1", "R5", False),
        ("update contents set body_file = 'gone' where id & 1", "R5", False),
        ("update messages set flags = 99 << 8 where uid = 1", "R12", False),
        ("update messages set mailbox_id = 999 where uid = 1", "R12", False),
        ("delete from mailboxes where name = 'INBOX'", "R12", False),
        ("update queue_entries set finished = 1", "R7", False),
        ("update queue_recipients set state = 'leased'", "R7", False),
        ("update queue_entries set body_file = 'gone'", "R5", False),
        ("update dkim_keys set domain = 'other.example'", "R14", False),
        ("update accounts set domain = 'gone.example'", "schema", False),
    ],
)  # fmt: skip
def test_r12_damage_is_found_and_what_can_be_is_repaired(
    tmp_path: Path, damage: str, rule: str, fixable: bool
) -> None:
    async def test(world: World) -> None:
        await world.append([mail("a"), mail("b"), mail("c")])
        await world.enqueue("c@crow.example")
        key = DKIMKey(domain="corvus.local", selector="cv1", algorithm="rsa", record="r")
        await world.store.keys.add(key, b"secret")
        assert await world.store.check() == []
        await world.store.close()
        db = raw_db(tmp_path)
        db.execute(damage)
        db.close()
        await world.reopen()
        findings = await world.store.check()
        assert rule in {f.rule for f in findings}, findings
        assert all(f.message for f in findings)
        if fixable:
            assert any(f.fixable and f.rule == rule for f in findings)
            await world.store.check(fix=True)
            assert await world.store.check() == []
            assert (
                world.store.messages.fetch(world.box().id, [1], ("subject", "envelope"))[0][1]
                == "a"
            )
            assert await world.store.messages.search_text(world.box().id, "subject", "c") == [3]

    on_disk(tmp_path, test)


def test_r12_a_body_that_was_cut_is_found(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.deliver()
        (body,) = (tmp_path / "mail/corvus.local/alice/new").iterdir()
        os.truncate(body, 5)
        (finding,) = await world.store.check()
        assert (finding.rule, "5 octets instead of" in finding.message) == ("R5", True)

    on_disk(tmp_path, test)


def test_r12_a_check_beside_deliveries_finds_nothing(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        async def work() -> None:
            for n in range(10):
                await world.deliver(mail(f"{n}"))
                await world.enqueue("c@crow.example")

        results = await asyncio.gather(
            work(), work(), *(world.store.check(fix=True) for _ in range(4))
        )
        assert results[2:] == [[], [], [], []]
        assert len(world.uids(world.box())) == 20
        assert await world.store.check() == []

    on_disk(tmp_path, test)


# R13.


def test_r13_a_new_folder_has_the_newest_schema(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path, background=False)
    assert store.found_version == 0
    store.close_now()
    store = SQLiteStore(tmp_path, background=False)
    assert store.found_version == VERSION == migrations()[-1][0]
    store.close_now()


def test_r13_migrations_are_numbered_without_gaps() -> None:
    assert [version for version, _ in migrations()] == list(range(1, VERSION + 1))


def test_r13_data_of_a_newer_version_are_not_touched(tmp_path: Path) -> None:
    SQLiteStore(tmp_path, background=False).close_now()
    db = raw_db(tmp_path)
    db.execute("pragma user_version = 9999")
    db.close()
    with pytest.raises(StoreError, match="newer Corvus"):
        SQLiteStore(tmp_path, background=False)
    # The folder is free again.
    db = raw_db(tmp_path)
    db.execute(f"pragma user_version = {VERSION}")
    db.close()
    SQLiteStore(tmp_path, background=False).close_now()


def test_r13_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    db = raw_db(tmp_path)
    db.execute("pragma application_id = 77")
    db.execute("create table t (x)")
    db.close()
    with pytest.raises(StoreError, match="not one of Corvus"):
        SQLiteStore(tmp_path, background=False)


def test_r13_a_migration_that_fails_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from corvus_server.storage.sqlite import schema

    SQLiteStore(tmp_path, background=False).close_now()
    broken = [*migrations(), (VERSION + 1, "create table extra (x);\ncreate nonsense;\n")]
    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrations", lambda: broken)
        patch.setattr(schema, "VERSION", VERSION + 1)
        with pytest.raises(sqlite3.OperationalError):
            SQLiteStore(tmp_path, background=False)
        broken[-1] = (VERSION + 1, "create table extra (x); -- a comment; with a semicolon\n")
        store = SQLiteStore(tmp_path, background=False)
        assert store.found_version == VERSION
        store.close_now()
    with pytest.raises(StoreError, match="newer"):
        SQLiteStore(tmp_path, background=False)


# R14.


def test_r14_a_private_key_is_nowhere_in_clear(tmp_path: Path) -> None:
    secret = b"-----BEGIN PRIVATE KEY-----\nVERYSECRETVERYSECRET\n"

    async def test(world: World) -> None:
        key = DKIMKey(domain="corvus.local", selector="cv1", algorithm="rsa", record="r")
        await world.store.keys.add(key, secret)
        assert world.store.keys.private_key("corvus.local", "cv1") == secret

    on_disk(tmp_path, test)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"VERYSECRET" not in path.read_bytes(), path
    assert (tmp_path / "sealing.key").stat().st_mode & 0o777 == 0o600


def test_r14_a_row_moved_to_another_domain_does_not_open(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        key = DKIMKey(domain="corvus.local", selector="cv1", algorithm="rsa", record="r")
        await world.store.keys.add(key, b"secret")
        await world.store.close()
        db = raw_db(tmp_path)
        db.execute("update dkim_keys set selector = 'cv2'")
        db.close()
        await world.reopen()
        with pytest.raises(StoreError, match="cannot be opened"):
            world.store.keys.private_key("corvus.local", "cv2")

    on_disk(tmp_path, test)


def test_r14_a_key_file_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    key_file = tmp_path / "elsewhere" / "key"
    SQLiteStore(tmp_path / "data", key_file=key_file, background=False).close_now()
    assert not (tmp_path / "data" / "sealing.key").exists()
    key_file.chmod(0o640)
    with pytest.raises(StoreError, match="chmod 600"):
        SQLiteStore(tmp_path / "data", key_file=key_file, background=False)
    key_file.chmod(0o600)
    key_file.write_text("too short")
    with pytest.raises(StoreError, match="not a key file"):
        SQLiteStore(tmp_path / "data", key_file=key_file, background=False)


def test_r14_another_key_file_opens_nothing_and_says_so(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        key = DKIMKey(domain="corvus.local", selector="cv1", algorithm="rsa", record="r")
        await world.store.keys.add(key, b"secret")
        await world.store.close()
        (tmp_path / "sealing.key").write_text("00" * 32)
        await world.reopen()
        with pytest.raises(StoreError, match="is the key file the right one"):
            world.store.keys.private_key("corvus.local", "cv1")
        assert [f.rule for f in await world.store.check()] == ["R14"]

    on_disk(tmp_path, test)


def test_a_callback_that_fails_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        told: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

        def fail(account_id: int, modseq: int) -> None:
            raise RuntimeError("broken")

        heard: list[int] = []
        world.store.subscribe(world.alice.id, fail)
        world.store.subscribe(world.bob.id, lambda account, modseq: heard.append(account))
        await world.accept(
            mail(), Delivery(account_id=world.alice.id), Delivery(account_id=world.bob.id)
        )
        assert heard == [world.bob.id]
        assert [str(context["exception"]) for context in told] == ["broken"]

    on_disk(tmp_path, test)


def test_without_threads_the_writer_keeps_the_log_short(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        for n in range(300):
            await world.store.settings.set(f"k{n}", n)
        wal = (tmp_path / "corvus.db-wal").stat().st_size
        for n in range(600):
            await world.store.settings.set(f"k{n % 300}", -n)
        assert (tmp_path / "corvus.db-wal").stat().st_size <= 2 * wal
        assert await world.store.check() == []

    on_disk(tmp_path, test)


# The index.


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.deliver(mail(text="needle"))
        await world.store.messages.index()
        await world.store.close()
        (tmp_path / "search.db").write_bytes(b"this is no database" * 1000)
        await world.reopen()
        box = world.box()
        assert await world.store.messages.search_text(box.id, "body", "needle") == [1]
        assert await world.store.messages.index() == 1
        assert await world.store.messages.search_text(box.id, "body", "needle") == [1]

    on_disk(tmp_path, test)


def test_a_message_too_large_for_the_index_is_read_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corvus_server.storage.sqlite.search._LARGE", 1000)

    async def test(world: World) -> None:
        await world.deliver(mail(text="x " * 1000 + "needle"))
        await world.deliver(mail(text="needle"))
        assert await world.store.messages.index() == 2
        for field in ("body", "text"):
            found = await world.store.messages.search_text(world.box().id, field, "needle")
            assert found == [1, 2]
        assert await world.store.messages.search_header(world.box().id, "subject", "lunch") == [
            1,
            2,
        ]

    on_disk(tmp_path, test)


def test_an_index_of_the_dead_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corvus_server.storage.sqlite.search._DEAD", 2)

    async def test(world: World) -> None:
        await world.append([mail(text=f"needle {n}") for n in range(6)])
        await world.store.messages.index()
        await world.store.messages.expunge(world.box().id, [1, 2, 3, 4, 5], only_deleted=False)
        world.clock.forward(1)
        await world.store.sweep(grace=0)
        # The five are forgotten; the one that is left is indexed again.
        assert await world.store.messages.index() == 1
        assert await world.store.messages.search_text(world.box().id, "body", "needle") == [6]

    on_disk(tmp_path, test)


def test_the_background_threads_index_and_stop(tmp_path: Path) -> None:
    async def main() -> None:
        async with SQLiteStore(tmp_path) as store:
            await store.directory.add_domain("corvus.local")
            account = await store.directory.add_account("a@corvus.local")
            body = store.new_body()
            body.write(mail(text="needle"))
            await store.accept(Intake(body=body, deliveries=[Delivery(account_id=account.id)]))
            for _ in range(100):
                if store._index.mark(account.id) == 1:
                    break
                await asyncio.sleep(0.05)
            assert store._index.mark(account.id) == 1

    asyncio.run(main())


def test_a_missing_body_is_told_as_gone(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.deliver()
        (handle,) = world.store.messages.bodies(world.box().id, [1])
        for path in (tmp_path / "mail/corvus.local/alice/new").iterdir():
            path.unlink()
        with pytest.raises(NotFound):
            world.store.messages.read_body(handle)
        with pytest.raises(NotFound):
            world.store.messages.open_body(handle)
        # A search goes on without it.
        assert await world.store.messages.search_text(world.box().id, "body", "noon") == []

    on_disk(tmp_path, test)


def test_syncfs_is_the_same_with_one_call(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await asyncio.gather(*(world.deliver(mail(f"m{n}")) for n in range(10)))
        counters = store_of(world).counters
        assert counters.folder_syncs == 0
        assert counters.file_syncs == counters.commits - 3
        assert await world.store.check() == []

    on_disk(tmp_path, test, sync="syncfs")


def test_a_modseq_may_need_sixty_three_bits(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.deliver()
        await world.store.close()
        db = raw_db(tmp_path)
        db.execute("update accounts set modseq = (1 << 62) - 1")
        db.close()
        await world.reopen()
        filed = await world.deliver()
        assert filed.modseq == 1 << 62
        state = await world.store.messages.open(world.box().id)
        assert list(state.modseqs) == [2, 1 << 62]
        done = await world.store.messages.store_flags(
            world.box().id, [1], FlagOperation.ADD, ["\\Seen"], unchanged_since=2
        )
        assert done.changed == (1,)

    on_disk(tmp_path, test)


def test_what_nobody_waits_for_needs_no_loop(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.deliver()
        assert world.store.messages.claim_recent(world.box().id) == 1
        await world.reopen()
        assert world.store.messages.claim_recent(world.box().id) == 2

    on_disk(tmp_path, test)
    store = SQLiteStore(tmp_path, background=False)
    box = store.mailboxes.get(1, "INBOX")
    assert box is not None
    store.messages.claim_recent(box.id)
    store.close_now()


def test_reads_of_what_is_not_there_are_empty(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        messages = world.store.messages
        assert messages.fetch(999, [1], ("flags",)) == []
        assert messages.fetch(world.box().id, [], ("flags",)) == []
        assert messages.summaries(world.box().id, [1]) == []
        assert messages.bodies(world.box().id, [1]) == []
        for call in (messages.changes_since, lambda box, _: messages.claim_recent(box)):
            with pytest.raises(NotFound):
                call(999, 0)
        with pytest.raises(NotFound):
            await messages.open(999)

    on_disk(tmp_path, test)
