"""What a person does with a job: cancel it, try it again, set it aside, put it before others."""

from uuid import UUID

from sqlalchemy import update

from pipeline.errors import UnusableCall
from pipeline.ledger.changes import HELD, end, record, wait
from pipeline.ledger.events import Event
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import ENDED, JobState, before
from pipeline.ledger.tables import Bell, Job


class Care:
    """Looks after the jobs of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def cancel(self, job_id: UUID) -> JobState | None:
        """End a job that waits, or ask the attempt that runs to end.

        Returns
        -------
            Where the job stands now; None if there is none.
        """
        with self.ledger.transaction() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                return None
            if job.state == JobState.WAITING:
                end(session, job, JobState.CANCELLED)
                record(session, job, Event.CANCELLED, None)
            elif job.state == JobState.RUNNING:
                job.cancel_requested = True
                record(session, job, Event.CANCEL_REQUESTED, None)
            return JobState(job.state)

    def retry(self, job_id: UUID, attempts: int) -> JobState | None:
        """Have a job that has ended wait again, with new attempts.

        Returns
        -------
            Where the job stands now; None if there is none, or none that the service can do.

        Raises
        ------
        UnusableCall
            If it is held: a person must release it.
        """
        with self.ledger.transaction() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None or job.output is None:
                return None
            if job.error == HELD:
                raise UnusableCall(f"job {job_id} is held: vesalius held release {job_id}")
            if JobState(job.state) in ENDED:
                job.attempts_allowed = job.attempts + attempts
                job.error = job.reason = None
                wait(session, job, 0.0)
                record(session, job, Event.SUBMITTED, "asked for again")
            return JobState(job.state)

    def quarantine(self, job_id: UUID, reason: str) -> JobState | None:
        """Set a job aside that waits or runs.

        Returns
        -------
            Where the job stands now; None if there is none.
        """
        with self.ledger.transaction() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                return None
            if JobState(job.state) in before(JobState.QUARANTINED):
                job.error, job.reason = "Quarantined", reason
                end(session, job, JobState.QUARANTINED)
                record(session, job, Event.QUARANTINED, reason)
            return JobState(job.state)

    def prioritise(self, job_id: UUID, priority: int) -> JobState | None:
        """Change the priority of a job.

        Returns
        -------
            Where the job stands; None if there is none.
        """
        with self.ledger.transaction() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                return None
            detail = f"{job.priority} to {priority}"
            job.priority = priority
            session.execute(update(Bell).where(Bell.job_id == job_id).values(rank=-priority))
            record(session, job, Event.PRIORITY, detail)
            return JobState(job.state)
