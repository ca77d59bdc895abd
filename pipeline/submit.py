"""Submit: from inputs to jobs that wait in the ledger.

What is found is what a run without the service would find; a job that the ledger knows stays as it
is.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.analysis import Analysis
from pipeline.encode.places import reconstructed_images
from pipeline.errors import UnreadableFile, UnusableCall
from pipeline.guards import doubt
from pipeline.ingest.candidate import Candidate, Refusal
from pipeline.ingest.inventory import Inventory, take_inventory
from pipeline.inservice import Assigned, InService
from pipeline.job import given, job_request
from pipeline.ledger.ledger import JobRequest, Ledger, Transaction
from pipeline.ledger.queue import JobOrder, Queue, Submission
from pipeline.ledger.roles import Role
from pipeline.manifest import NotFitting
from pipeline.perform import Reconstruction
from pipeline.plan import PlannedJob, plan_jobs
from pipeline.routing.attributes import attributes_of
from pipeline.routing.route import LANE, PRIORITY, Routing, route
from pipeline.routing.rules import Rules

SHADOW_LANE = "batch"
"""Lane of what shadows do: it never keeps a study waiting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How the jobs of a submission are to be done."""

    output: Path
    """Folder for the results."""

    lane: str | None = None
    """The queue that they wait in; None leaves it to the rules."""

    priority: int | None = None
    """The higher, the sooner within the lane; None leaves it to the rules."""

    rules: Rules | None = None
    """Which series get which analyses; None has every analysis done that fits."""

    attempts: int = 3
    """Attempts after which a job is quarantined."""

    again: bool = False
    """Whether jobs that have ended are done again."""

    why: str | None = None
    """Why they are submitted, for their history."""

    routing: Mapping[str, object] | None = None
    """What was decided for what the inputs were made of: their results go the same way."""

    service: InService | None = None
    """Says which versions do the jobs; None has them done by the bundles of the analyses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitted:
    """What became of a submission."""

    jobs: tuple[Submission, ...]
    """The jobs, in the order of the inputs."""

    refusals: tuple[Refusal, ...]
    """Files and series that cannot be processed."""

    not_fitting: tuple[NotFitting, ...]
    """Series that no chosen analysis is made for."""

    not_routed: tuple[str, ...] = ()
    """Labels of series that fit an analysis and that the rules choose none for."""

    shadows: tuple[Submission, ...] = ()
    """Jobs of shadows, beside them."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "jobs": [
                {"job_id": str(job.job_id), "state": job.state.value, "is_new": job.is_new}
                for job in self.jobs
            ],
            "refused": [{"label": r.label, "reason": r.reason} for r in self.refusals],
            "not_applicable": [series.to_json() for series in self.not_fitting],
            "not_routed": list(self.not_routed),
            "shadows": [str(job.job_id) for job in self.shadows],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What inputs hold, and the jobs that it makes."""

    asked: tuple[tuple[JobRequest, JobOrder], ...]
    """The jobs, in the order of the inputs; those of shadows follow the one that counts."""

    refusals: tuple[Refusal, ...]
    """Files and series that cannot be processed."""

    not_fitting: tuple[NotFitting, ...]
    """Series that no chosen analysis is made for."""

    not_routed: tuple[str, ...]
    """Labels of series that fit an analysis and that the rules choose none for."""


def submit(
    inputs: Sequence[Path], analyses: Sequence[Analysis], terms: Terms, ledger: Ledger
) -> Submitted:
    """Have a job wait for each series of the inputs and each analysis that fit.

    Raises
    ------
    UnusableCall
        If an input does not exist.
    LedgerUnavailable
        If the ledger cannot be written: nothing that was not submitted by then is.
    BundleRejected
        If the bundle of a live version is not there.
    """
    for path in inputs:
        if not path.exists():
            raise UnusableCall(f"{path}: no such file or folder")
    found = find(take_inventory(inputs), analyses, terms)
    queue = Queue(ledger)
    submitted = [
        (order.role, queue.submit(request, order, again=terms.again, detail=terms.why))
        for request, order in found.asked
    ]
    return Submitted(
        jobs=tuple(job for role, job in submitted if role is not Role.SHADOW),
        shadows=tuple(job for role, job in submitted if role is Role.SHADOW),
        refusals=found.refusals,
        not_fitting=found.not_fitting,
        not_routed=found.not_routed,
    )


