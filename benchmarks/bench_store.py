"""
The store against the raw limits of the same disk, in one run.

``python benchmarks/bench_store.py [--folder DIR] [--messages 100000] [--only deliver,mailbox]``

Three tables: durable delivery of 10 KB bodies beside bare SQLite (synchronous=FULL, the body in the row) and, where
a Postfix is named by ``CORVUS_BENCH_POSTFIX``, what it delivers into a Maildir; a large mailbox beside floors that do
nothing but the SQL and the socket; memory.

Choose a folder on a quiet disk in which nothing was deleted lately: ext4 looks for a free inode past all those that
were freed in the last seconds, and making a file costs a hundred times as much.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from corvus_server.storage.facts import facts_of
from corvus_server.storage.sqlite import SQLiteStore
from corvus_server.storage.values import Delivery, FlagOperation, Intake, NewMessage

TEXT = """
the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you
were all her she there would their we him been has when who will no more if out so said what up its about into than
them can only other new some could time these two may then do first any my now such like our over man me even most made
after also did many before must through back years where much your way well down should because each just those people
how too little state good very make world still own see men work long get here between both life being under never day
same another know while last might us great old year off come since against go came right used take three invoice
report meeting schedule budget release server deploy customer contract review quarter update shipment feedback project
attached regards december holiday printer kitchen window garden bicycle harbour lantern velvet mountain copper saddle
thunder whistle marble cabin pepper orchard compass ladder feather blanket anchor turtle saffron pebble meadow
"""
WORDS = tuple(TEXT.split())


def table(title: str, head: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    print(f"\n{title}")
    for row in [head, *rows]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(WORDS, k=count))


def mail(rng: random.Random, size: int, number: int = 0) -> bytes:
    text = []
    have = 0
    while have < size:
        line = words(rng, 11)
        text.append(line)
        have += len(line) + 2
    head = (
        f"From: Sender {number % 97} <s{number % 97}@example.com>\r\nTo: Alice <alice@bench.example>\r\n"
        f"Subject: {words(rng, 6)} {number}\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n"
        f"Message-ID: <{number}.{rng.randrange(1 << 40):x}@example.com>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    return (head + "\r\n".join(text) + "\r\n").encode()


# Delivery.


def bare(folder: Path, raws: list[bytes], count: int, batch: int) -> float:
    """Rows a second: SQLite FULL, the body in the row, `batch` rows a commit."""
    path = folder / f"bare{batch}.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.execute("create table s (id integer primary key, env blob, body blob)")
    began = time.perf_counter()
    for i in range(0, count, batch):
        db.execute("begin immediate")
        for j in range(i, i + batch):
            db.execute("insert into s (env, body) values (?, ?)", (b"e" * 300, raws[j % len(raws)]))
        db.execute("commit")
    took = time.perf_counter() - began
    db.close()
    return count / took


async def deliver(
    folder: Path, raws: list[bytes], writers: int, each: int, sync: str
) -> tuple[float, float, str]:
    """Messages a second, CPU milliseconds a message, what was counted."""
    facts = [facts_of(raw) for raw in raws]
    store = SQLiteStore(folder, sync=sync, background=False)  # type: ignore[arg-type]  # a choice of the caller
    await store.directory.add_domain("bench.example")
    account = await store.directory.add_account("alice@bench.example")
    store.counters.commits = 0

    async def one(worker: int) -> None:
        for i in range(each):
            n = (worker * 7 + i) % len(raws)
            body = store.new_body()
            body.write(raws[n])
            delivery = Delivery(account_id=account.id, prefix=b"Return-Path: <s@example.com>\r\n")
            await store.accept(Intake(body=body, facts=facts[n], deliveries=[delivery]))

    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(one(worker) for worker in range(writers)))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    count = writers * each
    c = store.counters
    files = len(list((folder / "mail").rglob("new/*")))
    assert files == count, "every body is in its file"
    said = f"{count / c.commits:.1f} messages a commit; {c.file_syncs} file, {c.folder_syncs} folder syncs"
    await store.close()
    return count / took, cpu / count * 1000, said


def deliveries(base: Path, rounds: int) -> None:
    rng = random.Random(1)
    raws = [mail(rng, 10_000, n) for n in range(64)]
    found: dict[str, list[tuple[float, float, str]]] = {}
    for round_ in range(rounds):
        for batch in (1, 10):
            folder = base / f"bare-{round_}-{batch}"
            folder.mkdir()
            rate = bare(folder, raws, 100 * batch, batch)
            found.setdefault(f"bare SQLite FULL, {batch} a commit", []).append((rate, 0.0, ""))
        for sync in ("fsync", "syncfs"):
            for writers in (1, 10):
                folder = base / f"store-{round_}-{sync}-{writers}"
                result = asyncio.run(
                    deliver(folder, raws, writers, 100 if writers == 1 else 60, sync)
                )
                found.setdefault(f"corvus, {sync}, {writers} writers", []).append(result)
            postfix = postfix_rate(base, raws)
        if postfix:
            found.setdefault("Postfix into a Maildir, 10 sessions", []).append((postfix, 0.0, ""))
    rates = {name: statistics.median(r[0] for r in results) for name, results in found.items()}
    floor = {1: rates["bare SQLite FULL, 1 a commit"], 10: rates["bare SQLite FULL, 10 a commit"]}
    rows = []
    for name, results in found.items():
        of = floor[1] if " 1 " in name else floor[10]
        rows.append(
            [
                name,
                f"{rates[name]:.0f}",
                f"{rates[name] / of:.2f}",
                f"{statistics.median(r[1] for r in results):.2f}",
                results[-1][2],
            ]
        )
    table(
        "Durable delivery, 10 KB bodies",
        ["what", "messages/s", "x bare SQLite", "CPU ms", "counted"],
        rows,
    )


def postfix_rate(base: Path, raws: list[bytes]) -> float | None:
    """
    What Postfix's own `local` writes: smtp-source into a private instance that delivers into a Maildir.

    Needs an instance that listens; `CORVUS_BENCH_POSTFIX=host:port:maildir:recipient` names it.
    """
    where = os.environ.get("CORVUS_BENCH_POSTFIX")
    if not where:
        return None
    host, port, maildir, recipient = where.split(":")
    new = Path(maildir) / "new"
    before = len(os.listdir(new)) if new.exists() else 0
    count = 600
    began = time.perf_counter()
    subprocess.run(
        ["smtp-source", "-d", "-s", "10", "-m", str(count), "-l", str(len(raws[0])), "-t", recipient,
         "-f", "s@example.com", f"{host}:{port}"],
        check=True,
    )  # fmt: skip
    while len(os.listdir(new)) < before + count and time.perf_counter() - began < 60:
        time.sleep(0.01)
    return count / (time.perf_counter() - began)


# A large mailbox.


class Drain:
    """A socket whose other end another process empties."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        listener.close()
        code = "import os,sys\nfd=int(sys.argv[1])\nwhile os.read(fd, 1<<20): pass"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(server.fileno())], pass_fds=[server.fileno()]
        )
        server.close()

    def send(self, parts: list[bytes]) -> int:
        data = b"".join(parts)
        self.client.sendall(data)
        return len(data)

    def close(self) -> None:
        self.client.close()
        self.process.wait()


