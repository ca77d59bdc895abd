"""The queue in the ledger: jobs that wait, who has claimed which and for how long.

Every change is one transaction that compares before it sets. A claim is named by the number of its
attempt, which only grows: whoever has an earlier number can neither renew nor end the job. Times
are the ledger's own (``clock.py``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, or_, select, update

from pipeline.ledger.changes import HELD, end, held, hold, locked, record, try_again, wait
from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.events import Event
from pipeline.ledger.ledger import JobRequest, Ledger, Transaction
from pipeline.ledger.roles import Role
from pipeline.ledger.states import ENDED, JobState
from pipeline.ledger.tables import Bell, Job, now

REAPED_AT_ONCE = 100
"""Leases that one transaction of the reaper looks at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobOrder:
    """How a job is to be done by the service."""

    lane: str
    """The queue that it waits in."""

    priority: int
    """The higher, the sooner within its lane."""

    attempts: int
    """Attempts after which it is quarantined."""

    input_root: Path
    """Absolute path that the inputs' paths start from."""

    inputs: tuple[str, ...]
    """The files that the series consists of."""

    configuration: Mapping[str, object]
    """All settings that the result depends on."""

    output: Path
    """Absolute path of the folder that the job's folder is made in."""

    routing: Mapping[str, object] | None = None
    """What the site's rules decided, and why; None where the call decided."""

    predecessor: UUID | None = None
    """Job whose result this one takes the place of."""

    role: Role = Role.LIVE
    """What the version of its bundle does: nothing that a shadow makes is delivered."""

    held: str | None = None
    """Why a person must release it before it is done; None where nobody must."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What became of a job that was submitted."""

    job_id: UUID
    """The job."""

    state: JobState
    """Where it stands now."""

    is_new: bool
    """Whether it waits because of this call."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A job that this process may work at for the time of the lease."""

    job_id: UUID
    """The job."""

    attempt: int
    """Number of the attempt, from 1: the token that ends the job or renews the lease."""

    analysis: str
    """Name of the analysis."""

    bundle_digest: str
    """Digest of the bundle that it is to be done with, hexadecimal."""

    order: JobOrder
    """How it is to be done."""


class Renewal(StrEnum):
    """What became of a lease that was to be renewed."""

    HELD = "held"
    """It holds anew."""

    LOST = "lost"
    """The job is another's now, or has ended."""

    CANCELLED = "cancelled"
    """A person wants the attempt to end."""


