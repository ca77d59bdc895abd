"""Bring a ledger's tables to this version: what Alembic is needed for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from pipeline.errors import UnusableCall
from pipeline.ledger.database import revision

MIGRATIONS = Path(__file__).parent / "migrations"
"""Alembic's folder."""

MIGRATION_LOCK = 0x7E5A11
"""Key of PostgreSQL's advisory lock that one migration holds at a time."""


def migrate(engine: Engine) -> None:
    """Bring the tables to this version, in one transaction.

    Raises
    ------
    UnusableCall
        If they are of a later version.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with _without_foreign_keys(engine) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        current = revision(connection)
        if current is not None and current not in known:
            raise UnusableCall(f"the ledger is of a later version (revision {current}): upgrade")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _without_foreign_keys(engine: Engine) -> Iterator[Connection]:
    """Connect such that SQLite drops a table without the rows that refer to it.

    It alters a table by copying it, and would delete a job's artifacts with the old table of jobs.
    """
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            yield connection
            return
        # Within a transaction the setting changes nothing, and a statement would begin one.
        plain = connection.connection.dbapi_connection
        assert plain is not None  # noqa: S101 - a connection that is open has one
        cursor = plain.cursor()
        cursor.execute("PRAGMA foreign_keys = OFF")
        try:
            yield connection
        finally:
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.close()
