"""Batches are run by the command: killed, paused, refused, and every study comes out once."""

import csv
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from sqlalchemy import select

from pipeline.config import Configuration, ModelSettings
from pipeline.identity import digest_file
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import Job
from pipeline.servicesettings import WorkerSettings
from pipeline.work import open_bench, work
from tests.support.batches import Desk, rows_of
from tests.support.realdata import real_data
from tests.support.service import ROOT, wait_until
from tests.support.tally import write_volumes

STUDIES = int(os.environ.get("VESALIUS_TEST_BATCH_STUDIES", "40"))
"""Studies of the batch that is killed."""

STEPS = 60_000
"""Steps of a network's run: about a tenth of a second."""


@pytest.mark.timeout(3600)
def test_a_batch_that_is_killed_twice_does_every_study_once(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk()
    paths = write_volumes(tmp_path / "in", STUDIES, steps=STEPS)
    (tmp_path / "in" / "broken.nii").write_bytes(b"no volume" * 50)
    words = ("--processes", "2", "--threads", "1")
    first = desk.start("run", "night", tmp_path / "in", "--analysis", "tally", *words)
    desk.wait_for_jobs(STUDIES // 4, 300)
    desk.kill(first)
    second = desk.start("resume", "night", *words)
    desk.wait_for_jobs(STUDIES // 2, 600)
    desk.kill(second)
    assert desk.jobs_done() < STUDIES
    assert desk.status("night")["state"] == "paused"

    told = json.loads(desk.call("resume", "night", *words, "--json", status=1, timeout_s=3000))
    assert told["studies"] == {"done": STUDIES, "refused": 1}
    assert desk.done_twice() == []
    results = rows_of(desk.tables("night") / "results.parquet")
    assert sorted(Path(str(row["input"])) for row in results) == paths
    assert len({row["job_id"] for row in results}) == STUDIES
    for row in results:
        seed = int(Path(str(row["input"])).stem)
        assert row["total [1]"] == float(seed + STEPS)
        assert row["existed"] is False
    (failure,) = rows_of(desk.tables("night") / "failures.parquet")
    assert (failure["what"], failure["state"]) == ("study", "refused")
    assert "broken.nii" in str(failure["reason"])
    folders = [path for path in desk.output.iterdir() if path.name.startswith("tally-")]
    assert len(folders) == STUDIES
    with (desk.tables("night") / "results.csv").open(newline="") as file:
        assert [row["job_id"] for row in csv.DictReader(file)] == [r["job_id"] for r in results]


def test_real_series_are_analysed_in_the_same_batch(
    make_desk: Callable[..., Desk], sound_study: Path
) -> None:
    real = real_data("perfusion", "ge_dicom")
    # The networks that ship: those of the tests know the phantom alone.
    desk = make_desk("[perfusion]\nuncertainty_stride = 8\n", models=ROOT / "models")
    words = ("--analysis", "perfusion", "--threads", "1")
    desk.call("run", "real", sound_study, real, *words, status=1)
    # Beside the real series lies a file of masks, which is no input.
    assert desk.studies("real") == {"done": 2, "refused": 1}
    results = rows_of(desk.tables("real") / "results.parquet")
    assert len({row["study"] for row in results}) == 2
    for row in results:
        assert row["uncertainty"] == pytest.approx(row["u_pp slice 0 [1]"])
        assert float(str(row["myocardium_area_mm2 slice 0 [mm2]"])) > 0


def test_a_batch_is_paused_by_another_process_and_goes_on(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk()
    # Long enough for three commands to start meanwhile.
    write_volumes(tmp_path / "in", 14, steps=1_800_000)
    run = desk.start("run", "day", tmp_path / "in", "--analysis", "tally", "--processes", "1")
    desk.wait_for_jobs(2)
    assert "another process runs" in desk.call("resume", "day", status=2)
    desk.call("pause", "day")
    assert desk.status("day")["state"] in ("pausing", "paused")
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert "paused" in out
    done = desk.jobs_done()
    assert desk.status("day")["state"] == "paused"
    assert desk.studies("day")["done"] == done < 14
    desk.call("resume", "day", "--processes", "2")
    assert desk.studies("day") == {"done": 14}
    assert desk.done_twice() == []


def test_ctrl_c_finishes_what_runs(make_desk: Callable[..., Desk], tmp_path: Path) -> None:
    desk = make_desk()
    write_volumes(tmp_path / "in", 20, steps=400_000)
    run = desk.start("run", "day", tmp_path / "in", "--analysis", "tally", "--processes", "1")
    desk.wait_for_jobs(1)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert "interrupted" in out
    found = desk.studies("day")
    assert found["done"] == desk.jobs_done()
    assert "fetching" not in found


def test_a_second_ctrl_c_ends_at_once_and_costs_no_attempt(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk()
    write_volumes(tmp_path / "in", 1, steps=100_000_000)
    run = desk.start("run", "day", tmp_path / "in", "--analysis", "tally", "--processes", "1")
    wait_until(lambda: "running" in states_of(desk), 60)
    children = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGINT)
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert states_of(desk) == ["waiting"]


def states_of(desk: Desk) -> list[str]:
    """Return the states of all jobs."""
    with Ledger.open(desk.place) as ledger, ledger.reading() as session:
        return list(session.scalars(select(Job.state)))


def test_a_job_that_kills_its_process_fails_alone(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk()
    write_volumes(tmp_path / "in", 3)
    write_volumes(tmp_path / "in", 1, first=9, behaviour=1)
    desk.call("run", "day", tmp_path / "in", "--analysis", "tally", status=1)
    assert desk.studies("day") == {"done": 3, "failed": 1}
    (failure,) = rows_of(desk.tables("day") / "failures.parquet")
    assert (failure["what"], failure["state"], failure["attempts"]) == ("job", "quarantined", 3)


def test_what_exists_is_not_done_again_and_what_was_lost_is(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk()
    write_volumes(tmp_path / "in", 4)
    desk.call("run", "one", tmp_path / "in", "--analysis", "tally")
    digests = {path: digest_file(path) for path in desk.output.glob("tally-*/a.bin")}
    lost = min(digests)
    lost.unlink()
    plan = json.loads(desk.call("plan", "two", "--cohort", "one", "--json"))
    assert plan["studies"] == {"waiting": 1, "skipped": 3}
    assert (plan["jobs"], plan["existing_results"]) == ({"tally": 1}, 3)
    assert plan["measured"]["tally"]["jobs"] == 4
    assert plan["hours"] == pytest.approx(plan["measured"]["tally"]["seconds"] / 3600)
    sizes = sum(p.stat().st_size for p in desk.output.glob("tally-*/**/*.bin"))
    assert plan["measured"]["tally"]["bytes"] == pytest.approx(sizes / 4)
    desk.call("run", "two")
    assert desk.studies("two") == {"done": 1, "skipped": 3}
    assert {path: digest_file(path) for path in digests} == digests
    results = rows_of(desk.tables("two") / "results.parquet")
    assert sorted(bool(row["existed"]) for row in results) == [False, True, True, True]


def test_failures_are_tried_again_when_asked(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk()
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "000001.nii"
    path.write_bytes(b"broken" * 99)
    write_volumes(tmp_path / "in", 1)
    desk.call("run", "day", tmp_path / "in", "--analysis", "tally", status=1)
    path.unlink()
    write_volumes(tmp_path / "in", 1, first=1)
    desk.call("resume", "day", status=1)
    assert desk.studies("day") == {"done": 1, "refused": 1}
    desk.call("resume", "day", "--failed")
    assert desk.studies("day") == {"done": 2}
    assert rows_of(desk.tables("day") / "failures.parquet") == []


def test_outside_of_its_window_a_batch_waits(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    hour = time.localtime().tm_hour
    opens, closes = (hour + 12) % 24, (hour + 14) % 24
    desk = make_desk(f'[batch]\nwindow = "{opens:02d}:00-{closes:02d}:00"\n')
    write_volumes(tmp_path / "in", 2)
    run = desk.start("run", "night", tmp_path / "in", "--analysis", "tally")
    wait_until(lambda: desk.studies("night"), 60)
    desk.call("pause", "night")
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert "waits: outside of its window, which opens in" in err
    assert desk.jobs_done() == 0
    assert "paused" in out


def test_a_batch_that_is_there_is_not_made_again(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk()
    write_volumes(tmp_path / "in", 1)
    desk.call("plan", "one", tmp_path / "in", "--analysis", "tally")
    assert "there is a batch 'one'" in desk.call("plan", "one", tmp_path / "in", status=2)
    assert "no batch 'two'" in desk.call("run", "two", status=2)
    assert "a name has letters" in desk.call("plan", "../x", tmp_path / "in", status=2)
    (tmp_path / "empty").mkdir()
    assert "no study was found" in desk.call("plan", "x", tmp_path / "empty", status=2)
    assert [b["name"] for b in json.loads(desk.call("list", "--json"))["batches"]] == ["one"]


def test_a_run_without_processes_of_its_own_leaves_the_jobs_to_workers(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk()
    write_volumes(tmp_path / "in", 8)
    run = desk.start("run", "day", tmp_path / "in", "--analysis", "tally", "--processes", "0")
    settings = Configuration(
        models=ModelSettings(path=desk.models), worker=WorkerSettings(threads=1)
    )
    wait_until(lambda: (desk.folder / "ledger.db").exists(), 60)
    bench = open_bench(settings, desk.place)
    with bench.ledger:
        until = time.monotonic() + 120
        while run.poll() is None:
            assert time.monotonic() < until
            for job_id in waiting_jobs(bench.ledger):
                work(job_id, bench)
            time.sleep(0.05)
    assert run.returncode == 0
    assert desk.studies("day") == {"done": 8}
    assert desk.done_twice() == []


def waiting_jobs(ledger: Ledger) -> list[UUID]:
    """Return the jobs that wait in the lane of batches."""
    with ledger.reading() as session:
        query = select(Job.id).where(Job.state == "waiting", Job.lane == "batch")
        return list(session.scalars(query))
