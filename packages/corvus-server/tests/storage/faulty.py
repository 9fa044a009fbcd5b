"""
A file system that can be stopped, failed and cut back to what was synced, and what a store shows of itself.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corvus_server.storage.files import FileSystem
from corvus_server.storage.protocols import Store

WAL_HEADER = 32
FRAME_HEADER = 24
PAGE = 4096


class FaultyFiles(FileSystem):
    """
    Counts the seams a store passes, calls `at_seam` before each, and remembers what is durable.

    `at_seam` gets (number, name) and may raise, copy the folder, or do nothing.
    """

    parallel = False

    def __init__(self, at_seam: Callable[[int, str], None] | None = None) -> None:
        self.at_seam = at_seam or (lambda number, name: None)
        self.seams = 0
        self.names: list[str] = []
        self._paths: dict[int, Path] = {}
        #: Files whose octets are not on the disk.
        self.dirty: set[int] = set()  # inodes
        #: Names that are not on the disk, with the name the file had before (None: it was made).
        self.unsynced_names: dict[Path, Path | None] = {}
        #: Names that were taken away and may come back, with their octets.
        self.ghosts: dict[Path, bytes] = {}

    def _seam(self, name: str) -> None:
        self.seams += 1
        self.names.append(name)
        self.at_seam(self.seams, name)

    def make_folder(self, path: Path) -> None:
        self._seam("mkdir")
        super().make_folder(path)

    def create(self, path: str | Path) -> int:
        path = Path(path)
        self._seam("create")
        fd = super().create(path)
        self._paths[fd] = path
        self.dirty.add(os.fstat(fd).st_ino)
        self.unsynced_names[path] = None
        return fd

    def write(self, fd: int, data: bytes) -> None:
        self._seam("write")
        half = len(data) // 2
        super().write(fd, data[:half])
        self._seam("write half")
        super().write(fd, data[half:])

    def start_writing(self, fd: int) -> None:
        self._seam("start writing")

    def sync(self, fd: int) -> None:
        self._seam("sync")
        self.dirty.discard(os.fstat(fd).st_ino)

    def close(self, fd: int) -> None:
        self._paths.pop(fd, None)
        super().close(fd)

    def rename(self, source: str | Path, target: str | Path) -> None:
        source, target = Path(source), Path(target)
        self._seam("rename")
        super().rename(source, target)
        self.unsynced_names.pop(source, None)
        self.unsynced_names[target] = source

    def link(self, source: str | Path, target: str | Path) -> None:
        source, target = Path(source), Path(target)
        self._seam("link")
        super().link(source, target)
        self.unsynced_names[target] = None

    def unlink(self, path: str | Path) -> None:
        path = Path(path)
        self._seam("unlink")
        data = path.read_bytes()
        super().unlink(path)
        if path in self.unsynced_names:
            del self.unsynced_names[path]
        else:
            self.ghosts[path] = data

    def sync_folder(self, path: Path) -> None:
        self._seam("sync folder")
        for name in [n for n in self.unsynced_names if n.parent == path]:
            del self.unsynced_names[name]
        for name in [n for n in self.ghosts if n.parent == path]:
            del self.ghosts[name]

    def reached(self, seam: str) -> None:
        self._seam(seam)

    # What is left.

    def cut_back(self, live: Path, copy: Path, wal: int) -> None:
        """
        Make `copy` what a power cut may leave of `live`: the least that was promised.

        Args:
            live: The data folder.
            copy: A copy of it.
            wal: Octets of the log that had been synced.
        """
        for path in live.rglob("*"):
            if path.is_file() and path.stat().st_ino in self.dirty:
                twin = copy / path.relative_to(live)
                if twin.exists():
                    twin.write_bytes(twin.read_bytes()[: path.stat().st_size // 3])
        for name in self.unsynced_names:
            (copy / name.relative_to(live)).unlink(missing_ok=True)
        for name, data in self.ghosts.items():
            (copy / name.relative_to(live)).write_bytes(data)
        cut_wal(copy, wal)


def copy_folder(live: Path, copy: Path) -> None:
    """
    What a killed process leaves: everything it wrote, nothing it only had in memory.

    The ``-shm`` file is an index of the log that is made anew by the first who opens it.
    """
    shutil.copytree(live, copy, ignore=shutil.ignore_patterns("*-shm", "lock"))


def wal_size(folder: Path) -> int:
    path = folder / "corvus.db-wal"
    return path.stat().st_size if path.exists() else 0


def cut_wal(folder: Path, size: int) -> None:
    path = folder / "corvus.db-wal"
    if path.exists() and path.stat().st_size > size:
        os.truncate(path, size)


def wal_cuts(synced: int, written: int) -> list[int]:
    """Sizes of the log behind each frame that was not synced, and in the middle of each."""
    frame = FRAME_HEADER + PAGE
    at = max(synced, WAL_HEADER)
    cuts = []
    while at < written:
        cuts += [at, at + frame // 2]
        at += frame
    return cuts


async def visible(store: Store) -> dict[str, Any]:
    """All that a client can see of a store."""
    seen: dict[str, Any] = {}
    for account in store.directory.accounts():
        for box in store.mailboxes.all(account.id):
            state = await store.messages.open(box.id)
            bodies = store.messages.bodies(box.id, list(state.uids))
            messages = {
                body.uid: (
                    store.messages.read_body(body),
                    frozenset(state.flag_names(state.flags[row])),
                )
                for row, body in enumerate(bodies)
            }
            assert list(messages) == list(state.uids)
            seen[f"{account.address}/{box.name}"] = (box.uid_validity, box.uid_next, messages)
    for finished in (False, True):
        for entry in store.queue.entries(finished=finished):
            body = None if finished else store.queue.read_body(entry)
            seen[f"queue/{entry.id}"] = (
                body,
                tuple((r.address, r.state) for r in entry.recipients),
                len(store.queue.attempts(entry.id)),
            )
    return seen
