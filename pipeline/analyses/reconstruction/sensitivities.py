"""Coil sensitivities of one slice on a coarse grid: several estimates, and the choice among them.

No one estimate serves every centre. A small one needs ESPIRiT with small windows; a coil beside the
skin, or an object that fills the field of view, needs large windows; a large centre needs no more
than its own images. Each estimate is tried on the coarse grid: it explains the middle of k-space,
some measured samples left out, and the one that predicts those samples best is taken.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.rawslice import RawSlice
from pipeline.analyses.reconstruction.settings import FLOOR, TINY
from pipeline.mr.coils import Calibration, root_sum_of_squares
from pipeline.mr.espirit import espirit_maps, reference_coil, with_phase_of
from pipeline.mr.fourier import centred, crop, ifft2c
from pipeline.mr.sense import adjoint, forward

LONGEST_CALIBRATION = 24
"""More samples of the centre along an axis than this are not used for ESPIRiT."""

WINDOWS = ((3, 3), (2, 6))
"""Windows that are tried: the calibration's side over the first number, up to the second."""

SMALLEST_WINDOW = 3
"""Windows of fewer samples along an axis see no smoothness."""

TAPER_POWER = 0.25
"""Power of the Hann window over the calibration's own images. A whole one halves the resolution of
a centre that has few lines."""

LEFT_OUT = 0.15
"""Share of the samples that an estimate must predict."""

ETA, ITERATIONS = 0.003, 10
"""Regularisation and steps of conjugate gradients of that trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CoarseCoils:
    """The coils on the coarse grid."""

    maps: NDArray[np.complex64]
    """Sensitivities; their squares sum to one where there is signal. Shape ``(coils, rows,
    columns)``."""

    brightness: NDArray[np.float32]
    """Root sum of squares of the calibration's images, in the units of the samples. Shape ``(rows,
    columns)``."""


def coarse_coils(raw: RawSlice, grid: tuple[int, int], threads: int) -> CoarseCoils:
    """Return the best estimate of the coils on a coarse grid over the whole field of view.

    Parameters
    ----------
    raw
        The slice.
    grid
        Rows and columns of the coarse grid, at most those of the samples.
    threads
        Estimates that are made at once.
    """
    kspace, calibration = raw.calibration_kspace, raw.calibration
    images = _calibration_images(kspace, calibration, grid)
    brightness = root_sum_of_squares(images)
    level = float(brightness.max(initial=0.0))
    if level == 0.0:
        return CoarseCoils(maps=np.zeros_like(images), brightness=brightness)
    # Raw values reach 1e13 on some systems: their squares leave single precision's safe range.
    middle = _Middle(
        kspace=np.asarray(crop(raw.kspace, grid), dtype=np.complex64) / np.float32(level),
        mask=np.asarray(crop(raw.mask, grid), dtype=np.bool_),
    )
    images = images / np.float32(level)

    def tried(estimate: Callable[[], NDArray[np.complex64]]) -> tuple[float, NDArray[np.complex64]]:
        maps = estimate()
        return middle.error_of(maps), maps

    with ThreadPoolExecutor(threads) as executor:
        trials = list(executor.map(tried, _estimates(kspace, calibration, images)))
    _, best = min(trials, key=lambda trial: trial[0])
    return CoarseCoils(maps=best, brightness=brightness)


def _estimates(
    kspace: NDArray[np.complex64], calibration: Calibration, images: NDArray[np.complex64]
) -> Iterator[Callable[[], NDArray[np.complex64]]]:
    """Yield ways to estimate the sensitivities on the grid of the calibration's images."""
    rows, columns = (
        _middle_of(region, n, LONGEST_CALIBRATION)
        for region, n in zip((calibration.rows, calibration.columns), kspace.shape[1:], strict=True)
    )
    centre = np.ascontiguousarray(kspace[:, rows, columns])
    windows = {_window((centre.shape[1], centre.shape[2]), *rule) for rule in WINDOWS}
    # The longest first: the others run beside it.
    for window in sorted(windows, reverse=True):
        yield partial(espirit_maps, centre, window, (images.shape[1], images.shape[2]))
    yield partial(_from_images, images, centre)


