"""Statistics of images, raw data and video: cheap, since every job pays for them.

Intensities are taken from at most ``SAMPLES`` values at fixed steps, so that the same series gives
the same numbers.

References
----------
.. [DON1994] D. L. Donoho, I. M. Johnstone, Ideal spatial adaptation by wavelet shrinkage,
   Biometrika 81:425 (1994), doi:10.1093/biomet/81.3.425: noise from the median of the finest
   diagonal details.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.imaging.volume import TimeSeries
from pipeline.mr.kspace import KSpace
from pipeline.mr.noise import estimated_noise
from pipeline.study import VideoSeries

SAMPLES = 100_000
"""Values that quantiles are taken of."""

NOISE_FRAMES = 6
"""Images that the noise is estimated on."""

STILLS = 5
"""Pictures of a video that its brightness is taken of."""

MEDIAN_TO_SIGMA = 0.6745
"""Median of the magnitude of normal noise of deviation 1."""

QUANTILES = (5, 50, 95, 99)
"""Quantiles of the intensities that are kept [%]."""

RGB_TO_LUMA = (0.2126, 0.7152, 0.0722)
"""Share of each channel in brightness, ITU-R BT.709."""


def image_numbers(image: TimeSeries) -> dict[str, float]:
    """Return the statistics of a series over time."""
    slice_mm, row_mm, column_mm = image.spacing_mm
    n_beats, n_slices, rows, columns = image.array.shape
    found = {
        "row_spacing_mm": row_mm,
        "column_spacing_mm": column_mm,
        "rows": float(rows),
        "columns": float(columns),
        "slices": float(n_slices),
        "beats": float(n_beats),
        **_intensities(image.array),
    }
    if n_slices > 1:
        found["slice_spacing_mm"] = slice_mm
    if n_beats > 1 and not image.times_are_estimated:
        found["beat_s"] = float(np.median(np.diff(image.times_s, axis=0)))
    return _finite(found)


def raw_numbers(kspace: KSpace) -> dict[str, float]:
    """Return the statistics of raw data; the noise is that of the first frame's middle slice."""
    frame = kspace.array[0, kspace.n_slices // 2]
    mask = kspace.mask[0, kspace.n_slices // 2]
    measured = np.abs(frame[:, mask])
    signal = float(np.sqrt(np.mean(np.square(measured, dtype=np.float64)))) if measured.size else 0
    noise = kspace.noise_sigma
    if noise is None:
        noise = estimated_noise(frame, mask)
    rows, columns = kspace.image_shape
    found = {
        "coils": float(kspace.n_coils),
        "acceleration": kspace.acceleration,
        "frames": float(kspace.n_frames),
        "slices": float(kspace.n_slices),
        "rows": float(rows),
        "columns": float(columns),
        "signal": signal,
        "noise": noise,
        "noise_relative": noise / signal if signal else np.nan,
    }
    if kspace.pixel_spacing_mm is not None:
        found["row_spacing_mm"], found["column_spacing_mm"] = kspace.pixel_spacing_mm
    return _finite(found)


def video_numbers(series: VideoSeries) -> dict[str, float]:
    """Return the statistics of a video; a few pictures are sought, and none decoded up to."""
    found = {"rows": float(series.rows), "columns": float(series.columns)}
    if series.frame_rate_hz is not None:
        found["frame_rate_hz"] = series.frame_rate_hz
    if series.duration_seconds:
        found["duration_s"] = series.duration_seconds
        found |= _brightness(series, series.duration_seconds)
    return _finite(found)


def noise_sigma(frames: NDArray[np.float32]) -> float:
    """Return the deviation of the noise in images, from their finest diagonal details [DON1994]_.

    Squares of four pixels that are all the same hold no noise: they lie outside of what was imaged.

    Parameters
    ----------
    frames
        Shape ``(frames, rows, columns)``.
    """
    even = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
    a, b = even[:, ::2, ::2], even[:, ::2, 1::2]
    c, d = even[:, 1::2, ::2], even[:, 1::2, 1::2]
    details = np.abs(a - b - c + d)[(a != b) | (a != c) | (a != d)] / 2.0
    return float(np.median(details)) / MEDIAN_TO_SIGMA if details.size else 0.0


def _intensities(array: NDArray[np.float32]) -> dict[str, float]:
    """Return what intensities are like. Shape of the array ``(beats, slices, rows, columns)``."""
    flat = array.reshape(-1)
    values = flat[:: max(1, flat.size // SAMPLES)].astype(np.float64)
    quantiles = [float(v) for v in np.percentile(values, QUANTILES)]
    low, _, high, _ = quantiles
    frames = array.reshape(-1, *array.shape[-2:])
    some = frames[:: max(1, len(frames) // NOISE_FRAMES)][:NOISE_FRAMES]
    noise = noise_sigma(some)
    coarse = array[:, :, ::4, ::4]
    moves = np.ptp(coarse, axis=0)
    return {
        **{f"intensity_p{q:02}": v for q, v in zip(QUANTILES, quantiles, strict=True)},
        "intensity_mean": float(values.mean()),
        "contrast": (high - low) / (high + low) if high + low > 0 else np.nan,
        "enhancement": float(np.percentile(moves, 95)) / high if high > 0 else np.nan,
        "noise": noise,
        "noise_relative": noise / high if high > 0 else np.nan,
    }


def _brightness(series: VideoSeries, duration_s: float) -> dict[str, float]:
    """Return how bright a few pictures of a video are, 0 to 1; nothing if none can be had."""
    lumas = []
    for number in range(STILLS):
        try:
            picture = series.still(duration_s * (number + 0.5) / STILLS)
        except PipelineError:
            continue
        if picture is not None:
            lumas.append(float((picture.rgb[::4, ::4] @ np.array(RGB_TO_LUMA)).mean()) / 255.0)
    if not lumas:
        return {}
    return {"brightness": float(np.mean(lumas)), "brightness_range": float(np.ptp(lumas))}


def _finite(found: dict[str, float]) -> dict[str, float]:
    """Return the numbers that are finite."""
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}
