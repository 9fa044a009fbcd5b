"""A queue, a runner and scripted servers on a network without sockets, under virtual time."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Coroutine
from typing import Any

import corvus_message
from corvus_server.log import EventLog
from corvus_server.outbound.runner import QueueRunner, RunnerSettings
from corvus_server.simulation import (
    Clock,
    Script,
    ScriptedServer,
    SimulatedDNS,
    SimulatedNetwork,
    Weather,
    run,
)
from corvus_server.storage import values
from corvus_server.storage.memory import MemoryStore
from corvus_server.testing.world import mail

#: Where the peers of these tests live.
FIRST, SECOND = "198.51.100.1", "198.51.100.2"
ZONE: dict[str, dict[str, list[Any]]] = {
    "crow.example": {"MX": [(10, "mx1.crow.example"), (20, "mx2.crow.example")]},
    "mx1.crow.example": {"A": [FIRST]},
    "mx2.crow.example": {"A": [SECOND]},
}


class Post:
    """Everything between a queue and the world, with one domain of ours and one outside."""

    def __init__(self, **settings: Any) -> None:
        self.now = Clock()
        self.dns = SimulatedDNS(ZONE)
        self.weather: dict[str, Weather] = {}
        self.network = SimulatedNetwork(
            lambda source, address, port: self.weather.get(address, Weather())
        )
        self.store: Any = MemoryStore(now=self.now, random=random.Random(7).randbytes)  # noqa: S311 - a test
        self.settings = RunnerSettings(hostname="mail.corvus.local", **settings)
        self.lines = io.StringIO()
        self.log = EventLog(now=self.now, level="debug", style="json", stream=self.lines)
        self.return_address: Callable[[str], str | None] = lambda address: None
        self.alice: values.Account
        self.runner: QueueRunner
        self._identifiers = 0

    def peer(self, address: str = FIRST, port: int = 25, **script: Any) -> ScriptedServer:
        server = ScriptedServer(Script(**script))
        self.network.listen(address, port, server)
        return server

    async def furnish(self) -> None:
        await self.store.directory.add_domain("corvus.local")
        self.alice = await self.store.directory.add_account("alice@corvus.local")

    def _identifier(self) -> str:
        self._identifiers += 1
        return f"id{self._identifiers}"

    async def start(self) -> None:
        self.runner = QueueRunner(
            self.store,
            self.network,
            self.dns,
            self.settings,
            log=self.log,
            now=self.now,
            monotonic=self.now.monotonic,
            identifier=self._identifier,
            return_address=self.return_address,
            dice=random.Random(1),  # noqa: S311 - a test
        )
        await self.runner.start()

    async def enqueue(
        self,
        *recipients: str | values.QueuedRecipient,
        raw: bytes | None = None,
        mail_from: str = "alice@corvus.local",
        **fields: Any,
    ) -> int:
        wanted = [
            values.QueuedRecipient(address=each) if isinstance(each, str) else each
            for each in recipients or ("carol@crow.example",)
        ]
        body = self.store.new_body()
        body.write(mail() if raw is None else raw)
        queued = values.Queued(mail_from=mail_from, recipients=wanted, **fields)
        accepted = await self.store.accept(values.Intake(body=body, queued=[queued]))
        entry: int = accepted.queue_ids[0]
        return entry

    def recipients(self, entry: int) -> dict[str, values.QueueRecipient]:
        return {each.address: each for each in self.store.queue.recipients(entry)}

    def states(self, entry: int) -> dict[str, str]:
        return {each.address: each.state.value for each in self.store.queue.recipients(entry)}

    def attempts(self, entry: int) -> list[values.Attempt]:
        found: list[values.Attempt] = self.store.queue.attempts(entry)
        return found

    def notices(self) -> list[bytes]:
        """What lies in alice's INBOX."""
        box = self.store.mailboxes.get(self.alice.id, "INBOX")
        uids = range(1, 1000)
        return [
            self.store.messages.read_body(body) for body in self.store.messages.bodies(box.id, uids)
        ]

    def events(self) -> list[str]:
        return [event.name for event in self.log.recent]


def report_of(raw: bytes) -> corvus_message.DeliveryReport:
    found = corvus_message.read_dsn(corvus_message.parse(raw))
    assert found is not None
    return found


def posted(**settings: Any) -> Callable[[Callable[[Post], Coroutine[Any, Any, None]]], Any]:
    """Run a coroutine with a furnished `Post` under virtual time; the store is checked at the end."""

    def decorate(test: Callable[[Post], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        def runs() -> None:
            async def main() -> None:
                post = Post(**settings)
                await post.furnish()
                try:
                    await test(post)
                    assert await post.store.check() == []
                finally:
                    if hasattr(post, "runner"):
                        await post.runner.close(grace=0)
                    await post.network.close()
                    await post.store.close()

            run(main(), limit=60 * 86_400)

        runs.__name__, runs.__doc__ = test.__name__, test.__doc__
        return runs

    return decorate
