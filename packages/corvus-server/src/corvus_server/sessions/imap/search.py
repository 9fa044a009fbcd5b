"""SEARCH, SORT and THREAD: set arithmetic over stored facts and the index.

A key becomes the set of UIDs that it matches.  Flags, sizes and numbers come from the mailbox in
memory, dates and texts from the store, which answers from its index; no body is opened here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from corvus_imap import responses
from corvus_imap import thread as threads
from corvus_imap.extensions.sort import ThreadAlgorithm
from corvus_imap.sort import SortFacts
from corvus_imap.sort import sort as sort_messages
from corvus_imap.thread import ThreadFacts
from corvus_imap.types import search as k
from corvus_imap.types.search import SearchReturn
from corvus_imap.types.sequence import SequenceSet
from corvus_message import addresses, split_subject
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.storage.facts import cut_fields, field_codes
from corvus_server.storage.flags import SYSTEM_FLAGS

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

_BITS: Final = {name.lower(): bit for name, bit in SYSTEM_FLAGS.items()}
_FIELDS: Final = {
    k.TextField.BCC: "bcc",
    k.TextField.BODY: "body",
    k.TextField.CC: "cc",
    k.TextField.FROM: "from",
    k.TextField.SUBJECT: "subject",
    k.TextField.TEXT: "text",
    k.TextField.TO: "to",
}
_EPOCH: Final = 719_163
"""The ordinal of 1 January 1970."""


async def _matching(session: IMAPSession, key: Any) -> list[int]:
    """The UIDs that match *key* and that the client knows of, ascending."""
    known = set(session.box.view.uids())
    found = await _Evaluation(session, known).of(key)
    return sorted(found & known)


class _Evaluation:
    """One search over the selected mailbox."""

    def __init__(self, session: IMAPSession, known: set[int]) -> None:
        self._session = session
        self._known = known
        self._state = session.box.state
        self._store = session.store.messages
        self._mailbox = session.box.mailbox.id
        self.modseq = False

    async def of(self, key: Any) -> set[int]:
        state = self._state
        match key:
            case k.All() | k.SaveDateSupported():
                return self._known
            case k.And():
                # Cheap keys first: what they exclude need not be asked of the index.
                found = self._known
                for each in sorted(key.keys, key=_cost):
                    found = found & await self.of(each)
                    if not found:
                        break
                return found
            case k.Or():
                return await self.of(key.one) | await self.of(key.other)
            case k.Not():
                return self._known - await self.of(key.key)
            case k.HasFlag():
                return self._flagged(key.flag)
            case k.LacksFlag():
                return self._known - self._flagged(key.flag)
            case k.Larger():
                return {u for u, s in zip(state.uids, state.sizes, strict=True) if s > key.octets}
            case k.Smaller():
                return {u for u, s in zip(state.uids, state.sizes, strict=True) if s < key.octets}
            case k.ModSeq():
                return {u for u, m in zip(state.uids, state.modseqs, strict=True) if m >= key.value}
            case k.Sequence():
                return set(self._session.chosen(key.messages, uid=False))
            case k.Uid():
                return set(self._session.chosen(key.messages, uid=True))
            case k.TextKey():
                if not key.text:
                    return self._known
                return set(
                    await self._store.search_text(self._mailbox, _FIELDS[key.field], key.text)
                )
            case k.HeaderKey():
                return set(await self._store.search_header(self._mailbox, key.name, key.text))
            case k.DateKey():
                return await self._dated(key)
            case k.Older():
                limit = time.time() - key.seconds
                return {u for u, t in self._column("internal_time") if t <= limit}
            case k.Younger():
                limit = time.time() - key.seconds
                return {u for u, t in self._column("internal_time") if t >= limit}
            case k.EmailId():
                return {u for u, value in self._column("email_id") if value == key.value}
            case k.ThreadId():
                return {u for u, value in self._column("thread_id") if value == key.value}
        raise Refusal("CANNOT", "this cannot be searched for")

    def _flagged(self, flag: Any) -> set[int]:
        state = self._state
        name = flag.folded
        if name == "\\recent":
            recent = self._session.box.recent
            return {uid for uid in self._known if recent and uid >= recent}
        bit = _BITS.get(name)
        if bit is not None:
            return {u for u, f in zip(state.uids, state.flags, strict=True) if f & bit}
        having = {
            value
            for value in set(state.flags)
            if name in (each.lower() for each in state.flag_names(value))
        }
        if not having:
            return set()
        return {u for u, f in zip(state.uids, state.flags, strict=True) if f in having}

    async def _dated(self, key: Any) -> set[int]:
        day = key.day.toordinal() - _EPOCH
        which = {"": "internal", "SENT": "sent", "SAVED": "saved"}[key.field.value]
        since: int | None = day
        before: int | None = day + 1
        if key.relation is k.Relation.BEFORE:
            since, before = None, day
        elif key.relation is k.Relation.SINCE:
            before = None
        return set(await self._store.search_dates(self._mailbox, which, since, before))

    def _column(self, name: str) -> Sequence[tuple[int, Any]]:
        return self._store.fetch(self._mailbox, sorted(self._known), (name,))  # type: ignore[return-value]  # one column


def _cost(key: Any) -> int:
    if isinstance(key, k.TextKey | k.HeaderKey):
        return 3 if isinstance(key, k.HeaderKey) or key.field in _BODIES else 2
    if isinstance(key, k.And | k.Or | k.Not | k.DateKey | k.Older | k.Younger):
        return 1
    return 0


_BODIES: Final = (k.TextField.BODY, k.TextField.TEXT)


def _asks_modseq(key: Any) -> bool:
    todo = [key]
    while todo:
        one = todo.pop()
        if isinstance(one, k.ModSeq):
            return True
        if isinstance(one, k.And):
            todo.extend(one.keys)
        elif isinstance(one, k.Or):
            todo += [one.one, one.other]
        elif isinstance(one, k.Not):
            todo.append(one.key)
    return False


def _highest(session: IMAPSession, uids: Sequence[int]) -> int | None:
    state = session.box.state
    rows = (state.index(uid) for uid in uids)
    return max((state.modseqs[row] for row in rows if row is not None), default=None)


async def search(session: IMAPSession, command: Any) -> None:
    if command.uid:
        session.tell(expunges=False)
    found = await _matching(session, command.key)
    modseq = _highest(session, found) if _asks_modseq(command.key) and found else None
    if command.returns is None:
        session.conn.send(responses.Search(_named(session, found, command.uid), modseq))
    else:
        _extended(session, command, found, modseq)
    session.tell(expunges=command.uid)
    session.conn.ok()


def _named(session: IMAPSession, uids: Sequence[int], uid: bool) -> tuple[int, ...]:
    if uid:
        return tuple(uids)
    view = session.box.view
    if len(uids) == len(view):
        return tuple(range(1, len(uids) + 1))
    return tuple(seq for seq in map(view.seq, uids) if seq is not None)


def _extended(session: IMAPSession, command: Any, found: Sequence[int], modseq: int | None) -> None:
    """ESEARCH (RFC 4731), and what ``$`` stands for from now on (RFC 5182)."""
    wanted = command.returns or frozenset({SearchReturn.ALL})
    if SearchReturn.SAVE in wanted:
        only = wanted & {SearchReturn.MIN, SearchReturn.MAX}
        if only and not wanted & {SearchReturn.ALL, SearchReturn.COUNT}:
            ends = [found[0]] if SearchReturn.MIN in only and found else []
            if SearchReturn.MAX in only and found:
                ends.append(found[-1])
            session.box.saved = sorted(set(ends))
        else:
            session.box.saved = list(found)
        if wanted == {SearchReturn.SAVE}:
            return
    named = _named(session, found, command.uid)
    session.conn.send(
        responses.ESearch(
            tag=session.tag,
            uid=command.uid,
            min=min(named) if SearchReturn.MIN in wanted and named else None,
            max=max(named) if SearchReturn.MAX in wanted and named else None,
            count=len(named) if SearchReturn.COUNT in wanted else None,
            all=SequenceSet.of(named) if SearchReturn.ALL in wanted and named else None,
            modseq=modseq,
        )
    )


async def sort(session: IMAPSession, command: Any) -> None:
    if command.uid:
        session.tell(expunges=False)
    found = await _matching(session, command.key)
    facts = _sort_facts(session, found)
    order = [found[at] for at in sort_messages(command.criteria, facts)]
    view = session.box.view
    named = order if command.uid else [view.seq(uid) or 0 for uid in order]
    modseq = _highest(session, found) if _asks_modseq(command.key) and found else None
    session.conn.send(responses.Sort(tuple(named), modseq))
    session.tell(expunges=command.uid)
    session.conn.ok()


def _rows(
    session: IMAPSession, uids: Sequence[int], names: Sequence[str]
) -> dict[int, tuple[Any, ...]]:
    found: dict[int, tuple[Any, ...]] = {}
    for start in range(0, len(uids), 500):
        some = uids[start : start + 500]
        found.update(
            (r[0], r) for r in session.store.messages.fetch(session.box.mailbox.id, some, names)
        )
    return found


def _sort_facts(session: IMAPSession, uids: list[int]) -> list[SortFacts]:
    names = ("internal_time", "sent_at", "size", "subject", "sender", "to", "cc")
    rows = _rows(session, uids, names)
    uids[:] = [uid for uid in uids if uid in rows]
    facts = []
    for uid in uids:
        _, internal, sent, size, subject, sender, to, cc = rows[uid]
        facts.append(
            SortFacts(
                internal_date=internal,
                sent_date=internal if sent is None else sent,
                size=size,
                base_subject=split_subject(subject)[0],
                from_mailbox=_local(sender),
                to_mailbox=_local(to),
                cc_mailbox=_local(cc),
            )
        )
    return facts


def _local(field: str) -> str:
    found = addresses(field) if field else []
    return found[0].local if found else ""


async def thread(session: IMAPSession, command: Any) -> None:
    if command.uid:
        session.tell(expunges=False)
    found = await _matching(session, command.key)
    rows = _rows(session, found, ("internal_time", "header_fields"))
    view = session.box.view
    facts = []
    for uid in found:
        if uid not in rows:
            continue
        _, internal, packed = rows[uid]
        header = cut_fields(packed, _THREAD_FIELDS) if packed is not None else b"\r\n"
        number = uid if command.uid else view.seq(uid) or 0
        facts.append(ThreadFacts.of(header, number, internal))
    build = threads.references
    if command.algorithm is ThreadAlgorithm.ORDEREDSUBJECT:
        build = threads.orderedsubject
    session.conn.send(responses.Thread(build(facts)))
    session.tell(expunges=command.uid)
    session.conn.ok()


_THREAD_FIELDS: Final = (
    field_codes([b"date", b"subject", b"message-id", b"in-reply-to", b"references"]) or frozenset()
)
