"""
The mailboxes that are open in this process: columns in memory, and each session's own view of them.

`MailboxState` is one mailbox as of the last commit, shared by all sessions: 24 octets a message.  It is changed only
on the event loop, in commit order, before the writer's own coroutine goes on.  `View` is what one IMAP session has
been told (R9): which UID has which sequence number.  While nothing is expunged all views share the one array of
UIDs and differ in how much of it they have seen; an expunge makes a new array and leaves the old to those who still
count by it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import lt
from typing import Final, final

from corvus_server.storage.flags import SEEN, Keywords

__all__ = ["MailboxState", "Poll", "View"]

_JOURNAL: Final = 1024
"""Changes a slow session can be behind before it compares everything."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What a session is to be told, in this order: expunged, exists, changed."""

    expunged: tuple[tuple[int, int], ...] = ()
    """(sequence number, uid), descending: each number is right when the ones before it have been told."""
    exists: int | None = None
    """The new number of messages, or None if it is what the session can compute."""
    changed: tuple[tuple[int, int, int, int], ...] = ()
    """(sequence number, uid, flags, modseq) with the numbers that hold after `expunged`."""
    gone: bool = False
    """The mailbox was deleted: end the session's selection."""

    def __bool__(self) -> bool:
        return bool(self.expunged or self.exists is not None or self.changed or self.gone)


