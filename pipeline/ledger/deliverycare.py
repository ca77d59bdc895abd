"""What a person does with a delivery, and what a person sees of all."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from pipeline.errors import UnusableCall
from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.deliveryrows import begin_anew
from pipeline.ledger.deliverystates import DUE, become, ledger_time, may_become
from pipeline.ledger.deliverytables import DeliveredObject, DeliveryRow, DeliveryState
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import ArtifactRow

OPEN = (*DUE, DeliveryState.SENDING)
"""States in which a delivery is on its way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryLine:
    """A delivery in a list."""

    id: int
    """The delivery."""

    job_id: UUID
    """The job whose result it is."""

    destination: str
    """Name of the destination."""

    state: DeliveryState
    """Where it stands."""

    attempts: int
    """How often it was claimed."""

    failures: int
    """Attempts that failed in a row."""

    sent: int
    """Objects that the destination has answered for."""

    confirmed: int
    """Objects that are proven to be there."""

    artifacts: int
    """Files of the job."""

    wait_s: float | None
    """Time before it may be tried again; None where it does not wait for its time [s]."""

    error: str | None
    """Class of its last failure."""

    reason: str | None
    """Its message."""

    created_at: datetime
    """When it was first recorded, UTC."""

    changed_at: datetime
    """When its state last changed, UTC."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            **asdict(self),
            "job_id": str(self.job_id),
            "state": self.state.value,
            "created_at": self.created_at.isoformat(),
            "changed_at": self.changed_at.isoformat(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Queued:
    """How the deliveries to a destination stand in one state."""

    destination: str
    """Name of the destination."""

    state: DeliveryState
    """The state."""

    count: int
    """Deliveries."""

    oldest_s: float
    """Time since the first of them was recorded [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedDeliveries:
    """Which deliveries a list is of; None takes all."""

    destination: str | None = None
    """Where they go."""

    state: DeliveryState | None = None
    """Where they stand."""

    job_id: UUID | None = None
    """The job whose result they are."""

    limit: int = 100
    """How many at most, the latest change first."""


class DeliveryCare:
    """Looks after the deliveries of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def retry(self, delivery_id: int) -> DeliveryState:
        """Have a delivery that has ended, or waits for its time, tried again at once."""
        return self._changed(delivery_id, _again)

    def release(self, delivery_id: int) -> DeliveryState:
        """Let a delivery go that is held."""
        return self._changed(delivery_id, _released)

    def hold(self, delivery_id: int) -> DeliveryState:
        """Keep a delivery back; an attempt that runs ends after the object in flight."""
        return self._changed(delivery_id, lambda s, row: _set(s, row, DeliveryState.HELD))

    def cancel(self, delivery_id: int) -> DeliveryState:
        """End a delivery; what was sent stays where it is."""
        return self._changed(delivery_id, lambda s, row: _set(s, row, DeliveryState.CANCELLED))

    def _changed(
        self, delivery_id: int, change: Callable[[Session, DeliveryRow], object]
    ) -> DeliveryState:
        """Change a delivery and return where it stands.

        Raises
        ------
        UnusableCall
            If there is none.
        """
        with self._ledger.transaction() as session:
            row = session.get(DeliveryRow, delivery_id, with_for_update=True)
            if row is None:
                raise UnusableCall(f"no delivery {delivery_id}")
            change(session, row)
            return DeliveryState(row.state)


def deliveries(ledger: Ledger, wanted: WantedDeliveries) -> tuple[DeliveryLine, ...]:
    """Return deliveries, the latest change first."""
    counted = select(func.count()).where(DeliveredObject.delivery_id == DeliveryRow.id)
    query = (
        select(
            DeliveryRow,
            counted.scalar_subquery().label("sent"),
            counted.where(DeliveredObject.is_confirmed).scalar_subquery().label("confirmed"),
            select(func.count())
            .where(ArtifactRow.job_id == DeliveryRow.job_id)
            .scalar_subquery()
            .label("artifacts"),
            (DeliveryRow.not_before - LedgerClock()).label("wait_s"),
        )
        .order_by(DeliveryRow.changed_at.desc(), DeliveryRow.id.desc())
        .limit(wanted.limit)
    )
    for column, value in (
        (DeliveryRow.destination, wanted.destination),
        (DeliveryRow.state, wanted.state),
        (DeliveryRow.job_id, wanted.job_id),
    ):
        if value is not None:
            query = query.where(column == value)
    with ledger.reading() as session:
        return tuple(_line(row) for row in session.execute(query))


def queued(ledger: Ledger) -> tuple[Queued, ...]:
    """Return how many deliveries are in each state, by destination."""
    query = select(
        DeliveryRow.destination,
        DeliveryRow.state,
        func.count().label("jobs"),
        func.min(DeliveryRow.created_s).label("since"),
    ).group_by(DeliveryRow.destination, DeliveryRow.state)
    with ledger.reading() as session:
        clock = ledger_time(session)
        return tuple(
            Queued(
                destination=row.destination,
                state=DeliveryState(row.state),
                count=row.jobs,
                oldest_s=max(clock - row.since, 0.0),
            )
            for row in session.execute(query)
        )


def _again(session: Session, row: DeliveryRow) -> None:
    """Have a delivery tried again at once, unless it is being sent."""
    if row.state == DeliveryState.CONFIRMING:
        row.not_before = None
    elif row.state != DeliveryState.SENDING:
        begin_anew(session, row)


def _released(session: Session, row: DeliveryRow) -> None:
    """Let a delivery go that is held."""
    if row.state == DeliveryState.HELD:
        begin_anew(session, row)


def _set(session: Session, row: DeliveryRow, state: DeliveryState) -> None:
    """Give a delivery a state if it may go there."""
    if may_become(DeliveryState(row.state), state):
        become(session, row, state)


def _line(found: Row[Any]) -> DeliveryLine:
    """Return a row as a line."""
    row = found.DeliveryRow
    return DeliveryLine(
        id=row.id,
        job_id=row.job_id,
        destination=row.destination,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        failures=row.failures,
        sent=found.sent,
        confirmed=found.confirmed,
        artifacts=found.artifacts,
        wait_s=None if found.wait_s is None else max(found.wait_s, 0.0),
        error=row.error,
        reason=row.reason,
        # SQLite keeps no zone; all times are UTC.
        created_at=row.created_at.replace(tzinfo=UTC),
        changed_at=row.changed_at.replace(tzinfo=UTC),
    )
