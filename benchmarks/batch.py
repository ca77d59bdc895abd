"""A batch against the bare networks: ``python -m benchmarks.batch [--studies N] [--processes N]``.

Generated perfusion studies are analysed by ``vesalius batch run``. Meanwhile the memory of all its
processes is followed. Then the bare networks run on the same studies, with the same batches and as
many threads, one study a process at a time: what no serving can avoid.
"""

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter

import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks.inference import bare_sessions, time_bare
from benchmarks.table import RESULTS
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.batch.tables import read_columns
from pipeline.config import Configuration, ModelSettings
from pipeline.demo import write_study
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.infer.session import Session
from pipeline.infer.terms import Compute
from pipeline.ingest.inventory import take_inventory
from pipeline.perform import open_analyses
from pipeline.phantom import PhantomSettings, perfusion_phantom
from pipeline.plan import plan_jobs
from pipeline.study import InputSeries

LOOK_S = 1.0
"""Time between two looks at the memory [s]."""

PHANTOMS = 8
"""Phantoms that are simulated; the studies are these, with other noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What all processes of a run held at a moment."""

    done: int
    """Results by then."""

    main_mib: float
    """Resident set of the process that runs the batch [MiB]."""

    all_mib: float
    """That and its processes, summed; pages that they share count for each [MiB]."""


def main() -> None:
    """Measure, print, and write the results."""
    parser = ArgumentParser(prog="benchmarks.batch", description=__doc__)
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--stride", type=int, default=PerfusionSettings().uncertainty_stride)
    parser.add_argument("--bundle", type=Path, help="the bundle; the installed one by default")
    call = parser.parse_args()
    bundle = find_bundle("perfusion", [call.bundle] if call.bundle else [])
    with TemporaryDirectory(prefix="vesalius-batch-") as folder:
        root = Path(folder)
        write_studies(root / "in", call.studies)
        seconds, memory, first_s = run_batch(root, bundle, call)
        bare_s = run_bare(root / "in", bundle, call)
        columns = read_columns(root / "out" / "batch-bench" / "results.parquet")
    if len(columns["job_id"]) != call.studies:
        sys.exit("the table is not complete")
    lines = told(call.studies, (seconds, first_s, bare_s), memory)
    lines.insert(
        2,
        f"{call.studies} studies of one slice, 45 beats, 96 x 96, classic DICOM; "
        f"{call.processes} processes of {call.threads} threads; stride {call.stride}.",
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "batch.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def write_studies(folder: Path, count: int) -> None:
    """Write studies, no two of which are the same."""
    settings = PhantomSettings(n_slices=1, n_beats=45, rows=96, columns=96)
    phantoms = [perfusion_phantom(seed, settings).image for seed in range(min(PHANTOMS, count))]
    for number in range(count):
        image = phantoms[number % len(phantoms)]
        array = image.array.copy()
        # One pixel in a corner: another study, and the same work.
        array[0, 0, 0, 0] += 1 + number
        image = replace(image, array=array)
        write_study(image, folder / f"{number:05d}", name=f"study {number}")


def run_batch(root: Path, bundle: Path, call: Namespace) -> tuple[float, list[Memory], float]:
    """Run the batch; return its time, its memory, and the time to its first result [s]."""
    config = root / "site.toml"
    config.write_text(f"[perfusion]\nuncertainty_stride = {call.stride}\n")
    where = ["--config", str(config), "--models", str(bundle), "--ledger", str(root / "ledger.db")]
    batch = [sys.executable, "-m", "workers.cli", "batch"]
    what = [str(root / "in"), "--output", str(root / "out"), "--analysis", "perfusion"]
    subprocess.run([*batch, "plan", "bench", *what, *where], check=True)
    run = [*batch, "run", "bench", "--processes", str(call.processes), *where]
    run += ["--threads", str(call.threads)]
    began = perf_counter()
    process = subprocess.Popen(run)
    ended, seen, firsts = Event(), [], []

    def follow() -> None:
        while not ended.wait(LOOK_S):
            done = sum(path.name.startswith("perfusion-") for path in listed(root / "out"))
            if done and not firsts:
                firsts.append(perf_counter() - began)
            if (held := memory_of(process.pid, done)) is not None:
                seen.append(held)

    thread = Thread(target=follow)
    thread.start()
    status = process.wait()
    seconds = perf_counter() - began
    ended.set()
    thread.join()
    if status:
        sys.exit(f"the batch ended with {status}")
    return seconds, seen, firsts[0]


def listed(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder, if it is there."""
    if folder.is_dir():
        yield from folder.iterdir()


def memory_of(pid: int, done: int) -> Memory | None:
    """Return what a process and its children hold; None if it has ended."""
    try:
        process = psutil.Process(pid)
        own = process.memory_info().rss
        others = sum(child.memory_info().rss for child in process.children(recursive=True))
    except psutil.NoSuchProcess:
        return None
    return Memory(done=done, main_mib=own / 2**20, all_mib=(own + others) / 2**20)


def run_bare(folder: Path, bundle: Path, call: Namespace) -> float:
    """Return the time of the bare networks on all studies, as many at a time as the batch [s]."""
    os.environ["OMP_NUM_THREADS"] = str(call.threads)
    studies = sorted(folder.iterdir())
    context = get_context("spawn")
    with ProcessPoolExecutor(call.processes, mp_context=context) as pool:
        work = [(study, bundle, call.stride, call.threads) for study in studies]
        return sum(pool.map(bare_study, work)) / call.processes


def bare_study(work: tuple[Path, Path, int, int]) -> float:
    """Return the time of the bare networks on a study [s]."""
    study, place, stride, threads = work
    bundle = load_bundle(place)
    settings = PerfusionSettings(uncertainty_stride=stride)
    if not _OPEN:
        _OPEN.append((open_pool(bundle, Compute(threads=threads)), bare_sessions(bundle)))
    pool, sessions = _OPEN[0]
    configuration = Configuration(perfusion=settings, models=ModelSettings(path=place))
    (job,) = plan_jobs(take_inventory([study]), open_analyses(["perfusion"], configuration)).jobs
    series = job.candidate.load()
    if not isinstance(series, InputSeries):
        sys.exit("a study holds no images")
    return time_bare(series, pool, settings, sessions)[0]


_OPEN: list[tuple[Pool, list[Session]]] = []
"""What a process has opened."""


def told(count: int, seconds: tuple[float, float, float], memory: list[Memory]) -> list[str]:
    """Return the results as lines."""
    whole_s, first_s, bare_s = seconds
    steady_s = (whole_s - first_s) / max(count - 1, 1)
    lines = [
        "# Benchmark of a batch",
        "",
        "",
        f"- The run: {whole_s:.0f} s, {whole_s / count:.2f} s a study with start, tables and "
        f"report; {steady_s:.2f} s a study after the first.",
        f"- The bare networks on the same studies: {bare_s / count:.2f} s a study.",
        f"- Rate: {bare_s / whole_s:.2f} of the bare networks', "
        f"{bare_s / count / steady_s:.2f} after the first study.",
    ]
    # The beginning fills caches: the slope is that of the second half.
    late = [one for one in memory if count / 2 <= one.done < count]
    for name in ("main_mib", "all_mib"):
        values = [getattr(one, name) for one in memory]
        line = f"- Memory, {name}: at most {max(values):.0f} MiB"
        if len({one.done for one in late}) > 2:
            slope = np.polyfit([one.done for one in late], [getattr(o, name) for o in late], 1)[0]
            line += f"; in the second half {1000 * slope:+.1f} MiB a 1,000 studies"
        lines.append(f"{line}.")
    return lines


if __name__ == "__main__":
    main()
