"""Area ``reconstruction``: one slice beside BART, SigPy and a large network; and where time goes.

    python -m benchmarks.reconstruction [--bundle DIR] [--rounds N]

As a command it prints the time of a slice for several matrices, split into learned operators,
Fourier transforms and the rest; and BART's. The slice is generated anatomy under 15 coils on two
rings, undersampled 4 times. BART estimates its sensitivities and solves with wavelets, on as many
threads as it likes; files and the start of its two processes count, as they would at a site.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import NotInstalled
from benchmarks.reconstructioncases import Case, drawn, error_of, measured
from benchmarks.reconstructionpeers import Peer, bart, sigpy
from benchmarks.row import Missing, Row, Terms, in_turn, seconds_of
from pipeline.analyses.reconstruction.analysis import reconstruct
from pipeline.analyses.reconstruction.networks import UnrolledNetworks, open_networks
from pipeline.analyses.reconstruction.rawslice import RawSlice, raw_slice
from pipeline.analyses.reconstruction.settings import ReconstructionSettings
from pipeline.analyses.reconstruction.slices import reconstruct_slice
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.mr.kspace import KSpace, Readout
from pipeline.peers import PLAIN_WEIGHT

AREA = "reconstruction"

TIMED = "equispaced"
"""Pattern of the slice that is timed."""

PATTERNS = ("equispaced", "poisson")
"""Patterns of the slices that are judged: lines, as most are measured, and what wavelets like."""

N_JUDGED = 2
"""Generated slices that are judged for each pattern."""

APART, FIRST_JUDGED = 100, 1
"""Seeds of the slice that weights are chosen on, and of the first that is judged."""

TENTH = 0.1
"""What the time should be over that of compressed sensing."""

DEFAULT = ReconstructionSettings()
"""As served by default."""

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


def example(shape: tuple[int, int]) -> RawSlice:
    """Return an undersampled slice."""
    case = drawn(shape, N_COILS, TIMED, 4)
    return raw_slice(case.kspace, case.mask)


def cost_of_slice(networks: UnrolledNetworks, shape: tuple[int, int], rounds: int) -> SliceCost:
    """Time one slice; a first round is not counted."""
    raw = example(shape)
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


def measure(terms: Terms) -> Iterator[Row | Missing]:
    """Yield times and errors beside each peer's."""
    networks = open_networks(load_bundle(find_bundle("reconstruction")), "operator")
    side, n_coils = (96, 6) if terms.is_small else (256, 8)
    for open_peer in (bart, sigpy):
        try:
            peer = open_peer(may_install=not terms.is_small)
        except NotInstalled as problem:
            yield Missing(against=open_peer.__name__, reason=str(problem))
            continue
        if peer is not None:
            for pattern in PATTERNS:
                peer.tune(pattern, drawn((side, side), n_coils, pattern, APART))
            yield from times_beside(peer, networks, (side, n_coils), terms.rounds)
            yield from errors_beside(peer, networks, (side, n_coils))
    if find_spec("torch") is None:
        yield Missing(against="torch", reason="not in this environment")
    else:
        yield time_beside_large(networks, terms)


def times_beside(
    peer: Peer, networks: UnrolledNetworks, size: tuple[int, int], rounds: int
) -> Iterator[Row]:
    """Yield the time of a slice over a peer's, without and with the peer's sensitivities.

    Parameters
    ----------
    peer
        The peer, its weights chosen.
    networks
        Ours.
    size
        Side of the matrix, and number of coils.
    rounds
        Pairs that are counted.
    """
    case, weight = drawn((size[0], size[0]), size[1], TIMED, 4), peer.weights[TIMED]
    served, with_maps = [], []

    def ours() -> float:
        served.append(seconds_of(lambda: reconstruct(_acquisition(case), networks, DEFAULT)))
        return seconds_of(lambda: _image(case, networks))

    def theirs() -> float:
        solved = peer.solve(case, [weight])
        with_maps.append(solved.maps_s + solved.image_s)
        return solved.image_s

    image_s, solved_s = in_turn(rounds, ours, theirs)
    what = f"a slice of {size[0]} x {size[0]}, {size[1]} coils, 4x"
    named = f"{peer.name}, weight {weight:g}"
    whole = f"{named}, with its sensitivities"
    draws = DEFAULT.uncertainty_draws
    note = f"{1 + draws} images, their deviation and the residual; theirs is one image"
    yield Row(
        area=AREA,
        what=f"{what}, sensitivities included",
        against=f"{named}, sensitivities given",
        ours=image_s,
        theirs=solved_s,
        aim=TENTH,
        note="ours estimates the coils within its time, theirs does not",
    )
    yield Row(
        area=AREA,
        what=f"{what}, sensitivities included",
        against=whole,
        ours=image_s,
        theirs=tuple(with_maps[1:]),
        aim=TENTH,
    )
    yield Row(
        area=AREA,
        what=f"{what}, as served, with uncertainty",
        against=whole,
        ours=tuple(served[1:]),
        theirs=tuple(with_maps[1:]),
        note=note,
    )


