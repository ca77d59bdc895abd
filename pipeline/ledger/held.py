"""What is held until a person decides: jobs whose series contradicts its analysis, and data sets.

A job that is held is quarantined from its first moment; only a release, which the audit log keeps,
has it done.
"""

from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy import select

from pipeline.errors import UnusableCall
from pipeline.ledger.audit import Audited, record_within
from pipeline.ledger.changes import HELD, record, wait
from pipeline.ledger.events import Event
from pipeline.ledger.exchange import Suspect
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldJob:
    """A job that a person must release."""

    job_id: UUID
    """The job."""

    analysis: str
    """Its analysis."""

    reason: str
    """Why it is held."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {**asdict(self), "job_id": str(self.job_id)}


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldDataSet:
    """A data set that was set aside when it was received."""

    sop_instance_uid: str | None
    """SOP Instance UID (0008,0018) that it came under."""

    relative_path: str
    """Its file, under the inbox."""

    reason: str
    """Why it was set aside."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return asdict(self)


def held_jobs(ledger: Ledger) -> tuple[HeldJob, ...]:
    """Return the jobs that are held, the earliest first.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be read.
    """
    wanted = select(Job).where(Job.state == JobState.QUARANTINED, Job.error == HELD)
    with ledger.reading() as session:
        return tuple(
            HeldJob(job_id=job.id, analysis=job.analysis, reason=job.reason or "")
            for job in session.scalars(wanted.order_by(Job.changed_at, Job.id))
        )


def suspects(ledger: Ledger) -> tuple[HeldDataSet, ...]:
    """Return the data sets that were set aside, the earliest first.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be read.
    """
    with ledger.reading() as session:
        return tuple(
            HeldDataSet(
                sop_instance_uid=row.sop_instance_uid,
                relative_path=row.relative_path,
                reason=row.reason,
            )
            for row in session.scalars(select(Suspect).order_by(Suspect.id))
        )


def release(ledger: Ledger, job_id: UUID, attempts: int, by: tuple[str, str]) -> JobState | None:
    """Have a job that is held wait for a worker, and record who said so.

    Parameters
    ----------
    ledger
        The ledger.
    job_id
        The job.
    attempts
        How often it may be tried.
    by
        Who releases it, and why.

    Returns
    -------
        Where the job stands now; None if there is none.

    Raises
    ------
    UnusableCall
        If it is not held.
    LedgerUnavailable
        If the ledger cannot be written: nothing is done then.
    """
    actor, why = by
    with ledger.transaction() as session:
        job = session.get(Job, job_id, with_for_update=True)
        if job is None:
            return None
        if job.state != JobState.QUARANTINED or job.error != HELD:
            raise UnusableCall(f"job {job_id} is not held")
        was = job.reason
        job.attempts_allowed = job.attempts + attempts
        job.error = job.reason = None
        wait(session, job, 0.0)
        record(session, job, Event.SUBMITTED, f"released: {why}")
        record_within(
            session,
            Audited(
                action="job released",
                actor=actor,
                subject=f"job {job_id}",
                detail={"held": was, "reason": why},
            ),
        )
        return JobState(job.state)
