"""Making one slice of k-space ready: scale, calibration, kernel bases and grids.

What stands here is shared by serving and by the network that is trained: both start from the same
``Prepared`` slice.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.basis import image_basis, kspace_basis
from pipeline.analyses.reconstruction.settings import ModelSettings
from pipeline.errors import NotApplicable
from pipeline.mr.coils import Calibration, root_sum_of_squares
from pipeline.mr.fourier import centred, crop, ifft2c

BLOCK = 16
"""Networks pool up to four times: their input's sides are multiples of this."""

SMALLEST_SIDE = 16
"""Smaller matrices are not images."""

TAPER_POWER = 0.25
"""Power of the Hann window over the calibration. A whole one halves the resolution of a centre that
has few lines: on a real phantom it costs 2.5 dB against this."""

FLAT_SAMPLES, SPECTRUM_POWER = 2.0, 1.5
"""The magnitude of k-space falls as ``(1 + frequency / 2) ** -1.5``, in samples of a square matrix:
about so for all images of anatomy."""

SCALE_PERCENTILE = 99.0
"""This percentile of the low-resolution image is one for the networks."""

SQUARE_MM = (1.0, 1.0)
"""Pixel spacing where the source gives no field of view: square pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """All that depends on the matrix, the field of view and the model only."""

    shape: tuple[int, int]
    """Rows and columns."""

    padded: tuple[int, int]
    """Rows and columns rounded up to what the networks take."""

    coarse: tuple[int, int]
    """Rows and columns of the grid on which sensitivities are estimated."""

    image_basis: NDArray[np.float32]
    """Kernel basis of operators on images. Shape ``(9, odd, odd)``."""

    coarse_basis: NDArray[np.float32]
    """Kernel basis of the operator on sensitivities. Shape ``(9, odd, odd)``."""

    kspace_basis: NDArray[np.float32]
    """Kernel basis of the operator on k-space. Shape ``(9, odd, odd)``."""

    kspace_weight: NDArray[np.float32]
    """Brings the samples of k-space to about one size: it grows away from the origin. Shape ``(ky,
    kx)``."""

    to_rows: NDArray[np.float32]
    """Interpolates from coarse rows to rows. Shape ``(rows, coarse rows)``."""

    to_columns: NDArray[np.float32]
    """Interpolates from coarse columns to columns. Shape ``(columns, coarse columns)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """One slice, scaled and with its coil images at low resolution."""

    kspace: NDArray[np.complex64]
    """Samples over ``scale``, zero where nothing was measured. Shape ``(coils, ky, kx)``."""

    mask: NDArray[np.bool_]
    """What was measured. Shape ``(ky, kx)``."""

    scale: float
    """What the samples were divided by."""

    coarse_images: NDArray[np.complex64]
    """Images of the calibration on the coarse grid, scaled. Shape ``(coils, rows, columns)``."""

    geometry: Geometry
    """What depends on the grid only."""


def prepare(
    kspace: NDArray[np.complex64],
    mask: NDArray[np.bool_],
    calibration: Calibration,
    spacing_mm: tuple[float, float] | None,
    model: ModelSettings,
) -> Prepared:
    """Make one slice ready.

    Parameters
    ----------
    kspace
        Samples, zero where nothing was measured. Shape ``(coils, ky, kx)``.
    mask
        What was measured. Shape ``(ky, kx)``.
    calibration
        The fully sampled centre.
    spacing_mm
        Distance between rows and between columns of the image [mm]; None where it is not known.
    model
        What the networks were trained with.

    Raises
    ------
    NotApplicable
        If the matrix is too small, or the calibration holds no signal.
    """
    shape = (kspace.shape[1], kspace.shape[2])
    if min(shape) < SMALLEST_SIDE:
        raise NotApplicable(f"a matrix of {shape}, networks need at least {SMALLEST_SIDE} a side")
    geometry = geometry_of(shape, spacing_mm or SQUARE_MM, model)
    images = coarse_coil_images(kspace, calibration, geometry.coarse)
    level = float(np.percentile(root_sum_of_squares(images), SCALE_PERCENTILE))
    if level == 0.0:
        raise NotApplicable("the centre of k-space holds no signal")
    # Raw values reach 1e13 on some systems: their squares leave single precision's safe range.
    inverse = np.float32(1 / level)
    return Prepared(
        kspace=kspace * inverse,
        mask=mask,
        scale=level,
        coarse_images=images * inverse,
        geometry=geometry,
    )


