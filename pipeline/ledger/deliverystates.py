"""The one table of how a delivery may go from one state to another, and the change itself."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.deliverytables import DeliveryRow, DeliveryState
from pipeline.ledger.tables import now

BEGINNING: frozenset[DeliveryState] = frozenset({DeliveryState.WAITING, DeliveryState.HELD})
"""What a delivery that is not yet recorded may become."""

ALLOWED: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.WAITING: frozenset(
        {DeliveryState.SENDING, DeliveryState.HELD, DeliveryState.CANCELLED}
    ),
    # Waiting: the attempt is to be repeated, was handed back, or its process is gone.
    DeliveryState.SENDING: frozenset(set(DeliveryState) - {DeliveryState.SENDING}),
    # Sending: it is looked at again, and what is missing is sent again.
    DeliveryState.CONFIRMING: frozenset(
        {
            DeliveryState.SENDING,
            DeliveryState.WAITING,
            DeliveryState.HELD,
            DeliveryState.CANCELLED,
        }
    ),
    # The job was done again, or a person asks for it again.
    DeliveryState.DONE: frozenset({DeliveryState.WAITING}),
    DeliveryState.REFUSED: frozenset(
        {DeliveryState.WAITING, DeliveryState.HELD, DeliveryState.CANCELLED}
    ),
    DeliveryState.BLOCKED: frozenset(
        {DeliveryState.WAITING, DeliveryState.HELD, DeliveryState.CANCELLED}
    ),
    DeliveryState.HELD: frozenset({DeliveryState.WAITING, DeliveryState.CANCELLED}),
    DeliveryState.CANCELLED: frozenset({DeliveryState.WAITING}),
}
"""What a delivery may become, by what it is."""

DUE: tuple[DeliveryState, ...] = (DeliveryState.WAITING, DeliveryState.CONFIRMING)
"""States in which it is claimed when its time has come."""


def may_become(at: DeliveryState | None, then: DeliveryState) -> bool:
    """Tell whether a delivery may go from one state to another; None is one not yet recorded."""
    return then in (BEGINNING if at is None else ALLOWED[at])


def become(
    session: Session, row: DeliveryRow, then: DeliveryState, after_s: float | None = None
) -> None:
    """Give a delivery a state in which nobody has claimed it.

    Parameters
    ----------
    session
        The transaction.
    row
        The delivery, locked.
    then
        The state.
    after_s
        Time before it is claimed again; None has it claimed at once [s].

    Raises
    ------
    ValueError
        If it may not go there from where it stands: a defect of the caller.
    """
    at = DeliveryState(row.state)
    if at is not then and not may_become(at, then):
        raise ValueError(f"a delivery that is {at.value} does not become {then.value}")
    clock = ledger_time(session)
    row.state, row.owner, row.lease_until = then, None, None
    row.not_before = None if after_s is None else clock + after_s
    row.changed_at = now()
    if then is DeliveryState.DONE:
        row.done_s = clock
    if then is DeliveryState.WAITING:
        row.done_s = row.sent_s = None


def ledger_time(session: Session) -> float:
    """Return the ledger's time [s]."""
    return float(session.execute(select(LedgerClock())).scalar_one())
