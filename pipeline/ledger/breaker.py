"""Whether anything is sent to a destination: its breaker, and whether it is held.

A destination that fails several times in a row is closed: nothing is sent before its time has come.
Then one attempt is let through; if it comes through, the rest follows. The pause doubles each time,
with a random part, so that many that wait do not come back at the same moment.
"""

from dataclasses import dataclass
from enum import StrEnum
from random import SystemRandom

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pipeline.connections import Destination
from pipeline.ledger.deliverystates import DUE, ledger_time
from pipeline.ledger.deliverytables import DeliveryRow, DestinationRow
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import now
from pipeline.ledger.upsert import insertion

RANDOM = SystemRandom()
"""Draws the random part of pauses."""

UNREACHED = "PeerUnavailable"
"""Class of the failures that pass when the destination is back."""


class Door(StrEnum):
    """Whether an attempt may be made at a destination."""

    OPEN = "open"
    """It answers."""

    TRIAL = "trial"
    """It has not answered; this one attempt may see whether it does now."""

    SHUT = "shut"
    """It is held, or its time has not come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DestinationStatus:
    """How a destination is."""

    name: str
    """Its name."""

    failures: int
    """Failures in a row."""

    closed_s: float | None
    """Time before something is sent again; None if the breaker is not open [s]."""

    held: str | None
    """Why all is kept back; None lets it go."""


def pause_s(failures: int, settings: Destination) -> float:
    """Return the pause after so many failures in a row, without its random part [s]."""
    doubled = settings.retry_s * 2.0 ** min(max(failures - 1, 0), 30)
    return float(min(doubled, settings.longest_retry_s))


def door(session: Session, name: str, trial_s: float) -> Door:
    """Tell whether an attempt may be made now; a trial keeps the others out for its time.

    Parameters
    ----------
    session
        The transaction.
    name
        The destination.
    trial_s
        Time after which a trial that is not heard of is over [s].
    """
    row = session.get(DestinationRow, name, with_for_update=True)
    if row is None:
        return Door.OPEN
    if row.held is not None:
        return Door.SHUT
    if row.closed_until is None:
        return Door.OPEN
    clock = ledger_time(session)
    if row.closed_until > clock:
        return Door.SHUT
    row.closed_until = clock + trial_s
    return Door.TRIAL


def is_shut(session: Session, name: str) -> bool:
    """Tell whether no attempt may be made now, without locking anything."""
    row = session.get(DestinationRow, name)
    if row is None:
        return False
    closed = row.closed_until is not None and row.closed_until > ledger_time(session)
    return closed or row.held is not None


def note_answer(session: Session, name: str) -> None:
    """Record that a destination answers: what failed because it did not is due at once."""
    row = session.get(DestinationRow, name, with_for_update=True)
    if row is None or (not row.failures and row.closed_until is None):
        return
    if row.closed_until is not None:
        session.execute(
            update(DeliveryRow)
            .where(
                DeliveryRow.destination == name,
                DeliveryRow.state.in_(DUE),
                DeliveryRow.error == UNREACHED,
            )
            .values(not_before=None)
        )
    row.failures, row.closed_until, row.changed_at = 0, None, now()


def note_failure(session: Session, name: str, settings: Destination) -> float | None:
    """Record that a destination failed.

    Returns
    -------
        The time that it is closed for; None if it is not [s].
    """
    row = _row(session, name)
    row.failures, row.changed_at = row.failures + 1, now()
    if row.failures < settings.breaks_after:
        return None
    pause = pause_s(row.failures - settings.breaks_after + 1, settings)
    # Longer than the pause of a delivery that failed, so that the first in order is due again.
    pause *= RANDOM.uniform(1.0, 1.5)
    row.closed_until = ledger_time(session) + pause
    return pause


def note_hold(session: Session, name: str, reason: str) -> None:
    """Keep back all that goes to a destination."""
    row = _row(session, name)
    row.held, row.changed_at = reason, now()


class Destinations:
    """How the destinations of a ledger are, for a person."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def hold(self, name: str, reason: str) -> None:
        """Keep back all that goes there; what is being sent is finished."""
        with self._ledger.transaction() as session:
            note_hold(session, name, reason)

    def release(self, name: str) -> None:
        """Let go what goes there, at once: the breaker forgets what failed."""
        with self._ledger.transaction() as session:
            row = _row(session, name)
            row.closed_until = row.closed_until or 0.0
            session.flush()
            note_answer(session, name)
            row.held = None

    def all(self) -> tuple[DestinationStatus, ...]:
        """Return how each destination is that was held or has failed."""
        with self._ledger.reading() as session:
            clock = ledger_time(session)
            rows = session.scalars(select(DestinationRow).order_by(DestinationRow.name))
            return tuple(
                DestinationStatus(
                    name=row.name,
                    failures=row.failures,
                    closed_s=None
                    if row.closed_until is None
                    else max(row.closed_until - clock, 0.0),
                    held=row.held,
                )
                for row in rows
            )


def _row(session: Session, name: str) -> DestinationRow:
    """Return the row of a destination, made if it is new, and locked."""
    insert = insertion(session.get_bind().dialect.name, DestinationRow)
    session.execute(insert.values(name=name, changed_at=now()).on_conflict_do_nothing())
    return session.get_one(DestinationRow, name, with_for_update=True)
