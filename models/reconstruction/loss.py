"""The loss: structural similarity, with the peak signal-to-noise ratio as its anchor.

References
----------
Wang Z et al., "Image quality assessment: from error visibility to structural similarity", IEEE
Trans Image Process 2004;13:600; the window of 7 x 7 of Zbontar J et al., "fastMRI", 2018, arXiv
1811.08839. ``pipeline.mr.quality.ssim`` is the same in numpy.
"""

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 7
K1, K2 = 0.01, 0.03

DECIBEL = 0.01
"""Weight of one decibel of the mean squared error: similarity alone is flat where an image is far
off, and hardly sees what is wrong with a nearly perfect one."""


def reconstruction_loss(found: Tensor, truth: Tensor) -> Tensor:
    """Return one minus the similarity, less the peak signal-to-noise ratio [dB] by its weight.

    Parameters
    ----------
    found, truth
        Magnitudes. Shape ``(rows, columns)``.
    """
    reach = truth.max()
    error = ((found - truth) / reach).square().mean() + LEAST_ERROR
    return 1 - ssim(found / reach, truth / reach) + DECIBEL * 10 * torch.log10(error)


LEAST_ERROR = 1e-7
"""Added to the mean squared error: 70 dB is as good as perfect."""


def ssim(found: Tensor, truth: Tensor) -> Tensor:
    """Return the mean structural similarity of images whose data range is one."""
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    # One call for the five local means; sums of squares cancel, so in double precision.
    first, second = found.double(), truth.double()
    planes = torch.stack((first, second, first * first, second * second, first * second))
    mean_1, mean_2, square_1, square_2, product = functional.avg_pool2d(planes[None], WINDOW, 1)[0]
    var_1 = unbiased * (square_1 - mean_1 * mean_1)
    var_2 = unbiased * (square_2 - mean_2 * mean_2)
    covariance = unbiased * (product - mean_1 * mean_2)
    luminance = (2 * mean_1 * mean_2 + K1**2) / (mean_1**2 + mean_2**2 + K1**2)
    structure = (2 * covariance + K2**2) / (var_1 + var_2 + K2**2)
    return (luminance * structure).mean().to(found.dtype)
