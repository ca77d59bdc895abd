"""What holds for raw data of every format.

A reader checks at the door: samples are finite, a line that counts as measured is not zero, and
something was measured. What leaves here is a ``KSpace`` that nothing downstream repairs.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftshift

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.mr.fourier import crop, fft2c

CONCENTRATED = 0.5
"""Share of energy in the middle quarter of both axes above which an array is concentrated there:
k-space has 0.8 to 1, images 0.1 to 0.4."""

BYTES_PER_SAMPLE = 8
"""A complex64."""


def check_size(n_samples: int, name: str, limits: Limits) -> None:
    """Refuse an array that is larger than allowed, before it is allocated.

    Raises
    ------
    UnreadableFile
        If it is.
    """
    n_bytes = BYTES_PER_SAMPLE * n_samples
    if n_bytes > limits.max_pixel_bytes:
        raise UnreadableFile(
            f"{name}: {n_samples} samples need {n_bytes} bytes, limit {limits.max_pixel_bytes}"
        )
    if n_samples < 1:
        raise UnreadableFile(f"{name}: holds no samples")


def check_finite(array: NDArray[np.complexfloating], name: str) -> None:
    """Refuse samples that are no numbers.

    Raises
    ------
    UnreadableFile
        If there are any.
    """
    n_bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if n_bad:
        raise UnreadableFile(f"{name}: {n_bad} samples are NaN or infinite")


def mask_of(array: NDArray[np.complex64], name: str) -> NDArray[np.bool_]:
    """Return what was measured, where the format has no mask: what is not zero for all coils.

    Parameters
    ----------
    array
        Shape ``(frames, slices, coils, ky, kx)``.
    name
        The file's name, for messages.

    Returns
    -------
        Shape ``(frames, slices, ky, kx)``.

    Raises
    ------
    UnreadableFile
        If samples are NaN or infinite.
    InconsistentSeries
        If a frame of a slice is zero everywhere.
    """
    check_finite(array, name)
    mask = np.any(array != 0, axis=2)
    check_mask(mask, name)
    return shared(mask)


def check_mask(mask: NDArray[np.bool_], name: str) -> None:
    """Refuse a mask that keeps nothing of a frame of a slice.

    Parameters
    ----------
    mask
        Shape ``(frames, slices, ky, kx)``.
    name
        The file's name, for messages.

    Raises
    ------
    InconsistentSeries
        If there is one.
    """
    empty = np.argwhere(~mask.any(axis=(2, 3)))
    if empty.size:
        frame, index = empty[0]
        where = "" if mask.shape[:2] == (1, 1) else f" in frame {frame} of slice {index}"
        raise InconsistentSeries(f"{name}: nothing was measured{where}: the mask keeps no sample")


def check_lines(array: NDArray[np.complex64], mask: NDArray[np.bool_], name: str) -> None:
    """Refuse lines that a stated mask calls measured and that are zero in all coils.

    Parameters
    ----------
    array
        Shape ``(frames, slices, coils, ky, kx)``.
    mask
        Shape ``(frames, slices, ky, kx)``.
    name
        The file's name, for messages.

    Raises
    ------
    InconsistentSeries
        If there is one.
    """
    signal = np.any(array != 0, axis=2) & mask
    for axis, label in ((3, "ky"), (2, "kx")):
        # Only whole lines count: a single sample may be zero.
        whole = mask.any(axis=axis) & ~signal.any(axis=axis)
        if whole.any():
            frame, index, line = np.argwhere(whole)[0]
            raise InconsistentSeries(
                f"{name}: {np.count_nonzero(whole)} lines count as measured and hold zeros only, "
                f"the first {label} {line} in frame {frame} of slice {index}"
            )


def check_origin(array: NDArray[np.complex64], name: str) -> None:
    """Refuse an array that is plainly an image, or k-space with its origin in the corner.

    k-space has nearly all its energy in the middle. An array that has not, while its transform or
    its halves swapped have, is something else; one of which that cannot be told is let through.

    Parameters
    ----------
    array
        Shape ``(frames, slices, coils, ky, kx)``.
    name
        The file's name, for messages.

    Raises
    ------
    InconsistentSeries
        If it is one of these.
    """
    first = array[0, array.shape[1] // 2]
    if middle_share(first) > CONCENTRATED:
        return
    if middle_share(fftshift(first, axes=(-2, -1))) > CONCENTRATED:
        raise InconsistentSeries(f"{name}: the origin of k-space lies in a corner: swap its halves")
    if middle_share(fft2c(first)) > CONCENTRATED:
        raise InconsistentSeries(f"{name}: an image and not k-space: transform it first")


def middle_share(array: NDArray[np.complex64]) -> float:
    """Return the share of energy in the middle quarter of both axes.

    Parameters
    ----------
    array
        Shape ``(coils, ky, kx)``.
    """
    scaled = np.abs(array) / (np.abs(array).max(initial=0.0) or 1.0)
    energy = np.sum(scaled.astype(np.float64) ** 2, axis=0)
    middle = crop(energy, (max(1, energy.shape[0] // 4), max(1, energy.shape[1] // 4)))
    return float(middle.sum()) / (float(energy.sum()) or 1.0)


def silent_coils(array: NDArray[np.complex64]) -> tuple[str, ...]:
    """Return a note where coils received nothing at all.

    Parameters
    ----------
    array
        Shape ``(frames, slices, coils, ky, kx)``.
    """
    silent = np.flatnonzero(~np.any(array != 0, axis=(0, 1, 3, 4)))
    if not silent.size:
        return ()
    return (f"coils that hold zeros only: {', '.join(str(c) for c in silent)}",)


def shared(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask as a view of one pattern, where all frames and slices have the same."""
    if mask.shape[:2] != (1, 1) and (mask == mask[:1, :1]).all():
        return np.broadcast_to(mask[:1, :1], mask.shape)
    return mask
