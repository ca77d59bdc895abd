"""How good a reconstruction is: against the truth, or against the data it was made from.

References
----------
.. [WAN2004] Z. Wang et al., Image quality assessment: from error visibility to structural
   similarity, IEEE Trans Image Process 13:600 (2004), doi:10.1109/TIP.2003.819861.
.. [ZBO2018] J. Zbontar et al., fastMRI, arXiv:1811.08839: SSIM with a window of 7 x 7, NMSE.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

SSIM_WINDOW = 7
SSIM_K1, SSIM_K2 = 0.01, 0.03


def psnr(
    truth: NDArray[np.float32], found: NDArray[np.float32], data_range: float | None = None
) -> float:
    """Return the peak signal-to-noise ratio [dB]; infinite where both are the same.

    Parameters
    ----------
    truth, found
        Magnitudes of any one shape.
    data_range
        Largest possible value; that of the truth if None.

    Raises
    ------
    ValueError
        If the shapes differ, or the data range is not positive.
    """
    reach = _data_range(truth, found, data_range)
    error = float(np.mean(np.square(_difference(truth, found) / reach)))
    return math.inf if error == 0.0 else -10.0 * math.log10(error)


def nmse(truth: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the squared error over the squared truth [ZBO2018]_.

    Raises
    ------
    ValueError
        If the shapes differ, or the truth is zero everywhere.
    """
    reach = _data_range(truth, found, None)
    energy = float(np.sum(np.square(truth.astype(np.float64) / reach)))
    return float(np.sum(np.square(_difference(truth, found) / reach))) / energy


def ssim(
    truth: NDArray[np.float32], found: NDArray[np.float32], data_range: float | None = None
) -> float:
    """Return the mean structural similarity of images, over windows that lie inside [WAN2004]_.

    Parameters
    ----------
    truth, found
        Magnitudes. Shape ``(..., rows, columns)``; the mean is over all images.
    data_range
        Largest possible value; that of the truth if None.

    Raises
    ------
    ValueError
        If the shapes differ, an image is smaller than the window, or the data range is not
        positive.
    """
    reach = _data_range(truth, found, data_range)
    if min(truth.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(f"images of {truth.shape[-2:]}, SSIM needs at least {SSIM_WINDOW}")
    first, second = truth.astype(np.float64) / reach, found.astype(np.float64) / reach
    # The mean over windows, and the unbiased variance in them.
    unbiased = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    mean_1, mean_2 = _local_mean(first), _local_mean(second)
    var_1 = unbiased * (_local_mean(first * first) - mean_1 * mean_1)
    var_2 = unbiased * (_local_mean(second * second) - mean_2 * mean_2)
    covariance = unbiased * (_local_mean(first * second) - mean_1 * mean_2)
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    luminance = (2 * mean_1 * mean_2 + c1) / (mean_1**2 + mean_2**2 + c1)
    structure = (2 * covariance + c2) / (var_1 + var_2 + c2)
    margin = SSIM_WINDOW // 2
    inside = (luminance * structure)[..., margin:-margin, margin:-margin]
    return float(inside.mean())


def kspace_residual(
    measured: NDArray[np.complex64], predicted: NDArray[np.complex64], mask: NDArray[np.bool_]
) -> float:
    """Return how far a reconstruction is from what was measured: 0 is exact, 1 is all of it.

    Parameters
    ----------
    measured
        Samples. Shape ``(..., coils, ky, kx)``.
    predicted
        The reconstruction's k-space, of the same shape.
    mask
        What was measured. Shape ``(..., ky, kx)``.

    Raises
    ------
    ValueError
        If nothing but zeros was measured.
    """
    kept = mask[..., None, :, :]
    largest = float(np.abs(measured).max(initial=0.0))
    if largest == 0.0:
        raise ValueError("nothing but zeros was measured")
    energy = float(np.sum(np.abs(measured * kept / largest) ** 2, dtype=np.float64))
    error = (predicted - measured) * kept / largest
    return math.sqrt(float(np.sum(np.abs(error) ** 2, dtype=np.float64)) / energy)


def _local_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over windows of the last two axes."""
    axes = tuple(range(values.ndim - 2, values.ndim))
    result: NDArray[np.float64] = uniform_filter(values, size=SSIM_WINDOW, axes=axes)
    return result


def _difference(truth: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the error."""
    return found.astype(np.float64) - truth.astype(np.float64)


def _data_range(
    truth: NDArray[np.float32], found: NDArray[np.float32], data_range: float | None
) -> float:
    """Return the largest possible value, checked."""
    if truth.shape != found.shape:
        raise ValueError(f"shapes {truth.shape} and {found.shape}")
    reach = float(np.abs(truth).max(initial=0.0)) if data_range is None else data_range
    if not reach > 0.0:
        raise ValueError(f"a data range of {reach}")
    return reach
