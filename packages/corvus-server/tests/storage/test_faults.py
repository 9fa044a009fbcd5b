"""
R15: whatever breaks, and wherever, everything that was answered is there, once; nothing is half visible.

Every operation is stopped before every change it makes to a file or to the database, in four ways: the process is
killed (the folder is copied as it is), the power is cut (the copy is cut back to what had been synced), the disk
refuses (an error is raised once), and the log is cut behind every frame that was not synced.  Then the store is
opened again and must show the state before the operation or the state after it, and the latter if it was answered.

``CORVUS_FAULTS=long`` takes every point; the default run takes a part of them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from corvus_server.storage.errors import StoreError, StoreUnavailable
from corvus_server.storage.sqlite import SQLiteStore
from corvus_server.storage.values import (
    Attempt,
    Delivery,
    FlagOperation,
    Intake,
    Queued,
    QueuedRecipient,
    RecipientOutcome,
    RecipientState,
)
from corvus_server.testing.store_suite import Clock, World, mail

from .faulty import FaultyFiles, copy_folder, cut_wal, visible, wal_cuts, wal_size

LONG = os.environ.get("CORVUS_FAULTS") == "long"
EVERY = 1 if LONG else 4

Operation = Callable[[World], Awaitable[object]]


# The operations.


async def furnish(world: World) -> None:
    """What all operations find."""
    await world.furnish()
    await world.append([mail(f"m{n}") for n in range(4)], flags=frozenset({"\\Seen"}))
    await world.append([mail("sent")], world.box("Sent"))
    await world.enqueue("a@x.example", "b@x.example", raw=mail("out"))


async def deliver(world: World) -> None:
    await world.accept(
        mail("new"),
        Delivery(account_id=world.alice.id, prefix=b"Delivered-To: alice\r\n"),
        Delivery(account_id=world.bob.id, mailbox="\\Junk", flags=frozenset({"$Junk"})),
        queued=[Queued(mail_from="a@b.c", recipients=[QueuedRecipient(address="c@crow.example")])],
    )


async def deliver_large(world: World) -> None:
    await world.accept(
        mail("large") + b"0123456789abcde\n" * 20_000, Delivery(account_id=world.bob.id)
    )


async def append(world: World) -> None:
    await world.append([mail("one"), mail("two")], world.box("Drafts"), flags=frozenset({"New"}))


async def store(world: World) -> None:
    await world.store.messages.store_flags(
        world.box().id, [1, 2, 4], FlagOperation.ADD, ["\\Flagged", "Fresh"]
    )


async def expunge(world: World) -> None:
    await world.store.messages.expunge(world.box().id, [2, 3], only_deleted=False)


async def move(world: World) -> None:
    await world.store.messages.move(world.box().id, [1, 3], world.box("Archive").id)


async def copy(world: World) -> None:
    await world.store.messages.copy(world.box().id, [1, 3], world.box("Archive").id)


async def queue_attempt(world: World) -> None:
    queue = world.store.queue
    (lease,) = await queue.lease_due(world.clock.at, 1, 60)
    first, second = lease.recipients
    body = world.store.new_body()
    body.write(mail("Undelivered"))
    try:
        await queue.finish_attempt(
            lease.token,
            [
                RecipientOutcome(recipient_id=first.id, state=RecipientState.DELIVERED),
                RecipientOutcome(recipient_id=second.id, state=RecipientState.FAILED, code=550),
            ],
            Attempt(started=0, finished=1, outcome="failed", dialogue="S: 550 no\n"),
            then=Intake(body=body, deliveries=[Delivery(account_id=world.alice.id)]),
        )
    finally:
        body.discard()


async def pop3_update(world: World) -> None:
    """What QUIT does: the messages marked with DELE go, whatever their flags (RFC 1939 §6)."""
    await world.store.messages.expunge(world.box().id, [1, 4], only_deleted=False)


async def sweep(world: World) -> None:
    """Nobody sees anything of it."""
    await world.store.messages.expunge(world.box("Sent").id, [1], only_deleted=False)
    world.clock.forward(10)
    await world.store.sweep(grace=0)


async def folders(world: World) -> None:
    await world.store.mailboxes.rename(world.alice.id, "INBOX", "Old/2026")


OPERATIONS: dict[str, Operation] = {
    op.__name__: op
    for op in (
        deliver, deliver_large, append, store, expunge, move, copy, queue_attempt, pop3_update, sweep, folders,
    )
}  # fmt: skip
#: Operations of several commits: what is between their beginning and their end is visible, too.
STEPS = {"queue_attempt", "sweep"}


class Tally:
    """The figures."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()

    def report(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        parts = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        with capsys.disabled():
            print(f"\n  {name}: {self.faults.total()} faults ({parts}), 0 messages lost")


# Running one.


class Run:
    """One operation on one furnished store, with a hook at its seams."""

    def __init__(self, path: Path, operation: Operation) -> None:
        self.path = path
        self.operation = operation
        self.files = FaultyFiles()
        self.clock = Clock()
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}
        self.between: list[dict[str, Any]] = []
        self.error: BaseException | None = None
        self.synced = 0
        self.answered = False

    async def run(self, template: Path, at_seam: Callable[[int, str], None]) -> None:
        shutil.copytree(template, self.path)
        live = SQLiteStore(self.path, now=self.clock, background=False, files=self.files)
        world = World(live, self.clock, lambda clock: live)
        alice, bob = live.directory.accounts()
        world.alice, world.bob = alice, bob
        try:
            self.before = await visible(live)
            self.synced = wal_size(self.path)
            self.files.seams = 0
            self.files.names.clear()

            def hook(number: int, name: str) -> None:
                if name == "committed":
                    at_seam(number, name)
                    self.synced = wal_size(self.path)
                else:
                    at_seam(number, name)

            self.files.at_seam = hook
            try:
                await self.operation(world)
            except StoreError as error:
                self.error = error
            self.answered = self.error is None
            at_seam(0, "answered")
            self.files.at_seam = lambda number, name: None
            self.after = await visible(live)
        finally:
            self.files.at_seam = lambda number, name: None
            await live.close()