class Queue:
    """The jobs of a ledger as a queue. Several processes may use the same one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def submit(
        self,
        request: JobRequest,
        order: JobOrder,
        *,
        again: bool = False,
        detail: str | None = None,
    ) -> Submission:
        """Have a job wait, in one transaction with the call of its worker.

        A job that waits, runs or has ended stays as it is, however often it is submitted; but one
        that a shadow has done is done again when its version's result is asked for.

        Parameters
        ----------
        request
            What is to be done.
        order
            How.
        again
            Whether a job that has ended is to be done again.
        detail
            Why it was submitted, for its history: the rule that chose it.
        """
        with self._ledger.transaction() as session:
            return self.submit_within(session, (request, order), again=again, detail=detail)

    def submit_within(
        self,
        session: Transaction,
        asked: tuple[JobRequest, JobOrder],
        *,
        again: bool = False,
        detail: str | None = None,
    ) -> Submission:
        """Do the same within a transaction that is open."""
        request, order = asked
        job_id = request.identity.job_id
        is_new = self._ledger.add(session, request, JobState.WAITING)
        job = session.get_one(Job, job_id, with_for_update=True)
        serves = not is_new and job.role == Role.SHADOW and order.role != Role.SHADOW
        if serves:
            job.role = order.role
        elif not is_new and order.role == Role.SHADOW and job.role != Role.SHADOW:
            return Submission(job_id=job_id, state=JobState(job.state), is_new=False)
        if not (is_new or _is_to_wait(job, again=again or serves, serves=serves)):
            return Submission(job_id=job_id, state=JobState(job.state), is_new=False)
        job.role = order.role
        job.lane, job.priority = order.lane, order.priority
        job.attempts_allowed = job.attempts + order.attempts
        job.input_root, job.inputs = str(order.input_root), list(order.inputs)
        job.configuration, job.output = dict(order.configuration), str(order.output)
        job.routing = None if order.routing is None else dict(order.routing)
        job.predecessor_id = order.predecessor
        session.flush()
        wait(session, job, 0.0)
        record(session, job, Event.SUBMITTED, detail)
        if is_new and order.held is not None:
            hold(session, job, order.held)
        return Submission(job_id=job_id, state=JobState(job.state), is_new=True)

    def claim(self, job_id: UUID, owner: str, lease_s: float) -> Claim | None:
        """Begin an attempt of a job that waits; it is counted before its work.

        Returns
        -------
            None if the job does not wait or its time has not come: somebody else has it, or had.
        """
        due = or_(Job.not_before.is_(None), Job.not_before <= LedgerClock())
        with self._ledger.transaction() as session:
            claimed = session.execute(
                update(Job)
                .where(
                    Job.id == job_id,
                    Job.state == JobState.WAITING,
                    Job.attempts < Job.attempts_allowed,
                    due,
                )
                .values(
                    state=JobState.RUNNING,
                    attempts=Job.attempts + 1,
                    owner=owner,
                    lease_until=LedgerClock() + lease_s,
                    not_before=None,
                    cancel_requested=False,
                    changed_at=now(),
                )
                .returning(Job.id)
            )
            if claimed.scalar_one_or_none() is None:
                return None
            job = session.get_one(Job, job_id)
            rung = session.execute(
                delete(Bell).where(Bell.job_id == job_id).returning(Bell.rung)
            ).scalar_one_or_none()
            record(session, job, Event.CLAIMED, f"called {rung or 0} times")
            return _claim(job)

    def renew(self, job_id: UUID, attempt: int, lease_s: float) -> Renewal:
        """Extend the lease of an attempt."""
        with self._ledger.transaction() as session:
            row = session.execute(
                update(Job)
                .where(*held(job_id, attempt))
                .values(lease_until=LedgerClock() + lease_s)
                .returning(Job.cancel_requested)
            ).scalar_one_or_none()
        if row is None:
            return Renewal.LOST
        return Renewal.CANCELLED if row else Renewal.HELD

    def repeat(
        self, job_id: UUID, attempt: int, failure: tuple[str, str], after_s: float
    ) -> JobState | None:
        """End an attempt for a reason that may pass: the job waits again, or is quarantined.

        Parameters
        ----------
        job_id
            The job.
        attempt
            The attempt.
        failure
            Class of the failure, and its message.
        after_s
            Time before the job is claimed again [s].

        Returns
        -------
            The job's state; None if the attempt was not the job's last: nothing is recorded then.
        """
        with self._ledger.transaction() as session:
            job = locked(session, job_id, attempt)
            if job is None:
                return None
            job.error, job.reason = failure
            record(session, job, Event.TO_BE_REPEATED, f"{failure[0]}: {failure[1]}")
            try_again(session, job, after_s)
            return JobState(job.state)

    def cancelled(self, job_id: UUID, attempt: int) -> bool:
        """End an attempt that a person wanted to end; False if it was not the job's last."""
        with self._ledger.transaction() as session:
            job = locked(session, job_id, attempt)
            if job is None:
                return False
            end(session, job, JobState.CANCELLED)
            record(session, job, Event.CANCELLED, None)
        return True

    def hand_back(self, job_id: UUID, attempt: int) -> bool:
        """Give back an attempt of a worker that stops; it does not count against the job."""
        with self._ledger.transaction() as session:
            job = locked(session, job_id, attempt)
            if job is None:
                return False
            job.attempts_allowed += 1
            record(session, job, Event.HANDED_BACK, None)
            wait(session, job, 0.0)
        return True

    def hand_back_all(self, is_ours: Callable[[str], bool]) -> tuple[UUID, ...]:
        """Give back the attempts of owners that stop, by their names."""
        return tuple(
            job_id
            for job_id, attempt, owner in self._running()
            if is_ours(owner) and self.hand_back(job_id, attempt)
        )

    def reap(self, is_dead: Callable[[str], bool]) -> tuple[UUID, ...]:
        """Hand out the jobs whose lease has run out or whose owner is known to be dead.

        A job that has used up its attempts is quarantined: one that kills its worker does not take
        down the next, and the one after that.

        Parameters
        ----------
        is_dead
            Tells whether an owner is a process of this machine that is gone.
        """
        expired = select(Job.id, Job.attempts).where(
            Job.state == JobState.RUNNING, Job.lease_until < LedgerClock()
        )
        with self._ledger.reading() as session:
            found = {row.id: row.attempts for row in session.execute(expired.limit(REAPED_AT_ONCE))}
        why = dict.fromkeys(found, "its lease ran out")
        for job_id, attempt, owner in self._running():
            if job_id not in found and is_dead(owner):
                found[job_id], why[job_id] = attempt, "its process is gone"
        return tuple(
            job_id
            for job_id, attempt in found.items()
            if self._abandon(job_id, attempt, why[job_id])
        )

    def reap_one(self, job_id: UUID, is_dead: Callable[[str], bool]) -> bool:
        """Hand out a job if its owner is known to be dead."""
        with self._ledger.reading() as session:
            found = session.execute(
                select(Job.attempts, Job.owner).where(
                    Job.id == job_id, Job.state == JobState.RUNNING, Job.owner.is_not(None)
                )
            ).one_or_none()
        if found is None or not is_dead(str(found.owner)):
            return False
        return self._abandon(job_id, found.attempts, "its process is gone")

    def _running(self) -> list[tuple[UUID, int, str]]:
        """Return the jobs that are claimed, each with its attempt and owner."""
        running = select(Job.id, Job.attempts, Job.owner).where(
            Job.state == JobState.RUNNING, Job.owner.is_not(None)
        )
        with self._ledger.reading() as session:
            return [(row.id, row.attempts, str(row.owner)) for row in session.execute(running)]

    def _abandon(self, job_id: UUID, attempt: int, why: str) -> bool:
        """Hand out a job whose attempt has ended without a word."""
        with self._ledger.transaction() as session:
            job = locked(session, job_id, attempt, unless_busy=True)
            if job is None:
                return False
            wanted_to_end = job.cancel_requested
            record(session, job, Event.ABANDONED, why)
            if wanted_to_end:
                end(session, job, JobState.CANCELLED)
                record(session, job, Event.CANCELLED, None)
            else:
                job.error, job.reason = "Abandoned", f"attempt {job.attempts}: {why}"
                try_again(session, job, 0.0)
        return True


