"""Rest and stress: the perfusion job of the same study that a job is read beside."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import aliased

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import Job, Series


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """The job of the other state."""

    job_id: UUID
    """The job."""

    state: str
    """``rest`` or ``stress``."""


def pair_of(ledger: Ledger, job_id: UUID) -> Pair | None:
    """Return the job of the same study in the other state; None where there is none.

    Of several, the one with the most segments in common is taken, then the latest. A job whose
    result another took the place of is none.

    Parameters
    ----------
    ledger
        The ledger.
    job_id
        A perfusion job that is done.
    """
    own, its_series = aliased(Job), aliased(Series)
    later = select(Job.predecessor_id).where(Job.predecessor_id.is_not(None))
    others = (
        select(Job.id, Job.outcome, own.outcome.label("own"))
        .join(Series, Series.id == Job.series_id)
        .join(its_series, its_series.study_id == Series.study_id)
        .join(own, own.series_id == its_series.id)
        .where(
            own.id == job_id,
            Job.id != job_id,
            Job.analysis == own.analysis,
            Job.state == JobState.DONE,
            Job.id.not_in(later),
        )
        .order_by(Job.changed_at.desc(), Job.id)
    )
    with ledger.reading() as session:
        rows = session.execute(others).all()
    found = [
        (_segments(row.outcome) & _segments(row.own), row.id, str(row.outcome["heart_state"]))
        for row in rows
        if _state(row.own) and _state(row.outcome) and _state(row.own) != _state(row.outcome)
    ]
    if not found:
        return None
    _, other, state = max(found, key=lambda each: len(each[0]))
    return Pair(job_id=other, state=state)


def _state(outcome: Mapping[str, object] | None) -> object:
    """Return the state that an outcome tells of; None if it tells none."""
    return (outcome or {}).get("heart_state")


def _segments(outcome: Mapping[str, object] | None) -> frozenset[object]:
    """Return the segments that an outcome has numbers of."""
    measured = (outcome or {}).get("aha_segments")
    if not isinstance(measured, list):
        return frozenset()
    return frozenset(each.get("segment") for each in measured if isinstance(each, Mapping))