async def look(path: Path, clock: Clock) -> dict[str, Any]:
    """Open what is left, repair it as an administrator would, and say what is there."""
    left = SQLiteStore(path, now=clock, background=False)
    try:
        seen = await visible(left)
        findings = await left.check()
        # Files without a row are what a crash may leave; a row without a file is a lost message.
        assert all(f.message == "no message has this body" for f in findings), findings
        await left.check(fix=True)
        assert await left.check() == []
        assert await visible(left) == seen
        return seen
    finally:
        await left.close()


def template_of(tmp_path: Path) -> Path:
    """A furnished folder, closed and copied for each run."""
    path = tmp_path / "template"

    async def make() -> None:
        clock = Clock()
        async with SQLiteStore(path, now=clock, background=False) as made:
            await furnish(World(made, clock, lambda clock: made))

    asyncio.run(make())
    return path


def reference(operation: Operation, template: Path, path: Path) -> tuple[Run, list[dict[str, Any]]]:
    """The operation without a fault: its seams, and what was visible behind each of its commits."""
    run = Run(path, operation)
    states: list[dict[str, Any]] = []
    copies: list[Path] = []

    def at_seam(number: int, name: str) -> None:
        if name == "committed":
            copies.append(path.with_name(f"{path.name}-{len(copies)}"))
            copy_folder(path, copies[-1])

    asyncio.run(run.run(template, at_seam))
    for left in copies:
        states.append(asyncio.run(look(left, run.clock)))
        shutil.rmtree(left)
    shutil.rmtree(path)
    return run, [run.before, *states, run.after]


