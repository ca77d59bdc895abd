"""Work: one job that waits, from its claim to its end in the ledger.

A call of a worker names a job; it may come twice, late, or for a job that somebody else has done.
The claim decides. Whatever goes wrong afterwards ends the attempt in the ledger, and what cannot
be recorded there ends with the lease.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from uuid import UUID

from pipeline.config import Configuration
from pipeline.connections import Destination
from pipeline.deliver.choose import destinations_of
from pipeline.driftsettings import DriftSettings
from pipeline.errors import LedgerUnavailable, PipelineError, StudyRejected
from pipeline.infer.interrupt import Interrupt, Reason, interruptible
from pipeline.infer.terms import Compute
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.limits import put_in_force
from pipeline.inservice import InService
from pipeline.job import Workplace, carry_out_attempt, failure_of, persistently
from pipeline.lease import Lease, Limits
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.queue import Claim, Queue, role_of
from pipeline.ledger.roles import Role
from pipeline.ledger.states import JobState
from pipeline.memory import give_back
from pipeline.outputs import OutputFolder
from pipeline.owner import is_gone, this_process
from pipeline.perform import Perfusion
from pipeline.plan import PlannedJob, plan_jobs
from pipeline.reserve import ANALYSIS as RESERVE
from pipeline.reserve import make_reserves
from pipeline.sandbox.kept import one_reader
from pipeline.submit import Terms, follow_ups
from pipeline.warm import OpenAnalyses

LOG = logging.getLogger(__name__)

LONGEST_RETRY_S = 3600.0
"""Longest time before an attempt is repeated [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What a process works with, job after job."""

    ledger: Ledger
    """The ledger."""

    analyses: OpenAnalyses
    """The analyses that it keeps open."""

    owner: str
    """Its name in the ledger."""

    limits: Limits
    """For how long a job may be claimed and may run."""

    retry_s: float
    """Time before the second attempt after a failure that may pass; it doubles each time [s]."""

    destinations: Mapping[str, Destination] = field(default_factory=dict)
    """Where results go, by name."""

    drift: DriftSettings = field(default_factory=DriftSettings)
    """How the statistics of inputs are kept."""

    service: InService | None = None
    """Says which versions do the jobs that results are for; None takes the own bundles."""

    outputs: dict[Path, OutputFolder] = field(default_factory=dict)
    """The output folders that it has opened."""

    running: list[Interrupt] = field(default_factory=list)
    """The interrupt of the job that is done now, if one is."""

    def output(self, root: Path) -> OutputFolder:
        """Return an output folder; it is opened, and swept, once."""
        if root not in self.outputs:
            self.outputs[root] = OutputFolder.open(root)
        return self.outputs[root]


def open_bench(configuration: Configuration, place: str) -> Bench:
    """Return what this process works with, by a site's settings; the ledger stays open.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be used.
    """
    put_in_force(configuration.limits)
    service, worker = configuration.service, configuration.worker
    compute = Compute(threads=worker.threads_each, providers=worker.providers)
    ledger = Ledger.open(place)
    return Bench(
        ledger=ledger,
        analyses=OpenAnalyses(configuration, compute, worker.memory_mib),
        owner=this_process(),
        limits=Limits(lease_s=service.lease_s, longest_s=service.longest_s),
        retry_s=service.retry_s,
        destinations=configuration.destinations,
        drift=configuration.drift,
        service=InService(ledger, configuration, compute),
    )


def work(job_id: UUID, bench: Bench) -> JobState | None:
    """Do a job if it waits.

    Parameters
    ----------
    job_id
        The job.
    bench
        What this process works with.

    Returns
    -------
        Where the job stands afterwards; None if there was nothing to do here, or if the attempt was
        overtaken.

    Raises
    ------
    LedgerUnavailable
        If the ledger is away. A job that was claimed is handed out when its lease has run out.
    """
    claim = _claimed(job_id, bench)
    if claim is None:
        return None
    queue = Queue(bench.ledger)
    interrupt = Interrupt()
    bench.running.append(interrupt)
    try:
        with Lease(queue, claim, interrupt, bench.limits):
            state = _attempted(claim, bench, interrupt)
    finally:
        bench.running.remove(interrupt)
        give_back()
    if state is JobState.DONE and claim.analysis == Perfusion.name:
        _reserve(claim, bench)
    return state


def _claimed(job_id: UUID, bench: Bench) -> Claim | None:
    """Claim a job that waits, or whose worker is known to be dead; None if it is neither."""
    queue = Queue(bench.ledger)
    claim = queue.claim(job_id, bench.owner, bench.limits.lease_s)
    if claim is None and queue.reap_one(job_id, is_gone):
        # Only now: nearly every job that is called for waits.
        claim = queue.claim(job_id, bench.owner, bench.limits.lease_s)
    return claim


def _reserve(claim: Claim, bench: Bench) -> None:
    """Make what a result says together with that of the other state, if that is there.

    The last of the two makes it: it sees the other one done. What could not be made is told of and
    made by ``vesalius reserve``; the result that was asked for stands.
    """
    routing = claim.order.routing
    names, kept = destinations_of(RESERVE, routing, bench.destinations)

    def deliver(transaction: Transaction, job_id: UUID) -> None:
        Deliveries(bench.ledger).add_within(transaction, job_id, names, kept=kept)

    output = bench.output(claim.order.output)
    for entry in make_reserves([claim.job_id], bench.ledger, output, deliver):
        if entry.failure:
            LOG.error(
                "the reserve of a study could not be made: %s",
                entry.failure.reason,
                extra={"action": "reserve_failed", "job_id": str(entry.job_id)},
            )


def backoff_s(attempt: int, first_s: float) -> float:
    """Return the time before a job is tried again: ``first``, twice that, four times ... [s].

    Parameters
    ----------
    attempt
        The attempt that has failed, from 1.
    first_s
        Time after the first [s].
    """
    return float(min(first_s * 2 ** (attempt - 1), LONGEST_RETRY_S))


def may_pass(problem: Exception) -> bool:
    """Tell whether what ended a job may pass by itself: a full disk, a ledger that is away.

    What the input or the model is like does not pass.
    """
    if isinstance(problem, OSError | LedgerUnavailable | MemoryError):
        return True
    cause = problem.__cause__
    is_known = isinstance(problem, PipelineError)
    return is_known and isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)


def _attempted(claim: Claim, bench: Bench, interrupt: Interrupt) -> JobState | None:
    """Do a job that is claimed, and record how it ended."""
    try:
        with interruptible(interrupt), one_reader():
            is_last = _carried_out(claim, bench, interrupt)
    except Exception as problem:  # noqa: BLE001 - the attempt must end in the ledger
        return _ended(problem, claim, bench, interrupt)
    return JobState.DONE if is_last else None


def _carried_out(claim: Claim, bench: Bench, interrupt: Interrupt) -> bool:
    """Find the job's series again, and do the job."""
    began = perf_counter()
    job = _planned(claim, bench)
    place = Workplace(
        output=bench.output(claim.order.output),
        ledger=bench.ledger,
        again=True,
        ingest_seconds=perf_counter() - began,
        patience_s=bench.limits.lease_s,
        follow_up=lambda now, then: _follow_up(claim, bench, (now, then)),
        drift=bench.drift,
    )

    def progress(_share: float) -> None:
        interrupt.check()

    interrupt.check()
    return carry_out_attempt(job, place, claim.attempt, progress).is_last


def _planned(claim: Claim, bench: Bench) -> PlannedJob:
    """Return a claimed job with the series that it is for, read anew from its files.

    Raises
    ------
    StudyRejected
        If the files are not those that were submitted.
    """
    order = claim.order
    analysis = bench.analyses.find(claim.analysis, claim.bundle_digest, order.configuration)
    files = [order.input_root / name for name in order.inputs]
    missing = [name for name in order.inputs if not (order.input_root / name).is_file()]
    if missing:
        raise StudyRejected(f"{missing[0]}: gone since the job was submitted")
    inventory = take_inventory(files)
    for job in plan_jobs(inventory, [analysis]).jobs:
        identity = replace(job.identity, predecessor=order.predecessor)
        if identity.job_id == claim.job_id:
            return replace(job, identity=identity)
    said = [refusal.reason for refusal in inventory.refusals[:1]]
    raise StudyRejected("; ".join(["the files have changed since the job was submitted", *said]))


def _follow_up(
    claim: Claim, bench: Bench, found: tuple[Path, Path]
) -> Callable[[Transaction], object]:
    """Return what submits the jobs that a result is for, and has it delivered."""
    order = claim.order
    terms = Terms(
        output=order.output,
        lane=order.lane,
        priority=order.priority,
        attempts=order.attempts,
        routing=order.routing,
        service=bench.service,
    )
    submit = follow_ups(found, bench.analyses.all, terms, bench.ledger)
    names, kept = destinations_of(claim.analysis, order.routing, bench.destinations)

    def add(transaction: Transaction) -> None:
        # Read now: a shadow's job may have become one that counts while it ran.
        if role_of(transaction, claim.job_id) is Role.SHADOW:
            return
        submit(transaction)
        Deliveries(bench.ledger).add_within(transaction, claim.job_id, names, kept=kept)

    return add


def _ended(problem: Exception, claim: Claim, bench: Bench, interrupt: Interrupt) -> JobState | None:
    """Record how an attempt without a result ended."""
    patience_s = bench.limits.lease_s
    try:
        return persistently(lambda: _recorded(problem, claim, bench, interrupt), patience_s)
    except LedgerUnavailable:
        LOG.exception(
            "the end of a job could not be recorded; it is handed out when its lease has run out",
            extra={"action": "job_not_recorded", "job_id": str(claim.job_id)},
        )
        raise


def _recorded(
    problem: Exception, claim: Claim, bench: Bench, interrupt: Interrupt
) -> JobState | None:
    """Record the end of an attempt by what ended it."""
    queue, job_id, attempt = Queue(bench.ledger), claim.job_id, claim.attempt
    if interrupt.reason is Reason.LOST:
        return None
    if interrupt.reason is Reason.CANCELLED:
        return JobState.CANCELLED if queue.cancelled(job_id, attempt) else None
    if interrupt.reason is Reason.STOPPING:
        return JobState.WAITING if queue.hand_back(job_id, attempt) else None
    if interrupt.reason is Reason.TIMED_OUT:
        reason = f"took longer than {bench.limits.longest_s:g} s"
        is_last = bench.ledger.fail(job_id, attempt, error="TimedOut", reason=reason)
        return JobState.FAILED if is_last else None
    failure = failure_of(problem, str(job_id))
    if may_pass(problem):
        after_s = backoff_s(attempt, bench.retry_s)
        return queue.repeat(job_id, attempt, (failure.error, failure.reason), after_s)
    is_last = bench.ledger.fail(job_id, attempt, error=failure.error, reason=failure.reason)
    return JobState.FAILED if is_last else None
