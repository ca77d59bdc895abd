"""The tables of a batch: Parquet and CSV, written by DuckDB, each whole or not at all."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

import duckdb

from pipeline.batch.naming import Naming, naming_of
from pipeline.batch.rows import FAILURE_COLUMNS, RESULT_COLUMNS, Row, rows_of
from pipeline.errors import UnusableCall
from pipeline.flush import flush
from pipeline.ledger.batches import Batch
from pipeline.ledger.ledger import Ledger

__all__ = ["TableFiles", "naming_of", "read_columns", "write_tables"]

OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": "1",
}
"""DuckDB loads nothing from elsewhere; what is needed here is built in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableFiles:
    """The files of a batch's tables."""

    results: Path
    """``results.parquet``."""

    results_csv: Path
    """``results.csv``."""

    failures: Path
    """``failures.parquet``."""

    failures_csv: Path
    """``failures.csv``."""

    def __iter__(self) -> Iterator[Path]:
        yield from (self.results, self.results_csv, self.failures, self.failures_csv)


def write_tables(batch: Batch, ledger: Ledger, naming: Naming, folder: Path) -> TableFiles:
    """Write the results and the failures of a batch as they stand.

    Parameters
    ----------
    batch
        The batch.
    ledger
        The ledger.
    naming
        How studies are named.
    folder
        Where the files go; made if it is missing.

    Raises
    ------
    UnusableCall
        If they cannot be written.
    """
    files = TableFiles(
        results=folder / "results.parquet",
        results_csv=folder / "results.csv",
        failures=folder / "failures.parquet",
        failures_csv=folder / "failures.csv",
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".tables-") as passing:
            results, failures = Path(passing) / "results.json", Path(passing) / "failures.json"
            columns = dict(RESULT_COLUMNS)
            with results.open("w") as ok, failures.open("w") as bad:
                for study in rows_of(batch, ledger, naming):
                    _put(ok, study.results, columns)
                    _put(bad, study.failures, dict(FAILURE_COLUMNS))
            _convert(results, columns, (files.results, files.results_csv))
            _convert(failures, FAILURE_COLUMNS, (files.failures, files.failures_csv))
    except (OSError, duckdb.Error) as problem:
        told = problem.strerror if isinstance(problem, OSError) else type(problem).__name__
        raise UnusableCall(f"{folder}: tables cannot be written ({told})") from problem
    return files


def read_columns(path: Path) -> dict[str, list[object]]:
    """Return the columns of a Parquet file, in order."""
    with _database() as database:
        found = database.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in found.description or ()]
        rows = found.fetchall()
    return {name: [row[index] for row in rows] for index, name in enumerate(names)}


def _put(file: TextIO, rows: Iterable[Row], columns: dict[str, str]) -> None:
    """Write rows as lines of JSON, and add the columns that are new."""
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, "VARCHAR" if isinstance(value, str) else "DOUBLE")
        file.write(json.dumps(row, allow_nan=False) + "\n")


def _convert(lines: Path, columns: Mapping[str, str], targets: tuple[Path, Path]) -> None:
    """Write lines of JSON as Parquet and as CSV."""
    formats = ("FORMAT parquet, COMPRESSION zstd", "FORMAT csv, HEADER")
    named = ", ".join(f"{_quoted(name)}: '{kind}'" for name, kind in columns.items())
    with _database() as database:
        database.execute(
            f"CREATE TABLE t AS SELECT * FROM read_json({_quoted(str(lines))}, "  # noqa: S608
            f"format = 'newline_delimited', columns = {{{named}}})"
        )
        for target, form in zip(targets, formats, strict=True):
            working = lines.with_name(target.name)
            database.execute(f"COPY t TO {_quoted(str(working))} ({form})")
            flush(working)
            working.replace(target)
    flush(targets[0].parent)


def _quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory."""
    database = duckdb.connect(config=OFFLINE)
    try:
        yield database
    finally:
        database.close()
