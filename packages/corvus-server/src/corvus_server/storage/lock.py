"""
One process owns a data folder: a lock that the kernel lets go of when its holder dies.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import final

from corvus_server.storage.errors import DataFolderBusy, StoreUnavailable

__all__ = ["FolderLock"]


@final
class FolderLock:
    """
    The lock of a data folder, held from construction to `release`.

    Raises:
        DataFolderBusy: somebody has it, and the sentence says who.
    """

    def __init__(self, folder: Path, *, command: str) -> None:
        self.path = folder / "lock"
        try:
            self._fd: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"the data folder cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy = self._who()
            os.close(self._fd)
            self._fd = None
            raise busy from None
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps({"pid": os.getpid(), "command": command}).encode(), 0)
        except OSError as error:  # a full disk: the lock itself is held
            self.release()
            raise StoreUnavailable(f"the data folder cannot be used: {error.strerror}") from error

    def _who(self) -> DataFolderBusy:
        assert self._fd is not None  # only called while the file is open
        try:
            holder = json.loads(os.pread(self._fd, 4096, 0))
            pid, command = int(holder["pid"]), str(holder["command"])
        except (ValueError, KeyError, TypeError):  # it is just writing its name
            return DataFolderBusy(f"{self.path.parent} is in use by another process")
        return DataFolderBusy(
            f"{self.path.parent} is in use by corvus {command} (process {pid})",
            holder=pid,
            command=command,
        )

    def release(self) -> None:
        """Let go; idempotent.  The file stays, because removing it would race with the next holder."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
