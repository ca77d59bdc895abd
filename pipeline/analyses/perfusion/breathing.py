"""Where the heart lies on each beat, roughly: the start of motion correction.

A patient who breathes moves the heart by up to 25 mm between two beats, farther than the next edge
is away. Intensities cannot follow it: contrast that goes from the right into the left ventricle
looks like motion, and a low-rank model of a series takes two positions of the heart for two phases
of contrast. So each beat's edges are compared with the mean of all, at every
displacement; the positions are the cheapest path through the beats, on which a jump has its price,
since breaths are rare.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipeline.analyses.perfusion.edges import agreement, edge_tensors, heart_window
from pipeline.analyses.perfusion.grid import SliceGrid

SPACING_MM = 4.0
"""Distance between the points of the grid, and between the displacements that are tried [mm]."""

SIZE = 48
"""Points along the side of the grid."""

REACH = 8
"""Displacements that are tried, to each side [points]: 32 mm."""

SMOOTHING_MM = 2.0
"""Standard deviation of the filter that keeps noise from making edges [mm]."""

STEP_PRICE = 0.004
"""Price of a displacement between two beats, for each millimetre; edges agree by up to 1."""

DEAREST_STEP_MM = 20.0
"""Farther jumps cost no more [mm]."""

ROUNDS = 3
"""Times that the mean is made anew of the beats where they were found."""


def rough_shifts(
    frames: NDArray[np.float32], centre: tuple[float, float], pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.float64]:
    """Find how far the heart lies from its median position on each beat, in steps of 4 mm.

    Parameters
    ----------
    frames
        One slice over time. Shape ``(beats, rows, columns)``.
    centre
        Where the heart is on some of the beats, ``(row, column)`` [pixels].
    pixel_spacing_mm
        Spacing of rows and of columns [mm].

    Returns
    -------
        Shift along rows and columns [mm], median zero. Shape ``(beats, 2)``.
    """
    grid = SliceGrid(
        centre=centre, pixel_spacing_mm=pixel_spacing_mm, size=SIZE, spacing_mm=SPACING_MM
    )
    smooth = gaussian_filter(frames, (0.0, *(SMOOTHING_MM / np.array(pixel_spacing_mm))))
    edges = edge_tensors(grid.resample(smooth, np.zeros((len(frames), 2))))
    window = heart_window(SIZE, SPACING_MM)
    mean = _mean_of_most(edges, window)
    for _ in range(ROUNDS):
        steps = _cheapest_path(agreement(mean[None], edges, window, REACH))
        moved = [
            np.roll(edge, (-row, -column), axis=(1, 2))
            for edge, (row, column) in zip(edges, steps, strict=True)
        ]
        mean = np.mean(moved, axis=0)
    shifts: NDArray[np.float64] = SPACING_MM * (steps - np.median(steps, axis=0))
    return shifts


def _mean_of_most(edges: NDArray[np.float32], window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the beats that are like the one that is most like all others.

    So the first mean shows one position of the heart, that of most beats, and not all at once.
    """
    flat = (edges * np.sqrt(window)).reshape(len(edges), -1)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    alike = flat @ flat.T
    most = alike[alike.sum(axis=1).argmax()]
    weights = np.maximum(most - np.median(most), 0.0)
    if weights.sum() <= 0:
        weights = np.ones(len(edges))
    mean: NDArray[np.float32] = np.average(edges, axis=0, weights=weights).astype(np.float32)
    return mean


def _cheapest_path(agreed: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the displacements that agree best, less the price of the steps between beats [points].

    By dynamic programming over the beats. Shape ``(beats, 2)``.
    """
    along = np.arange(-REACH, REACH + 1)
    places = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)
    distance_mm = SPACING_MM * np.linalg.norm(places[:, None] - places[None], axis=-1)
    price = STEP_PRICE * np.minimum(distance_mm, DEAREST_STEP_MM)
    disagreement = -agreed.reshape(len(agreed), -1)
    cost = disagreement[0]
    came_from = np.zeros(disagreement.shape, dtype=np.int64)
    for beat in range(1, len(disagreement)):
        total = cost[:, None] + price
        came_from[beat] = total.argmin(axis=0)
        cost = total.min(axis=0) + disagreement[beat]
    path = np.empty(len(disagreement), dtype=np.int64)
    path[-1] = int(cost.argmin())
    for beat in range(len(path) - 1, 0, -1):
        path[beat - 1] = came_from[beat, path[beat]]
    found: NDArray[np.int64] = places[path]
    return found
