"""The versions of models that a site has imported, and what each does in the service.

At most one version of an analysis is live, and at most one a canary; the database holds that, too.
Where no version is live, the installed bundle is. A change is one transaction with its event in the
audit log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import CheckConstraint, DateTime, Float, Index, String, select, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.errors import UnusableCall
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.roles import ONE_ONLY, Role, may_become
from pipeline.ledger.tables import SHA256_LENGTH, Base, now

INSTALLED = "installed"
"""Name of the bundle that serves where no version is live."""

LEAST_DIGITS = 6
"""Fewer digits of a digest are not taken for one."""

DONE_BY = {
    Role.ENABLED: "model enabled",
    Role.SHADOW: "model made shadow",
    Role.CANARY: "model made canary",
    Role.LIVE: "model promoted",
    Role.RETIRED: "model retired",
}
"""What the audit log calls a change, by the new role."""


def _only_one(role: Role) -> Index:
    """Return the index that lets one version of an analysis have a role."""
    where = text(f"role = '{role.value}'")
    # PostgreSQL's has the same condition, by its migration: to state it here would load PostgreSQL
    # wherever versions are asked for.
    return Index(f"uq_model_versions_{role.value}", "analysis", unique=True, sqlite_where=where)


class VersionRow(Base):
    """A version of the model of an analysis."""

    __tablename__ = "model_versions"
    __table_args__ = (
        CheckConstraint(f"role IN ({', '.join(repr(r.value) for r in Role)})", name="role"),
        Unique("analysis", "name", "version"),
        _only_one(Role.LIVE),
        _only_one(Role.CANARY),
    )

    digest: Mapped[str] = mapped_column(String(SHA256_LENGTH), primary_key=True)
    """Digest of its bundle."""
    analysis: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(255))
    version: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    share: Mapped[float | None] = mapped_column(Float)
    """Share of the studies that a canary does, 0 to 1."""
    before: Mapped[str | None] = mapped_column(String(SHA256_LENGTH))
    """Digest of what was live before this one; None for the installed bundle."""
    imported_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A bundle that is to become a version."""

    analysis: str
    """Name of the analysis."""

    name: str
    """Name of the model."""

    version: str
    """Its version."""

    digest: str
    """Digest of its bundle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A version that is in the registry."""

    analysis: str
    """Name of the analysis."""

    name: str
    """Name of the model."""

    version: str
    """Its version."""

    digest: str
    """Digest of its bundle."""

    role: Role
    """What it does."""

    share: float | None
    """Share of the studies that it does as a canary, 0 to 1."""

    before: str | None
    """Digest of what was live before it was; None for the installed bundle, or if it never was."""

    imported_at: datetime
    """When it was imported, UTC."""

    changed_at: datetime
    """When its role last changed, UTC."""

    @property
    def label(self) -> str:
        """How commands name it: ``perfusion@1.2.0``."""
        return f"{self.analysis}@{self.version}"

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "analysis": self.analysis,
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "role": self.role.value,
            "share": self.share,
            "before": self.before,
            "imported_at": self.imported_at.isoformat(),
            "changed_at": self.changed_at.isoformat(),
        }


