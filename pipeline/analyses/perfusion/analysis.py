"""The perfusion analysis: from a series over time to segmentation, uncertainty and measurements."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.aha import SegmentedSlice, measure_segments
from pipeline.analyses.perfusion.flow.measure import flow_notes, measure_flow
from pipeline.analyses.perfusion.locate import likely_places
from pipeline.analyses.perfusion.measure import mean_curve, measure
from pipeline.analyses.perfusion.motion import residual_motion_mm
from pipeline.analyses.perfusion.networks import Pool
from pipeline.analyses.perfusion.pool import MemberMaps, Network, choose, score, sweep
from pipeline.analyses.perfusion.prepare import PreparedSlice, prepare_slice
from pipeline.analyses.perfusion.result import (
    BLOOD_POOL,
    MYOCARDIUM,
    MemberScore,
    PerfusionEvidence,
    PerfusionResult,
    SliceResult,
    TimeIntensityCurves,
)
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.perfusion.state import state_of
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.errors import AnalysisFailed
from pipeline.study import InputSeries

MODALITIES = ("MR", "NIFTI")
"""What a first-pass series comes as."""

DESCRIPTIONS = ("SeriesDescription", "ProtocolName")
"""Attributes that say whether a series was taken at rest or under stress."""

MINIMUM_BEATS = 12
"""Fewer beats cannot hold a first pass."""

LOW_CONFIDENCE = 0.1
"""Below this confidence of the locator the result carries a note: real series have 0.18 to 0.95."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceAnalysis:
    """All that was computed on one slice, also by the members that were not chosen."""

    prepared: PreparedSlice
    """The slice as the pool saw it."""

    maps: tuple[MemberMaps, ...]
    """Every member's maps."""

    scores: tuple[MemberScore, ...]
    """Every member's score."""

    chosen: int | None
    """Which member was chosen."""

    shape: tuple[int, int]
    """Rows and columns of the slice."""

    place_rank: int = 1
    """Which of the likely places of the heart it is, the likeliest being 1."""

    def segmentation(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return probabilities on the model's grid as classes on the slice.

        Probabilities are interpolated before the most probable class is taken, so that contours are
        not bound to the model's grid.

        Parameters
        ----------
        probabilities
            Shape ``(classes, size, size)``.

        Returns
        -------
            Class of each pixel. Shape ``(rows, columns)``.
        """
        on_slice = [
            self.prepared.grid.to_slice(p, self.shape, outside=float(index == 0))
            for index, p in enumerate(probabilities)
        ]
        classes: NDArray[np.uint8] = np.argmax(on_slice, axis=0).astype(np.uint8)
        return classes


def why_not(modality: str, n_beats: int) -> str | None:
    """Return why a series is not one for this analysis, or None if it is.

    Parameters
    ----------
    modality
        Modality (0008,0060), or ``NIFTI``.
    n_beats
        Time steps of the series.
    """
    if modality not in MODALITIES:
        return f"modality is {modality}, perfusion needs {' or '.join(MODALITIES)}"
    if n_beats < MINIMUM_BEATS:
        return f"{n_beats} time steps, perfusion needs at least {MINIMUM_BEATS}"
    return None


def analyse(
    series: InputSeries,
    pool: Pool,
    settings: PerfusionSettings,
    progress: Callable[[float], None] = lambda _: None,
) -> PerfusionResult:
    """Analyse a perfusion series.

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
    for index in range(series.image.n_slices):
        found.append(analyse_slice(series, index, (pool, settings), stopwatch))
        progress((index + 1) / series.image.n_slices)
    with stopwatch.stage("measure"):
        return _assemble(series, found, (pool, settings), stopwatch)


def analyse_slice(
    series: InputSeries,
    index: int,
    model: tuple[Pool, PerfusionSettings],
    stopwatch: Stopwatch,
) -> SliceAnalysis:
    """Run the whole pool on one slice.

    Parameters
    ----------
    series
        The series.
    index
        The slice, from 0.
    model
        The networks and what the site has set.
    stopwatch
        Takes the time of the stages ``locate``, ``prepare`` and ``infer``.
    """
    pool, _ = model
    frames = series.image.array[:, index]
    spacing = series.image.spacing_mm[1:]
    with stopwatch.stage("locate"):
        places = likely_places(frames, spacing, pool.locator)
    tried: list[SliceAnalysis] = []
    for place in places:
        with stopwatch.stage("prepare"):
            prepared = prepare_slice(frames, spacing, place, pool.grid)
        tried.append(_segmented(prepared, (frames.shape[1], frames.shape[2]), model, stopwatch))
        # A heart that no member finds plausible is looked for where it is next likely.
        if tried[-1].chosen is not None:
            return replace(tried[-1], place_rank=len(tried))
    return tried[0]


def _segmented(
    prepared: PreparedSlice,
    shape: tuple[int, int],
    model: tuple[Pool, PerfusionSettings],
    stopwatch: Stopwatch,
) -> SliceAnalysis:
    """Run every member on a slice that was made ready, and choose."""
    pool, settings = model
    with stopwatch.stage("infer"):
        maps = _sweep_all(prepared, pool, settings)
    scores = tuple(
        score(name, m, pool.grid, settings) for name, m in zip(pool.names, maps, strict=True)
    )
    return SliceAnalysis(
        prepared=prepared, maps=maps, scores=scores, chosen=choose(scores), shape=shape
    )


def _sweep_all(
    prepared: PreparedSlice, pool: Pool, settings: PerfusionSettings
) -> tuple[MemberMaps, ...]:
    """Run every member, as many at a time as there are cores."""

    def run(member: Network) -> MemberMaps:
        return sweep(prepared.beats, member, pool.grid, settings.uncertainty_stride)

    with ThreadPoolExecutor(max_workers=pool.workers) as threads:
        return tuple(threads.map(run, pool.members))


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
    segmentation = np.zeros(image.array.shape[1:], dtype=np.uint8)
    uncertainty = np.zeros(image.array.shape[1:], dtype=np.float32)
    for index, slice_analysis in enumerate(found):
        if slice_analysis.chosen is not None:
            chosen = slice_analysis.maps[slice_analysis.chosen]
            segmentation[index] = slice_analysis.segmentation(chosen.probabilities)
            uncertainty[index] = slice_analysis.prepared.grid.to_slice(
                chosen.uncertainty, slice_analysis.shape
            )
    curves = _curves(image.times_s, found)
    segmented = list(_segmented_slices(found))
    aha = measure_segments(segmented, image)
    flow = measure_flow(segmented, image, aha, settings.flow)
    slices = tuple(_slice_result(series, i, f, curves, pool) for i, f in enumerate(found))
    volume = image.volume_like(segmentation)
    return PerfusionResult(
        segmentation=volume,
        uncertainty=image.volume_like(uncertainty),
        slices=slices,
        curves=curves,
        measurements=measure(volume, slices, curves, times_are_estimated=image.times_are_estimated),
        notes=(*_notes(found, settings), *aha.notes, *flow_notes(flow, image)),
        stage_seconds=stopwatch.seconds,
        aha=aha,
        state=state_of(_described_as(series), settings.rest_words, settings.stress_words),
        flow=flow,
        evidence=_evidence(found, pool),
    )


def _segmented_slices(found: list[SliceAnalysis]) -> Iterator[SegmentedSlice]:
    """Yield the slices on which a member was chosen, on the model's grid."""
    for index, one in enumerate(found):
        if one.chosen is not None:
            yield SegmentedSlice(
                slice_index=index,
                square=one.prepared.square,
                classes=one.maps[one.chosen].probabilities.argmax(axis=0).astype(np.uint8),
                grid=one.prepared.grid,
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
    return PerfusionEvidence(
        members=pool.names,
        labels=np.array(
            [[f.segmentation(f.maps[m].probabilities) for f in found] for m in members]
        ),
        myocardium=np.array([_member_curves(found, m, MYOCARDIUM) for m in members]),
        blood_pool=np.array([_member_curves(found, m, BLOOD_POOL) for m in members]),
        shifts_mm=np.stack([f.prepared.shifts_mm for f in found], axis=1),
    )


def _member_curves(found: list[SliceAnalysis], member: int, structure: int) -> NDArray[np.float64]:
    """Return a member's curve of a structure on every slice. Shape ``(beats, slices)``."""
    masks = [f.maps[member].probabilities.argmax(axis=0) == structure for f in found]
    return np.stack(
        [mean_curve(f.prepared.square, mask) for f, mask in zip(found, masks, strict=True)], axis=1
    )


def _curves(times_s: NDArray[np.float64], found: list[SliceAnalysis]) -> TimeIntensityCurves:
    """Return the time-intensity curves of both structures on every slice."""
    curves = {
        MYOCARDIUM: np.full(times_s.shape, np.nan),
        BLOOD_POOL: np.full(times_s.shape, np.nan),
    }
    for index, slice_analysis in enumerate(found):
        if slice_analysis.chosen is not None:
            classes = slice_analysis.maps[slice_analysis.chosen].probabilities.argmax(axis=0)
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
        u_pp=float("inf") if found.chosen is None else found.scores[found.chosen].u_pp,
        heart_centre_lps_mm=(float(x), float(y), float(z)),
        first_beat=prepared.first_beat,
        peak_beat=brightest,
        peak_shift_mm=(
            float(prepared.shifts_mm[brightest, 0]),
            float(prepared.shifts_mm[brightest, 1]),
        ),
        residual_motion_mm=residual_motion_mm(prepared.shifts_mm),
    )


def _notes(found: list[SliceAnalysis], settings: PerfusionSettings) -> Iterator[str]:
    """Yield what a reader should know of the slices."""
    for index, slice_analysis in enumerate(found):
        if slice_analysis.chosen is None:
            reasons = "; ".join(f"{s.member}: {s.implausible}" for s in slice_analysis.scores)
            yield f"slice {index}: no plausible myocardium, nothing is segmented ({reasons})"
        elif slice_analysis.scores[slice_analysis.chosen].u_pp > settings.flag_u_pp:
            u_pp = slice_analysis.scores[slice_analysis.chosen].u_pp
            yield f"slice {index}: uncertain, U_pp {u_pp:.4f} above {settings.flag_u_pp:g}"
        if slice_analysis.place_rank > 1:
            yield (
                f"slice {index}: no plausible myocardium where the heart was likeliest; found at "
                f"place {slice_analysis.place_rank}"
            )
        if slice_analysis.prepared.confidence < LOW_CONFIDENCE:
            yield (
                f"slice {index}: heart found with a confidence of only "
                f"{slice_analysis.prepared.confidence:.2f}"
            )
