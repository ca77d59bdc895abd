"""How well the reserve index is measured: ``python -m benchmarks.reserve``.

Studies of rest and stress are generated with a known flow at each point, a defect in each. The
index of each segment is held against two truths: the ratio of relative upslopes of the same heart
without noise, motion, coils and point spread, under the true contours; and the ratio of flows,
which upslopes are known to underestimate. Contours are the true ones (``true``), with motion and
the right ventricle found by the analysis; or all is the analysis's, with the shipped bundle
(``found``).
"""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from benchmarks.inputs import phantom_series
from pipeline.analyses.perfusion.aha import SegmentedSlice, measure_segments
from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.features import baseline_of, mean_curve
from pipeline.analyses.perfusion.locate import Place
from pipeline.analyses.perfusion.measure import relative
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.prepare import prepare_slice
from pipeline.analyses.perfusion.remeasure import CLASSES
from pipeline.analyses.perfusion.reserve import MEASURES
from pipeline.analyses.perfusion.result import BLOOD_POOL, AhaResult
from pipeline.analyses.perfusion.rightventricle import Contact
from pipeline.analyses.perfusion.segmentnames import Layer
from pipeline.analyses.perfusion.segments import Level, segment_numbers
from pipeline.analyses.perfusion.sequence import ReadOut, read_out_of
from pipeline.analyses.perfusion.settings import ModelGrid, PerfusionSettings
from pipeline.errors import AnalysisFailed
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.infer.terms import Compute
from pipeline.phantom import PhantomSettings
from pipeline.phantom.pair import PerfusionPair, StateTruth, perfusion_pair

SETTINGS = PhantomSettings(n_slices=1, n_beats=45, rows=96, columns=96)
"""One slice, taken for a mid-ventricular one: the cost of a study is that of its slices."""

NOISES = (15.0, 30.0, 60.0)
"""Largest signal of blood over the noise of a channel; the phantom draws 12 to 120."""

FIELD_T = 1.5
"""Field whose relaxation times the phantom's are drawn around [T]."""

SEED = 20_000
"""First seed: none of those that networks were trained with."""

SHARE = 0.2
"""The segments with the highest and with the lowest ratio of flows that are shown."""

Slopes = dict[tuple[str, int], float]
"""Relative upslopes by measure and segment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A segment of a study."""

    measure: str
    """What the index is of."""

    found: float
    """Index that was measured."""

    true: float
    """Index of the same heart without noise."""

    flow: float
    """Ratio of flows."""


