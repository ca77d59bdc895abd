"""Try nasty files at every door: ``python -m benchmarks.nasty [--every N]``.

All files are taken stock of in a process of their own; then a whole service with its worker gets
them by C-STORE, by STOW-RS and by the folder that it watches, and a good study in their midst.
"""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic, perf_counter, sleep

import psutil
from pynetdicom import AE

from benchmarks.table import RESULTS
from pipeline.demo import write_study
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import Job
from pipeline.phantom import PhantomSettings, perfusion_phantom
from tests.nasty.case import Case, Verdict
from tests.nasty.corpus import generated, installed, written
from tests.nasty.senders import Reception, lost, parcels, store, stow
from tests.support.bundles import write_tiny_bundle
from tests.support.hospital import Hospital
from tests.support.service import wait_until

PATIENCE_S = 400.0
"""How long the log of the folder that is watched is waited for [s]."""

LOOK_S = 0.2
"""Time between two looks at the memory of the service [s]."""


@dataclass(kw_only=True)
class Watch:
    """What is seen of a service while it is sent nasty files."""

    process_mb: float = 0.0
    """Most memory of one process."""

    all_mb: float = 0.0
    """Most memory of all processes together."""

    echoes_s: list[float] = field(default_factory=list)
    """How long a C-ECHO took, again and again."""


def main() -> None:
    """Try all, and write what came of it."""
    parser = ArgumentParser(prog="benchmarks.nasty", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every so manieth file only")
    call = parser.parse_args()
    cases = [*generated(), *installed()][:: call.every]
    with TemporaryDirectory(prefix="vesalius-bench-") as name:
        folder = Path(name)
        placed = [(case, at) for case, at in written(cases, folder / "nasty")]
        lines = ["# Nasty files", "", *replayed(placed, folder), ""]
        print("\n".join(lines), flush=True)
        told = served(placed, folder)
        print("\n".join(told), flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "nasty.md").write_text("\n".join([*lines, *told]) + "\n")


def replayed(placed: Sequence[tuple[Case, Path]], folder: Path) -> list[str]:
    """Return what becomes of each kind where it is taken stock of and its pixels are read."""
    out = folder / "replay.jsonl"
    command = [sys.executable, "-m", "tests.nasty.replay", str(folder / "nasty"), str(out)]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE)
    told = [json.loads(line) for line in out.read_text().splitlines()]
    memory = told.pop() if "own" in told[-1] else {"own": 0.0, "children": 0.0}
    found = {line["folder"]: line for line in told}
    meant = {at.relative_to(folder / "nasty").as_posix(): case for case, at in placed}
    wrong = [
        f"- {meant[name].folder}: {line['verdict']}, not {meant[name].verdict}: {line['why']}"
        for name, line in found.items()
        if line["verdict"] == "crash" or meant[name].verdict not in (Verdict.ANY, line["verdict"])
    ]
    rows = Counter((meant[name].kind, line["verdict"]) for name, line in found.items())
    refusing = sorted(one["seconds"] for one in told if one["verdict"] == Verdict.REFUSED)
    return [
        "| kind | inputs | refused | accepted | skipped | another verdict |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(_row(kind, placed, rows, wrong) for kind in sorted({c.kind for c, _ in placed})),
        "",
        f"{len(found)} of {len(placed)} inputs judged, exit status {done.returncode}, "
        f"{sum(one['verdict'] == 'crash' for one in told)} crashes, {len(wrong)} wrong verdicts. "
        f"Time to refuse: median {1000 * median(refusing):.0f} ms, 99 % within "
        f"{refusing[int(0.99 * len(refusing))]:.2f} s, the longest {refusing[-1]:.2f} s. "
        f"Most memory: {memory['own']:.0f} MB, a process that decodes {memory['children']:.0f} MB.",
        *wrong,
    ]


def _row(
    kind: str,
    placed: Sequence[tuple[Case, Path]],
    rows: Counter[tuple[str, str]],
    wrong: Sequence[str],
) -> str:
    """Return what became of one kind."""
    counts = [rows[kind, v] for v in (Verdict.REFUSED, Verdict.ACCEPTED, Verdict.SKIPPED)]
    n_wrong = sum(line.startswith(f"- {kind}/") for line in wrong)
    cells = (kind, sum(case.kind == kind for case, _ in placed), *counts, n_wrong)
    return f"| {' | '.join(map(str, cells))} |"


