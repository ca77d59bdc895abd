"""The verified result of a job: a job of its own, done at once, whose predecessor is the one read.

It is recorded with the reading that leads to it, in one transaction, with its deliveries. What a
destination has answered for of the job before, it is not sent again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from pipeline import __version__
from pipeline.identity import JobIdentity, digest_settings
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.deliveryrows import of_job
from pipeline.ledger.deliverystates import become
from pipeline.ledger.deliverytables import DeliveredObject, DeliveryRow, DeliveryState
from pipeline.ledger.events import Event, record
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.pastjobs import PastJob
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import ArtifactRow, Job, now
from pipeline.study import Artifact

REVIEW = "review"
"""Key of the configuration of a job that readers made: what they said."""

WITHDRAWN = (DeliveryState.WAITING, DeliveryState.CONFIRMING, DeliveryState.HELD)
"""States of deliveries that end when a result is rejected; one that is being sent goes on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Successor:
    """A verified result."""

    identity: JobIdentity
    """What it derives from: the job before, and what was said of it."""

    configuration: Mapping[str, object]
    """What was said, as its configuration digest is of."""

    folder: Path
    """Folder that the artifacts' paths start from."""

    artifacts: tuple[Artifact, ...]
    """Its files."""

    outcome: Mapping[str, object]
    """Measurements, uncertainty and notes."""


def succession(past: PastJob, said: Mapping[str, object]) -> JobIdentity:
    """Return the identity of the job that takes the place of another by what was said of it."""
    return JobIdentity(
        input_digest=past.input_digest,
        analysis=past.analysis,
        bundle_digest=past.bundle_digest,
        configuration_digest=digest_settings(said),
        predecessor=past.job_id,
    )


def add_successor(session: Transaction, predecessor: UUID, successor: Successor) -> None:
    """Add the job of a verified result to a transaction, done."""
    before = session.get_one(Job, predecessor)
    job_id = successor.identity.job_id
    session.add(
        Job(
            id=job_id,
            series_id=before.series_id,
            analysis=before.analysis,
            bundle_name=before.bundle_name,
            bundle_version=before.bundle_version,
            bundle_digest=before.bundle_digest,
            configuration_digest=successor.identity.configuration_digest,
            software_version=__version__,
            state=JobState.DONE,
            attempts=1,
            attempts_allowed=1,
            folder=str(successor.folder.absolute()),
            outcome=dict(successor.outcome),
            lane=before.lane,
            priority=before.priority,
            configuration=dict(successor.configuration),
            routing=before.routing,
            predecessor_id=predecessor,
            artifacts=[
                ArtifactRow(**{name: getattr(each, name) for name in Artifact.__slots__})
                for each in successor.artifacts
            ],
        )
    )
    session.flush()
    record(session, job_id, (Event.DONE, 1), detail=f"made of job {predecessor} by a review")


def deliver_successor(
    session: Transaction, ledger: Ledger, jobs: tuple[UUID, UUID], names: Mapping[str, bool]
) -> None:
    """Have a verified result delivered.

    Parameters
    ----------
    session
        The transaction.
    ledger
        Its ledger.
    jobs
        The job that was read, and its successor.
    names
        Where it goes, and whether what is there by the same name is left out: an archive has an
        object once, a folder has a place for each job.
    """
    before, after = jobs
    Deliveries(ledger).add_within(session, after, list(names))
    for name, has_once in names.items():
        if has_once:
            _inherit(session, before, after, name)


def withdraw(session: Transaction, job_id: UUID) -> int:
    """End the deliveries of a result that have not gone; return how many."""
    rows: Sequence[DeliveryRow] = session.scalars(
        select(DeliveryRow)
        .where(DeliveryRow.job_id == job_id, DeliveryRow.state.in_(WITHDRAWN))
        .with_for_update()
    ).all()
    for row in rows:
        become(session, row, DeliveryState.CANCELLED)
        row.reason = "the result was rejected"
    return len(rows)


def _inherit(session: Transaction, before: UUID, after: UUID, destination: str) -> None:
    """Take over what a destination has answered for of the job before, if the bytes are the same.

    An object has the same SOP Instance UID in both.
    """
    old = session.scalars(of_job(before, destination)).one_or_none()
    new = session.scalars(of_job(after, destination)).one()
    if old is None:
        return
    kept = {a.relative_path: a.sha256 for a in session.get_one(Job, after).artifacts}
    answered = select(DeliveredObject).where(DeliveredObject.delivery_id == old.id)
    for each in session.scalars(answered).all():
        if kept.get(each.relative_path) == each.sha256:
            columns = [c.name for c in DeliveredObject.__table__.columns]
            values = {name: getattr(each, name) for name in columns}
            session.merge(DeliveredObject(**{**values, "delivery_id": new.id, "at": now()}))
