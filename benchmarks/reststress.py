"""How long a study of rest and stress takes, and where the time goes.

    python -m benchmarks.reststress [--stride 2 4 8] [--slices 3] [--beats 60]

A generated study of both states is written as DICOM and analysed by ``vesalius run``, as a user
runs it: a fresh process, the bundle that ships. The stages are those that the manifest tells;
``other`` is the start of the command, the readers and the ledger.
"""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from pipeline.analyses.perfusion.settings import UNCERTAINTY_STRIDES
from pipeline.phantom import PhantomSettings
from pipeline.phantom.pair import perfusion_pair
from tests.support.restandstress import write_pair

SEED = 20_000
"""None of those that networks were trained with."""

BLOOD_TO_NOISE = 30.0
"""Largest signal of blood over the noise of a channel."""


def main() -> None:
    """Time the study at each stride and print a table."""
    parser = ArgumentParser(prog="benchmarks.reststress", description=__doc__)
    parser.add_argument(
        "--stride", type=int, nargs="+", default=[2, 4, 8], choices=UNCERTAINTY_STRIDES
    )
    parser.add_argument("--slices", type=int, default=3)
    parser.add_argument("--beats", type=int, default=60)
    call = parser.parse_args()
    settings = PhantomSettings(n_slices=call.slices, n_beats=call.beats)
    pair = perfusion_pair(SEED, settings, BLOOD_TO_NOISE)
    with TemporaryDirectory() as place:
        images = pair.rest.phantom.image, pair.stress.phantom.image
        study = write_pair(*images, Path(place, "study"))
        found = {
            stride: timed_run(study, Path(place, str(stride)), stride) for stride in call.stride
        }
    stages = sorted({stage for seconds in found.values() for stage in seconds})
    print(f"{call.slices} slices of {call.beats} beats at rest and under stress, ", end="")
    print(f"{os.cpu_count()} cores; seconds, share of the whole")
    print("| stage | " + " | ".join(f"stride {stride}" for stride in found) + " |")
    print("| --- |" + " --- |" * len(found))
    for stage in (*(s for s in stages if s != "whole"), "whole"):
        cells = (
            f"{seconds[stage]:.1f} ({seconds[stage] / seconds['whole']:.0%})"
            for seconds in found.values()
        )
        print(f"| {stage} | " + " | ".join(cells) + " |")


def timed_run(study: Path, place: Path, stride: int) -> dict[str, float]:
    """Run the command; return the seconds of each stage over both series, and of the whole.

    Raises
    ------
    subprocess.CalledProcessError
        If the command fails.
    """
    place.mkdir()
    config = place / "site.toml"
    config.write_text(f"[perfusion]\nuncertainty_stride = {stride}\n")
    call = [sys.executable, "-m", "pipeline.cli", "run", str(study), "--config", str(config)]
    call += ["--output", str(place / "out"), "--ledger", str(place / "ledger.db")]
    began = perf_counter()
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    whole = perf_counter() - began
    document = json.loads((place / "out" / "result.json").read_text())
    seconds: Counter[str] = Counter()
    for job in document["jobs"]:
        # Each job tells the time of the whole inventory.
        seconds.update({name: s for name, s in job["timings"].items() if name != "ingest"})
    seconds["ingest"] = max(job["timings"].get("ingest", 0.0) for job in document["jobs"])
    seconds["other"] = whole - sum(seconds.values())
    return {**seconds, "whole": whole}


if __name__ == "__main__":
    main()
