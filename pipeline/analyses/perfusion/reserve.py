"""The myocardial perfusion reserve index: relative upslope under stress over that at rest.

An index of flow reserve, and no flow: ratios of upslopes are smaller than ratios of flow, the more
so the higher the flow [1]_, since the slope of the wall saturates and the bolus is not the same.

References
----------
.. [1] N. Al-Saadi et al., Noninvasive detection of myocardial ischemia from perfusion reserve based
   on cardiovascular magnetic resonance, Circulation 101:1379 (2000),
   doi:10.1161/01.CIR.101.12.1379.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEASURES = ("relative_upslope_concentration", "relative_upslope")
"""What is compared: the first that both states tell of."""

NEAR_MM = 5.0
"""Slices of both states that lie no farther apart are the same, however thin they are [mm]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """Relative upslopes in one state."""

    segments: Mapping[tuple[int, str], float]
    """Mean over the slices that show a segment, by segment and layer [1]."""

    slices: Mapping[int, float]
    """Of the whole myocardium of a slice, by its index from 0 [1]."""

    middles_mm: NDArray[np.float64]
    """Middle of each slice [mm], LPS+. Shape ``(slices, 3)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """The index of one part of the myocardium, and what it is made of."""

    rest: float
    """Relative upslope at rest [1]."""

    stress: float
    """Relative upslope under stress [1]."""

    @property
    def mpri(self) -> float:
        """The index [1]."""
        return self.stress / self.rest


@dataclass(frozen=True, kw_only=True, slots=True)
class Reserve:
    """The index of the myocardium and of its parts."""

    whole: Index | None
    """Of the slices that both states show, their relative upslopes averaged; None if there are
    none."""

    slices: Mapping[tuple[int, int], Index]
    """By slice at rest and under stress."""

    segments: Mapping[tuple[int, str], Index]
    """By segment and layer."""

    notes: tuple[str, ...]
    """What has no index, and why."""


def reserve_of(rest: Side, stress: Side) -> Reserve:
    """Return the index of the myocardium, of its slices and of its segments.

    Parameters
    ----------
    rest, stress
        Relative upslopes in each state.
    """
    notes: list[str] = []
    pairs = [
        (i, j) for i, j in same_slices(rest, stress) if i in rest.slices and j in stress.slices
    ]
    if not pairs:
        notes.append("no slice of the rest series lies where one of the stress series does")
    slices = {
        (i, j): Index(rest=rest.slices[i], stress=stress.slices[j])
        for i, j in pairs
        if rest.slices[i] > 0
    }
    segments = {
        place: Index(rest=value, stress=stress.segments[place])
        for place, value in sorted(rest.segments.items())
        if place in stress.segments and value > 0
    }
    notes += _left_out(rest, stress, segments)
    whole = None
    if slices:
        whole = Index(
            rest=float(np.mean([each.rest for each in slices.values()])),
            stress=float(np.mean([each.stress for each in slices.values()])),
        )
    return Reserve(whole=whole, slices=slices, segments=segments, notes=tuple(notes))


def same_slices(rest: Side, stress: Side) -> list[tuple[int, int]]:
    """Return the slices of both states that lie at the same height: each the nearest of the other.

    They lie apart by half the distance between slices, or ``NEAR_MM``, at most.
    """
    normal = _normal(rest.middles_mm)
    if normal is None:
        normal = _normal(stress.middles_mm)
    apart = rest.middles_mm[:, None] - stress.middles_mm[None]
    far = np.linalg.norm(apart, axis=2) if normal is None else np.abs(apart @ normal)
    spacing = _spacing(rest.middles_mm)
    limit = max(NEAR_MM, 0.5 * spacing)
    nearest_stress, nearest_rest = far.argmin(axis=1), far.argmin(axis=0)
    return [
        (i, int(j))
        for i, j in enumerate(nearest_stress)
        if nearest_rest[j] == i and far[i, j] <= limit
    ]


def _left_out(rest: Side, stress: Side, segments: Mapping[tuple[int, str], Index]) -> Iterator[str]:
    """Yield the segments that only one state shows, or that take up nothing at rest."""
    known = {segment for segment, _ in (*rest.segments, *stress.segments)}
    missing = sorted(known - {segment for segment, _ in segments})
    if missing:
        yield f"no index in segments {', '.join(map(str, missing))}: it is not told of both states"


def _normal(middles_mm: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the direction in which slices ascend; None of a single slice."""
    if len(middles_mm) < 2:
        return None
    along: NDArray[np.float64] = middles_mm[-1] - middles_mm[0]
    return along / np.linalg.norm(along)


def _spacing(middles_mm: NDArray[np.float64]) -> float:
    """Return the distance between slices [mm]; 0 of a single slice."""
    if len(middles_mm) < 2:
        return 0.0
    return float(np.linalg.norm(middles_mm[1] - middles_mm[0]))
