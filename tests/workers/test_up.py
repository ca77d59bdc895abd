"""The service on one machine, as processes: it starts, works, mends itself, and leaves nothing."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.service import ROOT, free_port, wait_until
from tests.support.tally import SITE, write_tally_bundle, write_volumes

PARTS = ("worker", "dispatch", "broker", "monitor")


class Up:
    """A service in a folder, and every process that it ever had."""

    def __init__(self, folder: Path, models: Path | None) -> None:
        self.folder, self.port = folder, free_port()
        self.config = folder / "site.toml"
        self.config.write_text(
            f'[service]\noutput = "{folder / "out"}"\nlease_s = 5.0\ncall_again_s = 2.0\n'
            f"[worker]\nthreads = 1\nstop_s = 20.0\n[monitoring]\nport = {self.port}\n"
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith("VESALIUS_")}
        self.environment = kept | {
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(SITE))),
            "OMP_NUM_THREADS": "1",
            "VESALIUS_LEDGER": str(folder / "state" / "ledger.db"),
            **({"VESALIUS_MODELS": str(models)} if models else {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.members: set[psutil.Process] = set()

    @property
    def log(self) -> Path:
        return self.folder / "up.log"

    def start(self, *words: str | Path) -> None:
        """Start it, and wait until it is ready and its worker is there."""
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                self.command("up", *words), env=self.environment, stdout=file, stderr=file
            )
        wait_until(lambda: self.is_ready() and self.pool(), 90, self.told)

    def command(self, *words: str | Path) -> list[str]:
        said = [*map(str, words), "--config", str(self.config)]
        return [sys.executable, "-m", "workers.cli", *said]

    def call(self, *words: str | Path) -> str:
        """Call a command beside the service, and return what it says."""
        done = subprocess.run(
            self.command(*words), env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fetched(self, page: str) -> str:
        url = f"http://127.0.0.1:{self.port}/{page}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.told()
        try:
            return self.fetched("readyz") == "ready\n"
        except OSError:
            return False

    def look(self) -> set[psutil.Process]:
        """Return the living processes of the service, and remember them."""
        if self.process is None:
            return set()
        try:
            found = set(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return set()
        self.members |= found
        return {member for member in found if is_alive(member)}

    def part(self, name: str) -> psutil.Process | None:
        """Return the living process of a part: the last that the log names."""
        self.look()
        started = re.findall(rf"{name} has started as process (\d+)", self.log.read_text())
        found = [member for member in self.members if started and member.pid == int(started[-1])]
        return found[0] if found and is_alive(found[0]) else None

    def pool(self) -> list[psutil.Process]:
        """Return the processes that do jobs."""
        worker = self.part("worker")
        return worker.children() if worker else []

    def states(self) -> dict[str, int]:
        return dict(json.loads(self.call("status", "--json"))["states"])

    def wait_for(self, states: dict[str, int], timeout_s: float) -> None:
        wait_until(lambda: self.states() == states, timeout_s, self.told)

    def left(self) -> list[psutil.Process]:
        return [member for member in self.members if is_alive(member)]

    def told(self) -> str:
        return self.log.read_text(errors="replace")[-6000:]


def is_alive(member: psutil.Process) -> bool:
    try:
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return write_tally_bundle(tmp_path / "models")


@pytest.fixture
def up(tmp_path: Path, models: Path) -> Iterator[Up]:
    service = Up(tmp_path, models)
    yield service
    ended(service)


def ended(service: Up) -> None:
    """End what a failed test has left."""
    service.look()
    for member in (*service.members, *([service.process] if service.process else [])):
        try:
            member.kill()
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    if service.process:
        service.process.wait(30)


def test_a_study_is_submitted_done_and_all_ends_at_ctrl_c(tmp_path: Path) -> None:
    up = Up(tmp_path, None)
    try:
        up.start()
        subprocess.run(
            [sys.executable, "-m", "workers.cli", "demo-study", str(tmp_path / "study")],
            env=up.environment,
            check=True,
            capture_output=True,
        )
        up.call("submit", tmp_path / "study", "--analysis", "perfusion")
        up.wait_for({"done": 1}, 240)
        kinds = {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()}
        assert {".dcm", ".png"} <= kinds
        assert 'vesalius_jobs_done_total{lane="routine"} 1.0' in up.fetched("metrics")
        up.look()
        assert up.process is not None
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(60) == 0, up.told()
        wait_until(lambda: not up.left(), 5, up.told)
        log = up.log.read_text()
        assert "by force" not in log, log
        # Celery says on the terminal itself that it ends.
        for line in (line for line in log.splitlines() if not re.match("(worker: Warm.*)?$", line)):
            assert json.loads(line)["level"] in ("info", "warning"), line
        assert "demonstration" not in log.lower()
    finally:
        ended(up)


def test_a_part_that_is_killed_is_started_again_and_jobs_go_on(up: Up, tmp_path: Path) -> None:
    up.start()
    for name in PARTS:
        before = up.part(name)
        assert before is not None, name
        before.kill()
        wait_until(lambda n=name, b=before: up.part(n) not in (None, b), 30, up.told)
    up.call("submit", *write_volumes(tmp_path / "in", 3))
    up.wait_for({"done": 3}, 90)
    wait_until(up.is_ready, 60, up.told)
    assert up.process is not None
    up.look()
    up.process.terminate()
    assert up.process.wait(60) == 0, up.told()
    wait_until(lambda: not up.left(), 5, up.told)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_service_that_is_killed_leaves_no_process_and_no_job_behind(
    up: Up, tmp_path: Path
) -> None:
    up.start()
    up.call("submit", *write_volumes(tmp_path / "in", 2, steps=3_000_000))
    wait_until(lambda: "running" in up.states(), 60, up.told)
    assert len(up.look()) >= len(PARTS) + 1
    assert up.process is not None
    up.process.kill()
    up.process.wait(10)
    wait_until(lambda: not up.left(), 5, up.told)
    up.start()
    up.wait_for({"done": 2}, 180)


def test_a_dropped_study_is_taken_when_it_has_stopped_changing(up: Up, tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    up.start("--watch", folder, "--settle", "2")
    [source] = write_volumes(tmp_path / "in", 1)
    content = source.read_bytes()
    study = folder / "one"
    study.mkdir()
    with (study / "a.nii").open("wb", buffering=0) as file:
        for byte in content[:-8:40]:
            file.write(bytes([byte]))
        wait_until(lambda: True, 1)
        assert up.states() == {}
        file.seek(0)
        file.write(content)
    write_volumes(tmp_path / "in", 1, first=7)[0].replace(folder / "b.nii")
    up.wait_for({"done": 2}, 90)
    assert (study / "a.nii").read_bytes() == content


def test_results_go_to_a_destination_as_soon_as_one_is_configured(up: Up, tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    with up.config.open("a") as file:
        file.write('[destinations.share]\nby = "folder"\nfolder = "share"\nalways = true\n')
    up.start()
    assert up.part("deliver") is not None
    up.call("submit", *write_volumes(tmp_path / "in", 1))

    def is_there() -> bool:
        found = json.loads(up.call("deliveries", "--json"))["deliveries"]
        return [each["state"] for each in found] == ["done"]

    wait_until(is_there, 90, up.told)
    sent = sorted(p.read_bytes() for p in (tmp_path / "share").rglob("*") if p.is_file())
    made = (p for p in (tmp_path / "out").rglob("*") if p.is_file() and p.parent.name != "out")
    assert sent == sorted(path.read_bytes() for path in made)
    assert 'vesalius_deliveries{destination="share",state="done"} 1.0' in up.fetched("metrics")


def test_a_second_service_on_the_same_folder_is_refused(up: Up) -> None:
    up.start()
    done = subprocess.run(
        up.command("up"), env=up.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "another 'vesalius up' runs" in done.stderr


def test_a_part_whose_call_is_unusable_ends_the_service(up: Up) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", up.port))
        taken.listen()
        done = subprocess.run(
            up.command("up"),
            env=up.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 2
    assert f"127.0.0.1:{up.port}: cannot listen" in done.stderr


def test_the_review_page_is_a_part_and_makes_no_account(up: Up) -> None:
    port = free_port()
    with up.config.open("a") as file:
        file.write(f"[review]\nport = {port}\n")
    up.start("--review")

    def answers() -> bool:
        try:
            url = f"http://127.0.0.1:{port}/api/login/options"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.loads(answer.read())["local"] is True
        except OSError:
            return False

    wait_until(answers, 60, up.told)
    assert "no account" in up.told()
