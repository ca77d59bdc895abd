"""A classical reconstruction: the image of least total variation that explains the samples.

``argmin ½ |A x - y|² + weight TV(x)`` with A = M F S and the isotropic total variation of the
complex image, edges wrapped around. Nothing in it is learned.

References
----------
.. [LDP2007] M. Lustig et al., Sparse MRI, Magn Reson Med 58:1182 (2007), doi:10.1002/mrm.21391.
.. [CON2013] L. Condat, A primal-dual splitting method for convex optimization, J Optim Theory Appl
   158:460 (2013), doi:10.1007/s10957-012-0245-9: algorithm 3.1, without relaxation.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

AXES = (-2, -1)
"""Rows and columns."""

DIFFERENCES = 8.0
"""Square of the norm of the differences of an image along both axes, at most."""

DUAL_STEP = 0.03
"""Step of the dual variable; the image's follows from it. Chosen by how soon it converges."""


def least_variation(
    kspace: NDArray[np.complex64],
    sensitivities: NDArray[np.complex64],
    mask: NDArray[np.bool_],
    *,
    weight: float,
    iterations: int,
) -> NDArray[np.complex64]:
    """Return the image that explains samples with little total variation [LDP2007]_ [CON2013]_.

    Parameters
    ----------
    kspace
        Samples, zero where nothing was measured. Shape ``(coils, ky, kx)``.
    sensitivities
        Shape ``(coils, rows, columns)``.
    mask
        What was measured. Shape ``(ky, kx)``.
    weight
        Weight of the total variation, in the units of the image.
    iterations
        Steps; each costs two Fourier transforms of all coils.

    Returns
    -------
        Shape ``(rows, columns)``.
    """
    # Differences that wrap around do not mind where the origin is: it is moved once and not twice
    # a step.
    samples, maps, measured = (
        scipy.fft.ifftshift(a, axes=AXES) for a in (kspace, sensitivities, mask)
    )
    power = float((np.abs(maps) ** 2).sum(axis=0).max(initial=0.0)) or 1.0
    step = np.float32(1 / (power / 2 + DUAL_STEP * DIFFERENCES))
    image = _adjoint(samples, maps, measured)
    dual = np.zeros((2, *image.shape), dtype=np.complex64)
    for _ in range(iterations):
        misfit = scipy.fft.fft2(image * maps, axes=AXES, norm="ortho") * measured - samples
        gradient = _adjoint(misfit, maps, measured) + _differences_adjoint(dual)
        moved = image - step * gradient
        dual = _within(dual + np.float32(DUAL_STEP) * _differences(2 * moved - image), weight)
        image = moved
    result: NDArray[np.complex64] = scipy.fft.fftshift(image, axes=AXES)
    return result


def total_variation(image: NDArray[np.complex64]) -> float:
    """Return the isotropic total variation of an image, edges wrapped around."""
    return float(np.sqrt((np.abs(_differences(image)) ** 2).sum(axis=0)).sum())


def _adjoint(
    kspace: NDArray[np.complex64], maps: NDArray[np.complex64], measured: NDArray[np.bool_]
) -> NDArray[np.complex64]:
    """Return the coil images as one, the origin at the first sample."""
    images = scipy.fft.ifft2(kspace * measured, axes=AXES, norm="ortho", overwrite_x=True)
    result: NDArray[np.complex64] = (maps.conj() * images).sum(axis=0)
    return result


def _differences(image: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the difference of each pixel to the next along both axes. Shape ``(2, ...)``."""
    return np.stack([np.roll(image, -1, axis=axis) - image for axis in AXES])


def _differences_adjoint(dual: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the adjoint of ``_differences``."""
    parts = [np.roll(dual[n], 1, axis=axis) - dual[n] for n, axis in enumerate(AXES)]
    result: NDArray[np.complex64] = parts[0] + parts[1]
    return result


def _within(dual: NDArray[np.complex64], weight: float) -> NDArray[np.complex64]:
    """Return the dual variable with no pixel longer than the weight."""
    length = np.sqrt((dual.real**2 + dual.imag**2).sum(axis=0))
    shrunk: NDArray[np.complex64] = dual * (
        np.float32(weight) / np.maximum(length, np.float32(weight))
    )
    return shrunk
