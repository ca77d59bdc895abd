"""The arterial input of a dual sequence: from its images of low resolution to blood.

The blood pool is that of the series' segmentation, brought to the images of low resolution by their
place in the patient, moved with the heart as in the series, whose beats they share, and then onto
the brightest blood beside it. Its contrast must come when that of the series' own pool does, and
not before it as that of the right ventricle.

The delay is too short for blood to have a signal before contrast comes: noise is as large, and what
is measured then says nothing of the signal ``S0`` of whole recovery. Others take it from images of
proton density [KEL2017]_. Here it is what makes both sequences tell the same concentration once the
bolus has passed, where the series' own images are not clipped.

References
----------
.. [KEL2017] P. Kellman et al., Myocardial perfusion cardiovascular magnetic resonance: optimized
   dual sequence and reconstruction for quantification, Journal of Cardiovascular Magnetic Resonance
   19:43 (2017), doi:10.1186/s12968-017-0355-5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.aha import SegmentedSlice
from pipeline.analyses.perfusion.concentration import (
    SaturationRecovery,
    concentration_of,
    relative_signal,
)
from pipeline.analyses.perfusion.features import mean_curve
from pipeline.analyses.perfusion.flow.bloodpool import (
    blood_core,
    brightest_with,
    centred_on,
    rise_s,
)
from pipeline.analyses.perfusion.flow.inputfunction import InputFunction, input_function
from pipeline.analyses.perfusion.flow.linear import IMPOSSIBLE, before_contrast
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.result import BLOOD_POOL
from pipeline.analyses.perfusion.sequence import ReadOut, read_out_of
from pipeline.imaging.volume import CONCENTRATION_UNIT, TimeSeries
from pipeline.study import ArterialImages

SHORT_DELAYS_S = (0.002, 0.1)
"""Delays of saturation recovery of a dual sequence [s]."""

SAME_SLICE_MM = 1.0
"""Largest distance of their slice from one of the series [mm]."""

LATEST_S = 4.0
"""Contrast of the pool comes so much later than in the series' own images at most [s]: where these
are clipped, they reach half of their peak early."""

MOST_OWN_SHARE = 0.75
"""Share of whole recovery up to which the series' own images tell the concentration of blood well
enough to scale others by."""

FEWEST_SHARED = 5
"""Beats after the peak that both sequences must tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DualInput:
    """An input function of a dual sequence."""

    slice_index: int
    """Slice of the series that its images show, from 0."""

    source: InputFunction
    """The input function [mmol/l]."""


def dual_input(
    found: Sequence[SegmentedSlice],
    image: TimeSeries,
    arterial: ArterialImages,
    own: ReadOut | None,
) -> DualInput | str:
    """Return the input function of a dual sequence, or why there is none.

    Parameters
    ----------
    found
        Slices on which the left ventricle was found.
    image
        The series.
    arterial
        Its images of the arterial input.
    own
        The sequence of the series; None where it is not known, or its values are concentrations.
    """
    low = _sequence(image, arterial, own)
    if isinstance(low, str):
        return low
    sequences = None if low is None or own is None else (own.blood, low)
    sound: list[DualInput] = []
    reasons: list[str] = []
    for one in found:
        square = _on_square(one, image, arterial.image)
        if square is None:
            continue
        values, times = square
        course = _course(one, image, (values, times), sequences)
        source = (
            course if isinstance(course, str) else input_function(times, course, in_mmol_l=True)
        )
        if isinstance(source, str):
            reasons.append(f"slice {one.slice_index}: {source}")
        else:
            sound.append(DualInput(slice_index=one.slice_index, source=source))
    if not sound:
        return "; ".join(reasons) or "the left ventricle was found on none of their slices"
    return max(sound, key=lambda each: float(each.source.blood[each.source.peak]))


def _sequence(
    image: TimeSeries, arterial: ArterialImages, own: ReadOut | None
) -> SaturationRecovery | str | None:
    """Return their sequence as blood is seen, None for concentrations, or why they are unusable."""
    if image.unit == CONCENTRATION_UNIT:
        same = arterial.image.unit == CONCENTRATION_UNIT
        return None if same else "they are signals, the series' own images concentrations"
    if arterial.image.unit == CONCENTRATION_UNIT:
        return "they are concentrations, the series' own images signals"
    if own is None:
        return "the sequence of the series' own images is not known"
    stated = read_out_of(arterial.header, SHORT_DELAYS_S)
    if isinstance(stated, str):
        return stated
    if stated.blood.delay_s >= own.blood.delay_s:
        return (
            f"their delay of {1e3 * stated.blood.delay_s:g} ms is not below that of the series' "
            f"own images, {1e3 * own.blood.delay_s:g} ms"
        )
    return stated.blood


