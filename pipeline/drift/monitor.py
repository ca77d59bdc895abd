"""The watch: later studies are cut into windows, and each window is compared once.

Windows do not overlap, are cut by the order of the studies alone, and are compared when they are
full: however often one looks, the same windows are compared, once each. So looking costs no false
alarms. Each alarms with at most the probability that the reference's rule states if nothing has
changed, over all statistics of the analysis: one false alarm in 1 / probability windows.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from pipeline.drift.points import Point, points_of
from pipeline.drift.window import Limits, compared
from pipeline.driftsettings import DriftSettings
from pipeline.errors import UnusableCall
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.references import Reference, Rule, Window, add_window, windows
from pipeline.ledger.statistics import Recorded, analyses_of, recorded
from pipeline.ledger.tables import now


def check(ledger: Ledger, reference: Reference) -> tuple[Window, ...]:
    """Compare all windows that are full and were not compared, and return them.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be read or written.
    """
    found: list[Window] = []
    for analysis in sorted(set(analyses_of(ledger, reference.members).values())):
        everything = recorded(ledger, analysis)
        before = points_of(r for r in everything if r.row in set(reference.members))
        known = windows(ledger, reference.name, analysis)
        fresh = later_points(everything, reference)
        cut = list(cut_windows(fresh, reference, now()))
        limits = limits_of(reference.rule)
        for number, points in enumerate(cut[len(known) :], start=len(known) + 1):
            window = Window(
                reference=reference.name,
                analysis=analysis,
                number=number,
                members=tuple(row for point in points for row in point.rows),
                first_at=points[0].done_at,
                last_at=points[-1].done_at,
                studies=len(points),
                findings=tuple(f.to_json() for f in compared(before, points, limits)),
            )
            found.append(add_window(ledger, window))
    return tuple(found)


def limits_of(rule: Rule) -> Limits:
    """Return when a window alarms."""
    return Limits(false_alarms=rule.false_alarms, least_effect=rule.least_effect)


def later_points(everything: Sequence[Recorded], reference: Reference) -> tuple[Point, ...]:
    """Return the studies that are compared with a reference: the later ones that are not in it."""
    members = set(reference.members)
    studies = {r.study for r in everything if r.row in members}
    return points_of(
        r for r in everything if r.done_at > reference.end_at and r.study not in studies
    )


def cut_windows(
    points: Sequence[Point], reference: Reference, at: datetime
) -> Iterator[tuple[Point, ...]]:
    """Yield the windows that are full.

    Parameters
    ----------
    points
        The studies, in order.
    reference
        Says how they are cut.
    at
        The time now, UTC: a window of days is full when they are over and it has enough studies;
        with too few it goes on for as many days again.
    """
    rule = reference.rule
    if rule.days is None:
        for start in range(0, len(points) - rule.window + 1, rule.window):
            yield tuple(points[start : start + rule.window])
        return
    length = timedelta(days=rule.days)
    end = reference.end_at + length
    held: list[Point] = []
    for moment, point in [*((p.done_at, p) for p in points), (at, None)]:
        while moment >= end:
            if len(held) >= rule.window:
                yield tuple(held)
                held = []
            end += length
        if point is not None:
            held.append(point)


def rule_of(settings: DriftSettings, days: float | None) -> Rule:
    """Return the rule of a reference that a site's settings make.

    Raises
    ------
    UnusableCall
        If the number of days is none.
    """
    if days is not None and not (days > 0 and math.isfinite(days)):
        raise UnusableCall(f"days is {days:g}, needed is more than 0")
    return Rule(
        window=settings.window,
        days=days,
        false_alarms=settings.false_alarms,
        least_effect=settings.least_effect,
    )