def role_of(session: Transaction, job_id: UUID) -> Role:
    """Return what the version of a job's bundle does."""
    return Role(session.execute(select(Job.role).where(Job.id == job_id)).scalar_one())


def _is_to_wait(job: Job, *, again: bool, serves: bool) -> bool:
    """Tell whether a job that is known is to wait anew.

    One that has ended is if it is asked for again; one that waits for a shadow's turn, if its
    result is wanted now; and one that a run without the service has left. One that is held never.
    """
    if job.error == HELD:
        return False
    if job.state == JobState.WAITING:
        return serves
    left = job.state == JobState.RUNNING and job.lease_until is None
    return left or (again and JobState(job.state) in ENDED)


def _claim(job: Job) -> Claim:
    """Return a row as a claim."""
    return Claim(
        job_id=job.id,
        attempt=job.attempts,
        analysis=job.analysis,
        bundle_digest=job.bundle_digest,
        order=JobOrder(
            lane=job.lane,
            priority=job.priority,
            attempts=job.attempts_allowed,
            input_root=Path(job.input_root or ""),
            inputs=tuple(job.inputs or ()),
            configuration=job.configuration or {},
            output=Path(job.output or ""),
            routing=job.routing,
            predecessor=job.predecessor_id,
            role=Role(job.role),
        ),
    )
