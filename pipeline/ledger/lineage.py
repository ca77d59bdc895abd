"""Which job's result a new one takes the place of: late instances make a revision.

The jobs of a series are told from those of another by study, analysis and Series Instance UIDs:
its digest is another one with every instance that comes. What a shadow does has no part in it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from pipeline.ledger.changes import end, record
from pipeline.ledger.events import Event
from pipeline.ledger.ledger import JobRequest, Transaction
from pipeline.ledger.roles import Role
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import Job, Series, Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """What was done with a series before."""

    predecessor: UUID | None
    """The job whose result a new one takes the place of; None for a first one."""

    running: UUID | None
    """A job of an earlier state of the series that runs now: its end decides."""


def lineage_of(session: Transaction, request: JobRequest) -> Lineage:
    """Return what was done with the series of a job before.

    Parameters
    ----------
    session
        The transaction.
    request
        The job, without a predecessor.
    """
    jobs = [(j, digest) for j, digest in _of_the_series(session, request) if j.role != Role.SHADOW]
    identity = request.identity
    for job, digest in jobs:
        is_the_same = (
            digest == identity.input_digest
            and job.bundle_digest == identity.bundle_digest
            and job.configuration_digest == identity.configuration_digest
        )
        if is_the_same:
            return Lineage(predecessor=job.predecessor_id, running=None)
    earlier = [job for job, digest in jobs if digest != identity.input_digest]
    running = next((job.id for job in earlier if job.state == JobState.RUNNING), None)
    done = next((job.id for job in earlier if job.state == JobState.DONE), None)
    return Lineage(predecessor=done, running=running)


def overtake(session: Transaction, request: JobRequest) -> tuple[UUID, ...]:
    """Cancel jobs of earlier states of a series that wait still, and return them."""
    overtaken = []
    for job, digest in _of_the_series(session, request):
        if digest != request.identity.input_digest and job.state == JobState.WAITING:
            end(session, job, JobState.CANCELLED)
            record(session, job, Event.CANCELLED, "late instances have come")
            overtaken.append(job.id)
    return tuple(overtaken)


def jobs_of(session: Transaction, study_instance_uid: str) -> list[UUID]:
    """Return all jobs of a study."""
    return list(
        session.scalars(
            select(Job.id)
            .join(Series, Job.series_id == Series.id)
            .join(Study, Series.study_id == Study.id)
            .where(Study.study_instance_uid == study_instance_uid)
        )
    )


def _of_the_series(session: Transaction, request: JobRequest) -> list[tuple[Job, str]]:
    """Return the jobs of a series with their inputs' digests, the latest first."""
    found = session.execute(
        select(Job, Series.input_digest, Series.series_instance_uids)
        .join(Series, Job.series_id == Series.id)
        .join(Study, Series.study_id == Study.id)
        .where(
            Study.study_instance_uid == request.study_instance_uid,
            Job.analysis == request.identity.analysis,
        )
        .order_by(Job.created_at.desc())
    )
    return [
        (job, digest) for job, digest, uids in found if _share(uids, request.series_instance_uids)
    ]


def _share(some: Collection[str], others: Collection[str]) -> bool:
    """Tell whether two collections have a member in common."""
    return not set(some).isdisjoint(others)
