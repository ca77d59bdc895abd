"""The numbers of a perfusion report: areas, and how contrast arrives.

Semi-quantitative only. Signal is not proportional to concentration, so slopes are in the image's
own units and only their ratio to the blood pool's, the relative upslope, can be compared between
series.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.features import (
    Baseline,
    Features,
    baseline_of,
    features_of,
    mean_curve,
    upslope,
)
from pipeline.analyses.perfusion.result import (
    BLOOD_POOL,
    MYOCARDIUM,
    SliceResult,
    TimeIntensityCurves,
)
from pipeline.analyses.perfusion.sequence import ReadOut, concentrations
from pipeline.imaging.volume import Volume
from pipeline.study import Measurement

__all__ = ["mean_curve", "measure", "notes_on_curves", "upslope"]

STRUCTURES = (("myocardium", MYOCARDIUM), ("blood_pool", BLOOD_POOL))
"""Structures that are measured, and their values in the segmentation."""


def measure(
    segmentation: Volume,
    slices: tuple[SliceResult, ...],
    curves: TimeIntensityCurves,
    *,
    times_are_estimated: bool,
    read_out: ReadOut | None = None,
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
    read_out
        The sequence; None where it is not known.
    """
    step = "{beat}" if times_are_estimated else "s"
    found: list[Measurement] = []
    for result in slices:
        if result.chosen_member is not None:
            found += _areas(segmentation, result.slice_index)
            found += _contrast(curves, result.slice_index, step, read_out)
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


def told(features: Features, step: str) -> Iterator[tuple[str, float, str]]:
    """Yield name, value and unit of each number that a curve tells.

    Parameters
    ----------
    features
        What it tells.
    step
        Unit of its times: ``s``, or ``{beat}`` where a beat stands for a second.
    """
    units = {
        "baseline": "{intensity}",
        "noise": "{intensity}",
        "arrival_time": step,
        "time_to_peak": step,
        "peak_enhancement": "{intensity}",
        "upslope": f"{{intensity}}/{step}",
        "area": f"{{intensity}}.{step}",
        "contrast_ratio": "1",
        "contrast_to_noise": "1",
    }
    for name, unit in units.items():
        value = getattr(features, name)
        if value is not None:
            yield name, value, unit


def notes_on_curves(slices: Sequence[SliceResult], curves: TimeIntensityCurves) -> Iterator[str]:
    """Yield the slices whose series does not show the time before contrast arrives."""
    for index in (s.slice_index for s in slices if s.chosen_member is not None):
        if baseline_of(curves.blood_pool[:, index], curves.times_s[:, index]) is None:
            yield (
                f"slice {index}: no baseline: the series does not show the blood before contrast "
                "arrives; only upslopes are told"
            )


def relative(
    wall: NDArray[np.float64],
    blood: NDArray[np.float64],
    times_s: NDArray[np.float64],
    sequence: tuple[Baseline | None, ReadOut | None],
) -> Iterator[tuple[str, float]]:
    """Yield the upslope of a wall over that of the blood: of signals, and of concentrations.

    Parameters
    ----------
    wall, blood
        Mean intensities. Shape ``(beats,)``.
    times_s
        Time of each beat [s]. Shape ``(beats,)``.
    sequence
        The time before contrast arrives and the sequence, as far as they are known: without them
        there are no concentrations.
    """
    before, read_out = sequence
    pairs = {"relative_upslope": (wall, blood)}
    if read_out is not None:
        pairs["relative_upslope_concentration"] = (
            concentrations(wall, before, read_out.myocardium),
            concentrations(blood, before, read_out.blood),
        )
    for name, (of_wall, of_blood) in pairs.items():
        slope, reference = upslope(of_wall, times_s), upslope(of_blood, times_s)
        if np.isfinite(slope) and reference > 0:
            yield name, slope / reference


def _contrast(
    curves: TimeIntensityCurves, index: int, step: str, read_out: ReadOut | None
) -> Iterator[Measurement]:
    """Yield what each structure's curve tells on a slice, and the relative upslopes."""
    times = curves.times_s[:, index]
    wall, blood = curves.myocardium[:, index], curves.blood_pool[:, index]
    before = baseline_of(blood, times)
    for structure, curve in (("myocardium", wall), ("blood_pool", blood)):
        for name, value, unit in told(features_of(curve, times, before), step):
            yield Measurement(
                name=f"{structure}_{name}",
                value=value,
                unit=unit,
                slice_index=index,
                structure=structure,
            )
    for name, value in relative(wall, blood, times, (before, read_out)):
        yield Measurement(
            name=name, value=value, unit="1", slice_index=index, structure="myocardium"
        )