class MailboxState:
    """
    One mailbox in memory.

    The columns run in parallel, ascending by UID, and are for reading; `index` finds a row.
    """

    __slots__ = (
        "__weakref__",
        "_base",
        "_first_unseen",
        "_journal",
        "_ordered",
        "account_id",
        "flags",
        "gone",
        "id",
        "keywords",
        "modseq",
        "modseqs",
        "serials",
        "sizes",
        "uid_next",
        "uid_validity",
        "uids",
    )

    def __init__(
        self,
        *,
        id: int,  # noqa: A002 - the noun
        account_id: int,
        uid_validity: int,
        uid_next: int,
        modseq: int,
        keywords: Keywords,
        uids: array[int],
        flags: array[int],
        modseqs: array[int],
        sizes: array[int],
        serials: array[int],
    ) -> None:
        self.id = id
        self.account_id = account_id
        self.uid_validity = uid_validity
        self.uid_next = uid_next
        #: HIGHESTMODSEQ.
        self.modseq = modseq
        self.keywords = keywords
        self.uids = uids
        #: See `corvus_server.storage.flags`.
        self.flags = flags
        self.modseqs = modseqs
        #: RFC822.SIZE.
        self.sizes = sizes
        #: Which content each message is, as a number inside the account.
        self.serials = serials
        self.gone = False
        # Contents ascend with the UIDs, until something older is copied in.
        self._ordered = all(map(lt, serials, serials[1:]))
        # (modseq, uids, whether they were expunged); the first has the number _base.
        self._journal: list[tuple[int, Sequence[int], bool]] = []
        self._base = 0
        self._first_unseen: int | None = -1

    # Reading.

    def __len__(self) -> int:
        return len(self.uids)

    @property
    def memory(self) -> int:
        """Octets of the columns."""
        return len(self.uids) * 24

    def index(self, uid: int) -> int | None:
        """The row of a UID, or None."""
        i = bisect_left(self.uids, uid)
        return i if i < len(self.uids) and self.uids[i] == uid else None

    def flag_text(self, value: int) -> bytes:
        return self.keywords.text(value)

    def flag_names(self, value: int) -> tuple[str, ...]:
        return self.keywords.names(value)

    def first_unseen(self) -> int | None:
        """The row of the first message without \\Seen, or None."""
        if self._first_unseen == -1:
            self._first_unseen = next(
                (i for i, value in enumerate(self.flags) if not value & SEEN), None
            )
        return self._first_unseen

    def keyword_names(self) -> tuple[str, ...]:
        """The keywords in use here, for FLAGS and PERMANENTFLAGS."""
        names: dict[str, str] = {}
        for value in set(self.flags):
            for name in self.keywords.keywords(value):
                names.setdefault(name.lower(), name)
        return tuple(names[key] for key in sorted(names))

    @property
    def newest_serial(self) -> int:
        """The largest content number here; 0 if the mailbox is empty."""
        if not self.serials:
            return 0
        return self.serials[-1] if self._ordered else max(self.serials)

    def uids_of(self, serials: Collection[int]) -> list[int]:
        """UIDs whose content is among `serials`, ascending."""
        if self._ordered and len(serials) < len(self.serials) // 8:
            found = []
            row, end = 0, len(self.serials)
            for serial in sorted(serials):
                row = bisect_left(self.serials, serial, row)
                if row == end:
                    break
                if self.serials[row] == serial:
                    found.append(self.uids[row])
            return found
        wanted = serials if isinstance(serials, set | frozenset) else set(serials)
        return [u for u, s in zip(self.uids, self.serials, strict=True) if s in wanted]

    def view(self) -> View:
        """What a session sees that selects now."""
        return View(self)

    # What a commit changed; called on the loop, in commit order.

    def appended(
        self,
        modseq: int,
        uids: Sequence[int],
        flags: Sequence[int],
        sizes: Sequence[int],
        serials: Sequence[int],
    ) -> None:
        """Rows behind the last one."""
        if modseq <= self.modseq:
            return
        self.modseq = modseq
        if not uids:
            return
        n = len(self.uids)
        self._ordered = (
            self._ordered
            and (not n or self.serials[-1] < serials[0])
            and all(a < b for a, b in pairwise(serials))
        )
        self.uids.extend(uids)
        self.flags.extend(flags)
        self.modseqs.extend([modseq] * len(uids))
        self.sizes.extend(sizes)
        self.serials.extend(serials)
        self.uid_next = max(self.uid_next, uids[-1] + 1)
        if self._first_unseen is None:
            self._first_unseen = next(
                (n + i for i, value in enumerate(flags) if not value & SEEN), None
            )

    def flagged(self, modseq: int, uids: Sequence[int], flags: Sequence[int]) -> None:
        """Other flags for rows that are there."""
        if modseq <= self.modseq:
            return
        self.modseq = modseq
        if not uids:
            return
        first = bisect_left(self.uids, uids[0])
        last = first + len(uids)
        if self.uids[first:last] == array("I", uids):
            self.flags[first:last] = array("I", flags)
            self.modseqs[first:last] = array("Q", [modseq]) * len(uids)
        else:
            for uid, value in zip(uids, flags, strict=True):
                i = self.index(uid)
                if i is not None:
                    self.flags[i] = value
                    self.modseqs[i] = modseq
        self._first_unseen = -1
        self._note(modseq, uids, False)

    def expunged(self, modseq: int, uids: Sequence[int]) -> None:
        """Rows that are no more; the columns become new arrays, so that views keep theirs."""
        if modseq <= self.modseq:
            return
        self.modseq = modseq
        if not uids:
            return
        keep = list(_rows_without(self.uids, uids))
        for name in ("uids", "flags", "modseqs", "sizes", "serials"):
            column: array[int] = getattr(self, name)
            kept = array(column.typecode)
            for start, stop in keep:
                kept.extend(column[start:stop])
            setattr(self, name, kept)
        self._first_unseen = -1
        self._note(modseq, uids, True)

    def moved_within(
        self,
        modseq: int,
        sources: Sequence[int],
        uids: Sequence[int],
        flags: Sequence[int],
        sizes: Sequence[int],
        serials: Sequence[int],
    ) -> None:
        """Rows that got new UIDs in one step: MOVE into the same mailbox."""
        if modseq > self.modseq:
            before = self.modseq
            self.appended(modseq, uids, flags, sizes, serials)
            self.modseq = before
            self.expunged(modseq, sources)

    def _note(self, modseq: int, uids: Sequence[int], gone: bool) -> None:
        self._journal.append((modseq, uids, gone))
        if len(self._journal) > _JOURNAL:
            cut = _JOURNAL // 2
            del self._journal[:cut]
            self._base += cut

    # For views.

    @property
    def position(self) -> int:
        """Where the journal ends."""
        return self._base + len(self._journal)

    def journal(self, position: int) -> Sequence[tuple[int, Sequence[int], bool]] | None:
        """What was noted behind `position`, or None if that has been forgotten."""
        if position < self._base:
            return None
        return self._journal[position - self._base :]


