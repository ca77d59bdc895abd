"""Edges of a slice, compared by their direction alone.

Without regard to which side is the brighter one, edges stay where they are while contrast passes
[HM2006]_; intensities do not, and contrast that goes from the right into the left ventricle looks
like motion to them.

References
----------
.. [HM2006] E. Haber, J. Modersitzki, Intensity gradient based registration and fusion of
   multi-modal images, MICCAI 2006, doi:10.1007/11866763_89: normalised gradient fields.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

HEART_RADIUS_MM = 45.0
"""Radius within which edges count [mm]: the chest's wall beyond it stands still."""

FADE_MM = 24.0
"""Width over which they fade out there [mm]."""

EDGE_QUANTILE = 0.7
"""Share of the points of a beat whose gradient counts for less than half."""


def heart_window(size: int, spacing_mm: float) -> NDArray[np.float32]:
    """Return how much each point of a square around the heart counts. Shape ``(size, size)``.

    Parameters
    ----------
    size
        Points along the side of the square.
    spacing_mm
        Distance between the points [mm].
    """
    along = (np.arange(size) - (size - 1) / 2) * spacing_mm
    distance = np.hypot(along[:, None], along[None, :])
    weights = np.clip((HEART_RADIUS_MM + 0.5 * FADE_MM - distance) / FADE_MM, 0.0, 1.0)
    return np.asarray(weights, dtype=np.float32)


def edge_tensors(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the edges' directions as tensors, whose product is the squared cosine between them.

    Parameters
    ----------
    frames
        Squares around the heart. Shape ``(beats, size, size)``.

    Returns
    -------
        Shape ``(beats, 3, size, size)``.
    """
    down, right = np.gradient(frames, axis=(1, 2))
    strength = np.hypot(down, right)
    usual = np.quantile(strength, EDGE_QUANTILE, axis=(1, 2), keepdims=True)
    length = np.sqrt(strength**2 + usual**2) + np.finfo(np.float32).tiny
    down, right = down / length, right / length
    tensors = (down * down, np.sqrt(2.0) * down * right, right * right)
    return np.stack(tensors, axis=1).astype(np.float32)


def agreement(
    means: NDArray[np.float32], edges: NDArray[np.float32], window: NDArray[np.float32], reach: int
) -> NDArray[np.float64]:
    """Return how well each beat's edges agree with others at each displacement, up to 1.

    The window lies on the others, so that a heart that has left it loses nothing.

    Parameters
    ----------
    means
        What each beat is compared with; one of all beats, or one a beat. Shape ``(1, 3, size,
        size)`` or ``(beats, 3, size, size)``.
    edges
        The beats. Shape ``(beats, 3, size, size)``.
    window
        How much each point counts. Shape ``(size, size)``.
    reach
        Displacements that are tried, to each side [points].

    Returns
    -------
        Shape ``(beats, 2 * reach + 1, 2 * reach + 1)``.
    """
    side = edges.shape[-2:]
    near = np.arange(-reach, reach + 1) % side[0]
    spectrum = np.conj(fft.rfft2(means * window, workers=1))
    product = fft.irfft2((spectrum * fft.rfft2(edges, workers=1)).sum(axis=1), s=side, workers=1)
    power = fft.irfft2(
        np.conj(fft.rfft2(window, workers=1)) * fft.rfft2((edges**2).sum(axis=1), workers=1),
        s=side,
        workers=1,
    )
    own = (means**2 * window).sum(axis=(1, 2, 3))[:, None, None]
    tiny = 1e-9  # where nothing has an edge
    least = max(1e-3 * float(power.max()), tiny)
    agreed = product / np.sqrt(np.maximum(power, least) * np.maximum(own, tiny))
    found: NDArray[np.float64] = agreed[:, near][:, :, near].astype(np.float64)
    return found
