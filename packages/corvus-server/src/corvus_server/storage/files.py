"""
The file system, as far as a store needs it: the seam where tests pull the plug.

Every change a store makes to a file passes through one of these methods, so a test can count them, fail them, die at
them, or remember what had been made durable.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["FileSystem"]


class FileSystem:
    """The real one.  Errors are `OSError`, translated by the callers."""

    parallel = True
    """Syncs of a batch may wait side by side; a harness that counts wants them in order."""

    def make_folder(self, path: Path) -> None:
        """Make a folder and its parents, mode 0700; it may be there."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self, path: str | Path) -> int:
        """A new file for writing and reading, mode 0600; returns its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, fd: int, data: bytes) -> None:
        """All of `data`."""
        written = os.write(fd, data)
        while written < len(data):
            written += os.write(fd, memoryview(data)[written:])

    def start_writing(self, fd: int) -> None:
        """Ask for the octets to go to the disk soon, so that the syncs of a batch find most of it done."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self, fd: int) -> None:
        """Return when the octets and the size of the file are on the disk."""
        os.fsync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def rename(self, source: str | Path, target: str | Path) -> None:
        os.rename(source, target)  # noqa: PTH104 - one system call, one seam

    def link(self, source: str | Path, target: str | Path) -> None:
        os.link(source, target)

    def unlink(self, path: str | Path) -> None:
        os.unlink(path)  # noqa: PTH108

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder are on the disk."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def reached(self, seam: str) -> None:
        """A point between two changes of the database, such as ``commit``; the real file system does nothing."""
