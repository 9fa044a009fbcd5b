"""What one account may send: recipients a day, counted over a sliding window of hours."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, final

#: Seconds over which recipients are counted.
DAY: Final = 86_400.0
#: Accounts that are remembered.
REMEMBERED: Final = 100_000


@final
class RecipientBudget:
    """Recipients that each account has written to within a day."""

    def __init__(self, most: int, *, now: Callable[[], float], enabled: bool = True) -> None:
        """
        Args:
            most: Recipients in 24 hours; 0 is without limit.
        """
        self._most = most if enabled else 0
        self._now = now
        self._spent: OrderedDict[int, deque[tuple[float, int]]] = OrderedDict()

    def left(self, account_id: int) -> int | None:
        """How many more *account_id* may write to now; ``None`` is without limit."""
        if not self._most:
            return None
        entries = self._spent.get(account_id)
        if entries is None:
            return self._most
        while entries and entries[0][0] < self._now() - DAY:
            entries.popleft()
        return max(0, self._most - sum(count for _, count in entries))

    def spend(self, account_id: int, recipients: int) -> None:
        """Count a mail to *recipients*."""
        if not self._most:
            return
        entries = self._spent.setdefault(account_id, deque())
        entries.append((self._now(), recipients))
        self._spent.move_to_end(account_id)
        if len(self._spent) > REMEMBERED:
            self._spent.popitem(last=False)
