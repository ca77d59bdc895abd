"""How long a command takes, and what memory."""

import subprocess
from time import perf_counter

from benchmarks.memory import peak_mib


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
