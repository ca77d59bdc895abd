"""What was received, in the ledger: each instance once.

Whoever records an instance first has it, and every other data set under its UID is told to be the
same, or not. This is done for every instance that comes, so the statements are made once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import PurePosixPath
from typing import cast

from sqlalchemy import Connection, Executable, Float, Table, bindparam, case, insert, select
from sqlalchemy.exc import IntegrityError

from pipeline.ledger.clock import LedgerClock
from pipeline.ledger.exchange import Arrival, ArrivalState, InstanceRow, Suspect
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.upsert import insertion


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """An instance that was received."""

    study_instance_uid: str
    """The study that it belongs to."""

    series_instance_uid: str
    """The series that it belongs to."""

    sop_instance_uid: str
    """Its own UID."""

    sop_class_uid: str
    """What it is."""

    transfer_syntax_uid: str
    """How it is encoded."""

    sha256: str
    """Of the encoded data set, without the file's meta information, hexadecimal."""

    size: int
    """Length of the encoded data set [byte]."""

    relative_path: PurePosixPath
    """Its file, under the inbox."""

    sender: str
    """Who sent it."""


class Standing(StrEnum):
    """What a data set is that was received."""

    NEW = "new"
    """The first under its UID: it is recorded."""

    SAME = "same"
    """What was received before, once more."""

    OTHER = "other"
    """Another one under the UID of what was received before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What the ledger says of a data set that was to be recorded."""

    standing: Standing
    """What it is."""

    first: PurePosixPath
    """File of the data set that was received first under the UID, under the inbox."""


class Reception:
    """What a ledger knows of the instances that were received. Several processes may use one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def record(self, instances: Sequence[Instance], look_after_s: float) -> list[Known]:
        """Record instances whose files are flushed and in place, in one transaction.

        Parameters
        ----------
        instances
            The instances; no two with the same UID.
        look_after_s
            Time after which their studies are looked at [s].

        Returns
        -------
            What each is, in their order.

        Raises
        ------
        LedgerUnavailable
            If the ledger cannot be written: none is recorded.
        """
        known: dict[str, tuple[str, str]] = {}
        while True:
            new = [i for i in instances if i.sop_instance_uid not in known]
            try:
                with self._ledger.connection() as connection:
                    _record_new(connection, new, look_after_s)
                return [_standing(instance, known) for instance in instances]
            except _KnownBefore:
                with self._ledger.connection() as connection:
                    known = _known(connection, [i.sop_instance_uid for i in instances])

    def suspect(self, instance: Instance, reason: str) -> None:
        """Record a data set that was set aside; the same one is recorded once."""
        values = {
            "study_instance_uid": instance.study_instance_uid,
            "sop_instance_uid": instance.sop_instance_uid,
            "sha256": instance.sha256,
            "relative_path": str(instance.relative_path),
            "sender": instance.sender,
            "reason": reason,
        }
        with self._ledger.transaction() as session:
            is_known = select(Suspect.id).where(Suspect.sha256 == instance.sha256)
            if session.scalar(is_known) is None:
                session.add(Suspect(**values))

    def has(self, sop_instance_uids: Collection[str]) -> set[str]:
        """Return those of some instances that were received."""
        with self._ledger.connection() as connection:
            return set(_known(connection, list(sop_instance_uids)))


class _KnownBefore(Exception):
    """One of the instances was recorded before, perhaps by another process just now."""


_ARRIVED = {
    "state": ArrivalState.ARRIVING,
    "first_at": LedgerClock(),
    "last_at": LedgerClock(),
    "look_at": LedgerClock() + bindparam("look_after_s", type_=Float()),
}
"""A study of which an instance has come."""

_KNOWN = select(InstanceRow.sop_instance_uid, InstanceRow.sha256, InstanceRow.relative_path).where(
    InstanceRow.sop_instance_uid.in_(bindparam("uids", expanding=True))
)

_COLUMNS = (
    *("sop_instance_uid", "series_instance_uid", "sop_class_uid", "transfer_syntax_uid"),
    *("sha256", "size", "sender"),
)
"""What a row takes from an instance as it is."""

_INSERT = insert(cast("Table", InstanceRow.__table__)).values(
    received_at=LedgerClock(),
    **{name: bindparam(name) for name in (*_COLUMNS, "arrival_id", "relative_path")},
)


def _record_new(connection: Connection, instances: Sequence[Instance], look_after_s: float) -> None:
    """Record instances that should be new, in statements that are few and made once: see above.

    Raises
    ------
    _KnownBefore
        If one is not.
    """
    # In one order, whoever else notes the same studies.
    studies = sorted({i.study_instance_uid for i in instances})
    ids = {uid: _noted(connection, uid, look_after_s) for uid in studies}
    rows = [
        {
            **{name: getattr(i, name) for name in _COLUMNS},
            "arrival_id": ids[i.study_instance_uid],
            "relative_path": str(i.relative_path),
        }
        for i in instances
    ]
    if rows:
        try:
            connection.execute(_INSERT, rows)
        except IntegrityError:
            raise _KnownBefore from None


def _known(connection: Connection, uids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return digest and file of the instances that are recorded, by their UIDs."""
    rows = connection.execute(_KNOWN, {"uids": uids})
    return {row.sop_instance_uid: (row.sha256, row.relative_path) for row in rows}


def _noted(connection: Connection, study_instance_uid: str, look_after_s: float) -> int:
    """Note that an instance of a study comes now, and return the study's row.

    One that was taken arrives anew.
    """
    values = {"study_instance_uid": study_instance_uid, "look_after_s": look_after_s}
    return int(connection.execute(_note(connection.dialect.name), values).scalar_one())


@cache
def _note(dialect: str) -> Executable:
    """Return the statement that notes a study, as a database words it."""
    values = {"study_instance_uid": bindparam("study_instance_uid"), **_ARRIVED}
    came = insertion(dialect, cast("Table", Arrival.__table__)).values(**values)
    is_new = Arrival.state != ArrivalState.ARRIVING
    return came.on_conflict_do_update(
        index_elements=["study_instance_uid"],
        set_={
            **{name: _ARRIVED[name] for name in ("state", "last_at", "look_at")},
            "looks": 0,
            "first_at": case((is_new, LedgerClock()), else_=Arrival.first_at),
            "expected": case((is_new, None), else_=Arrival.expected),
            "why": case((is_new, "late instances have come"), else_=Arrival.why),
        },
    ).returning(Arrival.id)


def _standing(instance: Instance, known: Mapping[str, tuple[str, str]]) -> Known:
    """Return what a data set is, by what is recorded under its UID."""
    if instance.sop_instance_uid not in known:
        return Known(standing=Standing.NEW, first=instance.relative_path)
    sha256, path = known[instance.sop_instance_uid]
    standing = Standing.SAME if sha256 == instance.sha256 else Standing.OTHER
    return Known(standing=standing, first=PurePosixPath(path))
