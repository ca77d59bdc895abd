"""Where the input of a dual sequence is taken from: ``python -m benchmarks.dualpool``.

The images of low resolution are displaced against the series, along the line through both
ventricles, as if the heart had moved or a place were wrong. What is then
taken is held against what is taken in the right place. Hearts, boluses and transits are drawn from
the phantom's full ranges. ``docs/flow.md`` has the figures.
"""

from argparse import ArgumentParser
from collections import Counter
from dataclasses import replace

import numpy as np

from benchmarks.linearflow import N_BEATS, NOISE, images_of, read_out_of_state, true_slice
from benchmarks.reserve import SEED, SETTINGS
from pipeline.analyses.perfusion.flow.dual import DualInput, dual_input
from pipeline.analyses.perfusion.result import BLOOD_POOL
from pipeline.imaging.volume import TimeSeries
from pipeline.phantom.dual import DualSettings
from pipeline.phantom.pair import StateTruth, perfusion_pair

DISPLACED_MM = (-30.0, -20.0, -15.0, -10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0)
"""Displacements [mm]: positive ones bring the right ventricle under the segmentation of the left,
negative ones the lateral wall and what lies beside it."""

SAME_PEAK = 0.05
"""A peak within this share of that in the right place is the same."""


def main() -> None:
    """Measure, and print."""
    parser = ArgumentParser(prog="benchmarks.dualpool", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20, help="studies of rest and stress")
    parser.add_argument("--doses", type=float, nargs="+", default=[1.0, 2.0], help="of the bolus")
    call = parser.parse_args()
    settings = replace(SETTINGS, n_beats=N_BEATS, randomise=True)
    told = {mm: Counter[str]() for mm in DISPLACED_MM}
    for dose in call.doses:
        for each in range(call.pairs):
            pair = perfusion_pair(SEED + each, settings, NOISE, DualSettings(dose=dose))
            for state in (pair.rest, pair.stress):
                right = _taken(state, 0.0)
                for mm in DISPLACED_MM:
                    told[mm][_outcome(_taken(state, mm), right)] += 1
    ways = ("same peak", "another peak", "too early", "refused otherwise")
    print("| displaced [mm] | series | " + " | ".join(ways) + " |")
    print("| --- " * (2 + len(ways)) + "|")
    for mm, counts in told.items():
        numbers = " | ".join(str(counts[way]) for way in ways)
        print(f"| {mm:g} | {counts.total()} | {numbers} |")


def _outcome(found: DualInput | str, right: DualInput | str) -> str:
    """Return in words what became of a displaced input."""
    if isinstance(found, str):
        return "too early" if "as that of the right one" in found else "refused otherwise"
    if isinstance(right, str):
        return "another peak"
    peaks = [float(each.source.blood.max()) for each in (found, right)]
    return "same peak" if abs(peaks[0] / peaks[1] - 1.0) <= SAME_PEAK else "another peak"


def _taken(state: StateTruth, displaced_mm: float) -> DualInput | str:
    """Return the input function with the images of low resolution displaced."""
    low = state.arterial
    assert low is not None  # noqa: S101 - it was asked for
    one = replace(true_slice(state, state.still), shifts_mm=state.phantom.shifts_mm[:, 0])
    pool = np.argwhere(state.phantom.labels[0] == BLOOD_POOL).mean(axis=0)
    towards = state.phantom.insertions[0].mean(axis=0) - pool
    towards *= -displaced_mm / np.linalg.norm(towards)
    moved = images_of(low, _moved(low.image, towards))
    return dual_input([one], state.still, moved, read_out_of_state(state))


def _moved(image: TimeSeries, by_mm: np.ndarray) -> TimeSeries:
    """Return images whose places are off, along rows and columns [mm]."""
    affine = image.affine.copy()
    _, rows_mm, columns_mm = image.spacing_mm
    affine[:, 3] += affine[:, 1] * by_mm[0] / rows_mm + affine[:, 2] * by_mm[1] / columns_mm
    return replace(image, affine=affine)


if __name__ == "__main__":
    main()
