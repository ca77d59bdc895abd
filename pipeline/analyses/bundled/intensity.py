"""What changes values and moves nothing, after MONAI's transforms of the same names."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def scale_range(
    array: Array, source: tuple[float, float], target: tuple[float, float] | None, *, clip: bool
) -> Array:
    """Map a range of values to another one.

    Parameters
    ----------
    array
        Values of any shape.
    source
        Values that become the ends of the target.
    target
        The ends; None for 0 and 1, without clipping.
    clip
        Whether values beyond the ends become them.
    """
    (a_min, a_max), (b_min, b_max) = source, target or (0.0, 1.0)
    if a_max == a_min:
        return (array - np.float32(a_min) + np.float32(b_min)).astype(np.float32)
    scaled = (array - np.float32(a_min)) / np.float32(a_max - a_min)
    if target is not None:
        scaled = scaled * np.float32(b_max - b_min) + np.float32(b_min)
        if clip:
            scaled = np.clip(scaled, b_min, b_max)
    return np.asarray(scaled, dtype=np.float32)


def scale_percentiles(
    array: Array,
    percentiles: tuple[float, float],
    target: tuple[float, float] | None,
    *,
    clip: bool,
) -> Array:
    """Map the values between two percentiles [%] to a range, as ``scale_range``."""
    low, high = np.percentile(array, percentiles)
    return scale_range(array, (float(low), float(high)), target, clip=clip)


def scale_extremes(array: Array, target: tuple[float, float]) -> Array:
    """Map the smallest and the largest value to the ends of a range; one value to its product."""
    low, high = float(array.min()), float(array.max())
    if low == high:
        return array * np.float32(target[0])
    unit = (array - np.float32(low)) / np.float32(high - low)
    return np.asarray(unit * np.float32(target[1] - target[0]) + np.float32(target[0]))


def normalise(
    array: Array, subtrahend: float | None, divisor: float | None, *, nonzero: bool
) -> Array:
    """Subtract the mean and divide by the standard deviation, or by stated numbers.

    Parameters
    ----------
    array
        Values of any shape.
    subtrahend, divisor
        In place of the mean and the standard deviation.
    nonzero
        Whether values of 0 are left out and left alone.
    """
    chosen = array != 0 if nonzero else np.ones(array.shape, dtype=bool)
    if not chosen.any():
        return array
    values = array[chosen].astype(np.float64)
    mean = values.mean() if subtrahend is None else subtrahend
    deviation = values.std() if divisor is None else divisor
    changed = array.copy()
    changed[chosen] = (values - mean) / (deviation or 1.0)
    return changed
