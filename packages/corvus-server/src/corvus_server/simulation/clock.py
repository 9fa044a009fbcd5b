"""Virtual time: an asyncio loop whose clock jumps to the next timer when nothing can run.

Five days of retries take as long as the work that is done in them.  Work that a program gives to
threads is done at once and in place, so that the same seed gives the same run; what comes from a
thread of its own (the SQLite store's writer) is waited for in real time, while virtual time stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, final

T = TypeVar("T")

#: 2027-01-15 08:00:00 UTC, where virtual time begins unless told otherwise.
EPOCH: Final = 1_800_000_000.0
#: Real seconds that a thread outside may take; more is a deadlock, and said to be one.
PATIENCE: Final = 20.0


class Deadlock(RuntimeError):
    """Nothing can run, no timer is set, and nobody outside will wake the loop."""


@final
class VirtualLoop(asyncio.SelectorEventLoop):
    """
    An event loop under virtual time.

    >>> async def sleeper():
    ...     await asyncio.sleep(86_400)
    ...     return asyncio.get_running_loop().time()
    >>> run(sleeper())
    86400.0
    """

    def __init__(self) -> None:
        self._virtual = 0.0
        self.outside: Callable[[], bool] = lambda: False
        """Whether a thread is at work for us: then the loop waits for it and time stands still."""
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Seconds since the loop was made, in virtual time."""
        return self._virtual

    def _jump(self, seconds: float) -> None:
        # At least one step of a float: far from zero a tiny wait would add nothing, for ever.
        self._virtual = max(self._virtual + seconds, math.nextafter(self._virtual, math.inf))

    def run_in_executor(  # type: ignore[override]  # a future that is done is a future
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run *func* here and now: threads have no place in a run that can be repeated."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class _Selector(selectors.DefaultSelector):
    """Waits by letting time pass."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self._loop.outside():
            # Somebody is at work in a thread and will wake us through the loop's own pipe.
            return super().select(0.001)
        if timeout is None:
            ready = super().select(PATIENCE)
            if not ready:
                raise Deadlock("nothing can run and no timer is set")
            return ready
        self._loop._jump(timeout)
        return ready


def run(main: Coroutine[Any, Any, T], *, limit: float | None = None) -> T:
    """
    Run *main* under virtual time to its end, cancel what it left, and return its result.

    Args:
        limit: Virtual seconds after which it is given up with `TimeoutError`.
    """
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main if limit is None else asyncio.wait_for(main, limit))
    finally:
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                with contextlib.suppress(Deadlock):
                    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


@final
class Clock:
    """The wall clock that goes with the loop; call it for seconds since the epoch."""

    def __init__(self, epoch: float = EPOCH) -> None:
        self._epoch = epoch
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> float:
        return self._epoch + self.monotonic()

    def monotonic(self) -> float:
        """Virtual seconds since the loop began; a thread is told the time of the loop it works for."""
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
        return 0.0 if self._loop is None else self._loop.time()
