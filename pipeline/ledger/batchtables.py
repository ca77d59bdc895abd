"""The tables of batch runs, the states of a study in one, and how it goes from one to another.

They hold UIDs, paths as they were given, states and times, and no attribute of a patient: an
accession number that a study was looked up by is not kept.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    String,
    Text,
    false,
)
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.ledger.tables import UID_LENGTH, Base, now


class StudyState(StrEnum):
    """Where a study of a batch stands."""

    WAITING = "waiting"
    """Nothing was done for it yet."""

    FETCHING = "fetching"
    """It is fetched, or read."""

    SUBMITTED = "submitted"
    """Its jobs wait or run."""

    DONE = "done"
    """All its jobs are done."""

    FAILED = "failed"
    """It could not be fetched, or one of its jobs has ended without a result."""

    REFUSED = "refused"
    """Nothing in it can be analysed."""

    SKIPPED = "skipped"
    """All its results existed already."""


BECOMES: dict[StudyState, frozenset[StudyState]] = {
    StudyState.WAITING: frozenset({StudyState.FETCHING, StudyState.SKIPPED}),
    # Waiting again: the run ended meanwhile, or was killed.
    StudyState.FETCHING: frozenset(StudyState) - {StudyState.FETCHING, StudyState.DONE},
    # Waiting again: what was fetched for it is gone.
    StudyState.SUBMITTED: frozenset({StudyState.DONE, StudyState.FAILED, StudyState.WAITING}),
    StudyState.DONE: frozenset(),
    StudyState.FAILED: frozenset({StudyState.WAITING}),
    StudyState.REFUSED: frozenset({StudyState.WAITING}),
    StudyState.SKIPPED: frozenset(),
}
"""What a study may become, by what it is."""

FINISHED = tuple(state for state in StudyState if state not in ("waiting", "fetching", "submitted"))
"""States in which nothing happens to a study any more unless somebody asks for it."""


def before(after: StudyState) -> tuple[StudyState, ...]:
    """Return the states that a study may come from."""
    return tuple(state for state, possible in BECOMES.items() if after in possible)


class BatchRow(Base):
    """A cohort of studies, and what is done with it."""

    __tablename__ = "batches"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[dict[str, object]] = mapped_column(JSON)
    """Where its studies come from: folders, a node of the settings, another batch."""
    analyses: Mapped[list[str]] = mapped_column(JSON)
    """Names of the analyses; none is all."""
    output: Mapped[str] = mapped_column(Text)
    """Absolute path of the folder for results."""
    pause_requested: Mapped[bool] = mapped_column(server_default=false())
    """Whether the process that runs it shall end."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class BatchStudyRow(Base):
    """A study of a batch."""

    __tablename__ = "batch_studies"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in StudyState)})", "state"),
        Unique("batch", "number"),
        Index(None, "batch", "state", "number"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[str] = mapped_column(ForeignKey("batches.name", ondelete="CASCADE"))
    number: Mapped[int]
    """Its place in the cohort, from 1."""
    study_instance_uid: Mapped[str | None] = mapped_column(String(UID_LENGTH))
    """None for files that have no study."""
    root: Mapped[str | None] = mapped_column(Text)
    """Absolute path that the inputs' paths start from; None where it is fetched."""
    inputs: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """Its files, or the folder that holds them and nothing else."""
    n_files: Mapped[int]
    """Files or instances."""
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Size of the files; None where it is not known."""
    state: Mapped[str] = mapped_column(String(16))
    job_ids: Mapped[list[str]] = mapped_column(JSON)
    """Its jobs."""
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it, or a part of it, has no result: UIDs, tags, numbers and names of files."""
    began_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
