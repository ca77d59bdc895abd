"""One window against the reference: every statistic tested, all corrected together."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from pipeline.drift.compare import Change, change_of_names, change_of_numbers, holm
from pipeline.drift.points import Point, names, values
from pipeline.drift.strata import Moved, where_moved

SCANNERS = ("station", "model", "manufacturer")
"""Names that tell scanners apart, the finest first."""

STATED = "_stated"
"""Ending of the statistic that says whether a number is there at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was found of a statistic."""

    statistic: str
    """Its name."""

    p: float
    """Probability of such a difference if nothing has changed, by itself."""

    p_corrected: float
    """The same over all statistics of the window (Holm)."""

    effect: float
    """Size of the difference, 0 to 1."""

    before: float | str
    """Median in the reference, or its most frequent name."""

    now: float | str
    """Median in the window, or its most frequent name."""

    is_alarm: bool
    """Whether it is both certain and large enough."""

    moved: Moved | None = None
    """Where the change comes from, or the scanner that alone was compared; None for a name, and
    for all studies together without an alarm."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        moved = self.moved and {**asdict(self.moved), "parts": list(self.moved.parts)}
        return {**asdict(self), "moved": moved}


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """When a window alarms."""

    false_alarms: float
    """Probability that it does although nothing has changed."""

    least_effect: float
    """Smaller changes do not."""


def compared(
    reference: Sequence[Point], window: Sequence[Point], limits: Limits
) -> tuple[Finding, ...]:
    """Compare all statistics of a window with a reference, the least likely first.

    Numbers are compared over all studies, and over those of each scanner by itself: one scanner of
    several that changes is lost among the others.

    Parameters
    ----------
    reference, window
        The studies.
    limits
        When it alarms.
    """
    tests = list(_tests(reference, window))
    corrected = holm([test.change.p for test in tests])
    found = []
    for test, p in zip(tests, corrected, strict=True):
        is_alarm = p <= limits.false_alarms and test.change.effect >= limits.least_effect
        moved = test.moved
        if is_alarm and moved is None and not isinstance(test.before, str):
            moved = where_moved(test.statistic, reference, window)
        found.append(
            Finding(
                statistic=test.statistic,
                p=test.change.p,
                p_corrected=p,
                effect=test.change.effect,
                before=test.before,
                now=test.now,
                is_alarm=is_alarm,
                moved=moved,
            )
        )
    return tuple(sorted(found, key=lambda finding: (finding.p, finding.statistic)))


def statistics_of(points: Sequence[Point]) -> tuple[list[str], list[str]]:
    """Return the names of all numbers and of all names of studies."""
    numbers = {name for point in points for name in point.described.numbers}
    categories = {name for point in points for name in point.described.categories}
    return sorted(numbers), sorted(categories)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Test:
    """A statistic that was compared."""

    statistic: str
    change: Change
    before: float | str
    now: float | str
    moved: Moved | None = None
    """The scanner that it was compared for; None for all."""


def _tests(reference: Sequence[Point], window: Sequence[Point]) -> Iterator[_Test]:
    """Yield all statistics that can be compared."""
    numbers, categories = statistics_of([*reference, *window])
    for statistic in numbers:
        yield from _of_numbers(statistic, reference, window)
        stated = [_stated(points, statistic) for points in (reference, window)]
        yield from _of_names(f"{statistic}{STATED}", stated[0], stated[1])
    for statistic in categories:
        yield from _of_names(statistic, names(reference, statistic), names(window, statistic))
    for moved, before, now in _scanners(reference, window):
        for statistic in numbers:
            yield from _of_numbers(statistic, before, now, moved)


def _scanners(
    reference: Sequence[Point], window: Sequence[Point]
) -> Iterator[tuple[Moved, list[Point], list[Point]]]:
    """Yield each scanner with its studies, by the finest name of theirs that tells some apart."""
    for division in SCANNERS:
        counts = Counter(names(reference, division))
        if len(counts) > 1:
            break
    else:
        return
    for name in sorted(counts):
        before = [point for point in reference if point.name(division) == name]
        now = [point for point in window if point.name(division) == name]
        yield Moved(how="within", by=division, parts=(name,), studies=len(now)), before, now


def _of_numbers(
    statistic: str,
    reference: Sequence[Point],
    window: Sequence[Point],
    moved: Moved | None = None,
) -> Iterator[_Test]:
    """Yield a number, if it can be compared."""
    before, now = values(reference, statistic), values(window, statistic)
    change = change_of_numbers(before, now)
    if change is not None:
        yield _Test(
            statistic=statistic,
            change=change,
            before=median(before),
            now=median(now),
            moved=moved,
        )


def _of_names(statistic: str, before: Sequence[str], now: Sequence[str]) -> Iterator[_Test]:
    """Yield a name, if it can be compared."""
    change = change_of_names(before, now)
    if change is not None:
        yield _Test(statistic=statistic, change=change, before=_usual(before), now=_usual(now))


def _stated(points: Sequence[Point], statistic: str) -> list[str]:
    """Return whether each study has a number."""
    return ["yes" if statistic in point.described.numbers else "no" for point in points]


def _usual(found: Sequence[str]) -> str:
    """Return the most frequent name, the first of several."""
    counts = Counter(found)
    return min(counts, key=lambda name: (-counts[name], name))
