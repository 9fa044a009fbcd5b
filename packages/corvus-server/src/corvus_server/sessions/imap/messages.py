"""STORE, COPY, MOVE, EXPUNGE and APPEND."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from corvus_imap import responses
from corvus_imap.commands import StoreAction
from corvus_imap.types import codes
from corvus_imap.types.sequence import SequenceSet
from corvus_server.sessions.imap.errors import Refusal, refusal_of
from corvus_server.storage.errors import NoSuchMailbox, StoreError
from corvus_server.storage.values import FlagOperation, Mailbox, NewMessage

if TYPE_CHECKING:
    import corvus_imap as imap
    from corvus_server.sessions.imap.session import IMAPSession

_OPERATIONS: Final = {
    StoreAction.REPLACE: FlagOperation.REPLACE,
    StoreAction.ADD: FlagOperation.ADD,
    StoreAction.REMOVE: FlagOperation.REMOVE,
}
#: Lines of untagged answers between two looks at whether the client keeps up.
SLICE: Final = 500


async def store(session: IMAPSession, command: Any) -> None:
    box = session.box
    if box.read_only:
        raise Refusal("READ-ONLY", "the mailbox was examined, not selected")
    uids = session.chosen(command.messages, uid=command.uid)
    done = await session.store.messages.store_flags(
        box.mailbox.id,
        uids,
        _OPERATIONS[command.action],
        [str(flag) for flag in command.flags],
        unchanged_since=command.unchanged_since,
    )
    conn, state, view = session.conn, box.state, box.view
    box.own.add(done.modseq)
    told = conn.condstore or command.unchanged_since is not None
    failed = set(done.failed)
    # ".SILENT" spares the flags, not the mod-sequence (RFC 7162 §3.1.3).
    shown = done.changed if command.silent else uids
    if not command.silent or told:
        lines: list[bytes] = []
        for uid in shown:
            row, seq = state.index(uid), view.seq(uid)
            if row is None or seq is None or uid in failed:
                continue
            items = []
            if command.uid or told:
                items.append(b"UID %d" % uid)
            if not command.silent:
                items.append(b"FLAGS (%b)" % session.flags_of(uid, state.flags[row], state))
            if told:
                items.append(b"MODSEQ (%d)" % state.modseqs[row])
            lines.append(b"* %d FETCH (%b)\r\n" % (seq, b" ".join(items)))
            if len(lines) >= SLICE:
                conn.send_raw(b"".join(lines))
                lines.clear()
                await session.drain()
        if lines:
            conn.send_raw(b"".join(lines))
    session.tell(expunges=command.uid)
    if not failed:
        conn.ok()
        return
    numbers = sorted(failed) if command.uid else [view.seq(u) or 0 for u in sorted(failed)]
    conn.ok(codes.modified(SequenceSet.of(n for n in numbers if n)), "some had changed")


async def copy(session: IMAPSession, command: Any) -> None:
    await _transfer(session, command, moving=False)


async def move(session: IMAPSession, command: Any) -> None:
    if session.box.read_only:
        raise Refusal("READ-ONLY", "the mailbox was examined, not selected")
    await _transfer(session, command, moving=True)


async def _transfer(session: IMAPSession, command: Any, *, moving: bool) -> None:
    box, conn = session.box, session.conn
    uids = session.chosen(command.messages, uid=command.uid)
    target = session.store.mailboxes.get(session.owner.id, command.mailbox)
    if target is None:
        raise Refusal("TRYCREATE", "there is no such mailbox")
    if not uids:
        session.tell()
        conn.ok()
        return
    verb = session.store.messages.move if moving else session.store.messages.copy
    try:
        done = await verb(box.mailbox.id, uids, target.id)
    except NoSuchMailbox:
        raise Refusal("TRYCREATE", "there is no such mailbox") from None
    code = None
    if done.sources:
        code = codes.copy_uid(done.uid_validity, done.sources, done.targets)
    if moving:
        # "Servers ... SHOULD send the COPYUID ... in an untagged OK before sending EXPUNGE"
        # (RFC 6851 §4.3).
        if code is not None:
            conn.send(responses.Condition(responses.Kind.OK, "moved", code))
        session.tell()
        conn.ok()
    else:
        session.tell()
        conn.ok(code)


async def expunge(session: IMAPSession, command: Any) -> None:
    box = session.box
    if box.read_only:
        raise Refusal("READ-ONLY", "the mailbox was examined, not selected")
    uids = None if command.uids is None else session.chosen(command.uids, uid=True)
    done = await session.store.messages.expunge(box.mailbox.id, uids)
    session.tell()
    code = codes.high_modseq(done.modseq) if session.conn.condstore and done.uids else None
    session.conn.ok(code)


# APPEND: each message is offered, taken into a body, and all become visible at once.


def append_offered(session: IMAPSession, event: imap.AppendOffered) -> None:
    if event.index == 0:
        forget_append(session)
        target = session.store.mailboxes.get(session.owner.id, event.mailbox)
        if target is None:
            session.conn.no("TRYCREATE", "there is no such mailbox")
            return
        session.target = target
    if session.store.directory.over_quota(session.owner.id, event.size):
        forget_append(session)
        session.conn.no("OVERQUOTA", "there is no room for it")
        return
    try:
        session.bodies.append(session.store.new_body())
    except StoreError as error:
        forget_append(session)
        refusal = refusal_of(error)
        session.conn.no(refusal.code, refusal.text)
        return
    session.offers.append(event)
    session.conn.accept()


def append_chunk(session: IMAPSession, event: imap.LiteralChunk) -> None:
    if not session.bodies or session.bodies[-1] is None:
        return
    try:
        session.bodies[-1].write(event.data)
    except StoreError:
        session.bodies[-1] = None  # a full disk: said when the command is complete


async def append_received(session: IMAPSession, event: imap.AppendReceived) -> None:
    target: Mailbox | None = session.target
    bodies, offers = session.bodies, session.offers
    session.bodies, session.offers, session.target = [], [], None
    try:
        if target is None or any(body is None for body in bodies):
            raise Refusal("UNAVAILABLE", "the store is not available just now; please try again")
        done = await session.store.messages.append(
            target.id,
            [
                NewMessage(
                    body=body,
                    flags=frozenset(str(flag) for flag in offer.flags),
                    internal_date=None if offer.date is None else offer.date.timestamp(),
                    zone=_zone(offer.date),
                )
                for body, offer in zip(bodies, offers, strict=True)
            ],
        )
    except (Refusal, StoreError) as error:
        refusal = error if isinstance(error, Refusal) else refusal_of(error)
        if isinstance(error, NoSuchMailbox):
            refusal = Refusal("TRYCREATE", "there is no such mailbox")
        session.conn.no(refusal.code, refusal.text)
        return
    finally:
        for body in bodies:
            if body is not None:
                body.discard()
    session.tell()
    session.conn.ok(codes.append_uid(done.uid_validity, done.uids))


def append_aborted(session: IMAPSession, event: Any) -> None:
    forget_append(session)


def forget_append(session: IMAPSession) -> None:
    """Nothing of an APPEND that was not finished is kept."""
    bodies, session.bodies, session.offers, session.target = session.bodies, [], [], None
    for body in bodies:
        if body is not None:
            body.discard()


def _zone(date: Any) -> int:
    offset = None if date is None else date.utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)
