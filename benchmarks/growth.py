"""Area ``growth``: time against the size of the input, as slopes on logarithmic axes.

A slope of 1 is in proportion. Times are the least of the rounds: what else runs on the machine can
only add to them. Video and studies are measured once, in processes of their own, and with their
times their peaks of memory. The plot is written to ``benchmarks/results/growth.png``.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from matplotlib.figure import Figure

from benchmarks.inputs import disc_slice, phantom_series
from benchmarks.memoryrows import alone
from benchmarks.phases import write_clip
from benchmarks.row import Row, Terms, seconds_of
from benchmarks.service import LEASE_S, complete, made_up
from benchmarks.table import PLOT
from pipeline.analyses.perfusion.analysis import analyse as analyse_perfusion
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.reconstruction.networks import open_networks
from pipeline.analyses.reconstruction.slices import reconstruct_slice
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.outbox import Outbox
from pipeline.ledger.queue import Queue

AIM = 1.1
"""Largest slope over the expected one that reaches the aim."""

WINDOW = 256
"""Calls that the dispatcher asks for at a time."""

FLAT = 1.1
"""Largest peak of memory over that of the smallest size that counts as flat: a database's cache of
pages fills once and stays."""

SAMPLES = 40
"""Jobs that the cost of a study in a ledger of a size is measured on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Times over sizes."""

    what: str
    """What grows."""

    unit: str
    """What the size counts."""

    sizes: tuple[int, ...]
    """The sizes, growing."""

    rounds: tuple[tuple[float, ...], ...]
    """Time of each size, once a round [s]."""

    expected: float = 1.0
    """The slope of what cannot be avoided."""

    peaks: tuple[float, ...] = ()
    """Peak memory of each size [MiB]; empty where that is not told."""

    @property
    def slopes(self) -> tuple[float, ...]:
        """The slope of each round."""
        return tuple(slope(self.sizes, times) for times in self.rounds)

    @property
    def least(self) -> tuple[float, ...]:
        """The least time of each size [s]."""
        return tuple(min(times) for times in zip(*self.rounds, strict=True))

    def row(self) -> Row:
        """Return it as a row."""
        told = f"{self.sizes[0]:,} to {self.sizes[-1]:,} {self.unit}"
        return Row(
            area="growth",
            what=f"{self.what}, {told}",
            against="in proportion" if self.expected == 1.0 else "n log n of the transforms",
            ours=(slope(self.sizes, self.least),),
            theirs=(self.expected,),
            unit="slope",
            aim=AIM,
            note="" if len(self.sizes) > 2 else "Two sizes only.",
        )

    def peak_row(self) -> Row:
        """Return the peak of the largest size beside that of the smallest as a row."""
        return Row(
            area="growth",
            what=f"peak: {self.what}, {self.sizes[-1]:,} {self.unit}",
            against=f"{self.sizes[0]:,} {self.unit}",
            ours=(self.peaks[-1],),
            theirs=(self.peaks[0],),
            unit="MiB",
            aim=FLAT,
        )


def slope(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Return the slope of the line through times over sizes, on logarithmic axes."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def measure(terms: Terms) -> Iterator[Row]:
    """Yield the slopes, and write the plot."""
    curves = []
    for curve in (coils, matrix, beats, video, ledger_work, intake):
        curves.append(curve(terms))
        yield curves[-1].row()
        if curves[-1].peaks:
            yield curves[-1].peak_row()
    plot(curves, PLOT)


def timed(
    terms: Terms, sizes: Sequence[int], task: Callable[[int], Callable[[], object]]
) -> tuple[tuple[float, ...], ...]:
    """Time a task of each size, once a round, after one that is not counted [s]."""
    tasks = [task(size) for size in sizes]
    tasks[0]()
    return tuple(tuple(seconds_of(each) for each in tasks) for _ in range(min(terms.rounds, 2)))


def slices() -> Callable[[int, int], Callable[[], object]]:
    """Return what makes the reconstruction of a slice of so many coils and rows."""
    networks = open_networks(load_bundle(find_bundle("reconstruction")), "operator")

    def task(n_coils: int, side: int) -> Callable[[], object]:
        raw = disc_slice(n_coils, side)
        return lambda: reconstruct_slice(raw, networks, Stopwatch())

    return task


def coils(terms: Terms) -> Curve:
    """Return reconstruction over coils."""
    sizes, task = (1, 4) if terms.is_small else (1, 2, 4, 8, 16), slices()
    return Curve(
        what="reconstruction of a slice of 128 squared",
        unit="coils",
        sizes=sizes,
        rounds=timed(terms, sizes, lambda n: task(n, 128)),
    )


def matrix(terms: Terms) -> Curve:
    """Return reconstruction over pixels."""
    sides, task = (64, 96) if terms.is_small else (64, 128, 256, 384, 640), slices()
    return Curve(
        what="reconstruction of a slice of 2 coils",
        unit="pixels",
        sizes=tuple(side**2 for side in sides),
        rounds=timed(terms, sides, lambda side: task(2, side)),
        expected=1.1,
    )


def beats(terms: Terms) -> Curve:
    """Return perfusion over beats."""
    sizes = (12, 24) if terms.is_small else (10, 30, 100, 300)
    pool = open_pool(load_bundle(find_bundle("perfusion")))
    settings = PerfusionSettings(uncertainty_stride=8)

    def task(n_beats: int) -> Callable[[], object]:
        series = phantom_series(1, n_beats)
        return lambda: analyse_perfusion(series, pool, settings)

    return Curve(
        what="perfusion of a slice",
        unit="beats",
        sizes=sizes,
        rounds=timed(terms, sizes, task),
    )


def video(terms: Terms) -> Curve:
    """Return phases over the length of a video of one picture a second."""
    sizes, told = (20, 40) if terms.is_small else (60, 600, 7200), []
    for seconds in sizes:
        path = terms.place / f"{seconds}.mp4"
        write_clip(path, seconds, (96, 160), 1)
        told.append(alone("video", path))
    return Curve(
        what="phases of a video of 160 x 96 at 1 Hz",
        unit="s",
        sizes=sizes,
        rounds=(tuple(each["seconds"] for each in told),),
        peaks=tuple(each["peak"] for each in told),
    )


def ledger_work(terms: Terms) -> Curve:
    """Return the ledger's work for so many jobs: a job's cost at that size, times the size."""
    sizes = (50, 500) if terms.is_small else (100, 1000, 10_000)
    with Ledger.open(str(terms.place / "growth.db")) as ledger:
        queue, done, times = Queue(ledger), 0, []
        for size in sizes:
            with ledger.transaction() as transaction:
                for number in range(done, size - SAMPLES):
                    queue.submit_within(transaction, made_up(number))
            done = size
            numbers = range(size - SAMPLES, size)
            costs = [seconds_of(partial(life_of, queue, ledger, number)) for number in numbers]
            times.append(size * median(costs))
    return Curve(what="the ledger's work", unit="studies", sizes=sizes, rounds=(tuple(times),))


def intake(terms: Terms) -> Curve:
    """Return studies of one instance from their files to jobs that wait in a ledger."""
    sizes = (5, 20) if terms.is_small else (10, 100, 1000, 10_000)
    call = [sys.executable, "-m", "benchmarks.studies", *map(str, sizes)]
    ended = subprocess.run(call, capture_output=True, text=True, check=True)
    told: list[dict[str, float]] = json.loads(ended.stdout)
    return Curve(
        what="files to jobs that wait",
        unit="studies",
        sizes=sizes,
        rounds=(tuple(each["seconds"] for each in told),),
        peaks=tuple(each["peak"] for each in told),
    )


def life_of(queue: Queue, ledger: Ledger, number: int) -> None:
    """Submit, call, claim, renew and end a job."""
    request, order = made_up(number)
    job_id = request.identity.job_id
    queue.submit(request, order)
    Outbox(ledger).due("routine", WINDOW)
    queue.claim(job_id, "growth", LEASE_S)
    queue.renew(job_id, 1, LEASE_S)
    complete(ledger, job_id)


def plot(curves: Sequence[Curve], path: Path) -> None:
    """Draw times over sizes, both as multiples of the first."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        sizes, times = np.array(curve.sizes), np.array(curve.least)
        shown = f"{curve.what} ({curve.unit}): {slope(curve.sizes, curve.least):.2f}"
        axes.loglog(sizes / sizes[0], times / times[0], marker="o", label=shown)
    most = max(curve.sizes[-1] / curve.sizes[0] for curve in curves)
    axes.loglog([1, most], [1, most], color="0.7", linestyle=":", label="in proportion")
    axes.set(xlabel="size over the smallest", ylabel="time over that of the smallest")
    axes.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
