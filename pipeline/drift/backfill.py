"""Statistics of jobs that were done before any were kept: from their inputs, without inference.

Where an input is gone or altered, what the outcome says is kept alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pipeline.drift.describe import describe, made_by, outcome_numbers
from pipeline.driftsettings import DriftSettings
from pipeline.errors import PipelineError
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.statistics import (
    Described,
    Origin,
    origin_of,
    record_later,
    without_statistics,
)
from pipeline.study import Series


@dataclass(frozen=True, kw_only=True, slots=True)
class Backfilled:
    """What became of the jobs without statistics."""

    whole: int = 0
    """Jobs whose input was read again."""

    outcome_only: int = 0
    """Jobs whose input is gone, altered or not known."""


def backfill(
    ledger: Ledger, settings: DriftSettings, told: Callable[[int, int], object] = lambda *_: None
) -> Backfilled:
    """Record the statistics of all jobs that are done and have none. May be called again.

    Parameters
    ----------
    ledger
        The ledger.
    settings
        How names are kept.
    told
        Called with the number of jobs that were looked at, and of all.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be read or written.
    """
    missing, found = without_statistics(ledger), Backfilled()
    for number, job_id in enumerate(missing):
        origin = origin_of(ledger, job_id)
        series = _series(origin)
        if series is None:
            found = replace(found, outcome_only=found.outcome_only + 1)
            described = Described(numbers=outcome_numbers(origin.outcome), categories={})
        else:
            found = replace(found, whole=found.whole + 1)
            described = describe(series, origin.outcome, origin.bundle, settings)
        made = made_by(origin.bundle, origin.software_version)
        described = replace(described, categories={**described.categories, **made})
        with ledger.transaction() as session:
            record_later(session, job_id, described)
        told(number + 1, len(missing))
    return found


def _series(origin: Origin) -> Series | None:
    """Return the input of a job; None where it cannot be had any more."""
    if origin.files is None or not all(path.is_file() for path in origin.files):
        return None
    for candidate in take_inventory(origin.files).candidates:
        if candidate.input_digest == origin.input_digest:
            try:
                return candidate.load()
            except (PipelineError, OSError):
                return None
    return None
