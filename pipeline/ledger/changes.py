"""Changes of a job's row within a transaction, each with the call of its worker and its event."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.events import Event
from pipeline.ledger.events import record as add_event
from pipeline.ledger.states import JobState, may_become
from pipeline.ledger.tables import Bell, Job, now
from pipeline.ledger.upsert import insertion
from pipeline.ledger.watch import tell

HELD = "Held"
"""What is recorded as the error of a job that a person must release."""


def held(job_id: UUID, attempt: int) -> tuple[ColumnElement[bool], ...]:
    """Return what is true of the job as long as an attempt is its last and runs."""
    return Job.id == job_id, Job.attempts == attempt, Job.state == JobState.RUNNING


def locked(
    session: Session, job_id: UUID, attempt: int, *, unless_busy: bool = False
) -> Job | None:
    """Return the row of an attempt that is the job's last and runs, locked; else None.

    ``unless_busy`` also returns None where another transaction changes the row right now: it may be
    stopped in the middle, and the reaper does not wait for it.
    """
    last = select(Job).where(*held(job_id, attempt))
    return session.scalars(last.with_for_update(skip_locked=unless_busy)).one_or_none()


def try_again(session: Session, job: Job, after_s: float) -> None:
    """Have a job wait for its next attempt; quarantine it if there is none left."""
    if job.attempts < job.attempts_allowed:
        wait(session, job, after_s)
        return
    reason = f"{job.attempts} attempts; the last: {job.error}: {job.reason}"
    job.reason = reason
    end(session, job, JobState.QUARANTINED)
    record(session, job, Event.QUARANTINED, reason)


def wait(session: Session, job: Job, after_s: float) -> None:
    """Have a job wait, and its worker called when its time comes."""
    due = session.scalars(select(LedgerClock() + after_s)).one()
    end(session, job, JobState.WAITING)
    job.not_before = due if after_s else None
    values: dict[str, Any] = {
        "job_id": job.id,
        "lane": job.lane,
        "rank": -job.priority,
        "due": due,
        "rung": 0,
    }
    insert = insertion(session.get_bind().dialect.name, Bell).values(**values)
    session.execute(insert.on_conflict_do_update(index_elements=["job_id"], set_=values))
    tell(session)


def hold(session: Session, job: Job, reason: str) -> None:
    """Set a job aside until a person releases it."""
    job.error, job.reason = HELD, reason
    end(session, job, JobState.QUARANTINED)
    record(session, job, Event.QUARANTINED, reason)


def end(session: Session, job: Job, state: JobState) -> None:
    """Give a job that is not claimed any more its state.

    Raises
    ------
    ValueError
        If it may not go there from where it stands: a defect of the caller.
    """
    now_in = JobState(job.state)
    if now_in is not state and not may_become(now_in, state):
        raise ValueError(f"a job that is {now_in.value} does not become {state.value}")
    job.state, job.owner, job.lease_until = state, None, None
    job.cancel_requested, job.not_before, job.changed_at = False, None, now()
    if state is not JobState.WAITING:
        session.execute(delete(Bell).where(Bell.job_id == job.id))


def record(session: Session, job: Job, event: Event, detail: str | None) -> None:
    """Record what happened to a job."""
    add_event(session, job.id, (event, job.attempts), owner=job.owner, detail=detail)
