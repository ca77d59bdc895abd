"""Images and their place in the patient.

Every image inside the pipeline is one of these two types. Patient coordinates are LPS+ [mm], as
DICOM has them; NIfTI (RAS+) is converted at the edge, in ``pipeline.imaging.nifti``. Arrays are
indexed ``(slice, row, column)``, and slices ascend along ``row cosines x column cosines``.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

CONCENTRATION_UNIT = "mmol/l"
"""UCUM code of concentrations of contrast agent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """A regular grid of values in the patient."""

    array: NDArray[np.generic]
    """Values. Shape ``(slices, rows, columns)``."""

    affine: NDArray[np.float64]
    """Maps ``(slice, row, column, 1)`` to ``(x, y, z, 1)`` [mm], LPS+. Shape ``(4, 4)``."""

    frame_of_reference_uid: str | None = None
    """Frame of Reference UID (0020,0052); None where the source has none, as NIfTI."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along ``(slice, row, column)`` [mm]."""
        return spacing_mm(self.affine)

    def with_array(self, array: NDArray[np.generic]) -> Self:
        """Return other values on the same grid.

        Raises
        ------
        ValueError
            If the shape is not this grid's.
        """
        if array.shape != self.array.shape:
            raise ValueError(f"shape {array.shape} is not the grid's {self.array.shape}")
        return type(self)(
            array=array, affine=self.affine, frame_of_reference_uid=self.frame_of_reference_uid
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSeries:
    """A volume imaged over and over, one image a heart beat (or another time step)."""

    array: NDArray[np.float32]
    """Modality values. Shape ``(beats, slices, rows, columns)``."""

    affine: NDArray[np.float64]
    """Maps ``(slice, row, column, 1)`` to ``(x, y, z, 1)`` [mm], LPS+. Shape ``(4, 4)``."""

    times_s: NDArray[np.float64]
    """Time of each frame since the first frame of its series [s]. Shape ``(beats, slices)``."""

    times_are_estimated: bool
    """True where the source has no usable time: beats are then counted as one second each."""

    frame_of_reference_uid: str | None = None
    """Frame of Reference UID (0020,0052); None where the source has none, as NIfTI."""

    unit: str | None = None
    """UCUM code of the values where the source states one that is known here:
    ``CONCENTRATION_UNIT``; None for a signal."""

    @property
    def n_beats(self) -> int:
        """Number of time steps."""
        return int(self.array.shape[0])

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return int(self.array.shape[1])

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along ``(slice, row, column)`` [mm]."""
        return spacing_mm(self.affine)

    def volume_like(self, array: NDArray[np.generic]) -> Volume:
        """Return values on this series' grid.

        Raises
        ------
        ValueError
            If the shape is not ``(slices, rows, columns)`` of this series.
        """
        if array.shape != self.array.shape[1:]:
            raise ValueError(f"shape {array.shape} is not the grid's {self.array.shape[1:]}")
        return Volume(
            array=array, affine=self.affine, frame_of_reference_uid=self.frame_of_reference_uid
        )


def spacing_mm(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the distance between voxel centres along ``(slice, row, column)`` [mm]."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return float(lengths[0]), float(lengths[1]), float(lengths[2])
