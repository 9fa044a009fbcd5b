"""The live log: the ring buffer, filtered, and what comes behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from starlette.responses import Response

from corvus_server.log import LEVELS, LogEvent
from corvus_server.web import words
from corvus_server.web.admin.common import show
from corvus_server.web.live import HEARTBEAT, event, stream
from corvus_server.web.page import Visit

#: Events on the page when it comes.
SHOWN: Final = 300
#: Events that wait for a reader who is too slow; more are left out, and the log says so.
BEHIND: Final = 2000


def wanted(visit: Visit) -> Callable[[LogEvent], bool]:
    """The filter in the address: ``protocol``, ``level``, ``connection``, ``q``."""
    protocol, connection = visit.query("protocol"), visit.query("connection")
    least = LEVELS.get(visit.query("level"), 0)
    needle = visit.query("q").lower()

    def check(each: LogEvent) -> bool:
        return (
            (not protocol or each.protocol == protocol)
            and (not connection or each.connection == connection)
            and LEVELS[each.level] >= least
            and (not needle or needle in text(each).lower())
        )

    return check


def text(each: LogEvent) -> str:
    """What happened, on one line."""
    return f"{each.protocol} {each.name} {facts(each)}"


def facts(each: LogEvent) -> str:
    """What is known of it, as ``key=value``, without what turns a line around."""
    found = []
    for key, value in each.fields.items():
        if value is None or value == "":
            continue
        if isinstance(value, BaseException):
            value = f"{type(value).__name__}: {value}"
        elif isinstance(value, list | tuple):
            value = ",".join(str(item) for item in value)
        elif key == "next" and isinstance(value, float):
            value = words.iso(value)
        found.append(f"{words.visible(key)}={words.visible(str(value))[:300]}")
    return " ".join(found)


def line(each: LogEvent) -> dict[str, Any]:
    """An event as the page shows it; everything in it is text, to be shown as text."""
    return {
        "number": each.number,
        "at": words.clock(each.time),
        "level": each.level,
        "protocol": each.protocol,
        "name": each.name,
        "connection": each.connection,
        "facts": facts(each),
    }


async def log(visit: Visit) -> Response:
    check = wanted(visit)
    recent = visit.services.log.recent
    found = [line(each) for each in recent if check(each)][-SHOWN:]
    names = ("protocol", "level", "connection", "q")
    return await show(
        visit,
        "log.html",
        lines=found,
        last=recent[-1].number if recent else 0,
        chosen={name: visit.query(name) for name in names},
        protocols=["smtp", "submission", "imap", "pop3", "delivery", "web", "auth", "server"],
        levels=list(LEVELS),
    )


async def follow(visit: Visit) -> Response:
    """The events behind the number in ``after`` (or behind what the browser saw last)."""
    check, source = wanted(visit), visit.services.log
    seen = visit.request.headers.get("last-event-id") or visit.query("after")
    after = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 16 else 0

    async def messages() -> AsyncIterator[bytes]:
        waiting: asyncio.Queue[LogEvent] = asyncio.Queue(BEHIND)
        lost = 0

        def reader(each: LogEvent) -> None:
            nonlocal lost
            if check(each):
                try:
                    waiting.put_nowait(each)
                except asyncio.QueueFull:
                    lost += 1

        stop = source.subscribe(reader)
        try:
            for each in list(source.recent):
                if each.number > after and check(each):
                    yield event("log", line(each), each.number)
            while True:
                try:
                    each = await asyncio.wait_for(waiting.get(), HEARTBEAT)
                except TimeoutError:
                    yield b""
                    continue
                yield event("log", line(each), each.number)
                if lost:
                    yield event("lost", {"count": lost})
                    lost = 0
        finally:
            stop()

    return stream(visit, messages, admin=True)
