"""When to try again: never at once, never beyond the end, always further."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_server.outbound.schedule import JITTER, LEAST, Schedule

EPOCH = 1_800_000_000.0

schedules = st.builds(
    Schedule,
    pauses=st.lists(st.floats(0.001, 10**6), min_size=1, max_size=8).map(tuple),
    give_up=st.floats(1.0, 10**7),
    delay_notice=st.floats(0.0, 10**6),
)


@pytest.mark.property
@given(
    schedules, st.integers(0, 500), st.floats(0, 10**7), st.floats(0, 1),
    st.none() | st.floats(-(10**6), 10**7),
)  # fmt: skip
def test_the_next_attempt_is_later_and_not_beyond_the_end(
    schedule: Schedule, attempts: int, age: float, dice: float, ends: float | None
) -> None:
    now = EPOCH + age
    expires = None if ends is None else EPOCH + ends
    again = schedule.next_attempt(attempts, since=EPOCH, now=now, dice=dice, expires=expires)
    end = schedule.deadline(since=EPOCH, expires=expires)
    if again is None:
        assert end - now < LEAST
    else:
        assert now + LEAST <= again + 1e-3
        assert again <= end
        pause = schedule.pauses[min(max(attempts, 1), len(schedule.pauses)) - 1]
        assert again - now <= max(pause * (1 + JITTER), LEAST) + 1e-3


@pytest.mark.property
@given(schedules, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_mail_that_always_fails_ends(schedule: Schedule, dice: list[float]) -> None:
    pauses = sum(1 for _ in schedule.pauses)
    now, times = EPOCH, [EPOCH]
    for attempts in range(1, pauses + len(dice)):
        again = schedule.next_attempt(
            attempts, since=EPOCH, now=now, dice=dice[attempts % len(dice)]
        )
        if again is None:
            break
        now = again
        times.append(now)
    assert times == sorted(set(times))
    assert times[-1] <= EPOCH + schedule.give_up


def test_the_jitter_is_a_tenth_to_both_sides() -> None:
    schedule = Schedule(pauses=(100,))
    found = [schedule.next_attempt(1, since=0.0, now=0.0, dice=dice) for dice in (0, 0.5, 1)]
    assert found == pytest.approx([90.0, 100.0, 110.0])


def test_the_sender_is_told_once_that_it_is_late() -> None:
    schedule = Schedule()
    assert not schedule.late(since=0.0, now=14_399.0, told=False)
    assert schedule.late(since=0.0, now=14_400.0, told=False)
    assert not schedule.late(since=0.0, now=90_000.0, told=True)


@pytest.mark.parametrize(
    "wrong",
    [{"pauses": ()}, {"pauses": (0,)}, {"pauses": (-1,)}, {"pauses": (float("nan"),)},
     {"pauses": (float("inf"),)}, {"give_up": 0}, {"give_up": float("inf")}],
)  # fmt: skip
def test_a_schedule_that_is_none_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a schedule"):
        Schedule(**wrong)  # type: ignore[arg-type]  # wrong on purpose
