"""Ways to run a member of perfusion's pool, judged on phantoms whose truth is known."""

from collections.abc import Callable
from pathlib import Path
from statistics import mean

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.choose import Choice, ratio_of
from benchmarks.inputs import prepared_slice
from benchmarks.models import LEVELS, Feed, at_level, served, write_eight_bits
from benchmarks.row import seconds_of
from benchmarks.torchreference import graph_of
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.pool import sweep
from pipeline.analyses.perfusion.prepare import PreparedSlice
from pipeline.analyses.perfusion.result import MYOCARDIUM
from pipeline.imaging.overlap import dice
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.phantom import PhantomSettings, perfusion_phantom

PHANTOMS = 6
"""Phantoms that a way is judged on."""

FIRST_SEED = 900
"""Seed of the first phantom: none that a network was trained on, which have others."""

ROWS = PhantomSettings().rows
"""Rows and columns of a phantom."""

Way = Callable[[Feed], NDArray[np.float32]]


def perfusion_choices(rounds: int, place: Path, n_phantoms: int = PHANTOMS) -> list[Choice]:
    """Judge every way; the first is what is served.

    Parameters
    ----------
    rounds
        Times that each way is timed.
    place
        An empty folder.
    n_phantoms
        Phantoms that a way is judged on.
    """
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
        ratio = ratio_of(rounds, lambda way=way: timed(way), lambda: timed(plain))
        dices = [dice(_segmented(one, way, pool), truth) for one, truth in cases]
        found.append(Choice(way=told, ratio=ratio, figures={"Dice": mean(dices)}))
    return found


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
