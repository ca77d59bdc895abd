"""Accounts of the review page: who may sign in, and what for.

Every change is recorded in the audit log, in the same transaction. An account is never removed:
the log and the readings name it; it is closed instead.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Boolean, DateTime, String, Text, select, true
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.errors import UnusableCall
from pipeline.ledger.audit import Audited, record_within
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.tables import Base, now

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
"""How an account is named."""

DISPLAY_NAME = re.compile(r"[^\x00-\x1f\x7f\\=]{1,64}")
"""A person's name, as PN of PS3.5, 6.2 can hold it."""


class Role(StrEnum):
    """What an account may do; each may what the one before may."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    ADMINISTRATOR = "administrator"

    def includes(self, other: "Role") -> bool:
        """Tell whether it may do what another may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


class AccountRow(Base):
    """An account."""

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    display_name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str | None] = mapped_column(Text)
    """Argon2id, with its salt and parameters; None for one of OpenID Connect."""
    subject: Mapped[str | None] = mapped_column(String(255), unique=True)
    """Digest of issuer and subject at a provider of OpenID Connect."""
    is_open: Mapped[bool] = mapped_column(Boolean, server_default=true())
    first_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Time until which a password that somebody else has chosen holds; None for one's own."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Somebody who may sign in."""

    name: str
    """The account's name."""

    display_name: str
    """The person's name."""

    role: Role
    """What it may do."""

    is_open: bool = True
    """Whether it may sign in."""

    is_local: bool = True
    """Whether it has a password here."""

    must_change: bool = False
    """Whether somebody else has chosen its password."""

    created_at: datetime | None = None
    """Since when it is known, UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """What a password is checked with."""

    account: Account
    """Whose it is."""

    password: str
    """The digest."""

    first_until: datetime | None
    """Time until which it holds; None for ever."""


@dataclass(frozen=True, kw_only=True, slots=True)
class By:
    """Who changes an account."""

    actor: str
    """An account, or a person of the machine."""

    role: str | None = None
    """The actor's role."""

    address: str | None = None
    """Where the actor came from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewAccount:
    """An account to be made."""

    name: str
    """Its name."""

    display_name: str
    """The person's name."""

    role: Role
    """What it may do."""

    password: str | None = None
    """Digest of its password; None for one of OpenID Connect."""

    subject: str | None = None
    """Digest of issuer and subject, for one of OpenID Connect."""

    first_until: datetime | None = None
    """Time until which the password holds; None for ever."""

    def __post_init__(self) -> None:
        """Check the names.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        if NAME.fullmatch(self.name) is None:
            raise UnusableCall("a name has 1 to 64 small letters, digits, dots, _, @ and -")
        check_display_name(self.display_name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What is changed of an account; what is None stays."""

    display_name: str | None = None
    """The person's name."""

    role: Role | None = None
    """What it may do."""

    is_open: bool | None = None
    """Whether it may sign in."""

    password: str | None = None
    """Digest of a new password."""

    first_until: datetime | None = None
    """Time until which the new password holds; None for ever."""


def check_display_name(name: str) -> None:
    """Check a person's name.

    Raises
    ------
    UnusableCall
        If it is not possible.
    """
    if DISPLAY_NAME.fullmatch(name) is None or not name.strip():
        raise UnusableCall("a person's name has 1 to 64 characters, none of them \\ or =")


def accounts(ledger: Ledger) -> tuple[Account, ...]:
    """Return all accounts by name."""
    with ledger.reading() as session:
        rows = session.scalars(select(AccountRow).order_by(AccountRow.name)).all()
        return tuple(account_of(row) for row in rows)


def secret_of(ledger: Ledger, name: str) -> Secret | None:
    """Return what the password of an open account is checked with; None if there is none."""
    with ledger.reading() as session:
        row = session.get(AccountRow, name)
        if row is None or row.password is None or not row.is_open:
            return None
        return Secret(
            account=account_of(row), password=row.password, first_until=_utc(row.first_until)
        )


def account_with_subject(ledger: Ledger, subject: str) -> Account | None:
    """Return the account of somebody at a provider of OpenID Connect."""
    with ledger.reading() as session:
        row = session.scalars(select(AccountRow).where(AccountRow.subject == subject)).first()
        return None if row is None else account_of(row)


def add_account(ledger: Ledger, new: NewAccount, by: By) -> Account:
    """Make an account.

    Raises
    ------
    UnusableCall
        If there is one of that name.
    """
    with ledger.transaction() as session:
        if session.get(AccountRow, new.name) is not None:
            raise UnusableCall(f"there is an account {new.name}")
        row = AccountRow(
            name=new.name,
            display_name=new.display_name,
            role=new.role,
            password=new.password,
            subject=new.subject,
            first_until=new.first_until,
            is_open=True,
        )
        session.add(row)
        session.flush()
        _audit(session, "account added", new.name, by, {"role": str(new.role)})
        return account_of(row)


def change_account(
    ledger: Ledger,
    name: str,
    change: Change,
    by: By,
    within: Callable[[Transaction], object] = lambda _: None,
) -> Account:
    """Change an account; the last administrator who can sign in stays one.

    Parameters
    ----------
    ledger
        The ledger.
    name
        The account.
    change
        What is changed.
    by
        Who changes it.
    within
        Adds to the transaction.

    Raises
    ------
    UnusableCall
        If there is no such account, or no administrator would be left.
    """
    if change.display_name is not None:
        check_display_name(change.display_name)
    with ledger.transaction() as session:
        row = session.get(AccountRow, name, with_for_update=True)
        if row is None:
            raise UnusableCall(f"no account {name}")
        _apply(row, change)
        session.flush()
        _keep_an_administrator(session)
        within(session)
        _audit(session, "account changed", name, by, _told(change))
        return account_of(row)


def account_of(row: AccountRow) -> Account:
    """Return what a row says."""
    return Account(
        name=row.name,
        display_name=row.display_name,
        role=Role(row.role),
        is_open=row.is_open,
        is_local=row.password is not None,
        must_change=row.first_until is not None,
        created_at=_utc(row.created_at),
    )


def _apply(row: AccountRow, change: Change) -> None:
    """Change a row."""
    for key in ("display_name", "role", "is_open"):
        value = getattr(change, key)
        if value is not None:
            setattr(row, key, value)
    if change.password is not None:
        row.password, row.first_until = change.password, change.first_until
    row.changed_at = now()


def _keep_an_administrator(session: Transaction) -> None:
    """Refuse what would leave nobody to keep the accounts."""
    query = select(AccountRow.name).where(
        AccountRow.role == Role.ADMINISTRATOR, AccountRow.is_open.is_(True)
    )
    if session.scalars(query.limit(1)).first() is None:
        raise UnusableCall("no administrator would be left")


def _told(change: Change) -> dict[str, object]:
    """Return what the audit log tells of a change; a password is told of, and no name."""
    told: dict[str, object] = {}
    if change.role is not None:
        told["role"] = str(change.role)
    if change.is_open is not None:
        told["open"] = change.is_open
    for key in ("password", "display_name"):
        if getattr(change, key) is not None:
            told[key] = "changed"
    return told


def _audit(session: Transaction, action: str, name: str, by: By, detail: dict[str, object]) -> None:
    """Record a change."""
    record_within(
        session,
        Audited(
            action=action,
            actor=by.actor,
            role=by.role,
            address=by.address,
            subject=f"account {name}",
            detail=detail,
        ),
    )


def _utc(at: datetime | None) -> datetime | None:
    """Return a time of the ledger with its zone: SQLite keeps none."""
    return None if at is None else at.replace(tzinfo=UTC)
