"""Transfers in the audit log: one event a study received, one a delivery that has ended."""

from sqlalchemy import func, select

from pipeline.ledger.audit import Audited, record_within
from pipeline.ledger.deliverytables import DeliveredObject, DeliveryRow
from pipeline.ledger.exchange import Arrival, InstanceRow, Suspect
from pipeline.ledger.ledger import Transaction
from pipeline.ledger.tables import Job, Series, Study

SERVICE = "vesalius"
"""Who does what nobody has asked for."""

SENDERS = 20
"""Senders that an event names."""


def note_received(session: Transaction, arrival_id: int) -> None:
    """Record a study that is taken for whole, within the transaction that takes it.

    Parameters
    ----------
    session
        The transaction; add nothing after it.
    arrival_id
        The study's row.
    """
    arrival = session.get_one(Arrival, arrival_id)
    count = func.count()
    senders = session.execute(
        select(InstanceRow.sender, count)
        .where(InstanceRow.arrival_id == arrival_id)
        .group_by(InstanceRow.sender)
        .order_by(count.desc(), InstanceRow.sender)
    ).all()
    subject = f"study {arrival.study_instance_uid}"
    detail = {
        "instances": sum(number for _, number in senders),
        "senders": [sender for sender, _ in senders[:SENDERS]],
        "revision": arrival.revision,
    }
    actor = senders[0][0] if len(senders) == 1 else "several"
    record_within(
        session, Audited(action="instances received", actor=actor, subject=subject, detail=detail)
    )
    apart = select(count).where(Suspect.study_instance_uid == arrival.study_instance_uid)
    set_aside = session.scalar(apart) or 0
    if set_aside:
        record_within(
            session,
            Audited(
                action="data sets set aside",
                actor=actor,
                subject=subject,
                detail={"data_sets": set_aside},
                succeeded=False,
            ),
        )


def note_sent(session: Transaction, row: DeliveryRow, failure: str | None = None) -> None:
    """Record a delivery that has ended, within the transaction that ends it.

    Parameters
    ----------
    session
        The transaction; add nothing after it.
    row
        The delivery.
    failure
        Class of the failure; None where everything was sent and proven.
    """
    session.flush()
    sent = select(func.count()).where(DeliveredObject.delivery_id == row.id)
    uid = session.scalar(
        select(Study.study_instance_uid)
        .join(Series, Series.study_id == Study.id)
        .join(Job, Job.series_id == Series.id)
        .where(Job.id == row.job_id)
    )
    detail: dict[str, object] = {
        "destination": row.destination,
        "objects": session.scalar(sent) or 0,
        "job": str(row.job_id),
    }
    if failure is not None:
        detail["failure"] = failure
    record_within(
        session,
        Audited(
            action="instances sent",
            actor=SERVICE,
            subject=f"job {row.job_id}" if uid is None else f"study {uid}",
            detail=detail,
            succeeded=failure is None,
        ),
    )
