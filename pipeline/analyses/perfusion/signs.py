"""The signs of one segmentation: what speaks for and against it without knowing the truth.

All are cheap: they are taken from maps and curves that are there already. None of them says by
itself that a segmentation has failed; ``trust`` weighs them. Definition, unit and range of each are
those of ``Signs``.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter1d, label

from pipeline.analyses.perfusion.measure import mean_curve
from pipeline.analyses.perfusion.motion import motion_mm
from pipeline.analyses.perfusion.pool import MemberMaps
from pipeline.analyses.perfusion.prepare import PreparedSlice
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM, MemberScore
from pipeline.analyses.perfusion.verdict import Signs
from pipeline.imaging.overlap import dice

DIRECTIONS = 24
"""Directions from the ventricle's middle in which the wall's thickness is looked at."""

MOST_RISE_RATIO = 5.0
"""A larger ratio of rises says no more: the blood pool then does not rise at all."""

Mask = NDArray[np.bool_]


def signs_of(
    prepared: PreparedSlice,
    classes: NDArray[np.uint8],
    members: tuple[Sequence[MemberMaps], Sequence[MemberScore]],
    chosen: int,
) -> Signs:
    """Return the signs of a slice that has a segmentation.

    Parameters
    ----------
    prepared
        The slice as the pool saw it.
    classes
        The segmentation on the model's grid, with myocardium. Shape ``(size, size)``.
    members
        What each member found, and its score.
    chosen
        Which member was chosen.
    """
    maps, scores = members
    wall, blood = classes == MYOCARDIUM, classes == BLOOD_POOL
    walls = [m.probabilities.argmax(axis=0) == MYOCARDIUM for m in maps]
    others = [w for i, w in enumerate(walls) if i != chosen]
    blood_rise, wall_rise, lag = _rises(prepared.beats, wall, blood)
    spacing = prepared.grid.spacing_mm
    middle = _middle(classes)
    return Signs(
        u_pp=scores[chosen].u_pp,
        margin=_margin(scores, chosen),
        agreement=_mean([dice(a, b) for a, b in combinations(walls, 2)]),
        chosen_agreement=_mean([dice(wall, w) for w in others]),
        enclosed=_enclosed(wall, blood),
        one_piece=_one_piece(wall),
        myocardium_area_mm2=float(wall.sum()) * spacing**2,
        area_ratio=float(blood.sum() / wall.sum()),
        thickness_spread=_thickness_spread(wall, middle),
        blood_rise=blood_rise,
        wall_rise=wall_rise,
        rise_ratio=min(wall_rise / blood_rise, MOST_RISE_RATIO) if blood_rise else MOST_RISE_RATIO,
        lag_beats=lag,
        confidence=prepared.confidence,
        off_centre_mm=float(np.hypot(*(middle - (len(classes) - 1) / 2))) * spacing,
        motion_mm=motion_mm(prepared.shifts_mm),
    )


def with_neighbours(
    signs: Sequence[Signs], prepared: Sequence[PreparedSlice], classes: Sequence[NDArray[np.uint8]]
) -> tuple[Signs, ...]:
    """Return the signs of the slices of a series, with what their neighbours say of them.

    Parameters
    ----------
    signs, prepared, classes
        Of each slice that has a segmentation, ascending.
    """
    places = [_place_mm(p, c) for p, c in zip(prepared, classes, strict=True)]
    areas = [
        float((c > 0).sum()) * p.grid.spacing_mm**2 for p, c in zip(prepared, classes, strict=True)
    ]
    told = []
    for index, own in enumerate(signs):
        beside = [i for i in (index - 1, index + 1) if 0 <= i < len(signs)]
        if not beside:
            told.append(own)
            continue
        ratios = [max(areas[index], areas[i]) / min(areas[index], areas[i]) for i in beside]
        away = [float(np.linalg.norm(places[index] - places[i])) for i in beside]
        told.append(replace(own, neighbour_distance_mm=min(away), neighbour_area_ratio=min(ratios)))
    return tuple(told)


def _mean(values: Sequence[float]) -> float | None:
    """Return the mean of some numbers; None without any."""
    return float(np.mean(values)) if values else None


def _margin(scores: Sequence[MemberScore], chosen: int) -> float | None:
    """Return by how much the next best plausible member is less certain; None without one."""
    others = [s.u_pp for i, s in enumerate(scores) if i != chosen and s.implausible is None]
    own = scores[chosen].u_pp
    return max(min(others) / own, 1.0) if others and own > 0 else None


def _middle(classes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the middle of the ventricle, ``(row, column)`` on the model's grid."""
    middle: NDArray[np.float64] = np.argwhere(classes > 0).mean(axis=0)
    return middle


def _place_mm(prepared: PreparedSlice, classes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return where the ventricle's middle lies on its slice [mm]."""
    row, column = _middle(classes)
    return np.array(prepared.grid.on_slice(row, column)) * prepared.grid.pixel_spacing_mm


def _enclosed(wall: Mask, blood: Mask) -> float:
    """Return which share of the points around the blood pool is myocardium."""
    around = binary_dilation(blood) & ~blood
    return float(wall[around].mean()) if around.any() else 0.0


def _one_piece(wall: Mask) -> float:
    """Return which share of the myocardium lies in its largest piece."""
    pieces, _ = label(wall)
    return float(np.bincount(pieces[wall]).max() / wall.sum())


def _thickness_spread(wall: Mask, middle: NDArray[np.float64]) -> float:
    """Return how uneven the wall is: its thickness is its area in a direction over the radius."""
    away = np.argwhere(wall) - middle
    radius = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1.0)
    turn = np.arctan2(away[:, 0], away[:, 1]) / (2 * np.pi) + 0.5
    place = np.minimum((turn * DIRECTIONS).astype(int), DIRECTIONS - 1)
    thickness = np.bincount(place, weights=1.0 / radius, minlength=DIRECTIONS)
    return float(thickness.std() / thickness.mean())


def _rises(beats: NDArray[np.float32], wall: Mask, blood: Mask) -> tuple[float, float, float]:
    """Return how far blood pool and myocardium rise, and how many beats the one is behind."""
    found = []
    for mask in (blood, wall):
        if not mask.any():
            return 0.0, 0.0, 0.0
        curve = gaussian_filter1d(mean_curve(beats, mask), 1.0, mode="nearest")
        # The rise ends at the peak and begins at the lowest beat before it.
        peak = int(curve.argmax())
        foot = int(curve[: peak + 1].argmin())
        rise = float(curve[peak] - curve[foot])
        half = foot + int((curve[foot : peak + 1] >= curve[foot] + rise / 2).argmax())
        found.append((rise, half))
    (blood_rise, blood_half), (wall_rise, wall_half) = found
    return blood_rise, wall_rise, float(wall_half - blood_half)