def served(placed: Sequence[tuple[Case, Path]], folder: Path) -> list[str]:
    """Return what a whole service does with them, and with a good study beside them."""
    watched = folder / "watched"
    watched.mkdir()
    hospital = Hospital(
        folder / "service",
        "",
        models=write_tiny_bundle(folder / "tiny"),
        words=("--watch", str(watched), "--settle", "2"),
    )
    sent = parcels([case for case, _ in placed])
    good = [parcels([_good(folder, seed)]) for seed in range(3)]
    lines = ["| door | inputs | stored | set apart | refused | cut off | lost |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    with hospital, looked_at(hospital) as seen:
        for name, send, study in (("C-STORE", store, good[0]), ("STOW-RS", stow, good[1])):
            port = hospital.port if name == "C-STORE" else hospital.http_port
            half = len(sent) // 2
            done = _joined(*(send(port, part) for part in (sent[:half], study, sent[half:])))
            lines.append(_door(name, done, hospital))
        drop(placed, folder, watched)
        missing = untold(folder, hospital)
        wait_until(lambda: len(_done(hospital)) >= 3, 600, hospital.told)
        jobs = _states(hospital)
        log = (hospital.folder / "up.log").read_text(errors="replace")
    refused = sum("refused: " in line for line in log.splitlines())
    return [
        *lines,
        "",
        f"The folder that is watched: {len(placed)} inputs and a good study, {refused} refusals "
        f"logged; of those refused at once above, {len(missing)} of which the log says nothing.",
        f"Jobs: {jobs}; the three good studies, one a door, are done. "
        f"Parts of the service that ended: {log.count('has ended (')}; tracebacks in its log: "
        f"{log.count('Traceback')}. Most memory of one process {seen.process_mb:.0f} MB, of all "
        f"together {seen.all_mb:.0f} MB. C-ECHO meanwhile: {len(seen.echoes_s)} times, median "
        f"{1000 * median(seen.echoes_s):.0f} ms, the longest {max(seen.echoes_s):.2f} s.",
        *missing,
    ]


def drop(placed: Sequence[tuple[Case, Path]], folder: Path, watched: Path) -> None:
    """Drop all into the folder that is watched, a folder a kind, and a good study."""
    for kind in sorted({case.kind for case, _ in placed}):
        copytree(folder / "nasty" / kind, watched / f".{kind}")
        (watched / f".{kind}").rename(watched / kind)
    copytree(folder / "good-2", watched / "good")


def untold(folder: Path, hospital: Hospital) -> list[str]:
    """Return the inputs that are refused at once and of which the log says nothing, after a while.

    A log names an input by its folder's number, or says the same of it as was said above.
    """
    replayed = map(json.loads, (folder / "replay.jsonl").read_text().splitlines())
    wanted = {one["folder"]: one["why"] for one in replayed if one.get("at_once")}
    until = monotonic() + PATIENCE_S
    while True:
        log = (hospital.folder / "up.log").read_text(errors="replace")
        silent = [
            f"- silent: {name}"
            for name, why in wanted.items()
            if f"{Path(name).name}/" not in log and why not in log
        ]
        if not silent or monotonic() > until:
            return silent
        sleep(2.0)


def _door(name: str, done: Reception, hospital: Hospital) -> str:
    """Return what one door did, as a row."""
    gone = lost(str(hospital.ledger), _inbox(hospital), done)
    counts = Counter[str]()
    for (_, answer), count in done.answers.items():
        counts[answer] += count
    cells = (
        name,
        counts.total(),
        *(counts[one] for one in ("stored", "apart", "refused", "cut off")),
        len(gone) + len(done.silent),
    )
    return f"| {' | '.join(map(str, cells))} |"


def _inbox(hospital: Hospital) -> Path:
    """Return the folder of what was received."""
    return next(path.parent for path in hospital.folder.rglob("incoming") if path.is_dir())


def _joined(*parts: Reception) -> Reception:
    """Return receptions as one."""
    whole = Reception()
    for part in parts:
        whole.answers += part.answers
        whole.refusing_s += part.refusing_s
        whole.stored += part.stored
        whole.apart += part.apart
        whole.silent += part.silent
    return whole


def _good(folder: Path, seed: int) -> Case:
    """Return a good study, which also lies in a folder of its own."""
    image = perfusion_phantom(seed, PhantomSettings(n_slices=1, n_beats=45, rows=96, columns=96))
    place = folder / f"good-{seed}"
    files = write_study(image.image, place, name=f"good {seed}")
    content = {f"{path.stem}.dcm": path.read_bytes() for path in files}
    return Case(kind="good", name=str(seed), files=content, verdict=Verdict.ACCEPTED)


def _states(hospital: Hospital) -> dict[str, int]:
    """Return how many jobs are in each state."""
    with Ledger.open(str(hospital.ledger)) as ledger, ledger.reading() as session:
        return dict(Counter(str(job.state) for job in session.query(Job)))


def _done(hospital: Hospital) -> list[str]:
    """Return the jobs that are done."""
    with Ledger.open(str(hospital.ledger)) as ledger, ledger.reading() as session:
        return [str(job.id) for job in session.query(Job) if job.state == "done"]


@contextmanager
def looked_at(hospital: Hospital) -> Iterator[Watch]:
    """Look at a service's memory and whether it answers, until the end."""
    seen, ended = Watch(), Event()
    looking = Thread(target=_look, args=(hospital, seen, ended))
    looking.start()
    try:
        yield seen
    finally:
        ended.set()
        looking.join()


def _look(hospital: Hospital, seen: Watch, ended: Event) -> None:
    """Look until told to end."""
    service = psutil.Process(hospital.pid)
    ae = AE()
    ae.add_requested_context("1.2.840.10008.1.1")
    while not ended.wait(LOOK_S):
        sizes = []
        for member in (service, *service.children(recursive=True)):
            try:
                sizes.append(member.memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                continue
        seen.process_mb = max(seen.process_mb, *sizes)
        seen.all_mb = max(seen.all_mb, sum(sizes))
        began = perf_counter()
        association = ae.associate("127.0.0.1", hospital.port, ae_title="VESALIUS")
        if association.is_established:
            association.send_c_echo()
            association.release()
            seen.echoes_s.append(perf_counter() - began)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
