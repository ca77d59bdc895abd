"""A perfusion result whose segmentation a person has corrected, measured anew.

Slices whose labels have not changed keep their measurements to the last digit. The others are
measured by the analysis's own code: motion is corrected around the place of the heart, and areas,
curves and slopes are those of the corrected labels. The networks are not run.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.aha import Insertions, SegmentedSlice, measure_segments
from pipeline.analyses.perfusion.flow.measure import flow_notes, measure_flow
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.locate import Place
from pipeline.analyses.perfusion.measure import mean_curve, measure, notes_on_curves
from pipeline.analyses.perfusion.motion import motion_mm
from pipeline.analyses.perfusion.prepare import PreparedSlice, motion_course, prepare_slice
from pipeline.analyses.perfusion.residual import residual_motion_mm
from pipeline.analyses.perfusion.result import (
    BLOOD_POOL,
    MYOCARDIUM,
    AhaResult,
    PerfusionResult,
    SliceResult,
    TimeIntensityCurves,
)
from pipeline.analyses.perfusion.sequence import ReadOut
from pipeline.analyses.perfusion.settings import FLOW_OF_SIGNALS, ModelGrid
from pipeline.errors import AnalysisFailed
from pipeline.imaging.volume import TimeSeries, Volume
from pipeline.study import ArterialImages, Measurement

DRAWN = "contours by a reader"
"""What stands for the chosen member of a slice that a person has drawn on."""

MADE_ANEW = re.compile(r"(slice \d+: )?(no segments|segments|no baseline|no flow|flow):")
"""Notes on segments, baselines and flow: those of the corrected slices take their place."""

OF_TRUST = re.compile(r"slice (\d+): the segmentation is not trusted")
"""Notes on trust: those of corrected slices are dropped, a reader has looked at them."""

CLASSES = (0, MYOCARDIUM, BLOOD_POOL)
"""Values of a segmentation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A result as it was before it was corrected."""

    segmentation: Volume
    """uint8 on the grid of the series."""

    uncertainty: Volume
    """float32 on the grid of the series."""

    slices: tuple[SliceResult, ...]
    """What was found on each slice."""

    measurements: tuple[Measurement, ...]
    """The numbers of the report."""

    notes: tuple[str, ...]
    """What a reader should know."""

    aha: AhaResult = field(default_factory=AhaResult)
    """The segments of the American Heart Association."""

    state: str | None = None
    """``rest`` or ``stress``; None where that is not known."""

    flow_of_signals: str = FLOW_OF_SIGNALS[0]
    """What the site had done with a series of signals where flow is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a reader says of a result beside its labels."""

    members: Mapping[int, str] = field(default_factory=dict)
    """The member of the pool that labels were taken from, by slice; other slices were drawn."""

    insertions: Mapping[int, Insertions] = field(default_factory=dict)
    """Where the right ventricle meets the left one, by slice; on others it is found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Acquired:
    """How a series was acquired."""

    read_out: ReadOut | None = None
    """Its sequence; None where it is not known."""

    arterial: ArterialImages | None = None
    """Images of a dual sequence that sample its arterial input; None where there are none."""


