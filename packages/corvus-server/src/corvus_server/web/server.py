"""The web pages in the server's own process: uvicorn on the sockets we were given."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, final

import uvicorn

if TYPE_CHECKING:
    from corvus_server.app import Server


class _Uvicorn(uvicorn.Server):
    """uvicorn without its hands on the signals: the mail server stops everything in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@final
class WebServer:
    """Serves the Starlette application beside the mail listeners."""

    def __init__(self, server: Server, sockets: list[Any]) -> None:
        from corvus_server.web.app import make_app

        self._app = make_app(server)
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=bool(server.config.web_trusted_proxies),
            forwarded_allow_ips=list(server.config.web_trusted_proxies) or None,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=64 * 1024,
        )
        self._uvicorn = _Uvicorn(config)
        self._sockets = sockets
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._uvicorn.serve(sockets=self._sockets))
        while not self._uvicorn.started:
            if self._task.done():
                await self._task
                return
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self._uvicorn.should_exit = True
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._app.state.site.outbox.flush()
