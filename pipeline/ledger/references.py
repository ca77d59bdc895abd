"""References and windows of the watch on drift, in the ledger."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select

from pipeline.errors import UnusableCall
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.statistics import ReferenceRow, StatisticsRow, WindowRow
from pipeline.ledger.tables import Job, Series, Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How later studies are cut into windows, and when one alarms."""

    window: int
    """Studies of a window, or the least of one that is counted in days."""

    days: float | None
    """Length of a window [d]; None counts studies."""

    false_alarms: float
    """Probability that a window alarms although nothing has changed."""

    least_effect: float
    """Smaller changes do not alarm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A set of jobs that later ones are compared with."""

    name: str
    """Its name."""

    members: tuple[int, ...]
    """Rows of the statistics."""

    end_at: datetime
    """Jobs that were done later are compared with it, UTC."""

    rule: Rule
    """How."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A window that was compared with a reference."""

    reference: str
    """Name of the reference."""

    analysis: str
    """Name of the analysis."""

    number: int
    """Place among the windows of the analysis, from 1."""

    members: tuple[int, ...]
    """Rows of the statistics."""

    first_at: datetime
    """When its first study was done, UTC."""

    last_at: datetime
    """When its last one was, UTC."""

    studies: int
    """How many."""

    findings: tuple[dict[str, object], ...]
    """What was found of each statistic."""

    @property
    def alarms(self) -> tuple[str, ...]:
        """The statistics that alarm."""
        return tuple(str(f["statistic"]) for f in self.findings if f["is_alarm"])

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values; rows of the ledger stay in it."""
        return {
            "reference": self.reference,
            "analysis": self.analysis,
            "window": self.number,
            "studies": self.studies,
            "first_at": self.first_at.isoformat(),
            "last_at": self.last_at.isoformat(),
            "alarms": list(self.alarms),
            "findings": list(self.findings),
        }


def members_between(ledger: Ledger, start: datetime, end: datetime) -> tuple[int, ...]:
    """Return the statistics of jobs that were done from one moment to before another."""
    query = select(StatisticsRow.id).where(
        StatisticsRow.done_at >= start, StatisticsRow.done_at < end
    )
    with ledger.reading() as session:
        return tuple(session.scalars(query.order_by(StatisticsRow.id)))


def members_of(ledger: Ledger, study_instance_uids: Collection[str]) -> tuple[int, ...]:
    """Return the statistics of all jobs of some studies.

    Raises
    ------
    UnusableCall
        If one of them has none.
    """
    query = (
        select(StatisticsRow.id, Study.study_instance_uid)
        .join(Job, Job.id == StatisticsRow.job_id)
        .join(Series, Series.id == Job.series_id)
        .join(Study, Study.id == Series.study_id)
    )
    with ledger.reading() as session:
        found = [(row, uid) for row, uid in session.execute(query) if uid in study_instance_uids]
    missing = set(study_instance_uids) - {uid for _, uid in found}
    if missing:
        raise UnusableCall(f"no statistics of study {min(missing)}, nor of {len(missing) - 1} more")
    return tuple(sorted(row for row, _ in found))


def make_reference(ledger: Ledger, name: str, members: Sequence[int], rule: Rule) -> Reference:
    """Record a reference; it ends with the last of its jobs.

    Raises
    ------
    UnusableCall
        If there is one of the name, or it would be empty.
    """
    if not members:
        raise UnusableCall("no job with statistics is in the reference; see 'drift backfill'")
    with ledger.transaction() as session:
        if session.get(ReferenceRow, name) is not None:
            raise UnusableCall(f"there is a reference {name!r}: forget it first, or name another")
        wanted = set(members)
        done = session.execute(select(StatisticsRow.id, StatisticsRow.done_at))
        row = ReferenceRow(
            name=name,
            members=sorted(wanted),
            end_at=max(at for member, at in done if member in wanted),
            window=rule.window,
            days=rule.days,
            false_alarms=rule.false_alarms,
            least_effect=rule.least_effect,
        )
        session.add(row)
        return _reference(row)


def references(ledger: Ledger) -> tuple[Reference, ...]:
    """Return all references, by name."""
    with ledger.reading() as session:
        rows = session.scalars(select(ReferenceRow).order_by(ReferenceRow.name))
        return tuple(_reference(row) for row in rows)


def reference_named(ledger: Ledger, name: str) -> Reference:
    """Return a reference.

    Raises
    ------
    UnusableCall
        If there is none of the name.
    """
    for reference in references(ledger):
        if reference.name == name:
            return reference
    raise UnusableCall(f"no reference {name!r}")


def forget(ledger: Ledger, name: str) -> None:
    """Remove a reference and its windows.

    Raises
    ------
    UnusableCall
        If there is none of the name.
    """
    reference_named(ledger, name)
    with ledger.transaction() as session:
        session.execute(delete(ReferenceRow).where(ReferenceRow.name == name))


def windows(ledger: Ledger, name: str, analysis: str | None = None) -> tuple[Window, ...]:
    """Return the windows that were compared with a reference, in order."""
    query = select(WindowRow).where(WindowRow.reference == name)
    if analysis is not None:
        query = query.where(WindowRow.analysis == analysis)
    with ledger.reading() as session:
        rows = session.scalars(query.order_by(WindowRow.analysis, WindowRow.number))
        return tuple(_window(row) for row in rows)


def last_windows(ledger: Ledger) -> tuple[Window, ...]:
    """Return the last window of each reference and analysis."""
    last = select(func.max(WindowRow.id)).group_by(WindowRow.reference, WindowRow.analysis)
    with ledger.reading() as session:
        return tuple(
            _window(row) for row in session.scalars(select(WindowRow).where(WindowRow.id.in_(last)))
        )


def add_window(ledger: Ledger, window: Window) -> Window:
    """Record a window; if another process has recorded it meanwhile, that one stands."""
    with ledger.transaction() as session:
        known = session.scalars(
            select(WindowRow).where(
                WindowRow.reference == window.reference,
                WindowRow.analysis == window.analysis,
                WindowRow.number == window.number,
            )
        ).one_or_none()
        if known is not None:
            return _window(known)
        session.add(
            WindowRow(
                reference=window.reference,
                analysis=window.analysis,
                number=window.number,
                members=list(window.members),
                first_at=window.first_at,
                last_at=window.last_at,
                studies=window.studies,
                findings=list(window.findings),
            )
        )
    return window


def _reference(row: ReferenceRow) -> Reference:
    """Return what a row says."""
    return Reference(
        name=row.name,
        members=tuple(row.members),
        end_at=row.end_at.replace(tzinfo=UTC),
        rule=Rule(
            window=row.window,
            days=row.days,
            false_alarms=row.false_alarms,
            least_effect=row.least_effect,
        ),
    )


def _window(row: WindowRow) -> Window:
    """Return what a row says."""
    return Window(
        reference=row.reference,
        analysis=row.analysis,
        number=row.number,
        members=tuple(row.members),
        first_at=row.first_at.replace(tzinfo=UTC),
        last_at=row.last_at.replace(tzinfo=UTC),
        studies=row.studies,
        findings=tuple(row.findings),
    )
