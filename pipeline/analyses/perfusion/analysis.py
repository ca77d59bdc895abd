"""The perfusion analysis: from a series over time to segmentation, uncertainty and measurements."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.aha import SegmentedSlice, measure_segments
from pipeline.analyses.perfusion.flow.measure import flow_notes, measure_flow
from pipeline.analyses.perfusion.measure import mean_curve, measure, notes_on_curves
from pipeline.analyses.perfusion.motion import motion_mm
from pipeline.analyses.perfusion.networks import Pool
from pipeline.analyses.perfusion.oneslice import SliceAnalysis, analyse_slice, signs_on
from pipeline.analyses.perfusion.prepare import motion_course
from pipeline.analyses.perfusion.residual import LARGE_RESIDUAL_MM, residual_motion_mm
from pipeline.analyses.perfusion.result import (
    BLOOD_POOL,
    MYOCARDIUM,
    PerfusionEvidence,
    PerfusionResult,
    SliceResult,
    TimeIntensityCurves,
)
from pipeline.analyses.perfusion.sequence import read_out_of
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.perfusion.state import state_of
from pipeline.analyses.perfusion.trust import assess, trust_notes
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.blas import one_thread
from pipeline.errors import AnalysisFailed
from pipeline.imaging.volume import TimeSeries, Volume
from pipeline.study import InputSeries

DESCRIPTIONS = ("SeriesDescription", "ProtocolName")
"""Attributes that say whether a series was taken at rest or under stress."""

SIGNALS = "slopes are those of signals, not of concentrations"
"""Beginning of the note on a series whose sequence is not known."""

LOW_CONFIDENCE = 0.1
"""Below this confidence of the locator the result carries a note: real series have 0.18 to 0.95."""

TOLD_OFFSET_MM = 0.5
"""From here on the result tells how far endocardial contours were moved [mm]: it is up to 0.2 where
pixels are like those of the training."""


def analyse(
    series: InputSeries,
    pool: Pool,
    settings: PerfusionSettings,
    progress: Callable[[float], None] = lambda _: None,
) -> PerfusionResult:
    """Analyse a perfusion series.

    Linear algebra is done on one thread: low-rank models of a series are small, and the number of
    cores changes no result.

    Parameters
    ----------
    series
        The series, loaded and checked.
    pool
        The networks.
    settings
        What the site has set.
    progress
        Called with the share of the work that is done, 0 to 1.

    Raises
    ------
    AnalysisFailed
        If no member of the pool finds a plausible myocardium on any slice.
    """
    stopwatch = Stopwatch()
    found = []
    with one_thread():
        for index in range(series.image.n_slices):
            found.append(analyse_slice(series, index, (pool, settings), stopwatch))
            progress((index + 1) / series.image.n_slices)
        with stopwatch.stage("measure"):
            return _assemble(series, found, (pool, settings), stopwatch)


def _assemble(
    series: InputSeries,
    found: list[SliceAnalysis],
    model: tuple[Pool, PerfusionSettings],
    stopwatch: Stopwatch,
) -> PerfusionResult:
    """Put the slices together on the series' grid."""
    pool, settings = model
    if all(f.chosen is None for f in found):
        reasons = {s.implausible for f in found for s in f.scores if s.implausible}
        raise AnalysisFailed(
            f"no member of the pool finds a plausible myocardium on any of {len(found)} slices: "
            f"{'; '.join(sorted(reasons))}"
        )
    image = series.image
    segmentation, uncertainty = _maps(image, found)
    curves = _curves(image.times_s, found)
    stated = read_out_of(series.header)
    read_out = None if isinstance(stated, str) else stated
    segmented = list(_segmented_slices(found))
    aha = measure_segments(segmented, image, read_out)
    flow = measure_flow(segmented, image, aha, settings.flow, read_out, series.arterial)
    slices = tuple(_slice_result(series, i, f, curves, pool) for i, f in enumerate(found))
    trust = assess(signs_on(found), pool.trust)
    return PerfusionResult(
        segmentation=segmentation,
        uncertainty=uncertainty,
        slices=slices,
        curves=curves,
        measurements=measure(
            segmentation,
            slices,
            curves,
            times_are_estimated=image.times_are_estimated,
            read_out=read_out,
        ),
        notes=(
            *_notes(found, settings),
            *trust_notes(trust),
            *([f"{SIGNALS}: {stated}"] if isinstance(stated, str) else []),
            *notes_on_curves(slices, curves),
            *aha.notes,
            *flow_notes(flow, image),
        ),
        stage_seconds=stopwatch.seconds,
        aha=aha,
        state=state_of(_described_as(series), settings.rest_words, settings.stress_words),
        motion=motion_course([f.prepared for f in found]),
        flow=flow,
        evidence=_evidence(found, pool),
        trust=trust,
    )


def _maps(image: TimeSeries, found: list[SliceAnalysis]) -> tuple[Volume, Volume]:
    """Return segmentation and uncertainty of all slices on the series' grid."""
    segmentation = np.zeros(image.array.shape[1:], dtype=np.uint8)
    uncertainty = np.zeros(image.array.shape[1:], dtype=np.float32)
    for index, one in enumerate(found):
        if one.final is not None:
            segmentation[index] = one.segmentation(one.final.probabilities)
            uncertainty[index] = one.prepared.grid.to_slice(one.final.uncertainty, one.shape)
    return image.volume_like(segmentation), image.volume_like(uncertainty)


def _segmented_slices(found: list[SliceAnalysis]) -> Iterator[SegmentedSlice]:
    """Yield the slices on which a member was chosen, on the model's grid."""
    for index, one in enumerate(found):
        classes = one.classes
        if classes is not None:
            yield SegmentedSlice(
                slice_index=index,
                square=one.prepared.square,
                classes=classes,
                grid=one.prepared.grid,
                shifts_mm=one.prepared.shifts_mm,
            )


