"""A store as one process of a simulated machine has it: gone for that process when the process dies.

The disk outlives the process.  A `Guard` stands before every group of the store; after the crash
whatever is still called, by tasks that are being taken down, finds nothing there any more.
"""

from __future__ import annotations

import inspect
from typing import Any, Final, final

from corvus_server.storage.errors import StoreClosed

_GROUPS: Final = frozenset({
    "directory", "logins", "mailboxes", "messages", "queue", "verdicts", "greylist",
    "web_sessions", "settings", "keys",
})  # fmt: skip


@final
class Process:
    """One life of a server."""

    def __init__(self) -> None:
        self.alive = True
        self.calls = 0
        """Calls of the store that wait: while there are some, a thread may be at work."""


@final
class Guard:
    """Passes every call on while the process lives."""

    def __init__(self, target: Any, process: Process, *, keep_open: bool = False) -> None:
        self._target = target
        self._process = process
        self._keep_open = keep_open

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if name in _GROUPS:
            return Guard(value, self._process)
        if not callable(value):
            return value
        if name == "close" and self._keep_open:
            return _nothing
        if inspect.iscoroutinefunction(value):
            return lambda *args, **more: self._wait(value, args, more)
        return lambda *args, **more: self._call(value, args, more)

    def _call(self, value: Any, args: Any, more: Any) -> Any:
        if not self._process.alive:
            raise StoreClosed("the machine has crashed")
        return value(*args, **more)

    async def _wait(self, value: Any, args: Any, more: Any) -> Any:
        if not self._process.alive:
            raise StoreClosed("the machine has crashed")
        self._process.calls += 1
        try:
            return await value(*args, **more)
        finally:
            self._process.calls -= 1


async def _nothing() -> None:
    """Closing a store that is kept for the next process."""
