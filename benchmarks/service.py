"""Measure the service: ``python -m benchmarks.service [--backlog N] [--jobs N]``.

A ledger on SQLite, an embedded Valkey server, and the tests' own small analysis, whose network runs
for as many steps as asked: what is left is the service's own cost.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from uuid import UUID

import numpy as np
from sqlalchemy import func, select

from benchmarks.table import RESULTS
from pipeline.config import read_configuration
from pipeline.identity import JobIdentity, digest_bytes
from pipeline.infer.bundle import load_bundle
from pipeline.infer.session import Network, open_network
from pipeline.infer.terms import Contract
from pipeline.ledger.events import Event
from pipeline.ledger.ledger import JobRequest, Ledger
from pipeline.ledger.outbox import Outbox
from pipeline.ledger.queue import JobOrder, Queue
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import Job
from tests.support.service import Service, wait_until
from tests.support.tally import write_tally_bundle, write_volumes
from tests.support.valkey import Valkey
from workers.app import make_app
from workers.dispatcher import Dispatcher

SIZES = (100, 1000, 10_000)
"""Jobs in the ledger when its cost is measured."""

SAMPLES = 50
"""Jobs that each cost is the median of."""

LEASE_S = 60.0


def main() -> None:
    """Run every benchmark and write the results."""
    parser = ArgumentParser(prog="benchmarks.service", description=__doc__)
    parser.add_argument("--backlog", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=40, help="jobs of a throughput")
    parser.add_argument("--steps", type=int, default=300_000, help="steps of such a job's network")
    call = parser.parse_args()
    with TemporaryDirectory(prefix="vesalius-bench-") as folder:
        root = Path(folder)
        models = write_tally_bundle(root / "models")
        lines = ["# Benchmarks of the service", "", *ledger_costs(root / "costs")]
        with Valkey(root / "broker") as broker:
            lines += dispatching(service(root / "dispatch", broker.url, models), call.backlog)
            broker.empty()
            lines += throughputs(root, (broker.url, models), (call.jobs, call.steps))
            broker.empty()
            lines += stat_latency(service(root / "stat", broker.url, models), call.backlog)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "service.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def service(folder: Path, broker: str, models: Path) -> Service:
    """Return a service over an empty ledger."""
    folder.mkdir(parents=True)
    return Service(
        folder=folder,
        broker=broker,
        place=str(folder / "ledger.db"),
        models=models,
        lease_s=LEASE_S,
    )


def ledger_costs(folder: Path) -> list[str]:
    """Return what a job costs in a ledger of each size, step by step [ms]."""
    lines = [
        "| jobs in the ledger | submit | calls due | claim | renew | complete |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    with Ledger.open(str(folder / "ledger.db")) as ledger:
        queue, outbox = Queue(ledger), Outbox(ledger)
        done = 0
        for size in SIZES:
            for number in range(done, size - SAMPLES):
                queue.submit(*made_up(number))
            done = size
            names = range(size - SAMPLES, size)
            jobs = [made_up(n) for n in names]
            costs = [median(timed(lambda job=job: queue.submit(*job)) for job in jobs)]
            costs.append(median(timed(lambda: outbox.due("routine", 256)) for _ in jobs))
            ids = [request.identity.job_id for request, _ in jobs]
            costs.append(median(timed(lambda i=i: queue.claim(i, "bench", LEASE_S)) for i in ids))
            costs.append(median(timed(lambda i=i: queue.renew(i, 1, LEASE_S)) for i in ids))
            costs.append(median(timed(lambda i=i: complete(ledger, i)) for i in ids))
            cells = " | ".join(f"{1000 * cost:.1f} ms" for cost in costs)
            lines.append(f"| {size} | {cells} |")
    return [*lines, ""]


def complete(ledger: Ledger, job_id: UUID) -> None:
    """End a job."""
    ledger.complete(job_id, 1, folder=Path("/"), artifacts=(), outcome={})


def made_up(number: int) -> tuple[JobRequest, JobOrder]:
    """Return a job of no files."""
    digest = digest_bytes(str(number).encode())
    identity = JobIdentity(
        input_digest=digest, analysis="x", bundle_digest=digest, configuration_digest=digest
    )
    request = JobRequest(
        identity=identity,
        study_instance_uid=f"2.25.{number}",
        series_instance_uids=(f"2.25.{number}.1",),
        bundle_name="x",
        bundle_version="1",
        software_version="1",
    )
    order = JobOrder(
        lane="routine",
        priority=0,
        attempts=3,
        input_root=Path("/in"),
        inputs=tuple(f"{n}.dcm" for n in range(10)),
        configuration={},
        output=Path("/out"),
    )
    return request, order


def timed(do: Callable[[], object]) -> float:
    """Return how long a call takes [s]."""
    began = perf_counter()
    do()
    return perf_counter() - began


def dispatching(at: Service, backlog: int) -> list[str]:
    """Return how fast a backlog is called for."""
    settings = read_configuration(at.config)
    app = make_app(settings)
    with Ledger.open(at.place) as ledger:
        queue = Queue(ledger)
        for number in range(backlog):
            queue.submit(*made_up(number))
        dispatcher = Dispatcher(app, ledger, replace(settings.service, window=backlog))
        began = perf_counter()
        calls = dispatcher.once()
        seconds = perf_counter() - began
    app.close()
    return [f"- Dispatch: {calls} calls in {seconds:.1f} s, {calls / seconds:.0f} each second."]


def throughputs(root: Path, at: tuple[str, Path], work: tuple[int, int]) -> list[str]:
    """Return how much of the bare model's rate one and two workers reach, and what is lost."""
    url, models = at
    n_jobs, steps = work
    bare_s = bare_model_s(models, steps)
    lines = [f"- The bare model: {1000 * bare_s:.0f} ms a job."]
    for processes in (1, 2):
        each_s = seconds_a_job(service(root / f"work-{processes}", url, models), processes, work)
        lines.append(
            f"- {processes} worker{'s' if processes > 1 else ''}: {1000 * each_s:.0f} ms a job, "
            f"{bare_s / each_s:.2f} times the bare model's rate on one core."
        )
        if processes == 1:
            lost_s = each_s - bare_s
            lines.append(
                f"- The service's own cost: {1000 * lost_s:.0f} ms a job, "
                f"{100 * lost_s / each_s:.0f} % of such a job."
            )
    idle_s = seconds_a_job(service(root / "work-0", url, models), 1, (n_jobs, 0))
    return [*lines, f"- Jobs that take no time: {1000 * idle_s:.0f} ms each, one worker."]