def main() -> None:
    """Measure, and print."""
    parser = ArgumentParser(prog="benchmarks.reserve", description=__doc__)
    parser.add_argument("--pairs", type=int, default=40, help="studies with the true contours")
    parser.add_argument("--analysed", type=int, default=10, help="studies with the networks")
    parser.add_argument("--noise", type=float, nargs="+", default=NOISES, help="blood over noise")
    parser.add_argument("--threads", type=int, default=1, help="of the networks")
    call = parser.parse_args()
    bundle = load_bundle(find_bundle("perfusion", []))
    grid = ModelGrid.from_bundle(bundle.settings)
    print(
        "| contours | of | blood/noise | studies, segments | error: median, 5 to 95 % "
        "| correlation with truth, with flow | over ratio of flows | highest, lowest flow |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for noise in call.noise if call.pairs else ():
        points = list(_points(call.pairs, noise, lambda state: _by_masks(state, grid)))
        _print(("true", noise, call.pairs), points)
    if call.analysed:
        pool = open_pool(bundle, Compute(threads=call.threads))
        for noise in call.noise:
            found = list(_points(call.analysed, noise, lambda state: _analysed(state, pool)))
            _print(("found", noise, call.analysed), found)


def _points(
    n_pairs: int, noise: float, measured: Callable[[StateTruth], Slopes]
) -> Iterator[Point]:
    """Yield the segments of all studies in which both states tell of them."""
    for seed in range(SEED, SEED + n_pairs):
        pair = perfusion_pair(seed, SETTINGS, noise)
        rest, stress = measured(pair.rest), measured(pair.stress)
        (true_rest, flow_rest), (true_stress, flow_stress) = (
            _truth(state, _true_numbers(pair)) for state in (pair.rest, pair.stress)
        )
        for key in sorted(rest.keys() & stress.keys() & true_rest.keys() & true_stress.keys()):
            measure, segment = key
            yield Point(
                measure=measure,
                found=stress[key] / rest[key],
                true=true_stress[key] / true_rest[key],
                flow=flow_stress[segment] / flow_rest[segment],
            )


def _by_masks(state: StateTruth, grid: ModelGrid) -> Slopes:
    """Return what is measured under the true contours, after the analysis's motion correction."""
    image, spacing = state.phantom.image, state.phantom.image.spacing_mm[1:]
    frames, labels = image.array[:, 0], state.phantom.labels[0]
    row, column = (float(v) for v in np.argwhere(labels == BLOOD_POOL).mean(axis=0))
    prepared = prepare_slice(frames, spacing, Place(centre=(row, column), confidence=1.0), grid)
    seen = slice(prepared.first_beat, prepared.first_beat + grid.n_beats)
    # The square stands for the beats that the model sees: the contours are moved there.
    away_mm = np.median(state.phantom.shifts_mm[seen, 0], axis=0)
    present = np.stack([(labels == value).astype(np.float32) for value in CLASSES])
    moved = prepared.grid.resample(present, np.tile(-away_mm, (len(CLASSES), 1)))
    found = SegmentedSlice(
        slice_index=0,
        square=prepared.square,
        classes=moved.argmax(axis=0).astype(np.uint8),
        grid=prepared.grid,
    )
    return _slopes(measure_segments([found], image, _read_out(state)))


def _analysed(state: StateTruth, pool: Pool) -> Slopes:
    """Return what the analysis measures; nothing where it finds no heart."""
    series = replace(phantom_series(1), image=state.phantom.image, header=_header(state))
    try:
        return _slopes(analyse(series, pool, PerfusionSettings(uncertainty_stride=8)).aha)
    except AnalysisFailed:
        return {}


def _slopes(aha: AhaResult) -> Slopes:
    """Return the relative upslopes of each segment, over all of its wall."""
    return {
        (each.name, each.segment): each.value
        for each in aha.measurements
        if each.name in MEASURES and each.layer == Layer.WALL
    }


def _header(state: StateTruth) -> Dataset:
    """Return a header that states the sequence of a study."""
    header = Dataset()
    header.InversionTime = 1000.0 * state.delay_s
    header.ScanningSequence = "GR"
    header.MagneticFieldStrength = FIELD_T
    return header


def _read_out(state: StateTruth) -> ReadOut:
    """Return the sequence of a study, as its header states it."""
    found = read_out_of(_header(state))
    assert isinstance(found, ReadOut)  # noqa: S101 - the header above states it
    return found


def _truth(state: StateTruth, numbers: NDArray[np.uint8]) -> tuple[Slopes, dict[int, float]]:
    """Return relative upslopes and flow of each segment without noise and motion."""
    times, still = state.still.times_s[:, 0], state.still.array[:, 0]
    blood = mean_curve(still, state.phantom.labels[0] == BLOOD_POOL)
    known = baseline_of(blood, times), _read_out(state)
    slopes: Slopes = {}
    flow: dict[int, float] = {}
    for segment in (int(n) for n in np.unique(numbers) if n):
        mask = numbers == segment
        for measure, value in relative(mean_curve(still, mask), blood, times, known):
            slopes[measure, segment] = value
        flow[segment] = float(np.nanmean(state.flow[0][mask]))
    return slopes, flow


def _true_numbers(pair: PerfusionPair) -> NDArray[np.uint8]:
    """Return the segment of each point, by the true insertions."""
    labels = pair.rest.phantom.labels[0]
    row, column = (float(v) for v in np.argwhere(labels == BLOOD_POOL).mean(axis=0))
    anterior, inferior = (
        float(np.arctan2(at[0] - row, at[1] - column)) for at in pair.rest.phantom.insertions[0]
    )
    onwards = (inferior - anterior) % (2 * np.pi)
    starts_anterior = onwards <= np.pi
    contact = Contact(
        centre=(row, column),
        start_rad=anterior if starts_anterior else inferior,
        extent_rad=onwards if starts_anterior else 2 * np.pi - onwards,
    )
    return segment_numbers(labels, contact, Level.MID, starts_anterior=starts_anterior)


def _print(what: tuple[str, float, int], points: Sequence[Point]) -> None:
    """Print a row for each measure."""
    contours, noise, n_pairs = what
    for measure in reversed(MEASURES):
        own = [point for point in points if point.measure == measure]
        if len(own) > 1:
            of = "concentrations" if measure == MEASURES[0] else "signals"
            told = f"| {contours} | {of} | {noise:g} | {n_pairs}, {len(own)} | {_row(own)} |"
            print(told, flush=True)


def _row(points: Sequence[Point]) -> str:
    """Return the figures of some points."""
    found, true, flow = (
        np.array([getattr(point, name) for point in points]) for name in ("found", "true", "flow")
    )
    low, middle, high = np.quantile(found - true, [0.05, 0.5, 0.95])
    ratio = np.quantile(found / flow, [0.25, 0.5, 0.75])
    highest, lowest = flow >= np.quantile(flow, 1 - SHARE), flow <= np.quantile(flow, SHARE)
    return (
        f"{middle:+.2f}, {low:+.2f} to {high:+.2f} "
        f"| {np.corrcoef(found, true)[0, 1]:.2f}, {np.corrcoef(found, flow)[0, 1]:.2f} "
        f"| {ratio[1]:.2f} ({ratio[0]:.2f} to {ratio[2]:.2f}) "
        f"| {np.median(found[highest]):.2f}, {np.median(found[lowest]):.2f}"
    )


if __name__ == "__main__":
    main()