def remeasured(
    image: TimeSeries,
    before: Found,
    labels: NDArray[np.uint8],
    model: tuple[ModelGrid, str],
    said: Said | None = None,
    acquired: Acquired | None = None,
) -> PerfusionResult:
    """Return a result with other labels, or other insertions of the right ventricle.

    Parameters
    ----------
    image
        The series.
    before
        The result.
    labels
        The corrected labels. Shape ``(slices, rows, columns)``.
    model
        The grid that the bundle's pool was trained on, and how motion is corrected.
    said
        What the reader has said beside the labels.
    acquired
        How the series was acquired, as far as that is known.

    Raises
    ------
    AnalysisFailed
        If no slice has a myocardium any more.
    """
    if not (labels == MYOCARDIUM).any():
        raise AnalysisFailed("the corrected labels hold no myocardium on any slice")
    said, acquired = said or Said(), acquired or Acquired()
    read_out = acquired.read_out
    chosen, insertions = said.members, said.insertions
    prepared = [_prepared(image, before, labels, index, model) for index in range(image.n_slices)]
    curves = _curves(image.times_s, prepared, labels)
    changed = [bool((labels[i] != before.segmentation.array[i]).any()) for i in range(len(labels))]
    slices = tuple(
        _corrected(found, prepared[i], (labels[i], curves), chosen.get(i)) if changed[i] else found
        for i, found in enumerate(before.slices)
    )
    volume = image.volume_like(labels)
    measured = measure(
        volume,
        slices,
        curves,
        times_are_estimated=image.times_are_estimated,
        read_out=read_out,
    )
    segmented = list(_segmented(slices, prepared, labels, insertions))
    anew = measure_segments(segmented, image, read_out)
    aha = _segments(before.aha, anew, [c or i in insertions for i, c in enumerate(changed)])
    flow = measure_flow(segmented, image, aha, before.flow_of_signals, read_out, acquired.arterial)
    kept = tuple(
        note
        for note in before.notes
        if not MADE_ANEW.match(note) and not ((of := OF_TRUST.match(note)) and changed[int(of[1])])
    )
    return PerfusionResult(
        segmentation=volume,
        uncertainty=before.uncertainty,
        slices=slices,
        curves=curves,
        measurements=tuple(_merged(before.measurements, measured, changed)),
        notes=(
            *kept,
            *_notes(slices, changed, said),
            *notes_on_curves(slices, curves),
            *aha.notes,
            *flow_notes(flow, image),
        ),
        stage_seconds={},
        aha=aha,
        state=before.state,
        motion=motion_course(prepared),
        flow=flow,
    )


def changed_slices(before: Volume, labels: NDArray[np.uint8]) -> tuple[int, ...]:
    """Return the slices, from 0, on which labels differ."""
    return tuple(i for i in range(len(labels)) if (labels[i] != before.array[i]).any())


def on_square(labels: NDArray[np.uint8], grid: SliceGrid) -> NDArray[np.uint8]:
    """Return the labels of a slice on the model's square: each point's most present class.

    Parameters
    ----------
    labels
        Shape ``(rows, columns)``.
    grid
        Where the square lies.

    Returns
    -------
        Shape ``(size, size)``.
    """
    present = [(labels == value).astype(np.float32) for value in CLASSES]
    sampled = grid.resample(np.stack(present), np.zeros((len(CLASSES), 2)))
    classes: NDArray[np.uint8] = np.array(CLASSES, dtype=np.uint8)[sampled.argmax(axis=0)]
    return classes


def _prepared(
    image: TimeSeries,
    before: Found,
    labels: NDArray[np.uint8],
    index: int,
    model: tuple[ModelGrid, str],
) -> PreparedSlice:
    """Return a slice corrected for motion, around its heart."""
    frames = image.array[:, index]
    spacing = image.spacing_mm[1:]
    centre = _centre(image, before.slices[index], labels[index])
    return prepare_slice(frames, spacing, Place(centre=centre, confidence=1.0), *model)


def _centre(
    image: TimeSeries, found: SliceResult, labels: NDArray[np.uint8]
) -> tuple[float, float]:
    """Return the centre of the heart on a slice, ``(row, column)`` [pixels].

    Where the analysis found none, it is the middle of what was drawn.
    """
    drawn = np.argwhere(labels > 0)
    if found.chosen_member is None and len(drawn):
        row, column = drawn.mean(axis=0)
        return float(row), float(column)
    inverse = np.linalg.inv(image.affine)
    _, row, column, _ = inverse @ (*found.heart_centre_lps_mm, 1.0)
    return float(row), float(column)


