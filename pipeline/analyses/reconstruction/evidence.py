"""What a reviewer sees beside a reconstruction: another way to the same image, and its misfit.

It changes nothing in the result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.rawslice import RawSlice
from pipeline.analyses.reconstruction.unroll import Reconstructed
from pipeline.mr.coils import root_sum_of_squares
from pipeline.mr.fourier import fft2c
from pipeline.mr.kspace import KSpace
from pipeline.mr.totalvariation import least_variation

WEIGHT = 0.002
"""Weight of the total variation, relative to the 99th percentile of the zero-filled image. On
the real phantom, a quarter to five times that costs 0.3 dB at most."""

ITERATIONS = 30
"""Steps of the classical reconstruction; twice as many change its PSNR there by less
than 0.1 dB."""

MOST_WORK = 4e9
"""Coil samples times steps beyond which none is made: one to two minutes of one core."""

LEAST_MISFIT = -6.0
"""Value of the misfit where nothing was measured, and the least elsewhere: exact, in single
precision."""

DECIMALS = 2
"""Digits of the misfit that are kept: it is a logarithm, and files stay small."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceEvidence:
    """What there is to see beside one image."""

    classical: NDArray[np.float32] | None
    """Magnitude of the image of least total variation. Shape ``(rows, columns)`` of the samples."""

    misfit: NDArray[np.float32]
    """See ``ReconstructionEvidence``. Shape ``(ky, kx)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconstructionEvidence:
    """What there is to see beside all images."""

    classical: NDArray[np.float32] | None
    """Magnitude of the images of least total variation, in the images' units. Shape ``(frames,
    slices, rows, columns)``; None where they were not asked for, or would take too long."""

    misfit: NDArray[np.float32]
    """Common logarithm of the distance between the image's k-space and a measured sample, over all
    coils, relative to the root mean square of the measured samples; ``LEAST_MISFIT`` where nothing
    was measured. Shape ``(frames, slices, ky, kx)``."""

    coverage: NDArray[np.bool_]
    """What was measured. Same shape."""


def classical_iterations(kspace: KSpace, *, asked: bool) -> int:
    """Return the steps that a classical reconstruction of raw data takes; 0 makes none.

    Parameters
    ----------
    kspace
        The raw data.
    asked
        Whether one is wanted.
    """
    work = kspace.array.size * ITERATIONS
    return ITERATIONS if asked and work <= MOST_WORK else 0


def slice_evidence(
    raw: RawSlice, found: Reconstructed, zero_filled: NDArray[np.complex64], iterations: int
) -> SliceEvidence:
    """Return what there is to see beside an image.

    Parameters
    ----------
    raw
        The samples.
    found
        The image. Its coil sensitivities are the classical image's too, so that the two differ by
        what they know of images alone.
    zero_filled
        The zero-filled image: its brightness scales the weight.
    iterations
        Steps of the classical reconstruction; 0 makes none.
    """
    classical = None
    level = float(np.percentile(np.abs(zero_filled), 99))
    if iterations and level > 0.0:
        # Raw values reach 1e13 on some systems: their squares leave single precision's safe range.
        image = least_variation(
            raw.kspace / np.float32(level),
            found.sensitivities,
            raw.mask,
            weight=WEIGHT,
            iterations=iterations,
        )
        classical = np.abs(image) * np.float32(level)
    return SliceEvidence(classical=classical, misfit=_misfit(raw, found))


def _misfit(raw: RawSlice, found: Reconstructed) -> NDArray[np.float32]:
    """Return how far the image's k-space is from each measured sample, as a logarithm."""
    distance = root_sum_of_squares(fft2c(found.sensitivities * found.image) - raw.kspace)
    measured = root_sum_of_squares(raw.kspace)[raw.mask].astype(np.float64)
    level = float(np.sqrt((measured**2).mean())) if measured.size else 0.0
    misfit = np.full(raw.mask.shape, LEAST_MISFIT, dtype=np.float32)
    if level > 0.0:
        relative = np.maximum(distance[raw.mask] / level, 10.0**LEAST_MISFIT)
        misfit[raw.mask] = np.round(np.log10(relative), DECIMALS)
    return misfit
