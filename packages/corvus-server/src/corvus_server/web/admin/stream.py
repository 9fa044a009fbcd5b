"""Server-sent events for the administrator's pages: "look again", and the lines of the log.

A stream ends by itself after a while, and the browser's reconnection is a new request: so whoever
has been signed out, or is no administrator any more, sees nothing further.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.responses import Response, StreamingResponse

from corvus_server.log import EventLog, LogEvent
from corvus_server.web.page import NotHere, Visit

#: Seconds of one stream.
LONGEST: Final = 600.0
#: Seconds without an event after which a comment keeps proxies from closing.
SILENCE: Final = 15.0
#: Seconds in which events are gathered into one message.
GATHER: Final = 0.25
#: Events that wait for a slow reader; more are counted, not kept.
WAITING: Final = 2000


def _delivery(event: LogEvent) -> bool:
    return event.protocol in ("delivery", "submission") or event.name.startswith("queue ")


def _mails(event: LogEvent) -> bool:
    return event.protocol == "smtp" and event.name == "message"


def _sessions(event: LogEvent) -> bool:
    return event.name in ("connected", "closed", "signed in", "signed out", "tls")


def _logins(event: LogEvent) -> bool:
    return event.protocol == "auth" or event.name == "signed in"


#: What a page can be told of.
KINDS: Final[dict[str, Callable[[LogEvent], bool]]] = {
    "queue": _delivery,
    "mails": _mails,
    "sessions": _sessions,
    "logins": _logins,
}


async def events(
    log: EventLog,
    wanted: Callable[[LogEvent], bool],
    *,
    after: int | None = None,
    longest: float = LONGEST,
    silence: float = SILENCE,
    gather: float = GATHER,
) -> AsyncIterator[tuple[list[LogEvent], int]]:
    """
    New events of *log* that are *wanted*, in groups, with how many were lost before each group.

    Args:
        after: The number of the last event already seen; what the ring buffer has kept since then
            comes first.  ``None``: only what happens from now on.

    Yields an empty group after *silence* seconds without an event.
    """
    loop = asyncio.get_running_loop()
    waiting: list[LogEvent] = []
    lost = 0
    arrived = asyncio.Event()

    def take(event: LogEvent) -> None:
        nonlocal lost
        if not wanted(event):
            return
        if len(waiting) >= WAITING:
            lost += 1
        else:
            waiting.append(event)
        arrived.set()

    def reader(event: LogEvent) -> None:
        # Whoever logs may be in a thread of its own.
        if not loop.is_closed():
            loop.call_soon_threadsafe(take, event)

    end = loop.time() + longest
    if after is not None:
        waiting += [event for event in list(log.recent) if event.number > after and wanted(event)]
        if waiting:
            arrived.set()
    stop = log.subscribe(reader)
    try:
        while (left := end - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(silence, left)):
                    await arrived.wait()
            except TimeoutError:
                yield [], 0
                continue
            await asyncio.sleep(gather)
            arrived.clear()
            group, gone = list(waiting), lost
            waiting.clear()
            lost = 0
            yield group, gone
    finally:
        stop()


def message(name: str, data: str, identifier: int | None = None) -> bytes:
    """
    One server-sent event.

    >>> message("change", "a\\nb", 7)
    b'id: 7\\nevent: change\\ndata: a\\ndata: b\\n\\n'
    """
    lines = [] if identifier is None else [f"id: {identifier}"]
    lines.append(f"event: {name}")
    # A line end of any kind would begin a new field.
    lines += [f"data: {line}" for line in data.replace("\r", "").split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


def streamed(source: AsyncIterator[bytes]) -> Response:
    """The answer that carries a stream."""
    return StreamingResponse(
        source,
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


async def live(visit: Visit) -> Response:
    """``/admin/live/{kind}``: says "change" when a page of this kind is out of date."""
    wanted = KINDS.get(visit.request.path_params["kind"])
    if wanted is None:
        raise NotHere

    async def source() -> AsyncIterator[bytes]:
        yield b"retry: 3000\n\n"
        async for group, _ in events(visit.services.log, wanted):
            yield message("change", str(len(group))) if group else b": still here\n\n"

    return streamed(source())
