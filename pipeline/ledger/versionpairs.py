"""What the ledger has of two versions: series that both have done, and inputs of studies."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from pipeline.errors import UnusableCall
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import ENDED, JobState
from pipeline.ledger.tables import Job, Series, Study


@dataclass(frozen=True, kw_only=True, slots=True)
class PastResult:
    """How one version's job ended."""

    job_id: UUID
    """The job."""

    failure: str | None
    """Why it has no result; None if it has one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobPair:
    """A series that two versions have done under the same settings."""

    input_digest: str
    """SHA-256 over the digests of the input files, hexadecimal."""

    files: tuple[Path, ...]
    """The input files."""

    first: PastResult
    """The first version's."""

    second: PastResult
    """The second version's."""


def job_pairs(ledger: Ledger, analysis: str, digests: tuple[str, str]) -> tuple[JobPair, ...]:
    """Return the series that both versions have done, in the order of the jobs.

    Parameters
    ----------
    ledger
        The ledger.
    analysis
        Name of the analysis.
    digests
        Digests of the two bundles. A job of which there is none of the other version, or none under
        the same settings, has no pair.
    """
    query = (
        select(Job, Job.inputs, Series.input_digest)
        .join(Series, Series.id == Job.series_id)
        .where(
            Job.analysis == analysis,
            Job.bundle_digest.in_(digests),
            Job.state.in_([state for state in ENDED if state is not JobState.CANCELLED]),
        )
        .order_by(Job.created_at, Job.id)
    )
    # Of several jobs of a version on a series, as revisions make them, the last counts.
    found: dict[tuple[str, str], dict[str, tuple[PastResult, tuple[Path, ...]]]] = {}
    with ledger.reading() as session:
        for job, inputs, input_digest in session.execute(query):
            of = found.setdefault((input_digest, job.configuration_digest), {})
            root = Path(job.input_root or "")
            of[job.bundle_digest] = _result(job), tuple(root / name for name in inputs or ())
    first, second = digests
    return tuple(
        JobPair(
            input_digest=input_digest,
            files=of[first][1],
            first=of[first][0],
            second=of[second][0],
        )
        for (input_digest, _), of in found.items()
        if first in of and second in of
    )


def inputs_of(ledger: Ledger, analysis: str, studies: Collection[str]) -> tuple[Path, ...]:
    """Return the input files of some studies' jobs of an analysis.

    Raises
    ------
    UnusableCall
        If a study has no job of it.
    """
    query = (
        select(Study.study_instance_uid, Job.input_root, Job.inputs)
        .join(Series, Series.study_id == Study.id)
        .join(Job, Job.series_id == Series.id)
        .where(
            Study.study_instance_uid.in_(studies),
            Job.analysis == analysis,
            Job.inputs.is_not(None),
        )
    )
    with ledger.reading() as session:
        rows = session.execute(query).all()
    missing = set(studies) - {row.study_instance_uid for row in rows}
    if missing:
        raise UnusableCall(
            f"{len(missing)} of {len(set(studies))} studies have no job of {analysis} in the "
            f"ledger, such as {min(missing)}"
        )
    return tuple(
        dict.fromkeys(Path(row.input_root or "") / name for row in rows for name in row.inputs)
    )


def _result(job: Job) -> PastResult:
    """Return how a job ended."""
    failed = None if job.state == JobState.DONE else f"{job.error or job.state}: {job.reason or ''}"
    return PastResult(job_id=job.id, failure=failed)
