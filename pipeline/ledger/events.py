"""What happened to a job, in order: written with the change itself, in its transaction."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from pipeline.ledger.tables import EventRow, now


class Event(StrEnum):
    """What may happen to a job."""

    SUBMITTED = "submitted"
    """It was asked for, and waits."""

    CLAIMED = "claimed"
    """A worker has begun an attempt."""

    BEGUN = "begun"
    """A run without the service has begun an attempt."""

    DONE = "done"
    """Its artifacts are in place."""

    FAILED = "failed"
    """An attempt ended for a reason that stays."""

    TO_BE_REPEATED = "to be repeated"
    """An attempt ended for a reason that may pass, such as a full disk."""

    HANDED_BACK = "handed back"
    """A worker that stops gave it back; the attempt does not count."""

    ABANDONED = "abandoned"
    """The lease ran out, or the worker's process is gone."""

    QUARANTINED = "quarantined"
    """Its attempts are used up, or a person set it aside."""

    CANCEL_REQUESTED = "cancel requested"
    """A person wants the attempt that runs to end."""

    CANCELLED = "cancelled"
    """A person has ended it."""

    DELIVERED = "delivered"
    """Its result is at a destination, and proven to be."""

    NOT_DELIVERED = "not delivered"
    """A destination will not take its result, or an object of it must not leave."""

    REVIEWED = "reviewed"
    """A reader has said what to think of its result."""

    PRIORITY = "priority"
    """A person has changed its priority."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Happened:
    """Something that happened to a job."""

    at: datetime
    """When, UTC, by the clock of the process that recorded it."""

    event: str
    """What: a value of ``Event``."""

    attempt: int
    """Attempts that were begun by then."""

    owner: str | None
    """The process that it happened in, where it was a worker's."""

    detail: str | None
    """More about it."""


def record(session: Session, job_id: UUID, happened: tuple[Event, int], **told: str | None) -> None:
    """Add an event to the transaction.

    Parameters
    ----------
    session
        The transaction.
    job_id
        The job.
    happened
        What happened, and the attempts that were begun by then.
    told
        ``owner`` and ``detail``.
    """
    event, attempt = happened
    session.execute(
        insert(EventRow).values(job_id=job_id, at=now(), event=event.value, attempt=attempt, **told)
    )


def history(session: Session, job_id: UUID) -> tuple[Happened, ...]:
    """Return all that happened to a job, in order."""
    rows = session.scalars(select(EventRow).where(EventRow.job_id == job_id).order_by(EventRow.id))
    return tuple(
        Happened(
            # SQLite keeps no zone; all times are UTC.
            at=row.at.replace(tzinfo=UTC),
            event=row.event,
            attempt=row.attempt,
            owner=row.owner,
            detail=row.detail,
        )
        for row in rows
    )
