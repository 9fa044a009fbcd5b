"""SEARCH: masks over the mailbox in memory, and sets of UIDs from the store's index.

A key becomes a mask: one octet for each message number, 0 or 1, all of them together one large
integer, so that AND, OR and NOT cost nothing.  Flags, sizes and numbers come from memory, dates and
texts from the store; no body is opened here.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Collection, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, Final, final

from corvus_imap import commands as c
from corvus_imap import responses
from corvus_imap.extensions.sort import Sort, Thread
from corvus_imap.match import uses_numbers
from corvus_imap.types import search as k
from corvus_imap.types.search import SearchReturn
from corvus_imap.types.sequence import SequenceSet
from corvus_imap.view import may_tell_expunges
from corvus_server.sessions.imap import flagged
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.storage.flags import SYSTEM_FLAGS

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

_BITS: Final = {name.lower(): bit for name, bit in SYSTEM_FLAGS.items()}
_FIELDS: Final = {field: field.value.lower() for field in k.TextField}
_WHICH: Final = {
    k.DateField.INTERNAL: "internal",
    k.DateField.SENT: "sent",
    k.DateField.SAVED: "saved",
}
#: The ordinal of 1 January 1970.
_EPOCH: Final = 719_163
#: Seconds after which others get their turn.
TURN: Final = 0.002
#: Rows that are read from the store at a time.
_ROWS: Final = 500


@final
class Found:
    """What a search found."""

    __slots__ = ("seqs", "uids")

    def __init__(self, seqs: Sequence[int], uids: Sequence[int]) -> None:
        self.seqs = seqs
        """By number, ascending."""
        self.uids = uids
        """The same messages by UID."""


async def find(session: IMAPSession, key: k.SearchKey) -> Found:
    """
    The messages that match *key*, as they are numbered now.

    Raises:
        Refusal: A message number beyond the last.
    """
    search = _Search(session)
    mask = search.octets(await search.of(key))
    seqs = range(1, len(search.uids) + 1)
    if b"\0" not in mask:
        return Found(seqs, search.uids)
    return Found(list(compress(seqs, mask)), list(compress(search.uids, mask)))


@final
class _Search:
    """One search over the selected mailbox."""

    def __init__(self, session: IMAPSession) -> None:
        box = session.box
        self._box = box
        self._store = session.store.messages
        self._state = state = box.state
        self.uids = box.view.uids()
        self._count = len(self.uids)
        self._all = int.from_bytes(b"\1" * self._count, "little")
        # Rows of the mailbox for each number; None where a message is gone and that was not told.
        self._rows: list[int | None] | None = None
        self._there = self._all
        if not box.view.current:
            self._rows = [state.index(uid) for uid in self.uids]
            self._there = self._mask(row is not None for row in self._rows)
        # The columns that belong to these rows: while the store is asked others may expunge, and the
        # mailbox gets new ones.
        self._arrays = {name: getattr(state, name) for name in ("flags", "modseqs", "sizes")}
        self._columns: dict[str, Sequence[int]] = {}
        self._end = time.perf_counter() + TURN

    def octets(self, mask: int) -> bytes:
        """A mask as octets, without those that are gone."""
        return (mask & self._there).to_bytes(self._count, "little")

    # Masks.

    def _mask(self, values: Any) -> int:
        return int.from_bytes(bytes(values), "little")

    def _of_uids(self, found: Collection[int]) -> int:
        if 8 * len(found) > self._count:
            known = found if isinstance(found, set) else set(found)
            return self._mask(map(known.__contains__, self.uids))
        seq = self._box.view.seq
        return self._of_numbers([number for uid in found if (number := seq(uid)) is not None])

    def _of_numbers(self, found: Sequence[int]) -> int:
        mask = bytearray(self._count)
        if isinstance(found, range):
            mask[found.start - 1 : found.stop - 1] = b"\1" * len(found)
        else:
            for number in found:
                mask[number - 1] = 1
        return int.from_bytes(mask, "little")

    def _column(self, name: str) -> Sequence[int]:
        found = self._columns.get(name)
        if found is None:
            values: array[int] = self._arrays[name]
            if self._rows is None:
                found = values[: self._count]
            else:
                found = [0 if row is None else values[row] for row in self._rows]
            self._columns[name] = found
        return found

    def _where(self, name: str, test: Callable[[int], bool]) -> int:
        return self._mask(map(test, self._column(name)))

    # Keys.

    async def of(self, key: k.SearchKey) -> int:
        """The mask of *key*; the parser has bounded how deep it is."""
        if time.perf_counter() >= self._end:  # thousands of keys are no reason to stop others
            await asyncio.sleep(0)
            self._end = time.perf_counter() + TURN
        match key:
            case k.All() | k.SaveDateSupported():
                return self._all
            case k.And():
                # Cheap keys first: what they exclude need not be asked of the index.
                found = self._all
                for each in sorted(key.keys, key=_cost):
                    found &= await self.of(each)
                    if not found:
                        break
                return found
            case k.Or():
                return await self.of(key.one) | await self.of(key.other)
            case k.Not():
                return self._all ^ await self.of(key.key)
            case k.HasFlag():
                return self._flagged(key.flag.folded)
            case k.LacksFlag():
                return self._all ^ self._flagged(key.flag.folded)
            case k.Larger():
                return self._where("sizes", key.octets.__lt__)
            case k.Smaller():
                return self._where("sizes", key.octets.__gt__)
            case k.ModSeq():
                return self._where("modseqs", key.value.__le__)
            case k.Sequence():
                return self._of_numbers(self._box.resolve(key.messages, uid=False))
            case k.Uid():
                return self._of_numbers(self._box.resolve(key.messages, uid=True))
            case k.TextKey():
                return await self._text(_FIELDS[key.field], key.text)
            case k.HeaderKey():
                name = key.name.lower()
                if key.text and name in _ADDRESSED:
                    return await self._text(name, key.text)
                return self._of_uids(
                    await self._store.search_header(self._box.mailbox_id, key.name, key.text)
                )
            case k.DateKey():
                return await self._dated(key)
            case k.Older():
                # "less recent than or equal to the target time" (RFC 5032 §3).
                return self._stored("internal_time", (time.time() - key.seconds).__ge__)
            case k.Younger():
                return self._stored("internal_time", (time.time() - key.seconds).__le__)
            case k.EmailId():
                return self._stored("email_id", key.value.__eq__)
            case k.ThreadId():
                return self._stored("thread_id", key.value.__eq__)

    def _flagged(self, name: str) -> int:
        if name == "\\recent":
            return self._mask(map(self._box.is_recent, self.uids))
        flags = self._column("flags")
        bit = _BITS.get(name)
        if bit is not None:
            return self._mask(flagged.mask(array("I", flags), bit))
        values = set(flags)
        names = self._state.keywords.keywords
        having = {v for v in values if name in [each.lower() for each in names(v)]}
        if not having:
            return 0
        return self._mask(map(having.__contains__, flags))

    async def _text(self, field: str, text: str) -> int:
        if not text:
            return self._all  # "the empty string is a substring"
        return self._of_uids(await self._store.search_text(self._box.mailbox_id, field, text))

    async def _dated(self, key: k.DateKey) -> int:
        day = key.day.toordinal() - _EPOCH
        since: int | None = day
        before: int | None = day + 1
        if key.relation is k.Relation.BEFORE:
            since, before = None, day
        elif key.relation is k.Relation.SINCE:
            before = None
        found = await self._store.search_dates(
            self._box.mailbox_id, _WHICH[key.field], since, before
        )
        return self._of_uids(found)

    def _stored(self, name: str, test: Callable[[Any], bool]) -> int:
        found = []
        for start in range(0, self._count, _ROWS):
            some = self.uids[start : start + _ROWS]
            rows = self._store.fetch(self._box.mailbox_id, some, (name,))
            found += [uid for uid, value in rows if test(value)]
        return self._of_uids(found)


_ADDRESSED: Final = frozenset({"subject", "from", "to", "cc", "bcc"})
_BODIES: Final = (k.TextField.BODY, k.TextField.TEXT)


def _cost(key: k.SearchKey) -> int:
    if isinstance(key, k.HeaderKey):
        return 4
    if isinstance(key, k.TextKey):
        return 3 if key.field in _BODIES else 2
    if isinstance(key, k.And | k.Or | k.Not):
        inner = key.keys if isinstance(key, k.And) else _inner(key)
        return max(map(_cost, inner))
    return int(isinstance(key, k.DateKey | k.Older | k.Younger | k.EmailId | k.ThreadId))


def _inner(key: k.Or | k.Not) -> tuple[k.SearchKey, ...]:
    return (key.key,) if isinstance(key, k.Not) else (key.one, key.other)


# The answer.


async def search(session: IMAPSession, command: c.Search) -> None:
    """SEARCH and UID SEARCH (RFC 9051 §6.4.4)."""
    expunges = begin(session, command)
    try:
        found = await find(session, command.key)
    except Refusal as refusal:
        if command.returns and SearchReturn.SAVE in command.returns and not refusal.bad:
            # "if the command fails with NO, the variable is set to the empty sequence" (RFC 5182).
            session.box.saved = ()
        raise
    named = found.uids if command.uid else found.seqs
    if command.returns is None:
        conn = session.conn
        line = b"* SEARCH"
        if named:
            line += " ".join(["", *map(str, named)]).encode("ascii")
            if asks_modseq(command.key):
                # "the server MUST also append ... the highest mod-sequence" (RFC 7162 §3.1.5).
                line += b" (MODSEQ %d)" % (highest(session, found.uids) or 0)
        conn.send_raw(line + b"\r\n")
    else:
        _extended(session, command, command.returns or frozenset({SearchReturn.ALL}), found)
    end(session, expunges)


def begin(session: IMAPSession, command: c.Search | Sort | Thread) -> bool:
    """Tell what came in before a UID command; whether EXPUNGE may be told behind its answer."""
    if command.uid:
        session.tell(expunges=False)
    return may_tell_expunges("SEARCH", uid=command.uid, numbers=uses_numbers(command.key))


def end(session: IMAPSession, expunges: bool) -> None:
    """The tagged answer of a search."""
    session.tell(expunges=expunges)
    if not session.conn.closing:
        session.conn.ok()


def asks_modseq(key: k.SearchKey) -> bool:
    """Whether MODSEQ is among the keys."""
    todo = [key]
    while todo:
        one = todo.pop()
        if isinstance(one, k.ModSeq):
            return True
        if isinstance(one, k.And):
            todo.extend(one.keys)
        elif isinstance(one, k.Or | k.Not):
            todo.extend(_inner(one))
    return False


def highest(session: IMAPSession, uids: Sequence[int]) -> int | None:
    """The highest mod-sequence of some messages."""
    state = session.box.state
    rows = (state.index(uid) for uid in uids)
    return max((state.modseqs[row] for row in rows if row is not None), default=None)


def _extended(
    session: IMAPSession, command: c.Search, wanted: frozenset[SearchReturn], found: Found
) -> None:
    """ESEARCH (RFC 4731 §3.1), and what ``$`` stands for from now on (RFC 5182 §2.1)."""
    r = SearchReturn
    seqs, uids = found.seqs, found.uids
    ends = wanted & {r.MIN, r.MAX} if not wanted & {r.ALL, r.COUNT} else frozenset[SearchReturn]()
    # Where MIN and MAX alone are asked for, they are all that is returned, and saved.
    some = uids
    if ends and uids:
        some = [uids[0]] if r.MIN in ends else []
        if r.MAX in ends and (r.MIN not in ends or len(uids) > 1):
            some = [*some, uids[-1]]
    if r.SAVE in wanted:
        session.box.saved = array("I", some)
        if wanted == {r.SAVE}:
            # "the server MUST NOT return any results" (RFC 5182 §2.1).
            return
    named = uids if command.uid else seqs
    session.conn.send(
        responses.ESearch(
            tag=session.tag,
            uid=command.uid,
            min=named[0] if r.MIN in wanted and named else None,
            max=named[-1] if r.MAX in wanted and named else None,
            count=len(named) if r.COUNT in wanted else None,
            all=SequenceSet.in_order(named) if r.ALL in wanted and named else None,
            modseq=highest(session, some) if named and asks_modseq(command.key) else None,
        )
    )
