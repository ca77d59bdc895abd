"""Flow of signals, as they are, made linear, and by a dual sequence.

    python -m benchmarks.linearflow [--pairs 6] [--doses 1 2] [--vessels 0] [--residue 0]

Contours are the true ones, and the series' own images have neither noise nor motion: what is left
is what the signal, the equation of its sequence, and blood inside the wall do. The images of low
resolution are as the series' own, or with noise and the heart's motion, which is taken for known.
Last is what the same deconvolution makes of the true concentrations: what no input function can
mend. ``docs/flow.md`` has the figures.
"""

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from benchmarks.reserve import FIELD_T, SEED, SETTINGS
from pipeline.analyses.perfusion.aha import SegmentedSlice
from pipeline.analyses.perfusion.concentration import SaturationRecovery
from pipeline.analyses.perfusion.flow.measure import measure_flow
from pipeline.analyses.perfusion.flow.result import DUAL_IMAGES, FlowResult
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.result import BLOOD_POOL, AhaResult
from pipeline.analyses.perfusion.sequence import RELAXIVITY, T1_S, ReadOut
from pipeline.imaging.volume import TimeSeries
from pipeline.phantom.dual import ArterialTruth, DualSettings
from pipeline.phantom.pair import StateTruth, perfusion_pair
from pipeline.study import ArterialImages

SIDE = 96
"""Side of the square around the heart [pixels]."""

NOISE = 30.0
"""Blood over noise."""

N_BEATS = 60
"""Beats of a series, about as many as are usual: the blood is seen once the bolus has passed."""

WAYS = ("from signal", "made linear", "dual sequence", "dual, noise", "true concentrations")
"""What is deconvolved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What one series gives."""

    true_flow: float
    """Mean flow of the wall [ml/min/g]."""

    true_peak: float
    """Largest concentration of the blood [mmol/l]."""

    flows: Mapping[str, FlowResult]
    """What each way gives."""

    def ratio(self, way: str, method: str) -> float | None:
        """Return a flow over the true one; None where there is none."""
        for each in self.flows[way].estimates:
            if (each.slice_index, each.method) == (0, method):
                return each.flow_ml_min_g / self.true_flow
        return None

    def peak(self, way: str) -> float | None:
        """Return a peak of the blood over the true one; None where there is none."""
        taken = self.flows[way].arterial_input
        if taken is None or (way.startswith("dual") and taken.images != DUAL_IMAGES):
            return None
        return taken.peak / self.true_peak


def main() -> None:
    """Measure, and print."""
    parser = ArgumentParser(prog="benchmarks.linearflow", description=__doc__)
    parser.add_argument("--pairs", type=int, default=6, help="studies of rest and stress")
    parser.add_argument("--doses", type=float, nargs="+", default=[1.0, 2.0], help="of the bolus")
    parser.add_argument("--vessels", type=float, help="share of blood in the wall, such as 0")
    parser.add_argument("--residue", type=float, help="what a saturation leaves, such as 0")
    call = parser.parse_args()
    settings = replace(SETTINGS, n_beats=N_BEATS)
    print("| dose | state | studies | true flow | by | " + " | ".join(WAYS) + " |")
    print("| --- " * (5 + len(WAYS)) + "|")
    peaks: list[str] = []
    for dose in call.doses:
        asked = DualSettings(dose=dose, vessels=call.vessels, residue=call.residue)
        pairs = [perfusion_pair(SEED + each, settings, NOISE, asked) for each in range(call.pairs)]
        for name in ("rest", "stress"):
            found = [_found(getattr(pair, name)) for pair in pairs]
            flow = np.median([each.true_flow for each in found])
            for method in ("fermi", "model_free"):
                ratios = [[each.ratio(way, method) for each in found] for way in WAYS]
                told = " | ".join(_told(each) for each in ratios)
                print(f"| {dose:g} | {name} | {len(found)} | {flow:.2f} | {method} | {told} |")
            peak = np.median([each.true_peak for each in found])
            told = " | ".join(_told([e.peak(way) for e in found], 2) for way in WAYS[1:4])
            peaks.append(f"| {dose:g} | {name} | {peak:.1f} | {told} |")
    print("\n| dose | state | true peak | " + " | ".join(WAYS[1:4]) + " |")
    print("| --- " * 6 + "|")
    print("\n".join(peaks))


def _told(ratios: Sequence[float | None], digits: int = 1) -> str:
    """Return the median of ratios, and how many there are."""
    known = [each for each in ratios if each is not None]
    return f"{np.median(known):.{digits}f} ({len(known)})" if known else "- (0)"


def _found(state: StateTruth) -> Found:
    """Return what each way gives of a series."""
    low = state.arterial
    assert low is not None  # noqa: S101 - it was asked for
    one, image, read_out = true_slice(state, state.still), state.still, read_out_of_state(state)
    moved = replace(one, shifts_mm=state.phantom.shifts_mm[:, 0])
    held = true_slice(state, low.concentration)
    flows = {
        "from signal": measure_flow([one], image, AhaResult(), "research", None),
        "made linear": measure_flow([one], image, AhaResult(), "research", read_out),
        "dual sequence": measure_flow(
            [one], image, AhaResult(), "research", read_out, images_of(low, low.still)
        ),
        "dual, noise": measure_flow(
            [moved], image, AhaResult(), "research", read_out, images_of(low, low.image)
        ),
        "true concentrations": measure_flow([held], low.concentration, AhaResult(), "refuse"),
    }
    return Found(true_flow=state.mean_flow, true_peak=float(low.blood.max()), flows=flows)


def images_of(low: ArterialTruth, image: TimeSeries) -> ArterialImages:
    """Return images of low resolution with the header of their sequence."""
    header = Dataset()
    header.InversionTime = 1000.0 * low.delay_s
    header.ScanningSequence = "GR"
    header.MagneticFieldStrength = FIELD_T
    return ArterialImages(image=image, frames=(), header=header)


def read_out_of_state(state: StateTruth) -> ReadOut:
    """Return the sequence of a series, as a header states it."""
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
    return ReadOut(blood=blood, myocardium=myocardium)


def true_slice(state: StateTruth, image: TimeSeries) -> SegmentedSlice:
    """Return the slice under its true contours, on a square around the heart."""
    labels, spacing = state.phantom.labels[0], image.spacing_mm[1:]
    row, column = (int(v) for v in np.argwhere(labels == BLOOD_POOL).mean(axis=0))
    grid = SliceGrid(
        centre=(row + 0.5, column + 0.5),
        pixel_spacing_mm=spacing,
        size=SIDE,
        spacing_mm=spacing[0],
    )
    return SegmentedSlice(
        slice_index=0,
        square=_cut(image.array[:, 0], row, column),
        classes=_cut(labels[None], row, column)[0].astype(np.uint8),
        grid=grid,
    )


def _cut(
    frames: NDArray[np.float32] | NDArray[np.uint8], row: int, column: int
) -> NDArray[np.float32]:
    """Return the square around a pixel; 0 outside the image."""
    padded = np.pad(frames, ((0, 0), (SIDE, SIDE), (SIDE, SIDE)))
    rows, columns = (slice(at + 1 + SIDE // 2, at + 1 + SIDE // 2 + SIDE) for at in (row, column))
    return padded[:, rows, columns].astype(np.float32)


if __name__ == "__main__":
    main()
