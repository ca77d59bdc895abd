"""Area ``daugs``: the whole pool on one slice at stride 2, over what a torch user would write.

The plain loop runs each member on one patch at a time and takes mean and deviation of the stored
maps. MONAI's sliding window runs each member over the slice at the same positions, and only tells
the mean. Both run on as many threads as there are cores, as ours does. They run the members in
single precision, ours runs them in eight bits, as they ship, and in single precision, where all
three must find the same.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from numpy.typing import NDArray
from torch import nn

from benchmarks.inputs import phantom_series, prepared_slice
from benchmarks.row import Row, Terms, in_turn, seconds_of
from benchmarks.torchreference import single_precision, torch_member
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.pool import MemberMaps, Network, sweep
from pipeline.analyses.perfusion.result import MYOCARDIUM
from pipeline.analyses.perfusion.settings import ModelGrid
from pipeline.identity import digest_file
from pipeline.infer.bundle import Member, find_bundle, load_bundle
from pipeline.infer.session import open_session

EXACT = 2
"""Points between patches, as in the paper."""

SAMPLED = 17
"""Patches of each member that the plain loop is timed on, at about as many places of the slice."""

FEW = 2
"""Members that MONAI's sliding window is timed on: all take minutes."""

TOLERANCE = 1e-4
"""Probabilities further apart than this are another result."""


class OtherResult(Exception):
    """Ours and theirs do not find the same."""


