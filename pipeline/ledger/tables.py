"""The ledger's tables.

They hold UIDs, digests, states and measurements, and no attribute of a patient. The only free text
is the reason of a failure, which may name input files as they were given.
"""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Float,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    Uuid,
    false,
)
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from pipeline.ledger.states import JobState

UID_LENGTH = 64
"""Longest UID, PS3.5, 9.1."""

SHA256_LENGTH = 64
"""Hexadecimal digits of a SHA-256."""

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""How constraints are named, so that a migration can name them on every database."""


def now() -> datetime:
    """Return the time for a record, UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Base of the tables."""

    metadata = MetaData(naming_convention=NAMES)


class Study(Base):
    """A study that an input series belongs to."""

    __tablename__ = "studies"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(String(UID_LENGTH), unique=True)
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class Series(Base):
    """A set of input files that is analysed as one; the same files are the same row."""

    __tablename__ = "series"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int | None] = mapped_column(ForeignKey("studies.id"), index=True)
    """None for NIfTI, which has no study."""
    input_digest: Mapped[str] = mapped_column(String(SHA256_LENGTH), unique=True)
    series_instance_uids: Mapped[list[str]] = mapped_column(JSON)
    """More than one where a scanner writes a series a slice."""
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class Job(Base):
    """One analysis of one series by one bundle under one configuration."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in JobState)})", name="state"),
        Index(None, "state", "lease_until"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    """The derived job id."""
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"), index=True)
    analysis: Mapped[str] = mapped_column(String(64))
    bundle_name: Mapped[str] = mapped_column(String(255))
    bundle_version: Mapped[str] = mapped_column(String(64))
    bundle_digest: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    configuration_digest: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    software_version: Mapped[str] = mapped_column(String(64))
    """Version that made the last attempt."""
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    """Counted before the work, so that an attempt that kills its process counts."""
    error: Mapped[str | None] = mapped_column(String(128))
    """Class of the failure of the last attempt."""
    reason: Mapped[str | None] = mapped_column(Text)
    """Its message: UIDs, tags, numbers and names of files, as every message of the pipeline."""
    folder: Mapped[str | None] = mapped_column(Text)
    """Absolute path that the artifacts' paths start from."""
    outcome: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))
    """Measurements, uncertainty, notes and timings, as in the manifest."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)

    lane: Mapped[str] = mapped_column(String(16), server_default="routine")
    """The queue that it waits in."""
    priority: Mapped[int] = mapped_column(server_default="0")
    """The higher, the sooner within its lane."""
    attempts_allowed: Mapped[int] = mapped_column(server_default="3")
    """Attempts after which it is quarantined, counted like ``attempts``."""
    not_before: Mapped[float | None] = mapped_column(Float)
    """Ledger's time before which it is not claimed [s]."""
    owner: Mapped[str | None] = mapped_column(String(255))
    """The process that has claimed it; None for a run without the service."""
    lease_until: Mapped[float | None] = mapped_column(Float)
    """Ledger's time until which the claim holds unless it is renewed [s]."""
    cancel_requested: Mapped[bool] = mapped_column(server_default=false())
    """Whether the attempt that runs shall end."""
    input_root: Mapped[str | None] = mapped_column(Text)
    """Absolute path that the inputs' paths start from."""
    inputs: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    """The files that the series consists of; None for a job of a version that kept none."""
    configuration: Mapped[dict[str, object] | None] = mapped_column(
        JSON(none_as_null=True), deferred=True
    )
    """All settings that the result depends on."""
    output: Mapped[str | None] = mapped_column(Text)
    """Absolute path of the folder that the job's folder is made in; None for a run without the
    service."""
    routing: Mapped[dict[str, object] | None] = mapped_column(
        JSON(none_as_null=True), deferred=True
    )
    """What the site's rules decided, and why; None where the call decided."""
    predecessor_id: Mapped[UUID | None] = mapped_column(Uuid)
    """The job whose result this one's takes the place of; None for a first one."""
    role: Mapped[str] = mapped_column(String(16), server_default="live")
    """What its bundle was when it was submitted: ``live``, ``canary`` or ``shadow``."""

    artifacts: Mapped[list["ArtifactRow"]] = relationship(
        cascade="all, delete-orphan", order_by="ArtifactRow.id", lazy="selectin"
    )


class ArtifactRow(Base):
    """A file that a job wrote."""

    __tablename__ = "artifacts"
    __table_args__ = (Unique("job_id", "relative_path"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(64))
    relative_path: Mapped[str] = mapped_column(Text)
    """Path under the job's folder, with forward slashes."""
    sop_instance_uid: Mapped[str | None] = mapped_column(String(UID_LENGTH), index=True)
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))


class Bell(Base):
    """The outbox: a job that waits, and when its worker is to be called, or called again.

    A row exists from the transaction in which a job begins to wait to the one in which it is
    claimed. Whatever happens to the calls, the row stays.
    """

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "lane", "rung", "rank", "due"),)

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    lane: Mapped[str] = mapped_column(String(16))
    rank: Mapped[int]
    """The lower, the sooner: the job's priority with its sign changed."""
    due: Mapped[float] = mapped_column(Float)
    """Ledger's time from which it is to be called [s]."""
    rung: Mapped[int]
    """How often it was called."""


class EventRow(Base):
    """Something that happened to a job."""

    __tablename__ = "job_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    event: Mapped[str] = mapped_column(String(32))
    attempt: Mapped[int]
    """Attempts that were begun by then."""
    owner: Mapped[str | None] = mapped_column(String(255))
    detail: Mapped[str | None] = mapped_column(Text)
    """What a reader should know: UIDs, numbers and names of files."""


class Clock(Base):
    """When the clock of a SQLite ledger began to count; one row."""

    __tablename__ = "clock"

    id: Mapped[int] = mapped_column(primary_key=True)
    boot_id: Mapped[str] = mapped_column(String(64))
    start_s: Mapped[float] = mapped_column(Float)
