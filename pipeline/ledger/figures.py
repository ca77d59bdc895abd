"""What a monitoring system is told of the queue: counts and times of each lane, nothing else.

Counts of events come from what happened to the jobs, so that they only grow.
"""

import re
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, select, text
from sqlalchemy.orm import Session

from pipeline.ledger.events import Event
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.listing import LaneStatus, status
from pipeline.ledger.tables import EventRow, Job

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
"""What a name in a figure looks like; anything else may be anything, and is told as ``OTHER``."""

OTHER = "other"
"""Stands for names that are not plain."""

STAGES = {
    "sqlite": """
        SELECT jobs.lane, jobs.analysis, stage.key, count(*), sum(stage.value)
        FROM jobs, json_each(jobs.outcome, '$.timings') AS stage
        WHERE jobs.state = 'done' AND stage.type IN ('real', 'integer')
        GROUP BY jobs.lane, jobs.analysis, stage.key""",
    "postgresql": """
        SELECT jobs.lane, jobs.analysis, stage.key, count(*), sum(stage.value::text::float)
        FROM jobs, json_each(jobs.outcome -> 'timings') AS stage
        WHERE jobs.state = 'done' AND json_typeof(stage.value) = 'number'
        GROUP BY jobs.lane, jobs.analysis, stage.key""",
}
"""Seconds of each stage of the jobs that are done, by the kind of database."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTime:
    """How long a stage took, over all jobs that are done."""

    lane: str
    """The lane."""

    analysis: str
    """Name of the analysis."""

    stage: str
    """Name of the stage."""

    count: int
    """Jobs."""

    total_s: float
    """Sum of their times [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """How the queue stands, and what has happened in it."""

    lanes: tuple[LaneStatus, ...]
    """Lanes that have a job that waits or runs."""

    events: dict[tuple[str, str], int]
    """How often an event of ``events.Event`` happened, by lane and event."""

    failures: dict[tuple[str, str], int]
    """Attempts that ended without a result, by lane and class of the failure."""

    stages: tuple[StageTime, ...]
    """How long the stages took."""


def figures(ledger: Ledger) -> Figures:
    """Return the figures of a ledger.

    Raises
    ------
    LedgerUnavailable
        If it cannot be read.
    """
    lanes = status(ledger).lanes
    with ledger.reading() as session:
        return Figures(
            lanes=lanes,
            events=_events(session),
            failures=_failures(session),
            stages=_stages(session),
        )


def _events(session: Session) -> dict[tuple[str, str], int]:
    """Return how often each event happened in each lane."""
    query = (
        select(Job.lane, EventRow.event, func.count())
        .join(Job, Job.id == EventRow.job_id)
        .group_by(Job.lane, EventRow.event)
    )
    return {(lane, event): count for lane, event, count in session.execute(query)}


def _failures(session: Session) -> dict[tuple[str, str], int]:
    """Return how many attempts failed in each lane, by the class that their detail begins with."""
    ended = (Event.FAILED, Event.TO_BE_REPEATED)
    cause = case(
        (EventRow.event == Event.ABANDONED, "Abandoned"),
        else_=_before_colon(session),
    )
    query = (
        select(Job.lane, cause, func.count())
        .join(Job, Job.id == EventRow.job_id)
        .where(EventRow.event.in_((*ended, Event.ABANDONED)))
        .group_by(Job.lane, cause)
    )
    found: dict[tuple[str, str], int] = {}
    for lane, name, count in session.execute(query):
        key = (lane, _plain(name))
        found[key] = found.get(key, 0) + count
    return found


def _before_colon(session: Session) -> ColumnElement[str]:
    """Return the part of an event's detail before its first colon."""
    detail = EventRow.detail
    if session.get_bind().dialect.name == "postgresql":
        return func.split_part(detail, ":", 1)
    return func.substr(detail, 1, func.instr(detail, ":") - 1)


def _stages(session: Session) -> tuple[StageTime, ...]:
    """Return how long the stages took."""
    rows = session.execute(text(STAGES[session.get_bind().dialect.name]))
    return tuple(
        StageTime(lane=lane, analysis=analysis, stage=stage, count=count, total_s=total_s)
        for lane, analysis, stage, count, total_s in rows
        if PLAIN.fullmatch(stage) and PLAIN.fullmatch(analysis)
    )


def _plain(name: str | None) -> str:
    """Return a name that may stand in a figure."""
    return name if name and PLAIN.fullmatch(name) else OTHER
