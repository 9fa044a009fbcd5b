"""APPEND: each message is offered, taken into a body as it comes, and all become visible at once."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Any, final

from corvus_imap.types import codes
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.storage.bodies import Body
from corvus_server.storage.errors import NoSuchMailbox, StoreError
from corvus_server.storage.values import Mailbox, NewMessage

if TYPE_CHECKING:
    import corvus_imap as imap
    from corvus_server.sessions.imap.session import IMAPSession


@final
class Appending:
    """The messages of an APPEND on its way."""

    __slots__ = ("bodies", "error", "octets", "offers", "target")

    def __init__(self, target: Mailbox) -> None:
        self.target = target
        self.bodies: list[Body] = []
        self.offers: list[imap.AppendOffered] = []
        self.octets = 0
        self.error: StoreError | None = None
        """What went wrong while octets came: told when the command is complete."""

    def messages(self) -> list[NewMessage]:
        return [
            NewMessage(
                body=body,
                flags=frozenset(map(str, offer.flags)),
                internal_date=None if offer.date is None else offer.date.timestamp(),
                zone=_zone(offer.date),
            )
            for body, offer in zip(self.bodies, self.offers, strict=True)
        ]

    def discard(self) -> None:
        for body in self.bodies:
            body.discard()


def offered(session: IMAPSession, event: imap.AppendOffered) -> None:
    """The next message is announced: is there a mailbox for it, and room?"""
    if event.index == 0:
        forget(session)
        target = session.store.mailboxes.get(session.owner.id, event.mailbox)
        if target is None:
            raise Refusal("TRYCREATE", "there is no such mailbox")
        session.appending = Appending(target)
    appending = session.appending
    assert appending is not None
    appending.octets += event.size
    try:
        if session.store.directory.over_quota(session.owner.id, appending.octets):
            raise Refusal("OVERQUOTA", "there is no room for it")
        appending.bodies.append(session.store.new_body())
    except (Refusal, StoreError):
        forget(session)
        raise
    appending.offers.append(event)
    session.conn.accept()


def chunk(session: IMAPSession, event: imap.LiteralChunk) -> None:
    """Octets of the message."""
    appending = session.appending
    if appending is None or appending.error is not None:
        return
    try:
        appending.bodies[-1].write(event.data)
    except StoreError as error:
        appending.error = error


def received(session: IMAPSession, event: imap.AppendReceived) -> Awaitable[None]:
    """All messages have come: make them durable, then say so (R6)."""
    appending, session.appending = session.appending, None
    assert appending is not None
    return _store(session, appending)


async def _store(session: IMAPSession, appending: Appending) -> None:
    try:
        if appending.error is not None:
            raise appending.error
        done = await session.store.messages.append(appending.target.id, appending.messages())
    except NoSuchMailbox:
        raise Refusal("TRYCREATE", "there is no such mailbox") from None
    finally:
        appending.discard()
    session.finish(codes.append_uid(done.uid_validity, done.uids))


def aborted(session: IMAPSession, event: Any) -> None:
    forget(session)


def forget(session: IMAPSession) -> None:
    """Nothing of an APPEND that was not finished is kept."""
    appending, session.appending = session.appending, None
    if appending is not None:
        appending.discard()


def _zone(date: datetime | None) -> int:
    """Minutes east of UTC."""
    offset = None if date is None else date.utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)
