"""Raw data of an MR acquisition on a Cartesian grid: the one type that readers make.

Axes are ``(frame, slice, coil, ky, kx)``. The origin of k-space is index ``n // 2`` on both ``ky``
and ``kx``; ``ky`` becomes the rows of the image and ``kx`` its columns. What was not measured is
zero, and the mask says what was measured.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

import numpy as np
from numpy.typing import NDArray


class Readout(Enum):
    """The axis along which a line is read out: always sampled without gaps."""

    COLUMNS = "columns"
    """``kx``; phase is encoded along ``ky``. The usual case."""

    ROWS = "rows"
    """``ky``; phase is encoded along ``kx``, as in files of fastMRI."""

    NONE = "none"
    """Neither: both axes are phase encoded, the readout was transformed away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationScan:
    """Samples that were measured for the coil sensitivities only, on the grid of the image's."""

    array: NDArray[np.complex64]
    """Samples, zero where nothing was measured. Shape ``(..., coils, ky, kx)``."""

    mask: NDArray[np.bool_]
    """What was measured. Shape ``(..., ky, kx)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KSpace:
    """Raw data on a Cartesian grid, with its mask and its place in the patient.

    ``array`` is zero where ``mask`` is False, finite everywhere, and no line that ``mask`` calls
    measured is zero for all coils: readers see to that.
    """

    array: NDArray[np.complex64]
    """Samples. Shape ``(frames, slices, coils, ky, kx)``."""

    mask: NDArray[np.bool_]
    """What was measured. Shape ``(frames, slices, ky, kx)``: always four axes. Where frames and
    slices share one pattern it is a read-only view that takes no memory
    (``numpy.broadcast_to``)."""

    image_shape: tuple[int, int]
    """Rows and columns of the image: at most ``(ky, kx)``. The middle of the reconstruction is
    kept (``pipeline.mr.fourier.crop``); phase oversampling goes, after reconstruction only."""

    readout: Readout
    """Which axis is the readout."""

    affine: NDArray[np.float64] | None
    """Maps ``(slice, row, column, 1)`` of the image of ``image_shape`` to ``(x, y, z, 1)`` [mm],
    LPS+: its last column is the centre of the first voxel. Shape ``(4, 4)``; None where the source
    does not place it."""

    pixel_spacing_mm: tuple[float, float] | None
    """Distance between rows, and between columns [mm]; None where the source gives no field of
    view. Given also where ``affine`` is None."""

    times_s: NDArray[np.float64]
    """Time of each frame since the first [s]. Shape ``(frames, slices)``."""

    times_are_estimated: bool
    """True where the source has no usable time: frames are then counted as one second each."""

    slice_thickness_mm: float | None = None
    """Thickness of a slice, which may be less than the distance to the next [mm]; None where the
    source does not state it."""

    noise_sigma: float | None = None
    """Standard deviation of the noise of each sample, real and imaginary part together, the same
    for all coils: known where the source measured its noise (``pipeline.mr.noise``). None where
    it did not."""

    calibration: CalibrationScan | None = None
    """Lines for the coil sensitivities only, with the slices as first axis; None where the source
    has none. Coils and whitening are those of ``array``; the scale need not be."""

    frame_of_reference_uid: str | None = None
    """Frame of Reference UID (0020,0052); None where the source has none."""

    @property
    def n_frames(self) -> int:
        """Number of time steps."""
        return int(self.array.shape[0])

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return int(self.array.shape[1])

    @property
    def n_coils(self) -> int:
        """Number of receiver coils."""
        return int(self.array.shape[2])

    @property
    def grid(self) -> tuple[int, int]:
        """``(ky, kx)`` of the samples."""
        return int(self.array.shape[3]), int(self.array.shape[4])

    @property
    def acceleration(self) -> float:
        """Samples of a full grid over samples that were measured, over all frames and slices."""
        return self.mask.size / max(1, int(np.count_nonzero(self.mask)))

    def undersampled(self, mask: NDArray[np.bool_]) -> Self:
        """Return the same data as if only what a mask keeps had been measured.

        Parameters
        ----------
        mask
            Shape ``(ky, kx)``, or any that can be broadcast to ``(frames, slices, ky, kx)``.
        """
        kept = np.broadcast_to(mask, self.mask.shape) & self.mask
        array = self.array * kept[:, :, None]
        return replace(self, array=array.astype(np.complex64, copy=False), mask=kept)


def uncounted_times(n_frames: int, n_slices: int) -> NDArray[np.float64]:
    """Return times for frames whose times are not known: one second each. See ``KSpace``."""
    seconds = np.arange(n_frames, dtype=np.float64)
    return np.repeat(seconds[:, None], n_slices, axis=1)
