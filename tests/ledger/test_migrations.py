"""The migrations make the tables that the code works on."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from pipeline.errors import LedgerUnavailable
from pipeline.ledger import (  # noqa: F401 - add their tables
    audit,
    batchtables,
    deliverytables,
    exchange,
    recordtables,
    reviews,
    signins,
    statistics,
    versions,
)
from pipeline.ledger.database import REVISION, migrate_database, parse_url, revision
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.migrate import MIGRATIONS
from pipeline.ledger.tables import Base
from tests.support.jobs import job_request


def test_migrations_and_models_agree(place: str) -> None:
    migrate_database(parse_url(place))
    engine = create_engine(parse_url(place))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        differences = compare_metadata(context, Base.metadata)
        checks = [
            check["name"]
            for table in (
                "jobs",
                "arrivals",
                "deliveries",
                "model_versions",
                "batch_studies",
                "review_readings",
                "forgettings",
            )
            for check in inspect(connection).get_check_constraints(table)
        ]
    engine.dispose()
    assert differences == []
    assert checks == [
        "ck_jobs_state",
        "ck_arrivals_state",
        "ck_deliveries_state",
        "ck_model_versions_role",
        "ck_batch_studies_state",
        "ck_review_readings_state",
        "ck_forgettings_state",
    ]
    assert set(Base.metadata.tables) == {
        "studies",
        "series",
        "jobs",
        "artifacts",
        "outbox",
        "job_events",
        "clock",
        "arrivals",
        "instances",
        "suspects",
        "deliveries",
        "delivered_objects",
        "destinations",
        "commitments",
        "workitems",
        "statistics",
        "drift_references",
        "drift_windows",
        "model_versions",
        "audit_events",
        "batches",
        "batch_studies",
        "accounts",
        "review_sessions",
        "saved_views",
        "review_corrections",
        "review_readings",
        "forgettings",
        "forgotten_jobs",
        "legal_holds",
        "audit_forwarding",
    }


def test_the_revision_that_is_asked_for_is_that_of_the_newest_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [REVISION]


def test_a_ledger_of_this_version_is_opened_without_alembic(tmp_path: Path) -> None:
    place = str(tmp_path / "ledger.db")
    Ledger.open(place).close()
    program = (
        "import sys; from pipeline.ledger.ledger import Ledger; Ledger.open(sys.argv[1]).close(); "
        "print('alembic' in sys.modules)"
    )
    opened = subprocess.run(
        [sys.executable, "-c", program, place], capture_output=True, text=True, check=True
    )
    assert opened.stdout == "False\n"


def test_migrating_twice_changes_nothing(place: str) -> None:
    migrate_database(parse_url(place))
    with Ledger.open(place) as ledger:
        ledger.begin(job_request())
    migrate_database(parse_url(place))
    with Ledger.open(place) as ledger:
        assert ledger.find(job_request().identity.job_id) is not None


def test_every_migration_can_be_undone(place: str) -> None:
    migrate_database(parse_url(place))
    engine = create_engine(parse_url(place))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert revision(connection) is None
        assert inspect(connection).get_table_names() == ["alembic_version"]
        command.upgrade(config, "head")
        assert revision(connection) == REVISION
    engine.dispose()


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    blocker = create_engine(parse_url(str(place)))
    with blocker.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE artifacts (id INTEGER)")
    with pytest.raises(LedgerUnavailable, match="table artifacts already exists"):
        migrate_database(parse_url(str(place)))
    with blocker.connect() as connection:
        assert inspect(connection).get_table_names() == ["artifacts"]
    blocker.dispose()
