"""What readers said of results: readings and corrections, which are added and never changed.

The database refuses to change or remove either. Words are what readers type; the page asks them to
name nobody. A correction holds labels, members or phases, and no attribute of a patient: label maps
are written anew from their array before they are kept.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Select,
    String,
    Text,
    Uuid,
    func,
    select,
)
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.errors import UnusableCall
from pipeline.identity import digest_bytes
from pipeline.ledger.ledger import Transaction
from pipeline.ledger.reviewstates import ENDED, Given, ReviewState, Verdict
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import SHA256_LENGTH, Base, Job, now

LONGEST_WORDS = 2000
"""Characters of a reader's words that are kept."""

KINDS = ("segmentation", "members", "phases")
"""Kinds of corrections."""


class CorrectionRow(Base):
    """A correction of a result: a draft until a reading names it."""

    __tablename__ = "review_corrections"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    """Derived from the job, the author and the content."""
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), index=True)
    author: Mapped[str] = mapped_column(String(255))
    """Name of the author's account."""
    display_name: Mapped[str] = mapped_column(String(255))
    """The author's name as results say it."""
    kind: Mapped[str] = mapped_column(String(16))
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    """Of the content."""
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class ReadingRow(Base):
    """What one reader said of one result."""

    __tablename__ = "review_readings"
    __table_args__ = (
        Unique("job_id", "number"),
        Index(None, "successor_job_id"),
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in ReviewState)})", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), index=True)
    number: Mapped[int]
    """Place among the readings of the job, from 1."""
    reviewer: Mapped[str] = mapped_column(String(255))
    """Name of the reader's account."""
    display_name: Mapped[str] = mapped_column(String(255))
    """The reader's name as results say it."""
    verdict: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(64))
    """Code of the reason of a rejection."""
    words: Mapped[str | None] = mapped_column(Text)
    """What the reader adds."""
    correction_id: Mapped[UUID | None] = mapped_column(ForeignKey("review_corrections.id"))
    result_digest: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    """Digest of the files that were judged."""
    state: Mapped[str] = mapped_column(String(16))
    """Where the review stands with this reading."""
    successor_job_id: Mapped[UUID | None] = mapped_column(Uuid)
    """The job of the verified result that this reading led to."""
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """A correction of a result."""

    id: UUID
    """Which one."""

    job_id: UUID
    """The job that it corrects."""

    author: str
    """Name of the author's account."""

    display_name: str
    """The author's name as results say it."""

    kind: str
    """One of ``KINDS``."""

    content: bytes
    """A label map as NIfTI, or JSON."""

    sha256: str
    """Of the content."""

    at: datetime
    """When, UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one reader said of one result."""

    reviewer: str
    """Name of the reader's account."""

    display_name: str
    """The reader's name as results say it."""

    verdict: Verdict
    """What the reader said."""

    reason: str | None
    """Code of the reason of a rejection."""

    words: str | None
    """What the reader added."""

    correction_id: UUID | None
    """The correction with which it is accepted."""

    state: ReviewState
    """Where the review stood with this reading."""

    successor_job_id: UUID | None
    """The job of the verified result that it led to."""

    result_digest: str
    """Digest of the files that were judged."""

    at: datetime
    """When, UTC."""

    def given(self) -> Given:
        """Return what the state follows from."""
        return Given(reviewer=self.reviewer, verdict=self.verdict, correction=self.correction_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where the review of a job stands."""

    state: ReviewState
    """The state."""

    readings: int
    """Readings until now."""


UNREAD = Standing(state=ReviewState.OPEN, readings=0)
"""Of a job that nobody has read."""


def correction_id(job_id: UUID, author: str, kind: str, content: bytes) -> UUID:
    """Return the id of a correction: the same author's same correction has the same."""
    return uuid5(job_id, f"correction\n{author}\n{kind}\n{digest_bytes(content)}")


def keep_correction(session: Transaction, correction: Correction) -> None:
    """Add a correction to a transaction; one that is kept already stays as it is."""
    if session.get(CorrectionRow, correction.id) is None:
        values = {name: getattr(correction, name) for name in Correction.__slots__}
        session.add(CorrectionRow(**values))
        session.flush()


def correction_of(session: Transaction, job_id: UUID, wanted: UUID) -> Correction:
    """Return a correction of a job.

    Raises
    ------
    UnusableCall
        If there is none.
    """
    row = session.get(CorrectionRow, wanted)
    if row is None or row.job_id != job_id:
        raise UnusableCall(f"no correction {wanted} of job {job_id}")
    values = {name: getattr(row, name) for name in Correction.__slots__}
    return Correction(**{**values, "at": row.at.replace(tzinfo=UTC)})


def keep_reading(session: Transaction, job_id: UUID, reading: Reading) -> None:
    """Add a reading to a transaction.

    Lock the job's row first (``locked_readings``): the reading's state must follow from all others.
    """
    count = select(func.count()).where(ReadingRow.job_id == job_id)
    values = {name: getattr(reading, name) for name in Reading.__slots__}
    number = session.execute(count).scalar_one() + 1
    session.add(ReadingRow(job_id=job_id, number=number, **values))
    session.flush()


def locked_readings(session: Transaction, job_id: UUID) -> tuple[Reading, ...]:
    """Return the readings of a job, in order, and keep others from adding one meanwhile.

    Raises
    ------
    UnusableCall
        If there is no such job.
    """
    if session.get(Job, job_id, with_for_update=True) is None:
        raise UnusableCall(f"no job {job_id}")
    return readings_of(session, job_id)


def readings_of(session: Transaction, job_id: UUID) -> tuple[Reading, ...]:
    """Return the readings of a job, in order."""
    rows = session.scalars(
        select(ReadingRow).where(ReadingRow.job_id == job_id).order_by(ReadingRow.number)
    )
    return tuple(_reading(row) for row in rows)


def last_readings() -> Select[UUID, str, int]:
    """Return the query for the last reading of each job: its id, state and number.

    A job without a row is open. To be joined with other queries as a subquery.
    """
    last = (
        select(ReadingRow.job_id, func.max(ReadingRow.number).label("number"))
        .group_by(ReadingRow.job_id)
        .subquery()
    )
    return select(ReadingRow.job_id, ReadingRow.state, ReadingRow.number).join(
        last, (last.c.job_id == ReadingRow.job_id) & (last.c.number == ReadingRow.number)
    )


def standings(
    session: Transaction, job_ids: Collection[UUID] | None = None
) -> Mapping[UUID, Standing]:
    """Return where the reviews of jobs stand; a job that nobody has read is not in it."""
    query = last_readings()
    if job_ids is not None:
        query = query.where(ReadingRow.job_id.in_(job_ids))
    return {
        row.job_id: Standing(state=ReviewState(row.state), readings=row.number)
        for row in session.execute(query)
    }


def ended(session: Transaction) -> Mapping[UUID, Reading]:
    """Return the reading that ended the review of each job whose review has ended."""
    rows = session.scalars(
        select(ReadingRow).where(ReadingRow.state.in_([state.value for state in ENDED]))
    )
    return {row.job_id: _reading(row) for row in rows}


def successors() -> Select[UUID | None]:
    """Return the query for the jobs of verified results: nobody reads them again."""
    return select(ReadingRow.successor_job_id).where(ReadingRow.successor_job_id.is_not(None))


def verified_or_replaced(session: Transaction, job_id: UUID) -> tuple[bool, UUID | None]:
    """Tell whether a job is a verified result, and which later result takes the place of its own.

    Its own verified result does not count.
    """
    made = session.scalars(successors().where(ReadingRow.successor_job_id == job_id)).first()
    later = session.scalars(
        select(Job.id).where(
            Job.predecessor_id == job_id,
            Job.state == JobState.DONE,
            Job.id.not_in(successors()),
        )
    ).first()
    return made is not None, later


def _reading(row: ReadingRow) -> Reading:
    """Return a row as a record."""
    return Reading(
        reviewer=row.reviewer,
        display_name=row.display_name,
        verdict=Verdict(row.verdict),
        reason=row.reason,
        words=row.words,
        correction_id=row.correction_id,
        state=ReviewState(row.state),
        successor_job_id=row.successor_job_id,
        result_digest=row.result_digest,
        # SQLite keeps no zone; all times are UTC.
        at=row.at.replace(tzinfo=UTC),
    )
