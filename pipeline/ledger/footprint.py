"""Everything that the ledger knows of a study: rows, files, and where copies were sent."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select

from pipeline.ledger.batchtables import BatchRow, BatchStudyRow
from pipeline.ledger.deliverytables import DeliveredObject, DeliveryRow, WorkitemRow
from pipeline.ledger.exchange import Arrival, InstanceRow, Suspect
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.lineage import jobs_of
from pipeline.ledger.reviews import CorrectionRow, ReadingRow
from pipeline.ledger.statistics import StatisticsRow
from pipeline.ledger.tables import ArtifactRow, EventRow, Job, Series, Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """What is kept of a study."""

    study_instance_uid: str
    """Study Instance UID (0020,000D)."""

    job_ids: tuple[str, ...]
    """Its jobs."""

    instances: tuple[tuple[str, str], ...]
    """Path under the inbox and SHA-256 of the data set of each instance that was received."""

    suspects: tuple[tuple[str, str], ...]
    """The same of each data set that was set aside."""

    results: tuple[tuple[str, str], ...]
    """Absolute path of each job's folder, and the job."""

    artifacts: tuple[tuple[str, str], ...]
    """Absolute path and SHA-256 of each file of the jobs."""

    outputs: tuple[str, ...]
    """Absolute paths of the folders that the jobs' folders are, or would be, made in."""

    inputs: tuple[str, ...]
    """Digests of the inputs of its series."""

    given: tuple[tuple[str, int], ...]
    """Folder of the inputs of each job, and how many there are."""

    batches: tuple[tuple[str, int], ...]
    """Folder of each batch with the study, and the study's number in it."""

    sent: tuple[dict[str, object], ...]
    """Where copies were sent: destination, state, objects, time."""

    rows: Mapping[str, int]
    """How many rows each table has of it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of the study."""
        return not any(self.rows.values())

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Footprint":
        """Return it from JSON values."""
        named: dict[str, Any] = {
            name: tuple(_frozen(each) for each in values[name])
            for name in cls.__slots__
            if name not in ("study_instance_uid", "rows")
        }
        return cls(study_instance_uid=values["study_instance_uid"], rows=values["rows"], **named)


def footprint_of(session: Transaction, study_instance_uid: str) -> Footprint:
    """Return what is kept of a study.

    Parameters
    ----------
    session
        The transaction.
    study_instance_uid
        The study.
    """
    job_ids = jobs_of(session, study_instance_uid)
    jobs = session.scalars(select(Job).where(Job.id.in_(job_ids)).order_by(Job.created_at)).all()
    arrivals = select(Arrival.id).where(Arrival.study_instance_uid == study_instance_uid)
    received = session.execute(
        select(InstanceRow.relative_path, InstanceRow.sha256)
        .where(InstanceRow.arrival_id.in_(arrivals))
        .order_by(InstanceRow.id)
    )
    set_aside = session.execute(
        select(Suspect.relative_path, Suspect.sha256).where(
            Suspect.study_instance_uid == study_instance_uid
        )
    )
    batches = session.execute(
        select(BatchRow.output, BatchRow.name, BatchStudyRow.number)
        .join(BatchRow, BatchRow.name == BatchStudyRow.batch)
        .where(BatchStudyRow.study_instance_uid == study_instance_uid)
    )
    inputs = session.scalars(
        select(Series.input_digest)
        .join(Study, Study.id == Series.study_id)
        .where(Study.study_instance_uid == study_instance_uid)
    )
    return Footprint(
        study_instance_uid=study_instance_uid,
        job_ids=tuple(str(job.id) for job in jobs),
        instances=tuple((row.relative_path, row.sha256) for row in received),
        suspects=tuple((row.relative_path, row.sha256) for row in set_aside),
        results=tuple((job.folder, str(job.id)) for job in jobs if job.folder),
        artifacts=tuple(
            (str(Path(job.folder) / each.relative_path), each.sha256)
            for job in jobs
            if job.folder
            for each in job.artifacts
        ),
        outputs=tuple(dict.fromkeys(_output(job) for job in jobs if job.output or job.folder)),
        inputs=tuple(inputs),
        given=tuple((job.input_root, len(job.inputs or ())) for job in jobs if job.input_root),
        batches=tuple((str(Path(row.output) / f"batch-{row.name}"), row.number) for row in batches),
        sent=_sent(session, job_ids),
        rows=_rows(session, study_instance_uid, job_ids),
    )


