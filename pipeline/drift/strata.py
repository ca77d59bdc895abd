"""Which scanner, protocol or version moved: a change within some, or another mix of them.

For each way to divide the studies, the part of the difference that a change of mix alone makes is
taken out: the reference is weighted to the shares that the window has [KIT1955]_. What is left is a
change within, and tests of each part by itself say where. The division that names the fewest
studies is told. This explains an alarm; it raises none.

References
----------
.. [KIT1955] E. M. Kitagawa, Components of a difference between two rates, J Am Stat Assoc 50:1168
   (1955), doi:10.1080/01621459.1955.10501299: differences within groups and of their shares.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.drift.compare import change_of_numbers, holm
from pipeline.drift.points import Point, names, values

DIVISIONS = (
    "station",
    "model",
    "manufacturer",
    "software",
    "protocol",
    "series_description",
    "bundle",
    "vesalius",
)
"""Ways to divide studies, the finest of equipment first."""

CERTAIN = 0.05
"""A part whose corrected p-value is below has moved."""

EVERYWHERE = "everywhere"
"""No part stands out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """Where a change comes from."""

    how: str
    """``within`` some parts, ``mix`` of the parts, or ``everywhere``."""

    by: str | None = None
    """What divides the studies into parts; None for everywhere."""

    parts: tuple[str, ...] = ()
    """The parts that moved within, or that are new or more frequent."""

    studies: int = 0
    """Studies of the window in these parts."""


def where_moved(statistic: str, reference: Sequence[Point], window: Sequence[Point]) -> Moved:
    """Return where the change of a number comes from.

    Parameters
    ----------
    statistic
        The number.
    reference, window
        The studies.
    """
    found = [_divided(statistic, division, reference, window) for division in DIVISIONS]
    # The first of the finest: DIVISIONS are in order.
    told = sorted((moved for moved in found if moved), key=lambda moved: moved.studies)
    return told[0] if told else Moved(how=EVERYWHERE)


def _divided(
    statistic: str, division: str, reference: Sequence[Point], window: Sequence[Point]
) -> Moved | None:
    """Return what a division tells of a change; None if nothing."""
    shares = Counter(names(window, division)), Counter(names(reference, division))
    if len({*shares[0], *shares[1]}) == 1:
        return None
    moved, same = _parts_within(statistic, division, reference, window)
    if moved and (same or set(shares[0]) - set(moved)):
        return _told("within", division, moved, shares[0])
    grown = [
        name
        for name, count in shares[0].items()
        if count / len(window) > shares[1].get(name, 0) / len(reference)
    ]
    if not moved and _explained(statistic, division, reference, window):
        return _told("mix", division, grown, shares[0])
    return None


def _told(how: str, division: str, parts: Sequence[str], counts: Counter[str]) -> Moved:
    """Return a change and its parts."""
    parts = tuple(sorted(parts))
    return Moved(how=how, by=division, parts=parts, studies=sum(counts[name] for name in parts))


def _parts_within(
    statistic: str, division: str, reference: Sequence[Point], window: Sequence[Point]
) -> tuple[list[str], list[str]]:
    """Return the parts that have changed by themselves, and those that have not."""
    changes = {}
    for name in sorted(set(names(window, division))):
        before = values((p for p in reference if p.name(division) == name), statistic)
        now = values((p for p in window if p.name(division) == name), statistic)
        change = change_of_numbers(before, now)
        if change is not None:
            changes[name] = change.p
    corrected = holm(list(changes.values()))
    moved = [name for name, p in zip(changes, corrected, strict=True) if p < CERTAIN]
    return moved, [name for name in changes if name not in moved]


def _explained(
    statistic: str, division: str, reference: Sequence[Point], window: Sequence[Point]
) -> bool:
    """Tell whether more than half of a difference goes when the mix is made the same."""
    now = [p for p in window if statistic in p.described.numbers]
    before = [p for p in reference if statistic in p.described.numbers]
    shares, had = Counter(names(now, division)), Counter(names(before, division))
    # A part that is new has no reference: it stands for itself, so that the mix explains it.
    known = [p for p in before if shares.get(p.name(division))]
    new = [p for p in now if p.name(division) not in had]
    weights = [shares[p.name(division)] / had[p.name(division)] for p in known] + [1.0] * len(new)
    made = values([*known, *new], statistic)
    if not made:
        return False
    plain = _distance(values(before, statistic), [1.0] * len(before), values(now, statistic))
    mixed = _distance(made, weights, values(now, statistic))
    return mixed < 0.5 * plain


def _distance(sample: Sequence[float], weights: Sequence[float], other: Sequence[float]) -> float:
    """Return the largest difference between the distributions of two samples, one weighted."""
    grid = np.unique([*sample, *other])
    order = np.argsort(sample)
    ordered, heavy = np.asarray(sample)[order], np.cumsum(np.asarray(weights)[order])
    below = np.concatenate([[0.0], heavy / heavy[-1]])
    first = below[np.searchsorted(ordered, grid, side="right")]
    second = np.searchsorted(np.sort(other), grid, side="right") / len(other)
    return float(np.abs(first - second).max())
