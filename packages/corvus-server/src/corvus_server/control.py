"""The control socket: how a command speaks with the server that owns the store.

A Unix socket in the data folder, mode 0600: who may open it may also read the mail, so there is no
further sign-in.  One request and one answer a line, both JSON::

    {"operation": "queue list", "arguments": {"domain": "crow.example"}}
    {"result": [...]}        or        {"error": "there is no queue entry 7"}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final, final

from corvus_server.operations import OperationError

#: Octets of one request or answer.
MAX_LINE: Final = 16 * 1024 * 1024
#: The socket's name in the data folder.
NAME: Final = "control.sock"


@final
class ControlServer:
    """Listens while the server runs."""

    def __init__(self, folder: Path, call: Callable[[str, dict[str, Any]], Awaitable[Any]]) -> None:
        self._path = folder / NAME
        self._call = call
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket left behind by a dead server is replaced (the lock says it is dead)."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        with _short_path(self._path) as path:
            self._server = await asyncio.start_unix_server(self._serve, path, limit=MAX_LINE)
        self._path.chmod(0o600)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line), default=str).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            operation, arguments = request["operation"], request.get("arguments", {})
        except (ValueError, KeyError, TypeError):
            return {"error": "a request is a JSON object with an operation"}
        try:
            return {"result": await self._call(operation, arguments)}
        except OperationError as error:
            return {"error": str(error)}


def ask(folder: Path, operation: str, arguments: dict[str, Any]) -> Any:
    """
    Have the running server do *operation*.

    Raises:
        ConnectionRefusedError: No server runs on this data folder.
        OperationError: It says no, in a sentence.
    """
    path = folder / NAME
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(600)
        try:
            with _short_path(path) as short:
                line.connect(short)
        except (FileNotFoundError, ConnectionRefusedError):
            raise ConnectionRefusedError(f"no server runs on {folder}") from None
        request = {"operation": operation, "arguments": arguments}
        line.sendall(json.dumps(request).encode() + b"\n")
        with line.makefile("rb") as answers:
            answer = answers.readline(MAX_LINE)
    if not answer:
        raise OperationError("the server closed the line; its log says why")
    found = json.loads(answer)
    if "error" in found:
        raise OperationError(found["error"])
    return found["result"]


@contextlib.contextmanager
def _short_path(path: Path) -> Iterator[str]:
    """A name for *path* that fits into ``sun_path`` (108 octets), by way of its folder if it must."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
