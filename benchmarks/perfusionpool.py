"""What strides, fewer members and other ways to segment cost and gain on labelled series.

    python -m benchmarks.perfusionpool --data FOLDER [--split validation|test|external] [--finest N]

``FOLDER`` holds ``internal`` and ``external``. Every member runs once over every slice, at the
finest stride; what it would have said at coarser ones is read off the same patches, by the
analysis's own code. Settings are chosen on the validation split and reported on the test split.
Times are measured apart, on the first series.
"""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.table import RESULTS
from models.perfusion.series import label_path, series_paths
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.oneslice import SliceAnalysis, analyse_slice, with_first_members
from pipeline.analyses.perfusion.pool import MemberMaps, Network, choose, combined, score, sweep
from pipeline.analyses.perfusion.result import MYOCARDIUM
from pipeline.analyses.perfusion.settings import (
    SEGMENTATIONS,
    UNCERTAINTY_STRIDES,
    ModelGrid,
    PerfusionSettings,
)
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.evaluate.cohort import FAILED_BELOW
from pipeline.evaluate.labelled import labelled_series, majority, patient_of
from pipeline.evaluate.paired import signed_rank_p
from pipeline.imaging.nifti import read_labels
from pipeline.imaging.overlap import dice
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.infer.terms import Compute

SEGMENTATION_STRIDES = (8, 16, 32)
"""Strides of the segmentation that are looked at; the bundle's is 16."""

THRESHOLDS = (0.0, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01)
"""Values of ``stop_below_u_pp`` that are looked at."""

Rows = list[NDArray[np.float32]]
"""What a member said of the patches of each row, ``(patches, classes, side, side)`` each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StrideRow:
    """One pair of strides."""

    uncertainty: int
    """Stride of the uncertainty map [points]."""

    segmentation: int
    """Stride of the segmentation [points]."""

    patches: int
    """Patches of a slice and member."""

    dice: float
    """Mean Dice of the chosen member."""

    failed: int
    """Slices that failed."""

    same_choice: float
    """Share of slices on which the member is chosen that is chosen at the finest stride and 16."""

    spearman: float
    """Rank correlation of U_pp with those of that pair, over all slices and members."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StopRow:
    """One threshold of the adaptive pool."""

    stop_below_u_pp: float
    """The threshold; 0 runs all."""

    members_run: float
    """Members that ran on a slice, mean."""

    dice: float
    """Mean Dice."""

    failed: int
    """Slices that failed."""

    same_choice: float
    """Share of slices on which the whole pool's member is chosen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WayRow:
    """One way to segment a slice."""

    way: str
    """``chosen``, ``blend``, ``per-pixel``, ``average`` of all, or ``best`` by the label."""

    dice: float
    """Mean Dice."""

    failed: int
    """Slices that failed."""

    p_against_chosen: float | None
    """Exact p of the signed ranks of the patients' mean differences; None where none differs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """A slice, its truth, and what the pool found at every pair of strides."""

    found: SliceAnalysis
    """What the whole pool found at the finest stride and the bundle's segmentation stride."""

    beats: NDArray[np.float32]
    """What the members saw."""

    at: dict[tuple[int, int], SliceAnalysis]
    """What it would have found, by the strides of uncertainty and of segmentation."""

    truth: NDArray[np.bool_]
    """Its myocardium. Shape ``(rows, columns)``."""

    patient: str
    """Whose it is."""


