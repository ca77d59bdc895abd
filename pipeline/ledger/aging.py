"""What has grown old in a ledger, and what keeps it all the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, delete, func, select

from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.deliverytables import DeliveryRow, DeliveryState, WorkitemRow
from pipeline.ledger.exchange import Arrival, ArrivalState, Suspect
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.lineage import jobs_of
from pipeline.ledger.recordtables import HoldRow
from pipeline.ledger.reviews import readings_of, successors
from pipeline.ledger.reviewstates import ENDED as READ
from pipeline.ledger.reviewstates import ReviewState
from pipeline.ledger.roles import Role
from pipeline.ledger.states import ENDED, JobState
from pipeline.ledger.tables import EventRow, Job, Series, Study, now
from pipeline.steps import FINAL

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class OldArrival:
    """A study whose received files are old."""

    study_instance_uid: str
    """The study."""

    arrival_id: int
    """Its row."""

    last_at: float
    """Ledger's time of its last instance [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OldSuspect:
    """A data set that was set aside long ago."""

    id: int
    """Its row."""

    study_instance_uid: str | None
    """The study that it says that it is of."""

    relative_path: str
    """Its file, under the inbox."""


def old_arrivals(ledger: Ledger, days: float) -> tuple[OldArrival, ...]:
    """Return the studies that were taken, and of which nothing has come for so long [d]."""
    query = (
        select(Arrival.study_instance_uid, Arrival.id, Arrival.last_at)
        .where(Arrival.state == ArrivalState.TAKEN, Arrival.last_at < LedgerClock() - days * DAY_S)
        .order_by(Arrival.last_at)
    )
    with ledger.reading() as session:
        return tuple(
            OldArrival(study_instance_uid=uid, arrival_id=row, last_at=last)
            for uid, row, last in session.execute(query)
        )


def old_studies(ledger: Ledger, days: float) -> tuple[str, ...]:
    """Return the studies whose jobs, and whatever was received of them, are so old [d]."""
    last = (
        select(Study.study_instance_uid)
        .join(Series, Series.study_id == Study.id)
        .join(Job, Job.series_id == Series.id)
        .group_by(Study.study_instance_uid)
        .having(func.max(Job.changed_at) < _before(days))
        .order_by(func.max(Job.changed_at))
    )
    fresh = select(Arrival.study_instance_uid).where(
        Arrival.last_at >= LedgerClock() - days * DAY_S
    )
    with ledger.reading() as session:
        return tuple(session.scalars(last.where(Study.study_instance_uid.not_in(fresh))))


def old_suspects(ledger: Ledger, days: float) -> tuple[OldSuspect, ...]:
    """Return the data sets that were set aside so long ago [d], but those of studies on hold."""
    held = select(HoldRow.study_instance_uid)
    query = (
        select(Suspect)
        .where(Suspect.at < _before(days))
        .where(func.coalesce(Suspect.study_instance_uid, "").not_in(held))
    )
    with ledger.reading() as session:
        return tuple(
            OldSuspect(
                id=row.id,
                study_instance_uid=row.study_instance_uid,
                relative_path=row.relative_path,
            )
            for row in session.scalars(query)
        )


def count_events(ledger: Ledger, days: float) -> int:
    """Return how many events of jobs that have ended are so old [d]."""
    with ledger.reading() as session:
        query = select(func.count()).select_from(EventRow).where(*_old_events(days))
        return session.scalar(query) or 0


def remove_events(session: Transaction, days: float) -> int:
    """Remove them, within a transaction, and return how many."""
    done = session.execute(delete(EventRow).where(*_old_events(days)))
    assert isinstance(done, CursorResult)  # noqa: S101 - what a statement of change returns
    return done.rowcount


def remove_arrival(session: Transaction, old: OldArrival) -> bool:
    """Remove a study that was received, within a transaction; False if it has grown since."""
    gone = delete(Arrival).where(
        Arrival.id == old.arrival_id,
        Arrival.state == ArrivalState.TAKEN,
        Arrival.last_at == old.last_at,
    )
    return session.execute(gone.returning(Arrival.id)).first() is not None


def remove_suspects(session: Transaction, suspects: Sequence[OldSuspect]) -> None:
    """Remove the rows of data sets that were set aside, within a transaction."""
    for old in suspects:
        session.execute(
            delete(Suspect).where(Suspect.id == old.id, Suspect.relative_path == old.relative_path)
        )


def why_kept(session: Transaction, study_instance_uid: str, *, only_read: bool) -> str | None:
    """Return why a study that is old is kept; None if it may go.

    Parameters
    ----------
    session
        The transaction.
    study_instance_uid
        The study.
    only_read
        Whether readers must have ended with every result.
    """
    if session.get(HoldRow, study_instance_uid) is not None:
        return "it is on hold"
    job_ids = jobs_of(session, study_instance_uid)
    for state in session.scalars(select(Job.state).where(Job.id.in_(job_ids))):
        if state not in ENDED or state == JobState.QUARANTINED:
            return f"a job of it is {state}"
    ended = (DeliveryState.DONE, DeliveryState.CANCELLED)
    for state in session.scalars(select(DeliveryRow.state).where(DeliveryRow.job_id.in_(job_ids))):
        if state not in ended:
            return f"a delivery of it is {state}"
    steps = select(WorkitemRow.state).where(WorkitemRow.study_instance_uid == study_instance_uid)
    if session.scalars(steps.where(WorkitemRow.state.not_in(FINAL)).limit(1)).first():
        return "a procedure step is performed for it"
    return _why_unread(session, job_ids, only_read=only_read)


def _why_unread(session: Transaction, job_ids: list[UUID], *, only_read: bool) -> str | None:
    """Return how readers have not ended with a result."""
    verified = set(session.scalars(successors()))
    results = select(Job.id).where(
        Job.id.in_(job_ids), Job.state == JobState.DONE, Job.role != Role.SHADOW
    )
    for job_id in session.scalars(results):
        readings = readings_of(session, job_id)
        if readings and readings[-1].state not in READ:
            return f"the review of a result of it is in the state {readings[-1].state.value}"
        if only_read and not readings and job_id not in verified:
            return f"the review of a result of it is in the state {ReviewState.OPEN.value}"
    return None


def _old_events(days: float) -> tuple[ColumnElement[bool], ...]:
    """Return what is true of events that are old and of a job that has ended."""
    held = (
        select(Job.id)
        .join(Series, Series.id == Job.series_id)
        .join(Study, Study.id == Series.study_id)
        .join(HoldRow, HoldRow.study_instance_uid == Study.study_instance_uid)
    )
    ended = select(Job.id).where(Job.state.in_(ENDED))
    return (
        EventRow.at < _before(days),
        EventRow.job_id.in_(ended),
        EventRow.job_id.not_in(held),
    )


def _before(days: float) -> datetime:
    """Return the time so long ago, UTC."""
    return now() - timedelta(days=days)
