"""Ways to run the members of perfusion's pool, judged on labelled series, or else on phantoms."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from benchmarks.choose import Choice, ratio_of
from benchmarks.daugs import network_of
from benchmarks.inputs import prepared_slice
from benchmarks.row import seconds_of
from benchmarks.torchreference import graph_of, single_precision
from models.perfusion.series import label_path, series_paths
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.pool import Network, sweep
from pipeline.analyses.perfusion.prepare import PreparedSlice
from pipeline.analyses.perfusion.result import MYOCARDIUM
from pipeline.evaluate.labelled import labelled_series, majority
from pipeline.imaging.nifti import read_labels
from pipeline.imaging.overlap import dice
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.phantom import PhantomSettings, perfusion_phantom

SERIES = Path(os.environ.get("VESALIUS_DATA", "../shared/data")) / "perfusion" / "internal"
"""The labelled series."""

Case = tuple[PreparedSlice, NDArray[np.bool_]]
"""A slice as a member sees it, and its true myocardium."""

PHANTOMS = 6
"""Phantoms that a way is judged on where there are no series."""

FIRST_SEED = 900
"""Seed of the first phantom: none that a network was trained on, which have others."""


def perfusion_choices(rounds: int, _place: Path, series: Path = SERIES) -> list[Choice]:
    """Judge both ways; the first is single precision.

    Parameters
    ----------
    rounds
        Times that each way is timed.
    series
        The labelled series. Where there are none, phantoms take their place.
    """
    pool = open_pool(load_bundle(find_bundle("perfusion")))
    cases = _labelled(series, pool) or _phantoms(pool)
    ways: dict[str, Callable[[str], Path]] = {
        "single precision": single_precision,
        "8 bits, as served": lambda name: graph_of("perfusion", name),
    }
    members = {way: [network_of(graph(name)) for name in pool.names] for way, graph in ways.items()}

    def timed(way: str) -> float:
        return seconds_of(lambda: _segmented(cases[0], members[way][0], pool))

    first = next(iter(ways))
    found = []
    for way in ways:
        ratio = ratio_of(rounds, lambda way=way: timed(way), lambda: timed(first))
        found.append(Choice(way=way, ratio=ratio, figures=_figures(cases, members[way], pool)))
    return found


def _figures(cases: Sequence[Case], members: Sequence[Network], pool: Pool) -> dict[str, float]:
    """Return the mean Dice coefficient of the myocardium over cases and members."""
    return {
        "Dice": mean(
            dice(_segmented(case, member, pool), case[1]) for case in cases for member in members
        )
    }


def _labelled(folder: Path, pool: Pool) -> list[Case]:
    """Return the labelled series on which settings are chosen; none where there is no data."""
    return [
        (
            prepared_slice(labelled_series(path).image, 0, pool),
            majority(read_labels(label_path(path)))[0] == MYOCARDIUM,
        )
        for path in series_paths(folder, "validation")
    ]


def _phantoms(pool: Pool) -> list[Case]:
    """Return slices of phantoms."""
    made = (perfusion_phantom(FIRST_SEED + n, PhantomSettings(n_slices=1)) for n in range(PHANTOMS))
    return [(prepared_slice(p.image, 0, pool), p.labels[0] == MYOCARDIUM) for p in made]


def _segmented(case: Case, member: Network, pool: Pool) -> NDArray[np.bool_]:
    """Return the myocardium that a member finds on a slice."""
    prepared, truth = case
    maps = sweep(prepared.beats, member, pool.grid, pool.grid.segmentation_stride)
    shape = (truth.shape[0], truth.shape[1])
    on_slice = [
        prepared.grid.to_slice(p, shape, outside=float(index == 0))
        for index, p in enumerate(maps.probabilities)
    ]
    found: NDArray[np.bool_] = np.argmax(on_slice, axis=0) == MYOCARDIUM
    return found
