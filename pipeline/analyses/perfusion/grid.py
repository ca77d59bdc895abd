"""The model's grid: a square around the heart, resampled from a slice and back.

Positions on a slice are ``(row, column)`` in pixels, at pixel centres, fractions allowed. The grid
is ``size x size`` points of ``spacing_mm``, its middle on the heart's centre, its axes along the
slice's rows and columns: no rotation, so that resampling is one interpolation and motion correction
rides on it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceGrid:
    """Where the model's square lies on one slice."""

    centre: tuple[float, float]
    """Centre of the square on the slice, ``(row, column)`` [pixels]."""

    pixel_spacing_mm: tuple[float, float]
    """Spacing of the slice's rows and of its columns [mm]."""

    size: int
    """Points along each side of the square."""

    spacing_mm: float
    """Distance between the square's points [mm]."""

    def resample(
        self, frames: NDArray[np.float32], shifts_mm: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Sample frames on the square, by linear interpolation; outside the slice the edge goes on.

        Parameters
        ----------
        frames
            Modality values. Shape ``(beats, rows, columns)``.
        shifts_mm
            How far the heart lies from its reference position on each beat, along rows and columns
            [mm]: the square follows it. Shape ``(beats, 2)``.

        Returns
        -------
            Values on the square. Shape ``(beats, size, size)``.
        """
        scale, corner = self._scale_and_corner()
        spacing = np.array(self.pixel_spacing_mm)
        sampled = np.empty((len(frames), self.size, self.size), dtype=np.float32)
        for beat, frame in enumerate(frames):
            affine_transform(
                frame,
                scale,
                offset=corner + shifts_mm[beat] / spacing,
                output_shape=(self.size, self.size),
                output=sampled[beat],
                order=1,
                mode="nearest",
            )
        return sampled

    def to_slice(
        self, values: NDArray[np.float32], shape: tuple[int, int], outside: float = 0.0
    ) -> NDArray[np.float32]:
        """Bring a map from the square back to the slice, by linear interpolation.

        Parameters
        ----------
        values
            Map on the square. Shape ``(size, size)``.
        shape
            Rows and columns of the slice.
        outside
            Value of the pixels that the square does not cover.

        Returns
        -------
            Map on the slice. Shape ``(rows, columns)``.
        """
        scale, corner = self._scale_and_corner()
        slice_map: NDArray[np.float32] = affine_transform(
            values.astype(np.float32),
            1.0 / scale,
            offset=-corner / scale,
            output_shape=shape,
            order=1,
            mode="constant",
            cval=outside,
        )
        return slice_map

    def on_slice(self, row: float, column: float) -> tuple[float, float]:
        """Return where a point of the square lies on the slice, ``(row, column)`` [pixels]."""
        scale, corner = self._scale_and_corner()
        at = corner + scale * np.array([row, column])
        return float(at[0]), float(at[1])

    def of_slice(self, row: float, column: float) -> tuple[float, float]:
        """Return where a point of the slice lies on the square, ``(row, column)`` [points]."""
        scale, corner = self._scale_and_corner()
        at = (np.array([row, column]) - corner) / scale
        return float(at[0]), float(at[1])

    def _scale_and_corner(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return pixels of the slice for one point of the square, and the square's first point."""
        scale = self.spacing_mm / np.array(self.pixel_spacing_mm, dtype=np.float64)
        corner = np.array(self.centre, dtype=np.float64) - (self.size - 1) / 2 * scale
        return scale, corner
