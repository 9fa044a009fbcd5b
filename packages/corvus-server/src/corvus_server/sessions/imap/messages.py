"""STORE, COPY, MOVE and EXPUNGE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from corvus_imap import responses
from corvus_imap.commands import StoreAction
from corvus_imap.types import codes
from corvus_imap.types.fetch import FetchAttribute, FetchItem
from corvus_imap.types.sequence import SequenceSet
from corvus_server.sessions.imap import flagged
from corvus_server.sessions.imap.answer import Answer
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.sessions.imap.plan import plan_of
from corvus_server.sessions.imap.selected import Selected
from corvus_server.storage.errors import NoSuchMailbox
from corvus_server.storage.flags import DELETED
from corvus_server.storage.values import FlagOperation, Mailbox

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

_OPERATIONS: Final = {
    StoreAction.REPLACE: FlagOperation.REPLACE,
    StoreAction.ADD: FlagOperation.ADD,
    StoreAction.REMOVE: FlagOperation.REMOVE,
}
A = FetchAttribute


def _writable(session: IMAPSession) -> Selected:
    box = session.box
    if box.read_only:
        raise Refusal("READ-ONLY", "the mailbox was examined, not selected")
    return box


async def store(session: IMAPSession, command: Any) -> None:
    """STORE and UID STORE, conditional or not (RFC 9051 §6.4.6, RFC 7162 §3.1.3)."""
    box, conn = _writable(session), session.conn
    if command.uid:
        session.tell(expunges=False)
    seqs = box.resolve(command.messages, uid=command.uid)
    uids = box.uids(seqs)
    done = await session.store.messages.store_flags(
        box.mailbox_id,
        uids,
        _OPERATIONS[command.action],
        [str(flag) for flag in command.flags],
        unchanged_since=command.unchanged_since,
    )
    if done.changed:
        box.own.add(done.modseq)
    conditional = conn.condstore or command.unchanged_since is not None
    items: list[FetchItem] = [A.UID] if command.uid or conn.qresync else []
    if not command.silent:
        items.append(A.FLAGS)
    if conditional:
        items.append(A.MODSEQ)
    shown: Sequence[int] = seqs
    if command.silent:
        # ".SILENT" spares the flags, not the mod-sequence (RFC 7162 §3.1.3).
        shown = _numbers(box, done.changed) if conditional else ()
    elif done.failed:
        failed = set(done.failed)
        shown = [seq for seq, uid in zip(seqs, uids, strict=True) if uid not in failed]

    def finish(lost: int) -> None:
        session.tell(expunges=command.uid)
        if conn.closing:
            return
        if done.failed:
            named = done.failed if command.uid else _numbers(box, done.failed)
            conn.ok(codes.modified(SequenceSet.of(named)), "some had changed meanwhile")
        elif lost and not command.uid:
            conn.no("EXPUNGEISSUED", "some of the messages are no more")
        else:
            conn.ok()

    answer = Answer(session, plan_of(tuple(items)) if items else None, shown, finish)
    if not answer.step():
        await answer.rest()


def _numbers(box: Selected, uids: Sequence[int]) -> list[int]:
    return [seq for seq in map(box.view.seq, uids) if seq is not None]


async def copy(session: IMAPSession, command: Any) -> None:
    """COPY and UID COPY: by reference, no body is touched (RFC 9051 §6.4.7)."""
    await _transfer(session, session.box, command, moving=False)


async def move(session: IMAPSession, command: Any) -> None:
    """MOVE and UID MOVE (RFC 6851)."""
    await _transfer(session, _writable(session), command, moving=True)


async def _transfer(session: IMAPSession, box: Selected, command: Any, *, moving: bool) -> None:
    conn = session.conn
    if command.uid:
        session.tell(expunges=False)
    uids = box.uids(box.resolve(command.messages, uid=command.uid))
    target = _target(session, command.mailbox)
    if not uids:
        session.finish()
        return
    verb = session.store.messages.move if moving else session.store.messages.copy
    try:
        done = await verb(box.mailbox_id, uids, target.id)
    except NoSuchMailbox:
        _target(session, command.mailbox)
        raise
    code = None
    if done.sources:
        code = codes.copy_uid(done.uid_validity, done.sources, done.targets)
        if moving:
            # "Servers supporting UIDPLUS SHOULD send COPYUID in response to a UID MOVE command ...
            # in an untagged OK before sending EXPUNGE" (RFC 6851 §4.3).
            conn.send(responses.Condition(responses.Kind.OK, "moved", code))
            code = None
    session.finish(code)


def _target(session: IMAPSession, name: str) -> Mailbox:
    mailbox = session.store.mailboxes.get(session.owner.id, name)
    if mailbox is None:
        raise Refusal("TRYCREATE", "there is no such mailbox")
    return mailbox


async def expunge(session: IMAPSession, command: Any) -> None:
    r"""EXPUNGE, and UID EXPUNGE of what is ``\Deleted`` among some (RFC 4315 §2.1)."""
    box = _writable(session)
    uids = None
    if command.uids is not None:
        uids = box.uids(box.resolve(command.uids, uid=True))
    code = None
    if flagged.has(box.state.flags, DELETED):  # else nothing need be written
        done = await session.store.messages.expunge(box.mailbox_id, uids)
        if done.uids and session.conn.condstore:
            # "If at least one message got expunged and QRESYNC was enabled, the server MUST send
            # the updated per-mailbox modification sequence" (RFC 7162 §3.2.7).
            code = codes.high_modseq(done.modseq)
    session.finish(code)
