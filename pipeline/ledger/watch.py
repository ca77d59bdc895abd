"""Watch a ledger: learn within milliseconds that somebody else may have had a job wait.

SQLite is asked whether another connection has changed the file, which reads some bytes of shared
memory; PostgreSQL tells whoever listens. A word may come for nothing, and one may be lost: who
waits for it looks for itself from time to time.
"""

import sqlite3
import threading
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, cast

from sqlalchemy import URL, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from pipeline.errors import LedgerUnavailable

GLANCE_S = 0.02
"""Time between two questions whether a SQLite file has changed [s]."""

CHANNEL = "vesalius_outbox"
"""Where PostgreSQL tells of jobs that wait."""


class Watch(Protocol):
    """Tells of changes.

    Contract: what others have recorded since the last wait ended ends the next one at once. A watch
    that has raised is of no more use.
    """

    def wait(self, longest_s: float, ending: threading.Event) -> bool:
        """Wait for a change, for so long at most [s], or until told to end; tell whether one came.

        Raises
        ------
        LedgerUnavailable
            If the ledger is away.
        """

    def close(self) -> None:
        """Close its connection."""


def open_watch(engine: Engine, url: URL) -> Watch:
    """Return a watch over a ledger's database.

    Raises
    ------
    LedgerUnavailable
        If it is away.
    """
    if engine.dialect.name == "sqlite":
        return FileWatch(Path(str(url.database)))
    return ServerWatch(engine)


def tell(session: Session) -> None:
    """Tell who watches once the transaction is recorded; a SQLite file shows it by itself."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


class FileWatch:
    """Watches a SQLite file."""

    def __init__(self, path: Path) -> None:
        try:
            self._connection = sqlite3.connect(path)
            self._seen = self._version()
        except sqlite3.Error as problem:
            raise _away(problem) from problem

    def wait(self, longest_s: float, ending: threading.Event) -> bool:
        """Wait, as every watch does."""
        until = monotonic() + longest_s
        try:
            while (version := self._version()) == self._seen:
                left_s = until - monotonic()
                if left_s <= 0 or ending.wait(min(GLANCE_S, left_s)):
                    return False
        except sqlite3.Error as problem:
            raise _away(problem) from problem
        self._seen = version
        return True

    def close(self) -> None:
        """Close its connection."""
        self._connection.close()

    def _version(self) -> int:
        """Return a number that another connection's changes change."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)


class ServerWatch:
    """Listens to PostgreSQL, over a connection of its own."""

    def __init__(self, engine: Engine) -> None:
        self._failure = engine.dialect.loaded_dbapi.Error
        try:
            pooled = engine.raw_connection()
            self._connection = cast("Any", pooled.driver_connection)
            pooled.detach()
            self._connection.autocommit = True
            self._connection.execute(f"LISTEN {CHANNEL}")
        except (SQLAlchemyError, self._failure) as problem:
            raise _away(problem) from problem

    def wait(self, longest_s: float, ending: threading.Event) -> bool:
        """Wait, as every watch does."""
        if ending.is_set():
            return False
        try:
            return bool(list(self._connection.notifies(timeout=longest_s, stop_after=1)))
        except self._failure as problem:
            raise _away(problem) from problem

    def close(self) -> None:
        """Close its connection."""
        self._connection.close()


def _away(problem: Exception) -> LedgerUnavailable:
    """Return what a driver raises as the pipeline's own failure."""
    return LedgerUnavailable(f"the ledger cannot be watched ({type(problem).__name__})")
