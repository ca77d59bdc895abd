"""Requests for storage commitment (PS3.4, J) and what archives answer, within a transaction."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from pipeline.ledger.deliveryrows import fail
from pipeline.ledger.deliverystates import DUE, ledger_time
from pipeline.ledger.deliverytables import (
    CommitmentRow,
    DeliveredObject,
    DeliveryRow,
    DeliveryState,
)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
"""Time before objects are sent again that an archive does not answer for; it doubles [s]."""


def ask(session: Session, delivery_id: int, transaction_uid: str) -> None:
    """Record that an archive is about to be asked about the objects of a delivery."""
    session.add(
        CommitmentRow(
            transaction_uid=transaction_uid,
            delivery_id=delivery_id,
            asked_at=ledger_time(session),
        )
    )


def has_answer(session: Session, delivery_id: int) -> bool:
    """Tell whether an archive has answered all that it was asked about a delivery."""
    rows = session.scalars(
        select(CommitmentRow.answered_at).where(CommitmentRow.delivery_id == delivery_id)
    ).all()
    return bool(rows) and None not in rows


def answered(
    session: Session, transaction_uid: str, committed: Sequence[str], failed: Mapping[str, int]
) -> bool:
    """Record what an archive answers for; False if nothing was asked under this UID."""
    asked = session.get(CommitmentRow, transaction_uid, with_for_update=True)
    if asked is None:
        return False
    row = session.get_one(DeliveryRow, asked.delivery_id, with_for_update=True)
    asked.answered_at = ledger_time(session)
    asked.committed, asked.failed = list(committed), dict(failed)
    of_it = DeliveredObject.delivery_id == row.id
    session.execute(
        update(DeliveredObject)
        .where(of_it, DeliveredObject.sop_instance_uid.in_(committed))
        .values(is_confirmed=True)
    )
    session.execute(
        delete(DeliveredObject).where(
            of_it,
            DeliveredObject.sop_instance_uid.in_(list(failed)),
            DeliveredObject.is_confirmed.is_(False),
        )
    )
    if failed and row.state in (*DUE, DeliveryState.SENDING):
        reasons = ", ".join(sorted({f"{reason:04X}" for reason in failed.values()}))
        fail(session, row, ("Unproven", f"not committed: {reasons}"))
    if row.state == DeliveryState.CONFIRMING:
        later_s = min(FIRST_PAUSE_S * 2.0 ** min(row.failures, 30), LONGEST_PAUSE_S)
        row.not_before = asked.answered_at + later_s if failed else None
    return True
