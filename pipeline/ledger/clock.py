"""The ledger's clock: the one that leases and waiting times are kept by.

All machines that share a PostgreSQL ledger ask its server, so that a machine whose clock is wrong
or jumps changes nothing. The processes that share a SQLite file are on one machine: they count from
the same moment by its uptime, which no step of the wall clock touches. Seconds since 1970, as the
wall clock said when the file was first opened after the machine had started.
"""

import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Float, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux says which start of the machine this is."""


class LedgerClock(FunctionElement[float]):
    """The ledger's time [s], as an expression of SQL."""

    type = Float()
    inherit_cache = True


@compiles(LedgerClock, "sqlite")
def _in_sqlite(_element: LedgerClock, _compiler: SQLCompiler, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own signature
    return "ledger_clock()"


@compiles(LedgerClock, "postgresql")
def _in_postgresql(_element: LedgerClock, _compiler: SQLCompiler, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own signature
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


class UptimeClock:
    """The clock of a SQLite ledger."""

    def __init__(self) -> None:
        self._start_s: float | None = None

    def __call__(self) -> float:
        """Return the ledger's time [s]."""
        return time.time() if self._start_s is None else self._start_s + uptime_s()

    def set(self, connection: Connection) -> None:
        """Take the start that the ledger holds, or write it where the machine started anew.

        After a start it is never earlier than the last change of a job: a machine whose battery is
        flat believes that it is 1970, and every lease would last for ever.
        """
        boot = boot_id()
        if boot is None:
            return
        row = connection.execute(text("SELECT boot_id, start_s FROM clock")).one_or_none()
        if row is None or row.boot_id != boot:
            last = connection.execute(
                text("SELECT max(unixepoch(changed_at)) FROM jobs")
            ).scalar_one()
            start_s = max(time.time(), last or 0.0) - uptime_s()
            connection.execute(text("DELETE FROM clock"))
            connection.execute(
                text("INSERT INTO clock (id, boot_id, start_s) VALUES (1, :boot, :start)"),
                {"boot": boot, "start": start_s},
            )
        else:
            start_s = row.start_s
        self._start_s = start_s


def boot_id() -> str | None:
    """Return which start of the machine this is; None where the system does not say."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return None


def uptime_s() -> float:
    """Return the time since the machine started, sleep included [s]."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
