"""The audit log: who did what to what, when, for good.

Each event holds the digest of the one before, so that a change of any leaves a chain that does not
close. The database refuses to change or remove one; who gets around that is found by ``verify``.
What is cut off at the end leaves a chain that closes: keep the head elsewhere, and have it looked
for.

The fields are those of an audit message (DICOM PS3.15, A.5.2; IETF RFC 3881): what happened, by
whom and from where, to what, and with what outcome. They name accounts, UIDs and versions, and no
attribute of a patient.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import DateTime, String, Text, select, text
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.identity import digest_bytes
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.tables import SHA256_LENGTH, Base, now
from pipeline.ledger.wallclock import kept_by

BEGINNING = "0" * SHA256_LENGTH
"""What the first event names as the digest before it."""

CHAIN_LOCK = 0x7E5A12
"""Key of PostgreSQL's advisory lock that who adds an event holds to the end of the transaction."""

PAGE = 1000
"""Events that are read at a time."""


class AuditRow(Base):
    """One event; rows are added, and never changed or removed."""

    __tablename__ = "audit_events"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Place in the chain, from 1, without gaps."""
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    clock: Mapped[str] = mapped_column(String(64))
    """Where the time comes from: the machine, and whether its clock was kept by another."""
    action: Mapped[str] = mapped_column(String(64), index=True)
    outcome: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(255), index=True)
    role: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(255), index=True)
    detail: Mapped[str] = mapped_column(Text)
    """JSON in one form only: keys in order, no space."""
    before: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    """Digest of the event before."""
    digest: Mapped[str] = mapped_column(String(SHA256_LENGTH), unique=True)
    """SHA-256 of all other fields."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Audited:
    """Something that somebody did."""

    action: str
    """What was done: ``model promoted``, ``result viewed``."""

    actor: str
    """Who did it: an account, or a person of the machine (``pipeline.owner.this_person``)."""

    subject: str
    """What it was done to, its kind first: ``job 6f1c...``, ``account anna``."""

    detail: Mapping[str, object] = field(default_factory=dict)
    """JSON values that say more: UIDs, versions, numbers; nothing of a patient."""

    succeeded: bool = True
    """False where it was tried and refused."""

    role: str | None = None
    """The role that the actor had."""

    address: str | None = None
    """Network address that the actor came from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An event of the log."""

    number: int
    """Its place, from 1."""

    at: datetime
    """When, UTC."""

    clock: str
    """Where the time comes from."""

    audited: Audited
    """What was done."""

    digest: str
    """Its digest."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        done = self.audited
        return {
            "number": self.number,
            "at": self.at.isoformat(),
            "clock": self.clock,
            "action": done.action,
            "outcome": _outcome(done),
            "actor": done.actor,
            "role": done.role,
            "address": done.address,
            "subject": done.subject,
            "detail": dict(done.detail),
            "digest": self.digest,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """What was found of the whole log."""

    events: int
    """Events that the chain holds, up to the first fault."""

    head: str
    """Digest of the last of them; keep it elsewhere to prove later that nothing was cut off."""

    fault: str | None
    """What is wrong, and from which event on; None where the chain closes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sought:
    """Which events are asked for; what is None does not matter."""

    action: str | None = None
    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None
    limit: int | None = None
    """How many at most, the last ones."""


