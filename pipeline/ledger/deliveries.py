"""Deliveries in the ledger: results on their way to destinations, and who sends which now.

Every change is one transaction that compares before it sets. A claim is named by the number of its
attempt, which only grows: whoever has an earlier number can neither record an object nor end the
delivery. What a destination has answered for is recorded object by object, so that an attempt after
a crash sends only the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import delete, or_, select, update

from pipeline.connections import Destination
from pipeline.ledger.breaker import Door, door, is_shut, note_answer, note_failure, note_hold
from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.commitments import answered, ask, has_answer
from pipeline.ledger.deliveryrows import (
    DeliveryClaim,
    SentObject,
    begin_anew,
    claim_of,
    fail,
    held,
    later_s,
    locked,
    of_job,
    rank_of,
)
from pipeline.ledger.deliverystates import DUE, become, ledger_time
from pipeline.ledger.deliverytables import DeliveredObject, DeliveryRow, DeliveryState
from pipeline.ledger.events import Event, record
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.roles import Role
from pipeline.ledger.tables import ArtifactRow, Job, now
from pipeline.ledger.transfers import note_sent
from pipeline.ledger.upsert import insertion

__all__ = ["Deliveries", "DeliveryClaim", "SentObject"]

REAPED_AT_ONCE = 100
"""Leases that one transaction of the reaper looks at."""

ABANDONED_S = 60.0
"""Time before a delivery that was abandoned several times is tried again [s]."""

ABANDONED_AT_ONCE = 3
"""Failures in a row up to which an abandoned delivery is tried again at once."""


class Deliveries:
    """The deliveries of a ledger as queues, one a destination. Several processes may use them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add_within(
        self,
        session: Transaction,
        job_id: UUID,
        destinations: Sequence[str],
        *,
        kept: Mapping[str, str] | None = None,
    ) -> None:
        """Have the result of a job delivered, within the transaction that completes it.

        One that waits, or is sent, stays as it is. One that has ended begins anew: the job was done
        again, and what has not changed is not sent again. What a person holds or has cancelled
        stays so. The result of a shadow goes nowhere.

        Parameters
        ----------
        session
            The transaction.
        job_id
            The job.
        destinations
            Names of where its result goes.
        kept
            Why it is kept back from some of them.
        """
        job = session.get_one(Job, job_id)
        if job.role == Role.SHADOW:
            return
        rank = rank_of(job.lane, job.priority)
        insert = insertion(session.get_bind().dialect.name, DeliveryRow)
        for name in destinations:
            reason = (kept or {}).get(name)
            values = {
                "job_id": job_id,
                "destination": name,
                "state": DeliveryState.WAITING if reason is None else DeliveryState.HELD,
                "rank": rank,
                "error": None if reason is None else "UnusableCall",
                "reason": reason,
                "created_at": now(),
                "changed_at": now(),
                "created_s": ledger_time(session),
            }
            session.execute(insert.values(values).on_conflict_do_nothing())
            row = session.scalars(of_job(job_id, name).with_for_update()).one()
            if row.state in (DeliveryState.DONE, DeliveryState.REFUSED, DeliveryState.BLOCKED):
                begin_anew(session, row)

    def claim(self, destination: str, owner: str, lease_s: float) -> DeliveryClaim | None:
        """Begin an attempt of the first delivery to a destination that is due.

        Returns
        -------
            None if none is due, the destination is held, or it is closed by its breaker.
        """
        due = (
            select(DeliveryRow)
            .where(
                DeliveryRow.destination == destination,
                DeliveryRow.state.in_(DUE),
                or_(DeliveryRow.not_before.is_(None), DeliveryRow.not_before <= LedgerClock()),
            )
            .order_by(DeliveryRow.rank, DeliveryRow.id)
            .limit(1)
        )
        with self._ledger.reading() as session:
            if is_shut(session, destination) or session.scalars(due).first() is None:
                return None
        with self._ledger.transaction() as session:
            row = session.scalars(due.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            way = door(session, destination, lease_s)
            if way is Door.SHUT:
                return None
            row.state, row.owner, row.attempts = DeliveryState.SENDING, owner, row.attempts + 1
            clock = ledger_time(session)
            row.lease_until, row.not_before, row.changed_at = clock + lease_s, None, now()
            session.flush()
            return claim_of(session, row, clock, is_trial=way is Door.TRIAL)

    def renew(self, claim: DeliveryClaim, lease_s: float) -> bool:
        """Extend the lease of an attempt; False if it is not the delivery's any more."""
        with self._ledger.transaction() as session:
            found = session.execute(
                update(DeliveryRow)
                .where(*held(claim))
                .values(lease_until=LedgerClock() + lease_s)
                .returning(DeliveryRow.id)
            )
            return found.scalar_one_or_none() is not None

    def sent(self, claim: DeliveryClaim, found: Sequence[SentObject]) -> bool:
        """Record what a destination has answered for, or that it is proven to be there.

        Returns
        -------
            False if the attempt is not the delivery's any more: nothing is recorded then.
        """
        with self._ledger.transaction() as session:
            if locked(session, claim) is None:
                return False
            for each in found:
                values = {name: getattr(each, name) for name in SentObject.__slots__}
                session.merge(DeliveredObject(delivery_id=claim.id, at=now(), **values))
            note_answer(session, claim.destination)
        return True

    def done(self, claim: DeliveryClaim) -> DeliveryState | None:
        """End a delivery that is proven; it waits anew if the job has changed meanwhile.

        Returns
        -------
            Where it stands; None if the attempt is not the delivery's any more.
        """
        with self._ledger.transaction() as session:
            row = locked(session, claim)
            if row is None:
                return None
            known = {(each.relative_path, each.sha256) for each in claim.artifacts}
            rows = session.scalars(select(ArtifactRow).where(ArtifactRow.job_id == claim.job_id))
            if {(a.relative_path, a.sha256) for a in rows} - known:
                become(session, row, DeliveryState.WAITING)
                return DeliveryState.WAITING
            become(session, row, DeliveryState.DONE)
            row.error = row.reason = None
            row.failures = 0
            note_answer(session, claim.destination)
            record(session, row.job_id, (Event.DELIVERED, row.attempts), detail=row.destination)
            note_sent(session, row)
            return DeliveryState.DONE

    def confirming(self, claim: DeliveryClaim, after_s: float) -> bool:
        """Have a delivery whose objects were all sent wait for its proof.

        Parameters
        ----------
        claim
            The attempt.
        after_s
            Time before it is looked at again, unless the archive answers before [s].
        """
        with self._ledger.transaction() as session:
            row = locked(session, claim)
            if row is None:
                return False
            sent_s, is_answered = row.sent_s, has_answer(session, row.id)
            become(session, row, DeliveryState.CONFIRMING, None if is_answered else after_s)
            row.sent_s = ledger_time(session) if sent_s is None else sent_s
        return True

    def unproven(self, claim: DeliveryClaim, missing: Sequence[str], settings: Destination) -> bool:
        """Have objects sent again that are not there, or that the archive does not answer for.

        Parameters
        ----------
        claim
            The attempt.
        missing
            Their paths under the job's folder.
        settings
            The destination's.
        """
        with self._ledger.transaction() as session:
            row = locked(session, claim)
            if row is None:
                return False
            session.execute(
                delete(DeliveredObject).where(
                    DeliveredObject.delivery_id == row.id,
                    DeliveredObject.relative_path.in_(missing),
                )
            )
            fail(session, row, ("Unproven", f"{len(missing)} objects were sent and not found"))
            become(session, row, DeliveryState.WAITING, later_s(row, settings))
        return True

    def repeat(
        self, claim: DeliveryClaim, failure: tuple[str, str], settings: Destination, *, ours: bool
    ) -> bool:
        """End an attempt for a reason that may pass.

        Parameters
        ----------
        claim
            The attempt.
        failure
            Class of the failure, and its message.
        settings
            The destination's.
        ours
            Whether it failed here, such as on a disk: the breaker does not count it.
        """
        with self._ledger.transaction() as session:
            row = locked(session, claim)
            if row is None:
                return False
            fail(session, row, failure)
            become(session, row, DeliveryState.WAITING, later_s(row, settings))
            if not ours:
                note_failure(session, claim.destination, settings)
        return True

    def hand_back(self, claim: DeliveryClaim, settings: Destination | None = None) -> bool:
        """Give back an attempt without a failure of its own: it keeps its place.

        Parameters
        ----------
        claim
            The attempt.
        settings
            The destination's, if it was a trial that found that it still does not answer; None for
            a process that stops.
        """
        with self._ledger.transaction() as session:
            row = locked(session, claim)
            if row is None:
                return False
            was_sent_s = row.sent_s
            state = DeliveryState.WAITING if was_sent_s is None else DeliveryState.CONFIRMING
            become(session, row, state)
            row.sent_s = was_sent_s
            if settings is not None:
                note_failure(session, claim.destination, settings)
        return True

    def refused(self, claim: DeliveryClaim, failure: tuple[str, str]) -> bool:
        """End a delivery that the destination will not take."""
        return self._end(claim, DeliveryState.REFUSED, failure, answers=True)

    def blocked(self, claim: DeliveryClaim, failure: tuple[str, str]) -> bool:
        """Set a delivery aside of which an object must not leave."""
        return self._end(claim, DeliveryState.BLOCKED, failure, answers=False)

    def barred(self, claim: DeliveryClaim, reason: str) -> bool:
        """Hold a destination that will take nothing at all; the delivery waits."""
        with self._ledger.transaction() as session:
            row = locked(session, claim)
            if row is None:
                return False
            row.error, row.reason = "PeerRefused", reason
            become(session, row, DeliveryState.WAITING)
            note_hold(session, claim.destination, reason)
        return True

    def asked(self, claim: DeliveryClaim, transaction_uid: str) -> bool:
        """Record that an archive is about to be asked for storage commitment."""
        with self._ledger.transaction() as session:
            if locked(session, claim) is None:
                return False
            ask(session, claim.id, transaction_uid)
        return True

    def committed(
        self, transaction_uid: str, committed: Sequence[str], failed: Mapping[str, int]
    ) -> bool:
        """Record what an archive answers for (PS3.4, J.3.3), whenever it does.

        Objects that it does not answer for are sent again; what it says after that counts anew.

        Parameters
        ----------
        transaction_uid
            Transaction UID (0008,1195) of the request.
        committed
            SOP Instance UIDs that it answers for.
        failed
            Failure Reason (0008,1197) by SOP Instance UID.

        Returns
        -------
            False if nothing was asked under this UID.
        """
        with self._ledger.transaction() as session:
            return answered(session, transaction_uid, committed, failed)

    def reap(self, is_dead: Callable[[str], bool]) -> tuple[int, ...]:
        """Hand out the deliveries whose lease has run out or whose owner is known to be dead.

        Parameters
        ----------
        is_dead
            Tells whether an owner is a process of this machine that is gone.
        """
        running = (
            select(
                DeliveryRow.id,
                DeliveryRow.attempts,
                DeliveryRow.owner,
                (DeliveryRow.lease_until < LedgerClock()).label("is_over"),
            )
            .where(DeliveryRow.state == DeliveryState.SENDING)
            .limit(REAPED_AT_ONCE)
        )
        with self._ledger.reading() as session:
            found = session.execute(running).all()
        return tuple(
            row.id
            for row in found
            if (row.is_over or is_dead(str(row.owner))) and self._abandon(row.id, row.attempts)
        )

    def _abandon(self, delivery_id: int, attempt: int) -> bool:
        """Hand out a delivery whose attempt has ended without a word."""
        with self._ledger.transaction() as session:
            row = session.scalars(
                select(DeliveryRow)
                .where(
                    DeliveryRow.id == delivery_id,
                    DeliveryRow.attempts == attempt,
                    DeliveryRow.state == DeliveryState.SENDING,
                )
                .with_for_update(skip_locked=True)
            ).one_or_none()
            if row is None:
                return False
            fail(session, row, ("Abandoned", f"attempt {attempt}: its process is gone"))
            later = None if row.failures <= ABANDONED_AT_ONCE else ABANDONED_S
            become(session, row, DeliveryState.WAITING, later)
        return True

    def _end(
        self,
        claim: DeliveryClaim,
        state: DeliveryState,
        failure: tuple[str, str],
        *,
        answers: bool,
    ) -> bool:
        """End a delivery that was not made."""
        with self._ledger.transaction() as session:
            row = locked(session, claim)
            if row is None:
                return False
            become(session, row, state)
            row.error, row.reason = failure
            if answers:
                note_answer(session, claim.destination)
            detail = f"{row.destination}: {failure[0]}: {failure[1]}"
            record(session, row.job_id, (Event.NOT_DELIVERED, row.attempts), detail=detail)
            note_sent(session, row, failure[0])
        return True
