"""The numbers of a perfusion report: areas, and how fast contrast arrives.

Semi-quantitative only. Signal is not proportional to concentration, so slopes are in the image's
own units and only their ratio to the blood pool's, the relative upslope, can be compared between
series.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.result import (
    BLOOD_POOL,
    MYOCARDIUM,
    SliceResult,
    TimeIntensityCurves,
)
from pipeline.imaging.volume import Volume
from pipeline.study import Measurement

STRUCTURES = (("myocardium", MYOCARDIUM), ("blood_pool", BLOOD_POOL))
"""Structures that are measured, and their values in the segmentation."""

UPSLOPE_BEATS = 4
"""Beats of the line that is fitted to the steepest rise (three to five are usual)."""


def mean_curve(frames: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean intensity under a mask over time; NaN where the mask is empty.

    Parameters
    ----------
    frames
        Shape ``(beats, rows, columns)``.
    mask
        Shape ``(rows, columns)``.

    Returns
    -------
        Shape ``(beats,)``.
    """
    if not mask.any():
        return np.full(len(frames), np.nan)
    curve: NDArray[np.float64] = frames[:, mask].mean(axis=1, dtype=np.float64)
    return curve


def upslope(curve: NDArray[np.float64], times_s: NDArray[np.float64]) -> float:
    """Return the steepest slope of a line through neighbouring beats up to the curve's peak.

    Parameters
    ----------
    curve
        Mean intensity. Shape ``(beats,)``.
    times_s
        Time of each beat [s]. Shape ``(beats,)``.

    Returns
    -------
        Slope [intensity per second]; NaN where the curve is NaN or too short.
    """
    if not np.isfinite(curve).all() or len(curve) < UPSLOPE_BEATS:
        return float("nan")
    last = max(int(curve.argmax()) + 1, UPSLOPE_BEATS)
    slopes = [
        np.polyfit(times_s[i : i + UPSLOPE_BEATS], curve[i : i + UPSLOPE_BEATS], 1)[0]
        for i in range(last - UPSLOPE_BEATS + 1)
    ]
    return float(max(slopes))


def measure(
    segmentation: Volume,
    slices: tuple[SliceResult, ...],
    curves: TimeIntensityCurves,
    *,
    times_are_estimated: bool,
) -> tuple[Measurement, ...]:
    """Return the measurements of every slice on which a member was chosen.

    Parameters
    ----------
    segmentation
        Segmentation on the series' grid.
    slices
        What was found on each slice.
    curves
        Time-intensity curves.
    times_are_estimated
        True where a beat stands for a second: slopes are then for a beat.
    """
    step = "{beat}" if times_are_estimated else "s"
    found: list[Measurement] = []
    for result in slices:
        if result.chosen_member is not None:
            found += _areas(segmentation, result.slice_index)
            found += _upslopes(curves, result.slice_index, f"{{intensity}}/{step}")
            found += _of_slice(result)
    return tuple(found)


def _of_slice(result: SliceResult) -> Iterator[Measurement]:
    """Yield what is known of a slice as a whole."""
    values = (
        ("u_pp", result.u_pp, "1"),
        ("motion_mm", result.motion_mm, "mm"),
        ("residual_motion_mm", result.residual_motion_mm, "mm"),
    )
    for name, value, unit in values:
        if name == "u_pp" or np.isfinite(value):
            yield Measurement(name=name, value=value, unit=unit, slice_index=result.slice_index)


def _areas(segmentation: Volume, index: int) -> Iterator[Measurement]:
    """Yield the area of each structure on a slice."""
    _, row_spacing, column_spacing = segmentation.spacing_mm
    for name, value in STRUCTURES:
        yield Measurement(
            name=f"{name}_area_mm2",
            value=float((segmentation.array[index] == value).sum()) * row_spacing * column_spacing,
            unit="mm2",
            slice_index=index,
            structure=name,
        )


def _upslopes(curves: TimeIntensityCurves, index: int, unit: str) -> Iterator[Measurement]:
    """Yield each structure's upslope on a slice, and the myocardium's relative to the blood's."""
    times = curves.times_s[:, index]
    slopes = {
        "myocardium": upslope(curves.myocardium[:, index], times),
        "blood_pool": upslope(curves.blood_pool[:, index], times),
    }
    for name, value in slopes.items():
        if np.isfinite(value):
            yield Measurement(
                name=f"{name}_upslope", value=value, unit=unit, slice_index=index, structure=name
            )
    if np.isfinite(list(slopes.values())).all() and slopes["blood_pool"] > 0:
        yield Measurement(
            name="relative_upslope",
            value=slopes["myocardium"] / slopes["blood_pool"],
            unit="1",
            slice_index=index,
            structure="myocardium",
        )
