"""Legal holds: studies that nothing may be removed of, neither on request nor by age."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from pipeline.errors import UnusableCall
from pipeline.ledger.audit import Audited, record_within
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.recordtables import HoldRow
from pipeline.ledger.tables import now

CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")
"""A reference to what a study is held for: no room for a name."""

UID = re.compile(r"[0-9]+(\.[0-9]+)*")
"""A UID, PS3.5, 9.1; its length is checked beside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """A study that is held."""

    study_instance_uid: str
    """The study."""

    case: str
    """What it is held for."""

    actor: str
    """Who holds it."""

    at: datetime
    """Since when, UTC."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "study_instance_uid": self.study_instance_uid,
            "case": self.case,
            "actor": self.actor,
            "at": self.at.isoformat(),
        }


def check_study(study_instance_uid: str) -> str:
    """Return a Study Instance UID that can be one.

    Raises
    ------
    UnusableCall
        If it is none.
    """
    if len(study_instance_uid) > 64 or UID.fullmatch(study_instance_uid) is None:
        raise UnusableCall("what is named is no Study Instance UID (0020,000D)")
    return study_instance_uid


def hold(ledger: Ledger, study_instance_uid: str, case: str, actor: str) -> None:
    """Hold a study, known or not; one that is held is held for the last case that is named.

    Raises
    ------
    UnusableCall
        If the case is no reference.
    """
    check_study(study_instance_uid)
    if CASE.fullmatch(case) is None:
        raise UnusableCall("a case has 1 to 64 letters, digits, dots, _, / and -")
    with ledger.transaction() as session:
        session.merge(
            HoldRow(study_instance_uid=study_instance_uid, case=case, actor=actor, at=now())
        )
        _audit(session, "study held", (study_instance_uid, case), actor)


def release(ledger: Ledger, study_instance_uid: str, actor: str) -> None:
    """Release a study that is held.

    Raises
    ------
    UnusableCall
        If it is not.
    """
    with ledger.transaction() as session:
        row = session.get(HoldRow, study_instance_uid)
        if row is None:
            raise UnusableCall(f"study {study_instance_uid} is not held")
        case = row.case
        session.delete(row)
        session.flush()
        _audit(session, "study released", (study_instance_uid, case), actor)


def holds(ledger: Ledger) -> tuple[Hold, ...]:
    """Return the studies that are held, the first first."""
    with ledger.reading() as session:
        rows = session.scalars(select(HoldRow).order_by(HoldRow.at, HoldRow.study_instance_uid))
        return tuple(
            Hold(
                study_instance_uid=row.study_instance_uid,
                case=row.case,
                actor=row.actor,
                at=row.at.replace(tzinfo=UTC),
            )
            for row in rows
        )


def _audit(session: Transaction, action: str, held: tuple[str, str], actor: str) -> None:
    """Record a change."""
    study, case = held
    record_within(
        session,
        Audited(action=action, actor=actor, subject=f"study {study}", detail={"case": case}),
    )
