"""Whether a stage of an analysis takes another share of the whole than it did.

    python -m benchmarks.shares [--write]

A small series, small raw data and a short video are analysed on one thread, whatever the machine
has, in this process; the median of several runs is taken. Times differ from machine to machine,
shares hardly. A share has moved if it holds at least a tenth, then or now, and is off by more than
half of what it was: then this tells the stage and ends with status 1. ``--write`` keeps the shares
that are found in ``benchmarks/shares.json``.
"""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.whole import Given, Whole, perfusion_input, phases_input, reconstruction_input
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.blas import one_thread
from pipeline.config import Configuration
from pipeline.infer.terms import Compute

KEPT = Path(__file__).with_name("shares.json")
"""The shares that are held to."""

RUNS = 5
"""Runs that are counted, after one that is not."""

LARGE = 0.1
"""Share from which on a stage is watched."""

MOST_MOVED = 0.5
"""A share may be off by this share of what it was."""

ON_DISK = "record"
"""The stage that flushes files: its time is the disk's, and disks differ more than processors."""

Shares = dict[str, dict[str, float]]
"""Share of each stage of each analysis."""


def main() -> None:
    """Compare the shares with those that are kept, or keep them."""
    parser = ArgumentParser(prog="benchmarks.shares", description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep what is found")
    call = parser.parse_args()
    found = measured()
    if call.write:
        KEPT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        return
    kept: Shares = json.loads(KEPT.read_text(encoding="utf-8"))
    problems = list(moved(kept, found))
    for line in problems or ["no stage of any analysis has another share than it had"]:
        print(line)
    sys.exit(1 if problems else 0)


def measured() -> Shares:
    """Return the share of each stage of each analysis."""
    with TemporaryDirectory() as folder, one_thread():
        place = Path(folder)
        givens = (
            perfusion_input(place, n_slices=1, n_beats=24),
            reconstruction_input(place, n_slices=1),
            phases_input(place, n_scenes=2),
        )
        return {given.analysis: of_whole(given, place / given.analysis) for given in givens}


def moved(kept: Shares, found: Shares) -> Iterator[str]:
    """Yield a line about each stage whose share has moved.

    Where a stage held less than a tenth, it counts as a tenth: half of next to nothing is noise.
    """
    for analysis in sorted({*kept, *found}):
        was, now = kept.get(analysis, {}), found.get(analysis, {})
        for stage in sorted({*was, *now}):
            before, after = was.get(stage, 0.0), now.get(stage, 0.0)
            is_large = max(before, after) >= LARGE
            if is_large and abs(after - before) > MOST_MOVED * max(before, LARGE):
                yield f"{analysis}: {stage} held {before:.0%} and now holds {after:.0%}"


def of_whole(given: Given, place: Path) -> dict[str, float]:
    """Return the share of each stage of an analysis."""
    place.mkdir()
    configuration = Configuration(perfusion=PerfusionSettings(uncertainty_stride=8))
    with Whole(given, place, configuration, Compute(threads=1)) as whole:
        runs = [_relative(*whole.once()) for _ in range(RUNS + 1)][1:]
    stages = {stage for run in runs for stage in run}
    return {stage: round(median(r.get(stage, 0.0) for r in runs), 4) for stage in sorted(stages)}


def _relative(seconds: float, stages: Mapping[str, float]) -> dict[str, float]:
    """Return stages as shares of a run, without what waits for the disk."""
    computed = {stage: taken for stage, taken in stages.items() if stage != ON_DISK}
    whole = seconds - stages.get(ON_DISK, 0.0)
    return {stage: taken / whole for stage, taken in computed.items()}


if __name__ == "__main__":
    main()
