"""Measure and print: ``python -m benchmarks [--bundle DIR] [--stride N ...] [--rounds N]``."""

from argparse import ArgumentParser
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.command import measure_command
from benchmarks.inference import measure_inference
from benchmarks.memory import measure_memory
from benchmarks.report import RESULTS, Measured, write
from pipeline.analyses.perfusion.settings import UNCERTAINTY_STRIDES, PerfusionSettings
from pipeline.infer.bundle import find_bundle
from pipeline.phantom import PhantomSettings, perfusion_phantom


def main() -> None:
    """Run every benchmark and write the results."""
    parser = ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--bundle", type=Path, help="the bundle; the installed one by default")
    parser.add_argument(
        "--stride", type=int, nargs="+", default=[8, 4], choices=UNCERTAINTY_STRIDES
    )
    parser.add_argument("--slices", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    call = parser.parse_args()
    folder = find_bundle("perfusion", [call.bundle] if call.bundle else [])
    whole = None if call.bundle else measure_command(n_slices=call.slices)
    costs, peaks = [], []
    for stride in call.stride:
        settings = PerfusionSettings(uncertainty_stride=stride)
        peaks.append(measure_memory(folder, settings, n_slices=call.slices))
        costs.append(measure_inference(folder, settings, n_slices=call.slices, rounds=call.rounds))
    measured = Measured(
        inference=tuple(costs), memory=tuple(peaks), command=whole, phantom_ms=phantom_ms()
    )
    print(write(measured))
    print(f"Written to {RESULTS}")


def phantom_ms() -> float:
    """Return how long one training sample of the phantom takes [ms]."""
    settings = PhantomSettings(
        n_slices=1, n_beats=45, rows=96, columns=96, pixel_spacing_mm=None, randomise=True
    )
    times = []
    for seed in range(10):
        began = perf_counter()
        perfusion_phantom(seed, settings)
        times.append(1000.0 * (perf_counter() - began))
    return median(times)


if __name__ == "__main__":
    main()