def record_within(session: Transaction, audited: Audited) -> None:
    """Add an event to a transaction: it is recorded with what it tells of, or not at all.

    On PostgreSQL, whoever adds one waits for those who have added one and not yet ended: add it
    last.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SELECT pg_advisory_xact_lock({CHAIN_LOCK})"))
    last = session.scalars(select(AuditRow).order_by(AuditRow.number.desc()).limit(1)).first()
    row = AuditRow(
        number=1 if last is None else last.number + 1,
        at=now(),
        clock=kept_by(),
        action=audited.action,
        outcome=_outcome(audited),
        actor=audited.actor,
        role=audited.role,
        address=audited.address,
        subject=audited.subject,
        detail=_canonical(dict(audited.detail)),
        before=BEGINNING if last is None else last.digest,
        digest="",
    )
    row.digest = _digest(row)
    session.add(row)
    session.flush()


def record(ledger: Ledger, audited: Audited) -> None:
    """Add an event in a transaction of its own.

    Raises
    ------
    LedgerUnavailable
        If it cannot be recorded: what it tells of must not be done then.
    """
    with ledger.transaction() as session:
        record_within(session, audited)


def entries(ledger: Ledger, sought: Sought | None = None) -> tuple[Entry, ...]:
    """Return events, the earliest first.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be read.
    """
    sought = sought or Sought()
    found = select(AuditRow).order_by(AuditRow.number.desc())
    for column, wanted in (
        (AuditRow.action, sought.action),
        (AuditRow.actor, sought.actor),
        (AuditRow.subject, sought.subject),
    ):
        if wanted is not None:
            found = found.where(column == wanted)
    if sought.since is not None:
        found = found.where(AuditRow.at >= sought.since)
    if sought.limit is not None:
        found = found.limit(sought.limit)
    with ledger.reading() as session:
        return tuple(entry_of(row) for row in reversed(session.scalars(found).all()))


def verify(ledger: Ledger, kept: str | None = None) -> Chain:
    """Follow the chain from its beginning.

    Parameters
    ----------
    ledger
        The ledger.
    kept
        Digest of an event that was kept elsewhere: it must be one of the chain's.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be read.
    """
    events, head, seen = 0, BEGINNING, kept is None
    for row in _rows(ledger):
        fault = fault_of(row, events + 1, head)
        if fault is not None:
            return Chain(events=events, head=head, fault=fault)
        events, head = row.number, row.digest
        seen = seen or head == kept
    fault = None if seen else "the event whose digest was kept is not in the log: it was cut off"
    return Chain(events=events, head=head, fault=fault)


def _rows(ledger: Ledger) -> Iterator[AuditRow]:
    """Return the events in order, without holding all of them."""
    last = 0
    while True:
        page = select(AuditRow).where(AuditRow.number > last).order_by(AuditRow.number).limit(PAGE)
        with ledger.reading() as session:
            rows = session.scalars(page).all()
            yield from rows
            if len(rows) < PAGE:
                return
            last = rows[-1].number


def fault_of(row: AuditRow, number: int, before: str) -> str | None:
    """Tell what is wrong with the event that ought to be the next."""
    if row.number != number:
        return f"event {number} is missing"
    if row.before != before:
        return f"event {number} does not follow the one before it"
    if row.digest != _digest(row):
        return f"event {number} was changed"
    return None


def _digest(row: AuditRow) -> str:
    """Return the digest of all that an event holds."""
    # SQLite keeps no zone; all times are UTC.
    fields = {
        "number": row.number,
        "at": row.at.replace(tzinfo=UTC).isoformat(),
        "clock": row.clock,
        "action": row.action,
        "outcome": row.outcome,
        "actor": row.actor,
        "role": row.role,
        "address": row.address,
        "subject": row.subject,
        "detail": row.detail,
        "before": row.before,
    }
    return digest_bytes(_canonical(fields).encode())


def _canonical(values: Mapping[str, object]) -> str:
    """Return JSON in its only form."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _outcome(audited: Audited) -> str:
    """Return the word for an outcome."""
    return "done" if audited.succeeded else "refused"


def entry_of(row: AuditRow) -> Entry:
    """Return what a row says."""
    return Entry(
        number=row.number,
        at=row.at.replace(tzinfo=UTC),
        clock=row.clock,
        audited=Audited(
            action=row.action,
            actor=row.actor,
            subject=row.subject,
            detail=json.loads(row.detail),
            succeeded=row.outcome == "done",
            role=row.role,
            address=row.address,
        ),
        digest=row.digest,
    )