class Versions:
    """The versions of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def listed(self, analysis: str | None = None) -> tuple[Version, ...]:
        """Return the versions, those of an analysis together, in the order they were imported."""
        query = select(VersionRow).order_by(VersionRow.analysis, VersionRow.imported_at)
        if analysis is not None:
            query = query.where(VersionRow.analysis == analysis)
        with self._ledger.reading() as session:
            return tuple(_version(row) for row in session.scalars(query))

    def named(self, name: str) -> Version:
        """Return the version of a name: ``perfusion@1.2.0``, or the first digits of a digest.

        Raises
        ------
        UnusableCall
            If there is none, or more than one.
        """
        analysis, at, version = name.partition("@")
        every = self.listed()
        if at:
            found = [v for v in every if v.analysis == analysis and v.version == version]
        else:
            enough = len(name) >= LEAST_DIGITS
            found = [v for v in every if enough and v.digest.startswith(name.lower())]
        if len(found) == 1:
            return found[0]
        if found:
            raise UnusableCall(
                f"{name!r} is {len(found)} versions: "
                f"{', '.join(f'{v.name} {v.digest[:12]}' for v in found)}; name one by its digest"
            )
        known = ", ".join(v.label for v in every) or "none"
        raise UnusableCall(f"no version {name!r} in the registry; known are {known}")

    def add(self, candidate: Candidate, actor: str, signed_by: str | None = None) -> Version:
        """Record a bundle that was imported, by whose signature; one that is known stays as it is.

        Raises
        ------
        UnusableCall
            If another bundle has the same name and version.
        """
        with self._ledger.transaction() as session:
            known = session.get(VersionRow, candidate.digest)
            if known is not None:
                return _version(known)
            _refuse_second(session, candidate)
            row = VersionRow(
                digest=candidate.digest,
                analysis=candidate.analysis,
                name=candidate.name,
                version=candidate.version,
                role=Role.IMPORTED,
            )
            session.add(row)
            session.flush()
            _audit(session, row, "model imported", actor, {"signed_by": signed_by})
            return _version(row)

    def check(self, candidate: Candidate) -> None:
        """Refuse a bundle that cannot become a version.

        Raises
        ------
        UnusableCall
            If another bundle has the same name and version.
        """
        with self._ledger.reading() as session:
            _refuse_second(session, candidate)

    def enable(self, digest: str, actor: str) -> Version:
        """Let a version be given work, or take away the work that it has."""
        return self._change(digest, Role.ENABLED, actor, {})

    def retire(self, digest: str, actor: str) -> Version:
        """Give a version no work any more."""
        return self._change(digest, Role.RETIRED, actor, {})

    def shadow(self, digest: str, actor: str) -> Version:
        """Have a version do the studies beside live."""
        return self._change(digest, Role.SHADOW, actor, {})

    def canary(self, digest: str, share: float, actor: str) -> Version:
        """Have a version do a share of the studies instead of live.

        Raises
        ------
        UnusableCall
            If the share is none, the version may not, or another is the canary.
        """
        if not 0.0 < share < 1.0:
            raise UnusableCall(f"share is {share:g}, possible is more than 0 and less than 1")
        return self._change(digest, Role.CANARY, actor, {"share": share}, share=share)

    def promote(self, digest: str, actor: str, why: Mapping[str, object]) -> Version:
        """Make a version live; the one that was is remembered, and stays enabled.

        Parameters
        ----------
        digest
            The version.
        actor
            Who does it.
        why
            On what evidence, for the audit log.
        """
        with self._ledger.transaction() as session:
            row = _row(session, digest)
            _check(row, Role.LIVE)
            earlier = _holder(session, row.analysis, Role.LIVE)
            if earlier is not None:
                _become(session, earlier, Role.ENABLED)
            row.before = None if earlier is None else earlier.digest
            _become(session, row, Role.LIVE)
            before = INSTALLED if earlier is None else earlier.digest
            _audit(session, row, DONE_BY[Role.LIVE], actor, {"before": before, **why})
            return _version(row)

    def rollback(self, analysis: str, actor: str) -> Version | None:
        """Make live what was before the version that is live, and return it.

        Returns
        -------
            None if that is the installed bundle.

        Raises
        ------
        UnusableCall
            If no version is live, or the one before is retired.
        """
        with self._ledger.transaction() as session:
            row = _holder(session, analysis, Role.LIVE)
            if row is None:
                raise UnusableCall(f"no version of {analysis} is live: the installed bundle serves")
            back = None if row.before is None else _row(session, row.before)
            if back is not None:
                _check(back, Role.LIVE)
            _become(session, row, Role.ENABLED)
            if back is not None:
                _become(session, back, Role.LIVE)
            to = INSTALLED if back is None else back.digest
            _audit(session, row, "model rolled back", actor, {"to": to})
            return None if back is None else _version(back)

    def _change(
        self,
        digest: str,
        role: Role,
        actor: str,
        detail: Mapping[str, object],
        *,
        share: float | None = None,
    ) -> Version:
        """Give a version a role."""
        with self._ledger.transaction() as session:
            row = _row(session, digest)
            if row.role == role and role not in ONE_ONLY:
                return _version(row)
            if row.role == Role.LIVE:
                raise UnusableCall(
                    f"{row.analysis}@{row.version} is live: promote another version, or roll back"
                )
            _check(row, role)
            holder = _holder(session, row.analysis, role) if role in ONE_ONLY else None
            if holder is not None and holder.digest != digest:
                raise UnusableCall(
                    f"{holder.analysis}@{holder.version} is the {role.value}: enable it first, "
                    "which takes that away"
                )
            was = row.role
            _become(session, row, role, share)
            _audit(session, row, DONE_BY[role], actor, {"was": was, **detail})
            return _version(row)


def _refuse_second(session: Transaction, candidate: Candidate) -> None:
    """Refuse another bundle of the same name and version."""
    other = session.scalars(
        select(VersionRow).where(
            VersionRow.analysis == candidate.analysis,
            VersionRow.name == candidate.name,
            VersionRow.version == candidate.version,
            VersionRow.digest != candidate.digest,
        )
    ).one_or_none()
    if other is not None:
        raise UnusableCall(
            f"{candidate.name} {candidate.version} is known with the digest {other.digest[:12]}, "
            f"this bundle has {candidate.digest[:12]}: another bundle needs another version"
        )


def _row(session: Transaction, digest: str) -> VersionRow:
    """Return the row of a version, locked."""
    row = session.get(VersionRow, digest, with_for_update=True)
    if row is None:
        raise UnusableCall(f"no version of digest {digest[:12]} in the registry")
    return row


def _holder(session: Transaction, analysis: str, role: Role) -> VersionRow | None:
    """Return the version of an analysis that has a role."""
    query = select(VersionRow).where(VersionRow.analysis == analysis, VersionRow.role == role)
    return session.scalars(query.with_for_update()).one_or_none()


def _check(row: VersionRow, role: Role) -> None:
    """Refuse a change that is not possible."""
    if not may_become(Role(row.role), role):
        hint = ": enable it first" if row.role in (Role.IMPORTED, Role.RETIRED) else ""
        raise UnusableCall(
            f"{row.analysis}@{row.version} is {row.role}, and does not become {role.value}{hint}"
        )


def _become(session: Transaction, row: VersionRow, role: Role, share: float | None = None) -> None:
    """Give a row its role; at once, since the database lets one version have some."""
    row.role, row.share, row.changed_at = role.value, share, now()
    session.flush()


def _audit(
    session: Transaction, row: VersionRow, action: str, actor: str, detail: Mapping[str, object]
) -> None:
    """Record a change in the audit log."""
    # Only now: whoever asks which version does a study changes none.
    from pipeline.ledger.audit import Audited, record_within

    told = {"name": row.name, "version": row.version, "digest": row.digest, **detail}
    subject = f"model {row.analysis}@{row.version}"
    record_within(session, Audited(action=action, actor=actor, subject=subject, detail=told))


def _version(row: VersionRow) -> Version:
    """Return a row as a record."""
    return Version(
        analysis=row.analysis,
        name=row.name,
        version=row.version,
        digest=row.digest,
        role=Role(row.role),
        share=row.share,
        before=row.before,
        imported_at=row.imported_at.replace(tzinfo=UTC),
        changed_at=row.changed_at.replace(tzinfo=UTC),
    )
