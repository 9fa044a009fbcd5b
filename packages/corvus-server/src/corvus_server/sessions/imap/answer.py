"""FETCH responses on their way out: in slices, so that no neighbour waits for a big answer."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from time import perf_counter
from typing import TYPE_CHECKING, Final, final

from corvus_server.sessions.imap.batch import Batch
from corvus_server.sessions.imap.large import LARGE, send_large
from corvus_server.sessions.imap.plan import Plan
from corvus_server.storage.errors import NotFound

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

#: Messages of the first batch, and of those behind it: the first octet should not wait.
FIRST: Final = 50
ROWS: Final = 300
#: Octets after which an answer is written, and seconds after which others get their turn.
SLICE: Final = 64 * 1024
TURN: Final = 0.002
FIRST_TURN: Final = 0.0005
#: Octets of bodies in one batch, and in the first.
BATCH: Final = 128 * 1024
FIRST_BATCH: Final = 32 * 1024


@final
class Answer:
    """
    The responses to one command.

    Call `step`; where it returns false the rest needs a task: await `rest`.
    """

    __slots__ = ("_batches", "_broken", "_finish", "_large", "_lost", "_plan", "_session", "_turn")

    def __init__(
        self,
        session: IMAPSession,
        plan: Plan | None,
        seqs: Sequence[int],
        finish: Callable[[int], None],
    ) -> None:
        """
        Args:
            plan: What is told of each message; ``None`` is nothing.
            finish: Sends the tagged answer; given how many messages turned out to be gone.
        """
        self._session = session
        self._finish = finish
        self._lost = 0
        self._broken = False
        self._large: int | None = None
        self._plan = plan
        self._turn = FIRST_TURN
        self._batches: Iterator[Batch] = iter(()) if plan is None else self._cut(plan, seqs)

    def step(self) -> bool:
        """Send one slice; whether the answer is complete, with its tagged line."""
        session, plan = self._session, self._plan
        end = perf_counter() + self._turn
        self._turn = TURN
        sent = 0
        for batch in self._batches:
            if self._large is not None:
                return False
            assert plan is not None
            self._lost += batch.lost
            octets = self._render(plan, batch)
            session.announce_keywords()
            session.conn.send_raw(octets)
            sent += len(octets)
            if sent >= SLICE or perf_counter() >= end:
                return False
        if self._broken and not session.conn.closing:
            # The others came; "the server discovered that some relevant data ... are corrupt".
            session.tell(expunges=False)
            session.conn.no("CORRUPTION", "the octets of some messages cannot be found")
        else:
            self._finish(self._lost)
        return True

    def _render(self, plan: Plan, batch: Batch) -> bytes:
        try:
            return plan.render(batch)
        except NotFound:
            # A body is not where it should be: it costs the one message and not its neighbours.
            found = []
            for seq in batch.seqs:
                one = Batch(self._session, (seq,), plan.names, bodies=plan.opens)
                try:
                    found.append(plan.render(one))
                except NotFound:
                    self._lose(seq)
            return b"".join(found)

    def _lose(self, seq: int) -> None:
        self._broken = True
        box = self._session.box
        self._session.note("error", "body lost", mailbox=box.mailbox_id, uid=box.view.uid(seq))

    async def rest(self) -> None:
        """Send what is left, slice by slice, as fast as the client reads."""
        session = self._session
        while True:
            if self._large is not None:
                seq, self._large = self._large, None
                assert self._plan is not None
                try:
                    self._lost += await send_large(session, self._plan, seq)
                except NotFound:
                    self._lose(seq)
            await session.drain()
            await asyncio.sleep(0)
            if self.step():
                return

    def _cut(self, plan: Plan, seqs: Sequence[int]) -> Iterator[Batch]:
        session = self._session
        start, size = 0, FIRST
        if not plan.opens:
            while start < len(seqs):
                yield Batch(session, seqs[start : start + size], plan.names)
                start, size = start + size, ROWS
            return
        most = FIRST_BATCH
        while start < len(seqs):
            weights = plan.weights(self._sizes(seqs[start : start + ROWS]))
            if weights[0] > LARGE:
                self._large = seqs[start]
                start += 1
                yield Batch(session, ())
                continue
            count = max(1, bisect_right(list(accumulate(weights)), most))
            yield Batch(session, seqs[start : start + count], plan.names, bodies=True)
            start, most = start + count, BATCH

    def _sizes(self, seqs: Sequence[int]) -> Sequence[int]:
        """How long each of *seqs* is; those that are gone are of no length."""
        box = self._session.box
        state = box.state
        if not box.view.current:
            rows = [state.index(uid) for uid in box.uids(seqs)]
            return [0 if row is None else state.sizes[row] for row in rows]
        if isinstance(seqs, range):
            return state.sizes[seqs.start - 1 : seqs.stop - 1]
        return [state.sizes[seq - 1] for seq in seqs]
