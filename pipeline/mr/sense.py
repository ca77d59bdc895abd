"""The measurement as a linear operator, and the images that its adjoint gives.

``forward`` is the encoding E = M F S: coil sensitivities, Fourier transform, mask. ``adjoint`` is
E^H, and a zero-filled reconstruction is the adjoint of what was measured.

References
----------
.. [PRU2001] K. P. Pruessmann et al., Advances in sensitivity encoding with arbitrary k-space
   trajectories, Magn Reson Med 46:638 (2001), doi:10.1002/mrm.1241.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.mr.coils import root_sum_of_squares
from pipeline.mr.fourier import fft2c, ifft2c


def forward(
    image: NDArray[np.complex64],
    sensitivities: NDArray[np.complex64],
    mask: NDArray[np.bool_],
) -> NDArray[np.complex64]:
    """Return the k-space that an image would give [PRU2001]_.

    Parameters
    ----------
    image
        Shape ``(rows, columns)``.
    sensitivities
        Shape ``(coils, rows, columns)``.
    mask
        What is measured. Shape ``(ky, kx)``.

    Returns
    -------
        Shape ``(coils, ky, kx)``, zero where nothing is measured.
    """
    return fft2c(image * sensitivities) * mask


def adjoint(
    kspace: NDArray[np.complex64],
    sensitivities: NDArray[np.complex64],
    mask: NDArray[np.bool_],
) -> NDArray[np.complex64]:
    """Return the adjoint of ``forward``: coil images, weighted by their sensitivities and added.

    Parameters
    ----------
    kspace
        Shape ``(coils, ky, kx)``.
    sensitivities
        Shape ``(coils, rows, columns)``.
    mask
        What is measured. Shape ``(ky, kx)``.

    Returns
    -------
        Shape ``(rows, columns)``.
    """
    return combined(ifft2c(kspace * mask), sensitivities)


def combined(
    images: NDArray[np.complex64], sensitivities: NDArray[np.complex64]
) -> NDArray[np.complex64]:
    """Return coil images as one, weighted by their sensitivities; zero where those are zero.

    Parameters
    ----------
    images, sensitivities
        Shape ``(coils, rows, columns)``.

    Returns
    -------
        Shape ``(rows, columns)``.
    """
    result: NDArray[np.complex64] = np.sum(sensitivities.conj() * images, axis=0)
    return result


def zero_filled_rss(kspace: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the root sum of squares of the coil images, zeros where nothing was measured.

    Parameters
    ----------
    kspace
        Shape ``(..., coils, ky, kx)``.

    Returns
    -------
        Shape ``(..., rows, columns)``.
    """
    return root_sum_of_squares(ifft2c(kspace))


def zero_filled_sense(
    kspace: NDArray[np.complex64], sensitivities: NDArray[np.complex64]
) -> NDArray[np.complex64]:
    """Return the coil images, zeros where nothing was measured, as one with its phase.

    Parameters
    ----------
    kspace
        Shape ``(coils, ky, kx)``.
    sensitivities
        Shape ``(coils, rows, columns)``.

    Returns
    -------
        Shape ``(rows, columns)``.
    """
    return combined(ifft2c(kspace), sensitivities)
