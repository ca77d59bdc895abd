"""A job of the past, with all that it was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from pipeline.errors import UnusableCall
from pipeline.ledger.exchange import Arrival, InstanceRow
from pipeline.ledger.ledger import JobRecord, Ledger
from pipeline.ledger.tables import Job, Series, Study


@dataclass(frozen=True, kw_only=True, slots=True)
class PastJob:
    """What the ledger holds of a job."""

    job_id: UUID
    """The job."""

    analysis: str
    """Name of the analysis."""

    input_digest: str
    """SHA-256 over the digests of the input files, hexadecimal."""

    files: tuple[Path, ...] | None
    """The input files; None where the ledger has none."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); None where there is none."""

    bundle: str
    """Name and version of the bundle."""

    bundle_digest: str
    """Its digest."""

    configuration: Mapping[str, object] | None
    """All settings that the result depends on; None where the ledger has none."""

    configuration_digest: str
    """Their digest."""

    predecessor: UUID | None
    """Job whose result this one's takes the place of."""

    record: JobRecord
    """How it ended."""


def past_job(ledger: Ledger, job_id: UUID) -> PastJob:
    """Return all that a job was made of.

    Raises
    ------
    UnusableCall
        If there is no such job.
    """
    query = (
        select(
            Job.analysis,
            Series.input_digest,
            Job.input_root,
            Job.inputs,
            Study.study_instance_uid,
            Job.bundle_name,
            Job.bundle_version,
            Job.bundle_digest,
            Job.configuration,
            Job.configuration_digest,
            Job.predecessor_id,
        )
        .join(Series, Series.id == Job.series_id)
        .outerjoin(Study, Study.id == Series.study_id)
        .where(Job.id == job_id)
    )
    with ledger.reading() as session:
        row = session.execute(query).one_or_none()
    record = ledger.find(job_id)
    if row is None or record is None:
        raise UnusableCall(f"no job {job_id}")
    root = Path(row.input_root or "")
    return PastJob(
        job_id=job_id,
        analysis=row.analysis,
        input_digest=row.input_digest,
        files=None if row.inputs is None else tuple(root / name for name in row.inputs),
        study_instance_uid=row.study_instance_uid,
        bundle=f"{row.bundle_name} {row.bundle_version}",
        bundle_digest=row.bundle_digest,
        configuration=row.configuration,
        configuration_digest=row.configuration_digest,
        predecessor=row.predecessor_id,
        record=record,
    )


def received_digests(ledger: Ledger, study_instance_uid: str | None) -> dict[str, str]:
    """Return the SHA-256 of each data set of a study as received, by the name of its file."""
    query = (
        select(InstanceRow.relative_path, InstanceRow.sha256)
        .join(Arrival, Arrival.id == InstanceRow.arrival_id)
        .where(Arrival.study_instance_uid == study_instance_uid)
    )
    with ledger.reading() as session:
        return {Path(path).name: sha256 for path, sha256 in session.execute(query)}
