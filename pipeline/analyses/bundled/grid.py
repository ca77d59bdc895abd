"""An image as MONAI holds it: channels first, axes as in a NIfTI file, an affine in RAS+."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.volume import Volume

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns patient coordinates of NIfTI into DICOM's, and back."""

_AXES = [2, 1, 0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Where the voxels of an image lie."""

    shape: tuple[int, int, int]
    """Voxels along each axis."""

    affine: NDArray[np.float64]
    """Maps ``(i, j, k, 1)`` to ``(x, y, z, 1)`` [mm], RAS+. Shape ``(4, 4)``."""

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Distance between voxel centres along each axis [mm]. Shape ``(3,)``."""
        return np.asarray(np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """Values on a grid."""

    array: NDArray[np.float32]
    """Values. Shape ``(channels, i, j, k)``."""

    affine: NDArray[np.float64]
    """Maps ``(i, j, k, 1)`` to ``(x, y, z, 1)`` [mm], RAS+. Shape ``(4, 4)``."""

    @property
    def grid(self) -> Grid:
        """Where its voxels lie."""
        n_i, n_j, n_k = self.array.shape[1:]
        return Grid(shape=(n_i, n_j, n_k), affine=self.affine)


def grid_of(volume: Volume) -> Grid:
    """Return the grid of a volume with the axes ``(column, row, slice)``, as NIfTI has them."""
    n_slices, n_rows, n_columns = volume.array.shape
    return Grid(
        shape=(n_columns, n_rows, n_slices), affine=LPS_FROM_RAS @ volume.affine[:, [*_AXES, 3]]
    )


def from_volume(volume: Volume) -> Image:
    """Return a volume with the axes ``(column, row, slice)``, as a NIfTI file of it has them."""
    array = np.ascontiguousarray(volume.array.transpose(_AXES)[None], dtype=np.float32)
    return Image(array=array, affine=grid_of(volume).affine)


def to_array(image: Image) -> NDArray[np.float32]:
    """Return the values of the first channel with the axes ``(slice, row, column)``."""
    return np.ascontiguousarray(image.array[0].transpose(_AXES))