def errors_beside(peer: Peer, networks: UnrolledNetworks, size: tuple[int, int]) -> Iterator[Row]:
    """Yield the error of images over a peer's, a slice a round.

    Parameters
    ----------
    peer
        The peer, its weights chosen.
    networks
        Ours.
    size
        Side of the matrix, and number of coils.
    """
    shape = (size[0], size[0])
    seeds = range(FIRST_JUDGED, FIRST_JUDGED + N_JUDGED)
    for pattern in PATTERNS:
        cases = [drawn(shape, size[1], pattern, seed) for seed in seeds]
        generated = f"{len(cases)} generated slices of {size[0]} x {size[0]}, {size[1]} coils"
        for what, judged in ((generated, cases), ("a measured phantom", list(measured(pattern)))):
            if judged:
                weight = peer.weights[pattern]
                solved = [peer.solve(case, [weight]).images[0] for case in judged]
                yield Row(
                    area=AREA,
                    what=f"NMSE of {what}, {pattern}, 4x",
                    against=f"{peer.name}, weight {weight:g}",
                    ours=tuple(error_of(_image(case, networks), case.truth) for case in judged),
                    theirs=tuple(
                        error_of(image, case.truth)
                        for image, case in zip(solved, judged, strict=True)
                    ),
                    unit="",
                    aim=1.0,
                    note="a pair is a slice; weight chosen on a generated slice kept apart",
                )


def time_beside_large(networks: UnrolledNetworks, terms: Terms) -> Row:
    """Return the time of a slice over that of a large network in torch."""
    side, size = (64, "small") if terms.is_small else (96, "large")
    case = drawn((side, side), 8, TIMED, 4)
    module = import_module("benchmarks.largenetwork")
    network = module.LargeNetwork(size, networks.threads)

    def theirs() -> float:
        raw = raw_slice(case.kspace, case.mask)
        return seconds_of(lambda: network.reconstruct(raw))

    ours, took = in_turn(terms.rounds, lambda: seconds_of(lambda: _image(case, networks)), theirs)
    return Row(
        area=AREA,
        what=f"a slice of {side} x {side}, 8 coils, 4x",
        against=f"the {size} operator of models/reconstruction in torch, eager",
        ours=ours,
        theirs=took,
        aim=1.0,
        note="its weights are random, so its image is not judged",
    )


def _image(case: Case, networks: UnrolledNetworks) -> NDArray[np.complex64]:
    """Return our image of a case."""
    return reconstruct_slice(raw_slice(case.kspace, case.mask), networks, Stopwatch()).image


def _acquisition(case: Case) -> KSpace:
    """Return a case as an analysis receives it."""
    return KSpace(
        array=case.kspace[None, None],
        mask=case.mask[None, None],
        image_shape=case.truth.shape,
        readout=Readout.COLUMNS,
        affine=None,
        pixel_spacing_mm=None,
        times_s=np.zeros((1, 1)),
        times_are_estimated=True,
    )


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
            cost = cost_of_slice(networks, shape, call.rounds)
            totals[method, shape] = cost.total
            rest = cost.total * cost.rest_share
            print(
                f"| {method} | {shape[0]} x {shape[1]} | {cost.total:.3f} | {cost.networks:.3f} | "
                f"{cost.fft:.3f} | {rest:.3f} | {100 * cost.rest_share:.1f} % |",
                flush=True,
            )
    peer = bart(may_install=False)
    if peer is None:
        print("BART: left out, the command bart is not installed")
        return
    case = drawn((320, 320), N_COILS, TIMED, 4)
    solved = [peer.solve(case, [PLAIN_WEIGHT]) for _ in range(call.rounds)]
    maps, image = median(s.maps_s for s in solved), median(s.image_s for s in solved)
    ratio = (maps + image) / totals["operator", (320, 320)]
    print(
        f"BART, 320 x 320: ecalib {maps:.2f} s, pics {image:.2f} s; {ratio:.1f} times the operator"
    )


if __name__ == "__main__":
    main()
