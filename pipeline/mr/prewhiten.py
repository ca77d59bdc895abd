"""Data whose coils have unit, unrelated noise.

References
----------
.. [ROE1990] P. B. Roemer et al., The NMR phased array, Magn Reson Med 16:192 (1990).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from pipeline.errors import InconsistentSeries


def prewhiten(
    kspace: NDArray[np.complex64], covariance: NDArray[np.complex128], axis: int
) -> NDArray[np.complex64]:
    """Return data whose coils have unit, unrelated noise.

    Multiplies by the inverse of L, where L L^H is the covariance [ROE1990]_.

    Parameters
    ----------
    kspace
        Samples, of any shape.
    covariance
        Noise covariance. Shape ``(coils, coils)``.
    axis
        The axis of the coils.

    Raises
    ------
    InconsistentSeries
        If the coils are not those of the covariance, or a coil has no noise of its own.
    """
    if kspace.shape[axis] != covariance.shape[0]:
        raise InconsistentSeries(
            f"noise of {covariance.shape[0]} coils, data of {kspace.shape[axis]}"
        )
    # L becomes the scale of the data: what is near nothing in float32 is scaled to one first.
    scale = float(np.abs(np.diagonal(covariance)).max(initial=0.0))
    if not scale > 0.0:
        raise InconsistentSeries("the noise samples are zero")
    try:
        factor = cholesky(covariance / scale, lower=True)
    except LinAlgError as error:
        raise InconsistentSeries("a coil's noise is zero or a copy of another's") from error
    coils_first = np.moveaxis(kspace, axis, 0)
    flat = coils_first.reshape(coils_first.shape[0], -1) / np.sqrt(scale)
    # Solving is more stable than multiplying by an inverse.
    white = solve_triangular(factor, flat, lower=True).astype(np.complex64)
    result: NDArray[np.complex64] = np.ascontiguousarray(
        np.moveaxis(white.reshape(coils_first.shape), 0, axis)
    )
    return result
