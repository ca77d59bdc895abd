"""The tables of what is forgotten and what may not be, and of how far the audit log was sent."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, DateTime, ForeignKey, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.ledger.tables import SHA256_LENGTH, UID_LENGTH, Base, now


class ForgettingState(StrEnum):
    """How far the removal of a study is."""

    BEGUN = "begun"
    """The ledger knows nothing of the study any more; its files are being removed."""

    REMOVED = "removed"
    """The files are gone, and the certificate is written; the database may hold free pages."""

    DONE = "done"
    """Nothing is left."""


class ForgettingRow(Base):
    """The removal of a study. When it is done, nothing in it says which study it was."""

    __tablename__ = "forgettings"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in ForgettingState)})", "state"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    plan: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))
    """What is to be removed; None once it is."""
    certificate: Mapped[str | None] = mapped_column(String(SHA256_LENGTH))
    """SHA-256 of the certificate."""
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ForgottenJobRow(Base):
    """A job that is being forgotten: only its readings and corrections may be removed."""

    __tablename__ = "forgotten_jobs"

    job_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    forgetting_id: Mapped[UUID] = mapped_column(
        ForeignKey("forgettings.id", ondelete="CASCADE"), index=True
    )


class HoldRow(Base):
    """A study that nothing may be removed of."""

    __tablename__ = "legal_holds"

    study_instance_uid: Mapped[str] = mapped_column(String(UID_LENGTH), primary_key=True)
    case: Mapped[str] = mapped_column(String(64))
    """What it is held for: a reference of the site's own."""
    actor: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class ForwardingRow(Base):
    """How far the audit log was sent to one place."""

    __tablename__ = "audit_forwarding"

    target: Mapped[str] = mapped_column(String(255), primary_key=True)
    """URL of the place, without any secret."""
    number: Mapped[int]
    """The last event that was sent."""
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
