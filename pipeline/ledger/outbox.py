"""The outbox: which jobs' workers are to be called now.

A call may be lost, late or doubled; the row stays until the job is claimed, and is due again after
a while. Only so many jobs of a lane are called and not claimed at a time, so that a backlog lies in
the ledger, where its order can still be changed, and not in the broker.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update

from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import Bell

DOUBLINGS = 4
"""How often the time before a call is made again doubles."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call that is due."""

    job_id: UUID
    """The job."""

    rung: int
    """How often it was called before."""


class Outbox:
    """The calls of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def is_any_due(self) -> bool:
        """Tell whether a call is due, of whichever lane and whether or not there is room for it."""
        due = select(Bell.job_id).where(Bell.due <= LedgerClock()).limit(1)
        with self._ledger.reading() as session:
            return session.execute(due).first() is not None

    def due(self, lane: str, window: int) -> tuple[Call, ...]:
        """Return the calls of a lane that are due now, in the order that they are to be made.

        Parameters
        ----------
        lane
            The lane.
        window
            Jobs that may be called and not claimed at a time.
        """
        with self._ledger.reading() as session:
            called = session.execute(
                select(Bell.job_id, Bell.rung, Bell.due <= LedgerClock())
                .where(Bell.lane == lane, Bell.rung > 0)
                .order_by(Bell.rank, Bell.due)
            ).all()
            again = [Call(job_id=job_id, rung=rung) for job_id, rung, is_due in called if is_due]
            room = max(window - len(called), 0)
            new = session.scalars(
                select(Bell.job_id)
                .where(Bell.lane == lane, Bell.rung == 0, Bell.due <= LedgerClock())
                .order_by(Bell.rank, Bell.due)
                .limit(room)
            )
            return (*again, *(Call(job_id=job_id, rung=0) for job_id in new))

    def made(self, calls: tuple[Call, ...], again_s: float) -> None:
        """Record calls that were made, each to be made again unless its job is claimed.

        Parameters
        ----------
        calls
            The calls.
        again_s
            Time before a first call is made again; it doubles with each [s].
        """
        by_rung: dict[int, list[UUID]] = {}
        for call in calls:
            by_rung.setdefault(call.rung, []).append(call.job_id)
        with self._ledger.transaction() as session:
            for rung, job_ids in by_rung.items():
                pause_s = again_s * 2 ** min(rung, DOUBLINGS)
                session.execute(
                    update(Bell)
                    .where(Bell.job_id.in_(job_ids))
                    .values(rung=Bell.rung + 1, due=LedgerClock() + pause_s)
                )

    def waiting(self) -> dict[str, int]:
        """Return how many jobs of each lane wait for a worker."""
        counts = select(Bell.lane, func.count().label("waiting")).group_by(Bell.lane)
        with self._ledger.reading() as session:
            return {row.lane: row.waiting for row in session.execute(counts)}