def _rows_without(uids: array[int], gone: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of rows that stay, as slices: a whole mailbox that goes costs one step a run, not one a row."""
    stay = 0
    at = 0
    n = len(gone)
    while at < n:
        row = bisect_left(uids, gone[at], stay)
        if row == len(uids):
            break
        if uids[row] != gone[at]:
            at += 1
            continue
        if row > stay:
            yield stay, row
        # As many of the next as follow each other in the mailbox, too.
        while at < n and row < len(uids) and uids[row] == gone[at]:
            row += 1
            at += 1
        stay = row
    if stay < len(uids):
        yield stay, len(uids)


class View:
    """
    What one session has been told of a mailbox.

    `poll` compares it with the mailbox and moves on.  A view is used from the event loop only.
    """

    __slots__ = ("_count", "_modseq", "_pending", "_position", "_uids", "state")

    def __init__(self, state: MailboxState) -> None:
        self.state = state
        self._uids = state.uids
        self._count = len(state.uids)
        self._position = state.position
        self._modseq = state.modseq
        # Expunges that could not be told yet.
        self._pending: set[int] = set()

    def __len__(self) -> int:
        return self._count

    def uid(self, seq: int) -> int:
        """The UID with a sequence number, counted from 1.  Raises IndexError."""
        if not 1 <= seq <= self._count:
            raise IndexError(seq)
        return self._uids[seq - 1]

    def seq(self, uid: int) -> int | None:
        """The sequence number of a UID, or None if the session was not told of it."""
        i = bisect_left(self._uids, uid, 0, self._count)
        return i + 1 if i < self._count and self._uids[i] == uid else None

    def uids(self, first: int = 1, last: int | None = None) -> array[int]:
        """The UIDs of the sequence numbers `first` to `last` (the last one there is)."""
        stop = self._count if last is None else min(last, self._count)
        return self._uids[max(first, 1) - 1 : stop]

    def uid_range(self, first: int, last: int) -> array[int]:
        """The UIDs among ``first ... last``."""
        a = bisect_left(self._uids, first, 0, self._count)
        b = bisect_left(self._uids, last + 1, a, self._count)
        return self._uids[a:b]

    @property
    def current(self) -> bool:
        """Sequence numbers are rows of the state: row = number - 1."""
        return self._uids is self.state.uids

    def poll(self, *, expunges: bool = True, ignore: Collection[int] = ()) -> Poll:
        """
        What happened since the last time, as far as the session may be told now.

        Args:
            expunges: "An EXPUNGE response MUST NOT be sent when no command is in progress, nor while responding to
                a FETCH, STORE, or SEARCH command" (RFC 9051 §7.5.1): then False, and they wait.
            ignore: MODSEQs of the session's own STOREs, whose outcome it tells itself.
        """
        state = self.state
        if state.gone:
            return Poll(gone=True)
        if (
            self._position == state.position
            and self._uids is state.uids
            and self._count == len(state.uids)
        ):
            return Poll()
        entries = state.journal(self._position)
        touched: set[int] = set()
        if entries is None:
            touched.update(
                u for u, m in zip(state.uids, state.modseqs, strict=True) if m > self._modseq
            )
            present = set(state.uids)
            self._pending.update(u for u in self._uids[: self._count] if u not in present)
        else:
            for modseq, uids, gone in entries:
                if gone:
                    self._pending.update(uids)
                elif modseq not in ignore:
                    touched.update(uids)
        self._position = state.position
        self._modseq = state.modseq
        known = self._uids[self._count - 1] if self._count else 0
        told = self._tell_expunged() if expunges else ()
        exists = self._tell_arrived(known)
        changed = self._tell_changed(touched, known) if touched else ()
        return Poll(expunged=told, exists=exists, changed=changed)

    def _tell_expunged(self) -> tuple[tuple[int, int], ...]:
        if not self._pending:
            return ()
        told = []
        for uid in sorted(self._pending, reverse=True):
            seq = self.seq(uid)
            if seq is not None:  # it may have come and gone unseen
                told.append((seq, uid))
        self._pending = set()
        if told:
            gone = {uid for _, uid in told}
            self._uids = array("I", [u for u in self._uids[: self._count] if u not in gone])
            self._count = len(self._uids)
        return tuple(told)

    def _tell_arrived(self, known: int) -> int | None:
        state = self.state
        fresh = len(state.uids) - bisect_left(state.uids, known + 1)
        if not self._pending:
            # Everything this view lacks has been told, so it counts like everybody.
            self._uids = state.uids
            self._count = len(state.uids)
        elif fresh:
            self._uids = self._uids[: self._count]
            self._uids.extend(state.uids[len(state.uids) - fresh :])
            self._count = len(self._uids)
        return self._count if fresh else None

    def _tell_changed(
        self, touched: Iterable[int], known: int
    ) -> tuple[tuple[int, int, int, int], ...]:
        state = self.state
        changed = []
        for uid in sorted(touched):
            if uid > known:
                continue  # the session has not fetched it yet
            row = state.index(uid)
            seq = self.seq(uid)
            if row is not None and seq is not None:
                changed.append((seq, uid, state.flags[row], state.modseqs[row]))
        return tuple(changed)
