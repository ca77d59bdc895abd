"""One study of a batch: from its files to jobs that wait, as far as they must be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pipeline.analysis import Analysis
from pipeline.errors import StudyRejected, UnusableCall
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.ledger import JobRecord, JobRequest, Ledger
from pipeline.ledger.queue import JobOrder, Queue
from pipeline.ledger.states import JobState
from pipeline.submit import Found, Terms, find

TOLD = 3
"""Reasons that are told of one study; the others are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """What a study holds, and what of it exists already."""

    to_do: tuple[tuple[JobRequest, JobOrder], ...]
    """Jobs that have no result."""

    existing: tuple[UUID, ...]
    """Jobs whose results are there."""

    reason: str | None
    """Why the study, or a part of it, has no job; None where all of it has."""

    @property
    def job_ids(self) -> tuple[UUID, ...]:
        """All its jobs."""
        return (*(request.identity.job_id for request, _ in self.to_do), *self.existing)


def look(
    paths: Sequence[Path], analyses: Sequence[Analysis], terms: Terms, ledger: Ledger
) -> Looked:
    """Return what is to be done for a study; nothing is recorded.

    Parameters
    ----------
    paths
        Its files or its folder.
    analyses
        The analyses to choose from.
    terms
        How its jobs are to be done.
    ledger
        Knows what was done before.
    """
    missing = [path for path in paths if not path.exists()]
    if missing:
        told = f"{missing[0].name}: gone since the batch was planned"
        return Looked(to_do=(), existing=(), reason=told)
    try:
        found = find(take_inventory(paths), analyses, terms)
    except (StudyRejected, UnusableCall) as problem:
        return Looked(to_do=(), existing=(), reason=str(problem))
    to_do, existing = [], []
    for request, order in found.asked:
        job_id = request.identity.job_id
        if is_there(ledger.find(job_id)):
            existing.append(job_id)
        else:
            to_do.append((request, order))
    return Looked(to_do=tuple(to_do), existing=tuple(existing), reason=_reason(found))


def submit_all(looked: Looked, ledger: Ledger, terms: Terms) -> None:
    """Have the jobs wait that have no result; one that has ended without stays, unless asked.

    A job that is done and has lost its files is done again in any case.
    """
    queue = Queue(ledger)
    for request, order in looked.to_do:
        record = ledger.find(request.identity.job_id)
        lost = record is not None and record.state is JobState.DONE
        queue.submit(request, order, again=terms.again or lost, detail=terms.why)


def is_there(record: JobRecord | None) -> bool:
    """Tell whether a job is done and all its files exist; what is in them is not read."""
    if record is None or record.state is not JobState.DONE or record.folder is None:
        return False
    return all((record.folder / each.relative_path).is_file() for each in record.artifacts)


def _reason(found: Found) -> str | None:
    """Return why a study, or a part of it, has no job."""
    reasons = [_labelled(refusal.label, refusal.reason) for refusal in found.refusals]
    if not found.asked:
        reasons += [
            _labelled(series.candidate.label, ", ".join(series.reasons.values()))
            for series in found.not_fitting
        ]
        reasons += [f"{label}: left alone by the rules" for label in found.not_routed]
        reasons = reasons or ["nothing in it is an input"]
    if len(reasons) > TOLD:
        reasons = [*reasons[:TOLD], f"and {len(reasons) - TOLD} more"]
    return "; ".join(reasons) or None


def _labelled(label: str, reason: str) -> str:
    """Return a reason that says what it is about."""
    return reason if label in reason else f"{label}: {reason}"