def bare_model_s(models: Path, steps: int) -> float:
    """Return how long the network alone takes [s]."""
    contract = Contract(
        input_name="values", input_shape=(None,), output_name="total", output_shape=(1,)
    )
    member = load_bundle(models / "tally" / "bundle").network("tally")
    network: Network = open_network(member, contract, threads=1)
    values = np.array([0, 0, steps], np.float32)
    return median(timed(lambda: network(values)) for _ in range(11))


def seconds_a_job(at: Service, processes: int, work: tuple[int, int]) -> float:
    """Return the wall time of many jobs, from the first claim to the last end, for each [s]."""
    n_jobs, steps = work
    try:
        at.worker(processes=processes)
        jobs = at.submit(*write_volumes(at.folder / "in", n_jobs, steps=steps))
        at.dispatcher()
        wait_quietly(at, n_jobs)
    finally:
        at.stop()
    with Ledger.open(at.place) as ledger:
        events = [event for job in jobs for event in ledger.history(job)]
    first = min(event.at for event in events if event.event == Event.CLAIMED)
    last = max(event.at for event in events if event.event == Event.DONE)
    return (last - first).total_seconds() / n_jobs


def wait_quietly(at: Service, n_jobs: int) -> None:
    """Wait until so many jobs are done, by one connection.

    To open the ledger for each look would take a good part of a core from what is measured.
    """
    done = select(func.count()).select_from(Job).where(Job.state == JobState.DONE)
    with Ledger.open(at.place) as ledger:

        def are_done() -> bool:
            with ledger.reading() as session:
                return session.execute(done).scalar_one() >= n_jobs

        wait_until(are_done, 600, at.told)


def stat_latency(at: Service, backlog: int) -> list[str]:
    """Return how long a stat job takes from submission to claim behind a backlog of batch [s]."""
    try:
        at.worker()
        began = perf_counter()
        at.submit(*write_volumes(at.folder / "in", backlog), lane="batch")
        submitting_s = perf_counter() - began
        at.dispatcher()
        at.wait_for(20, 60)
        stat = []
        for seed in range(backlog, backlog + 10):
            paths = write_volumes(at.folder / "stat", 1, first=seed)
            stat += at.submit(*paths, lane="stat")
            sleep(1.0)
        with Ledger.open(at.place) as ledger:
            for job in stat:
                while (found := ledger.find(job)) and found.state is not JobState.DONE:
                    sleep(0.1)
            waits = [latency_s(ledger, job) for job in stat]
        left = at.states().get("waiting", 0)
    finally:
        at.stop()
    return [
        f"- Submission of {backlog} files: {1000 * submitting_s / backlog:.1f} ms each.",
        f"- A stat job, {left} jobs still waiting in batch, one worker: claimed after median "
        f"{median(waits):.2f} s, maximum {max(waits):.2f} s.",
    ]


def latency_s(ledger: Ledger, job: UUID) -> float:
    """Return the time from the submission of a job to its claim [s]."""
    submitted, claimed = ledger.history(job)[:2]
    return (claimed.at - submitted.at).total_seconds()


if __name__ == "__main__":
    main()
