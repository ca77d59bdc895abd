"""Making one slice of k-space ready: scale, calibration, kernel bases and grids.

What stands here is shared by serving and by the network that is trained: both start from the same
``Prepared`` slice.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.basis import image_basis, kspace_basis
from pipeline.analyses.reconstruction.rawslice import RawSlice
from pipeline.analyses.reconstruction.sensitivities import CoarseCoils, coarse_coils
from pipeline.analyses.reconstruction.settings import ModelSettings
from pipeline.errors import NotApplicable

BLOCK = 16
"""Networks pool up to four times: their input's sides are multiples of this."""

SMALLEST_SIDE = 16
"""Smaller matrices are not images."""

FLAT_SAMPLES, SPECTRUM_POWER = 2.0, 1.5
"""The magnitude of k-space falls as ``(1 + frequency / 2) ** -1.5``, in samples of a square matrix:
about so for all images of anatomy."""

SCALE_PERCENTILE = 99.0
"""This percentile of the low-resolution image is one for the networks."""

REFERENCE_NOISE = 0.02
"""Noise, relative to the signal, at which data consistency is as soft as was learned."""

SOFTNESS = (0.01, 4.0)
"""It is never harder or softer than so many times that."""

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
    """One slice, scaled and with a first estimate of its coils."""

    kspace: NDArray[np.complex64]
    """Samples over ``scale``, zero where nothing was measured. Shape ``(coils, ky, kx)``."""

    mask: NDArray[np.bool_]
    """What was measured. Shape ``(ky, kx)``."""

    scale: float
    """What the samples were divided by."""

    noise: float
    """Standard deviation of a sample's noise, scaled, real and imaginary part together."""

    coarse: CoarseCoils
    """The coils on the coarse grid; their brightness is scaled as the samples are."""

    geometry: Geometry
    """What depends on the grid only."""

    @property
    def softness(self) -> float:
        """How much softer data consistency is than at ``REFERENCE_NOISE``: as the noise's power.

        What the data say is worth as much more than what a network says as there is less noise.
        """
        least, most = SOFTNESS
        return min(most, max(least, (self.noise / REFERENCE_NOISE) ** 2))


def prepare(raw: RawSlice, model: ModelSettings, threads: int = 1) -> Prepared:
    """Make one slice ready.

    Parameters
    ----------
    raw
        The slice.
    model
        What the networks were trained with.
    threads
        Threads that may work at once.

    Raises
    ------
    NotApplicable
        If the matrix is too small, or the calibration holds no signal.
    """
    shape = (raw.kspace.shape[1], raw.kspace.shape[2])
    if min(shape) < SMALLEST_SIDE:
        raise NotApplicable(f"a matrix of {shape}, networks need at least {SMALLEST_SIDE} a side")
    geometry = geometry_of(shape, raw.spacing_mm or SQUARE_MM, model)
    coils = coarse_coils(raw, geometry.coarse, threads)
    level = float(np.percentile(coils.brightness, SCALE_PERCENTILE))
    if level == 0.0:
        raise NotApplicable("the centre of k-space holds no signal")
    # Raw values reach 1e13 on some systems: their squares leave single precision's safe range.
    inverse = np.float32(1 / level)
    return Prepared(
        kspace=raw.kspace * inverse,
        mask=raw.mask,
        scale=level,
        noise=raw.noise_sigma / level,
        coarse=CoarseCoils(maps=coils.maps, brightness=coils.brightness * inverse),
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
