"""
The octets of messages: on their way in (`Body`) and on their way out (`BodyReader`).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Final, final

from corvus_server.storage.errors import StoreUnavailable
from corvus_server.storage.files import FileSystem

__all__ = ["MEMORY_LIMIT", "Body", "BodyReader", "sentence_of"]

MEMORY_LIMIT: Final = 256 * 1024
"""Octets a body keeps in memory before it goes to a file."""


def sentence_of(error: OSError) -> str:
    """What an operator reads when the disk says no."""
    return f"the store cannot write: {error.strerror or error}"


@final
class Body:
    """
    The octets of one message while they arrive.

    Write the chunks as they come, then hand the body to `Store.accept` or `Messages.append`, which consume it, or
    `discard` it.  Up to `MEMORY_LIMIT` octets stay in memory; then they go to a file, not yet synced, so `write` never
    waits for the disk.  One body, one use; a refused one (`StoreError`) may be handed in again or discarded.
    """

    __slots__ = ("_chunks", "_fd", "_files", "_path", "consumed", "held", "size")

    def __init__(self, path: str | Path | None = None, files: FileSystem | None = None) -> None:
        """`path` is where the file would be; None keeps everything in memory."""
        self._path = path
        self._files = files or FileSystem()
        self._chunks: list[bytes] = []
        self._fd: int | None = None
        #: Octets written so far.
        self.size = 0
        #: Handed in with success, or discarded.
        self.consumed = False
        #: A store is working on it, in a thread of its own: only the store may let go of it.
        self.held = False

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """
        Raises:
            StoreUnavailable: the disk is full.
        """
        data = bytes(chunk)
        self.size += len(data)
        if self._fd is not None:
            self._spill([data])
            return
        self._chunks.append(data)
        if self.size > MEMORY_LIMIT and self._path is not None:
            chunks, self._chunks = self._chunks, []
            self._spill(chunks)

    def _spill(self, chunks: list[bytes]) -> None:
        assert self._path is not None  # only bodies with a path spill
        try:
            if self._fd is None:
                self._fd = self._files.create(self._path)
            for chunk in chunks:
                self._files.write(self._fd, chunk)
        except OSError as error:
            self.discard()
            raise StoreUnavailable(sentence_of(error)) from error

    @property
    def spilled(self) -> bool:
        """The octets are in a file."""
        return self._fd is not None

    def getvalue(self) -> bytes:
        """All octets; for what examines them."""
        if self._fd is not None:
            return os.pread(self._fd, self.size, 0)
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""

    def to_file(self) -> tuple[str, int]:
        """Put everything into the file and return it with its descriptor, which stays the body's: for stores."""
        assert self._path is not None
        if self._fd is None:
            fd = self._files.create(self._path)
            try:
                data = self.getvalue()
                if data:
                    self._files.write(fd, data)
            except BaseException:
                self._files.close(fd)
                with contextlib.suppress(OSError):
                    self._files.unlink(self._path)
                raise
            self._fd = fd
        return str(self._path), self._fd

    def done(self) -> None:
        """Let go of the descriptor; the file belongs to somebody else now: for stores."""
        self.consumed = True
        self._chunks = []
        fd, self._fd = self._fd, None
        if fd is not None:
            self._files.close(fd)

    def discard(self) -> None:
        """Forget the octets; idempotent, and nothing while or after a store has it."""
        if self.consumed or self.held:
            return
        spilled = self._fd is not None
        self.done()
        if spilled and self._path is not None:
            with contextlib.suppress(OSError):
                self._files.unlink(self._path)

    def __enter__(self) -> Body:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.discard()

    def __del__(self) -> None:
        # A session that died between DATA and its dot: nobody else closes this.
        with contextlib.suppress(Exception):
            self.discard()


@final
class BodyReader:
    """
    Prefix and body of a stored message as one run of octets; close it.

    `fd` is the open body file, or None where there is none; its first octet is octet ``len(prefix)`` of the whole.
    """

    __slots__ = ("_data", "_fd", "_position", "prefix", "size")

    def __init__(self, prefix: bytes, *, fd: int | None = None, data: bytes = b"") -> None:
        self.prefix = prefix
        self._fd = fd
        self._data = data
        self._position = 0
        #: Octets with the prefix.
        self.size = len(prefix) + (os.fstat(fd).st_size if fd is not None else len(data))

    @property
    def fd(self) -> int | None:
        return self._fd

    def pread(self, offset: int, length: int) -> bytes:
        """`length` octets from `offset`, fewer at the end."""
        n = len(self.prefix)
        if offset >= n:
            return self._body(offset - n, length)
        head = self.prefix[offset : offset + length]
        if len(head) == length:
            return head
        return head + self._body(0, length - len(head))

    def _body(self, offset: int, length: int) -> bytes:
        if self._fd is None:
            return self._data[offset : offset + length]
        data = os.pread(self._fd, length, offset)
        while len(data) < length:  # a signal or a limit of the system may cut a long read
            more = os.pread(self._fd, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def read(self, length: int = -1) -> bytes:
        """The next octets, all that remain by default; empty at the end."""
        remain = self.size - self._position
        data = self.pread(self._position, remain if length < 0 else min(length, remain))
        self._position += len(data)
        return data

    def seek(self, offset: int) -> None:
        self._position = offset

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __enter__(self) -> BodyReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()
