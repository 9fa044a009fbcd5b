"""When to try again: a schedule as data (RFC 5321 §4.5.4.1).

"the sender MUST delay retrying a particular destination after one attempt has failed.  In general,
the retry interval SHOULD be at least 30 minutes; however, more sophisticated and variable
strategies will be beneficial" - ours begins with minutes, because greylisting ends in minutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

#: The part of a pause by which it may vary, so that what failed together is not tried together.
JITTER: Final = 0.1
#: Seconds between two attempts, whatever the schedule says; nearer to its end there is none.
LEAST: Final = 1.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Pauses between attempts; the last repeats until we give up."""

    pauses: tuple[float, ...] = (300, 900, 1800, 3600, 7200, 14_400)
    give_up: float = 5 * 86_400.0
    """Seconds after which the mail goes back: "the give-up time generally needs to be at least 4-5
    days"."""
    delay_notice: float = 14_400.0
    """Seconds after which the sender is told that it is late."""

    def __post_init__(self) -> None:
        if not self.pauses or not all(0 < pause < math.inf for pause in self.pauses):
            raise ValueError("a schedule has pauses, each longer than nothing")
        if not 0 < self.give_up < math.inf:
            raise ValueError("a schedule ends")

    def deadline(self, *, since: float, expires: float | None = None) -> float:
        """
        When we give up.

        Args:
            since: When we began: when the mail was queued, or was first tried if it was held or
                meant for later.
            expires: The mail's own end, if it has one.
        """
        end = since + self.give_up
        return end if expires is None else min(end, expires)

    def next_attempt(
        self,
        attempts: int,
        *,
        since: float,
        now: float,
        dice: float,
        expires: float | None = None,
    ) -> float | None:
        """
        When to try again after *attempts* failed ones, or ``None``: give up.

        Always later than *now* by at least `LEAST`, and never later than the deadline.

        Args:
            attempts: At least 1: the one that has just failed counts.
            dice: A random number of 0 to 1.

        >>> Schedule().next_attempt(1, since=0.0, now=10.0, dice=0.5)
        310.0
        >>> Schedule().next_attempt(99, since=0.0, now=431_000.0, dice=0.5)
        432000.0
        """
        end = self.deadline(since=since, expires=expires)
        if end - now < LEAST:
            return None
        pause = self.pauses[min(max(attempts, 1), len(self.pauses)) - 1]
        pause *= 1 + JITTER * (2 * dice - 1)
        # The last attempt is made when time is up, not some hours before or after.
        return min(now + max(pause, LEAST), end)

    def late(self, *, since: float, now: float, told: bool) -> bool:
        """Whether the sender is to be told now that the mail is late."""
        return not told and now - since >= self.delay_notice
