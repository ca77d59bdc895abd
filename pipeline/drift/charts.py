"""A number of all studies as a chart, in order: SVG without a script."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from pipeline.drift.points import Point, values
from pipeline.drift.words import number
from pipeline.ledger.references import Window

WIDTH, HEIGHT, MARGIN = 300, 90, 6
"""Size of a chart, and what stays free above and below."""

MOST_POINTS = 1500
"""Studies of each colour in a chart, the latest ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scale:
    """Where studies and values lie in a chart."""

    count: int
    """Studies."""

    low: float
    """Lowest value."""

    high: float
    """Highest value."""

    def x(self, index: float) -> float:
        """Return where a study lies."""
        return round(WIDTH * (index + 0.5) / self.count, 1)

    def y(self, value: float) -> float:
        """Return where a value lies."""
        span = (self.high - self.low) or abs(self.high) or 1.0
        return round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - self.low) / span, 1)


def chart(
    statistic: str, before: Sequence[Point], after: Sequence[Point], compared: Sequence[Window]
) -> str:
    """Return the chart of a number.

    Parameters
    ----------
    statistic
        The number.
    before, after
        Studies of the reference, and later ones.
    compared
        The windows that later ones were compared in.
    """
    shown = [*before[-MOST_POINTS:], *after[-MOST_POINTS:]]
    found = values(shown, statistic)
    scale = _Scale(count=len(shown), low=min(found), high=max(found))
    alarming = [window for window in compared if statistic in window.alarms]
    label = escape(statistic)
    drawn = [
        *_windows(alarming, shown, scale),
        *_band(values(before, statistic), scale),
        *_points(statistic, shown, len(shown) - len(after[-MOST_POINTS:]), scale),
    ]
    mark = ' class="alarm"' if alarming else ""
    return (
        f'<figure><svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(drawn)}</svg><figcaption{mark}>{label}: {number(scale.low)} to "
        f"{number(scale.high)}</figcaption></figure>"
    )


def _windows(alarming: Sequence[Window], shown: Sequence[Point], scale: _Scale) -> Iterator[str]:
    """Yield the ground of the windows that alarm."""
    for window in alarming:
        members = set(window.members)
        inside = [index for index, point in enumerate(shown) if members.intersection(point.rows)]
        if inside:
            left, right = scale.x(inside[0] - 0.5), scale.x(inside[-1] + 0.5)
            yield (
                f'<rect x="{left}" y="0" width="{right - left:.1f}" height="{HEIGHT}" '
                'fill="#f6c6cc"/>'
            )


def _band(known: Sequence[float], scale: _Scale) -> Iterator[str]:
    """Yield the middle 90 % and the median of the reference."""
    if known:
        bottom, middle, top = (scale.y(float(v)) for v in np.percentile(known, (5, 50, 95)))
        yield (
            f'<rect x="0" y="{top}" width="{WIDTH}" height="{max(bottom - top, 1):.1f}" '
            'fill="#888" fill-opacity=".2"/>'
        )
        yield f'<line x1="0" x2="{WIDTH}" y1="{middle}" y2="{middle}" stroke="#888"/>'


def _points(statistic: str, shown: Sequence[Point], n_before: int, scale: _Scale) -> Iterator[str]:
    """Yield a point for each study that has the number."""
    for index, point in enumerate(shown):
        value = point.described.numbers.get(statistic)
        if value is not None:
            colour = "#3465a4" if index < n_before else "#111"
            yield (f'<circle cx="{scale.x(index)}" cy="{scale.y(value)}" r="1.6" fill="{colour}"/>')
