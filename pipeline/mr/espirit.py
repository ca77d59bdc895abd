"""Coil sensitivities from the structure of k-space's centre: ESPIRiT.

Every small window of multi-coil k-space lies in a space of few dimensions, because coil
sensitivities are smooth. That space is found from the windows of the fully sampled centre; an image
whose windows all lie in it has, at each pixel, its coils in the ratio of their sensitivities. So a
centre gives sensitivities far finer than its own resolution.

References
----------
.. [UEC2014] M. Uecker et al., ESPIRiT: an eigenvalue approach to autocalibrating parallel MRI, Magn
   Reson Med 71:990 (2014), doi:10.1002/mrm.24751.
"""

import numpy as np
from numpy.typing import NDArray

SIGNAL_SPACE = 0.01
"""Singular values of the windows below this share of the largest are taken for noise."""

ROUNDS, APPLIED_A_ROUND = 8, 4
"""The dominant eigenvector of a pixel's matrix is found by applying it so many times in a row, and
so many rounds, each ended by bringing the vector back to one."""

TINY = np.float32(1e-30)
"""Keeps a quotient finite where a matrix is zero."""


def espirit_maps(
    calibration: NDArray[np.complex64], window: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.complex64]:
    """Return coil sensitivities on a grid over the whole field of view [UEC2014]_.

    Parameters
    ----------
    calibration
        Fully sampled centre of k-space. Shape ``(coils, ky, kx)``.
    window
        Rows and columns of the windows; no larger than the calibration.
    grid
        Rows and columns of the maps; at least twice the window.

    Returns
    -------
        Sensitivities whose squares sum to one everywhere, also where there is no signal. Their
        phase is relative to ``reference_coil``. Shape ``(coils, *grid)``.
    """
    largest = float(np.abs(calibration).max(initial=0.0)) or 1.0
    space = _signal_space(calibration / np.float32(largest), window)
    matrices = _image_matrices(space, len(calibration), window, grid)
    reference = reference_coil(calibration)
    dominant = np.broadcast_to(reference[:, None], (len(matrices), len(reference), 1))
    for _ in range(ROUNDS):
        for _ in range(APPLIED_A_ROUND):
            dominant = matrices @ dominant
        dominant /= np.maximum(np.linalg.norm(dominant, axis=1, keepdims=True), TINY)
    maps = dominant[:, :, 0].T.reshape(len(calibration), *grid)
    return with_phase_of(maps, reference)


def reference_coil(calibration: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the combination of coils that receives most: a unit vector. Shape ``(coils,)``.

    Parameters
    ----------
    calibration
        Samples. Shape ``(coils, ky, kx)``.
    """
    largest = float(np.abs(calibration).max(initial=0.0)) or 1.0
    samples = (calibration / np.float32(largest)).reshape(len(calibration), -1)
    _, vectors = np.linalg.eigh(samples @ samples.conj().T)
    return np.asarray(vectors[:, -1], dtype=np.complex64)


def with_phase_of(
    maps: NDArray[np.complex64], reference: NDArray[np.complex64]
) -> NDArray[np.complex64]:
    """Return sensitivities in the phase in which a combination of the coils is real.

    Parameters
    ----------
    maps
        Shape ``(coils, rows, columns)``.
    reference
        The combination. Shape ``(coils,)``.
    """
    seen = np.tensordot(reference.conj(), maps, axes=1)
    return np.asarray(maps * np.exp(-1j * np.angle(seen)), dtype=np.complex64)


def _signal_space(
    calibration: NDArray[np.complex64], window: tuple[int, int]
) -> NDArray[np.complex64]:
    """Return an orthonormal basis of the windows. Shape ``(coils * window, dimensions)``."""
    views = np.lib.stride_tricks.sliding_window_view(calibration, window, axis=(1, 2))
    coils, rows, columns = views.shape[:3]
    windows = views.transpose(0, 3, 4, 1, 2).reshape(coils * window[0] * window[1], rows * columns)
    if windows.shape[0] <= windows.shape[1]:
        powers, vectors = np.linalg.eigh(windows @ windows.conj().T)
        kept = powers > SIGNAL_SPACE**2 * powers[-1]
        return np.ascontiguousarray(vectors[:, kept])
    # Fewer windows than samples in each: the smaller matrix has the same singular values.
    powers, vectors = np.linalg.eigh(windows.conj().T @ windows)
    kept = powers > SIGNAL_SPACE**2 * powers[-1]
    return np.asarray(windows @ (vectors[:, kept] / np.sqrt(powers[kept])), dtype=np.complex64)


def _image_matrices(
    space: NDArray[np.complex64], coils: int, window: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.complex64]:
    """Return what projecting all windows onto the space does at each pixel.

    Shape ``(pixels, coils, coils)``. The dominant eigenvector of each is the sensitivity there; its
    eigenvalue is one where there is signal.
    """
    rows, columns = 2 * window[0], 2 * window[1]
    kernels = space.reshape(coils, *window, -1)
    spectra = np.fft.fft2(kernels, s=(rows, columns), axes=(1, 2)).transpose(1, 2, 0, 3)
    spectra = spectra.reshape(rows * columns, coils, -1)
    products = (spectra @ spectra.conj().transpose(0, 2, 1)).reshape(rows, columns, -1)
    correlations = np.fft.ifft2(products, axes=(0, 1)).astype(np.complex64)
    along_rows = _waves(grid[0], window[0]) @ correlations.reshape(rows, -1)
    matrices = _waves(grid[1], window[1]) @ along_rows.reshape(grid[0], columns, -1)
    largest = np.float32(1 / (window[0] * window[1]))
    return np.asarray(matrices * largest, dtype=np.complex64).reshape(-1, coils, coils)


def _waves(n: int, window: int) -> NDArray[np.complex64]:
    """Return the transform from the lags of a window to an axis of an image.

    Shape ``(n, 2 * window)``; the lags are in the order of a Fourier transform.
    """
    lags = np.fft.fftfreq(2 * window, 1 / (2 * window))
    return np.exp(2j * np.pi / n * np.outer(np.arange(n) - n // 2, lags)).astype(np.complex64)
