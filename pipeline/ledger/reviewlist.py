"""What the review page's worklist takes from the ledger."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import undefer

from pipeline.ledger.deliverytables import DeliveryRow
from pipeline.ledger.ledger import Ledger, Transaction, artifacts_of
from pipeline.ledger.reviews import ReadingRow, successors
from pipeline.ledger.roles import Role
from pipeline.ledger.states import JobState
from pipeline.ledger.statistics import StatisticsRow
from pipeline.ledger.tables import EventRow, Job, Series, Study
from pipeline.study import Artifact

AT_A_TIME = 500
"""Jobs of one query."""

Marks = tuple[object, ...]
"""Whatever changes with what the worklist shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultJob:
    """A job that has a result."""

    job_id: UUID
    """The job."""

    analysis: str
    """Name of the analysis."""

    bundle: tuple[str, str, str]
    """Name, version and digest of the bundle."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); None where there is none."""

    series_instance_uids: tuple[str, ...]
    """Series Instance UIDs (0020,000E) of the input."""

    input_digest: str
    """SHA-256 over the digests of the input files, hexadecimal."""

    lane: str
    """The queue that it waited in."""

    priority: int
    """The higher, the sooner within its lane."""

    done_at: datetime
    """When it changed last, UTC."""

    folder: Path | None
    """Folder that the artifacts' paths start from."""

    inputs: tuple[Path, ...]
    """The input files; none where the ledger does not have them."""

    configuration: Mapping[str, object]
    """Its settings; none where the ledger does not have them."""

    outcome: Mapping[str, object]
    """Measurements, uncertainty, notes and timings, as in the manifest."""

    categories: Mapping[str, str]
    """Names of the scanner, as far as the site keeps them."""

    artifacts: tuple[Artifact, ...]
    """The files; paths under ``folder``."""

    predecessor: UUID | None
    """Job whose result this one's takes the place of."""

    def artifact(self, path: str) -> Artifact | None:
        """Return the artifact of a path under the job's folder; None if there is none."""
        return next((a for a in self.artifacts if a.relative_path == path), None)


def marks(ledger: Ledger) -> Marks:
    """Return what changes with every change that the worklist shows."""
    queries = (
        # Not the jobs themselves: each is read whole, with its outcome, to find when it changed.
        select(func.max(EventRow.id)),
        select(func.count(), func.max(DeliveryRow.changed_at)),
        select(func.count(), func.max(ReadingRow.id)),
    )
    with ledger.reading() as session:
        return tuple(value for query in queries for value in session.execute(query).one())


def listed(session: Transaction) -> dict[UUID, datetime]:
    """Return the jobs whose results are to be read, each with its last change.

    Neither results that another one has taken the place of, nor verified results of a review, nor
    those of shadows.
    """
    later = select(Job.predecessor_id).where(
        Job.predecessor_id.is_not(None),
        Job.state == JobState.DONE,
        Job.id.not_in(successors()),
    )
    query = select(Job.id, Job.changed_at).where(
        Job.state == JobState.DONE,
        Job.role != Role.SHADOW,
        Job.id.not_in(successors()),
        Job.id.not_in(later),
    )
    return {row.id: row.changed_at.replace(tzinfo=UTC) for row in session.execute(query)}


def delivery_states(session: Transaction) -> dict[UUID, tuple[tuple[str, str], ...]]:
    """Return where each job's result goes, and how that stands: name and state."""
    query = select(DeliveryRow.job_id, DeliveryRow.destination, DeliveryRow.state).order_by(
        DeliveryRow.destination
    )
    found: dict[UUID, tuple[tuple[str, str], ...]] = {}
    for job_id, destination, state in session.execute(query):
        found[job_id] = (*found.get(job_id, ()), (destination, state))
    return found


def result_jobs(ledger: Ledger, wanted: Collection[UUID]) -> Iterator[ResultJob]:
    """Yield jobs that have a result, in no order; those that have none are left out."""
    ids = list(wanted)
    for start in range(0, len(ids), AT_A_TIME):
        query = _results().where(Job.id.in_(ids[start : start + AT_A_TIME]))
        with ledger.reading() as session:
            found = [_result(job, rest) for job, *rest in session.execute(query)]
        yield from found


def result_job(ledger: Ledger, job_id: UUID) -> ResultJob | None:
    """Return a job that has a result; None if it has none.

    What a reader made of a result has that one's input.
    """
    found = before = next(iter(result_jobs(ledger, [job_id])), None)
    while before is not None and not before.inputs and before.predecessor is not None:
        before = next(iter(result_jobs(ledger, [before.predecessor])), None)
    return found if found is None or before is None else replace(found, inputs=before.inputs)


def jobs_of_study(ledger: Ledger, study_instance_uid: str) -> tuple[ResultJob, ...]:
    """Return the jobs of a study that have a result, the earliest first."""
    query = _results().where(Study.study_instance_uid == study_instance_uid)
    with ledger.reading() as session:
        found = session.execute(query.order_by(Job.created_at, Job.id))
        return tuple(_result(job, rest) for job, *rest in found)


def successors_of(ledger: Ledger, job_id: UUID) -> tuple[UUID, ...]:
    """Return the jobs whose results take the place of a job's, the earliest first."""
    query = select(Job.id).where(Job.predecessor_id == job_id, Job.state == JobState.DONE)
    with ledger.reading() as session:
        return tuple(session.scalars(query.order_by(Job.created_at)))


def _results() -> Select[Job, str | None, list[str], str, dict[str, str] | None]:
    """Return the query for jobs that have a result."""
    return (
        select(
            Job,
            Study.study_instance_uid,
            Series.series_instance_uids,
            Series.input_digest,
            StatisticsRow.categories,
        )
        .join(Series, Series.id == Job.series_id)
        .outerjoin(Study, Study.id == Series.study_id)
        .outerjoin(StatisticsRow, StatisticsRow.job_id == Job.id)
        .where(Job.state == JobState.DONE, Job.role != Role.SHADOW)
        .options(undefer(Job.inputs), undefer(Job.configuration))
    )


def _result(job: Job, rest: Sequence[object]) -> ResultJob:
    """Return a row as a record."""
    study, series, digest, categories = rest
    root = Path(job.input_root or "")
    return ResultJob(
        job_id=job.id,
        analysis=job.analysis,
        bundle=(job.bundle_name, job.bundle_version, job.bundle_digest),
        study_instance_uid=None if study is None else str(study),
        series_instance_uids=tuple(series) if isinstance(series, list) else (),
        input_digest=str(digest),
        lane=job.lane,
        priority=job.priority,
        done_at=job.changed_at.replace(tzinfo=UTC),
        folder=None if job.folder is None else Path(job.folder),
        inputs=tuple(root / name for name in job.inputs or ()),
        configuration=job.configuration or {},
        outcome=job.outcome or {},
        categories=categories if isinstance(categories, dict) else {},
        artifacts=artifacts_of(job),
        predecessor=job.predecessor_id,
    )
