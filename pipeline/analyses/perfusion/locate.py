"""Where the heart is on a slice of any field of view.

A small network reads six maps of how each pixel's intensity goes over time, on a coarse grid, and
answers with a map of how likely the left ventricle's centre is at each point. The maps are
independent of the number of beats, of their length and of the scanner's intensity scale. The
brightest spot of the plain temporal standard deviation, the usual way, misses the left ventricle by
more than 40 mm on 5 to 10 of 47 full-size series: great vessels, liver and breathing vary as much.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter, gaussian_filter1d

COARSE_SPACING_MM = 4.0
"""Distance between the points of the coarse grid [mm]."""

MULTIPLE = 8
"""The network halves its grid three times: sides are padded to a multiple of this."""

N_MAPS = 6
"""Number of maps that the network reads."""


class Locator(Protocol):
    """Contract: float32 ``(1, 6, height, width)`` in, ``(1, 1, height, width)`` in [0, 1] out."""

    def __call__(self, maps: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Return how likely the left ventricle's centre is at each point."""
        ...


def locate_heart(
    frames: NDArray[np.float32], pixel_spacing_mm: tuple[float, float], locator: Locator
) -> tuple[tuple[float, float], float]:
    """Find the centre of the left ventricle.

    Parameters
    ----------
    frames
        One slice over time. Shape ``(beats, rows, columns)``.
    pixel_spacing_mm
        Spacing of rows and of columns [mm].
    locator
        The network.

    Returns
    -------
        Centre as ``(row, column)`` [pixels], and the network's confidence in it, 0 to 1.
    """
    maps = enhancement_maps(frames, pixel_spacing_mm)
    height, width = maps.shape[1:]
    padding = ((0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE))
    likelihood = locator(np.pad(maps, padding, mode="edge")[None])[0, 0, :height, :width]
    row, column = np.unravel_index(int(likelihood.argmax()), likelihood.shape)
    reach = 3
    rows = slice(max(0, row - reach), row + reach + 1)
    columns = slice(max(0, column - reach), column + reach + 1)
    weights = likelihood[rows, columns].astype(np.float64)
    grid = np.mgrid[rows, columns][:, : weights.shape[0], : weights.shape[1]]
    coarse = (grid * weights).sum(axis=(1, 2)) / max(float(weights.sum()), 1e-12)
    scale = COARSE_SPACING_MM / np.array(pixel_spacing_mm)
    centre = (coarse + 0.5) * scale - 0.5
    return (float(centre[0]), float(centre[1])), float(likelihood[row, column])


def enhancement_maps(
    frames: NDArray[np.float32], pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.float32]:
    """Describe each point's course over time in six numbers, on the coarse grid.

    Mean, standard deviation, tenth percentile, maximum, steepest rise over one beat and time of the
    maximum as a share of the series; intensities as shares of the slice's 99th percentile.

    Parameters
    ----------
    frames
        One slice over time. Shape ``(beats, rows, columns)``.
    pixel_spacing_mm
        Spacing of rows and of columns [mm].

    Returns
    -------
        Shape ``(6, height, width)``: the field of view at ``COARSE_SPACING_MM``.
    """
    coarse = gaussian_filter1d(_coarse(frames, pixel_spacing_mm), 1.0, axis=0, mode="nearest")
    level = max(float(np.quantile(coarse.max(axis=0), 0.99)), float(np.finfo(np.float32).tiny))
    coarse /= level
    rise = np.diff(coarse, axis=0).max(axis=0) if len(coarse) > 1 else np.zeros_like(coarse[0])
    peak_time = coarse.argmax(axis=0) / max(1, len(coarse) - 1)
    maps = (
        coarse.mean(axis=0),
        coarse.std(axis=0),
        np.quantile(coarse, 0.1, axis=0),
        coarse.max(axis=0),
        rise,
        peak_time,
    )
    return np.stack(maps).astype(np.float32)


def _coarse(
    frames: NDArray[np.float32], pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.float32]:
    """Return the frames on the coarse grid, smoothed first so that nothing aliases."""
    scale = COARSE_SPACING_MM / np.array(pixel_spacing_mm, dtype=np.float64)
    rows, columns = np.maximum(1, np.floor(np.array(frames.shape[1:]) / scale)).astype(int)
    sampled = np.empty((len(frames), rows, columns), dtype=np.float32)
    for beat, frame in enumerate(frames):
        smooth = gaussian_filter(frame, np.maximum(0.0, 0.4 * scale), mode="nearest")
        affine_transform(
            smooth,
            scale,
            offset=0.5 * scale - 0.5,
            output_shape=(rows, columns),
            output=sampled[beat],
            order=1,
            mode="nearest",
        )
    return sampled
