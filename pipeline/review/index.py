"""The search index: what DICOM objects say of patients and studies, and words to find them by.

A file of its own beside the ledger, which its owner alone may read: the one place that keeps
attributes of patients outside the objects. It is a cache: deleted, it is made anew.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from pipeline.errors import UnusableCall
from pipeline.ledger.reviewlist import ResultJob
from pipeline.review.headers import said_of
from pipeline.review.rows import Measure, Patient, StudyFacts, measure_of

FILE = "review-index.db"
"""Its name."""

FORM = 1
"""Version of what it holds; another is made anew."""

TABLES = """
CREATE TABLE entries (id INTEGER PRIMARY KEY, job_id TEXT UNIQUE NOT NULL, entry TEXT NOT NULL);
CREATE VIRTUAL TABLE search USING fts5 (
    words, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4'
);
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What is kept of a job: all of its row that its files and its outcome say."""

    job_id: UUID
    """The job."""

    changed_at: datetime
    """Its last change when it was read, UTC."""

    analysis: str
    """Name of the analysis."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D)."""

    bundle: tuple[str, str, str]
    """Name, version and digest of the bundle."""

    lane: str
    """The queue that it waited in."""

    priority: int
    """The higher, the sooner within its lane."""

    scanner: str | None
    """Manufacturer and model."""

    measure: Measure | None
    """How uncertain it is."""

    patient: Patient | None
    """The patient."""

    study: StudyFacts | None
    """The study."""

    series_description: str | None
    """Series Description (0008,103E) of the input."""

    @classmethod
    def of(cls, job: ResultJob) -> "Entry":
        """Return what is to be kept of a job; its objects are read."""
        said = said_of(job)
        names = (job.categories.get(key) for key in ("manufacturer", "model"))
        return cls(
            job_id=job.job_id,
            changed_at=job.done_at,
            analysis=job.analysis,
            study_instance_uid=job.study_instance_uid,
            bundle=job.bundle,
            lane=job.lane,
            priority=job.priority,
            scanner=" ".join(name for name in names if name) or None,
            measure=measure_of(job),
            patient=said.patient,
            study=said.study,
            series_description=said.series_description,
        )

    def words(self) -> str:
        """Return the words that it is found by."""
        patient, study = self.patient, self.study
        values = [str(self.job_id), self.analysis, self.scanner, self.study_instance_uid]
        values += [self.series_description, *self.bundle[:2]]
        if patient is not None:
            values += [patient.name, patient.id, patient.birth_date]
        if study is not None:
            values += [study.date, study.description, study.accession_number]
        return " ".join(value for value in values if value)


class Index:
    """The index file. It may be used from several threads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, state: Path) -> "Index":
        """Open the index in a folder; one that is missing, broken or of another form is made anew.

        Raises
        ------
        UnusableCall
            If it cannot be written.
        """
        path = state / FILE
        try:
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_sound(path):
                for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
                    (state / name).unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.chmod(0o600)
            connection = _connected(path)
            if _form(connection) != FORM:
                connection.executescript(TABLES)
                connection.execute(f"PRAGMA user_version = {FORM}")
        except (OSError, sqlite3.Error) as problem:
            raise UnusableCall(f"{path}: the search index cannot be written ({problem})") from None
        return cls(connection)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def entries(self) -> dict[UUID, Entry]:
        """Return all that it holds, by job."""
        with self._lock:
            rows = self._connection.execute("SELECT entry FROM entries").fetchall()
        found = (_entry(json.loads(row[0])) for row in rows)
        return {entry.job_id: entry for entry in found}

    def put(self, entries: Iterable[Entry]) -> None:
        """Keep entries, in place of those of the same jobs."""
        keep = (
            "INSERT INTO entries (job_id, entry) VALUES (?, ?) "
            "ON CONFLICT (job_id) DO UPDATE SET entry = excluded.entry RETURNING id"
        )
        with self._lock, self._connection as connection:
            for entry in entries:
                row = connection.execute(keep, (str(entry.job_id), _packed(entry))).fetchone()
                connection.execute("DELETE FROM search WHERE rowid = ?", row)
                connection.execute(
                    "INSERT INTO search (rowid, words) VALUES (?, ?)", (row[0], entry.words())
                )

    def remove(self, job_ids: Iterable[UUID]) -> None:
        """Forget jobs."""
        rows = [(str(job_id),) for job_id in job_ids]
        with self._lock, self._connection as connection:
            connection.executemany(
                "DELETE FROM search WHERE rowid = (SELECT id FROM entries WHERE job_id = ?)", rows
            )
            connection.executemany("DELETE FROM entries WHERE job_id = ?", rows)

    def clean(self) -> None:
        """Leave nothing of forgotten jobs in the file: neither words nor free pages.

        Raises
        ------
        UnusableCall
            If it cannot be written now.
        """
        with self._lock:
            try:
                self._connection.execute("INSERT INTO search (search) VALUES ('optimize')")
                self._connection.commit()
                self._connection.execute("VACUUM")
                busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.OperationalError as problem:
                raise UnusableCall(f"the search index cannot be written ({problem})") from None
        if busy:
            raise UnusableCall("the search index is being read: try again")

    def found(self, text: str) -> set[UUID]:
        """Return the jobs that hold all words of a text, or words that begin so."""
        # In quotes nothing is an operator; a quote in a word is doubled.
        words = ['"{}"*'.format(word.replace('"', '""')) for word in text.split()]
        if not words:
            return set()
        query = (
            "SELECT job_id FROM search JOIN entries ON entries.id = search.rowid "
            "WHERE search MATCH ?"
        )
        with self._lock:
            try:
                rows = self._connection.execute(query, (" ".join(words),)).fetchall()
            except sqlite3.OperationalError:
                # A word of nothing but signs, which the index does not know.
                return set()
        return {UUID(row[0]) for row in rows}


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection for all threads: a lock gives them turns."""
    connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _is_sound(path: Path) -> bool:
    """Tell whether a file is an index of this form."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            return _form(connection) == FORM and connection.execute(
                "PRAGMA quick_check(1)"
            ).fetchone() == ("ok",)
    except sqlite3.Error:
        return False


def _form(connection: sqlite3.Connection) -> int:
    """Return the version of what a file holds."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _packed(entry: Entry) -> str:
    """Return an entry as JSON."""
    values = asdict(entry)
    values |= {"job_id": str(entry.job_id), "changed_at": entry.changed_at.isoformat()}
    return json.dumps(values)


def _entry(values: dict[str, Any]) -> Entry:
    """Return an entry from JSON."""
    kinds = (("measure", Measure), ("patient", Patient), ("study", StudyFacts))
    for key, kind in kinds:
        if values[key] is not None:
            values[key] = kind(**values[key])
    values["job_id"] = UUID(values["job_id"])
    values["changed_at"] = datetime.fromisoformat(values["changed_at"])
    values["bundle"] = tuple(values["bundle"])
    return Entry(**values)
