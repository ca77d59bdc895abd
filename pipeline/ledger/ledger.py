"""The ledger: what was run on what, how it ended, and where its artifacts are.

One transaction a call. An attempt is counted before its work begins; its end is recorded together
with its artifacts, and only if no later attempt of the same job has begun meanwhile.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import UUID

from sqlalchemy import URL, Connection, Engine, delete, select, update
from sqlalchemy.orm import Session

from pipeline.identity import JobIdentity
from pipeline.ledger.database import READING, open_database, parse_url, translated
from pipeline.ledger.events import Event, Happened, history, record
from pipeline.ledger.given import Given
from pipeline.ledger.states import JobState, before
from pipeline.ledger.tables import ArtifactRow, Bell, Job, Series, Study, now
from pipeline.ledger.upsert import insertion
from pipeline.ledger.watch import Watch, open_watch
from pipeline.study import Artifact

Transaction = Session
"""What is recorded together, or not at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """A job, as it is recorded when an attempt begins."""

    identity: JobIdentity
    """What it is derived from."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); None for NIfTI."""

    series_instance_uids: tuple[str, ...]
    """Series Instance UIDs (0020,000E); none for NIfTI."""

    bundle_name: str
    """Name of the bundle."""

    bundle_version: str
    """Its version."""

    software_version: str
    """Version of this software."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """What the ledger knows of a job."""

    state: JobState
    """Where it stands."""

    attempts: int
    """Attempts that were begun."""

    error: str | None
    """Class of the failure of the last attempt."""

    reason: str | None
    """Its message."""

    software_version: str
    """Version that made the last attempt."""

    folder: Path | None
    """Folder that the artifacts' paths start from; None where there are none."""

    outcome: Mapping[str, object] | None
    """Measurements, uncertainty, notes and timings, as in the manifest."""

    artifacts: tuple[Artifact, ...]
    """The files; paths under ``folder``."""


