"""The commands of the watch on drift, as they are called, and what is measured of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pipeline.drift.monitor import check
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.references import references
from tests.support.drift import described, record_studies
from tests.support.tally import write_volumes
from tests.workers.test_commands import Desk
from workers.metrics import QueueCollector


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def studies(desk: Desk, count: int, *, first: int = 0, shift: float = 0.0) -> None:
    rng = np.random.default_rng(first)
    with Ledger.open(str(desk.folder / "ledger.db")) as ledger:
        record_studies(ledger, [described(rng, shift=shift) for _ in range(count)], first=first)


def test_a_change_is_found_by_the_commands(desk: Desk) -> None:
    studies(desk, 40)
    call = ("drift", "reference", "spring", "--from", "2026-03-01", "--to", "2026-03-03T15:30")
    assert desk.said(*call, "--window", "10").startswith("spring  40 jobs until 2026-03-03T15:00")
    assert "windows of 10 studies, false alarms 0.01" in desk.said("drift", "list")
    assert desk.said("drift", "check").startswith("no window is full")
    studies(desk, 10, first=100)
    assert "window 1, 10 studies until 2026-03-06 13:00: as the reference" in desk.said(
        "drift", "check"
    )
    studies(desk, 10, first=110, shift=6.0)
    for call in (("drift", "check"), ("drift", "check", "spring")):
        done = desk.call(*call)
        assert done.returncode == 1
        assert "window 2, 10 studies until 2026-03-06 23:00: ALARM, 1 of" in done.stdout
        assert "    noise: " in done.stdout
    found = json.loads(desk.call("drift", "check", "--json").stdout)
    assert found["compared"] == []
    assert found["standing"][0]["alarms"] == ["noise"]
    report = desk.folder / "drift.html"
    assert desk.said("drift", "report", "--output", report) == f"{report}\n"
    assert "1 of 2 windows alarm" in report.read_text()
    assert desk.said("drift", "forget", "spring") == "spring  forgotten\n"


def test_a_reference_of_a_list_of_studies(desk: Desk) -> None:
    studies(desk, 12)
    listed = desk.folder / "studies.txt"
    listed.write_text("".join(f"2.25.{n}\n" for n in range(10)) + "\n")
    said = desk.said("drift", "reference", "named", "--studies", listed, "--days", "7")
    assert said.startswith("named  10 jobs")
    (found,) = json.loads(desk.said("drift", "list", "--json"))["references"]
    assert (found["days"], found["window"]) == (7.0, 20)


def test_jobs_without_statistics_are_described_by_a_command(desk: Desk) -> None:
    write_volumes(desk.inputs, 2)
    desk.said("run", desk.inputs, "--output", desk.folder / "out", "--analysis", "tally")
    assert desk.said("drift", "backfill") == (
        "0 jobs from their inputs, 0 from their outcomes alone\n"
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("check",), "no reference: make one"),
        (("check", "spring"), "no reference 'spring'"),
        (("reference", "spring"), "--from is missing"),
        (("reference", "spring", "--from", "soon", "--to", "2026-01-01"), "--from is 'soon'"),
        (("reference", "s", "--from", "2026-01-01", "--to", "2026-02-01"), "drift backfill"),
        (("reference", "s", "--studies", "nowhere"), "nowhere: cannot be read"),
        (("reference", "s", "--from", "2026-01-01", "--to", "2026-02-01", "--window", "3"), "3"),
        (("forget", "spring"), "no reference 'spring'"),
    ],
)
def test_a_call_that_cannot_be_carried_out_says_why(
    words: tuple[str, ...], reason: str, desk: Desk
) -> None:
    done = desk.call("drift", *words)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_alarms_are_measured(desk: Desk) -> None:
    studies(desk, 40)
    desk.said("drift", "reference", "one", "--from", "2026-03-01", "--to", "2026-04-01")
    studies(desk, 20, first=100, shift=6.0)
    with Ledger.open(str(desk.folder / "ledger.db")) as ledger:
        for reference in references(ledger):
            check(ledger, reference)
        registry = CollectorRegistry()
        registry.register(QueueCollector(ledger))
        told = generate_latest(registry).decode()
    assert 'vesalius_drift_alarms{analysis="perfusion",statistic="noise"} 1.0' in told
    assert 'vesalius_drift_alarms{analysis="perfusion",statistic="intensity_mean"} 0.0' in told
