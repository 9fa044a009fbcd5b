"""Sending, with ten seconds in which it can be taken back.

Until the seconds are over the mail is a draft like any other, on disk: whoever pulls the plug finds
it in Drafts, and nobody has been told that it was sent.  A server that stops in order sends it first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import corvus_message
from corvus_server.outbound.submission import NotYours, Submitted
from corvus_server.storage.errors import StoreError
from corvus_server.storage.values import Account, FlagOperation, QueuedRecipient
from corvus_server.web.services import Services

#: Mails that wait for their seconds, of everybody together.
MOST: Final = 1000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A finished mail, with what is to be done once it has gone."""

    account: Account
    sender: str
    recipients: Sequence[str]
    raw: bytes
    draft: tuple[int, int] | None = None
    """(mailbox, uid) of the draft that goes when it is sent."""
    answered: tuple[int, int, str] | None = None
    """(mailbox, uid, flag) of the mail that it answers or hands on."""
    session: bytes = b""
    """Whom to tell if it fails."""


@final
class Outbox:
    """Letters that wait, each a task of its own."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: dict[str, tuple[asyncio.Task[None], Letter]] = {}

    async def post(self, letter: Letter) -> str:
        """Send in a while; the id by which it can be called back, empty if it has gone at once."""
        if self._services.undo_send <= 0 or len(self._waiting) >= MOST:
            await send(self._services, letter)
            return ""
        name = self._services.token(16).hex()
        task = asyncio.create_task(self._later(name, letter))
        self._waiting[name] = (task, letter)
        return name

    async def _later(self, name: str, letter: Letter) -> None:
        await asyncio.sleep(self._services.undo_send)
        del self._waiting[name]
        await self._go(letter)

    async def flush(self) -> None:
        """Send what waits at once: the server stops, and nobody can call anything back any more."""
        waiting, self._waiting = self._waiting, {}
        for task, letter in waiting.values():
            task.cancel()
            await self._go(letter)

    async def _go(self, letter: Letter) -> None:
        try:
            await send(self._services, letter)
        except (NotYours, StoreError, ValueError) as error:
            self._services.log(
                "error", "web", "not sent", user=letter.account.address, error=str(error)
            )
            await self._tell(letter, f"Your mail was not sent and is in Drafts: {error}")

    async def _tell(self, letter: Letter, text: str) -> None:
        sessions = self._services.store.web_sessions
        session = sessions.get(letter.session)
        if session is not None:
            note = {"text": text, "bad": True}
            await sessions.touch(letter.session, data={**session.data, "flash": note})

    def recall(self, name: str, account_id: int) -> Letter | None:
        """The letter, if it has not gone yet and is *account_id*'s; it will not go now."""
        held = self._waiting.get(name)
        if held is None or held[1].account.id != account_id:
            return None
        del self._waiting[name]
        held[0].cancel()
        return held[1]

    def busy(self, mailbox_id: int, uid: int) -> bool:
        """Whether a draft is about to go."""
        return any(letter.draft == (mailbox_id, uid) for _, letter in self._waiting.values())


async def send(services: Services, letter: Letter) -> Submitted:
    """
    Hand a letter in; when this returns it is on its way for good.

    Raises:
        NotYours: The author is somebody else.
        StoreError: Nothing was sent.
    """
    # Without a Message-ID of the draft it gets one with the id of the queue in it, by which the
    # page of the mail in Sent finds its attempts.
    raw = corvus_message.without_fields(corvus_message.parse(letter.raw), ["message-id"])
    done = await services.submitter.submit(
        letter.account,
        letter.sender,
        [QueuedRecipient(address=address) for address in letter.recipients],
        raw,
        connection="web",
        save_sent=True,
    )
    messages = services.store.messages
    if letter.draft is not None:
        box, uid = letter.draft
        await messages.expunge(box, [uid], only_deleted=False)
    if letter.answered is not None:
        box, uid, flag = letter.answered
        await messages.store_flags(box, [uid], FlagOperation.ADD, [flag])
    return done
