"""The right ventricle in a short-axis slice, by the first pass, and where it meets the left one.

Contrast reaches the right ventricle some beats before the left one. What is bright then, lies
beside the left ventricle's wall and has filled before it, is the right ventricle; the ends of the
stretch along which it touches the wall are the insertion points. No network is needed, and none
guesses where the first pass shows nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_fill_holes, gaussian_filter1d, label

from pipeline.analyses.perfusion.features import mean_curve
from pipeline.analyses.perfusion.result import BLOOD_POOL

ARRIVAL_SHARE = 0.3
"""Share of the left ventricle's rise at which contrast counts as arrived there."""

FEWEST_BEATS = 2
"""Beats before that, at least: else the series began too late to see the right ventricle fill."""

REACH_MM = 75.0
"""The right ventricle is looked for so far from the left one's middle [mm]."""

BRIGHT_SHARE = 0.5
"""Share of the early brightness of blood at which a point counts as blood."""

BLOOD_QUANTILE = 0.98
"""This quantile of the early brightness around the left ventricle is that of blood."""

NOTABLE_SHARE = 0.15
"""The right ventricle brightens at least by this share of what the left one does."""

SMALLEST_MM2 = 120.0
"""A smaller pool of blood is a vessel [mm2]."""

CONTACT_MM = 7.0
"""Blood so near to the left ventricle's wall touches it [mm]: the septum's own trabeculae lie
between."""

GAP_RAD = np.deg2rad(12.0)
"""A gap in the contact is closed up to this [rad]."""

CONTACT_RAD = (np.deg2rad(35.0), np.deg2rad(200.0))
"""A shorter or longer contact is none of a septum [rad]."""

RAYS = 720
"""Directions around the left ventricle that are looked along."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """The stretch of the left ventricle's wall that the right one touches.

    Angles are those of ``arctan2(row, column)`` from the middle of the left ventricle's blood pool.
    """

    centre: tuple[float, float]
    """Middle of the blood pool ``(row, column)`` [points]."""

    start_rad: float
    """Where the contact begins [rad]."""

    extent_rad: float
    """How far it goes on, in the direction of growing angles [rad]."""

    @property
    def end_rad(self) -> float:
        """Where it ends [rad]."""
        return self.start_rad + self.extent_rad


def right_ventricle(
    square: NDArray[np.float32], classes: NDArray[np.uint8], spacing_mm: float
) -> NDArray[np.bool_] | None:
    """Return the right ventricle's blood; None where the first pass does not show it.

    Parameters
    ----------
    square
        All beats around the heart, corrected for motion. Shape ``(beats, size, size)``.
    classes
        Segmentation of the left ventricle. Shape ``(size, size)``.
    spacing_mm
        Distance between the square's points [mm].
    """
    blood = mean_curve(square, classes == BLOOD_POOL)
    if not np.isfinite(blood).all():
        return None
    arrival = arrival_beat(blood)
    if arrival < FEWEST_BEATS:
        return None
    courses = gaussian_filter1d(square.astype(np.float64), 1.0, axis=0, mode="nearest")
    early = _early_brightness(courses, arrival)
    around = _around(classes, spacing_mm)
    level = float(np.quantile(early[around], BLOOD_QUANTILE))
    if level < NOTABLE_SHARE * float(blood.max() - blood[:arrival].min()):
        return None
    bright = around & (early > BRIGHT_SHARE * level)
    return _beside(bright, classes, spacing_mm)


def arrival_beat(blood: NDArray[np.float64]) -> int:
    """Return the beat at which contrast arrives in the left ventricle, from 0.

    Parameters
    ----------
    blood
        Mean intensity of its blood. Shape ``(beats,)``.
    """
    smooth = gaussian_filter1d(blood, 1.0, mode="nearest")
    peak = int(smooth.argmax())
    foot = int(smooth[: peak + 1].argmin())
    rise = smooth[foot : peak + 1]
    return foot + int((rise >= rise[0] + ARRIVAL_SHARE * (rise[-1] - rise[0])).argmax())


def contact_of(
    right: NDArray[np.bool_], classes: NDArray[np.uint8], spacing_mm: float
) -> Contact | None:
    """Return where the right ventricle touches the left one's wall; None where it does not.

    Parameters
    ----------
    right
        The right ventricle's blood. Shape ``(rows, columns)``.
    classes
        Segmentation of the left ventricle. Same shape.
    spacing_mm
        Distance between points [mm].
    """
    pool = np.argwhere(classes == BLOOD_POOL)
    if not len(pool):
        return None
    row, column = (float(v) for v in pool.mean(axis=0))
    touches = _touches(right, classes != 0, (row, column), spacing_mm)
    found = _longest_run(_closed(touches))
    if found is None:
        return None
    start, length = (2 * np.pi * n / RAYS for n in found)
    if not CONTACT_RAD[0] <= length <= CONTACT_RAD[1]:
        return None
    return Contact(centre=(row, column), start_rad=start, extent_rad=length)


def _early_brightness(courses: NDArray[np.float64], arrival: int) -> NDArray[np.float64]:
    """Return how much each point brightens before contrast reaches the left ventricle."""
    before = courses[: arrival + 1]
    peak = before.argmax(axis=0)
    brightest = before.max(axis=0)
    beats = np.arange(len(before))[:, None, None]
    foot = np.where(beats <= peak, before, np.inf).min(axis=0)
    brightening: NDArray[np.float64] = brightest - foot
    return brightening


def _around(classes: NDArray[np.uint8], spacing_mm: float) -> NDArray[np.bool_]:
    """Return the points near the left ventricle and not in it."""
    row, column = np.argwhere(classes == BLOOD_POOL).mean(axis=0)
    rows, columns = np.indices(classes.shape)
    near = np.hypot(rows - row, columns - column) * spacing_mm <= REACH_MM
    outside: NDArray[np.bool_] = near & (classes == 0)
    return outside


def _beside(
    bright: NDArray[np.bool_], classes: NDArray[np.uint8], spacing_mm: float
) -> NDArray[np.bool_] | None:
    """Return the pool of blood that touches most of the left ventricle's wall."""
    pools, n_pools = label(binary_closing(bright) & (classes == 0))
    best, longest = None, 0.0
    for number in range(1, n_pools + 1):
        pool = binary_fill_holes(pools == number)
        if pool.sum() * spacing_mm**2 < SMALLEST_MM2:
            continue
        contact = contact_of(pool, classes, spacing_mm)
        if contact is not None and contact.extent_rad > longest:
            best, longest = pool, contact.extent_rad
    return best


