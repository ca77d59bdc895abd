"""A service of real processes: a broker, a dispatcher and workers over one ledger."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psutil
from sqlalchemy import func, select

from pipeline.config import read_configuration
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import ArtifactRow, Job
from pipeline.outputs import what_is_wrong
from pipeline.perform import open_analyses
from pipeline.sandbox import nursery
from pipeline.submit import Terms, submit
from tests.support.tally import SITE

ROOT = Path(__file__).parents[2]


@dataclass(kw_only=True)
class Service:
    """A service in a folder; its processes are ended with it."""

    folder: Path
    broker: str
    place: str
    models: Path
    lease_s: float = 5.0
    attempts: int = 3
    retry_s: float = 0.2
    stop_s: float = 20.0
    longest_s: float = 300.0
    window: int = 256
    call_again_s: float = 30.0
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def config(self) -> Path:
        """Write the settings, and return their file."""
        path = self.folder / "site.toml"
        path.write_text(
            f'[models]\npath = "{self.models}"\n[ledger]\nurl = "{self.place}"\n'
            f'[service]\nbroker = "{self.broker}"\noutput = "{self.output}"\n'
            f"attempts = {self.attempts}\nlease_s = {self.lease_s}\n"
            f"longest_s = {self.longest_s}\nretry_s = {self.retry_s}\nwindow = {self.window}\n"
            f"call_again_s = {self.call_again_s}\n"
            f"[worker]\nthreads = 1\nstop_s = {self.stop_s}\n"
        )
        return path

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command of the service; it writes into a log of its own."""
        log = self.folder / f"{words[0]}-{len(self.processes)}.log"
        paths = os.pathsep.join((str(ROOT), str(SITE)))
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "workers.cli", *words, "--config", str(self.config)],
                env={
                    **os.environ,
                    "PYTHONPATH": paths,
                    "OMP_NUM_THREADS": "1",
                    **self.environment,
                    **environment,
                },
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def dispatcher(self) -> subprocess.Popen[bytes]:
        """Start a dispatcher."""
        return self.start("dispatch")

    def worker(self, lane: str | None = None, processes: int = 1) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it is there."""
        if lane is None and self.broker.startswith("amqp"):
            lane = "routine"  # a worker of RabbitMQ serves one lane
        lanes = ["--lane", lane] if lane else []
        process = self.start("worker", *lanes, "--processes", str(processes))
        wait_until(lambda: len(working(process)) == processes, 120, self.told)
        return process

    def submit(self, *inputs: Path, lane: str = "routine", priority: int = 0) -> list[UUID]:
        """Submit inputs, and return the jobs."""
        configuration = read_configuration(self.config)
        terms = Terms(output=self.output, lane=lane, priority=priority, attempts=self.attempts)
        with Ledger.open(self.place) as ledger:
            found = submit(inputs, open_analyses(["tally"], configuration), terms, ledger)
        return [job.job_id for job in found.jobs]

    def states(self) -> dict[str, int]:
        """Return how many jobs are in each state."""
        with Ledger.open(self.place) as ledger, ledger.reading() as session:
            rows = session.execute(select(Job.state, func.count()).group_by(Job.state))
            return {state: count for state, count in rows}  # noqa: C416 - rows are no pairs

    def wait_for(self, count: int, timeout_s: float, state: JobState = JobState.DONE) -> None:
        """Wait until so many jobs are in a state."""
        wait_until(lambda: self.states().get(state, 0) >= count, timeout_s, self.told)

    def told(self) -> str:
        """Return the ends of all logs, for a failure."""
        logs = sorted(self.folder.glob("*.log"))
        return f"{self.states()}\n" + "\n".join(
            f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs
        )

    def check_whole(self, n_jobs: int) -> None:
        """Check that every job is done once, and that its files are as recorded."""
        assert self.states() == {"done": n_jobs}, self.told()
        with Ledger.open(self.place) as ledger, ledger.reading() as session:
            job_ids = list(session.scalars(select(Job.id)))
            n_artifacts = session.scalar(select(func.count()).select_from(ArtifactRow))
        assert n_artifacts == 3 * n_jobs
        with Ledger.open(self.place) as ledger:
            for job_id in job_ids:
                record = ledger.find(job_id)
                assert record is not None
                assert record.folder is not None
                assert what_is_wrong(record.folder, record.artifacts) is None
                assert [e.event for e in ledger.history(job_id)].count("done") == 1
        visible = [path for path in self.output.iterdir() if not path.name.startswith(".")]
        assert len(visible) == n_jobs
        assert sum(len([f for f in v.rglob("*") if f.is_file()]) for v in visible) == 3 * n_jobs

    def stop(self) -> None:
        """End all processes."""
        for process in self.processes:
            for member in (process.pid, *(child.pid for child in family(process))):
                kill(member, signal.SIGCONT)
                kill(member, signal.SIGKILL)
        for process in self.processes:
            process.wait(30)


def kill(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the children of a process."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def working(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes of a worker that do jobs."""
    return [process for process in _alive(worker) if not _reads(process)]


def nurseries(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes that a worker's readers are made from, and those readers."""
    return [process for process in _alive(worker) if _reads(process)]


def _alive(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return a worker's processes; one may end while it is looked at."""
    found = []
    for child in family(worker):
        with suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def _reads(process: psutil.Process) -> bool:
    """Tell whether a process reads for another that does jobs."""
    try:
        return nursery.__name__ in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def wait_until(
    is_so: Callable[[], object], timeout_s: float, told: Callable[[], str] = lambda: ""
) -> None:
    """Wait until something is so."""
    until = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until, f"not so after {timeout_s} s\n{told()}"
        time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