@lru_cache(maxsize=64)
def geometry_of(
    shape: tuple[int, int], spacing_mm: tuple[float, float], model: ModelSettings
) -> Geometry:
    """Return what depends on the grid and the model only."""
    coarse = (_coarse_side(shape[0], model), _coarse_side(shape[1], model))
    coarse_spacing = (
        spacing_mm[0] * shape[0] / coarse[0],
        spacing_mm[1] * shape[1] / coarse[1],
    )
    return Geometry(
        shape=shape,
        padded=(-(-shape[0] // BLOCK) * BLOCK, -(-shape[1] // BLOCK) * BLOCK),
        coarse=coarse,
        image_basis=image_basis(shape, spacing_mm, model.image_radius),
        coarse_basis=image_basis(coarse, coarse_spacing, model.coarse_radius),
        kspace_basis=kspace_basis(shape, spacing_mm, model.kspace_radius),
        kspace_weight=_kspace_weight(shape, spacing_mm),
        to_rows=_interpolation(shape[0], coarse[0]),
        to_columns=_interpolation(shape[1], coarse[1]),
    )


def coarse_coil_images(
    kspace: NDArray[np.complex64], calibration: Calibration, coarse: tuple[int, int]
) -> NDArray[np.complex64]:
    """Return the images of the calibration on a coarse grid over the whole field of view.

    The calibration is tapered, so that the images do not ring. Values are as large as on the grid
    of the samples.

    Parameters
    ----------
    kspace
        Samples. Shape ``(coils, ky, kx)``.
    calibration
        The fully sampled centre.
    coarse
        Rows and columns of the coarse grid.

    Returns
    -------
        Shape ``(coils, rows, columns)``.
    """
    window = np.zeros(kspace.shape[1:], dtype=np.float32)
    kept = []
    sides = zip((calibration.rows, calibration.columns), kspace.shape[1:], coarse, strict=True)
    for region, n, size in sides:
        middle = centred(n, size)
        kept.append(slice(max(region.start, middle.start), min(region.stop, middle.stop)))
    tapers = [np.hanning(k.stop - k.start + 2)[1:-1] ** TAPER_POWER for k in kept]
    window[kept[0], kept[1]] = np.outer(*tapers)
    factor = np.float32(np.sqrt(coarse[0] * coarse[1] / window.size))
    tapered = np.multiply(crop(kspace, coarse), crop(window * factor, coarse))
    return ifft2c(np.asarray(tapered, dtype=np.complex64))


def _coarse_side(n: int, model: ModelSettings) -> int:
    """Return the coarse grid's side for an axis: a multiple of the block, no longer than it."""
    return min(model.coarse_side, n) // BLOCK * BLOCK


def _kspace_weight(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> NDArray[np.float32]:
    """Return weights that grow away from the origin as the spectrum of images falls."""
    sides = (shape[0] * spacing_mm[0], shape[1] * spacing_mm[1])
    mean = np.sqrt(sides[0] * sides[1])
    rows, columns = (
        (np.arange(n) - n // 2) * mean / side for n, side in zip(shape, sides, strict=True)
    )
    frequency = np.hypot(rows[:, None], columns[None, :])
    weight = (1 + frequency / FLAT_SAMPLES) ** SPECTRUM_POWER / np.sqrt(shape[0] * shape[1])
    return np.asarray(weight, dtype=np.float32)


def _interpolation(n: int, coarse: int) -> NDArray[np.float32]:
    """Return the matrix of linear interpolation from a coarse axis, the edge going on outside.

    Both axes have their origin at index ``n // 2`` and span the same field of view.
    """
    at = (np.arange(n) - n // 2) * (coarse / n) + coarse // 2
    low = np.clip(np.floor(at).astype(int), 0, coarse - 2)
    share = np.clip(at - low, 0.0, 1.0)
    matrix = np.zeros((n, coarse), dtype=np.float32)
    matrix[np.arange(n), low] = 1 - share
    matrix[np.arange(n), low + 1] = share
    return matrix