def _touches(
    right: NDArray[np.bool_],
    left: NDArray[np.bool_],
    centre: tuple[float, float],
    spacing_mm: float,
) -> NDArray[np.bool_]:
    """Tell for each direction whether blood lies right behind the left ventricle's wall."""
    angles = 2 * np.pi * np.arange(RAYS) / RAYS
    steps = np.arange(0.0, max(right.shape), 0.25)
    rows = np.rint(centre[0] + np.outer(np.sin(angles), steps)).astype(int)
    columns = np.rint(centre[1] + np.outer(np.cos(angles), steps)).astype(int)
    inside = (rows >= 0) & (rows < right.shape[0]) & (columns >= 0) & (columns < right.shape[1])
    rows, columns = np.where(inside, rows, 0), np.where(inside, columns, 0)
    wall = left[rows, columns] & inside
    border = np.where(wall, steps, 0.0).max(axis=1)
    beyond = steps[None] - border[:, None]
    near = (beyond > 0) & (beyond * spacing_mm <= CONTACT_MM)
    touching: NDArray[np.bool_] = (right[rows, columns] & inside & near).any(axis=1)
    return touching


def _closed(touches: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return directions with short gaps closed, around the circle."""
    width = int(GAP_RAD / (2 * np.pi) * RAYS)
    wrapped = np.concatenate([touches, touches, touches])
    closed: NDArray[np.bool_] = binary_closing(wrapped, np.ones(width + 1, np.bool_))
    return closed[RAYS : 2 * RAYS]


def _longest_run(touches: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Return the first direction of the longest stretch around the circle, and its length."""
    if touches.all() or not touches.any():
        return None
    first = int(touches.argmin())
    edges = np.diff(np.concatenate([[0], np.roll(touches, -first).astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    longest = int((ends - starts).argmax())
    return (int(starts[longest]) + first) % RAYS, int(ends[longest] - starts[longest])
