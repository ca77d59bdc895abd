"""What monitoring asks of the ledger: counts of what happened, and how long stages took."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from pipeline.ledger.events import Event
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import EventRow, Job

NEWEST = 1000
"""So many of the latest finished jobs tell how long stages take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Counts since the ledger was made; no value of them says anything of a patient."""

    events: Mapping[tuple[str, str], int]
    """What happened to jobs, by lane and event."""

    failures: Mapping[tuple[str, str], int]
    """Jobs whose last attempt failed, by lane and class of the failure."""

    stage_seconds: Mapping[tuple[str, str], tuple[int, float]]
    """Of the latest finished jobs, by analysis and stage: how many, and their sum [s]."""


def totals(ledger: Ledger) -> Totals:
    """Return what happened until now."""
    counted = (
        select(Job.lane, EventRow.event, func.count())
        .join(Job, Job.id == EventRow.job_id)
        .group_by(Job.lane, EventRow.event)
    )
    failed = (
        select(Job.lane, Job.error, func.count())
        .where(Job.error.is_not(None))
        .group_by(Job.lane, Job.error)
    )
    newest = (
        select(Job.analysis, Job.outcome)
        .where(Job.outcome.is_not(None))
        .order_by(Job.changed_at.desc())
        .limit(NEWEST)
    )
    stages: dict[tuple[str, str], tuple[int, float]] = {}
    with ledger.reading() as session:
        events = {(lane, event): count for lane, event, count in session.execute(counted)}
        failures = {(lane, error or ""): n for lane, error, n in session.execute(failed)}
        for analysis, outcome in session.execute(newest):
            for stage, seconds in _timings(outcome or {}).items():
                count, total = stages.get((analysis, stage), (0, 0.0))
                stages[analysis, stage] = (count + 1, total + seconds)
    return Totals(
        events={(lane, Event(event).name.lower()): n for (lane, event), n in events.items()},
        failures=failures,
        stage_seconds=stages,
    )


def _timings(outcome: Mapping[str, object]) -> dict[str, float]:
    """Return the stages of a job and how long they took [s]."""
    timings = outcome.get("timings")
    if not isinstance(timings, dict):
        return {}
    return {k: float(v) for k, v in timings.items() if isinstance(v, int | float)}
