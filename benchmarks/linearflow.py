"""Flow of signals, as they are and made linear: ``python -m benchmarks.linearflow``.

Contours are the true ones, and there is neither noise nor motion: what is left is what the signal,
the equation of its sequence, and blood inside the wall do. ``docs/flow.md`` has the figures.
"""

from argparse import ArgumentParser

import numpy as np

from benchmarks.reserve import FIELD_T, SEED, SETTINGS
from pipeline.analyses.perfusion.aha import SegmentedSlice
from pipeline.analyses.perfusion.concentration import SaturationRecovery
from pipeline.analyses.perfusion.flow.measure import measure_flow
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM, AhaResult
from pipeline.analyses.perfusion.sequence import RELAXIVITY, T1_S, ReadOut
from pipeline.phantom.pair import StateTruth, perfusion_pair

SIDE = 96
"""Side of the square around the heart [pixels]."""

NOISE = 30.0
"""Blood over noise of the series that is not looked at."""


def main() -> None:
    """Measure, and print."""
    parser = ArgumentParser(prog="benchmarks.linearflow", description=__doc__)
    parser.add_argument("--pairs", type=int, default=6, help="studies of rest and stress")
    call = parser.parse_args()
    pairs = [perfusion_pair(SEED + each, SETTINGS, NOISE) for each in range(call.pairs)]
    print("| state | studies | true flow | by | from signal over truth | made linear over truth |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in ("rest", "stress"):
        states = [getattr(pair, name) for pair in pairs]
        found = [(_truth(state), _measured(state, None), _linear(state)) for state in states]
        for method in ("fermi", "model_free"):
            print(f"| {name} | {_row(found, method)} |", flush=True)


def _row(found: list[tuple[float, dict[str, float], dict[str, float]]], method: str) -> str:
    """Return the figures of a method: medians, of signals and of what is made linear."""
    truths = [true for true, _, _ in found]
    ratios = (
        [signal[method] / true for true, signal, _ in found if method in signal],
        [linear[method] / true for true, _, linear in found if method in linear],
    )
    told = " | ".join(f"{np.median(each):.1f} ({len(each)})" if each else "-" for each in ratios)
    return f"{len(found)} | {np.median(truths):.2f} | {method} | {told}"


def _truth(state: StateTruth) -> float:
    """Return the mean flow of the wall [ml/min/g]."""
    return float(np.nanmean(state.flow[0][state.phantom.labels[0] == MYOCARDIUM]))


def _linear(state: StateTruth) -> dict[str, float]:
    """Return the flow by each method, made linear as a header states the sequence."""
    blood, myocardium = (
        SaturationRecovery(
            delay_s=state.delay_s,
            repetition_time_s=0.0,
            flip_angle_deg=0.0,
            n_before_centre=0,
            r1_0_per_s=1.0 / T1_S[FIELD_T][tissue],
            relaxivity=RELAXIVITY,
        )
        for tissue in ("blood", "myocardium")
    )
    return _measured(state, ReadOut(blood=blood, myocardium=myocardium))


def _measured(state: StateTruth, read_out: ReadOut | None) -> dict[str, float]:
    """Return the flow of the wall by each method; none of one that is refused."""
    one = _slice(state)
    found = measure_flow([one], state.still, AhaResult(), "research", read_out)
    return {e.method: e.flow_ml_min_g for e in found.estimates if e.slice_index == 0}


def _slice(state: StateTruth) -> SegmentedSlice:
    """Return the slice under its true contours, on a square around the heart."""
    labels, spacing = state.phantom.labels[0], state.still.spacing_mm[1:]
    row, column = (float(v) for v in np.argwhere(labels == BLOOD_POOL).mean(axis=0))
    grid = SliceGrid(
        centre=(row, column), pixel_spacing_mm=spacing, size=SIDE, spacing_mm=spacing[0]
    )
    rows, columns = (slice(int(at) + SIDE // 2, int(at) + SIDE // 2 + SIDE) for at in (row, column))
    frames = np.pad(state.still.array[:, 0], ((0, 0), (SIDE, SIDE), (SIDE, SIDE)))
    return SegmentedSlice(
        slice_index=0,
        square=frames[:, rows, columns],
        classes=np.pad(labels, SIDE)[rows, columns].astype(np.uint8),
        grid=grid,
    )


if __name__ == "__main__":
    main()
