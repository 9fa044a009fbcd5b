"""SORT and THREAD (RFC 5256): facts from stored columns, in slices; the order itself in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from corvus_imap import responses
from corvus_imap import thread as threads
from corvus_imap.extensions.sort import Sort, SortField, Thread, ThreadAlgorithm
from corvus_imap.render import numbers
from corvus_imap.sort import SortFacts
from corvus_imap.sort import sort as order_of
from corvus_imap.thread import ThreadFacts
from corvus_message import base_subject, parse, references, split_subject
from corvus_server.sessions.imap.search import Found, asks_modseq, begin, end, find, highest
from corvus_server.storage.facts import cut_fields, field_codes

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

#: Messages that are looked at before others get their turn.
ROWS: Final = 100
#: Messages from which on a thread of its own does the ordering.
MANY: Final = 1000

_ADDRESSES: Final = frozenset({SortField.FROM, SortField.TO, SortField.CC})
_ADDRESS_FIELDS: Final = field_codes([b"from", b"to", b"cc"]) or frozenset()
_REFERENCE_FIELDS: Final = field_codes([b"in-reply-to", b"references"]) or frozenset()


async def _rows(
    session: IMAPSession, uids: Sequence[int], names: Sequence[str]
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Rows of stored columns in slices; those of messages that are gone are left out."""
    store, mailbox_id = session.store.messages, session.box.mailbox_id
    for start in range(0, len(uids), ROWS):
        if start:
            await asyncio.sleep(0)
        yield store.fetch(mailbox_id, uids[start : start + ROWS], names)


def _header(session: IMAPSession, uid: int, packed: bytes | None, codes: frozenset[int]) -> bytes:
    """The wanted fields of a message as a header."""
    if packed is not None:
        return cut_fields(packed, codes)
    # What was too much to keep is read.
    store, mailbox_id = session.store.messages, session.box.mailbox_id
    bodies = store.bodies(mailbox_id, (uid,))
    rows = store.fetch(mailbox_id, (uid,), ("header_size",))
    return store.read_body(bodies[0], 0, rows[0][1]) if bodies and rows else b"\r\n"


async def _run(count: int, work: Callable[[], Any]) -> Any:
    return work() if count < MANY else await asyncio.to_thread(work)


async def sort(session: IMAPSession, command: Sort) -> None:
    """SORT and UID SORT."""
    expunges = begin(session, command)
    found = await find(session, command.key)
    uids, facts = await _sort_facts(session, found, {key.field for key in command.criteria})
    order = await _run(len(facts), lambda: order_of(command.criteria, facts))
    view = session.box.view
    named = [uids[at] for at in order]
    if not command.uid:
        named = [view.seq(uid) or 0 for uid in named]
    line = b"* SORT"
    if named:
        line += b" " + b" ".join(numbers(named))
        if asks_modseq(command.key):
            line += b" (MODSEQ %d)" % (highest(session, uids) or 0)
    session.conn.send_raw(line + b"\r\n")
    end(session, expunges)


async def _sort_facts(
    session: IMAPSession, found: Found, fields: set[SortField]
) -> tuple[list[int], list[SortFacts]]:
    """The facts that *fields* compare, for each message that is there."""
    names = ["internal_time", "sent_at", "size"]
    if SortField.SUBJECT in fields:
        names.append("subject")
    if fields & _ADDRESSES:
        names.append("header_fields")
    uids: list[int] = []
    facts: list[SortFacts] = []
    async for rows in _rows(session, found.uids, names):
        for uid, internal, sent, size, *more in rows:
            uids.append(uid)
            if fields & _ADDRESSES:
                header = _header(session, uid, more[-1], _ADDRESS_FIELDS)
                addresses = SortFacts.of(header, internal)
                mailboxes = (addresses.from_mailbox, addresses.to_mailbox, addresses.cc_mailbox)
            else:
                mailboxes = ("", "", "")
            subject = base_subject(more[0]) if SortField.SUBJECT in fields else ""
            # "If the sent date cannot be determined ..., the INTERNALDATE for that message is used"
            # (RFC 5256 §2.2).
            date = internal if sent is None else sent
            facts.append(SortFacts(internal, date, size, subject, *mailboxes))
    return uids, facts


async def thread(session: IMAPSession, command: Thread) -> None:
    """THREAD and UID THREAD."""
    expunges = begin(session, command)
    found = await find(session, command.key)
    view = session.box.view
    facts: list[ThreadFacts] = []
    names = ("internal_time", "sent_at", "subject", "message_id", "header_fields")
    async for rows in _rows(session, found.uids, names):
        for uid, internal, sent, subject, message_id, packed in rows:
            header = _header(session, uid, packed, _REFERENCE_FIELDS)
            text, is_reply = split_subject(subject)
            facts.append(
                ThreadFacts(
                    number=uid if command.uid else view.seq(uid) or 0,
                    sent_date=internal if sent is None else sent,
                    base_subject=text,
                    is_reply=is_reply,
                    message_id=message_id or None,
                    # Most messages answer none.
                    references=() if header == b"\r\n" else tuple(references(parse(header))),
                )
            )
    build = _ALGORITHMS[command.algorithm]
    session.conn.send(responses.Thread(await _run(len(facts), lambda: build(facts))))
    end(session, expunges)


_ALGORITHMS: Final = {
    ThreadAlgorithm.REFERENCES: threads.references,
    ThreadAlgorithm.ORDEREDSUBJECT: threads.orderedsubject,
}
