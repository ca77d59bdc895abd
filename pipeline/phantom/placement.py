"""Where the image lies: on the heart, and in the patient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.shapes import Plane

FINENESS = 2
"""Points along each side of a pixel at which anatomy is painted: what motion is sampled from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """An image's grid, seen from the heart."""

    shape: tuple[int, int]
    """Rows and columns."""

    spacing_mm: tuple[float, float]
    """Distance between rows and between columns [mm]."""

    centre: tuple[float, float]
    """Middle of the left ventricle (row, column), in pixels."""

    turn: float
    """Angle from the columns' direction, towards the rows', to the septal-to-lateral axis [rad]."""

    def offsets_mm(self, fineness: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the distance of each point from the heart's middle along rows and columns [mm].

        Parameters
        ----------
        fineness
            Points along each side of a pixel.
        """
        steps = [
            (((np.arange(n * fineness) + 0.5) / fineness - 0.5 - c) * s).astype(np.float32)
            for n, c, s in zip(self.shape, self.centre, self.spacing_mm, strict=True)
        ]
        return steps[0][:, None], steps[1][None, :]

    def plane(self) -> Plane:
        """Return the points of the image in the heart's axes, ``FINENESS`` along a pixel's side."""
        down, right = self.offsets_mm(FINENESS)
        cos, sin = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        return Plane(
            x=cos * right + sin * down,
            y=cos * down - sin * right,
            edge_mm=float(np.sqrt(self.spacing_mm[0] * self.spacing_mm[1])),
        )

    def pixel_of(self, x_mm: float, y_mm: float) -> tuple[float, float]:
        """Return where a point of the heart's axes lies in the image (row, column) [pixels]."""
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        right, down = cos * x_mm - sin * y_mm, sin * x_mm + cos * y_mm
        row, column = self.centre
        return float(row + down / self.spacing_mm[0]), float(column + right / self.spacing_mm[1])


def binned(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over the ``FINENESS`` x ``FINENESS`` points of each pixel."""
    rows, columns = fine.shape[0] // FINENESS, fine.shape[1] // FINENESS
    pixels = fine.reshape(rows, FINENESS, columns, FINENESS)
    return np.asarray(pixels.mean(axis=(1, 3), dtype=np.float32))


def short_axis_affine(
    placement: Placement, n_slices: int, slice_spacing_mm: float
) -> NDArray[np.float64]:
    """Return the affine of short-axis slices through a patient who lies supine, LPS+ [mm].

    The normal runs from the apex (left, anterior, inferior) to the base. Without a turn the septum
    is on the left of the image and the inferior wall at its bottom, as on a scanner.

    Parameters
    ----------
    placement
        Grid of each slice; its turn turns the image about the normal.
    n_slices
        Number of slices.
    slice_spacing_mm
        Distance between slices [mm].
    """
    normal = np.array([-0.62, 0.55, 0.56])
    normal /= np.linalg.norm(normal)
    lateral = np.array([0.66, 0.75, 0.0])
    lateral -= normal * (lateral @ normal)
    lateral /= np.linalg.norm(lateral)
    inferior = np.cross(normal, lateral)
    cos, sin = np.cos(placement.turn), np.sin(placement.turn)
    affine = np.eye(4)
    affine[:3, 0] = normal * slice_spacing_mm
    affine[:3, 1] = (sin * lateral + cos * inferior) * placement.spacing_mm[0]
    affine[:3, 2] = (cos * lateral - sin * inferior) * placement.spacing_mm[1]
    heart = np.array([0.5 * (n_slices - 1), *placement.centre])
    affine[:3, 3] = np.array([40.0, -30.0, -20.0]) - affine[:3, :3] @ heart
    return affine
