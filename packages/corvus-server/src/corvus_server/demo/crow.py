"""The people of crow.example: who answers, and who misbehaves as their address says.

Each row of `MISBEHAVIOUR` is an address of the demo; the sentence is what the banner prints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, final

import corvus_message
import corvus_smtp as smtp
from corvus_server.app import Server
from corvus_server.demo.world import CROW
from corvus_server.sessions.smtp import Client, Recipient, Transaction
from corvus_server.storage import values

#: Seconds after which a greylisted address has forgotten that it said no.
GREYLIST_DELAY: Final = 2.0

MISBEHAVIOUR: Final = {
    "550": "does not exist: the mail comes back at once",
    "451": "is never ready: the mail is tried again and again",
    "timeout": "says nothing after the message, until our patience ends",
    "greylist": "says “come again” the first time and takes the mail the second",
}


@final
class Crow:
    """Stands before the mail exchanger of crow.example."""

    protocol = "smtp"

    def __init__(self, role: Any, server: Server) -> None:
        self._role = role
        self._server = server
        self._seen: dict[str, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def opened(self, client: Client) -> smtp.Reply | None:
        return None

    def sender(self, client: Client, address: str, parameters: Any) -> smtp.Reply | None:
        return None

    def recipient(
        self, client: Client, transaction: Transaction, address: str, parameters: Any
    ) -> smtp.Reply | Recipient:
        local = address.partition("@")[0].lower()
        if not address.lower().endswith("@" + CROW[0]):
            return smtp.Reply(550, "5.7.1", "We do not relay")
        if local == "550":
            return smtp.Reply(550, "5.1.1", "There is no such bird in this tree")
        if local == "451":
            return smtp.Reply(451, "4.3.0", "The nest is being rebuilt; please come again")
        if local == "greylist":
            now = self._server.world.now()
            first = self._seen.setdefault(transaction.mail_from, now)
            if now - first < GREYLIST_DELAY:
                return smtp.Reply(451, "4.7.1", "We have not met; please come again")
        # Everybody else lives in one mailbox, so that no address of the demo is wrong.
        found = self._server.store.directory.resolve_recipient(f"carol@{CROW[0]}")
        return Recipient(address, parameters, found)

    def start(self, client: Client, transaction: Transaction) -> None:
        self._role.start(client, transaction)

    def finish(self, client: Client, transaction: Transaction) -> Awaitable[smtp.Reply]:
        return self._finish(client, transaction)

    async def _finish(self, client: Client, transaction: Transaction) -> smtp.Reply:
        addresses = [recipient.address.lower() for recipient in transaction.recipients]
        if any(address.startswith("timeout@") for address in addresses):
            await asyncio.sleep(3600)
        raw = transaction.body.getvalue() if transaction.body is not None else b""
        reply: smtp.Reply = await self._role.finish(client, transaction)
        if reply.positive and transaction.mail_from and not self._automatic(raw):
            for address in addresses[:3]:
                task = asyncio.create_task(self._answer(address, transaction.mail_from, raw))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return reply

    def _automatic(self, raw: bytes) -> bool:
        # RFC 3834 §2: never answer what a program wrote, or two of us would talk for ever.
        message = corvus_message.parse(raw)
        return message.field(b"auto-submitted") is not None or message.field(b"list-id") is not None

    async def _answer(self, author: str, recipient: str, raw: bytes) -> None:
        """Write back, and say what our checks found: the sender sees what the world sees."""
        server = self._server
        asked = corvus_message.parse(raw)
        name = author.partition("@")[0].capitalize()
        found = self._newest_results()
        text = (
            f"Caw!\r\n\r\nYour mail has arrived at {CROW[1]}.  Our checks say:\r\n\r\n"
            f"{found}\r\n\r\n-- \r\n{name}, crow.example\r\n"
        )
        message_id = (asked.field(b"message-id") or b"").decode("utf-8", "replace")
        built = corvus_message.build(
            from_=f"{name} <{author}>",
            to=recipient,
            subject=f"Re: {asked.subject or 'your mail'}",
            date=datetime.fromtimestamp(server.world.now(), UTC),
            text=text,
            in_reply_to=message_id,
            references=message_id,
            headers=[("Auto-Submitted", "auto-replied")],
        )
        await server.submitter.submit(
            None, author, [values.QueuedRecipient(address=recipient)], built
        )

    def _newest_results(self) -> str:
        recent = self._server.store.verdicts.recent(1)
        if not recent:
            return "nothing"
        checks = recent[0].tree.get("checks", {})
        lines = []
        for method in ("spf", "dmarc"):
            result = checks.get(method) or {}
            lines.append(f"    {method}={result.get('status', 'none')}  {result.get('reason', '')}")
        for result in checks.get("dkim", []):
            lines.insert(1, f"    dkim={result.get('status', 'none')}  {result.get('reason', '')}")
        return "\r\n".join(lines)


WELCOME: Final = """\
Welcome to Corvus!

This mail came from another server: crow.example looked up where corvus.local
takes mail, connected, switched to TLS and delivered it, signed.  Corvus asked
DNS who may send for crow.example, checked the signature and the policy, and
put it here.  The line above this text says what it found; open it to see why.

Try this:

  - Write to carol@crow.example.  She answers, and tells what she found out
    about your mail.
  - Write to 550@crow.example, 451@, timeout@ or greylist@crow.example and
    look at what becomes of the mail under "Sent" and in the queue.
  - Sign in as postmaster@corvus.local for the admin pages and the live log.

Caw,
Carol
"""


def welcome(moment: float) -> bytes:
    """The first mail of the demo, as Carol writes it."""
    built: bytes = corvus_message.build(
        from_=f"Carol Crow <carol@{CROW[0]}>",
        to="Alice <alice@corvus.local>",
        subject="Welcome to Corvus",
        date=datetime.fromtimestamp(moment, UTC),
        text=WELCOME.replace("\n", "\r\n"),
    )
    return built


def wrapper(server: Server) -> Callable[[Any], Crow]:
    """What `Server.wrap_role` wants."""
    return lambda role: Crow(role, server)
