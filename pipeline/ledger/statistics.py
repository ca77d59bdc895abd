"""What the studies were like: statistics of each job's input and outcome, references, windows.

They hold numbers, names of equipment as the site allows them, digests and times, and no attribute
of a patient. The statistics of a job are recorded in the transaction that completes it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import JSON, DateTime, Float, ForeignKey, Index, String, select
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.reviews import successors
from pipeline.ledger.roles import Role
from pipeline.ledger.tables import Base, Job, Series, Study, now


class StatisticsRow(Base):
    """What the input and the outcome of one job were like."""

    __tablename__ = "statistics"
    __table_args__ = (Index(None, "analysis", "done_at", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), unique=True)
    analysis: Mapped[str] = mapped_column(String(64))
    numbers: Mapped[dict[str, float]] = mapped_column(JSON)
    categories: Mapped[dict[str, str]] = mapped_column(JSON)
    done_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    """When the job was first done, UTC."""


class ReferenceRow(Base):
    """A set of jobs that later ones are compared with; it never changes once it is made."""

    __tablename__ = "drift_references"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    members: Mapped[list[int]] = mapped_column(JSON)
    """Rows of ``statistics``."""
    end_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """Jobs that were done later are compared with it."""
    window: Mapped[int]
    """Studies of a window, or the least of one that is counted in days."""
    days: Mapped[float | None] = mapped_column(Float)
    """Length of a window [d]; None counts studies."""
    false_alarms: Mapped[float] = mapped_column(Float)
    """Probability that a window alarms although nothing has changed."""
    least_effect: Mapped[float] = mapped_column(Float)
    """Smaller changes do not alarm, however certain."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class WindowRow(Base):
    """A window that was compared with a reference: once, and for good."""

    __tablename__ = "drift_windows"
    __table_args__ = (Unique("reference", "analysis", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(ForeignKey("drift_references.name", ondelete="CASCADE"))
    analysis: Mapped[str] = mapped_column(String(64))
    number: Mapped[int]
    """Place among the windows of the analysis, from 1."""
    members: Mapped[list[int]] = mapped_column(JSON)
    """Rows of ``statistics``."""
    first_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    studies: Mapped[int]
    findings: Mapped[list[dict[str, object]]] = mapped_column(JSON)
    """What was found of each statistic, as ``pipeline.drift`` writes it."""
    checked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """What a job's input and outcome are like."""

    numbers: Mapping[str, float]
    """Finite numbers by name, the unit in the name."""

    categories: Mapping[str, str]
    """Names by what they name: ``manufacturer``, ``protocol``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """The statistics of one job, as recorded."""

    row: int
    """The row."""

    study: str
    """Tells its study from others; the series, where there is no study."""

    done_at: datetime
    """When it was first done, UTC."""

    described: Described
    """The statistics."""


def record_within(session: Transaction, job_id: UUID, described: Described) -> None:
    """Record the statistics of a job in a transaction; those of an earlier attempt are replaced.

    Of a shadow's job none are: live's job has described the same series.

    Parameters
    ----------
    session
        The transaction that completes the job.
    job_id
        The job.
    described
        Its statistics.
    """
    role = session.execute(select(Job.role).where(Job.id == job_id)).scalar_one()
    if role != Role.SHADOW:
        _put(session, job_id, described, now())


def record_later(session: Transaction, job_id: UUID, described: Described) -> None:
    """Record the statistics of a job that was done before, at the time it was done."""
    changed_at = session.execute(select(Job.changed_at).where(Job.id == job_id)).scalar_one()
    _put(session, job_id, described, changed_at)


def _put(session: Transaction, job_id: UUID, described: Described, done_at: datetime) -> None:
    """Write the row of a job."""
    row = session.scalars(select(StatisticsRow).where(StatisticsRow.job_id == job_id)).one_or_none()
    if row is None:
        analysis = session.execute(select(Job.analysis).where(Job.id == job_id)).scalar_one()
        row = StatisticsRow(job_id=job_id, analysis=analysis, done_at=done_at)
        session.add(row)
    row.numbers, row.categories = dict(described.numbers), dict(described.categories)


def recorded(
    ledger: Ledger,
    analysis: str | None = None,
    *,
    after: datetime | None = None,
    rows: Collection[int] | None = None,
) -> tuple[Recorded, ...]:
    """Return statistics in the order in which the jobs were done.

    Parameters
    ----------
    ledger
        The ledger.
    analysis
        Only of this analysis.
    after
        Only of jobs that were done later.
    rows
        Only these rows.
    """
    query = (
        select(
            StatisticsRow.id,
            StatisticsRow.done_at,
            StatisticsRow.numbers,
            StatisticsRow.categories,
            Series.id.label("series"),
            Study.study_instance_uid,
        )
        .join(Job, Job.id == StatisticsRow.job_id)
        .join(Series, Series.id == Job.series_id)
        .outerjoin(Study, Study.id == Series.study_id)
        .order_by(StatisticsRow.done_at, StatisticsRow.id)
    )
    if analysis is not None:
        query = query.where(StatisticsRow.analysis == analysis)
    if after is not None:
        query = query.where(StatisticsRow.done_at > after)
    with ledger.reading() as session:
        found = session.execute(query).all()
    return tuple(
        Recorded(
            row=row.id,
            study=row.study_instance_uid or f"series {row.series}",
            done_at=row.done_at.replace(tzinfo=UTC),
            described=Described(numbers=row.numbers, categories=row.categories),
        )
        for row in found
        if rows is None or row.id in rows
    )


def analyses_of(ledger: Ledger, rows: Iterable[int]) -> dict[int, str]:
    """Return the analysis of each row."""
    wanted = set(rows)
    query = select(StatisticsRow.id, StatisticsRow.analysis)
    with ledger.reading() as session:
        return {row: analysis for row, analysis in session.execute(query) if row in wanted}


def without_statistics(ledger: Ledger) -> tuple[UUID, ...]:
    """Return the jobs that are done and have no statistics, in the order they were done.

    The verified result of a job is not counted beside it.
    """
    query = (
        select(Job.id)
        .outerjoin(StatisticsRow, StatisticsRow.job_id == Job.id)
        .where(Job.state == "done", Job.role != Role.SHADOW, StatisticsRow.id.is_(None))
        .where(Job.id.not_in(successors()))
        .order_by(Job.changed_at)
    )
    with ledger.reading() as session:
        return tuple(session.scalars(query))


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What a job that is done was made of, and what came of it."""

    job_id: UUID
    """The job."""

    input_digest: str
    """SHA-256 over the digests of the input files, hexadecimal."""

    files: tuple[Path, ...] | None
    """The input files; None where the ledger has none."""

    outcome: Mapping[str, object]
    """Measurements, uncertainty, notes and timings."""

    bundle: str
    """Name and version of its bundle."""

    software_version: str
    """Version that made it."""


def origin_of(ledger: Ledger, job_id: UUID) -> Origin:
    """Return what a job was made of."""
    query = (
        select(
            Series.input_digest,
            Job.input_root,
            Job.inputs,
            Job.outcome,
            Job.bundle_name,
            Job.bundle_version,
            Job.software_version,
        )
        .join(Series, Series.id == Job.series_id)
        .where(Job.id == job_id)
    )
    with ledger.reading() as session:
        row = session.execute(query).one()
    root = Path(row.input_root or "")
    return Origin(
        job_id=job_id,
        input_digest=row.input_digest,
        files=None if row.inputs is None else tuple(root / name for name in row.inputs),
        outcome=row.outcome or {},
        bundle=f"{row.bundle_name} {row.bundle_version}",
        software_version=row.software_version,
    )
