"""Noise of the receiver coils: its covariance, and what it is where nothing measured it.

References
----------
.. [KEL2005] P. Kellman, E. R. McVeigh, Image reconstruction in SNR units, Magn Reson Med 54:1439
   (2005), doi:10.1002/mrm.20713: the noise bandwidth.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries

OUTER = 0.7
"""Noise is estimated on measured samples beyond this share of the way to the edge of k-space."""

QUIET_SHARE = 4
"""One in so many combinations of coils, the quietest, is taken to hold no signal."""


def noise_covariance(
    noise: NDArray[np.complex64], bandwidth_ratio: float = 1.0
) -> NDArray[np.complex128]:
    """Return the noise covariance between coils, as data have it.

    Parameters
    ----------
    noise
        Samples of noise alone. Shape ``(coils, samples)``.
    bandwidth_ratio
        Bandwidth of the data over that of the noise: dwell time of the noise over dwell time of
        the data, over the receiver's relative noise bandwidth [KEL2005]_.

    Returns
    -------
        Covariance of real and imaginary part together. Shape ``(coils, coils)``.

    Raises
    ------
    InconsistentSeries
        If there are not more samples than coils: the covariance cannot be estimated.
    """
    n_coils, n_samples = noise.shape
    if n_samples <= n_coils:
        raise InconsistentSeries(f"{n_samples} noise samples of {n_coils} coils, more are needed")
    wide = noise.astype(np.complex128)
    covariance: NDArray[np.complex128] = wide @ wide.conj().T / n_samples * bandwidth_ratio
    return covariance


def estimated_noise(kspace: NDArray[np.complex64], mask: NDArray[np.bool_]) -> float:
    """Return the deviation of a sample's noise in data whose source did not measure it.

    The outermost samples hold little signal, and what they hold lies in few combinations of the
    coils: the noise is what the quietest combinations have left. With few coils it is too large
    rather than too small.

    Parameters
    ----------
    kspace
        Samples. Shape ``(coils, ky, kx)``.
    mask
        What was measured. Shape ``(ky, kx)``.

    Returns
    -------
        Standard deviation, real and imaginary part together.
    """
    rows, columns = mask.shape
    y = np.abs(np.arange(rows) - rows // 2) / (rows / 2)
    x = np.abs(np.arange(columns) - columns // 2) / (columns / 2)
    outer = mask & (np.maximum(y[:, None], x[None, :]) > OUTER)
    samples = kspace[:, outer if outer.any() else mask]
    largest = float(np.abs(samples).max(initial=0.0))
    if largest == 0.0:
        return 0.0
    scaled = samples / np.float32(largest)
    powers = np.linalg.eigvalsh(scaled @ scaled.conj().T / scaled.shape[1])
    quiet = powers[: max(1, len(powers) // QUIET_SHARE)]
    return largest * float(np.sqrt(max(0.0, float(quiet.mean()))))
