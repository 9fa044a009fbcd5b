"""Event streams: pages that renew themselves are told that something changed, never what.

A notice carries no truth, as in the store (R8): the page fetches itself again, with the same rights
as before.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from corvus_server.web import sessions
from corvus_server.web.page import Access, Refused, Visit, page

#: Seconds of silence after which a stream says that it is still there, and looks whether its
#: visitor still may.
HEARTBEAT: Final = 20.0
#: Streams that one account may hold open.
MOST_STREAMS: Final = 30

_held: Counter[int] = Counter()


def stream(
    visit: Visit, messages: Callable[[], AsyncIterator[bytes]], *, admin: bool = False
) -> Response:
    """
    A server-sent event stream for as long as the visitor is signed in.

    Args:
        messages: Yields whole messages; an empty one is a heartbeat.
    """
    account = visit.me.id
    if _held[account] >= MOST_STREAMS:
        raise Refused("too many pages of yours are open at once; close some")

    async def body() -> AsyncIterator[bytes]:
        _held[account] += 1
        try:
            yield b"retry: 3000\n\n"
            async for message in messages():
                if not message:
                    if not allowed(visit, admin=admin):
                        return
                    message = b": still here\n\n"
                yield message
        finally:
            _held[account] -= 1
            if _held[account] <= 0:
                del _held[account]

    return StreamingResponse(
        body(),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


def allowed(visit: Visit, *, admin: bool) -> bool:
    """Whether the visitor is still signed in, and still an administrator where that matters."""
    session = sessions.find(visit.services, visit.request)
    if session is None:
        return False
    account = visit.store.directory.account_by_id(session.account_id)
    return account is not None and account.enabled and (account.admin or not admin)


def event(name: str, data: Any, number: int | None = None) -> bytes:
    """One message of a stream."""
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data, default=str)}\n\n".encode()


async def changes(
    subscribe: Callable[[Callable[..., None]], Callable[[], None]],
) -> AsyncGenerator[bytes, None]:
    """``change`` whenever *subscribe* calls back; many calls at once are one."""
    happened = asyncio.Event()
    stop = subscribe(lambda *_: happened.set())
    try:
        while True:
            try:
                await asyncio.wait_for(happened.wait(), HEARTBEAT)
            except TimeoutError:
                yield b""
                continue
            await asyncio.sleep(0.05)
            happened.clear()
            yield event("change", {})
    finally:
        stop()


async def mail(visit: Visit) -> Response:
    """``/live``: something changed in the visitor's mail."""
    account = visit.me.id
    return stream(visit, lambda: changes(lambda call: visit.store.subscribe(account, call)))


ROUTES: Final = (page("/live", mail, access=Access.USER),)
