"""The procedure steps that this installation performs for worklists, and where they stand.

A claim is recorded before it is asked for: a crash between the two leaves a row that is SCHEDULED,
and is settled with its Transaction UID at the next start. Every change compares before it sets.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update

from pipeline.ledger.deliverytables import DeliveryRow, DeliveryState, WorkitemRow
from pipeline.ledger.exchange import InstanceRow
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import now
from pipeline.ledger.upsert import insertion
from pipeline.steps import FINAL, StepState

AT_ONCE = 500
"""Instances that one query asks for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workitem:
    """A step that is, or was, this installation's."""

    sop_instance_uid: str
    """What the worklist calls it."""

    worklist: str
    """Name of the worklist in the settings."""

    transaction_uid: str
    """What it was claimed with."""

    state: StepState
    """Where it stands; SCHEDULED while it is being claimed."""

    study_instance_uid: str | None
    """The study that it is for."""

    job_ids: tuple[UUID, ...]
    """The jobs that it is done by."""

    reason: str | None
    """Why it was given up, or what it waits for."""

    progress: int
    """What the worklist was last told [%]."""

    cancel_requested: bool
    """Whether somebody asks for it to be given up."""

    claimed_at: datetime
    """When it was claimed, UTC."""

    changed_at: datetime
    """When it last changed, UTC."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values; the Transaction UID is the installation's own."""
        found = asdict(self)
        del found["transaction_uid"]
        return {
            **found,
            "state": self.state.value,
            "job_ids": [str(job_id) for job_id in self.job_ids],
            "claimed_at": self.claimed_at.isoformat(),
            "changed_at": self.changed_at.isoformat(),
        }


class Workitems:
    """The steps of a ledger. Several performers may use the same one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def intend(self, uid: str, worklist: str, study_instance_uid: str | None) -> Workitem | None:
        """Record that a step is about to be claimed; None if it is known already.

        The Transaction UID is drawn, not derived: it is the lock that nobody else may know.
        """
        values: dict[str, object] = {
            "sop_instance_uid": uid,
            "worklist": worklist,
            "transaction_uid": f"2.25.{uuid4().int}",
            "state": StepState.SCHEDULED.value,
            "study_instance_uid": study_instance_uid,
            "job_ids": [],
            "claimed_at": now(),
            "changed_at": now(),
        }
        with self._ledger.transaction() as session:
            insert = insertion(session.get_bind().dialect.name, WorkitemRow).values(**values)
            insert = insert.on_conflict_do_nothing()
            made = session.execute(insert.returning(WorkitemRow.sop_instance_uid)).first()
            return None if made is None else _workitem(session.get_one(WorkitemRow, uid))

    def forget(self, uid: str) -> bool:
        """Remove a step whose claim was refused; False if it is not being claimed."""
        with self._ledger.transaction() as session:
            gone = delete(WorkitemRow).where(
                WorkitemRow.sop_instance_uid == uid, WorkitemRow.state == StepState.SCHEDULED
            )
            removed = session.execute(gone.returning(WorkitemRow.sop_instance_uid))
            return removed.first() is not None

    def change(
        self, uid: str, states: tuple[StepState, StepState], reason: str | None = None
    ) -> bool:
        """Have a step go from one state to another; False if it does not stand there.

        Parameters
        ----------
        uid
            The step.
        states
            Where it stands, and where it goes.
        reason
            Why.
        """
        before, after = states
        changed: dict[str, object] = {"state": after.value, "reason": reason, "changed_at": now()}
        if after is StepState.IN_PROGRESS:
            changed["claimed_at"] = now()
        with self._ledger.transaction() as session:
            rows = session.execute(
                update(WorkitemRow)
                .where(WorkitemRow.sop_instance_uid == uid, WorkitemRow.state == before)
                .values(**changed)
                .returning(WorkitemRow.sop_instance_uid)
            )
            return rows.first() is not None

    def assign(self, uid: str, job_ids: Sequence[UUID]) -> None:
        """Record the jobs that a step is done by."""
        self._set(uid, {"job_ids": [str(job_id) for job_id in job_ids]})

    def told(self, uid: str, progress: int, description: str) -> None:
        """Record what the worklist was told of a step that goes on."""
        self._set(uid, {"progress": progress, "reason": description})

    def request_cancel(self, uid: str) -> StepState | None:
        """Record that somebody asks for a step to be given up.

        Returns
        -------
            Where it stands; None if it is none of this installation's.
        """
        self._set(uid, {"cancel_requested": True})
        found = self.find(uid)
        return None if found is None else found.state

    def find(self, uid: str) -> Workitem | None:
        """Return a step; None if it is none of this installation's."""
        with self._ledger.reading() as session:
            row = session.get(WorkitemRow, uid)
            return None if row is None else _workitem(row)

    def open(self, worklist: str) -> tuple[Workitem, ...]:
        """Return the steps of a worklist that are not finished, the oldest first."""
        query = (
            select(WorkitemRow)
            .where(WorkitemRow.worklist == worklist, WorkitemRow.state.not_in(FINAL))
            .order_by(WorkitemRow.claimed_at)
        )
        with self._ledger.reading() as session:
            return tuple(_workitem(row) for row in session.scalars(query))

    def listed(self, limit: int) -> tuple[Workitem, ...]:
        """Return steps, the latest change first."""
        query = select(WorkitemRow).order_by(WorkitemRow.changed_at.desc()).limit(limit)
        with self._ledger.reading() as session:
            return tuple(_workitem(row) for row in session.scalars(query))

    def received(self, sop_instance_uids: Sequence[str]) -> dict[str, str]:
        """Return the paths under the inbox of those of some instances that were received."""
        found: dict[str, str] = {}
        with self._ledger.reading() as session:
            for first in range(0, len(sop_instance_uids), AT_ONCE):
                some = sop_instance_uids[first : first + AT_ONCE]
                query = select(InstanceRow.sop_instance_uid, InstanceRow.relative_path).where(
                    InstanceRow.sop_instance_uid.in_(some)
                )
                found.update(
                    {row.sop_instance_uid: row.relative_path for row in session.execute(query)}
                )
        return found

    def delivered(self, job_ids: Sequence[UUID], destinations: Sequence[str]) -> dict[str, int]:
        """Return how many of some jobs' results each of some destinations has."""
        query = select(DeliveryRow.destination).where(
            DeliveryRow.job_id.in_(job_ids),
            DeliveryRow.destination.in_(destinations),
            DeliveryRow.state == DeliveryState.DONE,
        )
        with self._ledger.reading() as session:
            has = list(session.scalars(query))
        return {name: has.count(name) for name in destinations}

    def _set(self, uid: str, values: dict[str, object]) -> None:
        """Change a step that is not finished."""
        with self._ledger.transaction() as session:
            session.execute(
                update(WorkitemRow)
                .where(WorkitemRow.sop_instance_uid == uid, WorkitemRow.state.not_in(FINAL))
                .values(**values, changed_at=now())
            )


def _workitem(row: WorkitemRow) -> Workitem:
    """Return a row as a step."""
    return Workitem(
        sop_instance_uid=row.sop_instance_uid,
        worklist=row.worklist,
        transaction_uid=row.transaction_uid,
        state=StepState(row.state),
        study_instance_uid=row.study_instance_uid,
        job_ids=tuple(UUID(job_id) for job_id in row.job_ids),
        reason=row.reason,
        progress=row.progress,
        cancel_requested=row.cancel_requested,
        # SQLite keeps no zone; all times are UTC.
        claimed_at=row.claimed_at.replace(tzinfo=UTC),
        changed_at=row.changed_at.replace(tzinfo=UTC),
    )
