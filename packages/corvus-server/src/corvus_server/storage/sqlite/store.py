"""
The embedded store: SQLite for what is known, files for what was said.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, final

from corvus_server.storage.bodies import Body
from corvus_server.storage.errors import StoreClosed, StoreUnavailable
from corvus_server.storage.files import FileSystem
from corvus_server.storage.lock import FolderLock
from corvus_server.storage.protocols import ChangeCallback
from corvus_server.storage.registry import Notices, Registry
from corvus_server.storage.seal import Sealer, load_key_file
from corvus_server.storage.sqlite.check import Checker
from corvus_server.storage.sqlite.directory import SQLiteDirectory
from corvus_server.storage.sqlite.engine import Counters, Database
from corvus_server.storage.sqlite.folders import BodyFolders, SyncMode
from corvus_server.storage.sqlite.intake import IntakeWriter
from corvus_server.storage.sqlite.keys import SQLiteKeys
from corvus_server.storage.sqlite.mailboxes import SQLiteMailboxes
from corvus_server.storage.sqlite.messages import SQLiteMessages
from corvus_server.storage.sqlite.queue import SQLiteQueue
from corvus_server.storage.sqlite.records import (
    SQLiteGreylist,
    SQLiteLogins,
    SQLiteSettings,
    SQLiteVerdicts,
    SQLiteWebSessions,
)
from corvus_server.storage.sqlite.search import Search, SearchIndex
from corvus_server.storage.sqlite.sweep import Sweeper
from corvus_server.storage.values import Accepted, Finding, Intake, SweepReport

__all__ = ["SQLiteStore"]

_INDEX_PAUSE: Final = 0.2
"""Seconds the indexer lets deliveries collect; a pause without a commit is a quiet moment."""
_INDEX_PATIENCE: Final = 25
"""Pauses that the indexer gives way to deliveries, at most."""


@final
class SQLiteStore:
    """
    A store in a data folder; see `corvus_server.storage.protocols.Store` for what it promises.

    ``corvus.db`` holds the rows, ``mail/`` and ``queue/`` the bodies, ``search.db`` the full-text index (which can
    be thrown away), ``sealing.key`` the key of the DKIM keys unless `key_file` says otherwise.

    Args:
        folder: The data folder; made if it is missing.
        now: The clock.
        random: The source of names, tokens and nonces.
        key_file: Where the key-encryption key lies.
        command: What the lock tells others that we are.
        background: Index and checkpoint in threads; without it call ``messages.index()`` yourself.
        sync: How a batch of bodies is made durable: ``fsync`` each, one ``syncfs``, or ``auto`` (the latter where
            the folder is a file system of its own).
        files: The file system, for tests that pull the plug.

    Raises:
        DataFolderBusy: another process has the folder.
        StoreError: the data are not ours, or of a newer version, or the key file is open to others.
        StoreUnavailable: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        now: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
        key_file: Path | None = None,
        command: str = "serve",
        background: bool = True,
        sync: SyncMode = "auto",
        files: FileSystem | None = None,
    ) -> None:
        self.folder = Path(folder)
        self._random = random
        self._temporary = str(self.folder / "tmp")
        self._names = 0
        self._files = files or FileSystem()
        self._stop = threading.Event()
        self._closed = False
        with contextlib.ExitStack() as undo:
            try:
                self._files.make_folder(self.folder)
                self._lock = FolderLock(self.folder, command=command)
                undo.callback(self._lock.release)
                # What is in tmp/ now was never answered: its writers died with the last process.
                self._clear_temporary()
                self._folders = BodyFolders(self.folder, files=self._files, sync=sync)
                undo.callback(self._folders.close)
                sealer = Sealer(
                    load_key_file(key_file or self.folder / "sealing.key", random), random
                )
            except OSError as error:
                raise StoreUnavailable(f"the data folder cannot be used: {error}") from error
            self._database = Database(
                self.folder / "corvus.db",
                files=self._files,
                folders=self._folders,
                now=now,
                background=background,
            )
            undo.callback(self._database.close_now)
            index = SearchIndex(self.folder / "search.db")
            undo.callback(index.close)
            undo.pop_all()
        self._index = index
        self._registry = Registry()
        self._notices = Notices()
        self._database.hooks.notify = self._notices.notify
        self._database.hooks.wake_queue = self._notices.wake_queue
        database, folders, registry = self._database, self._folders, self._registry
        self.directory = SQLiteDirectory(database, folders)
        self.logins = SQLiteLogins(database)
        self.mailboxes = SQLiteMailboxes(database, registry)
        self._search = Search(database, folders, index)
        self._intake = IntakeWriter(database, self.directory, registry, self._new_name)
        self.messages = SQLiteMessages(database, folders, registry, self._intake, self._search)
        self.queue = SQLiteQueue(database, folders, self._intake, self._notices, self._new_token)
        self.verdicts = SQLiteVerdicts(database)
        self.greylist = SQLiteGreylist(database)
        self.web_sessions = SQLiteWebSessions(database)
        self.settings = SQLiteSettings(database)
        self.keys = SQLiteKeys(database, sealer)
        self._checker = Checker(database, folders, sealer)
        self._sweeper = Sweeper(database, folders, index)
        self._indexer: threading.Thread | None = None
        if background:
            self._indexer = threading.Thread(
                target=self._index_loop, name="corvus-store-index", daemon=True
            )
            self._indexer.start()

    @property
    def counters(self) -> Counters:
        """What the writer did so far."""
        return self._database.counters

    @property
    def found_version(self) -> int:
        """The schema version the folder had when it was opened; 0: it was empty."""
        return self._database.found_version

    def _new_name(self) -> str:
        """A file name that nobody had or will have."""
        self._names += 1
        return f"{int(self._database.now())}.{self._names}.{self._random(8).hex()}"

    def _new_token(self) -> str:
        return self._random(16).hex()

    def _clear_temporary(self) -> None:
        folder = self.folder / "tmp"
        if folder.is_dir():
            for path in folder.iterdir():
                with contextlib.suppress(OSError):
                    self._files.unlink(path)

    def _index_loop(self) -> None:
        """Index bodies behind the deliveries: in a quiet moment, or when the tail has waited long."""
        indexed = seen = -1
        busy = 0
        with contextlib.closing(self._database.connect_reader()) as db:
            while not self._stop.wait(_INDEX_PAUSE):
                commits = self._database.counters.commits
                if commits == indexed:
                    continue
                # Mail pours in: what SEARCH scans meanwhile is bounded by the patience.
                if commits != seen and busy < _INDEX_PATIENCE:
                    seen, busy = commits, busy + 1
                    continue
                busy = 0
                # OSError, SQLite's errors: a disk in trouble; the next round tries again.
                with contextlib.suppress(Exception):
                    while self._search.index_step(db, 32):
                        if self._stop.wait(0.01):
                            return
                    indexed = commits

    # The whole.

    def new_body(self) -> Body:
        if self._closed:
            raise StoreClosed("the store is closed")
        return Body(f"{self._temporary}/{self._new_name()}", self._files)

    async def accept(self, intake: Intake) -> Accepted:
        return await self._intake.accept(intake)

    def subscribe(self, account_id: int | None, callback: ChangeCallback) -> Callable[[], None]:
        return self._notices.subscribe(account_id, callback)

    async def check(self, *, fix: bool = False) -> list[Finding]:
        return await self._checker.run(fix=fix)

    async def sweep(self, *, grace: float = 3600.0) -> SweepReport:
        return await self._sweeper.run(grace)

    async def flush(self) -> None:
        await self._database.write(lambda tx: None)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._stop.set()
        await self._database.close()
        await asyncio.get_running_loop().run_in_executor(None, self._close_rest)

    def close_now(self) -> None:
        """The same where no event loop runs."""
        if not self._closed:
            self._closed = True
            self._stop.set()
            self._database.close_now()
            self._close_rest()

    def _close_rest(self) -> None:
        if self._indexer is not None:
            self._indexer.join()
        self._index.close()
        self._folders.close()
        self._lock.release()

    async def __aenter__(self) -> SQLiteStore:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
