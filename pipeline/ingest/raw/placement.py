"""Where the slices of raw data lie in the patient.

Raw data say where the *centre* of a slice is and which way rows and columns run; an image needs
the centre of its *first voxel*, Image Position (Patient). The middle of the grid, halfway between
its first and last voxel, is put on the slice's centre.

References
----------
.. [C7621] DICOM PS3.3, C.7.6.2.1.1 Image Position and Image Orientation.
.. [MRD] ISMRM Raw Data format, AcquisitionHeader: position is the centre of the excited volume in
   LPS [mm].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries

UNIT_TOLERANCE = 1e-3
"""How far a direction's length may be from one, and two directions' cosine from zero."""

SPACING_TOLERANCE_MM = 0.05
"""How far a slice may lie off a regular grid: headers hold single precision."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SlicePlane:
    """Where one slice lies, LPS+ [mm]."""

    centre: NDArray[np.float64]
    """Centre of the slice. Shape ``(3,)``."""

    read: NDArray[np.float64]
    """Direction in which columns ascend: the row cosines. Shape ``(3,)``."""

    phase: NDArray[np.float64]
    """Direction in which rows ascend: the column cosines. Shape ``(3,)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageGrid:
    """Size of the image's grid."""

    rows: int
    """Rows."""

    columns: int
    """Columns."""

    spacing_mm: tuple[float, float, float]
    """Distance between slices (where there is one: its thickness), rows and columns [mm]."""


def is_stated(plane: SlicePlane) -> bool:
    """Tell whether a plane has directions at all: many files leave them zero."""
    return bool(np.any(plane.read != 0) and np.any(plane.phase != 0))


def place_slices(
    planes: Sequence[SlicePlane], grid: ImageGrid, name: str
) -> tuple[NDArray[np.float64], list[int]]:
    """Return the affine of a stack of slices, and their order along it.

    Parameters
    ----------
    planes
        The slices, as they are counted in the file.
    grid
        Size of the grid; where there are several slices, their own distance counts.
    name
        The file's name, for messages.

    Returns
    -------
        An affine that maps ``(slice, row, column, 1)`` to ``(x, y, z, 1)`` [mm], LPS+, and for each
        slice of it the number of the slice in the file: they ascend along row x column cosines.

    Raises
    ------
    InconsistentSeries
        If directions are no unit vectors or not orthogonal, or slices are not parallel and evenly
        spaced.
    """
    read, phase = _directions(planes, name)
    normal = np.cross(read, phase)
    heights = [float(plane.centre @ normal) for plane in planes]
    order = [int(i) for i in np.argsort(heights, kind="stable")]
    step = grid.spacing_mm[0] * normal
    if len(planes) > 1:
        step = _step([planes[i].centre for i in order], normal, name)
    _, row_spacing, column_spacing = grid.spacing_mm
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = step, phase * row_spacing
    affine[:3, 2] = read * column_spacing
    middle = np.array([0.0, (grid.rows - 1) / 2, (grid.columns - 1) / 2])
    affine[:3, 3] = planes[order[0]].centre - affine[:3, :3] @ middle
    return affine, order


def place_slab(
    plane: SlicePlane, slice_direction: NDArray[np.float64], grid: tuple[ImageGrid, int], name: str
) -> tuple[NDArray[np.float64], bool]:
    """Return the affine of the partitions of a slab, and whether they are to be reversed.

    Parameters
    ----------
    plane
        The slab's middle.
    slice_direction
        Direction in which partitions ascend. Shape ``(3,)``.
    grid
        Size of the grid, and the number of partitions.
    name
        The file's name, for messages.

    Raises
    ------
    InconsistentSeries
        As ``place_slices``.
    """
    size, n_partitions = grid
    read, phase = _directions([plane], name)
    normal = np.cross(read, phase)
    offsets = (np.arange(n_partitions) - (n_partitions - 1) / 2) * size.spacing_mm[0]
    planes = [
        SlicePlane(centre=plane.centre + offset * normal, read=read, phase=phase)
        for offset in offsets
    ]
    affine, _ = place_slices(planes, size, name)
    return affine, bool(slice_direction @ normal < 0)


def _directions(
    planes: Sequence[SlicePlane], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the directions that all slices share, with length one."""
    read, phase = planes[0].read, planes[0].phase
    lengths = np.linalg.norm([read, phase], axis=1)
    if not np.isfinite(lengths).all() or np.abs(lengths - 1).max() > UNIT_TOLERANCE:
        raise InconsistentSeries(f"{name}: the readout or phase direction is no unit vector")
    read, phase = read / lengths[0], phase / lengths[1]
    if abs(float(read @ phase)) > UNIT_TOLERANCE:
        raise InconsistentSeries(f"{name}: the readout and phase directions are not orthogonal")
    for index, plane in enumerate(planes):
        if not np.isfinite(plane.centre).all():
            raise InconsistentSeries(f"{name}: the position of slice {index} is no number")
        apart = max(np.abs(plane.read - read).max(), np.abs(plane.phase - phase).max())
        if apart > UNIT_TOLERANCE:
            raise InconsistentSeries(f"{name}: slice {index} is turned against slice 0")
    return read, phase


def _step(
    centres: Sequence[NDArray[np.float64]], normal: NDArray[np.float64], name: str
) -> NDArray[np.float64]:
    """Return the vector from slice to slice, which must be the same and along the normal."""
    steps = np.diff(np.array(centres), axis=0)
    step = steps.mean(axis=0)
    height = float(step @ normal)
    off = float(np.abs(steps - step).max())
    if height < SPACING_TOLERANCE_MM:
        raise InconsistentSeries(f"{name}: slices lie at the same place")
    if off > SPACING_TOLERANCE_MM or np.abs(step - height * normal).max() > SPACING_TOLERANCE_MM:
        raise InconsistentSeries(
            f"{name}: slices are not evenly spaced along their normal: off by {off:.2f} mm"
        )
    return height * normal
