"""One session's view of its mailbox: numbers, and when changes may be told (RFC 9051 §5.2, §7.5).

A message number is an agreement between two sides, so it may move only when the server says so.
What happens to the mailbox meanwhile (messages come, go and change their flags) is fed to the view
as it becomes known, and *told* when the protocol allows: EXISTS and FETCH nearly always, EXPUNGE
and VANISHED only within some commands.

Lean by sharing: what a session was told last is one array of UIDs that is never changed in place,
so thousands of sessions that were told the same hold the same `Snapshot`.  Expunged messages that
could not be told yet stay numbered, as RFC 2180 §4.1 describes; `MailboxView.is_gone` tells them
apart.

Not here: what the messages are.  A view knows UIDs and pending flag changes and nothing else.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import lt
from typing import Final, final

from corvus_imap.types.sequence import STAR, MessageSet, SavedResult, SequenceSet

__all__ = ["MailboxView", "NoSuchMessage", "Selection", "Snapshot", "may_tell_expunges"]

#: "An EXPUNGE response MUST NOT be sent when no command is in progress, nor while responding to a
#: FETCH, STORE, or SEARCH command" (RFC 9051 §7.5.1); "Untagged EXPUNGE responses are not permitted
#: while the server is responding to a SORT command" nor to THREAD (RFC 5256 §3).
_NUMBERED: Final = frozenset({"FETCH", "STORE", "SEARCH", "SORT", "THREAD"})
_SEARCHES: Final = frozenset({"SEARCH", "SORT", "THREAD"})

#: Ranges in one VANISHED line: a client should not have to buffer a megabyte to learn that a folder
#: was emptied.
_RANGES_PER_LINE: Final = 1000


def may_tell_expunges(command: str | None, *, uid: bool = False, numbers: bool = False) -> bool:
    """
    Whether EXPUNGE and VANISHED may be sent while *command* is answered.

    Args:
        command: The command in progress without ``UID``, in upper case; ``None`` when none is.  A
            command that still waits for a literal or another continuation is *not* in progress;
            IDLE is, from its ``+`` to DONE.
        uid: It is the ``UID`` form: "UID FETCH, UID STORE, and UID SEARCH are different commands
            from FETCH, STORE, and SEARCH" (:rfc:`9051#section-7.5.1`).
        numbers: Its search keys name message numbers: "the VANISHED response MUST NOT be sent
            during a UID SEARCH command that contains message numbers in the search criteria"
            (:rfc:`7162#section-3.2.10.2`).

    >>> may_tell_expunges("FETCH"), may_tell_expunges("FETCH", uid=True), may_tell_expunges("NOOP")
    (False, True, True)
    """
    if command is None:
        return False
    if not uid:
        return command not in _NUMBERED
    return not (numbers and command in _SEARCHES)


class NoSuchMessage(ValueError):
    """
    A message number beyond the last one; answer the command with BAD.

    "The server should respond with a tagged BAD response to a command that uses a message sequence
    number greater than the number of messages in the selected mailbox.  This includes "*" if the
    selected mailbox is empty" (RFC 9051 §9, seq-number).
    """


def _uids(numbers: Iterable[int]) -> array[int]:
    try:
        return array("I", numbers)
    except OverflowError as error:
        raise ValueError("a UID has 32 bits") from error


@final
class Snapshot:
    """
    The UIDs of a mailbox at one moment, to be shared by all its sessions; four octets a message.

    >>> before = Snapshot([4, 8, 15])
    >>> before.after(appeared=[16], expunged=[4]).uids.tolist()
    [8, 15, 16]

    Raises:
        ValueError: Not strictly ascending, or not within 1 and 2**32 - 1.
    """

    __slots__ = ("uids",)

    uids: Final[array[int]]
    """Ascending; one for each message number.  Never change it."""

    def __init__(self, uids: Iterable[int] = ()) -> None:
        made = _uids(uids)
        if made and not (made[0] > 0 and all(map(lt, made, made[1:]))):
            raise ValueError("UIDs are strictly ascending (RFC 9051 §2.3.1.1)")
        self.uids = made

    def after(self, *, appeared: Iterable[int] = (), expunged: Iterable[int] = ()) -> Snapshot:
        """
        Make the snapshot that follows when *appeared* have come and *expunged* have gone; unknown
        UIDs are no harm.

        Raises:
            ValueError: A UID appeared that is not higher than all before it.
        """
        gone = set(expunged)
        found = [_index(self.uids, uid) for uid in gone]
        kept = _without(self.uids, sorted([index for index in found if index >= 0]))
        last = self.uids[-1] if self.uids else 0
        for uid in sorted(appeared):
            if uid <= last:
                raise ValueError(
                    f"UID {uid} appeared, yet {last} was assigned before (RFC 9051 §2.3.1.1)"
                )
            last = uid
            if uid not in gone:
                kept.append(uid)
        made = Snapshot()
        object.__setattr__(made, "uids", kept)
        return made

    def __len__(self) -> int:
        return len(self.uids)


def _index(uids: array[int], uid: int) -> int:
    """Where *uid* stands in *uids*, or -1."""
    index = bisect_left(uids, uid)
    return index if index < len(uids) and uids[index] == uid else -1


def _without(uids: array[int], indices: Sequence[int]) -> array[int]:
    """A copy of *uids* without what stands at *indices* (ascending), in one pass."""
    if not indices:
        return uids[:]
    kept = uids[: indices[0]]
    for index, following in zip(indices, [*indices[1:], len(uids)], strict=True):
        kept.extend(uids[index + 1 : following])
    return kept


@final
class Selection:
    """
    Messages that a set denotes, as they were numbered when it was resolved; later changes do not
    reach it.

    Iterating gives pairs of message number and UID, ascending.

    >>> chosen = MailboxView(Snapshot([4, 8, 15, 16])).resolve(SequenceSet.parse(b"2:3"))
    >>> list(chosen), chosen.uids.tolist(), chosen.numbers
    ([(2, 8), (3, 15)], [8, 15], (range(2, 4),))
    """

    __slots__ = ("_all", "numbers")

    numbers: Final[tuple[range, ...]]
    """The message numbers: ascending ranges that do not overlap."""

    def __init__(self, uids: array[int], numbers: tuple[range, ...]) -> None:
        self._all = uids
        self.numbers = numbers

    @property
    def uids(self) -> array[int]:
        """Their UIDs, ascending: a copy, except where the whole mailbox is meant.  Never change
        it."""
        if len(self.numbers) == 1 and len(self.numbers[0]) == len(self._all):
            return self._all
        found = array("I")
        for span in self.numbers:
            found.extend(self._all[span.start - 1 : span.stop - 1])
        return found

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for span in self.numbers:
            yield from zip(span, self._all[span.start - 1 : span.stop - 1], strict=True)

    def __len__(self) -> int:
        return sum([len(span) for span in self.numbers])


@final
class MailboxView:
    r"""
    The mailbox as one session was told of it.

    Feed it with `update` whenever something is known to have happened; ask `tell` for the lines to
    send, before the tagged answer of every command and during IDLE; translate what commands name
    with `resolve`.

    >>> view = MailboxView(Snapshot([4, 8, 15]))
    >>> view.update(appeared=[16], expunged=[4], changed=[(8, b"\\Seen", 7)])
    >>> view.tell(expunges=may_tell_expunges("FETCH"))
    [b'* 4 EXISTS\r\n', b'* 2 FETCH (UID 8 FLAGS (\\Seen))\r\n']
    >>> view.tell(expunges=may_tell_expunges("NOOP"))
    [b'* 1 EXPUNGE\r\n']

    Args:
        snapshot: The UIDs the session is told of by SELECT's answer.
        modseq: HIGHESTMODSEQ of that answer.
        condstore: Tell MODSEQ with every flag change; also an attribute, for CONDSTORE enabled
            later (RFC 7162 §3.1).
        qresync: Tell VANISHED instead of EXPUNGE; also an attribute (RFC 7162 §3.2.10).
    """

    __slots__ = (
        "_changed",
        "_fed_modseq",
        "_gone",
        "_modseq_before_gone",
        "_new",
        "_newest",
        "_saved",
        "_told",
        "condstore",
        "highest_modseq",
        "qresync",
    )

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        modseq: int = 0,
        condstore: bool = False,
        qresync: bool = False,
    ) -> None:
        self.condstore = condstore
        self.qresync = qresync
        #: What may be told as HIGHESTMODSEQ: everything up to it has been told, also what VANISHED
        #: had to wait for.
        self.highest_modseq = modseq
        self._told = snapshot.uids
        self._newest: Snapshot | None = snapshot
        self._fed_modseq = modseq
        self._modseq_before_gone = modseq
        # None instead of empty containers: most sessions of most servers have nothing to be told.
        self._new: set[int] | None = None
        self._gone: set[int] | None = None
        self._changed: dict[int, tuple[bytes, int]] | None = None
        self._saved: array[int] | None = None

    # Feeding.

    def update(
        self,
        *,
        appeared: Iterable[int] = (),
        expunged: Iterable[int] = (),
        changed: Iterable[tuple[int, bytes, int]] = (),
        modseq: int = 0,
        snapshot: Snapshot | None = None,
    ) -> None:
        r"""
        Take note of what happened to the mailbox; nothing is sent.

        Feeding the same twice does no harm.  A UID below one that was told cannot get a message
        number any more and is ignored; a store that assigns UIDs in the order of commits never
        makes one.

        Args:
            appeared: UIDs of new messages.
            expunged: UIDs of messages that are no more.
            changed: UID, flags as they stand between the parentheses (``b"\\Seen work"``) and
                mod-sequence of messages whose flags changed.  Of several changes of one message the
                newest is told.
            modseq: The mailbox's HIGHESTMODSEQ after all this.
            snapshot: The mailbox after all this.  Sessions that get the same one share its memory;
                without it each keeps its own.
        """
        told = self._told
        last = told[-1] if told else 0
        moved = False
        for uid in appeared:
            moved = True
            if uid > last:
                if self._new is None:
                    self._new = set()
                self._new.add(uid)
        for uid in expunged:
            moved = True
            # "servers MUST NOT send UIDs for previously expunged messages or messages that were not
            # announced to the client via EXISTS" (RFC 7162 §3.2.10.2).
            if self._new is not None and uid in self._new:
                self._new.discard(uid)
            elif _index(told, uid) >= 0:
                if self._gone is None:
                    self._gone = set()
                    self._modseq_before_gone = self._fed_modseq
                self._gone.add(uid)
                if self._changed is not None:
                    self._changed.pop(uid, None)
        if moved or snapshot is not None:
            self._newest = snapshot
        for uid, flags, modified in changed:
            if _index(told, uid) >= 0 and not (self._gone is not None and uid in self._gone):
                if self._changed is None:
                    self._changed = {}
                before = self._changed.get(uid)
                if before is None or before[1] <= modified:
                    self._changed[uid] = (flags, modified)
        self._fed_modseq = max(self._fed_modseq, modseq)

    def has_told(self, uids: Iterable[int], *, modseq: int) -> None:
        """
        Forget flag changes of *uids* up to *modseq*, which the session sent itself (FETCH, STORE).

        So a STORE does not come back to the client who made it; call it after feeding that change.
        """
        if self._changed is None:
            return
        for uid in uids:
            pending = self._changed.get(uid)
            if pending is not None and pending[1] <= modseq:
                del self._changed[uid]

    # Telling.

    def tell(self, *, expunges: bool) -> list[bytes]:
        """
        Return the untagged responses that bring the client up to date; they count as sent.

        Call it when the command's own data is out and its tagged answer is not; message numbers of
        the command must be resolved before.  A UID command should be preceded by
        ``tell(expunges=False)``, so that ``UID FETCH n:*`` sees what came in since.

        Args:
            expunges: Whether EXPUNGE and VANISHED may be told now: `may_tell_expunges`.
        """
        lines: list[bytes] = []
        if self._gone is not None and expunges:
            self._tell_gone(lines)
        if self._new:
            self._tell_new(lines, self._new)
        self._new = None
        if self._changed is not None:
            self._tell_changed(lines, self._changed)
            self._changed = None
        self.highest_modseq = self._fed_modseq if self._gone is None else self._modseq_before_gone
        return lines

    def _tell_gone(self, lines: list[bytes]) -> None:
        gone, told = self._gone or set(), self._told
        indices = sorted([_index(told, uid) for uid in gone])
        if self.qresync:
            # "the server MUST use the VANISHED response without the EARLIER tag instead of the
            # EXPUNGE response" (RFC 7162 §3.2.10); the client knows "each UID listed".
            ranges = SequenceSet.of(gone).ranges
            for start in range(0, len(ranges), _RANGES_PER_LINE):
                some = SequenceSet(ranges[start : start + _RANGES_PER_LINE])
                lines.append(b"* VANISHED %b\r\n" % bytes(some))
        else:
            # "The message sequence number for each successive message in the mailbox is immediately
            # decremented by 1" (RFC 9051 §7.5.1), so each line counts those before it.
            lines.extend(
                [b"* %d EXPUNGE\r\n" % (index + 1 - before) for before, index in enumerate(indices)]
            )
        self._gone = None
        self._told = self._shared(_without(told, indices))

    def _tell_new(self, lines: list[bytes], new: set[int]) -> None:
        self._told = self._shared(self._told + _uids(sorted(new)))
        lines.append(b"* %d EXISTS\r\n" % len(self._told))

    def _shared(self, uids: array[int]) -> array[int]:
        """
        *uids*, or the newest snapshot where that is the same.

        Compared and not believed: a client whose numbers are off by one deletes the wrong message.
        It is one pass in C over four octets a message.
        """
        newest = self._newest
        return newest.uids if newest is not None and newest.uids == uids else uids

    def _tell_changed(self, lines: list[bytes], changed: dict[int, tuple[bytes, int]]) -> None:
        # "If the server chooses to send unsolicited FETCH responses, they MUST include UID FETCH
        # item" (RFC 9051 §7.5.2); RFC 7162 §3.2.4 wants the same of QRESYNC, and RFC 3501 does not
        # mind.
        told = self._told
        for uid in sorted(changed):
            flags, modseq = changed[uid]
            number = bisect_left(told, uid) + 1
            if self.condstore or self.qresync:
                lines.append(
                    b"* %d FETCH (UID %d FLAGS (%b) MODSEQ (%d))\r\n" % (number, uid, flags, modseq)
                )
            else:
                lines.append(b"* %d FETCH (UID %d FLAGS (%b))\r\n" % (number, uid, flags))

    @property
    def is_current(self) -> bool:
        """Whether `tell` would have nothing to say, whatever is allowed."""
        return not (self._new or self._gone or self._changed)

    @property
    def pending_expunges(self) -> int:
        """How many are gone and not told; if any, OK may carry ``[EXPUNGEISSUED]`` (RFC 5530
        §3)."""
        return len(self._gone or ())

    def is_gone(self, uid: int) -> bool:
        """Whether *uid* is expunged and still has its number here (RFC 2180 §4.1)."""
        return self._gone is not None and uid in self._gone

    # Numbers.

    def __len__(self) -> int:
        """How many messages the client knows of: the last EXISTS minus the EXPUNGEs since."""
        return len(self._told)

    @property
    def uids(self) -> array[int]:
        """The UIDs the client knows of, by message number from 1.  Shared: never change it."""
        return self._told

    def number_of(self, uid: int) -> int:
        """Return the message number of *uid*, 0 if the client does not know of it."""
        return _index(self._told, uid) + 1

    def resolve(self, messages: MessageSet, *, uid: bool = False) -> Selection:
        """
        Find the messages that a command means, expunged ones that were not told included.

        Costs two binary searches per range of the set, whatever the ranges span.

        Args:
            messages: What the command names; ``$`` is what `save` remembered.
            uid: The set holds UIDs.  "A non-existent unique identifier is ignored without any error
                message generated" (:rfc:`9051#section-6.4.9`).

        Raises:
            NoSuchMessage: A message number beyond the last.
        """
        told = self._told
        if isinstance(messages, SavedResult):
            found = [_index(told, saved) for saved in self._saved or ()]
            # "When a message listed in the search result variable is EXPUNGEd, it is automatically
            # removed from the list" (RFC 9051 §6.4.4.1): a UID is never used again, so what is not
            # found is what was removed.
            return Selection(told, _joined([range(i + 1, i + 2) for i in found if i >= 0]))
        if uid:
            spans = [
                range(bisect_left(told, span.start) + 1, bisect_right(told, span.stop - 1) + 1)
                for span in messages.resolve(told[-1] if told else 0)
            ]
            return Selection(told, _joined([span for span in spans if span]))
        for low, high in messages.ranges:
            # "*" alone is the last message, so there must be one.
            named = high if high != STAR else low if low != STAR else 1
            if named > len(told):
                raise NoSuchMessage(f"there are {len(told)} messages")
        return Selection(told, messages.resolve(len(told)))

    def save(self, uids: Iterable[int]) -> None:
        """
        Remember the result of ``SEARCH RETURN (SAVE)`` for ``$`` (:rfc:`9051#section-6.4.4.1`).

        With MIN or MAX and neither ALL nor COUNT, "the "$" marker would contain a single message as
        returned in the MIN/MAX return item": give only those.
        """
        self._saved = _uids(sorted(set(uids))) or None


def _joined(spans: list[range]) -> tuple[range, ...]:
    """Ascending *spans* with neighbours joined."""
    if len(spans) < 2:
        return tuple(spans)
    joined: list[range] = []
    start, stop = spans[0].start, spans[0].stop
    for span in spans:
        if span.start > stop:
            joined.append(range(start, stop))
            start = span.start
        stop = span.stop
    joined.append(range(start, stop))
    return tuple(joined)
