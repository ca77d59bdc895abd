"""The service by one command: it does jobs, answers, stops cleanly, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.service import ROOT, family, free_port, kill, wait_until
from tests.support.tally import SITE, write_tally_bundle, write_volumes


class Up:
    """A service that was started by ``vesalius up``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.home = folder / "home"
        self.models = write_tally_bundle(folder / "models")
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*self._call(), "up", "--home", self.home, "--port", str(self.port)],
                env=self._environment(),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def _call(self) -> list[str]:
        return [sys.executable, "-m", "workers.cli"]

    def _environment(self) -> dict[str, str]:
        paths = os.pathsep.join((str(ROOT), str(SITE)))
        return os.environ | {
            "PYTHONPATH": paths,
            "VESALIUS_MODELS": str(self.models),
            "OMP_NUM_THREADS": "1",
        }

    def command(self, *words: str | Path) -> str:
        """Call the command, and return what it prints."""
        place = ("--ledger", self.home / "ledger.db")
        found = subprocess.run(
            [*self._call(), *map(str, (*words, *place))],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    def ask(self, path: str) -> tuple[int, str]:
        """Ask the endpoint; status 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as problem:
            with problem:
                return problem.code, problem.read().decode()
        except OSError:
            return 0, ""

    def told(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.ask("/readyz")[0] == 200, 60, self.told)

    def do(self, n_jobs: int, first: int = 0) -> None:
        """Submit jobs and wait until all that were submitted so far are done."""
        inputs = self.folder / f"in{first}"
        write_volumes(inputs, n_jobs, first=first)
        self.command("submit", inputs, "--analysis", "tally", "--output", self.home / "results")
        done = first + n_jobs
        wait_until(lambda: self.done() == done, 90, self.told)

    def done(self) -> int:
        states = json.loads(self.command("status", "--json"))["states"]
        return int(states.get("done", 0))


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    service = Up(tmp_path)
    try:
        service.wait_until_ready()
        yield service
    finally:
        members = [service.process.pid, *(child.pid for child in family(service.process))]
        for member in members:
            kill(member, signal.SIGKILL)
        service.process.wait(30)


def is_gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_jobs_are_done_and_counted_and_ctrl_c_leaves_no_process(up: Up) -> None:
    up.do(3)
    assert up.ask("/healthz") == (200, '{"alive": true}')
    assert up.ask("/else")[0] == 404
    status, text = up.ask("/metrics")
    assert status == 200
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family_ in text_string_to_metric_families(text)
        for sample in family_.samples
    }
    assert samples["vesalius_job_events_total", "done", "routine"] == 3
    assert samples["vesalius_jobs_waiting", "stat"] == 0
    assert samples["vesalius_stage_seconds_count", "load", "tally"] == 3
    # Nothing of an input is in a label: lanes, events, stages and analyses only.
    assert "in0" not in text
    members = family(up.process)
    assert len(members) >= 3
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0, up.told()
    assert all(is_gone(member) for member in members)
    assert len(list((up.home / "results").iterdir())) >= 3


def test_a_child_that_dies_is_started_again_and_work_goes_on(up: Up) -> None:
    children = psutil.Process(up.process.pid).children()
    lines = {child: " ".join((child.name(), *child.cmdline())) for child in children}
    for word in ("dispatch", "cli worker", "valkey"):
        found = [child for child, line in lines.items() if word in line]
        assert len(found) == 1, lines
        victim = found[0]
        victim.kill()
    wait_until(lambda: up.ask("/readyz")[0] == 503, 30, up.told)
    up.wait_until_ready()
    up.do(2)


def test_no_process_outlives_a_supervisor_that_was_killed(up: Up) -> None:
    if sys.platform != "linux":
        pytest.skip("the kernel tells a child that its parent is gone on Linux only")
    members = family(up.process)
    assert members
    up.process.kill()
    wait_until(lambda: all(is_gone(member) for member in members), 60, up.told)


def test_a_second_service_in_the_same_folder_is_refused(up: Up) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "workers.cli", "up", "--home", up.home, "--port", "0"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert second.returncode == 2
    assert "a service runs there already" in second.stderr


def test_the_secret_of_the_broker_is_in_no_log_and_no_command_line(up: Up) -> None:
    (line,) = (
        line
        for line in (up.home / "broker" / "valkey.conf").read_text().splitlines()
        if line.startswith("requirepass")
    )
    secret = line.split()[1]
    up.do(1)
    time.sleep(1)
    assert secret not in up.told()
    words = [" ".join(child.cmdline()) for child in family(up.process)]
    assert not any(secret in line for line in words)
    mode = (up.home / "broker" / "valkey.conf").stat().st_mode
    assert mode & 0o077 == 0