class Ledger:
    """A ledger that is open. Several processes may have the same one open."""

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine = engine
        self._url = url

    @classmethod
    def open(cls, place: str) -> Self:
        """Open a ledger, given by a URL or by the path of a SQLite file.

        Raises
        ------
        LedgerUnavailable
            If it cannot be reached or written.
        UnusableCall
            If the place is none, or the ledger is of another version.
        """
        url = parse_url(place)
        return cls(open_database(url), url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a transaction: all that is done in it is recorded at its end, or nothing.

        Raises
        ------
        LedgerUnavailable
            If the ledger cannot be read or written.
        """
        with translated(self._url), Session(self._engine) as session, session.begin():
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Open a transaction of plain statements: what is done for every instance takes no detour.

        Raises
        ------
        LedgerUnavailable
            If the ledger cannot be read or written.
        """
        with translated(self._url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction that only reads.

        Raises
        ------
        LedgerUnavailable
            If the ledger cannot be read.
        """
        engine = self._engine.execution_options(**{READING: True})
        with translated(self._url), Session(engine) as session, session.begin():
            yield session

    def watch(self) -> Watch:
        """Return what tells that somebody else may have had a job wait.

        Raises
        ------
        LedgerUnavailable
            If the ledger is away.
        """
        return open_watch(self._engine, self._url)

    def history(self, job_id: UUID) -> tuple[Happened, ...]:
        """Return all that happened to a job, in order."""
        with self.reading() as session:
            return history(session, job_id)

    def find(self, job_id: UUID) -> JobRecord | None:
        """Return what is known of a job; None if it was never begun."""
        with self.reading() as session:
            job = session.get(Job, job_id)
            return None if job is None else _record(job)

    def begin(self, request: JobRequest, given: Given | None = None) -> int:
        """Record that an attempt begins and what it is given; return its number, from 1."""
        job_id = request.identity.job_id
        with self.transaction() as session:
            self.add(session, request, JobState.RUNNING)
            counted = session.execute(
                update(Job)
                .where(Job.id == job_id, Job.state.in_(before(JobState.RUNNING)))
                .values(
                    state=JobState.RUNNING,
                    attempts=Job.attempts + 1,
                    software_version=request.software_version,
                    error=None,
                    reason=None,
                    owner=None,
                    lease_until=None,
                    changed_at=now(),
                    **({} if given is None else given.as_columns()),
                )
                .returning(Job.attempts)
            )
            attempt = int(counted.scalar_one())
            session.execute(delete(Bell).where(Bell.job_id == job_id))
            record(session, job_id, (Event.BEGUN, attempt))
            return attempt

    def add(self, session: Session, request: JobRequest, state: JobState) -> bool:
        """Add a job to a transaction, and tell whether it is new."""
        series_id = self._series_id(session, request)
        return self._insert_new(session, Job, _job_values(request, series_id, state))

    def complete(
        self,
        job_id: UUID,
        attempt: int,
        *,
        folder: Path,
        artifacts: Sequence[Artifact],
        outcome: Mapping[str, object],
        publish: Callable[[Session], object] = lambda _: None,
    ) -> bool:
        """Record the end of an attempt together with its artifacts.

        Parameters
        ----------
        job_id
            The job.
        attempt
            The attempt that has ended.
        folder
            Folder that the artifacts' paths start from.
        artifacts
            The files; they must be written by now, or by ``publish``.
        outcome
            JSON values to keep with the job.
        publish
            Moves the files into place, and may add to the transaction. It is called only if the
            attempt is the job's last, while no other can begin, and before the end is recorded:
            files of an attempt that was overtaken never come into place, and a crash in between
            leaves whole files of an attempt that will be repeated.

        Returns
        -------
            False if a later attempt has begun: nothing is recorded then.
        """
        with self.transaction() as session:
            job = self._end(session, job_id, attempt, JobState.DONE)
            if job is None:
                return False
            publish(session)
            record(session, job_id, (Event.DONE, attempt), owner=job.owner)
            job.error = job.reason = job.owner = job.lease_until = None
            job.cancel_requested = False
            job.folder, job.outcome = str(folder.absolute()), dict(outcome)
            job.artifacts.clear()
            session.flush()
            job.artifacts.extend(_row(artifact) for artifact in artifacts)
        return True

    def fail(self, job_id: UUID, attempt: int, *, error: str, reason: str) -> bool:
        """Record that an attempt ended without a result.

        Artifacts of an earlier attempt stay recorded, as they stay on disk.

        Returns
        -------
            False if a later attempt has begun: nothing is recorded then.
        """
        with self.transaction() as session:
            job = self._end(session, job_id, attempt, JobState.FAILED)
            if job is None:
                return False
            record(
                session,
                job_id,
                (Event.FAILED, attempt),
                owner=job.owner,
                detail=f"{error}: {reason}",
            )
            job.error, job.reason = error, reason
            job.owner = job.lease_until = None
            job.cancel_requested = False
        return True

    def moved(self, job_id: UUID, folder: Path) -> None:
        """Record that the artifacts of a finished job were found whole in another folder."""
        with self.transaction() as session:
            session.execute(
                update(Job)
                .where(Job.id == job_id, Job.state == JobState.DONE)
                .values(folder=str(folder.absolute()), changed_at=now())
            )

    def found_again(self, job_id: UUID, given: Given) -> None:
        """Record where the input of a finished job was found."""
        with self.transaction() as session:
            session.execute(
                update(Job)
                .where(Job.id == job_id, Job.state == JobState.DONE)
                .values(**given.as_columns())
            )

    def _end(self, session: Session, job_id: UUID, attempt: int, state: JobState) -> Job | None:
        """Set the final state of an attempt if it is still the job's last; else return None."""
        ended = session.execute(
            update(Job)
            .where(Job.id == job_id, Job.attempts == attempt, Job.state.in_(before(state)))
            .values(state=state, changed_at=now())
            .returning(Job.id)
        )
        return session.get(Job, job_id) if ended.scalar_one_or_none() else None

    def _series_id(self, session: Session, request: JobRequest) -> int:
        """Return the row of the input, made if it is new."""
        study_id = None
        if request.study_instance_uid is not None:
            uid = request.study_instance_uid
            self._insert_new(session, Study, {"study_instance_uid": uid, "seen_at": now()})
            study_id = session.scalars(
                select(Study.id).where(Study.study_instance_uid == uid)
            ).one()
        digest = request.identity.input_digest
        values = {
            "study_id": study_id,
            "input_digest": digest,
            "series_instance_uids": list(request.series_instance_uids),
            "seen_at": now(),
        }
        self._insert_new(session, Series, values)
        return session.scalars(select(Series.id).where(Series.input_digest == digest)).one()

    def _insert_new(
        self, session: Session, table: type[Study | Series | Job], values: Mapping[str, object]
    ) -> bool:
        """Insert a row unless it is there, also against others who insert it now.

        Returns
        -------
            Whether it was inserted.
        """
        insert = insertion(self._engine.dialect.name, table).values(**values)
        insert = insert.on_conflict_do_nothing()
        return session.execute(insert.returning(table.id)).first() is not None


def _job_values(request: JobRequest, series_id: int, state: JobState) -> dict[str, object]:
    """Return the row of a job that was never begun."""
    identity = request.identity
    return {
        "id": identity.job_id,
        "series_id": series_id,
        "analysis": identity.analysis,
        "bundle_name": request.bundle_name,
        "bundle_version": request.bundle_version,
        "bundle_digest": identity.bundle_digest,
        "configuration_digest": identity.configuration_digest,
        "software_version": request.software_version,
        "state": state,
        "predecessor_id": identity.predecessor,
        "attempts": 0,
        "created_at": now(),
        "changed_at": now(),
    }


def _row(artifact: Artifact) -> ArtifactRow:
    """Return the row of an artifact."""
    return ArtifactRow(
        kind=artifact.kind,
        relative_path=artifact.relative_path,
        sop_instance_uid=artifact.sop_instance_uid,
        sha256=artifact.sha256,
    )


def artifacts_of(job: Job) -> tuple[Artifact, ...]:
    """Return the files of a job, as recorded."""
    return tuple(
        Artifact(
            kind=row.kind,
            relative_path=row.relative_path,
            sop_instance_uid=row.sop_instance_uid,
            sha256=row.sha256,
        )
        for row in job.artifacts
    )


def _record(job: Job) -> JobRecord:
    """Return what a row says."""
    return JobRecord(
        state=JobState(job.state),
        attempts=job.attempts,
        error=job.error,
        reason=job.reason,
        software_version=job.software_version,
        folder=None if job.folder is None else Path(job.folder),
        outcome=job.outcome,
        artifacts=artifacts_of(job),
    )
