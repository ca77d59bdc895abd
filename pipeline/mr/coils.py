"""Coil sensitivities from the fully sampled centre of k-space.

The centre is found from the mask in both directions; it is not taken to be a band of lines. Where
no coil receives anything, a sensitivity is zero and not a quotient of two zeros.

References
----------
.. [PRU1999] K. P. Pruessmann et al., SENSE, Magn Reson Med 42:952 (1999): sensitivities from a
   low-resolution image over the root sum of squares.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NotApplicable
from pipeline.mr.fourier import ifft2c

SMALLEST_CALIBRATION = 4
"""Least rows and columns of a centre that sensitivities are estimated from."""

NO_SIGNAL = 1e-3
"""Root sum of squares, relative to its largest, at which a sensitivity is down to 0.7."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """The fully sampled centre of k-space."""

    rows: slice
    """Indices along ``ky``."""

    columns: slice
    """Indices along ``kx``."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def calibration_region(mask: NDArray[np.bool_]) -> Calibration:
    """Return the largest fully sampled rectangle around the origin of k-space.

    Its sides reach as far on one side of the origin as on the other, give or take one sample: a
    region that leans to one side has a sensitivity with a phase ramp.

    Parameters
    ----------
    mask
        What was measured. Shape ``(ky, kx)``.

    Raises
    ------
    NotApplicable
        If it has fewer than ``SMALLEST_CALIBRATION`` rows or columns.
    """
    found = largest_centre(mask)
    if min(found.shape) < SMALLEST_CALIBRATION:
        rows, columns = found.shape
        raise NotApplicable(
            f"the fully sampled centre of k-space has {rows} x {columns} samples, coil "
            f"sensitivities need at least {SMALLEST_CALIBRATION} x {SMALLEST_CALIBRATION}"
        )
    return found


def largest_centre(mask: NDArray[np.bool_]) -> Calibration:
    """Return the largest fully sampled rectangle around the origin, however small.

    Parameters
    ----------
    mask
        What was measured. Shape ``(ky, kx)``.
    """
    centre_row, centre_column = mask.shape[0] // 2, mask.shape[1] // 2
    before = _run_lengths(mask[:, :centre_column][:, ::-1])
    after = _run_lengths(mask[:, centre_column:])
    best = Calibration(
        rows=slice(centre_row, centre_row), columns=slice(centre_column, centre_column)
    )
    for rows in _centred_slices(mask.shape[0]):
        low, high = _balanced(int(before[rows].min()), int(after[rows].min()))
        if high == 0:
            break
        found = Calibration(rows=rows, columns=slice(centre_column - low, centre_column + high))
        if np.prod(found.shape) > np.prod(best.shape):
            best = found
    return best


def coil_sensitivities(
    kspace: NDArray[np.complex64], calibration: Calibration
) -> NDArray[np.complex64]:
    """Return coil sensitivities at the resolution of the calibration [PRU1999]_.

    Parameters
    ----------
    kspace
        Shape ``(coils, ky, kx)``.
    calibration
        Its fully sampled centre.

    Returns
    -------
        Relative sensitivities: their squares sum to one where there is signal, and to less where
        there is none. They carry the phase of the image. Shape ``(coils, rows, columns)``.
    """
    images = low_resolution_images(kspace, calibration)
    return normalised(images)


def low_resolution_images(
    kspace: NDArray[np.complex64], calibration: Calibration
) -> NDArray[np.complex64]:
    """Return the images of the centre alone, tapered so that they do not ring.

    Parameters
    ----------
    kspace
        Shape ``(coils, ky, kx)``.
    calibration
        Its fully sampled centre.
    """
    window = np.zeros(kspace.shape[-2:], dtype=np.float32)
    rows, columns = calibration.shape
    window[calibration.rows, calibration.columns] = np.outer(_taper(rows), _taper(columns))
    return ifft2c((kspace * window).astype(np.complex64, copy=False))


def normalised(images: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return coil images over their root sum of squares, zero where there is no signal.

    Parameters
    ----------
    images
        Shape ``(coils, rows, columns)``.
    """
    rss = root_sum_of_squares(images)
    largest = float(rss.max(initial=0.0))
    if largest == 0.0:
        return np.zeros_like(images)
    # Scaled first: values of 1e13 square to what single precision can hold, their squares do not.
    scaled, floor = rss / largest, NO_SIGNAL
    divided = (images / largest) / np.sqrt(scaled**2 + floor**2)
    result: NDArray[np.complex64] = divided.astype(np.complex64, copy=False)
    return result


def root_sum_of_squares(images: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the root of the sum of the coils' squared magnitudes.

    Parameters
    ----------
    images
        Shape ``(..., coils, rows, columns)``.

    Returns
    -------
        Shape ``(..., rows, columns)``.
    """
    largest = float(np.abs(images).max(initial=0.0)) or 1.0
    scaled = images / largest
    total = (scaled.real**2 + scaled.imag**2).sum(axis=-3)
    result: NDArray[np.float32] = (np.sqrt(total) * largest).astype(np.float32)
    return result


def _run_lengths(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many samples each row has before its first gap."""
    gaps = np.concatenate([~mask, np.ones((mask.shape[0], 1), dtype=np.bool_)], axis=1)
    first: NDArray[np.int64] = gaps.argmax(axis=1)
    return first


def _centred_slices(n: int) -> list[slice]:
    """Return the slices around the origin of an axis, from one sample to the whole axis."""
    origin = n // 2
    slices = [slice(origin, origin + 1)]
    for reach in range(1, origin + 1):
        slices.append(slice(origin - reach, origin + reach))
        if origin + reach < n:
            slices.append(slice(origin - reach, origin + reach + 1))
    return slices


def _balanced(before: int, after: int) -> tuple[int, int]:
    """Return how far to go to both sides of the origin, of how far one can."""
    reach = min(before, after)
    return reach, min(after, reach + 1)


def _taper(n: int) -> NDArray[np.float32]:
    """Return a Hann window that is nowhere zero."""
    window: NDArray[np.float32] = np.hanning(n + 2)[1:-1].astype(np.float32)
    return window
