"""SELECT and EXAMINE, CLOSE and UNSELECT."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from corvus_imap import commands as c
from corvus_imap import responses
from corvus_imap.types import codes
from corvus_imap.types.flags import SYSTEM_FLAGS, Flag
from corvus_server.sessions.imap import flagged, mailboxes
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.sessions.imap.resync import resynchronise
from corvus_server.sessions.imap.selected import Selected
from corvus_server.storage.errors import StoreError
from corvus_server.storage.flags import DELETED
from corvus_server.storage.state import MailboxState
from corvus_server.storage.values import Mailbox

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession


def select(session: IMAPSession, command: c.Select) -> Awaitable[None] | None:
    """SELECT and EXAMINE (RFC 9051 §6.3.2); the mailbox before is left, whatever comes of it."""
    deselect(session)
    mailbox = session.store.mailboxes.get(session.owner.id, command.mailbox)
    if mailbox is None:
        raise Refusal("NONEXISTENT", "there is no such mailbox")
    state = session.store.messages.opened(mailbox.id)
    if state is None:
        return _open(session, command, mailbox)
    _enter(session, command, mailbox, state)
    return None


async def _open(session: IMAPSession, command: c.Select, mailbox: Mailbox) -> None:
    _enter(session, command, mailbox, await session.store.messages.open(mailbox.id))


def _enter(session: IMAPSession, command: c.Select, mailbox: Mailbox, state: MailboxState) -> None:
    conn = session.conn
    view = state.view()
    recent = 0
    if not conn.rev2:
        # EXAMINE takes \Recent from nobody (RFC 3501 §6.3.2), so there nothing is.
        recent = state.uid_next
        if not command.read_only:
            recent = max(1, session.store.messages.claim_recent(mailbox.id))
    keywords = flagged.keywords(state)
    box = Selected(mailbox.id, view, read_only=command.read_only, recent=recent, told=keywords)
    flags = (*SYSTEM_FLAGS, *map(Flag, keywords))
    conn.send(responses.Flags(flags), responses.Exists(len(view)), responses.Recent(box.recents()))
    first = state.first_unseen()
    if first is not None and not conn.rev2:
        _tell(session, codes.unseen(first + 1), "the first that was not seen")
    settable = () if command.read_only else flags
    _tell(
        session,
        codes.permanent_flags(settable, new_keywords=not command.read_only),
        "nothing can be changed" if command.read_only else "what can be set",
    )
    _tell(session, codes.uid_validity(state.uid_validity), "UIDs are valid")
    _tell(session, codes.uid_next(state.uid_next), "the next UID")
    _tell(session, codes.high_modseq(max(1, state.modseq)), "the highest so far")
    _tell(session, codes.mailbox_id(mailbox.object_id), "its name may change, this does not")
    if conn.rev2:
        # "The server MUST return a LIST response with the mailbox name" (RFC 9051 §6.3.2).
        conn.send(mailboxes.listed(session, mailbox))
    session.selected = box
    if command.qresync is not None:
        resynchronise(session, command.qresync)
    conn.ok()


def _tell(session: IMAPSession, code: codes.Code, text: str) -> None:
    session.conn.send(responses.Condition(responses.Kind.OK, text, code))


def deselect(session: IMAPSession) -> None:
    r"""Leave the selected mailbox, if there is one; what came in meanwhile is not ``\Recent`` again."""
    box, session.selected = session.selected, None
    if box is None or not box.recent or box.read_only or box.state.gone:
        return
    count = len(box.view)
    if count and box.is_recent(box.view.uid(count)):
        try:
            session.store.messages.claim_recent(box.mailbox_id)
        except StoreError:
            return  # the mailbox is gone, or the store is: nobody will ask


def close(session: IMAPSession, command: c.Close) -> Awaitable[None] | None:
    """CLOSE: what is flagged as deleted goes, and nothing is said of it (RFC 9051 §6.4.1)."""
    box = session.selected
    if box is not None and not box.read_only and flagged.has(box.state.flags, DELETED):
        return _expunge(session, box)
    unselect(session, command)
    return None


async def _expunge(session: IMAPSession, box: Selected) -> None:
    await session.store.messages.expunge(box.mailbox_id)
    deselect(session)
    session.conn.ok()


def unselect(session: IMAPSession, command: c.Unselect | c.Close) -> None:
    """UNSELECT (RFC 3691)."""
    deselect(session)
    session.conn.ok()
