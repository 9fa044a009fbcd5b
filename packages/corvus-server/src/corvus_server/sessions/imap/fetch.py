"""FETCH: which messages, which items; what they say is in `plan`, how they go out in `answer`."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from corvus_imap.types.fetch import FetchAttribute, FetchItem
from corvus_server.sessions.imap.answer import Answer
from corvus_server.sessions.imap.batch import Batch
from corvus_server.sessions.imap.plan import plan_of, sets_seen
from corvus_server.sessions.imap.resync import vanished_earlier
from corvus_server.storage.flags import SEEN
from corvus_server.storage.values import FlagOperation

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

A = FetchAttribute


def fetch(session: IMAPSession, command: Any) -> Awaitable[None] | None:
    """FETCH and UID FETCH (RFC 9051 §6.4.5)."""
    box, conn = session.box, session.conn
    if command.uid:
        # So that `UID FETCH n:*` sees what came in since.
        session.tell(expunges=False)
    seqs = box.resolve(command.messages, uid=command.uid)
    items: tuple[FetchItem, ...] = command.items
    if command.uid and A.UID not in items:
        items = (A.UID, *items)
    if command.changed_since is not None:
        seqs = _changed(session, seqs, command.changed_since)
        if command.vanished:
            vanished_earlier(session, command.changed_since, command.messages)
        if A.MODSEQ not in items:
            # "the server MUST return the MODSEQ ... regardless of whether the MODSEQ message data
            # item was requested" (RFC 7162 §3.1.4.1).
            items = (*items, A.MODSEQ)
    elif conn.qresync and A.FLAGS in items and A.MODSEQ not in items:
        # RFC 7162 §3.2.4: what tells flags tells the mod-sequence as well.
        items = (*items, A.MODSEQ)
    if not box.read_only and any(map(sets_seen, items)):
        unseen = _unseen(session, seqs)
        if unseen:
            return _marking(session, command, seqs, items, unseen)
    return _answer(session, command, seqs, items)


def _changed(session: IMAPSession, seqs: Sequence[int], since: int) -> Sequence[int]:
    """Those of *seqs* with a mod-sequence above *since*."""
    batch = Batch(session, seqs)
    modseqs = batch.column("modseqs")
    return [seq for seq, modseq in zip(batch.seqs, modseqs, strict=True) if modseq > since]


def _unseen(session: IMAPSession, seqs: Sequence[int]) -> list[int]:
    batch = Batch(session, seqs)
    return [
        uid
        for uid, flags in zip(batch.uids, batch.column("flags"), strict=True)
        if not flags & SEEN
    ]


async def _marking(
    session: IMAPSession,
    command: Any,
    seqs: Sequence[int],
    items: tuple[FetchItem, ...],
    unseen: Sequence[int],
) -> None:
    r"""Set ``\Seen``; "if this causes the flags to change, they SHOULD be included" (§6.4.5)."""
    box = session.box
    done = await session.store.messages.store_flags(
        box.mailbox_id, unseen, FlagOperation.ADD, ["\\Seen"]
    )
    if done.changed:
        box.own.add(done.modseq)
    if A.FLAGS not in items:
        items = (*items, A.FLAGS)
    if session.conn.condstore and A.MODSEQ not in items:
        items = (*items, A.MODSEQ)
    waiting = _answer(session, command, seqs, items)
    if waiting is not None:
        await waiting


def _answer(
    session: IMAPSession, command: Any, seqs: Sequence[int], items: tuple[FetchItem, ...]
) -> Awaitable[None] | None:

    def finish(lost: int) -> None:
        session.tell(expunges=command.uid)
        if lost and not command.uid and not session.conn.closing:
            # "return FETCH responses only for non-expunged messages and a tagged NO" (RFC 2180
            # §4.1.2); "the client may want to issue NOOP soon" (RFC 5530).
            session.conn.no("EXPUNGEISSUED", "some of the messages are no more")
        elif not session.conn.closing:
            session.conn.ok()

    answer = Answer(session, plan_of(items), seqs, finish)
    if answer.step():
        return None
    return answer.rest()