def _curves(
    times_s: NDArray[np.float64], prepared: list[PreparedSlice], labels: NDArray[np.uint8]
) -> TimeIntensityCurves:
    """Return the time-intensity curves of both structures on every slice."""
    curves = {
        MYOCARDIUM: np.full(times_s.shape, np.nan),
        BLOOD_POOL: np.full(times_s.shape, np.nan),
    }
    for index, ready in enumerate(prepared):
        classes = on_square(labels[index], ready.grid)
        for value, curve in curves.items():
            curve[:, index] = mean_curve(ready.square, classes == value)
    return TimeIntensityCurves(
        times_s=times_s, myocardium=curves[MYOCARDIUM], blood_pool=curves[BLOOD_POOL]
    )


def _corrected(
    found: SliceResult,
    prepared: PreparedSlice,
    made: tuple[NDArray[np.uint8], TimeIntensityCurves],
    member: str | None,
) -> SliceResult:
    """Return the record of a slice whose labels have changed."""
    labels, curves = made
    blood = curves.blood_pool[:, found.slice_index]
    beat = int(blood.argmax()) if np.isfinite(blood).all() else found.peak_beat
    scores = {score.member: score.u_pp for score in found.members}
    empty = not (labels == MYOCARDIUM).any()
    row_mm, column_mm = prepared.shifts_mm[beat]
    return replace(
        found,
        chosen_member=None if empty else member or DRAWN,
        u_pp=float("inf") if empty or member is None else scores[member],
        peak_beat=beat,
        peak_shift_mm=(float(row_mm), float(column_mm)),
        motion_mm=motion_mm(prepared.shifts_mm),
        residual_motion_mm=residual_motion_mm(prepared.remaining_mm),
    )


def _segmented(
    slices: tuple[SliceResult, ...],
    prepared: list[PreparedSlice],
    labels: NDArray[np.uint8],
    insertions: Mapping[int, Insertions],
) -> Iterator[SegmentedSlice]:
    """Yield the slices that have a myocardium, on the model's grid."""
    for index, ready in enumerate(prepared):
        if slices[index].chosen_member is not None:
            yield SegmentedSlice(
                slice_index=index,
                square=ready.square,
                classes=on_square(labels[index], ready.grid),
                grid=ready.grid,
                insertions=insertions.get(index),
                shifts_mm=ready.shifts_mm,
            )


def _segments(before: AhaResult, anew: AhaResult, changed: list[bool]) -> AhaResult:
    """Return the segments: of slices that have not changed as before, if their heights are too."""
    heights = {s.slice_index: s.level for s in anew.slices}
    unchanged = [s for s in before.slices if not changed[s.slice_index]]
    if any(heights.get(s.slice_index) != s.level for s in unchanged):
        return anew
    kept = {s.slice_index for s in unchanged}
    slices = [*unchanged, *(s for s in anew.slices if s.slice_index not in kept)]
    old = [m for m in before.measurements if m.slice_index in kept]
    measurements = [*old, *(m for m in anew.measurements if m.slice_index not in kept)]
    return replace(
        anew,
        slices=tuple(sorted(slices, key=lambda s: s.slice_index)),
        measurements=tuple(sorted(measurements, key=lambda m: m.slice_index)),
    )


def _merged(
    before: tuple[Measurement, ...], measured: tuple[Measurement, ...], changed: list[bool]
) -> Iterator[Measurement]:
    """Yield what was measured: anew on slices that have changed, as before on the others.

    What a person has drawn has no uncertainty. What is of no slice is of the whole as it was, and
    is left out.
    """
    for index, is_changed in enumerate(changed):
        for each in measured if is_changed else before:
            if each.slice_index == index and np.isfinite(each.value):
                yield each


def _notes(slices: tuple[SliceResult, ...], changed: list[bool], said: Said) -> Iterator[str]:
    """Yield how slices were corrected."""
    for index, is_changed in enumerate(changed):
        if is_changed and slices[index].chosen_member is None:
            yield f"slice {index}: a reader has removed the contours"
        elif is_changed and index in said.members:
            yield f"slice {index}: a reader has chosen {said.members[index]}"
        elif is_changed:
            yield f"slice {index}: a reader has drawn the contours"
        if index in said.insertions:
            yield f"slice {index}: a reader has set the insertions"
