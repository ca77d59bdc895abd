"""A ledger copied as it is at one moment, while others write; and put back into an empty place.

SQLite copies itself. PostgreSQL is copied and put back by its own programs, which must be
installed; its password goes to them by the environment.
"""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, create_engine, inspect

from pipeline.errors import LedgerUnavailable, UnusableCall
from pipeline.flush import flush
from pipeline.ledger.database import BUSY_SECONDS, parse_url, translated

MISSING = "PostgreSQL is copied by pg_dump and put back by pg_restore: install its client programs"


def kind_of(place: str) -> str:
    """Return which database a ledger is in: ``sqlite`` or ``postgresql``."""
    return parse_url(place).get_backend_name()


def dump(place: str, file: Path) -> None:
    """Copy a ledger into a file, flushed.

    Raises
    ------
    LedgerUnavailable
        If it cannot be read.
    UnusableCall
        If it is PostgreSQL, and its programs are not installed.
    """
    url = parse_url(place)
    if url.get_backend_name() == "postgresql":
        _call(url, "pg_dump", "--format=custom", "--no-owner", f"--file={file}")
    else:
        with (
            translated(url),
            closing(sqlite3.connect(str(url.database), timeout=BUSY_SECONDS)) as live,
            closing(sqlite3.connect(file)) as copy,
        ):
            live.backup(copy)
            # One file, without a journal beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
    flush(file)


def is_empty(place: str) -> bool:
    """Tell whether there is no ledger at a place yet.

    Raises
    ------
    LedgerUnavailable
        If that cannot be found out.
    """
    url = parse_url(place)
    if url.get_backend_name() == "sqlite":
        return not Path(str(url.database)).exists()
    engine = create_engine(url, hide_parameters=True)
    try:
        with translated(url):
            return not inspect(engine).get_table_names()
    finally:
        engine.dispose()


def put_back(file: Path, place: str) -> None:
    """Put a copy of a ledger into an empty place; it appears whole or not at all.

    Raises
    ------
    LedgerUnavailable
        If it cannot be written.
    UnusableCall
        If it is PostgreSQL, and its programs are not installed.
    """
    url = parse_url(place)
    if url.get_backend_name() == "postgresql":
        words = ("--no-owner", "--exit-on-error", "--single-transaction")
        _call(url, "pg_restore", *words, str(file))
        return
    target = Path(str(url.database))
    with translated(url):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        coming = target.with_name(f"{target.name}.coming")
        shutil.copyfile(file, coming)
        coming.chmod(0o600)
        flush(coming)
        coming.replace(target)
        flush(target.parent)


def _call(url: URL, program: str, *words: str) -> None:
    """Call a program of PostgreSQL on a database.

    Raises
    ------
    LedgerUnavailable
        If it says that it could not do it.
    UnusableCall
        If it is not installed.
    """
    path = shutil.which(program)
    if path is None:
        raise UnusableCall(MISSING)
    plain = url.set(drivername="postgresql", password=None)
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL
        [path, f"--dbname={plain.render_as_string()}", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0]
        raise LedgerUnavailable(f"ledger {plain.render_as_string()}: {program}: {said}")
