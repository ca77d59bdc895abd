"""What the ledger promises, on each database that it runs on."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, inspect, select

from pipeline.errors import LedgerUnavailable, UnusableCall
from pipeline.ledger.database import open_database, parse_url
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import Base
from tests.support.jobs import artifact, job_request

REQUEST = job_request()
JOB = REQUEST.identity.job_id
FOLDER = Path("/results/job")


def rows(place: str, table: str) -> int:
    """Return the number of rows of a table."""
    engine = create_engine(parse_url(place))
    with engine.connect() as connection:
        count = connection.execute(select(func.count()).select_from(Base.metadata.tables[table]))
        found = int(count.scalar_one())
    engine.dispose()
    return found


def test_a_job_that_was_never_begun_is_not_found(ledger: Ledger) -> None:
    assert ledger.find(JOB) is None


def test_a_finished_job_is_found_with_its_artifacts_and_outcome(ledger: Ledger) -> None:
    artifacts = (artifact("b/segmentation.dcm"), artifact("a.png"))
    attempt = ledger.begin(REQUEST)
    assert ledger.complete(
        JOB, attempt, folder=FOLDER, artifacts=artifacts, outcome={"u_pp": [None, 0.25]}
    )
    found = ledger.find(JOB)
    assert found is not None
    assert found.state is JobState.DONE
    assert found.artifacts == artifacts
    assert found.outcome == {"u_pp": [None, 0.25]}
    assert found.folder == FOLDER
    assert found.software_version == "0.1.0"


def test_what_is_recorded_outlives_the_process(ledger: Ledger, place: str) -> None:
    ledger.complete(JOB, ledger.begin(REQUEST), folder=FOLDER, artifacts=(), outcome={})
    ledger.close()
    with Ledger.open(place) as opened:
        found = opened.find(JOB)
    assert found is not None
    assert found.state is JobState.DONE


def test_a_failed_job_keeps_its_reason_until_it_is_begun_again(ledger: Ledger) -> None:
    attempt = ledger.begin(REQUEST)
    assert ledger.fail(JOB, attempt, error="AnalysisFailed", reason="no plausible myocardium")
    failed = ledger.find(JOB)
    assert failed is not None
    assert failed.state is JobState.FAILED
    assert (failed.error, failed.reason) == ("AnalysisFailed", "no plausible myocardium")
    assert ledger.begin(REQUEST) == 2
    again = ledger.find(JOB)
    assert again is not None
    assert (again.state, again.error, again.reason) == (JobState.RUNNING, None, None)


def test_an_attempt_that_was_overtaken_records_nothing(ledger: Ledger) -> None:
    first, second = ledger.begin(REQUEST), ledger.begin(REQUEST)
    late = artifact("late.dcm")
    assert not ledger.complete(JOB, first, folder=FOLDER, artifacts=(late,), outcome={})
    assert not ledger.fail(JOB, first, error="OSError", reason="too late")
    assert ledger.complete(JOB, second, folder=FOLDER, artifacts=(), outcome={})
    assert not ledger.complete(JOB, first, folder=FOLDER, artifacts=(late,), outcome={})
    found = ledger.find(JOB)
    assert found is not None
    assert (found.state, found.artifacts) == (JobState.DONE, ())


def test_artifacts_of_a_job_that_ran_again_replace_the_old_ones(ledger: Ledger, place: str) -> None:
    for content in (b"old", b"new"):
        made = artifact("segmentation.dcm", content)
        ledger.complete(JOB, ledger.begin(REQUEST), folder=FOLDER, artifacts=(made,), outcome={})
    found = ledger.find(JOB)
    assert found is not None
    assert found.artifacts == (artifact("segmentation.dcm", b"new"),)
    assert rows(place, "artifacts") == 1


def test_an_end_is_recorded_whole_or_not_at_all(ledger: Ledger, place: str) -> None:
    attempt = ledger.begin(REQUEST)
    twice = (artifact("same.dcm"), artifact("same.dcm"))
    with pytest.raises(LedgerUnavailable, match=r"uq_artifacts_job_id|artifacts\.job_id"):
        ledger.complete(JOB, attempt, folder=FOLDER, artifacts=twice, outcome={"x": 1})
    found = ledger.find(JOB)
    assert found is not None
    assert (found.state, found.outcome, found.folder) == (JobState.RUNNING, None, None)
    assert rows(place, "artifacts") == 0


def test_a_study_and_a_series_are_one_row_however_often_they_come(
    ledger: Ledger, place: str
) -> None:
    for name in ("one", "two", "one"):
        ledger.begin(job_request(name))
    assert (rows(place, "studies"), rows(place, "series"), rows(place, "jobs")) == (1, 2, 2)


def test_nifti_has_no_study(ledger: Ledger, place: str) -> None:
    ledger.begin(job_request("nifti", study=None))
    assert (rows(place, "studies"), rows(place, "series")) == (0, 1)


def test_many_that_begin_the_same_new_job_at_once_are_all_counted(place: str) -> None:
    def begin(_: int) -> int:
        with Ledger.open(place) as ledger:
            return ledger.begin(REQUEST)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(begin, range(24))) == list(range(1, 25))
    assert rows(place, "jobs") == 1


def test_files_that_moved_are_recorded_where_they_are(ledger: Ledger) -> None:
    ledger.complete(JOB, ledger.begin(REQUEST), folder=FOLDER, artifacts=(), outcome={})
    ledger.moved(JOB, Path("/elsewhere"))
    found = ledger.find(JOB)
    assert found is not None
    assert found.folder == Path("/elsewhere")


def test_no_table_has_a_column_for_a_patient(ledger: Ledger, place: str) -> None:
    engine = create_engine(parse_url(place))
    columns = {
        column["name"]
        for table in inspect(engine).get_table_names()
        for column in inspect(engine).get_columns(table)
    }
    engine.dispose()
    assert "study_instance_uid" in columns
    assert not {c for c in columns if "patient" in c or "label" in c or "accession" in c}


def test_sqlite_flushes_every_commit_and_checks_foreign_keys(tmp_path: Path) -> None:
    engine = open_database(parse_url(str(tmp_path / "ledger.db")))
    with engine.connect() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    engine.dispose()
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_processes_that_open_a_new_ledger_at_once_all_succeed(tmp_path: Path) -> None:
    place = str(tmp_path / "new" / "ledger.db")
    program = (
        "import sys; from pipeline.ledger.ledger import Ledger; "
        "from tests.support.jobs import job_request; "
        "ledger = Ledger.open(sys.argv[1]); ledger.begin(job_request()); ledger.close()"
    )
    call = [sys.executable, "-W", "error", "-c", program, place]
    processes = [subprocess.Popen(call, stderr=subprocess.PIPE) for _ in range(4)]
    for process in processes:
        _, said = process.communicate()
        assert process.returncode == 0, said.decode()
    with Ledger.open(place) as ledger:
        found = ledger.find(JOB)
    assert found is not None
    assert found.attempts == 4


def test_a_folder_that_cannot_hold_a_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailable, match=r"ledger\.db: File exists"):
        Ledger.open(str(tmp_path / "file" / "ledger.db"))


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("not a database, and long enough to be taken for one" * 9)
    with pytest.raises(LedgerUnavailable, match="file is not a database"):
        Ledger.open(str(tmp_path / "ledger.db"))


def test_a_ledger_of_a_later_version_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    Ledger.open(str(place)).close()
    connection = sqlite3.connect(place)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(UnusableCall, match=r"later version \(revision 9999\)"):
        Ledger.open(str(place))


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("mysql://host/ledger", "SQLite or PostgreSQL, not mysql"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("://", "cannot be read"),
    ],
)
def test_a_place_that_is_none_is_refused(place: str, reason: str) -> None:
    with pytest.raises(UnusableCall, match=reason):
        Ledger.open(place)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(LedgerUnavailable, match=r"127\.0\.0\.1") as raised:
        Ledger.open("postgresql://user:secret@127.0.0.1:1/ledger")
    assert "secret" not in str(raised.value)


@pytest.mark.service
def test_an_empty_postgresql_database_asks_for_its_migration(postgres_server: str) -> None:
    with pytest.raises(UnusableCall, match=r"revision none, .* 'vesalius ledger migrate'"):
        Ledger.open(postgres_server)
