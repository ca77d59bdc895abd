"""A bundle from outside, tried in a process of its own before this one looks at it.

What makes a parser or the runtime take all memory, run for ever or die does that to the process:
``python -m pipeline.infer.trial FOLDER MEMORY SECONDS`` checks every file and opens every network
on the CPU, under limits of memory and time that it cannot raise. Networks are opened and not run:
what one takes when it runs is limited by the job's limits alone.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

from pipeline.errors import BundleRejected, PipelineError

MEMORY_BYTES = 2**31
"""Address space of the process, beside the networks; a tenth is enough for those that ship
[bytes]."""

TIMES_LARGEST = 8
"""Address space for each byte of the largest network: it is read, parsed, optimised and packed."""

LONGEST_S = 120
"""Time of the processor that it may use [s]; that of the clock is five times as much."""

REFUSED = 3
"""Exit status when it says why."""


def try_bundle(folder: Path) -> None:
    """Check a bundle in a process of its own.

    Raises
    ------
    BundleRejected
        If it cannot be used, or needs more memory or time than it is given.
    """
    if not folder.is_dir():
        raise BundleRejected(f"{folder}: no such folder")
    module = ("-B", "-P", "-m", "pipeline.infer.trial")
    asked = (str(folder.absolute()), str(MEMORY_BYTES), str(LONGEST_S))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    try:
        done = subprocess.run(  # noqa: S603 - arguments are given one by one, without a shell
            [sys.executable, *module, *asked],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=5 * LONGEST_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise BundleRejected(f"{folder}: not opened within {5 * LONGEST_S} s") from None
    if done.returncode == REFUSED:
        raise BundleRejected(done.stdout.strip())
    if done.returncode != 0:
        raise BundleRejected(
            f"{folder}: cannot be opened within {MEMORY_BYTES // 2**20} MiB and {LONGEST_S} s of "
            f"the processor (status {done.returncode})"
        )


def _limit(folder: Path, memory: int, seconds: int) -> None:
    """Limit this process, for good. Without a dump: it would hold what was read."""
    largest = max((p.stat().st_size for p in folder.rglob("*.onnx") if p.is_file()), default=0)
    limits = (
        (resource.RLIMIT_AS, memory + TIMES_LARGEST * largest),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    )
    for which, most in limits:
        resource.setrlimit(which, (most, most))


def _main(folder: Path, memory: int, seconds: int) -> int:
    """Check a bundle and open its networks, and say what is wrong with it."""
    _limit(folder, memory, seconds)
    from pipeline.infer.bundle import load_bundle
    from pipeline.infer.session import open_session

    try:
        for network in load_bundle(folder).networks:
            open_session(network, threads=1)
    except PipelineError as problem:
        sys.stdout.write(f"{problem}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
