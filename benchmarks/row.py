"""One line of the table of benchmarks: what ours takes beside what another takes, on one machine.

Both are measured in turn within one run, so that a slow or a busy machine slows both; each round
gives a pair, and the ratio of each pair is kept. A ratio that does not hold over the rounds is told
as a range.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

HOLDS = 0.1
"""A ratio holds if its rounds lie within this share of their median."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How an area is measured."""

    rounds: int
    """Pairs that are counted, after one that is not."""

    is_small: bool
    """Whether inputs are small: to try the benchmark, not to measure."""

    place: Path
    """An empty folder for inputs and outputs; removed afterwards."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One comparison."""

    area: str
    """Which module of benchmarks measured it."""

    what: str
    """What ours did, and on what input."""

    against: str
    """What the other is, with its version."""

    ours: tuple[float, ...]
    """What ours took, once a round."""

    theirs: tuple[float, ...]
    """What the other took, in the same order."""

    unit: str = "s"
    """Unit of both."""

    aim: float | None = None
    """Largest ratio that reaches the aim; None where none is set."""

    note: str = ""
    """What a reader has to know, such as what was not the same; or why the aim is missed."""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over theirs, once a round."""
        return tuple(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        """Median of the ratios."""
        return median(self.ratios)

    @property
    def is_reached(self) -> bool | None:
        """Whether the aim is reached; None where none is set."""
        return None if self.aim is None else self.ratio <= self.aim

    def told(self) -> str:
        """Return the ratio for people: a range where it does not hold."""
        low, high = min(self.ratios), max(self.ratios)
        if high - low <= 2.0 * HOLDS * self.ratio:
            return f"{self.ratio:.3g}"
        return f"{low:.3g} to {high:.3g}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A comparison that could not be made on this machine."""

    against: str
    """What the other is."""

    reason: str
    """Why, such as what cannot be installed."""


def seconds_of(does: Callable[[], object]) -> float:
    """Return how long something takes [s]."""
    began = perf_counter()
    does()
    return perf_counter() - began


def in_turn(
    rounds: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure both in turn, once more than is counted; return what each took."""
    pairs = [(ours(), theirs()) for _ in range(rounds + 1)][1:]
    return tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