def studies_known(ledger: Ledger) -> tuple[str, ...]:
    """Return all studies that the ledger names, by their UIDs."""
    with ledger.reading() as session:
        found = {
            *session.scalars(select(Study.study_instance_uid)),
            *session.scalars(select(Arrival.study_instance_uid)),
            *session.scalars(select(Suspect.study_instance_uid)),
            *session.scalars(select(WorkitemRow.study_instance_uid)),
            *session.scalars(select(BatchStudyRow.study_instance_uid)),
        }
    return tuple(sorted(uid for uid in found if uid))


def _output(job: Job) -> str:
    """Return the folder that a job's folder is made in."""
    return job.output or str(Path(job.folder or "").parent)


def _sent(session: Transaction, job_ids: Sequence[UUID]) -> tuple[dict[str, object], ...]:
    """Return where results of jobs were sent."""
    query = (
        select(
            DeliveryRow.destination,
            DeliveryRow.state,
            func.count().label("objects"),
            func.max(DeliveredObject.at).label("at"),
        )
        .join(DeliveredObject, DeliveredObject.delivery_id == DeliveryRow.id)
        .where(DeliveryRow.job_id.in_(job_ids))
        .group_by(DeliveryRow.id, DeliveryRow.destination, DeliveryRow.state)
        .order_by(DeliveryRow.id)
    )
    return tuple(
        {
            "destination": row.destination,
            "state": row.state,
            "objects": row.objects,
            # SQLite keeps no zone; all times are UTC.
            "last_at": row.at.replace(tzinfo=UTC).isoformat(),
        }
        for row in session.execute(query)
    )


def _rows(session: Transaction, study_instance_uid: str, job_ids: Sequence[UUID]) -> dict[str, int]:
    """Return how many rows each table has of a study."""
    uid = study_instance_uid
    studies = select(Study.id).where(Study.study_instance_uid == uid)
    arrivals = select(Arrival.id).where(Arrival.study_instance_uid == uid)
    deliveries = select(DeliveryRow.id).where(DeliveryRow.job_id.in_(job_ids))
    wanted = {
        "studies": Study.study_instance_uid == uid,
        "series": Series.study_id.in_(studies),
        "jobs": Job.id.in_(job_ids),
        "artifacts": ArtifactRow.job_id.in_(job_ids),
        "job_events": EventRow.job_id.in_(job_ids),
        "arrivals": Arrival.study_instance_uid == uid,
        "instances": InstanceRow.arrival_id.in_(arrivals),
        "suspects": Suspect.study_instance_uid == uid,
        "deliveries": DeliveryRow.job_id.in_(job_ids),
        "delivered_objects": DeliveredObject.delivery_id.in_(deliveries),
        "workitems": WorkitemRow.study_instance_uid == uid,
        "batch_studies": BatchStudyRow.study_instance_uid == uid,
        "statistics": StatisticsRow.job_id.in_(job_ids),
        "review_readings": ReadingRow.job_id.in_(job_ids),
        "review_corrections": CorrectionRow.job_id.in_(job_ids),
    }
    return {
        name: session.scalar(select(func.count()).where(or_(condition))) or 0
        for name, condition in wanted.items()
    }


def _frozen(value: object) -> object:
    """Return a list of JSON as a tuple."""
    return tuple(value) if isinstance(value, list) else value
