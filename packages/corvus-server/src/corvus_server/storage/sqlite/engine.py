"""
One writer, many readers, and the order in which things become true.

All writes go through one thread (`Database.write`).  It takes everything that waits, makes the bodies durable, runs
each request in a savepoint of one transaction, commits once, and only then reports to the event loop: first the
changes of the mailboxes in memory, then the results, then the notices.  So a request is answered when it is durable
(R6), commit order is UID order is MODSEQ order (R1), and the cost of the syncs is shared by all that wait.

Reads see the last commit.  Short ones use a connection of the event loop, long ones a small pool; every read is
fetched whole before it returns, so no read transaction outlives its call.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, final

from corvus_server.storage.errors import StoreClosed, StoreError, StoreUnavailable
from corvus_server.storage.files import FileSystem
from corvus_server.storage.sqlite.folders import BodyFolders, Placement
from corvus_server.storage.sqlite.schema import migrate

__all__ = ["Counters", "Database", "Transaction"]

T = TypeVar("T")

BATCH: Final = 256
"""Requests that share a transaction at most, so that nobody waits for a long queue in front."""

GATHER: Final = (0.0005, 0.003)
"""
Seconds (least, most) the writer waits for the others of its last batch: half of what that batch took.

Ten sessions that were answered together come back within a millisecond or two; without this wait the first of them
would get a transaction, and an fsync, of its own.
"""

CHECKPOINT_PAGES: Final = 1000
WAL_PAGES: Final = 16384
"""A log of 64 MB means that checkpoints never catch up with the writer: then it waits for one."""


@dataclass(slots=True)
class Counters:
    """What the writer did so far: for benchmarks and metrics."""

    requests: int = 0
    commits: int = 0
    file_syncs: int = 0
    folder_syncs: int = 0
    checkpoints: int = 0
    largest_batch: int = 0


@final
class Transaction:
    """What a request gets: the connection, and a place for what must happen once it is durable."""

    __slots__ = ("after", "db", "effects", "heads", "now", "touched", "wake_queue")

    def __init__(self, db: sqlite3.Connection, now: float) -> None:
        self.db = db
        #: The wall clock when the transaction began.
        self.now = now
        #: Run on the event loop, in commit order.
        self.effects: list[Callable[[], None]] = []
        #: Account id -> MODSEQ, for the notices (R8).
        self.touched: dict[int, int] = {}
        #: Run in the writer thread behind the commit, such as unlinking; errors are ignored.
        self.after: list[Callable[[], None]] = []
        #: Rows for the index of subjects and addresses: (content id, five search keys).
        self.heads: list[tuple[int, str, str, str, str, str]] = []
        self.wake_queue = False


@dataclass(slots=True, eq=False)
class _Request:
    run: Callable[[Transaction], Any]
    placements: Sequence[Placement]
    loop: asyncio.AbstractEventLoop | None
    future: asyncio.Future[Any] | None
    settled: bool = False
    transaction: Transaction | None = None
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Hooks:
    """Who is told about commits."""

    notify: Callable[[int, int], None] = field(default=lambda account_id, modseq: None)
    wake_queue: Callable[[], None] = field(default=lambda: None)


_STOP: Final = object()


class Database:
    """The database of a data folder, and the threads that serve it."""

    def __init__(
        self,
        path: Path,
        *,
        files: FileSystem,
        folders: BodyFolders,
        now: Callable[[], float],
        background: bool = True,
        readers: int = 2,
    ) -> None:
        self.path = path
        self.now = now
        self.counters = Counters()
        self.hooks = _Hooks()
        self._files = files
        self._folders = folders
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._closed = False
        self._broken = False
        self._writer_db = self._connect(writer=True)
        try:
            self.found_version = migrate(self._writer_db)
        except BaseException:
            self._writer_db.close()
            raise
        #: For short reads on the event loop.
        self.reader = self._connect(cache=16384)
        self._pool = ThreadPoolExecutor(readers, "corvus-store-read")
        self._local = threading.local()
        self._pool_connections: list[sqlite3.Connection] = []
        self._last_batch = 1
        self._last_took = 0.0
        self._since_checkpoint = 0
        self._checkpoint_wanted = threading.Event()
        self._restart_wanted = False
        self._thread = threading.Thread(
            target=self._write_loop, name="corvus-store-write", daemon=True
        )
        self._thread.start()
        self._checkpointer: threading.Thread | None = None
        if background:
            self._checkpointer = threading.Thread(
                target=self._checkpoint_loop, name="corvus-store-checkpoint", daemon=True
            )
            self._checkpointer.start()

    def _connect(self, *, writer: bool = False, cache: int = 4096) -> sqlite3.Connection:
        """`cache`: kilobytes of pages it keeps."""
        db = sqlite3.connect(
            self.path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            timeout=30,
        )
        try:
            if writer:
                db.execute("pragma journal_mode = wal")
                # "a 250 is durable": NORMAL would lose the last commits in a power cut (R6).
                db.execute("pragma synchronous = full")
                db.execute("pragma wal_autocheckpoint = 0")
                db.execute("pragma foreign_keys = on")
                db.execute("pragma secure_delete = off")
                db.execute("pragma cache_size = -16384")
            else:
                db.execute("pragma query_only = on")
                db.execute(f"pragma cache_size = -{cache}")
        except BaseException:
            db.close()
            raise
        return db

    def connect_reader(self) -> sqlite3.Connection:
        """A connection of one's own for reading; close it."""
        return self._connect()

    # Writing.

    async def write(
        self,
        run: Callable[[Transaction], T],
        placements: Sequence[Placement] = (),
        *,
        settled: bool = False,
    ) -> T:
        """
        Run `run` in the writer's transaction and return what it returned once that is durable.

        Args:
            run: Called in the writer thread, inside a savepoint: an exception undoes what it did, and only that.
            placements: Bodies that must be durable and in their folders before.
            settled: `run` looks at the index of subjects and addresses, which is written last otherwise.

        Raises:
            StoreError: what `run` raised, or StoreUnavailable.
        """
        if self._closed:
            raise StoreClosed("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        for placement in placements:
            placement.body.held = True
        self._inbox.put(_Request(run, placements, loop, future, settled))
        return await future

    def write_later(self, run: Callable[[Transaction], Any]) -> None:
        """The same for what nobody waits for, and what may be lost."""
        if not self._closed:
            loop: asyncio.AbstractEventLoop | None
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                loop = None
            self._inbox.put(_Request(run, (), loop, None))

    def _write_loop(self) -> None:
        while True:
            first = self._inbox.get()
            if first is _STOP:
                return
            batch: list[_Request] = [first]
            stop = self._gather(batch)
            began = time.monotonic()
            try:
                self._commit_batch(batch)
            except BaseException as error:  # the thread must outlive whatever happens to a batch
                self._fail(batch, error)
            self._last_took = time.monotonic() - began
            self._report(batch)
            if stop:
                return

    def _gather(self, batch: list[_Request]) -> bool:
        """Fill a batch; true if the store is to be closed behind it."""
        deadline = 0.0
        while len(batch) < BATCH:
            try:
                request = self._inbox.get_nowait()
            except queue.Empty:
                if len(batch) >= self._last_batch:
                    break
                if not deadline:
                    least, most = GATHER
                    deadline = time.monotonic() + min(max(self._last_took / 2, least), most)
                wait = deadline - time.monotonic()
                if wait <= 0:
                    break
                try:
                    request = self._inbox.get(timeout=wait)
                except queue.Empty:
                    break
            if request is _STOP:
                return True
            batch.append(request)
        self._last_batch = len(batch)
        return False

    def _commit_batch(self, batch: list[_Request]) -> None:
        self.counters.requests += len(batch)
        self.counters.largest_batch = max(self.counters.largest_batch, len(batch))
        self._recover()
        # Body before row (R5).
        placements = [p for request in batch for p in request.placements]
        if placements:
            self._folders.place(placements, self.counters)
            for request in batch:
                for placement in request.placements:
                    if placement.error is not None and request.error is None:
                        request.error = placement.error
        db = self._writer_db
        now = self.now()
        live = [request for request in batch if request.error is None]
        if live:
            self._files.reached("begin")
            db.execute("begin immediate")
            heads: list[tuple[int, str, str, str, str, str]] = []
            for request in live:
                if request.settled:
                    _index_heads(db, heads)
                self._run_one(db, request, now)
                if request.error is None and request.transaction is not None:
                    heads += request.transaction.heads
                if (
                    not db.in_transaction
                ):  # SQLite gave the whole transaction up: a full or broken disk
                    raise request.error or StoreUnavailable("the transaction was lost")
            if any(request.error is None for request in live):
                _index_heads(db, heads)
                self._files.reached("commit")
                try:
                    db.execute("commit")
                except sqlite3.Error:
                    self._broken = True
                    raise
                self._files.reached("committed")
                self.counters.commits += 1
                self._since_checkpoint += len(live)
            else:
                db.execute("rollback")
        for request in batch:
            self._settle(request)
        if self._since_checkpoint >= CHECKPOINT_PAGES // 8:
            self._since_checkpoint = 0
            self._checkpoint_wanted.set()
            if self._checkpointer is None:  # without threads in the background it is our turn
                with contextlib.suppress(sqlite3.Error):
                    db.execute("pragma wal_checkpoint(passive)").fetchall()
        if self._restart_wanted:
            self._restart_wanted = False
            with contextlib.suppress(sqlite3.Error):
                db.execute("pragma wal_checkpoint(restart)").fetchall()

    def _run_one(self, db: sqlite3.Connection, request: _Request, now: float) -> None:
        request.transaction = transaction = Transaction(db, now)
        db.execute("savepoint request")
        try:
            request.result = request.run(transaction)
        except BaseException as error:
            request.error = _translate(error)
            if db.in_transaction:
                db.execute("rollback to request")
                db.execute("release request")
            return
        db.execute("release request")

    def _settle(self, request: _Request) -> None:
        """Behind the commit: bodies belong to the store now, or go back to their owner."""
        for placement in request.placements:
            if request.error is None:
                placement.kept()
            else:
                self._folders.take_back(placement)
        if request.error is None and request.transaction is not None:
            for action in request.transaction.after:
                with contextlib.suppress(OSError):
                    action()

    def _fail(self, batch: list[_Request], error: BaseException) -> None:
        """The whole batch was lost; nobody was answered, so nothing was."""
        translated = _translate(error)
        if self._writer_db.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._writer_db.execute("rollback")
        for request in batch:
            if request.error is None:
                request.error = translated
            for placement in request.placements:
                with contextlib.suppress(OSError):
                    self._folders.take_back(placement)

    def _recover(self) -> None:
        """
        After a failed commit: trust nothing that was only in memory.

        An fsync that failed may have dropped what it could not write and succeed the next time.  So the log is
        opened anew, read back (its checksums tell), copied into the database and begun again before anything else
        is accepted.
        """
        if not self._broken:
            return
        self._writer_db.close()
        self._writer_db = self._connect(writer=True)
        busy = self._writer_db.execute("pragma wal_checkpoint(restart)").fetchone()[0]
        if busy:
            raise StoreUnavailable("the store is recovering from a failed write")
        self._broken = False

    def _report(self, batch: list[_Request]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[_Request]] = {}
        for request in batch:
            if request.loop is not None:
                loops.setdefault(request.loop, []).append(request)
        for loop, requests in loops.items():
            # RuntimeError: the loop was closed while we worked; nobody is left to be told.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._finish, requests)

    def _finish(self, requests: list[_Request]) -> None:
        """On the event loop: effects, then results, then notices."""
        notices: dict[int, int] = {}
        wake = False
        for request in requests:
            if request.error is None and request.transaction is not None:
                for effect in request.transaction.effects:
                    self._guard(effect)
                notices.update(request.transaction.touched)
                wake = wake or request.transaction.wake_queue
        for request in requests:
            for placement in request.placements:
                placement.body.held = False
            if request.future is None:
                continue
            if request.future.done():  # cancelled: its owner has gone
                for placement in request.placements:
                    placement.body.discard()
            elif request.error is not None:
                request.future.set_exception(request.error)
            else:
                request.future.set_result(request.result)
        for account_id, modseq in notices.items():
            self._guard(partial(self.hooks.notify, account_id, modseq))
        if wake:
            self._guard(self.hooks.wake_queue)

    def _guard(self, call: Callable[[], None]) -> None:
        """Nobody who waits for an answer shall go without because somebody else's callback fails."""
        try:
            call()
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a callback of the store failed", "exception": error}
            )

    # Reading.

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run a long read in the pool."""
        if self._closed:
            raise StoreClosed("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._pooled, run)

    def _pooled(self, run: Callable[[sqlite3.Connection], T]) -> T:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            self._local.db = db = self._connect()
            self._pool_connections.append(db)
        return run(db)

    # Checkpoints.

    def _checkpoint_loop(self) -> None:
        """
        Copy the log into the database, beside the writer and never in a commit.

        A checkpoint that is done lets the next write begin the log anew.
        """
        db = self._connect(writer=True)
        try:
            while True:
                self._checkpoint_wanted.wait()
                self._checkpoint_wanted.clear()
                if self._closed:
                    return
                with contextlib.suppress(sqlite3.Error):
                    _, pages, _ = db.execute("pragma wal_checkpoint(passive)").fetchone()
                    self.counters.checkpoints += 1
                    if pages > WAL_PAGES:
                        self._restart_wanted = True
        finally:
            db.close()

    # Ending.

    async def close(self) -> None:
        """Commit what waits, stop the threads, close the files; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._inbox.put(_STOP)
        self._checkpoint_wanted.set()
        await asyncio.get_running_loop().run_in_executor(None, self._join)

    def close_now(self) -> None:
        """The same where no event loop runs; results of what waits are lost, not the changes."""
        if not self._closed:
            self._closed = True
            self._inbox.put(_STOP)
            self._checkpoint_wanted.set()
            self._join()

    def _join(self) -> None:
        self._thread.join()
        if self._checkpointer is not None:
            self._checkpointer.join()
        self._pool.shutdown()
        for db in (*self._pool_connections, self.reader, self._writer_db):
            db.close()


def _index_heads(db: sqlite3.Connection, heads: list[tuple[int, str, str, str, str, str]]) -> None:
    """Write what has collected, in one go and ascending: FTS5 starts a new segment at each step backwards."""
    if heads:
        heads.sort()
        db.executemany(
            "insert into head_index (rowid, subject, sender, recipients, cc, bcc) values (?, ?, ?, ?, ?, ?)",
            heads,
        )
        heads.clear()


def _translate(error: BaseException) -> BaseException:
    """What a consumer is told: SQLite's and the disk's troubles become one kind."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, sqlite3.OperationalError | OSError):
        translated = StoreUnavailable(f"the store cannot write: {error}")
        translated.__cause__ = error
        return translated
    return error
