"""The removal of a study from the ledger: begun in one transaction, ended in another.

The first one removes every row and keeps the plan of what is to be removed from disk; what comes
between may be killed at any point and is done again from the plan. The last one removes the plan.
What remains says that a study was removed, and in the audit log which.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, or_, select, update

from pipeline.errors import UnusableCall
from pipeline.ledger.audit import Audited, record_within
from pipeline.ledger.batchtables import BatchStudyRow, StudyState
from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.deliverytables import DeliveryRow, DeliveryState, WorkitemRow
from pipeline.ledger.exchange import Arrival, InstanceRow, Suspect
from pipeline.ledger.footprint import Footprint, footprint_of
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.recordtables import ForgettingRow, ForgettingState, ForgottenJobRow, HoldRow
from pipeline.ledger.reviews import CorrectionRow, ReadingRow
from pipeline.ledger.states import JobState
from pipeline.ledger.statistics import ReferenceRow, StatisticsRow, WindowRow
from pipeline.ledger.tables import Job, Series, Study, now
from pipeline.steps import FINAL

REASONS = ("request", "consent", "retention", "mistake", "other")
"""Why a study is forgotten: a patient's request, a consent that is withdrawn, its age, data that
should not have come, something else. A word of a list has no room for a name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Who has a study forgotten, and why."""

    actor: str
    """A person of the machine, or the service itself."""

    reason: str
    """One of ``REASONS``."""

    longest_s: float = 3600.0
    """A job that a run without the service has begun, and that has not ended for so long, is
    left [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """A removal that has begun."""

    id: UUID
    """The removal."""

    state: ForgettingState
    """How far it is."""

    plan: Mapping[str, Any]
    """What is to be removed, who asked and why; empty once the files are gone."""


class Forgetting:
    """The removals of a ledger. Several processes may use them: every step may be done twice."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def begin(self, study_instance_uid: str, asked: Asked) -> Begun:
        """Remove all rows of a study, and keep what is to be removed from disk.

        Raises
        ------
        UnusableCall
            If nothing is known of the study, it is held, or something works on it.
        """
        with self._ledger.transaction() as session:
            found = footprint_of(session, study_instance_uid)
            if found.is_empty:
                raise UnusableCall(f"study {study_instance_uid}: nothing is known of it")
            refuse_held(session, study_instance_uid)
            _refuse_busy(session, found, asked)
            plan = {"footprint": found.to_json(), "actor": asked.actor, "reason": asked.reason}
            row = ForgettingRow(id=uuid4(), state=ForgettingState.BEGUN, plan=plan, asked_at=now())
            session.add(row)
            session.flush()
            _remove_rows(session, row.id, found)
            detail = {
                "forgetting": str(row.id),
                "reason": asked.reason,
                "jobs": len(found.job_ids),
                "instances": len(found.instances),
                "files": len(found.artifacts),
            }
            subject = f"study {study_instance_uid}"
            record_within(
                session,
                Audited(action="study deleted", actor=asked.actor, subject=subject, detail=detail),
            )
            return Begun(id=row.id, state=ForgettingState.BEGUN, plan=plan)

    def unfinished(self) -> tuple[Begun, ...]:
        """Return the removals that have not ended, the first first."""
        query = (
            select(ForgettingRow)
            .where(ForgettingRow.state != ForgettingState.DONE)
            .order_by(ForgettingRow.asked_at)
        )
        with self._ledger.reading() as session:
            return tuple(
                Begun(id=row.id, state=ForgettingState(row.state), plan=row.plan or {})
                for row in session.scalars(query)
            )

    def removed(self, begun: Begun, certificate: str) -> None:
        """Record that the files are gone and what certifies it, and remove the plan.

        Parameters
        ----------
        begun
            The removal.
        certificate
            SHA-256 of the certificate, hexadecimal.
        """
        with self._ledger.transaction() as session:
            done = session.execute(
                update(ForgettingRow)
                .where(ForgettingRow.id == begun.id, ForgettingRow.state == ForgettingState.BEGUN)
                .values(state=ForgettingState.REMOVED, plan=None, certificate=certificate)
                .returning(ForgettingRow.id)
            )
            if done.first() is None:
                return
            session.execute(
                delete(ForgottenJobRow).where(ForgottenJobRow.forgetting_id == begun.id)
            )
            record_within(
                session,
                Audited(
                    action="deletion certified",
                    actor=str(begun.plan["actor"]),
                    subject=f"deletion {begun.id}",
                    detail={"sha256": certificate},
                ),
            )

    def done(self, forgetting_id: UUID) -> None:
        """Record that the database holds nothing of the study any more."""
        with self._ledger.transaction() as session:
            session.execute(
                update(ForgettingRow)
                .where(
                    ForgettingRow.id == forgetting_id,
                    ForgettingRow.state == ForgettingState.REMOVED,
                )
                .values(state=ForgettingState.DONE, done_at=now())
            )

    def received_again(self, paths: Collection[str]) -> set[str]:
        """Return those of some files under the inbox that the ledger knows: they came anew."""
        found: set[str] = set()
        listed = list(paths)
        with self._ledger.reading() as session:
            for first in range(0, len(listed), 500):
                some = listed[first : first + 500]
                for table in (InstanceRow, Suspect):
                    query = select(table.relative_path).where(table.relative_path.in_(some))
                    found.update(session.scalars(query))
        return found

    def is_known(self, job_id: UUID) -> bool:
        """Tell whether a job is in the ledger."""
        with self._ledger.reading() as session:
            return session.get(Job, job_id) is not None


def refuse_held(session: Transaction, study_instance_uid: str) -> None:
    """Refuse to remove anything of a study that is held.

    Raises
    ------
    UnusableCall
        If it is.
    """
    row = session.get(HoldRow, study_instance_uid)
    if row is not None:
        raise UnusableCall(f"study {study_instance_uid} is held for {row.case}: release it first")


def _refuse_busy(session: Transaction, found: Footprint, asked: Asked) -> None:
    """Refuse to remove a study that something works on.

    Raises
    ------
    UnusableCall
        If something does.
    """
    job_ids = [UUID(job_id) for job_id in found.job_ids]
    left = now() - timedelta(seconds=asked.longest_s)
    runs = or_(
        Job.lease_until > LedgerClock(),
        (Job.lease_until.is_(None)) & (Job.changed_at > left),
    )
    # Locked: what waits must not be claimed before it is removed.
    session.scalars(select(Job.id).where(Job.id.in_(job_ids)).with_for_update()).all()
    uid = found.study_instance_uid
    looked: tuple[tuple[str, Any, ColumnElement[bool]], ...] = (
        (
            "job {} runs: wait, or cancel it",
            Job.id,
            Job.id.in_(job_ids) & (Job.state == JobState.RUNNING) & runs,
        ),
        (
            "delivery {} is being sent: wait, or cancel it",
            DeliveryRow.id,
            DeliveryRow.job_id.in_(job_ids)
            & (DeliveryRow.state == DeliveryState.SENDING)
            & (DeliveryRow.lease_until > LedgerClock()),
        ),
        (
            "procedure step {} is performed for it: wait, or cancel it",
            WorkitemRow.sop_instance_uid,
            (WorkitemRow.study_instance_uid == uid) & WorkitemRow.state.not_in(FINAL),
        ),
        (
            "batch {} works on it: wait, or pause it",
            BatchStudyRow.batch,
            (BatchStudyRow.study_instance_uid == uid)
            & BatchStudyRow.state.in_((StudyState.FETCHING, StudyState.SUBMITTED)),
        ),
    )
    for told, column, condition in looked:
        busy = session.scalars(select(column).where(condition).limit(1)).first()
        if busy is not None:
            raise UnusableCall(f"study {uid}: {told.format(busy)}")


def _remove_rows(session: Transaction, forgetting_id: UUID, found: Footprint) -> None:
    """Remove all rows of a study."""
    job_ids = [UUID(job_id) for job_id in found.job_ids]
    uid = found.study_instance_uid
    session.add_all(
        ForgottenJobRow(job_id=job_id, forgetting_id=forgetting_id) for job_id in job_ids
    )
    session.flush()
    _remove_members(session, job_ids)
    studies = select(Study.id).where(Study.study_instance_uid == uid)
    for table, condition in (
        (ReadingRow, ReadingRow.job_id.in_(job_ids)),
        (CorrectionRow, CorrectionRow.job_id.in_(job_ids)),
        # With them go artifacts, calls, events, deliveries, statistics.
        (Job, Job.id.in_(job_ids)),
        (Series, Series.study_id.in_(studies)),
        (Study, Study.study_instance_uid == uid),
        # With it go its instances.
        (Arrival, Arrival.study_instance_uid == uid),
        (Suspect, Suspect.study_instance_uid == uid),
        (WorkitemRow, WorkitemRow.study_instance_uid == uid),
        (BatchStudyRow, BatchStudyRow.study_instance_uid == uid),
    ):
        session.execute(
            delete(table).where(condition), execution_options={"synchronize_session": False}
        )


def _remove_members(session: Transaction, job_ids: Collection[UUID]) -> None:
    """Take the statistics of jobs out of references and windows: their numbers are given anew."""
    gone = set(session.scalars(select(StatisticsRow.id).where(StatisticsRow.job_id.in_(job_ids))))
    if not gone:
        return
    compared: list[ReferenceRow | WindowRow] = [
        *session.scalars(select(ReferenceRow)),
        *session.scalars(select(WindowRow)),
    ]
    for row in compared:
        if gone.intersection(row.members):
            row.members = [member for member in row.members if member not in gone]
    session.flush()
