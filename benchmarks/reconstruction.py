"""Time of one slice, split into learned operators, Fourier transforms and the rest; and BART's.

    python -m benchmarks.reconstruction [--bundle DIR] [--rounds N]

The slice is generated anatomy under 15 coils on two rings, undersampled 4 times. BART estimates its
sensitivities and solves with wavelets, on as many threads as it likes; files and the start of its
two processes count, as they would at a site.
"""

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from models.reconstruction.anatomy import draw_generated
from models.reconstruction.data import simulate
from models.reconstruction.profiles import draw_two_rings
from pipeline.analyses.reconstruction.networks import UnrolledNetworks, open_networks
from pipeline.analyses.reconstruction.rawslice import raw_slice
from pipeline.analyses.reconstruction.slices import reconstruct_slice
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.mr.patterns import draw_pattern
from pipeline.peers import PLAIN_WEIGHT, Bart, bart_missing

N_COILS = 15
SHAPES = ((160, 160), (230, 180), (320, 320), (640, 640))


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceCost:
    """Median times of one slice [s]."""

    method: str
    shape: tuple[int, int]

    total: float
    """Preparation, networks, transforms and data consistency."""

    networks: float
    """Learned operators."""

    fft: float
    """Fourier transforms."""

    @property
    def rest_share(self) -> float:
        """Share of the time that is neither."""
        return 1 - (self.networks + self.fft) / self.total


def example(shape: tuple[int, int]) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """Return undersampled k-space and its mask."""
    rng = np.random.default_rng(4)
    spacing = (240.0 / shape[0], 240.0 / shape[1])
    fine = (2 * shape[0], 2 * shape[1])
    image = draw_generated((fine, (spacing[0] / 2, spacing[1] / 2)), rng)
    coils = draw_two_rings(N_COILS, (1.0, 1.0), rng)
    kspace = simulate(image, shape, spacing, rng, coils).kspace
    mask = draw_pattern("equispaced", shape, 4.0, 1).mask
    return (kspace * mask).astype(np.complex64), mask


def measure(networks: UnrolledNetworks, shape: tuple[int, int], rounds: int) -> SliceCost:
    """Time one slice; a first round is not counted."""
    raw = raw_slice(*example(shape))
    totals, stages = [], []
    for _ in range(rounds + 1):
        stopwatch = Stopwatch()
        began = perf_counter()
        reconstruct_slice(raw, networks, stopwatch)
        totals.append(perf_counter() - began)
        stages.append(stopwatch.seconds)
    return SliceCost(
        method=networks.method,
        shape=shape,
        total=median(totals[1:]),
        networks=median(s["networks"] for s in stages[1:]),
        fft=median(s["fft"] for s in stages[1:]),
    )


def measure_bart(shape: tuple[int, int], rounds: int) -> tuple[float, float]:
    """Return the median times of BART's sensitivities and of its image [s]."""
    kspace, _ = example(shape)
    maps, images = [], []
    for _ in range(rounds):
        with TemporaryDirectory() as place:
            bart = Bart(kspace, Path(place))
            maps.append(bart.seconds_of_maps)
            images.append(bart.image("bart", PLAIN_WEIGHT)[1])
    return median(maps), median(images)


def main() -> None:
    """Print the tables."""
    parser = ArgumentParser(prog="benchmarks.reconstruction", description=__doc__)
    parser.add_argument("--bundle", type=Path, help="the bundle; the installed one by default")
    parser.add_argument("--rounds", type=int, default=5)
    call = parser.parse_args()
    bundle = load_bundle(find_bundle("reconstruction", [call.bundle] if call.bundle else []))
    print("| method | matrix | time [s] | operators | FFT | rest | rest's share |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    totals = {}
    for method in ("operator", "varnet"):
        networks = open_networks(bundle, method)
        for shape in SHAPES:
            cost = measure(networks, shape, call.rounds)
            totals[method, shape] = cost.total
            rest = cost.total * cost.rest_share
            print(
                f"| {method} | {shape[0]} x {shape[1]} | {cost.total:.3f} | {cost.networks:.3f} | "
                f"{cost.fft:.3f} | {rest:.3f} | {100 * cost.rest_share:.1f} % |",
                flush=True,
            )
    missing = bart_missing()
    if missing:
        print(f"BART: left out, {missing}")
        return
    maps, image = measure_bart((320, 320), call.rounds)
    ratio = (maps + image) / totals["operator", (320, 320)]
    print(
        f"BART, 320 x 320: ecalib {maps:.2f} s, pics {image:.2f} s; {ratio:.1f} times the operator"
    )


if __name__ == "__main__":
    main()
