"""Peak memory of an analysis, in a process of its own: a peak never comes down again.

The peak is read from ``VmHWM``, not from ``getrusage``: on Linux a new process inherits the
``ru_maxrss`` of the one that started it.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.inference import phantom_series
from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.infer.bundle import load_bundle


@dataclass(frozen=True, kw_only=True, slots=True)
class PeakMemory:
    """Largest resident set of one process, after each step [MiB]."""

    imported_mib: float
    """After the imports."""

    opened_mib: float
    """With the bundle opened."""

    analysed_mib: float
    """After an analysis."""


def measure_memory(folder: Path, settings: PerfusionSettings, *, n_slices: int) -> PeakMemory:
    """Run one analysis in a fresh process and return its peaks."""
    call = [sys.executable, "-m", "benchmarks.memory", str(folder)]
    call += [str(settings.uncertainty_stride), str(n_slices)]
    found = subprocess.run(call, capture_output=True, text=True, check=True)
    return PeakMemory(**json.loads(found.stdout))


def peak_mib(process: int) -> float:
    """Return the peak of a running process so far [MiB]; where it is not kept, what it has now."""
    status = Path(f"/proc/{process}/status")
    if status.is_file():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        # A process that has ended and is not yet waited for has no memory any more.
        return int(fields.get("VmHWM", "0 kB").split()[0]) / 1024
    return int(psutil.Process(process).memory_info().rss) / 2**20


def main() -> None:
    """Print the peaks of one analysis as JSON."""
    folder, stride, n_slices = sys.argv[1:]
    imported = peak_mib(os.getpid())
    pool = open_pool(load_bundle(Path(folder)))
    opened = peak_mib(os.getpid())
    settings = PerfusionSettings(uncertainty_stride=int(stride))
    analyse(phantom_series(int(n_slices)), pool, settings)
    peaks = {"imported_mib": imported, "opened_mib": opened, "analysed_mib": peak_mib(os.getpid())}
    print(json.dumps(peaks))


if __name__ == "__main__":
    main()
