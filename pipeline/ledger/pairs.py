"""Rest and stress: the perfusion job of the same study that a job is read beside.

Jobs of shadows are no pair: what they do has no part in what a study says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import aliased

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.roles import Role
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import Job, Series, Study

REST = "rest"
"""The state that the index is relative to."""


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
            Job.role != Role.SHADOW,
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Couple:
    """A rest and a stress job of a study."""

    rest: UUID
    """The job of the rest series."""

    stress: UUID
    """The job of the stress series."""

    series_instance_uids: tuple[str, ...]
    """Series Instance UIDs (0020,000E) of the rest, then of the stress series."""


def couple_of(ledger: Ledger, job_id: UUID) -> Couple | None:
    """Return the couple that a job makes with its pair.

    None where it has no pair, where another result has taken the place of its own, and where a
    shadow has done it.
    """
    pair = pair_of(ledger, job_id)
    if pair is None or not _counts(ledger, job_id):
        return None
    rest, stress = (pair.job_id, job_id) if pair.state == REST else (job_id, pair.job_id)
    with ledger.reading() as session:
        rows = session.execute(
            select(Job.id, Series.series_instance_uids)
            .join(Series, Series.id == Job.series_id)
            .where(Job.id.in_((rest, stress)))
        ).all()
    uids = {row.id: row.series_instance_uids for row in rows}
    return Couple(rest=rest, stress=stress, series_instance_uids=(*uids[rest], *uids[stress]))


def jobs_with_a_state(ledger: Ledger) -> tuple[UUID, ...]:
    """Return all jobs that are done and say whether they are of rest or stress, the first first."""
    query = select(Job.id, Job.outcome).where(Job.state == JobState.DONE).order_by(Job.created_at)
    with ledger.reading() as session:
        return tuple(row.id for row in session.execute(query) if _state(row.outcome))


def earlier_joint(
    ledger: Ledger, study_instance_uid: str, like: tuple[str, tuple[str, ...], str]
) -> UUID | None:
    """Return the job that a joint result of two series takes the place of; None for a first one.

    Parameters
    ----------
    ledger
        The ledger.
    study_instance_uid
        Study Instance UID (0020,000D) of both.
    like
        Name of the joint analysis, Series Instance UIDs of both series, and the input digest of the
        new one.
    """
    analysis, series, digest = like
    query = (
        select(Job, Series.input_digest, Series.series_instance_uids)
        .join(Series, Series.id == Job.series_id)
        .join(Study, Study.id == Series.study_id)
        .where(Study.study_instance_uid == study_instance_uid, Job.analysis == analysis)
        .order_by(Job.created_at.desc())
    )
    with ledger.reading() as session:
        rows = session.execute(query).all()
        known = [(job, of) for job, of, uids in rows if tuple(uids) == series]
        same = next((job for job, of in known if of == digest), None)
        if same is not None:
            return same.predecessor_id
        return next((job.id for job, _ in known if job.state == JobState.DONE), None)


def _counts(ledger: Ledger, job_id: UUID) -> bool:
    """Tell whether a result is the study's: no shadow's, and no other has taken its place."""
    later = select(Job.id).where(Job.predecessor_id == job_id, Job.state == JobState.DONE)
    with ledger.reading() as session:
        role = session.scalars(select(Job.role).where(Job.id == job_id)).one()
        return role != Role.SHADOW and session.scalars(later).first() is None


def _state(outcome: Mapping[str, object] | None) -> object:
    """Return the state that an outcome tells of; None if it tells none."""
    return (outcome or {}).get("heart_state")


def _segments(outcome: Mapping[str, object] | None) -> frozenset[object]:
    """Return the segments that an outcome has numbers of."""
    measured = (outcome or {}).get("aha_segments")
    if not isinstance(measured, list):
        return frozenset()
    return frozenset(each.get("segment") for each in measured if isinstance(each, Mapping))
