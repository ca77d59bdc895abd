"""Grids in any orientation, for property tests of everything that places voxels."""

from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.imaging.volume import TimeSeries


def axis_orientations() -> list[NDArray[np.float64]]:
    """Return all 48 ways to lay ``(slice, row, column)`` along the axes of the patient.

    Returns
    -------
        Matrices whose columns are the directions of slices, rows and columns. 24 of them are left-
        handed: there, slices descend along row x column. Shape ``(3, 3)`` each.
    """
    return [
        np.eye(3)[:, list(order)] * np.array(signs, dtype=np.float64)
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    ]


def ascending(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return directions with slices ascending along row cosines x column cosines.

    Row cosines are the direction in which columns ascend, and the other way round.
    """
    slices, rows, columns = directions.T
    sign = 1.0 if np.cross(columns, rows) @ slices > 0 else -1.0
    return np.column_stack([sign * slices, rows, columns])


def affine_of(
    directions: NDArray[np.float64],
    spacing_mm: tuple[float, float, float],
    origin_mm: tuple[float, float, float],
) -> NDArray[np.float64]:
    """Return the affine of a grid, LPS+ [mm]. Shape ``(4, 4)``."""
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(spacing_mm)
    affine[:3, 3] = origin_mm
    return affine


@st.composite
def rotations(draw: st.DrawFn) -> NDArray[np.float64]:
    """Draw a rotation, evenly over all of them, from a quaternion. Shape ``(3, 3)``."""
    parts = st.floats(-1.0, 1.0, allow_nan=False).map(lambda v: round(v, 6))
    w, x, y, z = draw(
        st.tuples(parts, parts, parts, parts).filter(lambda q: sum(v * v for v in q) > 0.01)
    )
    w, x, y, z = np.array([w, x, y, z]) / np.sqrt(w * w + x * x + y * y + z * z)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@st.composite
def oblique_affines(draw: st.DrawFn) -> NDArray[np.float64]:
    """Draw the affine of a grid in a random oblique orientation, slices ascending. LPS+ [mm]."""
    size = st.floats(0.5, 4.0).map(lambda v: round(v, 4))
    gap = st.floats(2.0, 20.0).map(lambda v: round(v, 4))
    where = st.floats(-250.0, 250.0).map(lambda v: round(v, 4))
    directions = ascending(draw(rotations()))
    return affine_of(
        directions,
        (draw(gap), draw(size), draw(size)),
        (draw(where), draw(where), draw(where)),
    )


def series_on(
    affine: NDArray[np.float64], shape: tuple[int, int, int, int] = (3, 3, 6, 5), *, seed: int = 0
) -> TimeSeries:
    """Return a series of ``(beats, slices, rows, columns)``, another value in every voxel."""
    rng = np.random.default_rng(seed)
    array = rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)
    beats = 0.8 * np.arange(shape[0])[:, None] + 0.1 * np.arange(shape[1])[None, :]
    return TimeSeries(array=array, affine=affine, times_s=beats, times_are_estimated=False)


def farthest_mm(
    first: NDArray[np.float64], second: NDArray[np.float64], shape: tuple[int, int, int]
) -> float:
    """Return the largest distance between where two affines place one voxel of a grid [mm].

    An affine map is farthest off at a corner.
    """
    ends = [(0.0, n - 1.0) for n in shape]
    corners = np.array([(*corner, 1.0) for corner in product(*ends)]).T
    return float(np.linalg.norm(((first - second) @ corners)[:3], axis=0).max())
