"""What a person sees of the queue: counts, lists, and the whole life of a job."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, select

from pipeline.errors import UnusableCall
from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.roles import Role
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import Job, Series, Study

ROLE_NOTES = {Role.SHADOW.value: ": nothing of it is delivered"}
"""What a reader should know of a job by the role of its version."""

LEAST_DIGITS = 6
"""Fewer digits of a job id are not taken for one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneStatus:
    """How a lane stands."""

    lane: str
    """The lane."""

    waiting: int
    """Jobs that wait for a worker or for their time."""

    oldest_s: float
    """Time since the first of them began to wait, 0 without any [s]."""

    running: int
    """Jobs that are claimed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How the queue stands."""

    lanes: tuple[LaneStatus, ...]
    """Each lane that has a job, by name."""

    states: dict[str, int]
    """Jobs in each state."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {"lanes": [asdict(lane) for lane in self.lanes], "states": self.states}


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLine:
    """A job in a list."""

    job_id: UUID
    """The job."""

    analysis: str
    """Name of the analysis."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); None for NIfTI."""

    state: JobState
    """Where it stands."""

    lane: str
    """The queue that it waits in."""

    priority: int
    """The higher, the sooner within its lane."""

    attempts: int
    """Attempts that were begun."""

    attempts_allowed: int
    """Attempts after which it is quarantined."""

    owner: str | None
    """The process that has claimed it."""

    wait_s: float | None
    """Time before it may be claimed; None where it does not wait for its time [s]."""

    error: str | None
    """Class of its last failure."""

    reason: str | None
    """Its message."""

    bundle: str
    """Name and version of the bundle."""

    role: str
    """What that version did when the job was submitted: ``live``, ``canary`` or ``shadow``."""

    folder: str | None
    """Where its artifacts are."""

    created_at: datetime
    """When it was first recorded, UTC."""

    changed_at: datetime
    """When its state last changed, UTC."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            **asdict(self),
            "job_id": str(self.job_id),
            "state": self.state.value,
            "created_at": self.created_at.isoformat(),
            "changed_at": self.changed_at.isoformat(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which jobs a list is of; None takes all."""

    state: JobState | None = None
    """Where they stand."""

    lane: str | None = None
    """The queue that they wait in."""

    study_instance_uid: str | None = None
    """The study that they are for."""

    limit: int = 100
    """How many at most, the latest change first."""


def status(ledger: Ledger) -> Status:
    """Return how the queue stands."""
    by_state = select(Job.state, func.count().label("jobs")).group_by(Job.state)
    running = (
        select(Job.lane, func.count().label("jobs"))
        .where(Job.state == JobState.RUNNING)
        .group_by(Job.lane)
    )
    waiting = (
        select(
            Job.lane,
            func.count().label("jobs"),
            func.min(Job.changed_at).label("since"),
        )
        .where(Job.state == JobState.WAITING)
        .group_by(Job.lane)
    )
    with ledger.reading() as session:
        states = {row.state: row.jobs for row in session.execute(by_state)}
        claimed = {row.lane: row.jobs for row in session.execute(running)}
        queued = {row.lane: row for row in session.execute(waiting)}
    now = datetime.now(UTC)
    return Status(
        lanes=tuple(
            LaneStatus(
                lane=lane,
                waiting=queued[lane].jobs if lane in queued else 0,
                oldest_s=_age_s(queued[lane].since, now) if lane in queued else 0.0,
                running=claimed.get(lane, 0),
            )
            for lane in sorted({*claimed, *queued})
        ),
        states=states,
    )


def ledger_time(ledger: Ledger) -> float:
    """Return the time that leases are kept by: the database server's, if there is one [s]."""
    with ledger.reading() as session:
        return float(session.execute(select(LedgerClock())).scalar_one())


