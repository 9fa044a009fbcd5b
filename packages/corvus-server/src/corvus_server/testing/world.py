"""
The furniture of store tests: a clock that stands still, two accounts, short words for long calls.
"""

# ruff: noqa: S106 - no password of anybody

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, final

from corvus_server.storage.protocols import Store
from corvus_server.storage.values import (
    Accepted,
    Account,
    Appended,
    Delivery,
    Filed,
    Intake,
    Mailbox,
    NewMessage,
    Queued,
    QueuedRecipient,
    Verdict,
)

__all__ = ["Clock", "StoreFactory", "World", "mail", "stored"]


@final
class Clock:
    """Time as a test tells it."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += seconds


StoreFactory = Callable[[Clock], Store]
"""Opens a store; called again within a test it opens the same data, if the store keeps any."""


def mail(
    subject: str = "lunch",
    *,
    text: str = "At noon?",
    sender: str = "Carol <carol@crow.example>",
    to: str = "alice@corvus.local",
    message_id: str = "",
    references: Iterable[str] = (),
    date: str = "Fri, 15 Jan 2027 08:00:00 +0000",
    more: str = "",
) -> bytes:
    """A plain message, with CRLF line ends."""
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Date: {date}"]
    if message_id:
        lines.append(f"Message-ID: <{message_id}>")
    if references:
        lines.append("References: " + " ".join(f"<{ref}>" for ref in references))
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"]
    return ("\r\n".join(lines) + "\r\n" + more + f"\r\n{text}\r\n").encode()


@final
class World:
    """A store with the domain ``corvus.local`` and the accounts alice and bob."""

    def __init__(self, store: Store, clock: Clock, factory: StoreFactory) -> None:
        self.store = store
        self.clock = clock
        self._factory = factory
        self.alice: Account
        self.bob: Account

    async def furnish(self) -> World:
        directory = self.store.directory
        await directory.add_domain("corvus.local")
        self.alice = await directory.add_account("alice@corvus.local", password_hash="$a$")
        self.bob = await directory.add_account("bob@corvus.local", password_hash="$b$")
        return self

    async def reopen(self) -> None:
        """Close the store and open it again."""
        await self.store.close()
        self.store = self._factory(self.clock)

    def box(self, name: str = "INBOX", account: Account | None = None) -> Mailbox:
        found = self.store.mailboxes.get((account or self.alice).id, name)
        assert found is not None, name
        return found

    async def accept(
        self,
        raw: bytes,
        *deliveries: Delivery,
        queued: Iterable[Queued] = (),
        verdict: Verdict | None = None,
    ) -> Accepted:
        with self.store.new_body() as body:
            body.write(raw)
            return await self.store.accept(
                Intake(body=body, deliveries=deliveries, queued=tuple(queued), verdict=verdict)
            )

    async def deliver(self, raw: bytes | None = None, **delivery: Any) -> Filed:
        """One copy, to alice's INBOX unless `delivery` says otherwise."""
        delivery.setdefault("account_id", self.alice.id)
        accepted = await self.accept(mail() if raw is None else raw, Delivery(**delivery))
        (filed,) = accepted.filed
        assert filed is not None
        return filed

    async def append(
        self, raws: Iterable[bytes], box: Mailbox | None = None, **fields: Any
    ) -> Appended:
        messages = []
        for raw in raws:
            body = self.store.new_body()
            body.write(raw)
            messages.append(NewMessage(body=body, **fields))
        try:
            return await self.store.messages.append((box or self.box()).id, messages)
        finally:
            for message in messages:
                message.body.discard()

    async def enqueue(self, *addresses: str, raw: bytes | None = None, **fields: Any) -> int:
        queued = Queued(
            mail_from=fields.pop("mail_from", "alice@corvus.local"),
            recipients=[QueuedRecipient(address=address) for address in addresses],
            **fields,
        )
        accepted = await self.accept(mail() if raw is None else raw, queued=[queued])
        return accepted.queue_ids[0]

    def uids(self, box: Mailbox) -> list[int]:
        """What is in a mailbox now, by reading it."""
        return [row[0] for row in self.store.messages.fetch(box.id, range(1, 1000), ("flags",))]

    def raw(self, box: Mailbox, uid: int) -> bytes:
        (body,) = self.store.messages.bodies(box.id, [uid])
        return self.store.messages.read_body(body)

    async def flags(self, box: Mailbox, uid: int) -> set[str]:
        state = await self.store.messages.open(box.id)
        row = state.index(uid)
        assert row is not None
        return set(state.flag_names(state.flags[row]))


def stored(
    test: Callable[[Any, World], Awaitable[None]],
) -> Callable[[Any, StoreFactory], None]:
    """
    Make a coroutine with a `World` a test with a store factory.

    "`corvus check` ... runs at the end of every test that opens a store" (R12): it is here.
    """

    @functools.wraps(test)
    def run(self: Any, store_factory: StoreFactory) -> None:
        async def main() -> None:
            clock = Clock()
            world = World(store_factory(clock), clock, store_factory)
            try:
                await test(self, await world.furnish())
                assert await world.store.check() == []
            finally:
                await world.store.close()

        asyncio.run(main())

    del run.__wrapped__  # pytest shall see the fixtures of `run`
    return run
