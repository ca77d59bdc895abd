"""What earlier jobs have taken, and what came of a batch: the figures of plan and tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import select, tuple_

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import ArtifactRow, Job, Series, Study

MEASURED = 200
"""Jobs that a rate is the mean of, the latest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """A job that is done."""

    seconds: float
    """Time of its stages, from reading the files to recording the result [s]."""

    folder: Path | None
    """Folder of its files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A job of a batch, as its tables tell it."""

    job_id: UUID
    """The job."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); None for files that have no study."""

    series_instance_uids: tuple[str, ...]
    """Series Instance UIDs (0020,000E)."""

    input_digest: str
    """SHA-256 over its input, hexadecimal."""

    analysis: str
    """Name of the analysis."""

    bundle: tuple[str, str, str]
    """Name, version and digest of the bundle."""

    configuration_digest: str
    """SHA-256 over its settings, hexadecimal."""

    software_version: str
    """Version that made it."""

    state: JobState
    """Where it stands."""

    attempts: int
    """Attempts that were begun."""

    failure: tuple[str, str] | None
    """Class and message of what ended its last attempt."""

    outcome: Mapping[str, object]
    """Measurements, uncertainty, notes and timings."""

    folder: Path | None
    """Folder of its files."""

    dicom: str | None
    """Path under the folder of one of its DICOM objects; None where it has none."""

    changed_at: datetime
    """When it last changed, UTC."""


def past_jobs(ledger: Ledger, analysis: str, bundle_digest: str) -> list[Past]:
    """Return the latest jobs of an analysis and a bundle that are done and tell their times."""
    query = (
        select(Job.outcome, Job.folder, Job.input_root)
        .where(
            Job.analysis == analysis,
            Job.bundle_digest == bundle_digest,
            Job.state == JobState.DONE,
        )
        .order_by(Job.changed_at.desc())
        .limit(MEASURED)
    )
    with ledger.reading() as session:
        rows = session.execute(query).all()
    found = []
    for row in rows:
        timings = timings_of(row.outcome or {})
        if row.input_root is None:
            # A run without the service has read all its inputs before the first job.
            timings.pop("ingest", None)
        seconds = sum(timings.values())
        if seconds > 0:
            folder = None if row.folder is None else Path(row.folder)
            found.append(Past(seconds=seconds, folder=folder))
    return found


def timings_of(outcome: Mapping[str, object]) -> dict[str, float]:
    """Return the times of a result's stages [s]."""
    timings = outcome.get("timings")
    if not isinstance(timings, Mapping):
        return {}
    return {str(k): float(v) for k, v in timings.items() if isinstance(v, int | float)}


def done_of_study(
    ledger: Ledger, study_instance_uid: str, wanted: Sequence[tuple[str, str, str]]
) -> tuple[UUID, ...]:
    """Return the jobs of a study that are done by some analyses, bundles and configurations.

    Parameters
    ----------
    ledger
        The ledger.
    study_instance_uid
        The study.
    wanted
        Name of the analysis, digest of the bundle, digest of the configuration.
    """
    key = tuple_(Job.analysis, Job.bundle_digest, Job.configuration_digest)
    query = (
        select(Job.id)
        .join(Series, Series.id == Job.series_id)
        .join(Study, Study.id == Series.study_id)
        .where(Study.study_instance_uid == study_instance_uid, Job.state == JobState.DONE)
        .where(key.in_(wanted))
    )
    with ledger.reading() as session:
        return tuple(session.scalars(query))


def results_of(ledger: Ledger, job_ids: Collection[UUID]) -> dict[UUID, Result]:
    """Return some jobs as tables tell them."""
    query = (
        select(Job, Study.study_instance_uid, Series.series_instance_uids, Series.input_digest)
        .join(Series, Series.id == Job.series_id)
        .outerjoin(Study, Study.id == Series.study_id)
        .where(Job.id.in_(job_ids))
    )
    dicom = select(ArtifactRow.job_id, ArtifactRow.relative_path).where(
        ArtifactRow.job_id.in_(job_ids), ArtifactRow.sop_instance_uid.is_not(None)
    )
    with ledger.reading() as session:
        paths = {row.job_id: row.relative_path for row in session.execute(dicom)}
        return {
            row.Job.id: _result(row.Job, (row[1], row[2], row[3]), paths.get(row.Job.id))
            for row in session.execute(query)
        }


def _result(job: Job, series: tuple[str | None, list[str], str], dicom: str | None) -> Result:
    """Return a row as a result."""
    return Result(
        job_id=job.id,
        study_instance_uid=series[0],
        series_instance_uids=tuple(series[1]),
        input_digest=series[2],
        analysis=job.analysis,
        bundle=(job.bundle_name, job.bundle_version, job.bundle_digest),
        configuration_digest=job.configuration_digest,
        software_version=job.software_version,
        state=JobState(job.state),
        attempts=job.attempts,
        failure=None if job.error is None else (job.error, job.reason or ""),
        outcome=job.outcome or {},
        folder=None if job.folder is None else Path(job.folder),
        dicom=dicom,
        changed_at=job.changed_at.replace(tzinfo=UTC),
    )