def jobs(ledger: Ledger, wanted: Wanted) -> tuple[JobLine, ...]:
    """Return jobs, the latest change first."""
    query = _lines().order_by(Job.changed_at.desc()).limit(wanted.limit)
    if wanted.state is not None:
        query = query.where(Job.state == wanted.state)
    if wanted.lane is not None:
        query = query.where(Job.lane == wanted.lane)
    if wanted.study_instance_uid is not None:
        query = query.where(Study.study_instance_uid == wanted.study_instance_uid)
    with ledger.reading() as session:
        return tuple(_line(row) for row in session.execute(query))


def job_named(ledger: Ledger, name: str) -> JobLine:
    """Return the job whose id is, or begins with, some digits.

    Raises
    ------
    UnusableCall
        If there is none, or more than one.
    """
    digits = name.replace("-", "").lower()
    if len(digits) < LEAST_DIGITS or set(digits) - set("0123456789abcdef"):
        raise UnusableCall(f"{name!r} is no job: give {LEAST_DIGITS} digits of its id or more")
    first, last = UUID(digits.ljust(32, "0")[:32]), UUID(digits.ljust(32, "f")[:32])
    with ledger.reading() as session:
        found = session.execute(_lines().where(Job.id.between(first, last)).limit(2)).all()
    if len(found) != 1:
        raise UnusableCall(f"{'no' if not found else 'more than one'} job {name}")
    return _line(found[0])


def routing_of(ledger: Ledger, job_id: UUID) -> dict[str, object] | None:
    """Return what the site's rules decided for a job; None where the call decided."""
    with ledger.reading() as session:
        return session.execute(select(Job.routing).where(Job.id == job_id)).scalar_one()


def told(ledger: Ledger, job: JobLine) -> Iterator[str]:
    """Yield the whole life of a job, line by line."""
    yield f"job {job.job_id}: {job.state.value}"
    yield f"{job.analysis}, {job.bundle}; lane {job.lane}, priority {job.priority}"
    if job.role != Role.LIVE:
        yield f"done by the {job.role} version" + ROLE_NOTES.get(job.role, "")
    if job.study_instance_uid:
        yield f"study {job.study_instance_uid}"
    yield f"attempts {job.attempts} of {job.attempts_allowed}"
    if job.wait_s:
        yield f"is not claimed before {job.wait_s:.0f} s from now"
    if job.error:
        yield f"{job.error}: {job.reason}"
    if job.folder:
        yield f"results in {job.folder}"
    for event in ledger.history(job.job_id):
        more = [f"attempt {event.attempt}"] if event.attempt else []
        more += [f"process {event.owner}"] if event.owner else []
        more += [event.detail] if event.detail else []
        when = event.at.isoformat(timespec="milliseconds")
        yield f"{when}  {event.event}" + (f" ({'; '.join(more)})" if more else "")


def _lines() -> Select[*tuple[Any, ...]]:
    """Return the query for the lines of jobs."""
    return (
        select(
            Job.id,
            Job.analysis,
            Study.study_instance_uid,
            Job.state,
            Job.lane,
            Job.priority,
            Job.attempts,
            Job.attempts_allowed,
            Job.owner,
            (Job.not_before - LedgerClock()).label("wait_s"),
            Job.error,
            Job.reason,
            Job.bundle_name,
            Job.bundle_version,
            Job.role,
            Job.folder,
            Job.created_at,
            Job.changed_at,
        )
        .join(Series, Series.id == Job.series_id)
        .outerjoin(Study, Study.id == Series.study_id)
    )


def _line(row: Row[Any]) -> JobLine:
    """Return a row as a line."""
    values = row._asdict()
    return JobLine(
        job_id=values.pop("id"),
        state=JobState(values.pop("state")),
        bundle=f"{values.pop('bundle_name')} {values.pop('bundle_version')}",
        wait_s=max(wait, 0.0) if (wait := values.pop("wait_s")) is not None else None,
        # SQLite keeps no zone; all times are UTC.
        created_at=values.pop("created_at").replace(tzinfo=UTC),
        changed_at=values.pop("changed_at").replace(tzinfo=UTC),
        **values,
    )


def _age_s(since: datetime, now: datetime) -> float:
    """Return the time since a moment [s]."""
    return max((now - since.replace(tzinfo=UTC)).total_seconds(), 0.0)
