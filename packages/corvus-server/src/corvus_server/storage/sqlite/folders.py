"""
Body files: one immutable file per content, hard-linked where several have it (R5).

``mail/<domain>/<user>/{tmp,new,cur}`` is a Maildir-style folder per account, ``queue/`` holds what goes out, and
``tmp/`` what is on its way in.  A batch is made durable together: write all, rename all, sync all files and folders
side by side in a small pool of threads, then the rows.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, final

from corvus_server.storage.bodies import Body, BodyReader, sentence_of
from corvus_server.storage.errors import NotFound, StoreUnavailable
from corvus_server.storage.files import FileSystem

if TYPE_CHECKING:
    from corvus_server.storage.sqlite.engine import Counters

__all__ = ["QUEUE", "BodyFolders", "Placement", "SyncMode", "account_folder"]

SyncMode = Literal["auto", "fsync", "syncfs"]

QUEUE: Final = "queue"
"""The folder of the queue, relative to the data folder."""

_OPEN_FOLDERS: Final = 128
_SAFE: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_+=@.ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _safe(part: str) -> str:
    """A file name for any local part or domain: ``/``, ``..`` and controls become ``%2F`` and the like."""
    octets = part.encode("utf-8", "surrogatepass")
    name = "".join(chr(c) if c in _SAFE else f"%{c:02X}" for c in octets)
    if name.startswith("."):
        name = "%2E" + name[1:]
    # File names end at 255 octets; what is cut stays distinct by its account id.
    return name[:180]


def account_folder(account_id: int, address: str) -> str:
    """Where an account's bodies lie, relative to the data folder."""
    local, _, domain = address.rpartition("@")
    name = _safe(local)
    if len(name) == 180:
        name = f"{name}%{account_id}"
    return f"mail/{_safe(domain)}/{name}"


@final
@dataclass(slots=True, eq=False)
class Placement:
    """A body and the places that are to have it: (folder relative to the data folder, file name)."""

    body: Body
    targets: Sequence[tuple[str, str]]
    error: StoreUnavailable | None = None
    _done: list[str] = field(default_factory=list)
    _temporary: str | None = None

    def kept(self) -> None:
        """The rows are committed: the octets are the store's."""
        self.body.done()


