"""The Fourier transform between image and k-space: centred and orthonormal.

The origin of both domains is index ``n // 2`` on each axis, for even sizes as for odd ones, so a
round trip moves nothing. Single precision stays single precision.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

AXES = (-2, -1)
"""The axes that are transformed: ``(ky, kx)`` and ``(row, column)``."""


def fft2c(image: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the k-space of an image.

    Parameters
    ----------
    image
        Shape ``(..., rows, columns)``.

    Returns
    -------
        Shape ``(..., ky, kx)``, with the same energy.
    """
    shifted = scipy.fft.ifftshift(image, axes=AXES)
    kspace = scipy.fft.fft2(shifted, axes=AXES, norm="ortho", overwrite_x=True)
    result: NDArray[np.complex64] = scipy.fft.fftshift(kspace, axes=AXES)
    return result


def ifft2c(kspace: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the image of a k-space.

    Parameters
    ----------
    kspace
        Shape ``(..., ky, kx)``.

    Returns
    -------
        Shape ``(..., rows, columns)``, with the same energy.
    """
    shifted = scipy.fft.ifftshift(kspace, axes=AXES)
    image = scipy.fft.ifft2(shifted, axes=AXES, norm="ortho", overwrite_x=True)
    result: NDArray[np.complex64] = scipy.fft.fftshift(image, axes=AXES)
    return result


def ifft1c(kspace: NDArray[np.complex64], axis: int) -> NDArray[np.complex64]:
    """Return k-space transformed to image space along one axis only."""
    shifted = scipy.fft.ifftshift(kspace, axes=axis)
    image = scipy.fft.ifft(shifted, axis=axis, norm="ortho", overwrite_x=True)
    result: NDArray[np.complex64] = scipy.fft.fftshift(image, axes=axis)
    return result


def fft1c(image: NDArray[np.complex64], axis: int) -> NDArray[np.complex64]:
    """Return an image transformed to k-space along one axis only."""
    shifted = scipy.fft.ifftshift(image, axes=axis)
    kspace = scipy.fft.fft(shifted, axis=axis, norm="ortho", overwrite_x=True)
    result: NDArray[np.complex64] = scipy.fft.fftshift(kspace, axes=axis)
    return result


def centred(n: int, size: int) -> slice:
    """Return the ``size`` indices of an axis of length ``n`` that keep its origin the origin.

    Raises
    ------
    ValueError
        If the axis is shorter than that.
    """
    if size > n:
        raise ValueError(f"{size} of {n} indices")
    start = n // 2 - size // 2
    return slice(start, start + size)


def crop(array: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.generic]:
    """Return the middle of the last two axes, the origin kept.

    Parameters
    ----------
    array
        Shape ``(..., rows, columns)``.
    shape
        Rows and columns to keep; at most those that there are.
    """
    rows, columns = array.shape[-2:]
    return array[..., centred(rows, shape[0]), centred(columns, shape[1])]


def without_oversampling(
    kspace: NDArray[np.complex64], size: int, axis: int = -1
) -> NDArray[np.complex64]:
    """Return k-space of the middle of the field of view along the readout.

    Only a fully sampled axis may be cropped before reconstruction, and that is the readout. A zero
    that stands for "not measured" stays a zero.

    Parameters
    ----------
    kspace
        Shape ``(..., ky, kx)``.
    size
        Samples to keep along the readout.
    axis
        The readout.
    """
    if size == kspace.shape[axis]:
        return kspace
    image = np.moveaxis(ifft1c(kspace, axis), axis, -1)
    kept = np.ascontiguousarray(image[..., centred(image.shape[-1], size)])
    return np.moveaxis(fft1c(kept, -1), -1, axis)