def find(inventory: Inventory, analyses: Sequence[Analysis], terms: Terms) -> Found:
    """Return the jobs that series make, by what fits and by the rules.

    Parameters
    ----------
    inventory
        The series.
    analyses
        The analyses to choose from.
    terms
        How the jobs are to be done.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot say which versions do them.
    BundleRejected
        If the bundle of a live version is not there.
    """
    plan = plan_jobs(inventory, analyses)
    routed = _routed(plan.jobs, terms.rules)
    asked = tuple(_asked(routed.jobs, terms))
    return Found(
        asked=asked,
        refusals=(*inventory.refusals, *routed.refusals),
        not_fitting=plan.not_fitting,
        not_routed=routed.left_alone,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Routed:
    """Jobs by what the rules decide."""

    jobs: tuple[tuple[PlannedJob, Routing | None], ...]
    """Jobs to be done, each with the decision."""

    refusals: tuple[Refusal, ...] = ()
    """Series whose files cannot be read any more."""

    left_alone: tuple[str, ...] = ()
    """Labels of series that the rules choose no analysis for."""


def _routed(jobs: Sequence[PlannedJob], rules: Rules | None) -> _Routed:
    """Return the jobs that the rules choose; all without rules."""
    if rules is None:
        return _Routed(jobs=tuple((job, None) for job in jobs))
    refusals: list[Refusal] = []
    decisions: dict[str, Routing] = {}
    candidates = {job.candidate.input_digest: job.candidate for job in jobs}
    for digest, candidate in candidates.items():
        try:
            decisions[digest] = route(attributes_of(candidate), rules)
        except UnreadableFile as problem:
            refusals.append(_refusal(candidate, str(problem)))
    chosen = [
        (job, decision)
        for job in jobs
        if (decision := decisions.get(job.candidate.input_digest)) is not None
        and decision.chooses(job.analysis.name)
    ]
    kept = {job.candidate.input_digest for job, _ in chosen}
    return _Routed(
        jobs=tuple(chosen),
        refusals=tuple(refusals),
        left_alone=tuple(candidates[d].label for d in decisions if d not in kept),
    )


def _asked(
    jobs: Sequence[tuple[PlannedJob, Routing | None]], terms: Terms
) -> Iterator[tuple[JobRequest, JobOrder]]:
    """Yield jobs with the versions that do them, each with how it is to be done."""
    duty = None if terms.service is None else terms.service.now()
    for job, routing in jobs:
        assigned = (Assigned(job=job, role=Role.LIVE),) if duty is None else duty.assigned(job)
        for each in assigned:
            order = job_order(each.job, terms, routing)
            if each.role is Role.SHADOW:
                order = replace(order, lane=SHADOW_LANE, priority=0)
            yield job_request(each.job), replace(order, role=each.role)


def _refusal(candidate: Candidate, reason: str) -> Refusal:
    """Return the refusal of a series."""
    return Refusal(
        label=candidate.label,
        reason=reason,
        study_instance_uid=candidate.study_instance_uid,
        series_instance_uids=candidate.series_instance_uids,
        files=tuple(path.name for path in candidate.files),
    )


def job_order(job: PlannedJob, terms: Terms, routing: Routing | None = None) -> JobOrder:
    """Return how a job is to be done; what the call says goes before the rules."""
    found = given(job)
    lane, priority = (LANE, PRIORITY) if routing is None else (routing.lane, routing.priority)
    return JobOrder(
        lane=lane if terms.lane is None else terms.lane,
        priority=priority if terms.priority is None else terms.priority,
        attempts=terms.attempts,
        input_root=found.input_root,
        inputs=found.inputs,
        configuration=found.configuration,
        output=terms.output.absolute(),
        routing=None if routing is None else routing.to_json(),
        held=doubt(job.candidate, job.analysis.name),
    )


def follow_ups(
    found: tuple[Path, Path],
    analyses: Callable[[], Sequence[Analysis]],
    terms: Terms,
    ledger: Ledger,
) -> Callable[[Transaction], object]:
    """Return what submits the jobs that reconstructed images are for.

    Parameters
    ----------
    found
        The folder that holds a result now, and the one that will hold it.
    analyses
        Opens the analyses to choose from.
    terms
        Those of the job that made the result.
    ledger
        The ledger.
    """
    now, then = found
    images = reconstructed_images(now)
    if images is None:
        return lambda _: None
    others = [analysis for analysis in analyses() if analysis.name != Reconstruction.name]
    asked = []
    planned = [(job, None) for job in plan_jobs(take_inventory([images]), others).jobs]
    for request, order in _asked(planned, terms):
        place = then / order.input_root.relative_to(os.path.abspath(now))  # noqa: PTH100 - keeps links
        asked.append((request, replace(order, routing=terms.routing, input_root=place)))

    def add(transaction: Transaction) -> None:
        for each in asked:
            Queue(ledger).submit_within(transaction, each, detail="made by another job")

    return add
