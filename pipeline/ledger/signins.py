"""Sessions of the review page, and the views that accounts have saved.

A session is found by the SHA-256 of its token: who reads the ledger cannot sign in with it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import DateTime, ForeignKey, String, Text, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.errors import UnusableCall
from pipeline.ledger.accounts import Account, AccountRow, account_of
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.tables import SHA256_LENGTH, Base

MOST_VIEWS = 100
"""Saved views that an account may have."""


class SessionRow(Base):
    """A session."""

    __tablename__ = "review_sessions"

    token_sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    """When it ends, whatever is asked."""


class ViewRow(Base):
    """A view of the worklist that an account has saved."""

    __tablename__ = "saved_views"

    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    query: Mapped[str] = mapped_column(Text)
    """JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignIn:
    """A session that holds."""

    token_sha256: str
    """SHA-256 of its token, hexadecimal."""

    account: Account
    """Whose it is, as the account is now."""

    seen_at: datetime
    """When it was last used, UTC."""

    expires_at: datetime
    """When it ends, whatever is asked, UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedView:
    """A view of the worklist."""

    name: str
    """Its name."""

    query: Mapping[str, object]
    """What it asks for, as JSON values."""


def add_session(
    session: Transaction, token_sha256: str, account: str, times: tuple[datetime, datetime]
) -> None:
    """Add a session to a transaction, and remove those that have ended.

    Parameters
    ----------
    session
        The transaction.
    token_sha256
        SHA-256 of the token, hexadecimal.
    account
        Whose it is.
    times
        When it begins and when it ends at the latest, UTC.
    """
    at, expires_at = times
    session.execute(delete(SessionRow).where(SessionRow.expires_at <= at))
    session.add(
        SessionRow(
            token_sha256=token_sha256,
            account=account,
            created_at=at,
            seen_at=at,
            expires_at=expires_at,
        )
    )


def find_session(ledger: Ledger, token_sha256: str) -> SignIn | None:
    """Return a session whose account may sign in; its times are not looked at."""
    query = (
        select(SessionRow, AccountRow)
        .join(AccountRow, AccountRow.name == SessionRow.account)
        .where(SessionRow.token_sha256 == token_sha256, AccountRow.is_open.is_(True))
    )
    with ledger.reading() as session:
        found = session.execute(query).one_or_none()
        if found is None:
            return None
        row, account = found
        return SignIn(
            token_sha256=token_sha256,
            account=account_of(account),
            seen_at=row.seen_at.replace(tzinfo=UTC),
            expires_at=row.expires_at.replace(tzinfo=UTC),
        )


def touch_session(ledger: Ledger, token_sha256: str, at: datetime) -> None:
    """Record that a session is used."""
    with ledger.transaction() as session:
        session.execute(
            update(SessionRow).where(SessionRow.token_sha256 == token_sha256).values(seen_at=at)
        )


def end_session(session: Transaction, token_sha256: str) -> None:
    """End a session, within a transaction."""
    session.execute(delete(SessionRow).where(SessionRow.token_sha256 == token_sha256))


def end_sessions_of(session: Transaction, account: str, but: str | None = None) -> None:
    """End the sessions of an account, all but one if one is named, within a transaction."""
    gone = delete(SessionRow).where(SessionRow.account == account)
    session.execute(gone if but is None else gone.where(SessionRow.token_sha256 != but))


def views_of(ledger: Ledger, account: str) -> tuple[SavedView, ...]:
    """Return the views that an account has saved, by name."""
    query = select(ViewRow).where(ViewRow.account == account).order_by(ViewRow.name)
    with ledger.reading() as session:
        return tuple(
            SavedView(name=row.name, query=json.loads(row.query)) for row in session.scalars(query)
        )


def save_view(ledger: Ledger, account: str, view: SavedView) -> None:
    """Save a view, in place of one of that name.

    Raises
    ------
    UnusableCall
        If the account has too many.
    """
    with ledger.transaction() as session:
        row = session.get(ViewRow, (account, view.name))
        if row is not None:
            row.query = json.dumps(view.query)
            return
        names = session.scalars(select(ViewRow.name).where(ViewRow.account == account)).all()
        if len(names) >= MOST_VIEWS:
            raise UnusableCall(f"{MOST_VIEWS} views are saved, remove one")
        session.add(ViewRow(account=account, name=view.name, query=json.dumps(view.query)))


def remove_view(ledger: Ledger, account: str, name: str) -> bool:
    """Remove a view, and tell whether there was one."""
    with ledger.transaction() as session:
        gone = delete(ViewRow).where(ViewRow.account == account, ViewRow.name == name)
        return session.execute(gone.returning(ViewRow.name)).first() is not None
