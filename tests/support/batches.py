"""Batch runs of the tests: real commands in processes of their own, over the analysis ``tally``."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import psutil
from sqlalchemy import func, select

from pipeline.ledger.batches import Batches
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import EventRow, Job
from tests.support.service import ROOT, wait_until
from tests.support.tally import SITE


@dataclass(kw_only=True)
class Desk:
    """Where the commands are called: a folder with a ledger, models and settings."""

    folder: Path
    models: Path
    settings: str = ""
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def place(self) -> str:
        return str(self.folder / "ledger.db")

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def tables(self, name: str) -> Path:
        """Return the folder of a batch's tables."""
        return self.output / f"batch-{name}"

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start a command of batch runs."""
        config = self.folder / "site.toml"
        config.write_text(f'[service]\noutput = "{self.output}"\nretry_s = 0.2\n{self.settings}')
        kept = {k: v for k, v in os.environ.items() if not k.startswith("VESALIUS_")}
        environment = kept | {
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(SITE))),
            "VESALIUS_LEDGER": self.place,
            "VESALIUS_MODELS": str(self.models),
            "OMP_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.cli", "batch", *map(str, words), "--config", config],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def call(self, *words: str | Path, status: int = 0, timeout_s: float = 250) -> str:
        """Call a command, and return what it prints; all of it if it ends in another way."""
        process = self.start(*words)
        out, err = process.communicate(timeout=timeout_s)
        assert process.returncode == status, f"{process.returncode}\n{out}\n{err}"
        return out + (err if status == 2 else "")

    def status(self, name: str) -> dict[str, Any]:
        """Return how a batch stands, by its rows."""
        found: dict[str, Any] = json.loads(self.call("status", name, "--json"))
        return found

    def studies(self, name: str) -> dict[str, int]:
        """Return how many studies of a batch are in each state; none if there is no such batch."""
        with Ledger.open(self.place) as ledger:
            return {state.value: n for state, n in Batches(ledger).counts(name).items()}

    def jobs_done(self) -> int:
        """Return how many jobs are done."""
        with Ledger.open(self.place) as ledger, ledger.reading() as session:
            query = select(func.count()).select_from(Job).where(Job.state == "done")
            return int(session.scalar(query) or 0)

    def done_twice(self) -> list[str]:
        """Return the jobs that came to an end more than once."""
        query = select(EventRow.job_id).where(EventRow.event == "done").group_by(EventRow.job_id)
        with Ledger.open(self.place) as ledger, ledger.reading() as session:
            return [str(job) for job in session.scalars(query.having(func.count() > 1))]

    def wait_for_jobs(self, count: int, timeout_s: float = 120) -> None:
        """Wait until so many jobs are done."""
        wait_until(lambda: self.jobs_done() >= count, timeout_s)

    def kill(self, process: subprocess.Popen[str]) -> None:
        """End a run as a power cut would, and wait until its own processes are gone, too."""
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate(timeout=30)
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive

    def stop(self) -> None:
        """End all processes."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            if process.stdout is not None and not process.stdout.closed:
                process.communicate(timeout=30)


def rows_of(path: Path) -> list[dict[str, object]]:
    """Return the rows of a Parquet file, as another program reads them."""
    with duckdb.connect() as database:
        found = database.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
