"""Submit: from inputs to jobs that wait in the ledger.

What is found is what a run without the service would find; a job that the ledger knows stays as it
is.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.encode.reconstruction import reconstructed_images
from pipeline.errors import UnusableCall
from pipeline.ingest.candidate import Refusal
from pipeline.ingest.inventory import take_inventory
from pipeline.job import job_request
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.queue import JobOrder, Queue, Submission
from pipeline.manifest import NotFitting
from pipeline.perform import Analysis, Reconstruction
from pipeline.plan import PlannedJob, plan_jobs


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How the jobs of a submission are to be done."""

    output: Path
    """Folder for the results."""

    lane: str = "routine"
    """The queue that they wait in."""

    priority: int = 0
    """The higher, the sooner within the lane."""

    attempts: int = 3
    """Attempts after which a job is quarantined."""

    again: bool = False
    """Whether jobs that have ended are done again."""

    why: str | None = None
    """Why they are submitted, for their history."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitted:
    """What became of a submission."""

    jobs: tuple[Submission, ...]
    """The jobs, in the order of the inputs."""

    refusals: tuple[Refusal, ...]
    """Files and series that cannot be processed."""

    not_fitting: tuple[NotFitting, ...]
    """Series that no chosen analysis is made for."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "jobs": [
                {"job_id": str(job.job_id), "state": job.state.value, "is_new": job.is_new}
                for job in self.jobs
            ],
            "refused": [{"label": r.label, "reason": r.reason} for r in self.refusals],
            "not_applicable": [series.to_json() for series in self.not_fitting],
        }


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
    """
    for given in inputs:
        if not given.exists():
            raise UnusableCall(f"{given}: no such file or folder")
    inventory = take_inventory(inputs)
    plan = plan_jobs(inventory, analyses)
    queue = Queue(ledger)
    return Submitted(
        jobs=tuple(
            queue.submit(
                job_request(job), job_order(job, terms), again=terms.again, detail=terms.why
            )
            for job in plan.jobs
        ),
        refusals=inventory.refusals,
        not_fitting=plan.not_fitting,
    )


def job_order(job: PlannedJob, terms: Terms) -> JobOrder:
    """Return how a job is to be done."""
    files = [Path(os.path.abspath(path)) for path in job.candidate.files]  # noqa: PTH100 - keeps links
    root = Path(os.path.commonpath([path.parent for path in files]))
    return JobOrder(
        lane=terms.lane,
        priority=terms.priority,
        attempts=terms.attempts,
        input_root=root,
        inputs=tuple(path.relative_to(root).as_posix() for path in files),
        configuration=job.analysis.configuration,
        output=terms.output.absolute(),
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
    for job in plan_jobs(take_inventory([images]), others).jobs:
        order = job_order(job, terms)
        place = then / order.input_root.relative_to(os.path.abspath(now))  # noqa: PTH100 - keeps links
        asked.append((job_request(job), replace(order, input_root=place)))

    def add(transaction: Transaction) -> None:
        for each in asked:
            Queue(ledger).submit_within(transaction, each, detail="made by another job")

    return add