def _on_square(
    one: SegmentedSlice, image: TimeSeries, low: TimeSeries
) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
    """Return what they show of a slice on its square, and when; None if they do not show it.

    They are taken along with the beat that they are of, so that breathing has moved the heart as
    far on both.
    """
    row, column = one.grid.centre
    place = image.affine @ (one.slice_index, row, column, 1.0)
    at, low_row, low_column, _ = (float(v) for v in np.linalg.inv(low.affine) @ place)
    index = round(at)
    is_inside = (
        0 <= index < low.n_slices
        and abs(at - index) * low.spacing_mm[0] <= SAME_SLICE_MM
        and 0 <= low_row < low.array.shape[2]
        and 0 <= low_column < low.array.shape[3]
    )
    if not is_inside:
        return None
    grid = SliceGrid(
        centre=(low_row, low_column),
        pixel_spacing_mm=low.spacing_mm[1:],
        size=one.grid.size,
        spacing_mm=one.grid.spacing_mm,
    )
    shifts = np.zeros((low.n_beats, 2)) if one.shifts_mm is None else one.shifts_mm
    return grid.resample(low.array[:, index], shifts), low.times_s[:, index]


def _course(
    one: SegmentedSlice,
    image: TimeSeries,
    seen: tuple[NDArray[np.float32], NDArray[np.float64]],
    sequences: tuple[SaturationRecovery, SaturationRecovery] | None,
) -> NDArray[np.float64] | str:
    """Return the concentration of the blood on a slice [mmol/l], or why it is not known.

    ``seen`` is what they show on the slice's square, and when; ``sequences`` are the series' own
    and theirs.
    """
    square, times = seen
    own_times = image.times_s[:, one.slice_index]
    core = blood_core(one.classes)
    own = mean_curve(one.square, core)
    if not (np.isfinite(own).all() and np.isfinite(square).all()):
        return "samples of blood have no value"
    step = float(np.median(np.diff(own_times)))
    square = centred_on(square, core, (times, rise_s(own_times, own) - step), one.grid.spacing_mm)
    low = mean_curve(square, core)
    early = rise_s(own_times, own) - rise_s(times, low)
    if early > step:
        return (
            f"contrast comes {early:.1f} s before that of the left ventricle's blood, as that of "
            "the right one does"
        )
    if early < -LATEST_S:
        return f"contrast comes {-early:.1f} s after that of the left ventricle's blood"
    points = square[:, one.classes == BLOOD_POOL].astype(np.float64)
    blood = brightest_with(times, points, low)
    if sequences is None:
        return blood
    before = before_contrast(one, image)
    if before is None:
        return "no baseline: the series does not show the blood before contrast arrives"
    known = concentration_of(own, float(own[: before.n_beats].mean()), sequences[0])
    whole = _whole_recovery((times, blood), (own_times, known), sequences)
    if whole is None:
        return (
            f"fewer than {FEWEST_SHARED} beats after the peak in which the series' own images tell "
            "the concentration, too"
        )
    baseline = whole * float(relative_signal(np.array(0.0), sequences[1]))
    course = concentration_of(blood, baseline, sequences[1])
    return course if np.isfinite(course).all() else f"clipped: the blood has {IMPOSSIBLE}"


def _whole_recovery(
    low: tuple[NDArray[np.float64], NDArray[np.float64]],
    own: tuple[NDArray[np.float64], NDArray[np.float64]],
    sequences: tuple[SaturationRecovery, SaturationRecovery],
) -> float | None:
    """Return their signal of whole recovery; None where too few beats tell it.

    ``low`` are times [s] and signals, ``own`` times [s] and concentrations [mmol/l] of the series.
    """
    times, blood = low
    own_times, known = own
    told = np.isfinite(known)
    share = relative_signal(np.where(told, known, 0.0), sequences[0])
    told &= (share <= MOST_OWN_SHARE) & (np.arange(len(known)) > int(blood.argmax()))
    if told.sum() < FEWEST_SHARED:
        return None
    # An error of the baseline counts the more the nearer the signal is to that of whole recovery.
    told &= share <= max(np.median(share[told]), np.sort(share[told])[FEWEST_SHARED - 1])
    expected = relative_signal(np.interp(times[told], own_times[told], known[told]), sequences[1])
    return float(blood[told] @ expected / (expected @ expected))
