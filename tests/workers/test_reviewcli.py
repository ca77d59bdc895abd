"""The command that serves the review page, and those that keep its accounts, as processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from pipeline.ledger.audit import Sought, entries, verify
from pipeline.ledger.ledger import Ledger
from pipeline.owner import this_person
from tests.support.reviewserver import Person
from tests.support.service import ROOT, free_port

WAITS_S = 60.0
PASSWORD = "a password of nobody"  # noqa: S105 - of nobody


class Command:
    """The command on a ledger of its own."""

    def __init__(self, folder: Path) -> None:
        self.ledger = folder / "ledger.db"
        self.password = folder / "password"
        self.password.write_text(f"{PASSWORD}\n")
        self.log = folder / "log"
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def words(self, *words: str) -> list[str]:
        return [
            *(sys.executable, "-m", "workers.cli", "review", *words),
            *("--ledger", str(self.ledger)),
        ]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*words),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAITS_S,
        )

    def add(self, name: str, role: str) -> subprocess.CompletedProcess[str]:
        return self.run(
            *("accounts", "add", name, "--role", role, "--password-file", str(self.password))
        )

    def start(self, *words: str) -> tuple[subprocess.Popen[bytes], int]:
        port = free_port()
        with self.log.open("wb") as file:
            process = subprocess.Popen(
                self.words("--port", str(port), *words),
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        until = time.monotonic() + WAITS_S
        while time.monotonic() < until and process.poll() is None:
            try:
                requests.get(f"http://127.0.0.1:{port}/api/login/options", timeout=5).close()
                break
            except requests.ConnectionError:
                continue
        assert process.poll() is None, self.log.read_text()
        return process, port


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Return the command on a ledger that is not there yet."""
    return Command(tmp_path)


def ended(process: subprocess.Popen[bytes]) -> int:
    """End a process as whoever runs it does, and return its exit status."""
    process.send_signal(signal.SIGTERM)
    return process.wait(WAITS_S)


def test_the_first_run_tells_the_address_and_how_to_sign_in(command: Command) -> None:
    process, port = command.start()
    told = command.log.read_text()
    assert f"review page at http://127.0.0.1:{port}/" in told
    found = re.search(r"sign in as (\w+) with (\S+) and change it", told)
    assert found is not None
    with Person(f"http://127.0.0.1:{port}") as person:
        account = person.sign_in(*found.groups()).json()["account"]
        assert (account["role"], account["must_change"]) == ("administrator", True)
        assert person.get("/api/worklist").json()["total"] == 0
    assert ended(process) == 0
    process, _ = command.start()
    assert "sign in as" not in command.log.read_text()
    assert ended(process) == 0


def test_a_listener_does_not_keep_the_server(command: Command) -> None:
    assert command.add("vera", "viewer").returncode == 0
    process, port = command.start()
    with Person(f"http://127.0.0.1:{port}") as person:
        assert person.sign_in("vera", PASSWORD).status_code == 200
        with person.get("/api/events", stream=True) as stream:
            assert next(stream.iter_lines()).startswith(b"event")
            assert ended(process) == 0


def test_a_service_makes_no_account_by_itself(command: Command) -> None:
    process, _ = command.start("--no-first-account")
    assert ended(process) == 0
    assert "no account" in command.log.read_text()
    assert json.loads(command.run("accounts", "list", "--json").stdout or "[]") == []


def test_accounts_are_kept_by_commands_and_told_to_the_log(command: Command) -> None:
    assert command.add("adam", "administrator").returncode == 0
    assert command.add("rita", "reviewer").returncode == 0
    again = command.add("rita", "viewer")
    assert (again.returncode, "there is an account rita" in again.stderr) == (2, True)
    wrong = command.add("x", "king")
    assert (wrong.returncode, "possible is viewer, reviewer" in wrong.stderr) == (2, True)
    changed = command.run("accounts", "change", "rita", "--role", "viewer", "--closed")
    assert changed.stdout == "account rita: viewer, closed\n"
    last = command.run("accounts", "change", "adam", "--closed")
    assert (last.returncode, "no administrator" in last.stderr) == (2, True)
    lines = command.run("accounts", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["open"] for line in lines] == [True, False]
    with Ledger.open(str(command.ledger)) as ledger:
        events = entries(ledger, Sought(actor=this_person()))
        assert [event.audited.action for event in events] == [
            *("account added", "account added", "account changed"),
        ]
        assert verify(ledger).fault is None
    assert PASSWORD.encode() not in command.ledger.read_bytes()


def test_a_password_that_is_too_short_is_refused(command: Command) -> None:
    command.password.write_text("short\n")
    done = command.add("adam", "administrator")
    assert (done.returncode, "12 to 128" in done.stderr) == (2, True)


def test_a_port_that_is_taken_is_told(command: Command) -> None:
    process, port = command.start()
    other = command.run("--port", str(port))
    assert (other.returncode, "cannot listen" in other.stderr) == (2, True)
    assert ended(process) == 0
