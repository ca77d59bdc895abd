"""Rows of deliveries as records, and what changes one within a transaction."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from pipeline.connections import Destination
from pipeline.ledger.breaker import RANDOM
from pipeline.ledger.breaker import pause_s as pause_after
from pipeline.ledger.deliverystates import become
from pipeline.ledger.deliverytables import DeliveredObject, DeliveryRow, DeliveryState
from pipeline.ledger.ledger import artifacts_of
from pipeline.ledger.tables import Job
from pipeline.study import Artifact

LANES = ("stat", "routine", "batch")
"""Lanes, the most urgent first."""

LANE_STEP = 1_000_000
"""Ranks of a lane: a priority counts within its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SentObject:
    """An artifact that a destination has answered for, as it was sent."""

    relative_path: str
    """Path of the artifact under the job's folder."""

    sha256: str
    """Of the artifact, as the ledger has it."""

    sent_sha256: str
    """Of the file as it was sent."""

    status: str
    """What it was answered with: four hexadecimal digits of DIMSE, or a code of HTTP."""

    sop_class_uid: str | None = None
    """This and the UIDs below as they were sent; None for a file that is no DICOM object."""

    sop_instance_uid: str | None = None
    """SOP Instance UID (0008,0018)."""

    series_instance_uid: str | None = None
    """Series Instance UID (0020,000E)."""

    study_instance_uid: str | None = None
    """Study Instance UID (0020,000D)."""

    is_confirmed: bool = False
    """Whether it is proven to be there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryClaim:
    """A delivery that this process may work at for the time of the lease."""

    id: int
    """The delivery."""

    attempt: int
    """Number of the claim, from 1: the token that ends it or renews the lease."""

    destination: str
    """Name of the destination."""

    job_id: UUID
    """The job whose result it is."""

    folder: Path
    """Folder that the artifacts' paths start from."""

    artifacts: tuple[Artifact, ...]
    """The job's files."""

    sent: tuple[SentObject, ...]
    """What the destination has answered for, of the artifacts as they are now."""

    unproven_s: float | None
    """Time since everything had been sent; None while something is not [s]."""

    is_trial: bool
    """Whether the destination has failed, and this attempt sees whether it answers now."""


def rank_of(lane: str, priority: int) -> int:
    """Return the place in the queue: by the lane, then by the priority; the lower, the sooner."""
    order = LANES.index(lane) if lane in LANES else len(LANES)
    limit = LANE_STEP // 2 - 1
    return order * LANE_STEP - max(-limit, min(priority, limit))


def begin_anew(session: Session, row: DeliveryRow) -> None:
    """Have a delivery wait as if it had never been tried."""
    become(session, row, DeliveryState.WAITING)
    row.failures, row.error, row.reason = 0, None, None


def of_job(job_id: UUID, destination: str) -> Select[DeliveryRow]:
    """Return the query for the delivery of a job to a destination."""
    return select(DeliveryRow).where(
        DeliveryRow.job_id == job_id, DeliveryRow.destination == destination
    )


def held(claim: DeliveryClaim) -> tuple[ColumnElement[bool], ...]:
    """Return what is true of the delivery as long as the claim is its last and holds."""
    return (
        DeliveryRow.id == claim.id,
        DeliveryRow.attempts == claim.attempt,
        DeliveryRow.state == DeliveryState.SENDING,
    )


def locked(session: Session, claim: DeliveryClaim) -> DeliveryRow | None:
    """Return the row of a claim that holds, locked; else None."""
    return session.scalars(select(DeliveryRow).where(*held(claim)).with_for_update()).one_or_none()


def fail(session: Session, row: DeliveryRow, failure: tuple[str, str]) -> None:
    """Count an attempt that failed for a reason that may pass."""
    row.failures += 1
    row.error, row.reason = failure
    session.flush()


def later_s(row: DeliveryRow, settings: Destination) -> float:
    """Return the time before a delivery that failed is tried again, with its random part [s]."""
    return pause_after(row.failures, settings) * RANDOM.uniform(0.5, 1.0)


def claim_of(session: Session, row: DeliveryRow, clock: float, *, is_trial: bool) -> DeliveryClaim:
    """Return a row as a claim."""
    job = session.get_one(Job, row.job_id)
    digests = {each.relative_path: each.sha256 for each in job.artifacts}
    answered = session.scalars(
        select(DeliveredObject).where(DeliveredObject.delivery_id == row.id)
    ).all()
    return DeliveryClaim(
        id=row.id,
        attempt=row.attempts,
        destination=row.destination,
        job_id=row.job_id,
        folder=Path(job.folder or ""),
        artifacts=artifacts_of(job),
        sent=tuple(
            SentObject(**{name: getattr(each, name) for name in SentObject.__slots__})
            for each in answered
            if digests.get(each.relative_path) == each.sha256
        ),
        unproven_s=None if row.sent_s is None else max(clock - row.sent_s, 0.0),
        is_trial=is_trial,
    )
