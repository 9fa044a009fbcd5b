"""Charts as small SVG made on the server: stacked bars by hour, drawn by attributes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

#: Units of the drawing: its height, and what one bar and the gap beside it take.
HEIGHT: Final = 60
_BAR: Final = 8
_STEP: Final = 10

#: The class that colours a label; state has the colours of state.
COLOURS: Final = {
    "inbox": "good", "delivered": "good", "ok": "good", "accepted": "accent",
    "junk": "warn", "deferred": "warn", "greylist": "line", "defer": "line", "held": "line",
    "reject": "bad", "failed": "bad", "refused": "bad", "locked": "bad",
}  # fmt: skip
_OTHERS: Final = ("accent", "good", "warn", "line", "bad")


@final
@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle."""

    x: int
    y: float
    height: float
    colour: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart with its words."""

    title: str
    unit: str
    bars: Sequence[Bar]
    legend: Sequence[tuple[str, str, int]]
    """(label, colour, total)."""
    total: int
    peak: int
    width: int


def chart(title: str, unit: str, series: Mapping[str, Sequence[int]]) -> Chart:
    """
    Stack *series* (a list of hours, oldest first, by label).

    >>> made = chart("Mail", "mail", {"inbox": [1, 3], "junk": [0, 1]})
    >>> made.total, made.peak, [(bar.x, bar.y, bar.height) for bar in made.bars]
    (5, 4, [(0, 45.0, 15.0), (10, 15.0, 45.0), (10, 0.0, 15.0)])
    """
    hours = max((len(values) for values in series.values()), default=0)
    sums = [sum(values[hour] for values in series.values()) for hour in range(hours)]
    peak = max(sums, default=0)
    colours = {
        label: COLOURS.get(label, _OTHERS[index % len(_OTHERS)])
        for index, label in enumerate(series)
    }
    bars = []
    for hour in range(hours):
        floor = float(HEIGHT)
        for label, values in series.items():
            if values[hour]:
                height = round(HEIGHT * values[hour] / peak, 2)
                floor = round(floor - height, 2)
                bars.append(Bar(_STEP * hour, max(0.0, floor), height, colours[label]))
    return Chart(
        title=title,
        unit=unit,
        bars=bars,
        legend=[(label, colours[label], sum(values)) for label, values in series.items()],
        total=sum(sums),
        peak=peak,
        width=max(1, _STEP * hours - (_STEP - _BAR)),
    )
