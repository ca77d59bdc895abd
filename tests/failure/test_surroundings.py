"""What a service stands on fails: broker, database, disk, clock, messages. No job is lost."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pipeline.config import read_configuration
from pipeline.ledger.events import Event
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.listing import Wanted, jobs, status
from pipeline.ledger.states import JobState
from tests.support.service import Service, wait_until, working
from tests.support.tally import write_volumes
from workers.app import TASK, make_app, queue_name

pytestmark = [
    pytest.mark.service,
    pytest.mark.parametrize("broker", ["valkey"], indirect=True),
]

STEPS = 60_000


def test_a_broker_that_dies_and_forgets_everything_costs_no_job(
    make_service: Callable[..., Service], valkey_server: Any, tmp_path: Path
) -> None:
    broker = valkey_server
    service = make_service(call_again_s=2.0)
    service.submit(*write_volumes(tmp_path / "in", 30, steps=STEPS))
    service.dispatcher()
    service.worker()
    service.wait_for(3, 60)
    broker._process.kill()
    broker._process.wait(10)
    for path in broker.data_dir.glob("*"):
        if path.suffix not in (".conf", ".log"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    time.sleep(1.0)
    port = broker.port
    broker._process = None
    broker._desired_port = port
    broker.start()
    service.wait_for(30, 120)
    service.check_whole(30)


def test_one_message_ten_times_at_once_is_one_job_done_once(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = make_service()
    jobs = service.submit(*write_volumes(tmp_path / "in", 5, steps=STEPS))
    app = make_app(read_configuration(service.config))
    for job_id in jobs:
        for _ in range(10):
            app.send_task(TASK, args=[str(job_id)], queue=queue_name("routine"))
    app.close()
    service.worker(processes=2)
    service.worker(processes=2)
    service.wait_for(5, 60)
    wait_until(lambda: _queued(service) == 0, 30, service.told)
    service.check_whole(5)
    with Ledger.open(service.place) as ledger:
        for job_id in jobs:
            assert [e.event for e in ledger.history(job_id)].count(Event.CLAIMED) == 1


def test_a_full_disk_delays_jobs_and_fails_none(
    make_service: Callable[..., Service], small_disk: Path, tmp_path: Path
) -> None:
    service = make_service(attempts=100, retry_s=0.3)
    service.output.symlink_to(small_disk)
    (small_disk / "ballast").write_bytes(bytes(1000 * 1024))
    service.submit(*write_volumes(tmp_path / "in", 3))
    service.dispatcher()
    service.worker()
    wait_until(lambda: _events(service).count(Event.TO_BE_REPEATED) >= 3, 60, service.told)
    assert service.states().get("done", 0) == 0
    (small_disk / "ballast").unlink()
    service.wait_for(3, 60)
    service.check_whole(3)


def test_a_clock_that_jumps_an_hour_expires_no_lease(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    library = _faketime()
    service = make_service(lease_s=5.0)
    now = tmp_path / "now"
    now.write_text("+0")
    faked = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(now),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    service.environment = faked
    service.submit(*write_volumes(tmp_path / "in", 1, steps=3_000_000))
    service.dispatcher()
    service.worker()
    wait_until(lambda: service.states() == {"running": 1}, 60, service.told)
    for jump in ("+3600", "-3600"):
        now.write_text(jump)
        time.sleep(1.5)
    service.wait_for(1, 90)
    assert _events(service) == [Event.SUBMITTED, Event.CLAIMED, Event.DONE]
    service.check_whole(1)


def test_a_database_that_restarts_costs_no_job(
    make_service: Callable[..., Service], postgres: Any, postgres_place: str, tmp_path: Path
) -> None:
    service = make_service(place=postgres_place, lease_s=20.0)
    service.submit(*write_volumes(tmp_path / "in", 12, steps=STEPS))
    service.dispatcher()
    service.worker()
    service.wait_for(2, 90)
    os.kill(int(postgres.get_pid()), signal.SIGQUIT)
    time.sleep(2.0)
    postgres.ensure_postgres_running()
    service.wait_for(12, 150)
    service.check_whole(12)


def test_a_cancelled_job_ends_in_the_middle_of_a_model_run(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = make_service(lease_s=4.0)
    (job_id,) = service.submit(*write_volumes(tmp_path / "in", 1, steps=15_000_000))
    service.dispatcher()
    worker = service.worker()
    wait_until(lambda: service.states() == {"running": 1}, 60, service.told)
    (before,) = working(worker)
    service.start("jobs", "cancel", str(job_id)[:8])
    service.wait_for(1, 15, JobState.CANCELLED)
    assert [p.pid for p in working(worker)] == [before.pid]
    assert not [p for p in service.output.iterdir() if not p.name.startswith(".")]


def test_a_job_that_takes_too_long_is_ended_and_has_failed(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = make_service(longest_s=2.0)
    service.submit(*write_volumes(tmp_path / "in", 1, steps=15_000_000))
    service.dispatcher()
    service.worker()
    service.wait_for(1, 60, JobState.FAILED)


def test_a_stat_job_waits_for_one_job_and_not_for_the_backlog(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = make_service()
    service.submit(*write_volumes(tmp_path / "in", 40, steps=4 * STEPS), lane="batch")
    service.dispatcher()
    service.worker()
    service.wait_for(3, 60)
    service.submit(*write_volumes(tmp_path / "stat", 1, first=500, steps=STEPS), lane="stat")
    began = time.monotonic()
    wait_until(lambda: _stat_is_done(service), 30, service.told)
    waited = time.monotonic() - began
    assert service.states().get("waiting", 0) > 0, "the backlog was done before the stat job"
    print(f"\na stat job was done {waited:.2f} s after its submission, behind a backlog of batch")


def _stat_is_done(service: Service) -> bool:
    """Tell whether no job of the lane stat is left to do."""
    with Ledger.open(service.place) as ledger:
        return not any(lane.lane == "stat" for lane in status(ledger).lanes)


def _events(service: Service) -> list[str]:
    """Return what happened to all jobs, job by job."""
    with Ledger.open(service.place) as ledger:
        found = jobs(ledger, Wanted())
        return [event.event for job in found for event in ledger.history(job.job_id)]


def _queued(service: Service) -> int:
    """Return how many messages lie at the broker."""
    client = Redis.from_url(service.broker)
    try:
        return int(client.llen(queue_name("routine"))) + int(client.hlen("unacked"))
    finally:
        client.close()


def _faketime() -> str:
    """Return where libfaketime is."""
    for folder in Path("/usr/lib").glob("*/faketime"):
        if (folder / "libfaketime.so.1").exists():
            return str(folder / "libfaketime.so.1")
    pytest.skip("libfaketime is not installed")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of one MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