class Recording:
    """A member that remembers what it said."""

    def __init__(self, member: Network) -> None:
        self.said: Rows = []
        self._member = member

    def __call__(self, patches: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Return the member's answer to a row of patches."""
        answer = self._member(patches)
        self.said.append(answer)
        return answer


class Replay:
    """A member that says again what it said, of every second, fourth, ... patch."""

    def __init__(self, said: Rows, every: int) -> None:
        self._rows = iter([row[::every] for row in said[::every]])

    def __call__(self, _: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Return the next row of answers."""
        return next(self._rows)


def swept_slices(pairs: Sequence[tuple[Path, Path]], pool: Pool, finest: int) -> Iterator[Swept]:
    """Yield every labelled slice, each member run once over it."""
    settings = PerfusionSettings(uncertainty_stride=finest)
    for path, label in pairs:
        series = labelled_series(path)
        truth = majority(read_labels(label))
        for index in range(series.image.n_slices):
            recording = [Recording(member) for member in pool.members]
            watched = replace(pool, members=tuple(recording), workers=1)
            found = analyse_slice(series, index, (watched, settings), Stopwatch())
            # Several places may have been tried: the answers of the one that was taken.
            rows = len(range(0, pool.grid.grid_size - pool.grid.patch_size + 1, finest))
            at = slice((found.place_rank - 1) * rows, found.place_rank * rows)
            said = [r.said[at] for r in recording]
            yield Swept(
                found=found,
                beats=found.prepared.beats,
                at={
                    (uncertainty, segmentation): at_strides(
                        (found, said), pool, finest, (uncertainty, segmentation)
                    )
                    for uncertainty in UNCERTAINTY_STRIDES
                    if uncertainty >= finest
                    for segmentation in SEGMENTATION_STRIDES
                },
                truth=truth[index] == MYOCARDIUM,
                patient=patient_of(path.name.removesuffix(".nii.gz")),
            )


def at_strides(
    heard: tuple[SliceAnalysis, Sequence[Rows]], pool: Pool, finest: int, strides: tuple[int, int]
) -> SliceAnalysis:
    """Return what would have been found at other strides of uncertainty and segmentation.

    Parameters
    ----------
    heard
        What was found at the finest stride, and what each member said of the patches.
    pool
        The networks.
    finest
        That stride [points].
    strides
        The others [points].
    """
    found, said = heard
    grid: ModelGrid = replace(pool.grid, segmentation_stride=strides[1])
    settings = PerfusionSettings(uncertainty_stride=strides[0])
    maps = tuple(
        sweep(found.prepared.beats, Replay(rows, strides[0] // finest), grid, strides[0])
        for rows in said
    )
    scores = tuple(score(n, m, grid, settings) for n, m in zip(pool.names, maps, strict=True))
    return replace(
        found,
        maps=maps,
        scores=scores,
        chosen=choose(scores),
        final=combined(maps, scores, "chosen"),
    )


def dice_of(one: Swept, maps: MemberMaps | None) -> float:
    """Return the Dice of a slice that is segmented by some maps; 0 without any."""
    if maps is None:
        return 0.0
    return dice(one.found.segmentation(maps.probabilities) == MYOCARDIUM, one.truth)


def stride_table(swept: Sequence[Swept], pool: Pool, finest: int) -> list[StrideRow]:
    """Return the cost of coarser strides."""
    found = {pair: [one.at[pair] for one in swept] for pair in swept[0].at}
    reference = found[(finest, 16)]
    rows = []
    for (uncertainty, segmentation), slices in found.items():
        values = [dice_of(one, f.final) for one, f in zip(swept, slices, strict=True)]
        across = pool.grid.grid_size - pool.grid.patch_size
        rows.append(
            StrideRow(
                uncertainty=uncertainty,
                segmentation=segmentation,
                patches=(across // uncertainty + 1) ** 2,
                dice=float(np.mean(values)),
                failed=sum(v < FAILED_BELOW for v in values),
                same_choice=_same(slices, reference),
                spearman=float(spearmanr(_u_pps(slices), _u_pps(reference)).statistic),
            )
        )
    return rows


def stop_table(swept: Sequence[Swept]) -> list[StopRow]:
    """Return what the adaptive pool saves and costs."""
    rows = []
    for threshold in THRESHOLDS:
        settings = PerfusionSettings(stop_below_u_pp=threshold)
        slices = [with_first_members(one.found, settings, None) for one in swept]
        values = [dice_of(one, f.final) for one, f in zip(swept, slices, strict=True)]
        rows.append(
            StopRow(
                stop_below_u_pp=threshold,
                members_run=float(np.mean([len(f.maps) for f in slices])),
                dice=float(np.mean(values)),
                failed=sum(v < FAILED_BELOW for v in values),
                same_choice=_same(slices, [one.found for one in swept]),
            )
        )
    return rows


def way_table(swept: Sequence[Swept]) -> list[WayRow]:
    """Return the ways to segment a slice beside each other."""
    values: dict[str, list[float]] = {}
    for one in swept:
        found = one.found
        for way in SEGMENTATIONS:
            maps = combined(found.maps, found.scores, way)
            values.setdefault(way, []).append(dice_of(one, maps))
        single = [dice_of(one, m) for m in found.maps]
        mean = np.mean([m.probabilities for m in found.maps], axis=0, dtype=np.float32)
        average = MemberMaps(probabilities=mean, uncertainty=found.maps[0].uncertainty)
        values.setdefault("average", []).append(dice_of(one, average))
        values.setdefault("best", []).append(max(single))
    patients = np.array([one.patient for one in swept])
    chosen = np.array(values["chosen"])
    rows = []
    for way, found_dice in values.items():
        difference = np.array(found_dice) - chosen
        by_patient = np.array([difference[patients == name].mean() for name in np.unique(patients)])
        rows.append(
            WayRow(
                way=way,
                dice=float(np.mean(found_dice)),
                failed=sum(v < FAILED_BELOW for v in found_dice),
                p_against_chosen=signed_rank_p(by_patient),
            )
        )
    return rows


def seconds_of_strides(one: Swept, pool: Pool, rounds: int = 3) -> dict[int, float]:
    """Return how long one member takes over a slice at each stride, the median of some rounds."""
    took: dict[int, list[float]] = {stride: [] for stride in UNCERTAINTY_STRIDES}
    for _ in range(rounds):
        for stride, times in took.items():
            began = perf_counter()
            sweep(one.beats, pool.members[0], pool.grid, stride)
            times.append(perf_counter() - began)
    return {stride: float(np.median(times)) for stride, times in took.items()}


def _u_pps(slices: Sequence[SliceAnalysis]) -> NDArray[np.float64]:
    """Return the U_pp of all members on all slices."""
    return np.array([s.u_pp for f in slices for s in f.scores])


def _same(slices: Sequence[SliceAnalysis], others: Sequence[SliceAnalysis]) -> float:
    """Return on which share of slices the same member is chosen."""
    return float(np.mean([a.chosen == b.chosen for a, b in zip(slices, others, strict=True)]))


def _pairs(data: Path, split: str) -> list[tuple[Path, Path]]:
    """Return images and labels of a split."""
    if split == "external":
        found = sorted((data / "external").glob("*.nii.gz"))
        paths = [p for p in found if not p.name.endswith("_label.nii.gz")]
    else:
        paths = series_paths(data / "internal", split)
    return [(path, label_path(path)) for path in paths]


def _print(title: str, rows: Sequence[object]) -> None:
    """Print a table as Markdown."""
    columns = list(asdict(rows[0]))  # type: ignore[call-overload]
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in rows:
        values = [getattr(row, name) for name in columns]
        shown = [f"{v:.4f}" if isinstance(v, float) else str(v) for v in values]
        print(f"| {' | '.join(shown)} |")


def main() -> None:
    """Sweep once, print the tables, and keep them."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=("validation", "test", "external"), default="validation")
    parser.add_argument("--finest", type=int, choices=UNCERTAINTY_STRIDES, default=2)
    parser.add_argument("--bundle", type=Path)
    options = parser.parse_args()
    place = options.bundle or find_bundle("perfusion", [])
    pool = open_pool(load_bundle(place), Compute(threads=1))
    swept = list(swept_slices(_pairs(options.data, options.split), pool, options.finest))
    tables = {
        "strides": stride_table(swept, pool, options.finest),
        "adaptive": stop_table(swept),
        "ways": way_table(swept),
    }
    print(f"{len(swept)} slices, {len(pool.names)} members, split {options.split}")
    for title, rows in tables.items():
        _print(title, rows)
    seconds = seconds_of_strides(swept[0], pool)
    print("\nseconds of a member over a slice:", {k: round(v, 3) for k, v in seconds.items()})
    RESULTS.mkdir(exist_ok=True)
    document = {name: [asdict(row) for row in rows] for name, rows in tables.items()}
    path = RESULTS / f"perfusionpool_{options.split}.json"
    path.write_text(json.dumps({**document, "seconds": seconds}, indent=2), encoding="utf-8")
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