@pytest.mark.parametrize("name", OPERATIONS)
def test_r15_a_crash_at_any_point_loses_and_doubles_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    operation, template, tally = OPERATIONS[name], template_of(tmp_path), Tally()
    plain, states = reference(operation, template, tmp_path / "plain")
    run = Run(tmp_path / "live", operation)
    left: list[tuple[str, Path, bool]] = []

    def keep(kind: str) -> Path:
        path = tmp_path / f"left-{len(left)}"
        copy_folder(run.path, path)
        left.append((kind, path, run.answered))
        return path

    def at_seam(number: int, seam: str) -> None:
        written = wal_size(run.path)
        if seam == "committed":
            cuts = wal_cuts(run.synced, written)
            for size in cuts if LONG else cuts[:: max(1, len(cuts) // 6)]:
                run.files.cut_back(run.path, keep("log cut"), size)
        if number % EVERY and seam not in ("commit", "committed", "answered"):
            return
        keep("killed")
        synced = written if seam == "answered" else run.synced
        run.files.cut_back(run.path, keep("power cut"), synced)

    asyncio.run(run.run(template, at_seam))
    assert run.error is None
    assert run.files.names == plain.files.names
    for kind, path, answered in left:
        tally.faults[kind] += 1
        seen = asyncio.run(look(path, run.clock))
        if answered:
            assert seen == run.after, kind
        else:
            assert seen in states, kind
        shutil.rmtree(path)
    tally.report(name, capsys)


@pytest.mark.parametrize("name", OPERATIONS)
def test_r15_an_error_at_any_point_changes_nothing_and_is_said(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    operation, template, tally = OPERATIONS[name], template_of(tmp_path), Tally()
    plain, states = reference(operation, template, tmp_path / "plain")
    codes = [errno.EIO, errno.ENOSPC, errno.EROFS]
    for target in range(1, plain.files.seams + 1, EVERY):
        code = codes[target % 3]
        seam_name = plain.files.names[target - 1]

        def fail(number: int, seam: str, target: int = target, code: int = code) -> None:
            if number == target:
                if seam in ("begin", "commit"):
                    raise sqlite3.OperationalError("database or disk is full")
                raise OSError(code, os.strerror(code))

        if seam_name == "committed":
            continue  # the transaction is durable; there is no call that could fail
        tally.faults["refused"] += 1
        run = Run(tmp_path / "live", operation)
        asyncio.run(run.run(template, fail))
        where = f"{seam_name} ({target})"
        if run.error is not None:
            assert isinstance(run.error, StoreUnavailable), where
            assert run.after in states[:-1], where
        else:
            # What may fail without harm: hints to the disk, and taking away what nobody needs.
            assert seam_name in ("start writing", "unlink"), where
            assert run.after == states[-1], where
        assert asyncio.run(look(run.path, run.clock)) == run.after, where
        shutil.rmtree(run.path)
    tally.report(name, capsys)


def test_r15_a_refused_body_can_be_handed_in_again(tmp_path: Path) -> None:
    template = template_of(tmp_path)

    async def again(world: World) -> None:
        with world.store.new_body() as body:
            body.write(mail("again"))
            intake = Intake(
                body=body,
                deliveries=[Delivery(account_id=world.alice.id), Delivery(account_id=world.bob.id)],
            )
            with pytest.raises(StoreUnavailable):
                await world.store.accept(intake)
            await world.store.accept(intake)

    for seam in ("sync", "rename", "link", "sync folder", "begin", "commit"):
        run = Run(tmp_path / "live", again)
        failed: list[str] = []

        def fail(number: int, name: str, seam: str = seam, failed: list[str] = failed) -> None:
            if name == seam and not failed:
                failed.append(name)
                raise OSError(errno.EIO, "injected")

        asyncio.run(run.run(template, fail))
        assert failed == [seam]
        assert run.error is None
        before = run.before["alice@corvus.local/INBOX"]
        after = run.after["alice@corvus.local/INBOX"]
        assert list(after[2]) == [*before[2], before[1]]
        assert asyncio.run(look(run.path, run.clock)) == run.after
        shutil.rmtree(run.path)


def test_a_full_database_is_said_and_loses_nothing(tmp_path: Path) -> None:
    """SQLite itself runs out of pages: the transaction is undone, and the store works on when there is room."""

    async def main() -> None:
        clock = Clock()
        async with SQLiteStore(tmp_path / "full", now=clock, background=False) as full:
            world = await World(full, clock, lambda clock: full).furnish()
            db = full._database._writer_db
            pages = db.execute("pragma page_count").fetchone()[0]
            db.execute(f"pragma max_page_count = {pages + 4}")
            delivered = 0
            said = ""
            while not said and delivered < 200:
                try:
                    await world.deliver(mail(text="x" * 3000))
                    delivered += 1
                except StoreUnavailable as error:
                    said = str(error)
            assert "full" in said
            assert len(world.uids(world.box())) == delivered
            # Others in the same batch get their own answer or the same one, and the store goes on.
            results = await asyncio.gather(
                *(world.deliver(mail(text="x" * 3000)) for _ in range(5)), return_exceptions=True
            )
            delivered += sum(not isinstance(r, BaseException) for r in results)
            full._database._writer_db.execute("pragma max_page_count = 1000000")
            await world.deliver()
            assert world.uids(world.box()) == list(range(1, delivered + 2))
            assert await full.check() == []

    asyncio.run(main())


def test_a_read_only_database_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock()
        async with SQLiteStore(tmp_path / "ro", now=clock, background=False) as read_only:
            world = await World(read_only, clock, lambda clock: read_only).furnish()
            await world.deliver()
            read_only._database._writer_db.execute("pragma query_only = on")
            with pytest.raises(StoreUnavailable, match="readonly"):
                await world.deliver()
            with pytest.raises(StoreUnavailable):
                await store(world)
            assert world.uids(world.box()) == [1]
            read_only._database._writer_db.execute("pragma query_only = off")
            assert (await world.deliver()).uid == 2
            assert await read_only.check() == []

    asyncio.run(main())


def test_a_clock_that_jumps_back_a_day_changes_no_order(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock()
        async with SQLiteStore(tmp_path / "clock", now=clock, background=False) as jumping:
            world = await World(jumping, clock, lambda clock: jumping).furnish()
            first = await world.deliver()
            await world.enqueue("a@x.example")
            (lease,) = await jumping.queue.lease_due(clock.at, 1, 600)
            box = await jumping.mailboxes.create(world.alice.id, "a")
            clock.forward(-86400)
            second = await world.deliver()
            assert (second.uid, second.modseq > first.modseq) == (first.uid + 1, True)
            await jumping.mailboxes.delete(world.alice.id, "a")
            again = await jumping.mailboxes.create(world.alice.id, "a")
            assert again.uid_validity > box.uid_validity
            # The lease is not due early, and its holder may finish it.
            assert await jumping.queue.lease_due(clock.at, 1, 600) == []
            outcome = RecipientOutcome(
                recipient_id=lease.recipients[0].id, state=RecipientState.DELIVERED
            )
            await jumping.queue.finish_attempt(lease.token, [outcome], None)
            assert await jumping.check() == []

    asyncio.run(main())


# The real thing: a process that is killed.

_WORKER = """
import asyncio, sys
from corvus_server.storage.sqlite import SQLiteStore
from corvus_server.storage.values import Delivery, FlagOperation, Intake

async def main(folder):
    store = SQLiteStore(folder)
    account = store.directory.account("alice@corvus.local")
    inbox = store.mailboxes.get(account.id, "INBOX")
    archive = store.mailboxes.get(account.id, "Archive")
    async def one(worker):
        n = 0
        while True:
            n += 1
            body = store.new_body()
            body.write(b"Subject: %d-%d\\r\\n\\r\\n" % (worker, n) + b"x" * 3000)
            filed = (await store.accept(Intake(body=body, deliveries=[Delivery(account_id=account.id)]))).filed[0]
            print("filed", filed.uid, f"{worker}-{n}", flush=True)
            if n % 3 == 0:
                print("moving", filed.uid, flush=True)
                await store.messages.move(inbox.id, [filed.uid], archive.id)
                print("moved", filed.uid, flush=True)
    print("ready", flush=True)
    await asyncio.gather(*(one(worker) for worker in range(4)))

asyncio.run(main(sys.argv[1]))
"""


def test_r15_a_killed_process_has_kept_what_it_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = 20 if LONG else 2
    answered = 0
    template = template_of(tmp_path)
    for round_ in range(rounds):
        path = tmp_path / f"killed-{round_}"
        shutil.copytree(template, path)
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = []
        with process.stdout as out:
            for line in out:
                lines.append(line.split())
                if len(lines) == 40 + 37 * round_:
                    process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        filed = {int(line[1]): line[2] for line in lines if line[0] == "filed" and len(line) == 3}
        moving = {int(line[1]) for line in lines if line[0] == "moving" and len(line) == 2}
        moved = {int(line[1]) for line in lines if line[0] == "moved" and len(line) == 2}
        seen = asyncio.run(look(path, Clock()))
        inbox = seen["alice@corvus.local/INBOX"]
        archive = seen["alice@corvus.local/Archive"]
        in_archive = Counter(raw.split(b"\r\n")[0] for raw, _ in archive[2].values())
        in_inbox = Counter(raw.split(b"\r\n")[0] for raw, _ in inbox[2].values())
        for uid, subject in filed.items():
            answered += 1
            head = f"Subject: {subject}".encode()
            assert in_inbox[head] + in_archive[head] == 1, (uid, subject)
            assert uid < inbox[1]
            if uid in moved:
                assert in_archive[head] == 1
            elif uid not in moving:
                assert inbox[2][uid][0].startswith(head)
        shutil.rmtree(path)
    with capsys.disabled():
        print(f"\n  kill -9: {rounds} processes, {answered} messages answered, 0 lost")


def test_cutting_the_log_in_the_middle_of_a_commit_undoes_only_that_commit(
    tmp_path: Path,
) -> None:
    """The harness itself: a cut that takes a commit is seen, so the tests above can fail."""
    template = template_of(tmp_path)
    run = Run(tmp_path / "live", deliver)
    copies: list[tuple[Path, int]] = []

    def at_seam(number: int, seam: str) -> None:
        if seam == "committed":
            path = tmp_path / "left"
            copy_folder(run.path, path)
            copies.append((path, wal_size(run.path)))
            cut_wal(path, wal_size(run.path) - 1)

    asyncio.run(run.run(template, at_seam))
    assert run.before != run.after
    assert asyncio.run(look(copies[0][0], run.clock)) == run.before


def test_a_commit_that_the_disk_refuses_is_undone_and_the_log_is_begun_again(
    tmp_path: Path,
) -> None:
    """
    The real thing, by a limit on the size of files: SQLite cannot write its log at COMMIT.

    What is durable then nobody knows, so the store opens its log anew before it accepts anything else.
    """

    async def main() -> None:
        clock = Clock()
        async with SQLiteStore(tmp_path / "limited", now=clock, background=False) as limited:
            world = await World(limited, clock, lambda clock: limited).furnish()
            await world.append([mail(f"m{n}") for n in range(30)])
            writer = limited._database._writer_db
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            # The next frame fits, the one behind it does not.
            resource.setrlimit(resource.RLIMIT_FSIZE, (wal_size(tmp_path / "limited") + 6000, hard))
            try:
                with pytest.raises(StoreUnavailable):
                    await world.deliver(mail("refused"))
                assert len(world.uids(world.box())) == 30
                # The log begins anew, where there is room.
                filed = await world.deliver(mail("accepted"))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert limited._database._writer_db is not writer
            assert filed.uid == 31
            assert b"accepted" in world.raw(world.box(), 31)
            assert await limited.check() == []
        seen = await look(tmp_path / "limited", clock)
        assert len(seen["alice@corvus.local/INBOX"][2]) == 31

    asyncio.run(main())


def test_one_body_of_a_batch_that_cannot_be_synced_fails_alone(tmp_path: Path) -> None:
    """With the pool of threads, as it runs in a server."""

    class OneBad(FaultyFiles):
        parallel = True
        bad = -1

        def sync(self, fd: int) -> None:
            super().sync(fd)
            if os.fstat(fd).st_size == self.bad:
                raise OSError(errno.EIO, "injected")

    async def main() -> None:
        clock, files = Clock(), OneBad()
        async with SQLiteStore(
            tmp_path / "bad", now=clock, background=False, files=files
        ) as one_bad:
            world = await World(one_bad, clock, lambda clock: one_bad).furnish()
            bad = mail("bad", text="b" * 777)
            files.bad = len(bad)
            results = await asyncio.gather(
                *(world.deliver(mail(f"m{n}")) for n in range(6)),
                world.deliver(bad),
                *(world.deliver(mail(f"n{n}")) for n in range(6)),
                return_exceptions=True,
            )
            refused = [r for r in results if isinstance(r, BaseException)]
            assert len(refused) == 1
            assert isinstance(refused[0], StoreUnavailable)
            assert world.uids(world.box()) == list(range(1, 13))
            files.bad = -1
            await world.deliver(bad)
            assert await one_bad.check() == []

    asyncio.run(main())
