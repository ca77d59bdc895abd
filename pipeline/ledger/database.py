"""Open the database behind a ledger: SQLite by default, PostgreSQL by URL.

A SQLite ledger is made and migrated when it is opened. A PostgreSQL ledger is migrated by
``vesalius ledger migrate`` only: machines that share it are not upgraded by the first that starts.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from pipeline.errors import LedgerUnavailable, PipelineError, UnusableCall
from pipeline.ledger.clock import UptimeClock
from pipeline.locks import locked

REVISION = "0011"
"""The newest migration: what this version works on. Alembic is loaded where tables are of another
one only: it takes longer to load than a ledger takes to open."""

BUSY_SECONDS = 30
"""How long a SQLite connection waits for another one's transaction [s]."""

READING = "vesalius_reading"
"""Execution option of a transaction that only reads: it keeps no writer of SQLite waiting."""


def parse_url(place: str) -> URL:
    """Return the URL of a ledger that is given by a URL or by the path of a SQLite file.

    Raises
    ------
    UnusableCall
        If it is neither, or a database of another kind.
    """
    if "://" not in place:
        return URL.create("sqlite", database=str(Path(place).expanduser().absolute()))
    try:
        url = make_url(place)
    except ArgumentError:
        raise UnusableCall("the ledger's URL cannot be read") from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UnusableCall(f"a ledger is SQLite or PostgreSQL, not {url.get_backend_name()}")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise UnusableCall("a ledger in memory would forget: name a file")
    return url


def open_database(url: URL) -> Engine:
    """Return an engine on a database whose tables are of this version.

    Raises
    ------
    LedgerUnavailable
        If the database cannot be reached or written.
    UnusableCall
        If its tables are of another version, or its driver is not installed.
    """
    engine = _engine(url)
    try:
        with translated(url):
            if url.get_backend_name() == "sqlite":
                _prepare_file(engine, Path(str(url.database)))
                _set_clock(engine)
            else:
                _check_revision(engine, url)
    except PipelineError:
        engine.dispose()
        raise
    return engine


def migrate_database(url: URL) -> None:
    """Bring a ledger's tables to this version; a SQLite ledger is, by being opened.

    Raises
    ------
    LedgerUnavailable
        If it cannot be reached or written.
    UnusableCall
        If it is of a later version, or its driver is not installed.
    """
    engine = _engine(url)
    try:
        with translated(url):
            if url.get_backend_name() == "sqlite":
                _prepare_file(engine, Path(str(url.database)))
            else:
                _migrate(engine)
    finally:
        engine.dispose()


def revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql(
        "SELECT version_num FROM alembic_version"
    ).scalar_one_or_none()
    return found


def scrub(place: str) -> bool:
    """Have a SQLite file hold nothing that was removed: neither in free pages nor in its journal.

    It is written anew, and whoever writes meanwhile waits. A PostgreSQL database is left alone:
    its owner vacuums it.

    Returns
    -------
        False if somebody reads what is in the journal yet: do it again.

    Raises
    ------
    LedgerUnavailable
        If it cannot be written.
    """
    url = parse_url(place)
    if url.get_backend_name() != "sqlite":
        return True
    path = str(url.database)
    with translated(url), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as plain:
        plain.execute("PRAGMA secure_delete = ON")
        plain.execute("VACUUM")
        busy, _, _ = plain.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn what a database driver or a disk raises into the pipeline's own failure."""
    where = url.render_as_string(hide_password=True)
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as problem:
        cause = problem.orig if isinstance(problem, DBAPIError) else problem
        said = str(cause).strip().partition("\n")[0]
        raise LedgerUnavailable(f"ledger {where}: {said or type(cause).__name__}") from problem
    except OSError as problem:
        raise LedgerUnavailable(f"ledger {where}: {problem.strerror}") from problem


def _engine(url: URL) -> Engine:
    """Return an engine that keeps the ledger's promises; nothing is opened yet."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
        _keep_promises(engine)
        return engine
    try:
        return create_engine(url, hide_parameters=True, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError):
        needed = "PostgreSQL needs psycopg: pip install 'vesalius[postgres]'"
        raise UnusableCall(needed) from None


def _prepare_file(engine: Engine, path: Path) -> None:
    """Make or migrate a SQLite file; one process at a time, so that none meets half a ledger."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock")):
        # SQLite changes the journal outside transactions, so not through the engine's own.
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as plain:
            plain.execute("PRAGMA journal_mode = WAL")
        with engine.connect() as connection:
            current = revision(connection)
        if current != REVISION:
            _migrate(engine)


def _migrate(engine: Engine) -> None:
    """Bring the tables to this version."""
    # Only now: a ledger that is of this version, as nearly every one is, needs no Alembic.
    from pipeline.ledger.migrate import migrate

    migrate(engine)


def _keep_promises(engine: Engine) -> None:
    """Have SQLite check foreign keys, flush each commit, and lock when a transaction begins.

    A transaction that begins by reading and then writes may fail against another writer without
    waiting; one that begins with the lock waits its turn.
    """

    @event.listens_for(engine, "connect")
    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA synchronous = FULL")
        # What is removed is overwritten: a study that is forgotten leaves no free page behind.
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        only_reads = connection.get_execution_options().get(READING, False)
        connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


def _set_clock(engine: Engine) -> None:
    """Have the connections of a SQLite ledger count time from the moment that the ledger holds."""
    clock = UptimeClock()

    @event.listens_for(engine, "connect")
    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.create_function("ledger_clock", 0, clock)

    # Connections that are open already do not know the function.
    engine.dispose()
    with engine.begin() as connection:
        clock.set(connection)


def _check_revision(engine: Engine, url: URL) -> None:
    """Refuse a database whose tables are missing or of another version."""
    with engine.connect() as connection:
        current = revision(connection)
    if current != REVISION:
        where = url.render_as_string(hide_password=True)
        raise UnusableCall(
            f"ledger {where} is at revision {current or 'none'}, this version needs "
            f"{REVISION}: run 'vesalius ledger migrate'"
        )
