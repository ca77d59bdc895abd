"""Where maps of agreement over displacements are highest, to a fraction of a point."""

import numpy as np
from numpy.typing import NDArray


def refined_peaks(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the displacement at which each map is highest, refined by a parabola along each axis.

    Parameters
    ----------
    maps
        Values over displacements of up to ``reach`` points to each side. Shape ``(n, 2 * reach + 1,
        2 * reach + 1)``.

    Returns
    -------
        Rows and columns [points]. Shape ``(n, 2)``.
    """
    n, side = maps.shape[:2]
    highest = maps.reshape(n, -1).argmax(axis=1)
    peaks = np.stack(np.divmod(highest, side), axis=1)
    beats = np.arange(n)
    found: NDArray[np.float64] = peaks - (side - 1) / 2
    at = maps[beats, peaks[:, 0], peaks[:, 1]]
    for axis in (0, 1):
        step = np.eye(2, dtype=np.int64)[axis]
        # At the border of what was tried there is no neighbour, and nothing is refined.
        before, after = (np.clip(peaks + s * step, 0, side - 1) for s in (-1, 1))
        inside = (peaks[:, axis] > 0) & (peaks[:, axis] < side - 1)
        low = maps[beats, before[:, 0], before[:, 1]]
        high = maps[beats, after[:, 0], after[:, 1]]
        curvature = low - 2 * at + high
        bent = inside & (curvature < 0)
        offset = 0.5 * (low - high) / np.where(bent, curvature, 1.0)
        found[:, axis] += np.where(bent, np.clip(offset, -0.5, 0.5), 0.0)
    return found
