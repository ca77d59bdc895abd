"""How long a study takes: from its last instance to its results at their destination.

All times are the ledger's, so that machines whose clocks differ tell the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from pipeline.ledger.deliverytables import DeliveryRow, DeliveryState
from pipeline.ledger.exchange import Arrival
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reviews import successors
from pipeline.ledger.tables import Job, Series, Study

NOT_THE_MODEL = ("ingest", "load", "record", "encode")
"""Stages of a job, by their names in its timings, that are not the analysis itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turnaround:
    """How long one result took."""

    destination: str
    """Where it went."""

    analysis: str
    """What made it."""

    total_s: float
    """From the last instance of the study to the proof that the result is there [s]."""

    assembled_s: float
    """Of it, until the study was taken for whole [s]."""

    job_s: float
    """Of it, the job's own stages [s]."""

    model_s: float
    """Of these, the analysis itself: locating, inference, measuring [s]."""

    delivered_s: float
    """Of it, from the result to the proof [s]."""


def turnarounds(ledger: Ledger) -> list[Turnaround]:
    """Return how long the results took that were delivered of studies as they stand."""
    with ledger.reading() as session:
        rows = session.execute(
            select(
                DeliveryRow.destination,
                DeliveryRow.done_s,
                DeliveryRow.created_s,
                Job.analysis,
                Job.outcome,
                Arrival.last_at,
                Arrival.taken_at,
            )
            .join(Job, DeliveryRow.job_id == Job.id)
            .join(Series, Job.series_id == Series.id)
            .join(Study, Series.study_id == Study.id)
            .join(Arrival, Arrival.study_instance_uid == Study.study_instance_uid)
            .where(
                DeliveryRow.state == DeliveryState.DONE,
                Arrival.taken_at.is_not(None),
                # What was delivered before later instances came says nothing of them.
                DeliveryRow.created_s > Arrival.last_at,
                # A verified result waited for its readers.
                Job.id.not_in(successors()),
            )
        ).all()
    found = []
    for row in rows:
        timings = _timings(row.outcome)
        model_s = sum(s for stage, s in timings.items() if stage not in NOT_THE_MODEL)
        found.append(
            Turnaround(
                destination=row.destination,
                analysis=row.analysis,
                total_s=row.done_s - row.last_at,
                assembled_s=row.taken_at - row.last_at,
                job_s=sum(timings.values()),
                model_s=model_s,
                delivered_s=row.done_s - row.created_s,
            )
        )
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _timings(outcome: object) -> dict[str, float]:
    """Return the timings of a job's stages [s]."""
    timings = outcome.get("timings") if isinstance(outcome, dict) else None
    if not isinstance(timings, dict):
        return {}
    return {str(stage): float(s) for stage, s in timings.items() if isinstance(s, int | float)}
