"""The kernel basis of DISCO convolutions: piecewise-linear hats on rings of the normalised disc.

A discrete-continuous (DISCO) convolution integrates its input against a kernel that is a function
on a disc. The weights belong to basis functions of that disc and not to pixels; on a grid, each
basis function is averaged over the area of every pixel (the quadrature), so that the kernel follows
the resolution. Sizes are odd, so that nothing moves by half a pixel, and the sum of each basis
function does not depend on the grid, so that a constant image gives the same answer on every one.

In image space the disc's radius is a share of the field of view, the same in millimetres along both
axes. In k-space it is a number of samples of a square matrix, 1 / field of view apart, the same in
1/mm along both axes: what a kernel in k-space does to the image, a window over the field of view,
then does not depend on the matrix either.

References
----------
Ocampo J, Price MA, McEwen JD, "Scalable and equivariant spherical CNNs by discrete-continuous
(DISCO) convolutions", ICLR 2023, arXiv 2209.13603.
Liu-Schiaffini M et al., "Neural operators with localized integral and differential kernels", ICML
2024, arXiv 2402.16845.
Jatyani AS et al., "A unified model for compressed sensing MRI across undersampling patterns", CVPR
2025, arXiv 2410.16290.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

N_RINGS = 3
"""Rings of the basis: the centre, one third and two thirds of the radius."""

N_ANGLES = 4
"""Anisotropic functions on each ring but the centre."""

N_BASIS = (N_RINGS - 1) * N_ANGLES + 1
"""Basis functions: nine."""

REFERENCE_RADIUS = 2.0
"""Radius of the disc, in pixels, at which the basis is orthonormal."""

SUBPIXELS = 9
"""Points along each side of a pixel over which a basis function is averaged."""


@lru_cache(maxsize=64)
def disc_basis(radius_rows: float, radius_columns: float) -> NDArray[np.float32]:
    """Return the basis on a grid: the hats in the combinations that ``_combinations`` gives.

    Parameters
    ----------
    radius_rows
        The disc's radius along the rows' axis, in distances between rows.
    radius_columns
        The same along columns.

    Returns
    -------
        Quadrature weight times basis function. Shape ``(9, rows, columns)``, both odd. Read-only.
    """
    hats = _hats_on_grid(radius_rows, radius_columns)
    basis: NDArray[np.float32] = np.tensordot(_combinations(), hats, axes=1).astype(np.float32)
    basis.setflags(write=False)
    return basis


def _hats_on_grid(radius_rows: float, radius_columns: float) -> NDArray[np.float64]:
    """Return quadrature weight times hat function. Shape ``(9, rows, columns)``."""
    half = (max(1, math.floor(radius_rows)), max(1, math.floor(radius_columns)))
    rows, columns = (_subpixels(h) for h in half)
    values = _hats(rows[:, None] / radius_rows, columns[None, :] / radius_columns)
    shape = (N_BASIS, 2 * half[0] + 1, SUBPIXELS, 2 * half[1] + 1, SUBPIXELS)
    pixels = values.reshape(shape).mean(axis=(2, 4))
    # A ring that is narrower than the distance between subpixels can be missed: it is the centre's.
    missed = pixels.sum(axis=(1, 2)) == 0
    pixels[missed, half[0], half[1]] = 1.0
    scaled: NDArray[np.float64] = (
        _integrals()[:, None, None] * pixels / pixels.sum(axis=(1, 2), keepdims=True)
    )
    return scaled


def image_basis(
    shape: tuple[int, int], spacing_mm: tuple[float, float], share: float
) -> NDArray[np.float32]:
    """Return the basis for an image.

    Parameters
    ----------
    shape
        Rows and columns of the image.
    spacing_mm
        Distance between rows and between columns [mm]; any unit will do, only the ratio counts.
    share
        Radius of the disc as a share of the field of view, which is the geometric mean of its two
        sides.
    """
    radius_mm = share * math.sqrt(shape[0] * spacing_mm[0] * shape[1] * spacing_mm[1])
    return disc_basis(round(radius_mm / spacing_mm[0], 6), round(radius_mm / spacing_mm[1], 6))


def kspace_basis(
    shape: tuple[int, int], spacing_mm: tuple[float, float], samples: float
) -> NDArray[np.float32]:
    """Return the basis for the k-space of an image.

    Parameters
    ----------
    shape
        Rows and columns of the image.
    spacing_mm
        Distance between rows and between columns of the image [mm].
    samples
        Radius of the disc in samples, where the field of view is square.
    """
    sides = (shape[0] * spacing_mm[0], shape[1] * spacing_mm[1])
    mean = math.sqrt(sides[0] * sides[1])
    return disc_basis(round(samples * sides[0] / mean, 6), round(samples * sides[1] / mean, 6))


def _subpixels(half: int) -> NDArray[np.float64]:
    """Return the subpixels' distances from the middle of the kernel, in pixels."""
    n = (2 * half + 1) * SUBPIXELS
    return (np.arange(n) - (n - 1) / 2) / SUBPIXELS


def _hats(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the basis functions at points of the normalised disc. Shape ``(9, ...)``."""
    radius = np.hypot(rows, columns)
    angle = np.arctan2(rows, columns)
    inside = radius <= 1.0
    values = [np.clip(1 - N_RINGS * radius, 0, None) * inside]
    for ring in range(1, N_RINGS):
        along = np.clip(1 - np.abs(N_RINGS * radius - ring), 0, None) * inside
        for index in range(N_ANGLES):
            turned = angle - 2 * math.pi * index / N_ANGLES
            apart = np.abs(np.angle(np.exp(1j * turned))) * N_ANGLES / (2 * math.pi)
            values.append(along * np.clip(1 - apart, 0, None))
    return np.stack(values)


@lru_cache(maxsize=1)
def _combinations() -> NDArray[np.float64]:
    """Return the combinations of hats that are orthonormal where the disc is two pixels wide.

    Neighbouring hats are nearly the same on a coarse grid, where a step of training would change
    their sum and hardly their difference. The space of kernels is the hats' own.
    """
    hats = _hats_on_grid(REFERENCE_RADIUS, REFERENCE_RADIUS).reshape(N_BASIS, -1)
    powers, vectors = np.linalg.eigh(hats @ hats.T)
    return np.asarray(vectors / np.sqrt(powers) @ vectors.T)


@lru_cache(maxsize=1)
def _integrals() -> NDArray[np.float64]:
    """Return the basis functions' integrals, scaled to a sum of squares of nine.

    With that scale weights are as large as those of an ordinary kernel of nine pixels, and a step
    of training changes both kinds of kernels as much.
    """
    points = np.linspace(-1, 1, 401)
    integrals = _hats(points[:, None], points[None, :]).sum(axis=(1, 2))
    return np.asarray(integrals * np.sqrt(N_BASIS / (integrals**2).sum()))
