"""APPEND: each message is offered, taken into a body as it comes, and all become visible at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, final

from corvus_imap.types import codes
from corvus_server.sessions.imap.errors import REFUSALS, Refusal, refusal_of
from corvus_server.storage.bodies import Body
from corvus_server.storage.errors import NoSuchMailbox, StoreError
from corvus_server.storage.values import Appended, Mailbox, NewMessage

if TYPE_CHECKING:
    import corvus_imap as imap
    from corvus_server.sessions.imap.session import IMAPSession

#: APPENDs of one connection that are stored at the same time, and their octets.
MOST: Final = 64
MOST_OCTETS: Final = 4 * 1024 * 1024


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


def offered(session: IMAPSession, event: imap.AppendOffered) -> Awaitable[None] | None:
    """The next message is announced: is there a mailbox for it, and room?"""
    try:
        _take(session, event)
    except REFUSALS as error:
        if session.late is None:
            raise
        return _refuse_behind(session.late, error)
    return None


async def _refuse_behind(late: Late, error: Exception) -> None:
    await late.done()
    raise error


def _take(session: IMAPSession, event: imap.AppendOffered) -> None:
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


def received(session: IMAPSession, event: imap.AppendReceived) -> Awaitable[None] | None:
    """
    All messages have come: make them durable, then say so (R6).

    A client that sends one APPEND behind the other has them made durable together, and answered in
    order.
    """
    appending, session.appending = session.appending, None
    assert appending is not None
    if not session.conn.buffered and session.late is None:
        return _answer(session, session.conn, _store(session, appending))
    if session.late is None:
        session.late = Late(session)
    return session.late.add(appending)


async def _store(session: IMAPSession, appending: Appending) -> Appended:
    try:
        if appending.error is not None:
            raise appending.error
        return await session.store.messages.append(appending.target.id, appending.messages())
    except NoSuchMailbox:
        raise Refusal("TRYCREATE", "there is no such mailbox") from None
    finally:
        appending.discard()


async def _answer(
    session: IMAPSession, conn: imap.ServerConnection | imap.Deferred, stored: Awaitable[Appended]
) -> None:
    """Wait until messages are durable, and say so to *conn*."""
    done = await stored
    # EXPUNGE must wait: a command that uses numbers may be on its way behind an APPEND.
    session.tell(expunges=conn is session.conn)
    if not session.conn.closing:
        conn.ok(codes.append_uid(done.uid_validity, done.uids))


@final
class Late:
    """APPENDs that are being stored while the next is read."""

    __slots__ = ("_owed", "_session", "_task", "octets")

    def __init__(self, session: IMAPSession) -> None:
        self._session = session
        self._owed: deque[tuple[imap.Deferred, asyncio.Task[Appended], int]] = deque()
        self._task = asyncio.get_running_loop().create_task(self._run())
        self.octets = 0
        """Of messages that are not stored yet."""

    def add(self, appending: Appending) -> Awaitable[None] | None:
        """Store one more; wait first where enough are on their way."""
        task = asyncio.get_running_loop().create_task(_store(self._session, appending))
        self._owed.append((self._session.conn.defer(), task, appending.octets))
        self.octets += appending.octets
        if len(self._owed) >= MOST or self.octets > MOST_OCTETS:
            return self.done()
        return None

    async def done(self) -> None:
        """All are answered."""
        await asyncio.shield(self._task)

    async def _run(self) -> None:
        session = self._session
        await asyncio.sleep(0)  # the first is added behind this
        try:
            while self._owed:
                deferred, task, octets = self._owed[0]
                try:
                    await _answer(session, deferred, task)
                except REFUSALS as error:
                    refusal = refusal_of(error)
                    deferred.no(refusal.code, refusal.text)
                self._owed.popleft()
                self.octets -= octets
                if not self._owed or not self._owed[0][1].done():
                    session.flush()
        except Exception as error:  # a defect of ours costs this connection
            for _, task, _ in self._owed:
                task.cancel()
            session.failed(error)
            session.hang_up()
        finally:
            session.late = None


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