async def fill(store: SQLiteStore, count: int) -> tuple[int, int]:
    """A mailbox of `count` messages; (account id, mailbox id)."""
    await store.directory.add_domain("bench.example")
    account = await store.directory.add_account("alice@bench.example")
    inbox = store.mailboxes.get(account.id, "INBOX")
    assert inbox is not None
    rng = random.Random(2)
    for start in range(0, count, 500):
        batch = []
        for n in range(start, min(start + 500, count)):
            body = store.new_body()
            body.write(mail(rng, 300, n))
            batch.append(NewMessage(body=body, flags=frozenset({"\\Seen"} if n % 3 else ())))
        await store.messages.append(inbox.id, batch)
    return account.id, inbox.id


async def measure(call: Callable[[], Awaitable[object]], rounds: int) -> float:
    """Median milliseconds."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await call()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def both(
    ours: Callable[[], Awaitable[object]], floor: Callable[[], Awaitable[object]], rounds: int
) -> tuple[float, float]:
    """Medians of two that take turns, so that a busy moment hits each alike."""
    pairs = [(await measure(ours, 1), await measure(floor, 1)) for _ in range(2 * rounds)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


async def mailbox(base: Path, count: int, rounds: int) -> None:
    folder = base / "large"
    store = SQLiteStore(folder, background=False, sync="syncfs")
    began = time.perf_counter()
    _, inbox = await fill(store, count)
    print(f"\n{count} messages appended in {time.perf_counter() - began:.0f} s")
    began = time.perf_counter()
    indexed = await store.messages.index()
    print(f"{indexed} bodies indexed in {time.perf_counter() - began:.0f} s")
    await store.close()
    store = SQLiteStore(folder, background=False)
    messages = store.messages
    state = await messages.open(inbox)
    box = store.mailboxes.by_id(inbox)
    assert box is not None
    archive = store.mailboxes.get(box.account_id, "Archive")
    assert archive is not None
    ten = min(10_000, count // 4)
    first_ten = state.uids[:ten]
    rows: list[list[str]] = []

    def row(what: str, ms: float, floor: float | None = None, goal: str = "") -> None:
        rows.append(
            [
                what,
                f"{ms:.1f}",
                f"{floor:.1f}" if floor else "",
                f"{ms / floor:.2f}" if floor else "",
                goal,
            ]
        )

    async def open_first() -> None:
        store._registry.drop(inbox)
        await messages.open(inbox)

    row("first open", await measure(open_first, rounds), None, "100 ms")
    state = await messages.open(inbox)
    drain = Drain()
    floor_db = floor_database(base, ten)

    # Flags of all.
    numbers = [b"* %d" % i for i in range(1, count + 1)]
    flags = bytearray(list(state.flags))
    tails = {k: b" FETCH (FLAGS (%b))\r\n" % (b"\\Seen" if k else b"") for k in (0, 1)}

    async def floor_flags() -> None:
        drain.send([x for n, k in zip(numbers, flags, strict=True) for x in (n, tails[k])])

    async def our_flags() -> None:
        # As a session answers: slices, each written when it is made.
        text = {v: b" FETCH (FLAGS (%b))\r\n" % state.flag_text(v) for v in set(state.flags)}
        for start in range(0, count, 2000):
            part = zip(
                numbers[start : start + 2000], state.flags[start : start + 2000], strict=True
            )
            drain.send([x for n, v in part for x in (n, text[v])])

    row(
        "flags of all", await measure(our_flags, rounds), await measure(floor_flags, rounds), "1.6x"
    )

    # ENVELOPE lines of ten thousand.
    async def floor_envelopes() -> None:
        found = floor_db.execute("select uid, flags, size, idate, env from m order by uid")
        drain.send(
            [
                b"* %d FETCH (FLAGS (%b) UID %d RFC822.SIZE %d INTERNALDATE %b ENVELOPE %b)\r\n"
                % (i, b"\\Seen" if fl else b"", u, z, d.encode(), e)
                for i, (u, fl, z, d, e) in enumerate(found, 1)
            ]
        )

    async def our_envelopes() -> None:
        text = {v: state.flag_text(v) for v in set(state.flags)}
        for start in range(0, ten, 250):
            part = first_ten[start : start + 250]
            found = messages.fetch(inbox, part, ("internal_date", "envelope"))
            drain.send(
                [
                    b"* %d FETCH (FLAGS (%b) UID %d RFC822.SIZE %d INTERNALDATE %b ENVELOPE %b)\r\n"
                    % (i, text[fl], u, z, d, e)
                    for i, ((u, d, e), fl, z) in enumerate(
                        zip(
                            found,
                            state.flags[start : start + 250],
                            state.sizes[start : start + 250],
                            strict=True,
                        ),
                        start + 1,
                    )
                ]
            )

    row(f"ENVELOPE lines of {ten}", *await both(our_envelopes, floor_envelopes, rounds), "1.6x")

    async def bodystructures() -> None:
        for start in range(0, ten, 250):
            messages.fetch(inbox, first_ten[start : start + 250], ("bodystructure",))

    row(f"BODYSTRUCTURE rows of {ten}", await measure(bodystructures, rounds))

    async def bodies() -> None:
        for start in range(0, ten, 100):
            for body in messages.bodies(inbox, first_ten[start : start + 100]):
                messages.read_body(body)

    row(f"bodies of {ten}, read", await measure(bodies, rounds))

    # Changes.
    flip = [FlagOperation.ADD, FlagOperation.REMOVE]

    async def store_ten() -> None:
        flip.reverse()
        done = await messages.store_flags(inbox, first_ten, flip[0], ["\\Flagged"])
        assert len(done.changed) in (0, ten)

    await store_ten()
    row(f"flag change on {ten}", await measure(store_ten, rounds), None, "20 ms")

    async def copy_ten() -> None:
        done = await messages.copy(inbox, first_ten, archive.id)
        assert len(done.targets) == ten

    copies = max(3, rounds)
    row(f"copy of {ten} by reference", await measure(copy_ten, copies), None, "120 ms")
    await messages.open(archive.id)
    gone = [0]

    async def expunge_ten() -> None:
        uids = range(gone[0] * ten + 1, gone[0] * ten + ten + 1)
        gone[0] += 1
        done = await messages.expunge(archive.id, uids, only_deleted=False)
        assert len(done.uids) == ten

    row(f"expunge of {ten}", await measure(expunge_ten, copies), None, "100 ms")

    # Search.
    for field, needle, goal in (
        ("subject", "printer", "10 ms"),
        ("subject", "ing", "10 ms"),
        ("subject", "99", "50 ms"),
        ("from", "sender 42", "10 ms"),
        ("body", "garden window", "20 ms"),
        ("text", "qqxyzzy", "20 ms"),
        ("text", "december holiday printer", "20 ms"),
    ):
        hits = 0

        async def search(field: str = field, needle: str = needle) -> None:
            nonlocal hits
            hits = len(await messages.search_text(inbox, field, needle))

        ms = await measure(search, rounds)
        row(f"search {field} {needle!r}: {hits} hits", ms, None, goal)
    table(
        f"A mailbox of {count} messages (medians of {rounds})",
        ["what", "ms", "floor ms", "x floor", "goal"],
        rows,
    )
    drain.close()
    floor_db.close()
    store._registry.drop(inbox)
    before = memory()
    state = await messages.open(inbox)
    views = [state.view() for _ in range(1000)]
    print(
        f"\nmemory: {memory() - before:.1f} MB for {count} messages selected by {len(views)} sessions "
        f"(columns {state.memory / 1e6:.1f} MB)"
    )
    await store.close()


def floor_database(base: Path, count: int) -> sqlite3.Connection:
    """The rows of the floor driver: one table, one query, nothing to join."""
    db = sqlite3.connect(base / "floor.db", isolation_level=None)
    db.execute("pragma journal_mode = wal")
    db.execute(
        "create table m (uid integer primary key, flags int, size int, hsize int, idate text, path text, env blob, "
        "bs blob, subj text, frm text)"
    )
    rng = random.Random(2)
    db.execute("begin")
    for i in range(1, count + 1):
        raw = mail(rng, 300, i - 1)
        facts = facts_of(raw)
        db.execute(
            "insert into m values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (i, i % 3 and 1, len(raw), facts.header_size, '"01-Jan-2026 00:00:00 +0000"', str(i), facts.envelope,
             facts.bodystructure, facts.subject.lower(), facts.sender.lower()),
        )  # fmt: skip
    db.execute("commit")
    return db


def memory() -> float:
    """Resident megabytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="on the disk to measure; a temporary one by default")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="deliver,mailbox")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="corvus-bench-") as name:
        base = Path(name)
        if "deliver" in options.only:
            deliveries(base, options.rounds)
        if "mailbox" in options.only:
            asyncio.run(mailbox(base, options.messages, options.rounds))


if __name__ == "__main__":
    main()
