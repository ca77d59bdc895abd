"""The tables of what other systems send here.

They hold UIDs, digests, states and times, and no attribute of a patient. Times as numbers are the
ledger's [s].
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Float,
    ForeignKey,
    Index,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.ledger.tables import SHA256_LENGTH, UID_LENGTH, Base, now


class ArrivalState(StrEnum):
    """Where a study stands that is received."""

    ARRIVING = "arriving"
    """Instances may still come."""

    TAKEN = "taken"
    """It is, or was taken for, whole, and its jobs are submitted."""


class Arrival(Base):
    """A study that is received."""

    __tablename__ = "arrivals"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in ArrivalState)})", "state"),
        Index(None, "state", "look_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(String(UID_LENGTH), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int] = mapped_column(server_default="0")
    """How often it was taken."""
    first_at: Mapped[float] = mapped_column(Float)
    """When its first instance came, since it was last taken."""
    last_at: Mapped[float] = mapped_column(Float)
    """When its last instance came."""
    look_at: Mapped[float] = mapped_column(Float)
    """When it is to be looked at again."""
    looks: Mapped[int] = mapped_column(server_default="0")
    """How often it was looked at since its last instance."""
    taken_at: Mapped[float | None] = mapped_column(Float)
    """When it was last taken."""
    expected: Mapped[int | None]
    """Instances that it has elsewhere, as far as somebody said; None if nobody did."""
    expected_uids: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    """SOP Instance UIDs that somebody said were available."""
    why: Mapped[str | None] = mapped_column(Text)
    """Why it was taken, or what it waits for: numbers, UIDs, tags and names of nodes."""


class InstanceRow(Base):
    """An instance that was received, and lies on disk."""

    __tablename__ = "instances"
    __table_args__ = (Index(None, "arrival_id", "series_instance_uid"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    arrival_id: Mapped[int] = mapped_column(ForeignKey("arrivals.id", ondelete="CASCADE"))
    sop_instance_uid: Mapped[str] = mapped_column(String(UID_LENGTH), unique=True)
    series_instance_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    sop_class_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    transfer_syntax_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    """Of the encoded data set, without the file's meta information."""
    size: Mapped[int] = mapped_column(BigInteger)
    """Length of the encoded data set [byte]."""
    relative_path: Mapped[str] = mapped_column(Text)
    """Path under the inbox, with forward slashes."""
    sender: Mapped[str] = mapped_column(String(80))
    """Who sent it: ``c-store TITLE``, ``stow-rs``, ``fetch NODE``."""
    received_at: Mapped[float] = mapped_column(Float)


class Suspect(Base):
    """A data set that came under the UID of another one, or that cannot be kept as an instance."""

    __tablename__ = "suspects"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str | None] = mapped_column(String(UID_LENGTH), index=True)
    sop_instance_uid: Mapped[str | None] = mapped_column(String(UID_LENGTH), index=True)
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH), unique=True)
    relative_path: Mapped[str] = mapped_column(Text)
    """Path under the inbox, with forward slashes."""
    sender: Mapped[str] = mapped_column(String(80))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
