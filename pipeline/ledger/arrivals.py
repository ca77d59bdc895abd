"""The studies that are received: which arrive, and which were taken for whole."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from sqlalchemy import Update, func, select, update
from sqlalchemy.orm import Session

from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.exchange import Arrival, ArrivalState, InstanceRow, Suspect
from pipeline.ledger.ledger import Ledger, Transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Arriving:
    """A study that is received."""

    arrival_id: int
    """Its row."""

    study_instance_uid: str
    """The study."""

    state: ArrivalState
    """Where it stands."""

    revision: int
    """How often it was taken."""

    looks: int
    """How often it was looked at since its last instance."""

    last_at: float
    """Ledger's time of its last instance [s]: it tells whether one has come since."""

    quiet_s: float
    """Time since its last instance [s]."""

    expected: int | None
    """Instances that it has elsewhere, as far as somebody said."""

    expected_uids: tuple[str, ...]
    """Instances that somebody said were available."""

    n_instances: int
    """Instances that were received."""

    why: str | None
    """Why it was taken, or what it waits for."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "study_instance_uid": self.study_instance_uid,
            "state": self.state.value,
            "revision": self.revision,
            "instances": self.n_instances,
            "expected": self.expected,
            "quiet_seconds": self.quiet_s,
            "why": self.why,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """How reception stands."""

    instances: int
    """Instances that were received."""

    arriving: int
    """Studies that arrive."""

    oldest_s: float
    """Time since the first instance of the oldest of them [s]."""

    taken: int
    """Studies that were taken for whole and have not grown since."""

    suspects: int
    """Data sets that were set aside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """A data set that was set aside."""

    sop_instance_uid: str | None
    """What it says that it is."""

    study_instance_uid: str | None
    """The study that it says that it is of."""

    relative_path: str
    """Its file, under the inbox."""

    sender: str
    """Who sent it."""

    reason: str
    """Why it was set aside."""

    at: datetime
    """When, UTC."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {**asdict(self), "at": self.at.isoformat()}


class Arrivals:
    """What a ledger knows of what was received. Several processes may use the same one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def announce(
        self, study_instance_uid: str, sop_instance_uids: Sequence[str], look_after_s: float
    ) -> None:
        """Record which instances of a study somebody has said are available."""
        with self._ledger.transaction() as session:
            wanted = select(Arrival).where(Arrival.study_instance_uid == study_instance_uid)
            arrival = session.scalars(wanted.with_for_update()).one_or_none()
            if arrival is None:
                arrival = Arrival(
                    study_instance_uid=study_instance_uid,
                    state=ArrivalState.ARRIVING,
                    first_at=LedgerClock(),
                    last_at=LedgerClock(),
                    look_at=LedgerClock(),
                )
                session.add(arrival)
            merged = dict.fromkeys((*(arrival.expected_uids or ()), *sop_instance_uids))
            arrival.expected_uids = list(merged)
            session.flush()
            session.execute(
                update(Arrival)
                .where(Arrival.id == arrival.id, Arrival.state == ArrivalState.ARRIVING)
                .values(look_at=LedgerClock() + look_after_s, looks=0)
            )

    def due(self, limit: int = 20) -> list[Arriving]:
        """Return the studies that arrive and are to be looked at, the first to be so first."""
        with self._ledger.reading() as session:
            rows = session.scalars(
                select(Arrival)
                .where(Arrival.state == ArrivalState.ARRIVING, Arrival.look_at <= LedgerClock())
                .order_by(Arrival.look_at)
                .limit(limit)
            )
            return [_arriving(session, row) for row in rows]

    def listed(self, limit: int = 100) -> list[Arriving]:
        """Return the studies that were received, the last first."""
        with self._ledger.reading() as session:
            rows = session.scalars(select(Arrival).order_by(Arrival.last_at.desc()).limit(limit))
            return [_arriving(session, row) for row in rows]

    def find(self, study_instance_uid: str) -> Arriving | None:
        """Return a study; None if nothing of it was received."""
        with self._ledger.reading() as session:
            row = session.scalars(
                select(Arrival).where(Arrival.study_instance_uid == study_instance_uid)
            ).one_or_none()
            return None if row is None else _arriving(session, row)

    def received(self) -> Received:
        """Return how reception stands."""
        arriving = Arrival.state == ArrivalState.ARRIVING
        with self._ledger.reading() as session:
            first = session.scalar(select(func.min(Arrival.first_at)).where(arriving))
            now_s = session.execute(select(LedgerClock())).scalar_one()
            return Received(
                instances=session.scalar(select(func.count(InstanceRow.id))) or 0,
                arriving=session.scalar(select(func.count(Arrival.id)).where(arriving)) or 0,
                oldest_s=0.0 if first is None else now_s - first,
                taken=session.scalar(select(func.count(Arrival.id)).where(~arriving)) or 0,
                suspects=session.scalar(select(func.count(Suspect.id))) or 0,
            )

    def suspects(self, limit: int = 100) -> list[SetAside]:
        """Return the data sets that were set aside, the last first."""
        with self._ledger.reading() as session:
            rows = session.scalars(select(Suspect).order_by(Suspect.id.desc()).limit(limit))
            return [
                SetAside(
                    sop_instance_uid=row.sop_instance_uid,
                    study_instance_uid=row.study_instance_uid,
                    relative_path=row.relative_path,
                    sender=row.sender,
                    reason=row.reason,
                    # SQLite keeps no zone; all times are UTC.
                    at=row.at.replace(tzinfo=UTC),
                )
                for row in rows
            ]

    def files(self, arrival_id: int) -> list[PurePosixPath]:
        """Return the files of a study, under the inbox."""
        with self._ledger.reading() as session:
            paths = select(InstanceRow.relative_path).where(InstanceRow.arrival_id == arrival_id)
            return [PurePosixPath(path) for path in session.scalars(paths)]

    def uids(self, arrival_id: int) -> Mapping[str, str]:
        """Return the series of each instance of a study, by SOP Instance UID."""
        with self._ledger.reading() as session:
            rows = session.execute(
                select(InstanceRow.sop_instance_uid, InstanceRow.series_instance_uid).where(
                    InstanceRow.arrival_id == arrival_id
                )
            )
            return {row.sop_instance_uid: row.series_instance_uid for row in rows}

    def look_again(self, seen: Arriving, after_s: float, *, expected: int | None, why: str) -> bool:
        """Have a study looked at again later, unless an instance has come since."""
        with self._ledger.transaction() as session:
            done = session.execute(
                _unchanged(seen)
                .values(
                    look_at=LedgerClock() + after_s,
                    looks=Arrival.looks + 1,
                    expected=expected,
                    why=why,
                )
                .returning(Arrival.id)
            )
            return done.first() is not None

    def take(self, session: Transaction, seen: Arriving, why: str) -> bool:
        """Take a study for whole, unless an instance has come since it was seen.

        Parameters
        ----------
        session
            The transaction that its jobs are submitted in.
        seen
            The study as it was seen.
        why
            What it is taken for whole for.
        """
        done = session.execute(
            _unchanged(seen)
            .values(
                state=ArrivalState.TAKEN,
                revision=Arrival.revision + 1,
                taken_at=LedgerClock(),
                why=why,
            )
            .returning(Arrival.id)
        )
        return done.first() is not None


def _unchanged(seen: Arriving) -> Update:
    """Return an update of a study that no instance has come of since it was seen."""
    return update(Arrival).where(
        Arrival.id == seen.arrival_id,
        Arrival.state == ArrivalState.ARRIVING,
        Arrival.last_at == seen.last_at,
    )


def _arriving(session: Session, row: Arrival) -> Arriving:
    """Return what a row says."""
    now_s = session.execute(select(LedgerClock())).scalar_one()
    count = select(func.count()).where(InstanceRow.arrival_id == row.id)
    return Arriving(
        arrival_id=row.id,
        study_instance_uid=row.study_instance_uid,
        state=ArrivalState(row.state),
        revision=row.revision,
        looks=row.looks,
        last_at=row.last_at,
        quiet_s=now_s - row.last_at,
        expected=row.expected,
        expected_uids=tuple(row.expected_uids or ()),
        n_instances=session.execute(count).scalar_one(),
        why=row.why,
    )
