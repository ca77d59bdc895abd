"""A process that dies at a chosen point: before and after every step that another could see."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import Configuration, ModelSettings
from pipeline.infer.terms import Compute
from pipeline.lease import Limits
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.queue import Queue
from pipeline.ledger.states import JobState
from pipeline.outputs import what_is_wrong
from pipeline.owner import is_gone, this_process
from pipeline.perform import open_analyses
from pipeline.submit import Terms, submit
from pipeline.warm import OpenAnalyses
from pipeline.work import Bench, work
from tests.support.service import ROOT
from tests.support.tally import SITE, write_volumes

POINTS = (
    ("pipeline.ledger.queue.Queue.claim", "after"),
    ("pipeline.job.flush_tree", "before"),
    ("pipeline.job.flush_tree", "after"),
    ("pipeline.outputs.OutputFolder.move", "before"),
    ("pipeline.outputs.OutputFolder.move", "after"),
    ("pipeline.ledger.ledger.Ledger.complete", "after"),
)

PROGRAM = """
import os, pkgutil, signal, sys
from uuid import UUID
from tests.failure.test_points import bench_of
from pipeline.work import work

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

where, when, place, models, job = sys.argv[1:]
owner, _, name = where.rpartition(".")
holder = pkgutil.resolve_name(owner)
step = getattr(holder, name)

def dying(*given, **named):
    if when == "after":
        step(*given, **named)
    die()

setattr(holder, name, dying)
work(UUID(job), bench_of(place, models))
"""
"""Does a job, and dies before or after a step of it."""


def configured(models: str) -> Configuration:
    """Return the settings."""
    return Configuration(models=ModelSettings(path=Path(models)))


def bench_of(place: str, models: str) -> Bench:
    """Return what a process works with."""
    return Bench(
        ledger=Ledger.open(place),
        analyses=OpenAnalyses(configured(models), Compute(threads=1), 100),
        owner=this_process(),
        limits=Limits(lease_s=600.0, longest_s=600.0),
        retry_s=1.0,
    )


@pytest.mark.parametrize(("where", "when"), POINTS)
def test_a_job_whose_process_dies_there_is_done_by_the_next(
    where: str, when: str, tally_models: Path, ledger_place: str, tmp_path: Path
) -> None:
    write_volumes(tmp_path / "in", 1)
    analyses = open_analyses(["tally"], configured(str(tally_models)))
    with Ledger.open(ledger_place) as ledger:
        terms = Terms(output=tmp_path / "out")
        (job,) = submit([tmp_path / "in"], analyses, terms, ledger).jobs
    died = subprocess.run(
        [sys.executable, "-c", PROGRAM, where, when, ledger_place, tally_models, str(job.job_id)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(SITE)))},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    bench = bench_of(ledger_place, str(tally_models))
    recorded = where.endswith("complete")
    assert len(Queue(bench.ledger).reap(is_gone)) == (not recorded)
    assert work(job.job_id, bench) is (None if recorded else JobState.DONE)
    record = bench.ledger.find(job.job_id)
    assert record is not None
    assert record.state is JobState.DONE
    assert record.folder is not None
    assert what_is_wrong(record.folder, record.artifacts) is None
    assert [p.name for p in (tmp_path / "out").iterdir() if p.name[0] != "."] == [
        record.folder.name
    ]
    bench.output(tmp_path / "out")
    assert not list((tmp_path / "out").glob(".unfinished-*")), "the next that opens it sweeps it"
    bench.ledger.close()
