"""A whole service beside archives: it receives, assembles, works and delivers."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import select

from pipeline.ledger.deliverytables import DeliveryRow
from pipeline.ledger.ledger import Ledger
from tests.support.service import ROOT, free_port, wait_until
from tests.support.tally import SITE


class Hospital:
    """``vesalius up --receive`` in a folder.

    Parameters
    ----------
    folder
        Where everything lies.
    settings
        More of its settings: nodes, destinations, and what else a test changes, as TOML.
    receive
        More of the table ``[receive]``, as TOML.
    models
        Folder of its models; None takes the installed ones.
    words
        More words of its command.
    """

    def __init__(
        self,
        folder: Path,
        settings: str,
        *,
        receive: str = "",
        models: Path | None = None,
        words: tuple[str, ...] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port, self.http_port = folder, free_port(), free_port()
        self.monitor = free_port()
        self.ledger = folder / "state" / "ledger.db"
        self.config = folder / "site.toml"
        self.config.write_text(
            f'[ledger]\nurl = "{self.ledger}"\n'
            f'[service]\noutput = "{folder / "out"}"\n'
            f"[worker]\nthreads = 2\nstop_s = 5.0\n"
            f'[monitoring]\nport = {self.monitor}\nlog = "text"\n'
            f"[receive]\nport = {self.port}\nhttp_port = {self.http_port}\nquiet_s = 3.0\n"
            f"{receive}\n{settings}\n"
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith("VESALIUS_")}
        self._environment = kept | {
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(SITE))),
            "OMP_NUM_THREADS": "1",
            **({"VESALIUS_MODELS": str(models)} if models else {}),
        }
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that keeps all others running."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> "Hospital":
        with (self.folder / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("up", "--receive", *self._words),
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(
            lambda: "receiver_open" in self.told() or "on port" in self.told(), 60, self.told
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(60)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def call(self, *words: str) -> Any:
        """Call a command that tells JSON."""
        return json.loads(self.say(*words, "--json"))

    def say(self, *words: str) -> str:
        """Call a command, and return what it says."""
        done = subprocess.run(
            self._command(*words),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deliveries(self) -> dict[str, str]:
        """Return where the deliveries stand, by destination and job."""
        if not self.ledger.exists():
            return {}
        with Ledger.open(str(self.ledger)) as ledger, ledger.reading() as session:
            rows = session.execute(
                select(DeliveryRow.destination, DeliveryRow.job_id, DeliveryRow.state)
            )
            return {f"{row.destination} {row.job_id}": row.state for row in rows}

    def told(self) -> str:
        """Return the log."""
        return (self.folder / "up.log").read_text(errors="replace")[-6000:]

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "workers.cli", *words, "--config", str(self.config)]