def measure(terms: Terms) -> Iterator[Row]:
    """Yield DAUGS over the plain loop, and over MONAI's sliding window."""
    stride = 16 if terms.is_small else EXACT
    pool = open_pool(load_bundle(find_bundle("perfusion")))
    count = FEW if terms.is_small else len(pool.names)
    members = [torch_member(name) for name in pool.names[:count]]
    unrounded = [network_of(single_precision(name)) for name in pool.names[:count]]
    beats = prepared_beats(pool)
    # Small inputs are for tests, beside others: threads that wait for each other take minutes.
    torch.set_num_threads(1 if terms.is_small else os.cpu_count() or 1)
    check_same(beats, (unrounded[0], members[0]), pool.grid)

    def ours(networks: Sequence[Network]) -> float:
        return seconds_of(lambda: whole_pool(beats, networks, pool, stride))

    places = places_of(pool.grid, stride)
    sampled = places[:: max(1, len(places) // SAMPLED)]
    share = len(sampled) / len(places)

    def loop() -> float:
        took = seconds_of(lambda: [plain_loop(beats, m, pool.grid, sampled) for m in members])
        return took / share

    def monai() -> float:
        few = members[:FEW]
        return seconds_of(lambda: [sliding_window(beats, m, pool.grid, stride) for m in few])

    what = f"DAUGS on one slice, stride {stride}"
    scaled = (
        f"the loop is timed on {len(sampled)} of {len(places)} patches of each member and scaled"
    )
    for networks, how in (
        (pool.members[:count], ""),
        (unrounded, ", in single precision"),
    ):
        our_times, their_times = in_turn(
            terms.rounds, lambda networks=networks: ours(networks), loop
        )
        yield Row(
            area="daugs",
            what=f"{what}, {count} members{how}",
            against=f"torch {version('torch')}, a patch and a member at a time",
            ours=our_times,
            theirs=their_times,
            aim=None if how else 0.1,
            note=scaled,
        )
    our_times, their_times = in_turn(terms.rounds, lambda: ours(pool.members[:FEW]), monai)
    yield Row(
        area="daugs",
        what=f"{what}, {FEW} members",
        against=f"MONAI {version('monai')}'s SlidingWindowInferer, same patches and members",
        ours=our_times,
        theirs=their_times,
        note="MONAI's gives the mean alone; ours the uncertainty, too",
    )


def network_of(graph: Path) -> Network:
    """Return a member of the pool from its file, run as the shipped ones are."""
    member = Member(name=graph.stem, path=graph, sha256=digest_file(graph))
    session = open_session(member, threads=1)

    def run(patches: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run(["probabilities"], {"beats": patches})[0]
        return found

    return run


def prepared_beats(pool: Pool) -> NDArray[np.float32]:
    """Return the first pass of a phantom's slice. Shape ``(beats, size, size)``."""
    return prepared_slice(phantom_series(1).image, 0, pool).beats


def whole_pool(
    beats: NDArray[np.float32], members: Sequence[Network], pool: Pool, stride: int
) -> list[MemberMaps]:
    """Run members side by side, as the analysis does."""
    with ThreadPoolExecutor(pool.workers) as threads:
        return list(threads.map(lambda m: sweep(beats, m, pool.grid, stride), members))


def places_of(grid: ModelGrid, stride: int) -> list[tuple[int, int]]:
    """Return the first points of all patches."""
    first = range(0, grid.grid_size - grid.patch_size + 1, stride)
    return [(row, column) for row in first for column in first]


def plain_loop(
    beats: NDArray[np.float32],
    member: nn.Module,
    grid: ModelGrid,
    places: Sequence[tuple[int, int]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean probabilities and the myocardium's deviation, from a stored map for each patch.

    Points that no patch covers are NaN. Shapes ``(classes, size, size)`` and ``(size, size)``.
    """
    size, patch = grid.grid_size, grid.patch_size
    inner = slice(grid.edge_before, patch - grid.edge_after)
    total, counts = np.zeros((3, size, size), np.float32), np.zeros((size, size), np.float32)
    stored = np.full((len(places), size, size), np.nan, dtype=np.float32)
    with torch.inference_mode():
        for index, (row, column) in enumerate(places):
            at = (slice(row, row + patch), slice(column, column + patch))
            found = member(torch.from_numpy(beats[:, *at].copy())[None])[0].numpy()
            total[:, *at] += found
            counts[at] += 1
            kept = stored[index, *at]
            kept[inner, inner] = found[MYOCARDIUM, inner, inner]
    twice = np.isfinite(stored).sum(axis=0) > 1
    deviation = np.zeros((size, size), np.float32)
    deviation[twice] = np.nanstd(stored[:, twice], axis=0, ddof=1)
    with np.errstate(invalid="ignore"):
        return total / counts, deviation


def sliding_window(
    beats: NDArray[np.float32], member: nn.Module, grid: ModelGrid, stride: int
) -> NDArray[np.float32]:
    """Return mean probabilities by MONAI. Shape ``(classes, size, size)``."""
    inferer = SlidingWindowInferer(
        roi_size=(grid.patch_size, grid.patch_size),
        sw_batch_size=4,
        overlap=1 - stride / grid.patch_size,
        mode="constant",
        progress=False,
    )
    with torch.inference_mode():
        found = inferer(torch.from_numpy(beats)[None], member)
    if not isinstance(found, torch.Tensor):
        raise TypeError(f"MONAI gives {type(found)}")
    mean: NDArray[np.float32] = found[0].numpy()
    return mean


def check_same(
    beats: NDArray[np.float32], member: tuple[Network, nn.Module], grid: ModelGrid
) -> None:
    """Compare the maps of a member by ours and by theirs, at the segmentation's stride.

    Raises
    ------
    OtherResult
        If the segmentation's probabilities or the uncertainty differ.
    """
    network, in_torch = member
    stride = grid.segmentation_stride
    maps = sweep(beats, network, grid, stride)
    mean, deviation = plain_loop(beats, in_torch, grid, places_of(grid, stride))
    for name, ours, theirs in (
        ("loop's mean", maps.probabilities, mean),
        ("loop's deviation", maps.uncertainty, deviation),
        (
            "MONAI's mean",
            maps.probabilities,
            sliding_window(beats, in_torch, grid, stride),
        ),
    ):
        apart = float(np.abs(ours - theirs).max())
        if not apart <= TOLERANCE:
            raise OtherResult(f"{name} is {apart:.2g} from ours")
