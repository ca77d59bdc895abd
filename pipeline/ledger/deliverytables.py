"""The tables of what is sent to other systems, and of the steps that are performed for them.

They hold UIDs, digests, states and times, and no attribute of a patient. Times as numbers are the
ledger's [s].
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Float,
    ForeignKey,
    Index,
    String,
    Text,
    false,
)
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.ledger.tables import SHA256_LENGTH, UID_LENGTH, Base, now


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    """It waits for its turn, or to be tried again."""

    SENDING = "sending"
    """A process sends it now."""

    CONFIRMING = "confirming"
    """Everything was sent; the proof is waited for."""

    DONE = "done"
    """It was sent, and proven as the destination's settings ask."""

    REFUSED = "refused"
    """The destination will not take it."""

    BLOCKED = "blocked"
    """An object of it breaks the rules of its kind; nothing of it is sent."""

    HELD = "held"
    """A person, or a destination that is not known, keeps it back."""

    CANCELLED = "cancelled"
    """A person has ended it."""


class DeliveryRow(Base):
    """The result of a job on its way to one destination."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Unique("job_id", "destination"),
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in DeliveryState)})", "state"),
        Index(None, "destination", "state", "rank", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    destination: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    rank: Mapped[int]
    """The lower, the sooner: the job's priority with its sign changed, below its lane's."""
    attempts: Mapped[int] = mapped_column(server_default="0")
    """How often it was claimed: the number of the last claim."""
    failures: Mapped[int] = mapped_column(server_default="0")
    """Attempts that failed in a row, for a reason that may pass."""
    not_before: Mapped[float | None] = mapped_column(Float)
    owner: Mapped[str | None] = mapped_column(String(255))
    lease_until: Mapped[float | None] = mapped_column(Float)
    sent_s: Mapped[float | None] = mapped_column(Float)
    """When everything had been sent; None while something is not."""
    error: Mapped[str | None] = mapped_column(String(128))
    """Class of the failure of the last attempt."""
    reason: Mapped[str | None] = mapped_column(Text)
    """Its message."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    created_s: Mapped[float] = mapped_column(Float)
    done_s: Mapped[float | None] = mapped_column(Float)


class DeliveredObject(Base):
    """An artifact of a delivery that a destination has answered for."""

    __tablename__ = "delivered_objects"

    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    relative_path: Mapped[str] = mapped_column(Text, primary_key=True)
    """Path of the artifact under the job's folder."""
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    """Of the artifact, as the ledger had it then."""
    sent_sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    """Of the file as it was sent: another one where it was de-identified."""
    sop_class_uid: Mapped[str | None] = mapped_column(String(UID_LENGTH))
    """This and the UIDs below as they were sent; None for a file that is no DICOM object."""
    sop_instance_uid: Mapped[str | None] = mapped_column(String(UID_LENGTH))
    series_instance_uid: Mapped[str | None] = mapped_column(String(UID_LENGTH))
    study_instance_uid: Mapped[str | None] = mapped_column(String(UID_LENGTH))
    status: Mapped[str] = mapped_column(String(16))
    """What it was answered with: four hexadecimal digits of DIMSE, or a code of HTTP."""
    is_confirmed: Mapped[bool] = mapped_column(server_default=false())
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class DestinationRow(Base):
    """How a destination is: whether it answers, and whether a person holds it."""

    __tablename__ = "destinations"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int] = mapped_column(server_default="0")
    """Failures in a row."""
    closed_until: Mapped[float | None] = mapped_column(Float)
    """Nothing is sent before, since too much has failed; then one attempt is."""
    held: Mapped[str | None] = mapped_column(Text)
    """Why a person, or a refusal that holds for everything, keeps all back; None lets it go."""
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class CommitmentRow(Base):
    """A request for storage commitment (PS3.4, J) and what was answered."""

    __tablename__ = "commitments"

    transaction_uid: Mapped[str] = mapped_column(String(UID_LENGTH), primary_key=True)
    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.id", ondelete="CASCADE"), index=True
    )
    asked_at: Mapped[float] = mapped_column(Float)
    answered_at: Mapped[float | None] = mapped_column(Float)
    committed: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """SOP Instance UIDs that the archive answers for."""
    failed: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True))
    """Failure reasons (0008,1197) by SOP Instance UID."""


class WorkitemRow(Base):
    """A procedure step of another system's worklist that this installation performs (PS3.4, CC)."""

    __tablename__ = "workitems"

    sop_instance_uid: Mapped[str] = mapped_column(String(UID_LENGTH), primary_key=True)
    worklist: Mapped[str] = mapped_column(String(64))
    """Name of the worklist in the settings."""
    transaction_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    """What it was claimed with: only who knows it may change it."""
    state: Mapped[str] = mapped_column(String(16))
    """PS3.4 CC.1.1: ``IN PROGRESS``, ``COMPLETED`` or ``CANCELED``; or ``SCHEDULED`` while it is
    being claimed."""
    study_instance_uid: Mapped[str | None] = mapped_column(String(UID_LENGTH), index=True)
    job_ids: Mapped[list[str]] = mapped_column(JSON)
    """The jobs that it is done by."""
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it was given up, or what it waits for."""
    progress: Mapped[int] = mapped_column(server_default="0")
    """What the worklist was last told: Procedure Step Progress (0074,1004) [%]."""
    cancel_requested: Mapped[bool] = mapped_column(server_default=false())
    """Whether somebody asks for it to be given up."""
    claimed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
