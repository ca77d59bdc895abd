"""Workers that die: no job is lost, none is done twice, and every file is whole."""

import os
import random
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from uuid import UUID

import pytest

from pipeline.ledger.events import Event
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import JobState
from tests.support.brokers import on_each_broker
from tests.support.service import Service, kill, wait_until, working
from tests.support.tally import write_volumes

pytestmark = pytest.mark.service

TRIALS = int(os.environ.get("FAILURE_TRIALS", "6"))
"""Kills of a test."""

STEPS = 60_000
"""Steps of a network's run: about a tenth of a second, a half of such a job's time."""

RECOVERED_S = 30.0
"""A job whose worker was killed is done again after this time at the latest [s]."""


def recoveries(service: Service, job_ids: list[UUID], killed_at: dict[str, float]) -> list[float]:
    """Return the times from the kill of a process to the next claim of its job [s]."""
    found = []
    with Ledger.open(service.place) as ledger:
        for job_id in job_ids:
            for before, after in pairwise(ledger.history(job_id)):
                if before.event == Event.ABANDONED and after.event == Event.CLAIMED:
                    _, pid, _ = str(before.owner).rsplit(" ", 2)
                    found.append(after.at.timestamp() - killed_at[pid])
    return found


@on_each_broker
def test_processes_killed_at_random_moments_lose_nothing(
    make_service: Callable[..., Service], ledger_place: str, tmp_path: Path
) -> None:
    service = make_service(place=ledger_place, attempts=1000)
    service.dispatcher()
    worker = service.worker(processes=2)
    # Processes are replaced from when the worker listens to its broker, which its first job shows.
    job_ids = service.submit(*write_volumes(tmp_path / "first", 1, first=3 * TRIALS))
    service.wait_for(1, 60)
    chance = random.Random(TRIALS)
    killed_at: dict[str, float] = {}
    for trial in range(TRIALS):
        paths = write_volumes(tmp_path / "in", 3, first=3 * trial, steps=STEPS)
        job_ids += service.submit(*paths)
        time.sleep(chance.uniform(0.0, 0.8))
        victims = working(worker)
        assert victims, service.told()
        victim = chance.choice(victims).pid
        killed_at[str(victim)] = time.time()
        kill(victim, signal.SIGKILL)
        wait_until(lambda: len(working(worker)) == 2, 30, service.told)
    service.wait_for(3 * TRIALS + 1, RECOVERED_S + TRIALS, JobState.DONE)
    service.check_whole(3 * TRIALS + 1)
    times = recoveries(service, job_ids, killed_at)
    print(
        f"\n{TRIALS} kills of a process, {len(times)} in the middle of a job, {len(job_ids)} jobs: "
        f"0 lost, 0 done twice; claimed again after median {median(times or [0.0]):.2f} s, "
        f"maximum {max(times or [0.0]):.2f} s"
    )


@on_each_broker
def test_whole_workers_killed_at_random_moments_lose_nothing(
    make_service: Callable[..., Service], ledger_place: str, tmp_path: Path
) -> None:
    trials = max(TRIALS // 5, 2)
    service = make_service(place=ledger_place, attempts=1000)
    service.dispatcher()
    chance = random.Random(trials)
    times = []
    for trial in range(trials):
        paths = write_volumes(tmp_path / "in", 3, first=3 * trial, steps=STEPS)
        worker = service.worker()
        service.submit(*paths)
        time.sleep(chance.uniform(0.0, 1.5))
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(10)
        began = time.monotonic()
        spare = service.worker()
        service.wait_for(3 * (trial + 1), RECOVERED_S + 30, JobState.DONE)
        times.append(time.monotonic() - began)
        os.killpg(spare.pid, signal.SIGKILL)
        spare.wait(10)
    service.check_whole(3 * trials)
    print(
        f"\n{trials} kills of a whole worker, {3 * trials} jobs: 0 lost, 0 done twice; all done "
        f"after median {median(times):.1f} s, maximum {max(times):.1f} s, with a new worker's start"
    )


@on_each_broker
def test_a_job_that_always_kills_its_worker_is_quarantined_while_others_finish(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = make_service(attempts=3)
    (killer,) = service.submit(*write_volumes(tmp_path / "bad", 1, first=10_000, behaviour=1))
    service.submit(tmp_path / "bad", *write_volumes(tmp_path / "in", 100))
    service.dispatcher()
    service.worker(processes=2)
    service.wait_for(100, 120, JobState.DONE)
    service.wait_for(1, 60, JobState.QUARANTINED)
    assert service.states() == {"done": 100, "quarantined": 1}
    with Ledger.open(service.place) as ledger:
        events = [event.event for event in ledger.history(killer)]
        record = ledger.find(killer)
    assert record is not None
    assert record.attempts == 3
    assert events.count(Event.CLAIMED) == events.count(Event.ABANDONED) == 3
    assert events[-1] == Event.QUARANTINED
    assert record.reason is not None
    assert "its process is gone" in record.reason


def test_a_worker_that_was_stopped_past_its_lease_changes_nothing_when_it_wakes(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = make_service(lease_s=2.0)
    service.dispatcher()
    stopped = service.worker()
    (job_id,) = service.submit(*write_volumes(tmp_path / "in", 1, steps=1_500_000))
    wait_until(lambda: service.states() == {"running": 1}, 30, service.told)
    (process,) = working(stopped)
    kill(process.pid, signal.SIGSTOP)
    service.worker()
    service.wait_for(1, 60, JobState.DONE)
    with Ledger.open(service.place) as ledger:
        before = ledger.history(job_id)
    (folder,) = (f for f in service.output.iterdir() if not f.name.startswith("."))
    written = {f: f.stat().st_mtime_ns for f in folder.rglob("*")}
    kill(process.pid, signal.SIGCONT)
    time.sleep(6.0)
    with Ledger.open(service.place) as ledger:
        assert ledger.history(job_id) == before
    assert {f: f.stat().st_mtime_ns for f in folder.rglob("*")} == written
    assert [e.event for e in before].count(Event.CLAIMED) == 2
    service.check_whole(1)


def test_a_worker_that_is_told_to_end_hands_back_what_takes_too_long(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = make_service(stop_s=1.0, attempts=1)
    service.dispatcher()
    worker = service.worker()
    (job_id,) = service.submit(*write_volumes(tmp_path / "in", 1, steps=6_000_000))
    wait_until(lambda: service.states() == {"running": 1}, 30, service.told)
    worker.send_signal(signal.SIGTERM)
    worker.wait(30)
    with Ledger.open(service.place) as ledger:
        events = [event.event for event in ledger.history(job_id)]
    assert events == [Event.SUBMITTED, Event.CLAIMED, Event.HANDED_BACK], service.told()
    assert service.states() == {"waiting": 1}
    service.worker()
    service.wait_for(1, 90, JobState.DONE)


def test_a_worker_that_is_told_to_end_finishes_what_it_can(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = make_service(stop_s=30.0)
    service.dispatcher()
    worker = service.worker()
    service.submit(*write_volumes(tmp_path / "in", 1, steps=1_000_000))
    wait_until(lambda: service.states() == {"running": 1}, 30, service.told)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(40) == 0
    assert service.states() == {"done": 1}
