"""The whole way, ``vesalius run`` from DICOM files to DICOM files, over the bare networks.

The command runs as a user runs it: a fresh process, the installed bundle, the default settings. Its
time holds what the analysis' own does not: imports, files, encoding, the ledger and the manifest.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.inference import bare_sessions, phantom_series, time_bare
from benchmarks.memory import peak_mib
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.demo import write_study
from pipeline.infer.bundle import find_bundle, load_bundle


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandCost:
    """What the command costs beside its networks."""

    n_slices: int
    n_members: int

    command_seconds: float
    """The whole command [s]."""

    bare_seconds: float
    """The networks alone, for the same patches and threads [s]."""

    peak_mib: float
    """Largest resident set of the command's process [MiB]."""

    @property
    def ratio(self) -> float:
        """The command's time over the networks'."""
        return self.command_seconds / self.bare_seconds


def measure_command(*, n_slices: int) -> CommandCost:
    """Run the command on a generated study, then its networks alone.

    Raises
    ------
    subprocess.CalledProcessError
        If the command fails.
    """
    series = phantom_series(n_slices)
    bundle = load_bundle(find_bundle("perfusion"))
    pool, sessions = open_pool(bundle), bare_sessions(bundle)
    with TemporaryDirectory() as place:
        write_study(series.image, Path(place, "study"), name="benchmark")
        call = [sys.executable, "-m", "pipeline.cli", "run", f"{place}/study"]
        call += ["--output", f"{place}/results", "--again", "--json"]
        seconds, peak = timed(call)
    bare, _ = time_bare(series, pool, PerfusionSettings(), sessions)
    return CommandCost(
        n_slices=n_slices,
        n_members=len(pool.members),
        command_seconds=seconds,
        bare_seconds=bare,
        peak_mib=peak,
    )


def timed(call: list[str]) -> tuple[float, float]:
    """Run a command; return its time [s] and its peak memory [MiB], read ten times a second.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    began, peak = perf_counter(), 0.0
    with subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while True:
            try:
                status = process.wait(0.1)
            except subprocess.TimeoutExpired:
                peak = max(peak, peak_mib(process.pid))
            else:
                break
    if status:
        raise subprocess.CalledProcessError(status, call)
    return perf_counter() - began, peak