def _described_as(series: InputSeries) -> Iterator[str]:
    """Yield what a series is called: by its descriptions, or by its file's name."""
    if series.header is None:
        yield series.label
        return
    for keyword in DESCRIPTIONS:
        yield str(series.header.get(keyword, ""))


def _evidence(found: list[SliceAnalysis], pool: Pool) -> PerfusionEvidence:
    """Return what every member found on every slice."""
    members = range(len(pool.names))
    drawn = [[_drawn(f, m) for f in found] for m in members]
    squares = [f.prepared.square for f in found]
    return PerfusionEvidence(
        members=pool.names,
        labels=np.array([[_member_segmentation(f, m) for f in found] for m in members]),
        myocardium=np.array([_member_curves(squares, d, MYOCARDIUM) for d in drawn]),
        blood_pool=np.array([_member_curves(squares, d, BLOOD_POOL) for d in drawn]),
        shifts_mm=np.stack([f.prepared.shifts_mm for f in found], axis=1),
    )


def _drawn(found: SliceAnalysis, member: int) -> NDArray[np.uint8]:
    """Return a member's classes on the model's grid; background where it was not run."""
    if member >= len(found.maps):
        return np.zeros(found.prepared.square.shape[1:], dtype=np.uint8)
    return found.drawn(found.maps[member].probabilities)


def _member_curves(
    squares: Sequence[NDArray[np.float32]], drawn: Sequence[NDArray[np.uint8]], structure: int
) -> NDArray[np.float64]:
    """Return a member's curve of a structure on every slice. Shape ``(beats, slices)``."""
    curves = [mean_curve(s, d == structure) for s, d in zip(squares, drawn, strict=True)]
    return np.stack(curves, axis=1)


def _member_segmentation(found: SliceAnalysis, member: int) -> NDArray[np.uint8]:
    """Return a member's own segmentation of a slice; empty where it was not run."""
    if member >= len(found.maps):
        return np.zeros(found.shape, dtype=np.uint8)
    return found.segmentation(found.maps[member].probabilities)


def _curves(times_s: NDArray[np.float64], found: list[SliceAnalysis]) -> TimeIntensityCurves:
    """Return the time-intensity curves of both structures on every slice."""
    curves = {
        MYOCARDIUM: np.full(times_s.shape, np.nan),
        BLOOD_POOL: np.full(times_s.shape, np.nan),
    }
    for index, slice_analysis in enumerate(found):
        classes = slice_analysis.classes
        if classes is not None:
            for value, curve in curves.items():
                curve[:, index] = mean_curve(slice_analysis.prepared.square, classes == value)
    return TimeIntensityCurves(
        times_s=times_s, myocardium=curves[MYOCARDIUM], blood_pool=curves[BLOOD_POOL]
    )


def _slice_result(
    series: InputSeries,
    index: int,
    found: SliceAnalysis,
    curves: TimeIntensityCurves,
    pool: Pool,
) -> SliceResult:
    """Return the record of one slice."""
    prepared = found.prepared
    row, column = prepared.grid.centre
    x, y, z, _ = series.image.affine @ (index, row, column, 1.0)
    blood = curves.blood_pool[:, index]
    brightest = (
        int(blood.argmax())
        if np.isfinite(blood).all()
        else int(prepared.square.mean(axis=(1, 2)).argmax())
    )
    return SliceResult(
        slice_index=index,
        chosen_member=None if found.chosen is None else pool.names[found.chosen],
        members=found.scores,
        u_pp=found.u_pp,
        heart_centre_lps_mm=(float(x), float(y), float(z)),
        first_beat=prepared.first_beat,
        peak_beat=brightest,
        peak_shift_mm=(
            float(prepared.shifts_mm[brightest, 0]),
            float(prepared.shifts_mm[brightest, 1]),
        ),
        motion_mm=motion_mm(prepared.shifts_mm),
        residual_motion_mm=residual_motion_mm(prepared.remaining_mm),
    )


def _notes(found: list[SliceAnalysis], settings: PerfusionSettings) -> Iterator[str]:
    """Yield what a reader should know of the slices."""
    moved = max(one.prepared.endocardial_offset_mm for one in found)
    if moved >= TOLD_OFFSET_MM:
        yield (
            f"the pool's endocardial contours are moved outwards by {moved:.1f} mm: the pixels are "
            "finer than those that it learnt from"
        )
    for index, slice_analysis in enumerate(found):
        if slice_analysis.chosen is None:
            reasons = "; ".join(f"{s.member}: {s.implausible}" for s in slice_analysis.scores)
            yield f"slice {index}: no plausible myocardium, nothing is segmented ({reasons})"
        elif slice_analysis.u_pp > settings.flag_u_pp:
            u_pp = slice_analysis.u_pp
            yield f"slice {index}: uncertain, U_pp {u_pp:.4f} above {settings.flag_u_pp:g}"
        if slice_analysis.place_rank > 1:
            yield (
                f"slice {index}: no myocardium, or one that the pool is unsure of, where the heart "
                f"was likeliest; found at place {slice_analysis.place_rank}"
            )
        left = residual_motion_mm(slice_analysis.prepared.remaining_mm)
        if left > LARGE_RESIDUAL_MM:
            yield f"slice {index}: the heart still moves by {left:.1f} mm after correction"
        if slice_analysis.prepared.confidence < LOW_CONFIDENCE:
            yield (
                f"slice {index}: heart found with a confidence of only "
                f"{slice_analysis.prepared.confidence:.2f}"
            )
