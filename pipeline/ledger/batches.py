"""Batch runs in the ledger: cohorts, where each of their studies stands, and their jobs.

Every change of a study compares before it sets, so that what a killed run has left is told from
what it has done.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, insert, or_, select, update

from pipeline.errors import UnusableCall
from pipeline.ledger.batchtables import FINISHED, BatchRow, BatchStudyRow, StudyState, before
from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import Job, now

AT_ONCE = 500
"""Rows that one statement names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A study, before it is one of a batch."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); None for files that have no study."""

    root: Path | None
    """Absolute path that the inputs' paths start from; None where it is to be fetched."""

    inputs: tuple[str, ...]
    """Its files, or the folder that holds them and nothing else."""

    n_files: int
    """Files or instances."""

    size_bytes: int | None
    """Size of the files [byte]; None where it is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchStudy:
    """A study of a batch."""

    row: int
    """The row."""

    number: int
    """Its place in the cohort, from 1."""

    member: Member
    """Where it is."""

    state: StudyState
    """Where it stands."""

    job_ids: tuple[UUID, ...]
    """Its jobs."""

    reason: str | None
    """Why it, or a part of it, has no result."""

    began_at: datetime | None
    """When it was begun, UTC."""

    ended_at: datetime | None
    """When it came to an end, UTC."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files or its folder."""
        return tuple((self.member.root or Path()) / name for name in self.member.inputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """A cohort, and what is done with it."""

    name: str
    """Its name."""

    source: Mapping[str, object]
    """Where its studies come from."""

    analyses: tuple[str, ...]
    """Names of the analyses; none is all."""

    output: Path
    """Folder for the results."""

    created_at: datetime
    """When it was made, UTC."""

    pause_requested: bool
    """Whether the process that runs it shall end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobStanding:
    """Where a job of a batch stands."""

    state: JobState
    """Its state."""

    analysis: str
    """Name of its analysis."""

    is_due: bool
    """Whether it may be claimed now, if it waits."""

    folder: Path | None
    """Folder of its files; None where there are none."""

    why: str | None
    """Class and message of the failure of its last attempt."""


class Batches:
    """The batches of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def make(self, batch: Batch, members: Sequence[Member]) -> None:
        """Record a batch with its studies.

        Raises
        ------
        UnusableCall
            If there is one of the name.
        """
        with self._ledger.transaction() as session:
            if session.get(BatchRow, batch.name) is not None:
                raise UnusableCall(f"there is a batch {batch.name!r}: resume it, or name another")
            row = BatchRow(name=batch.name, source=dict(batch.source), output=str(batch.output))
            row.analyses, row.created_at = list(batch.analyses), batch.created_at
            session.add(row)
            session.flush()
            values = [_values(batch.name, n, member) for n, member in enumerate(members, 1)]
            for first in range(0, len(values), AT_ONCE):
                session.execute(insert(BatchStudyRow), values[first : first + AT_ONCE])

    def find(self, name: str) -> Batch | None:
        """Return the batch of a name; None if there is none."""
        with self._ledger.reading() as session:
            row = session.get(BatchRow, name)
            return None if row is None else _batch(row)

    def named(self, name: str) -> Batch:
        """Return the batch of a name.

        Raises
        ------
        UnusableCall
            If there is none.
        """
        found = self.find(name)
        if found is None:
            raise UnusableCall(f"no batch {name!r}; see 'vesalius batch list'")
        return found

    def all(self) -> tuple[Batch, ...]:
        """Return all batches, the latest first."""
        with self._ledger.reading() as session:
            rows = session.scalars(select(BatchRow).order_by(BatchRow.created_at.desc()))
            return tuple(_batch(row) for row in rows)

    def ask_to_pause(self, name: str, *, pause: bool) -> None:
        """Have the process that runs a batch end, or let it be run again."""
        with self._ledger.transaction() as session:
            session.execute(
                update(BatchRow).where(BatchRow.name == name).values(pause_requested=pause)
            )

    def counts(self, name: str) -> dict[StudyState, int]:
        """Return how many studies of a batch are in each state that one is in."""
        query = select(BatchStudyRow.state, func.count()).where(BatchStudyRow.batch == name)
        with self._ledger.reading() as session:
            rows = session.execute(query.group_by(BatchStudyRow.state)).all()
        return {StudyState(state): count for state, count in rows}

    def studies(self, name: str, *states: StudyState) -> Iterator[BatchStudy]:
        """Yield the studies of a batch in order, those of some states or all; some at a time."""
        last = 0
        while True:
            query = select(BatchStudyRow).where(
                BatchStudyRow.batch == name,
                BatchStudyRow.number > last,
                BatchStudyRow.state.in_(states or tuple(StudyState)),
            )
            with self._ledger.reading() as session:
                rows = session.scalars(query.order_by(BatchStudyRow.number).limit(AT_ONCE))
                found = [_study(row) for row in rows]
            yield from found
            if len(found) < AT_ONCE:
                return
            last = found[-1].number

    def next_to_fetch(self, name: str) -> BatchStudy | None:
        """Take the next study that waits; None if none does."""
        waiting = select(func.min(BatchStudyRow.number)).where(
            BatchStudyRow.batch == name, BatchStudyRow.state == StudyState.WAITING
        )
        with self._ledger.transaction() as session:
            row = session.scalars(
                select(BatchStudyRow)
                .where(BatchStudyRow.batch == name)
                .where(BatchStudyRow.number == waiting.scalar_subquery())
                .with_for_update()
            ).one_or_none()
            if row is None or row.state != StudyState.WAITING:
                return None
            row.state, row.began_at, row.reason = StudyState.FETCHING, now(), None
            session.flush()
            return _study(row)

    def change(
        self,
        row: int,
        after: StudyState,
        *,
        job_ids: Sequence[UUID] | None = None,
        reason: str | None = None,
    ) -> bool:
        """Have a study go to another state; False if it may not from where it stands."""
        values: dict[str, object] = {"state": after}
        values["ended_at"] = now() if after in FINISHED else None
        if job_ids is not None:
            values["job_ids"] = [str(job_id) for job_id in job_ids]
        if reason is not None:
            values["reason"] = reason
        with self._ledger.transaction() as session:
            changed = session.execute(
                update(BatchStudyRow)
                .where(BatchStudyRow.id == row, BatchStudyRow.state.in_(before(after)))
                .values(**values)
                .returning(BatchStudyRow.id)
            )
            return changed.scalar_one_or_none() is not None

    def add_jobs(self, row: int, job_ids: Sequence[UUID]) -> None:
        """Record further jobs of a study that is submitted."""
        with self._ledger.transaction() as session:
            study = session.get_one(BatchStudyRow, row, with_for_update=True)
            study.job_ids = list(dict.fromkeys([*study.job_ids, *map(str, job_ids)]))

    def put_back(self, name: str, *states: StudyState) -> int:
        """Have the studies of some states wait again, and return how many did."""
        with self._ledger.transaction() as session:
            changed = session.execute(
                update(BatchStudyRow)
                .where(
                    BatchStudyRow.batch == name,
                    BatchStudyRow.state.in_(set(states) & set(before(StudyState.WAITING))),
                )
                .values(state=StudyState.WAITING, ended_at=None)
                .returning(BatchStudyRow.id)
            )
            return len(changed.all())

    def standings(self, job_ids: Collection[UUID]) -> dict[UUID, JobStanding]:
        """Return where some jobs stand."""
        is_due = or_(Job.not_before.is_(None), Job.not_before <= LedgerClock())
        columns = (Job.id, Job.state, Job.analysis, Job.error, Job.reason, Job.folder)
        query = select(*columns, is_due.label("is_due")).where(Job.id.in_(job_ids))
        with self._ledger.reading() as session:
            return {
                row.id: JobStanding(
                    state=JobState(row.state),
                    analysis=row.analysis,
                    is_due=bool(row.is_due),
                    folder=None if row.folder is None else Path(row.folder),
                    why=None if row.error is None else f"{row.error}: {row.reason}",
                )
                for row in session.execute(query)
            }

    def made_from(self, folder: Path) -> tuple[UUID, ...]:
        """Return the jobs whose inputs lie in the folder of a result."""
        inside = Job.input_root.startswith(f"{folder}/", autoescape=True)
        query = select(Job.id).where(or_(Job.input_root == str(folder), inside))
        with self._ledger.reading() as session:
            return tuple(session.scalars(query))


def _values(batch: str, number: int, member: Member) -> dict[str, object]:
    """Return the row of a study that waits."""
    return {
        "batch": batch,
        "number": number,
        "study_instance_uid": member.study_instance_uid,
        "root": None if member.root is None else str(member.root),
        "inputs": None if member.root is None else list(member.inputs),
        "n_files": member.n_files,
        "size_bytes": member.size_bytes,
        "state": StudyState.WAITING,
        "job_ids": [],
    }


def _batch(row: BatchRow) -> Batch:
    """Return a row as a batch."""
    return Batch(
        name=row.name,
        source=row.source,
        analyses=tuple(row.analyses),
        output=Path(row.output),
        created_at=row.created_at.replace(tzinfo=UTC),
        pause_requested=row.pause_requested,
    )


def _study(row: BatchStudyRow) -> BatchStudy:
    """Return a row as a study."""
    return BatchStudy(
        row=row.id,
        number=row.number,
        member=Member(
            study_instance_uid=row.study_instance_uid,
            root=None if row.root is None else Path(row.root),
            inputs=tuple(row.inputs or ()),
            n_files=row.n_files,
            size_bytes=row.size_bytes,
        ),
        state=StudyState(row.state),
        job_ids=tuple(UUID(job_id) for job_id in row.job_ids),
        reason=row.reason,
        # SQLite keeps no zone; all times are UTC.
        began_at=None if row.began_at is None else row.began_at.replace(tzinfo=UTC),
        ended_at=None if row.ended_at is None else row.ended_at.replace(tzinfo=UTC),
    )
