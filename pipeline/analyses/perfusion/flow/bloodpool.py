"""Which points of the blood pool tell the concentration of contrast in it, and when it comes."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from pipeline.analyses.perfusion.features import mean_curve
from pipeline.analyses.perfusion.result import BLOOD_POOL

CORE_SHARE = 0.5
"""Share of the blood pool's depth beyond which its core lies: no muscle is mixed into it."""

FEWEST_CORE_POINTS = 12
"""A smaller core gives way to the whole pool."""

SEARCH_MM, SEARCH_STEP_MM = 12.0, 2.0
"""How far, and in which steps, the pool is looked for around its place [mm]: another phase of the
heart and what is left of breathing."""

AS_BRIGHT = 0.97
"""Share of the largest brightness that counts as equal."""

BRIGHTEST = 1 / 3
"""Share of the points of a pool that are taken for their brightness: they have the least muscle in
them where pixels are as large as the papillary muscles."""


def blood_core(classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the points of the blood pool that lie deep in it, or all if these are few.

    Parameters
    ----------
    classes
        Segmentation of a slice. Shape ``(rows, columns)``.
    """
    pool = classes == BLOOD_POOL
    depth = distance_transform_edt(np.pad(pool, 1))[1:-1, 1:-1]
    core = pool & (depth >= CORE_SHARE * depth.max())
    chosen: NDArray[np.bool_] = core if core.sum() >= FEWEST_CORE_POINTS else pool
    return chosen


def rise_s(times_s: NDArray[np.float64], curve: NDArray[np.float64]) -> float:
    """Return when a curve first reaches half of its peak above what it begins with [s].

    Parameters
    ----------
    times_s
        Time of each sample [s]. Shape ``(beats,)``.
    curve
        Intensities. Shape ``(beats,)``.
    """
    peak = int(curve.argmax())
    floor = float(curve[: peak + 1].min())
    level = floor + 0.5 * (float(curve[peak]) - floor)
    first = int((curve >= level).argmax())
    if first == 0:
        return float(times_s[0])
    return float(np.interp(level, curve[first - 1 : first + 1], times_s[first - 1 : first + 1]))


def centred_on(
    square: NDArray[np.float32],
    core: NDArray[np.bool_],
    timing: tuple[NDArray[np.float64], float],
    spacing_mm: float,
) -> NDArray[np.float32]:
    """Return images moved in their plane so that the core of the pool lies on the brightest blood.

    Of places whose contrast does not come too early, the nearest is taken of those that are about
    as bright as the brightest; where there is none, the images stay.

    Parameters
    ----------
    square
        Images. Shape ``(beats, size, size)``.
    core
        Core of the blood pool. Shape ``(size, size)``.
    timing
        Time of each beat [s], and the earliest time at which half of the peak may be reached.
    spacing_mm
        Distance between points [mm].
    """
    times, earliest_s = timing
    reach = int(SEARCH_MM / spacing_mm)
    steps = range(-reach, reach + 1, max(1, round(SEARCH_STEP_MM / spacing_mm)))
    found: list[tuple[float, float, tuple[int, int]]] = []
    for move in ((rows, columns) for rows in steps for columns in steps):
        if np.hypot(*move) > reach:
            continue
        curve = mean_curve(square, np.roll(core, move, axis=(0, 1)))
        peak = int(curve.argmax())
        if rise_s(times, curve) >= earliest_s:
            bright = float(curve[max(0, peak - 1) : peak + 2].mean() - curve[: peak + 1].min())
            found.append((bright, float(np.hypot(*move)), move))
    if not found:
        return square
    least = AS_BRIGHT * max(bright for bright, _, _ in found)
    _, _, (rows, columns) = min((f for f in found if f[0] >= least), key=lambda f: f[1])
    return np.roll(square, (-rows, -columns), axis=(1, 2))


def brightest_with(
    times_s: NDArray[np.float64], curves: NDArray[np.float64], core: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of the brightest points whose contrast comes when that of the core does.

    A point that the right ventricle shines into has its contrast earlier, one of the wall later.

    Parameters
    ----------
    times_s
        Time of each sample [s]. Shape ``(beats,)``.
    curves
        Intensities of the points of the pool. Shape ``(beats, points)``.
    core
        Mean over the core of the pool. Shape ``(beats,)``.
    """
    step = float(np.median(np.diff(times_s)))
    rises = np.array([rise_s(times_s, curve) for curve in curves.T])
    along = np.flatnonzero(np.abs(rises - rise_s(times_s, core)) <= step)
    if along.size < FEWEST_CORE_POINTS:
        return core
    # Three beats: the brightest beat of a point is the brightest noise, too.
    peak = int(core.argmax())
    brightness = curves[max(0, peak - 1) : peak + 2, along].mean(axis=0)
    n_taken = max(FEWEST_CORE_POINTS, round(BRIGHTEST * along.size))
    taken = along[np.argsort(brightness, kind="stable")[-n_taken:]]
    found: NDArray[np.float64] = curves[:, taken].mean(axis=1)
    return found
