"""A network over a volume in overlapping windows, after MONAI's ``sliding_window_inference``."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.bundled.declaration import Windows
from pipeline.analyses.bundled.spatial import widths_to

Array = NDArray[np.float32]
Network = Callable[[Array], Array]

_LEAST_WEIGHT = 1e-3


def slide(
    array: Array, network: Network, windows: Windows, progress: Callable[[float], None]
) -> Array:
    """Return what a network gives for a volume.

    A volume that is smaller than a window is padded, half on each side. Where windows overlap, what
    they give is averaged with their weights.

    Parameters
    ----------
    array
        The volume. Shape ``(channels, i, j, k)``.
    network
        From ``(windows, channels, i, j, k)`` to an array of the same windows and voxels.
    windows
        Their size, overlap and weights.
    progress
        Called with the share that is done, 0 to 1.

    Returns
    -------
        Shape ``(channels of the network, i, j, k)``.
    """
    shape = array.shape[1:]
    size = [wanted if wanted > 0 else n for wanted, n in zip(windows.roi_size, shape, strict=True)]
    widths = widths_to(shape, size, at_end=False)
    around = [(0, 0), *widths]
    if windows.padding_mode == "replicate":
        padded = np.pad(array, around, mode="edge")
    else:
        padded = np.pad(array, around, constant_values=windows.cval)
    weight = weights(size, windows.sigma_scale if windows.mode == "gaussian" else None)
    places = list(_places(padded.shape[1:], size, windows.overlap))
    total: Array | None = None
    count = np.zeros(padded.shape[1:], dtype=np.float32)
    for done, place in enumerate(places, start=1):
        given = network(padded[(slice(None), *place)][None])[0]
        if total is None:
            total = np.zeros((len(given), *padded.shape[1:]), dtype=np.float32)
        total[(slice(None), *place)] += given * weight
        count[place] += weight
        progress(done / len(places))
    if total is None:
        raise ValueError("a volume without voxels")
    inner = tuple(slice(first, first + n) for (first, _), n in zip(widths, shape, strict=True))
    return np.ascontiguousarray((total / count)[(slice(None), *inner)])


def weights(size: Sequence[int], sigma_scale: float | None) -> Array:
    """Return how much each voxel of a window counts: a Gaussian, or 1 without a scale.

    Parameters
    ----------
    size
        Size of a window.
    sigma_scale
        Standard deviation as a part of the size; None counts all voxels alike.
    """
    found = np.ones(tuple(size), dtype=np.float32)
    if sigma_scale is None:
        return found
    for axis, n in enumerate(size):
        away = np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2.0)
        sigma = sigma_scale * n
        shape = [1] * len(size)
        shape[axis] = n
        found *= np.exp(away**2 / np.float32(-2 * sigma**2)).reshape(shape)
    return np.maximum(found, max(float(found.min()), _LEAST_WEIGHT), dtype=np.float32)


def _places(
    shape: Sequence[int], size: Sequence[int], overlap: Sequence[float]
) -> Iterator[tuple[slice, ...]]:
    """Yield the windows that cover a volume; the last along each axis ends at its edge."""
    starts = []
    for n, length, share in zip(shape, size, overlap, strict=True):
        interval = length if length == n else max(int(length * (1 - share)), 1)
        steps = math.ceil(max(n - length, 0) / interval) + 1
        starts.append([min(step * interval, n - length) for step in range(steps)])
    for corner in product(*starts):
        yield tuple(slice(s, s + length) for s, length in zip(corner, size, strict=True))
