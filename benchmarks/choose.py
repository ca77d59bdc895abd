"""Which way to run a member of perfusion's pool is fastest and keeps its Dice coefficient.

    python -m benchmarks.choose [--phantoms 6] [--rounds 3]

Each way segments the same phantoms, whose truth is known; its time is measured in turn with that of
what is served. The fastest whose Dice lies within half a per cent of what is served is named.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.graphs import Feed, at_level, served
from benchmarks.inputs import prepared_slice
from benchmarks.models import LEVELS, write_eight_bits
from benchmarks.row import in_turn, seconds_of
from benchmarks.torchreference import graph_of
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.pool import sweep
from pipeline.analyses.perfusion.prepare import PreparedSlice
from pipeline.analyses.perfusion.result import MYOCARDIUM
from pipeline.imaging.overlap import dice
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.phantom import PhantomSettings, perfusion_phantom

KEPT = 0.005
"""Share of the figure that a way may lose."""

FIRST_SEED = 900
"""Seed of the first phantom: none that a network was trained on, which have others."""

ROWS = PhantomSettings().rows
"""Rows and columns of a phantom."""

Way = Callable[[Feed], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One way beside what is served."""

    way: str
    ratio: float
    """Its time over that of what is served."""

    dice: float
    """Mean over the phantoms of the myocardium's Dice coefficient."""


def choices(n_phantoms: int, rounds: int, place: Path) -> list[Choice]:
    """Judge every way; the first is what is served."""
    pool = open_pool(load_bundle(find_bundle("perfusion")))
    cases = [_case(pool, FIRST_SEED + n) for n in range(n_phantoms)]
    path = graph_of("perfusion", "member_1")
    plain = served("perfusion", "member_1", 1)
    ways: dict[str, Way] = {"as served": plain}
    ways |= {told: at_level(path, 1, level) for told, level in LEVELS.items()}
    small = write_eight_bits(pool, place)
    full = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    ways["8 bits, calibrated"] = at_level(small, 1, full)

    def timed(way: Way) -> float:
        return seconds_of(lambda: _segmented(cases[0][0], way, pool))

    found = []
    for told, way in ways.items():
        theirs, ours = in_turn(rounds, lambda way=way: timed(way), lambda: timed(plain))
        ratio = median(a / b for a, b in zip(theirs, ours, strict=True))
        dices = [dice(_segmented(one, way, pool), truth) for one, truth in cases]
        found.append(Choice(way=told, ratio=ratio, dice=mean(dices)))
    return found


def fastest(found: Sequence[Choice]) -> Choice:
    """Return the fastest way that keeps the figure of the first, which is what is served."""
    least = (1 - KEPT) * found[0].dice
    return min((c for c in found if c.dice >= least), key=lambda c: c.ratio)


def table(found: Sequence[Choice]) -> str:
    """Return the table, and what is chosen."""
    lines = ["| way | time over what is served | Dice |", "| --- | --- | --- |"]
    lines += [f"| {c.way} | {c.ratio:.3g} | {c.dice:.4f} |" for c in found]
    lines += ["", f"Fastest that keeps Dice within {100 * KEPT:g} %: {fastest(found).way}.", ""]
    return "\n".join([*lines, "What ships: as served."])


def _case(pool: Pool, seed: int) -> tuple[PreparedSlice, NDArray[np.bool_]]:
    """Return a phantom's slice as a member sees it, and its true myocardium."""
    phantom = perfusion_phantom(seed, PhantomSettings(n_slices=1))
    return prepared_slice(phantom.image, 0, pool), phantom.labels[0] == MYOCARDIUM


def _segmented(prepared: PreparedSlice, way: Way, pool: Pool) -> NDArray[np.bool_]:
    """Return the myocardium that a member finds on a slice."""
    stride = pool.grid.segmentation_stride
    maps = sweep(prepared.beats, lambda beats: way({"beats": beats}), pool.grid, stride)
    on_slice = [
        prepared.grid.to_slice(p, (ROWS, ROWS), outside=float(index == 0))
        for index, p in enumerate(maps.probabilities)
    ]
    found: NDArray[np.bool_] = np.argmax(on_slice, axis=0) == MYOCARDIUM
    return found


def main() -> None:
    """Print the table."""
    parser = ArgumentParser(prog="benchmarks.choose", description=__doc__)
    parser.add_argument("--phantoms", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    call = parser.parse_args()
    with TemporaryDirectory() as place:
        print(table(choices(call.phantoms, call.rounds, Path(place))))


if __name__ == "__main__":
    main()
