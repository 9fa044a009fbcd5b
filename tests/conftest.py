"""A whole demo, both of its servers, in a thread of its own: what the journeys are made through."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from corvus_server.config import load
from corvus_server.demo.run import Demo

PORTS = {
    f"COR_{name}_ADDR": "127.0.0.1:0"
    for name in (
        "SMTP", "SUBMISSION", "SUBMISSION_TLS", "IMAP", "IMAP_TLS", "POP3", "POP3_TLS", "WEB",
    )
}  # fmt: skip


class Running:
    """A demo that runs while the test goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.demo: Demo
        self._loop: asyncio.AbstractEventLoop
        self._ready: Future[None] = Future()
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._main, name="demo")

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            config = load({**PORTS, "COR_DATA_DIR": str(self.folder), "COR_LOG_LEVEL": "error"})
            self.demo = Demo(config)
            await self.demo.start()
        except BaseException as error:
            self._ready.set_exception(error)
            raise
        self._ready.set_result(None)
        await self._stop.wait()
        await self.demo.stop()

    def __enter__(self) -> Running:
        self._thread.start()
        self._ready.result(60)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive(), "the demo did not stop"

    def port(self, name: str) -> int:
        """The port of the listener of ``COR_<name>_ADDR``."""
        return int(self.demo.ours.addresses()[f"{name}_addr"].rpartition(":")[2])

    def call(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine where the demo runs, and return what it returns."""
        return asyncio.run_coroutine_threadsafe(make(), self._loop).result(60)

    def until(self, look: Callable[[], Any], *, seconds: float = 15.0) -> Any:
        """What *look* returns once it is true; it is asked whenever the store has changed."""

        async def wait() -> Any:
            changed = asyncio.Event()
            stops = [
                server.store.subscribe(None, lambda account, modseq: changed.set())
                for server in (self.demo.ours, self.demo.crow)
            ] + [
                server.store.queue.subscribe(changed.set)
                for server in (self.demo.ours, self.demo.crow)
            ]
            try:
                async with asyncio.timeout(seconds):
                    while not (found := look()):
                        changed.clear()
                        try:
                            await asyncio.wait_for(changed.wait(), 0.25)
                        except TimeoutError:
                            continue
                    return found
            finally:
                for stop in stops:
                    stop()

        return self.call(wait)

    def mails(self, address: str, mailbox: str = "INBOX", *, crow: bool = False) -> list[bytes]:
        """Every mail in a mailbox, whole, oldest first; called on the demo's loop or through `read`."""
        store = (self.demo.crow if crow else self.demo.ours).store
        account = store.directory.account(address)
        assert account is not None
        found = store.mailboxes.get(account.id, mailbox)
        assert found is not None
        uids = range(1, found.uid_next)
        return [store.messages.read_body(body) for body in store.messages.bodies(found.id, uids)]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("demo")) as running:
        yield running
        findings = running.call(running.demo.ours.store.check)
        assert findings == [], "the store is inconsistent at the end (R12)"