def _from_images(
    images: NDArray[np.complex64], centre: NDArray[np.complex64]
) -> NDArray[np.complex64]:
    """Return the calibration's own images over their root sum of squares."""
    power = np.sqrt(root_sum_of_squares(images) ** 2 + np.float32(FLOOR**2))
    return with_phase_of(images / power, reference_coil(centre))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Middle:
    """The middle of k-space, as much as the coarse grid holds."""

    kspace: NDArray[np.complex64]
    mask: NDArray[np.bool_]

    def error_of(self, maps: NDArray[np.complex64]) -> float:
        """Return how badly sensitivities predict samples that they were not fitted to."""
        drawn = np.random.default_rng(0).uniform(size=self.mask.shape) < LEFT_OUT
        left_out, kept = self.mask & drawn, self.mask & ~drawn
        image = _solved(self.kspace, maps, kept)
        missed = np.linalg.norm(forward(image, maps, left_out) - self.kspace * left_out)
        return float(missed)


def _solved(
    kspace: NDArray[np.complex64], maps: NDArray[np.complex64], mask: NDArray[np.bool_]
) -> NDArray[np.complex64]:
    """Return the image that explains samples, by conjugate gradients."""
    residual = adjoint(kspace, maps, mask)
    image, direction = np.zeros_like(residual), residual
    power = _power(residual)
    for _ in range(ITERATIONS):
        applied = adjoint(forward(direction, maps, mask), maps, mask) + ETA * direction
        length = np.float32(power / (float(np.vdot(direction, applied).real) + TINY))
        image = image + length * direction
        residual = residual - length * applied
        power, before = _power(residual), power
        direction = residual + np.float32(power / (before + TINY)) * direction
    return np.asarray(image, dtype=np.complex64)


def _power(image: NDArray[np.complex64]) -> float:
    """Return the sum of squared magnitudes."""
    return float(np.vdot(image, image).real)


def _calibration_images(
    kspace: NDArray[np.complex64], calibration: Calibration, grid: tuple[int, int]
) -> NDArray[np.complex64]:
    """Return the images of the calibration on the coarse grid, tapered so that they do not ring.

    Values are as large as on the grid of the samples.
    """
    window = np.zeros(kspace.shape[1:], dtype=np.float32)
    rows, columns = (
        _middle_of(region, n, size)
        for region, n, size in zip(
            (calibration.rows, calibration.columns), kspace.shape[1:], grid, strict=True
        )
    )
    window[rows, columns] = np.outer(_taper(rows), _taper(columns))
    factor = np.float32(np.sqrt(grid[0] * grid[1] / window.size))
    tapered = np.multiply(crop(kspace, grid), crop(window * factor, grid))
    return ifft2c(np.asarray(tapered, dtype=np.complex64))


def _taper(region: slice) -> NDArray[np.float64]:
    """Return weights of the samples of an axis that are nowhere zero."""
    n = region.stop - region.start
    weights: NDArray[np.float64] = np.hanning(n + 2)[1:-1] ** TAPER_POWER
    return weights


def _middle_of(region: slice, n: int, longest: int) -> slice:
    """Return the part of a region of an axis of ``n`` samples that is near its origin."""
    middle = centred(n, min(longest, n))
    return slice(max(region.start, middle.start), min(region.stop, middle.stop))


def _window(shape: tuple[int, int], share: int, largest: int) -> tuple[int, int]:
    """Return rows and columns of a window for a calibration of some shape."""
    rows, columns = (min(n, max(SMALLEST_WINDOW, min(largest, round(n / share)))) for n in shape)
    return rows, columns