class BodyFolders:
    """The body files of a data folder."""

    def __init__(
        self, root: Path, *, files: FileSystem, sync: SyncMode = "auto", threads: int = 4
    ) -> None:
        self.root = root
        # Joining a Path costs more than writing the file it names.
        self._root = str(root)
        self._files = files
        self._threads = threads if files.parallel else 0
        self._pool: ThreadPoolExecutor | None = None
        self._made: set[str] = set()
        self._open: OrderedDict[str, int] = OrderedDict()
        for folder in ("tmp", QUEUE, "mail"):
            files.make_folder(root / folder)
        files.sync_folder(root)
        self.sync_mode = self._choose(sync)

    def _choose(self, sync: SyncMode) -> Literal["fsync", "syncfs"]:
        """
        One ``syncfs`` a batch where the data folder is a file system of its own.

        Elsewhere it would wait for everything others have written, so then each file is synced.
        """
        if sync != "auto":
            return sync
        own = self.root.stat().st_dev != self.root.resolve().parent.stat().st_dev
        return "syncfs" if own and _syncfs_works() else "fsync"

    # Writing.

    def place(self, placements: Sequence[Placement], counters: Counters) -> None:
        """
        Make bodies durable under their names; `Placement.error` says of each whether it failed.

        Called in the writer thread.
        """
        for placement in placements:
            try:
                for folder, _ in placement.targets:
                    self._ensure(folder)
            except OSError as error:
                self._failed(placement, error)
        ready = [placement for placement in placements if placement.error is None]
        # Renamed first and synced then, so that one commit of the file system's journal takes the octets and the
        # names of a whole batch.  A name without a row is nobody's message, whatever it holds after a crash.
        self._together([partial(self._write_one, placement) for placement in ready])
        touched: dict[str, list[Placement]] = {}
        whole: list[tuple[Placement, int]] = []
        for placement in ready:
            if placement.error is None:
                whole.append((placement, placement.body.to_file()[1]))
                for folder in dict.fromkeys(folder for folder, _ in placement.targets):
                    touched.setdefault(folder, []).append(placement)
        if not whole:
            return
        if self.sync_mode == "syncfs":
            counters.file_syncs += 1
            try:
                self._sync_all()
            except OSError as error:
                for placement, _ in whole:
                    self._failed(placement, error)
            return
        counters.file_syncs += len(whole)
        counters.folder_syncs += len(touched)
        jobs = [partial(self._sync_one, placement, fd) for placement, fd in whole]
        jobs += [partial(self._sync_folder, folder, many) for folder, many in touched.items()]
        self._together(jobs)

    def _together(self, jobs: Sequence[Callable[[], None]]) -> None:
        """
        Run jobs that wait for the disk side by side; they keep their errors themselves.

        Syncs that wait together are answered together: ten of them cost little more than one.
        """
        if len(jobs) < 2 or not self._threads:
            for job in jobs:
                job()
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads - 1, "corvus-store-sync")
        # The caller works, too: every thread that must be woken costs a turn on a busy machine.
        width = min(self._threads, len(jobs))
        parts = [jobs[i::width] for i in range(width)]
        waiting = [self._pool.submit(_all, part) for part in parts[1:]]
        _all(parts[0])
        for future in waiting:
            future.result()

    def _sync_one(self, placement: Placement, fd: int) -> None:
        try:
            self._files.sync(fd)
        except OSError as error:
            self._failed(placement, error)

    def _sync_folder(self, folder: str, placements: Iterable[Placement]) -> None:
        try:
            self._files.sync_folder(
                self.root / folder / "new" if folder != QUEUE else self.root / folder
            )
        except OSError as error:
            for placement in placements:
                self._failed(placement, error)

    def _sync_all(self) -> None:
        self._files.reached("syncfs")
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _syncfs(fd)
        finally:
            os.close(fd)

    def _write_one(self, placement: Placement) -> None:
        """The octets into a file, and the file into its folders."""
        try:
            placement._temporary, fd = placement.body.to_file()
            with contextlib.suppress(OSError):
                self._files.start_writing(fd)
            for i, (folder, name) in enumerate(placement.targets):
                target = self._name_of(folder, name)
                if i + 1 < len(placement.targets):
                    self._files.link(placement._temporary, target)
                else:
                    self._files.rename(placement._temporary, target)
                placement._done.append(target)
        except OSError as error:
            self._failed(placement, error)

    def _failed(self, placement: Placement, error: OSError) -> None:
        if placement.error is None:
            placement.error = StoreUnavailable(sentence_of(error))
            placement.error.__cause__ = error

    def take_back(self, placement: Placement) -> None:
        """The rows were not committed: the file goes back to where its body looks for it."""
        done, placement._done = placement._done, []
        if not done or placement._temporary is None:
            return
        moved = len(done) == len(placement.targets)
        for i, target in enumerate(done):
            with contextlib.suppress(OSError):
                if moved and i == len(done) - 1:
                    self._files.rename(target, placement._temporary)
                else:
                    self._files.unlink(target)

    def _ensure(self, folder: str) -> None:
        """The folder is there, and so are its name and those above it after a power cut."""
        if folder in self._made or folder == QUEUE:
            return
        path = self.root / folder
        for part in ("tmp", "new", "cur"):
            self._files.make_folder(path / part)
        self._files.sync_folder(path)
        while path != self.root:
            path = path.parent
            self._files.sync_folder(path)
        self._made.add(folder)

    # Reading.

    def path_of(self, folder: str, name: str) -> Path:
        return Path(self._name_of(folder, name))

    def _name_of(self, folder: str, name: str) -> str:
        return (
            f"{self._root}/{folder}/{name}"
            if folder == QUEUE
            else f"{self._root}/{folder}/new/{name}"
        )

    def _folder_fd(self, folder: str) -> int:
        fd = self._open.get(folder)
        if fd is None:
            path = self.root / folder if folder == QUEUE else self.root / folder / "new"
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._open[folder] = fd
            if len(self._open) > _OPEN_FOLDERS:
                _, oldest = self._open.popitem(last=False)
                os.close(oldest)
        else:
            self._open.move_to_end(folder)
        return fd

    def open(self, folder: str, name: str) -> int:
        """
        A descriptor for reading; called on the event loop.

        Raises:
            NotFound: the body is gone.
        """
        try:
            # Relative to an open folder: half the time of a whole path.
            return os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder_fd(folder))
        except FileNotFoundError as error:
            raise NotFound("the body of the message is gone") from error
        except OSError as error:
            raise StoreUnavailable(f"the store cannot read: {error.strerror}") from error

    def read(self, folder: str, name: str, prefix: bytes, offset: int, length: int) -> bytes:
        """`length` octets of prefix and body from `offset`."""
        fd = self.open(folder, name)
        try:
            n = len(prefix)
            if not n:
                data = os.pread(fd, length, offset)
                if len(data) == length:
                    return data
            reader = BodyReader(prefix, fd=os.dup(fd))
            try:
                return reader.pread(offset, length)
            finally:
                reader.close()
        finally:
            os.close(fd)

    def unlink(self, folder: str, name: str) -> None:
        """Take a body away; it may be gone already."""
        with contextlib.suppress(FileNotFoundError):
            self._files.unlink(self.path_of(folder, name))

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        while self._open:
            os.close(self._open.popitem()[1])


def _all(jobs: Iterable[Callable[[], None]]) -> None:
    for job in jobs:
        job()


_libc: Any = None


def _syncfs_works() -> bool:
    global _libc
    if _libc is None:
        try:
            _libc = ctypes.CDLL(None, use_errno=True)
        except OSError:  # a platform without a C library to call by name
            return False
    return hasattr(_libc, "syncfs")


def _syncfs(fd: int) -> None:
    if not _syncfs_works():
        raise OSError("syncfs is not available here")
    if _libc.syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
