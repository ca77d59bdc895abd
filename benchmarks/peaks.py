"""One task of one size in a process of its own: ``python -m benchmarks.peaks WHAT SIZE [ARENA]``.

Prints, as JSON, the peak of its resident set before and after the task, and what is resident one
second after a large task over what was before it [MiB]. ``ARENA`` is how ONNX Runtime keeps memory:
``shipped``, as the pipeline opens its sessions, or ``arena``, one that all sessions share.
"""

import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import onnxruntime
import psutil  # type: ignore[import-untyped]

from benchmarks.inputs import disc_slice, phantom_series
from benchmarks.memory import peak_mib
from benchmarks.phases import pictures_of
from pipeline.analyses.perfusion.analysis import analyse as analyse_perfusion
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.phases.analysis import analyse as analyse_phases
from pipeline.analyses.phases.networks import open_phases
from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.analyses.reconstruction.networks import open_networks
from pipeline.analyses.reconstruction.slices import reconstruct_slice
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.infer import session
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.memory import give_back

N_COILS = 4


def video(place: str) -> Callable[[], object]:
    """Return what analyses a video."""
    networks = open_phases(load_bundle(find_bundle("phases")), "cholecystectomy")
    pictures = pictures_of(Path(place), 1, 0.0)
    return lambda: analyse_phases(pictures, networks, PhasesSettings())


def perfusion(n_beats: str) -> Callable[[], object]:
    """Return what analyses a series of so many beats."""
    pool = open_pool(load_bundle(find_bundle("perfusion")))
    series = phantom_series(1, int(n_beats))
    settings = PerfusionSettings(uncertainty_stride=8)
    return lambda: analyse_perfusion(series, pool, settings)


def reconstruction(side: str) -> Callable[[], object]:
    """Return what reconstructs a slice of so many rows and columns."""
    networks = open_networks(load_bundle(find_bundle("reconstruction")), "operator")
    raw = disc_slice(N_COILS, int(side))
    return lambda: reconstruct_slice(raw, networks, Stopwatch())


TASKS = {"video": video, "perfusion": perfusion, "reconstruction": reconstruction}


def keep(arena: str) -> None:
    """Have sessions keep memory in another way than the shipped one."""
    if arena == "shipped":
        return
    shipped = session._options  # noqa: SLF001 - what is compared is not to be a setting of ours

    def options(threads: int) -> object:
        found: Any = shipped(threads)
        found.add_session_config_entry("session.use_env_allocators", "1")
        return found

    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    of = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    onnxruntime.create_and_register_allocator(of, None)
    session._options = options  # noqa: SLF001


def resident_mib() -> float:
    """Return what is resident now [MiB]."""
    gc.collect()
    return int(psutil.Process().memory_info().rss) / 2**20


def main() -> None:
    """Do the task and print what it took."""
    what, size, *rest = sys.argv[1:]
    keep(rest[0] if rest else "shipped")
    small, _, large = size.partition("-")
    task = TASKS[what](small)
    before = peak_mib(os.getpid())
    began = perf_counter()
    task()
    told = {"before": before, "peak": peak_mib(os.getpid()), "seconds": perf_counter() - began}
    if large:
        warm = resident_mib()
        # Its own networks are the warm ones' copies: a worker keeps what it has opened.
        TASKS[what](large)()
        give_back()
        sleep(1.0)
        told |= {"warm": warm, "after": resident_mib()}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
