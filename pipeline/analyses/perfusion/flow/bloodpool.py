"""Which points of the blood pool tell the concentration of contrast in it, and when it comes."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from pipeline.analyses.perfusion.result import BLOOD_POOL

CORE_SHARE = 0.5
"""Share of the blood pool's depth beyond which its core lies: no muscle is mixed into it."""

FEWEST_CORE_POINTS = 12
"""A smaller core gives way to the whole pool."""

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
