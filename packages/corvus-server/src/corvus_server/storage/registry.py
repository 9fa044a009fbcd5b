"""
Which mailboxes are open in this process, and how commits reach them.

States live as long as a session holds a view of them, and a while longer while there is room.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, final
from weakref import WeakValueDictionary

from corvus_server.storage.flags import Keywords
from corvus_server.storage.protocols import ChangeCallback
from corvus_server.storage.state import MailboxState

__all__ = ["Notices", "Registry"]

KEEP: Final = 64 * 1024 * 1024
"""Octets of states that are kept though nobody looks at them."""


@final
class Registry:
    """The mailbox states of a process; used on the event loop only."""

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._states: WeakValueDictionary[int, MailboxState] = WeakValueDictionary()
        self._recent: OrderedDict[int, MailboxState] = OrderedDict()
        self._kept = 0
        # While a mailbox is read, commits wait here.
        self._loading: dict[
            int, tuple[asyncio.Future[MailboxState], list[Callable[[MailboxState], None]]]
        ] = {}
        self._keywords: dict[int, Keywords] = {}

    def keywords(self, account_id: int) -> Keywords:
        """The account's keyword sets as far as this process knows them."""
        return self._keywords.setdefault(account_id, Keywords())

    def opened(self, mailbox_id: int) -> MailboxState | None:
        return self._states.get(mailbox_id)

    async def open(
        self, mailbox_id: int, load: Callable[[], Awaitable[MailboxState]]
    ) -> MailboxState:
        """The state, read with `load` if it is not in memory; many may ask at once, one reads."""
        state = self._states.get(mailbox_id)
        if state is not None:
            self._touch(state)
            return state
        waiting = self._loading.get(mailbox_id)
        if waiting is not None:
            # Shielded: one session that gives up must not take the others with it.
            try:
                return await asyncio.shield(waiting[0])
            except asyncio.CancelledError:
                if not waiting[0].cancelled():
                    raise
                # Who read for all of us gave up; we did not.
                return await self.open(mailbox_id, load)
        future: asyncio.Future[MailboxState] = asyncio.get_running_loop().create_future()
        missed: list[Callable[[MailboxState], None]] = []
        self._loading[mailbox_id] = (future, missed)
        try:
            state = await load()
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
                future.exception()  # it may be that nobody else waits
            raise
        finally:
            del self._loading[mailbox_id]
        for change in missed:  # each ignores what the state has already read
            change(state)
        self._states[mailbox_id] = state
        self._touch(state)
        future.set_result(state)
        return state

    def apply(self, mailbox_id: int, change: Callable[[MailboxState], None]) -> None:
        """Bring a committed change to the state of a mailbox, if there is one."""
        state = self._states.get(mailbox_id)
        if state is not None:
            change(state)
        elif mailbox_id in self._loading:
            self._loading[mailbox_id][1].append(change)

    def drop(self, mailbox_id: int) -> None:
        """The mailbox is no more: its sessions learn it from `MailboxState.gone`."""
        self.apply(mailbox_id, _mark_gone)
        state = self._states.pop(mailbox_id, None)
        if state is not None and self._recent.pop(mailbox_id, None) is not None:
            self._kept -= state.memory

    def forget_account(self, account_id: int) -> None:
        self._keywords.pop(account_id, None)

    def _touch(self, state: MailboxState) -> None:
        if state.gone:
            return
        self._recent[state.id] = state
        self._recent.move_to_end(state.id)
        self._kept = sum(other.memory for other in self._recent.values())
        while self._kept > self._keep and len(self._recent) > 1:
            _, oldest = self._recent.popitem(last=False)
            self._kept -= oldest.memory


def _mark_gone(state: MailboxState) -> None:
    state.gone = True


@final
class Notices:
    """Who wants to hear of commits."""

    def __init__(self) -> None:
        self._by_account: dict[int | None, dict[int, ChangeCallback]] = {}
        self._queue: dict[int, Callable[[], None]] = {}
        self._next = 0

    def subscribe(self, account_id: int | None, callback: ChangeCallback) -> Callable[[], None]:
        self._next += 1
        number = self._next
        self._by_account.setdefault(account_id, {})[number] = callback

        def end() -> None:
            callbacks = self._by_account.get(account_id)
            if callbacks is not None:
                callbacks.pop(number, None)
                if not callbacks:
                    del self._by_account[account_id]

        return end

    def subscribe_queue(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._next += 1
        number = self._next
        self._queue[number] = callback

        def end() -> None:
            self._queue.pop(number, None)

        return end

    def notify(self, account_id: int, modseq: int) -> None:
        for key in (account_id, None):
            for callback in tuple(self._by_account.get(key, {}).values()):
                callback(account_id, modseq)

    def wake_queue(self) -> None:
        for callback in tuple(self._queue.values()):
            callback()
