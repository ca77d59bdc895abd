"""Slices for the comparison of reconstructions: undersampled samples of a known truth."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.reconstruction.anatomy import draw_generated
from models.reconstruction.data import simulate
from models.reconstruction.profiles import draw_two_rings
from pipeline.mr.fourier import ifft2c
from pipeline.mr.patterns import draw_pattern
from pipeline.mr.quality import nmse
from pipeline.mr.sense import zero_filled_rss

FIELD_MM = 240.0
"""Side of the field of view [mm]."""

ACCELERATION = 4.0
"""Nominal acceleration."""

MEASURED = Path("kspace", "phantom_16ch", "kspace.npy")
"""Measured samples of the full grid, where the research data lie. Shape ``(coils, ky, kx)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One slice."""

    kspace: NDArray[np.complex64]
    """Samples, zero where nothing was measured. Shape ``(coils, ky, kx)``."""

    mask: NDArray[np.bool_]
    """What was measured. Shape ``(ky, kx)``."""

    truth: NDArray[np.float32]
    """Root sum of squares of the coil images: without noise where it was generated. Shape ``(rows,
    columns)``."""


def drawn(shape: tuple[int, int], n_coils: int, pattern: str, seed: int) -> Case:
    """Return generated anatomy under coils on two rings, an array that no training sees.

    Parameters
    ----------
    shape
        Matrix.
    n_coils
        Number of coils.
    pattern
        A key of ``pipeline.mr.patterns.PATTERNS``.
    seed
        Another seed, another anatomy, noise and coils.
    """
    rng = np.random.default_rng(seed)
    spacing = (FIELD_MM / shape[0], FIELD_MM / shape[1])
    fine = (2 * shape[0], 2 * shape[1])
    image = draw_generated((fine, (spacing[0] / 2, spacing[1] / 2)), rng)
    coils = draw_two_rings(n_coils, (1.0, 1.0), rng)
    whole = simulate(image, shape, spacing, rng, coils)
    return _undersampled(whole.kspace, whole.truth, pattern)


def measured(pattern: str) -> Iterator[Case]:
    """Yield the measured phantom, undersampled; nothing where the research data are not."""
    path = Path(os.environ.get("VESALIUS_DATA", "../shared/data")) / MEASURED
    if path.is_file():
        kspace = np.load(path).astype(np.complex64)
        yield _undersampled(kspace, zero_filled_rss(kspace), pattern)


def error_of(image: NDArray[np.complex64], truth: NDArray[np.float32]) -> float:
    """Return the NMSE of an image's magnitude, scaled such that it is least.

    So no method is judged on how it scales.
    """
    magnitude = np.abs(image).astype(np.float64)
    factor = float(np.vdot(magnitude, truth) / np.vdot(magnitude, magnitude))
    return nmse(truth, (factor * magnitude).astype(np.float32))


def scale_of(case: Case) -> float:
    """Return about the brightness of a case's image."""
    images = ifft2c(case.kspace)
    return float(np.percentile(np.sqrt(np.sum(np.abs(images) ** 2, axis=0)), 99))


def _undersampled(kspace: NDArray[np.complex64], truth: NDArray[np.float32], pattern: str) -> Case:
    """Return samples as a pattern would have measured them."""
    mask = draw_pattern(pattern, (truth.shape[0], truth.shape[1]), ACCELERATION, 1).mask
    return Case(kspace=(kspace * mask).astype(np.complex64), mask=mask, truth=truth)
