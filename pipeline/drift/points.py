"""Studies as points: what is compared is studies, since the series of one are alike.

A study that several jobs of an analysis were done on counts once, with the median of each number
and the most frequent of each name; it comes where its first job was done.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from pipeline.ledger.statistics import Described, Recorded

NOT_STATED = "not stated"
"""Stands for a name that a study does not have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A study."""

    study: str
    """Tells it from others."""

    done_at: datetime
    """When its first job was done, UTC."""

    rows: tuple[int, ...]
    """Rows of the ledger's statistics."""

    described: Described
    """What it was like."""

    def name(self, statistic: str) -> str:
        """Return a name."""
        return self.described.categories.get(statistic, NOT_STATED)


def points_of(found: Iterable[Recorded]) -> tuple[Point, ...]:
    """Return the studies of jobs, in the order of their first jobs."""
    by_study: dict[str, list[Recorded]] = {}
    for job in found:
        by_study.setdefault(job.study, []).append(job)
    return tuple(
        Point(
            study=study,
            done_at=min(job.done_at for job in jobs),
            rows=tuple(job.row for job in jobs),
            described=_typical([job.described for job in jobs]),
        )
        for study, jobs in by_study.items()
    )


def values(points: Iterable[Point], statistic: str) -> list[float]:
    """Return a number of all studies that have it."""
    return [
        point.described.numbers[statistic]
        for point in points
        if statistic in point.described.numbers
    ]


def names(points: Iterable[Point], statistic: str) -> list[str]:
    """Return a name of all studies."""
    return [point.name(statistic) for point in points]


def _typical(found: Sequence[Described]) -> Described:
    """Return what several jobs of a study are like together."""
    if len(found) == 1:
        return found[0]
    numbers: dict[str, list[float]] = {}
    categories: dict[str, Counter[str]] = {}
    for one in found:
        for key, value in one.numbers.items():
            numbers.setdefault(key, []).append(value)
        for key, name in one.categories.items():
            categories.setdefault(key, Counter())[name] += 1
    return Described(
        numbers={key: median(every) for key, every in numbers.items()},
        categories={key: counter.most_common(1)[0][0] for key, counter in categories.items()},
    )
