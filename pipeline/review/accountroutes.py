"""Routes of an administrator: accounts, and the audit log."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from pydantic import Field

from pipeline.errors import UnusableCall
from pipeline.ledger.accounts import (
    Account,
    Change,
    NewAccount,
    Role,
    accounts,
    add_account,
    change_account,
)
from pipeline.ledger.audit import Entry, Sought, entries
from pipeline.ledger.ledger import Transaction
from pipeline.ledger.signins import end_sessions_of
from pipeline.review.guard import Administrator, by
from pipeline.review.passwords import digest_of
from pipeline.review.problems import answers
from pipeline.review.site import TheSite

router = APIRouter(prefix="/api", tags=["administration"])

FIRST = timedelta(hours=24)
"""Time for which a password holds that an administrator has chosen."""

Name = Annotated[str, Path(max_length=64)]
"""Name of an account."""

Text = Annotated[str, Field(max_length=256)]
"""A short text of a request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountDetail:
    """An account."""

    name: str
    """Its name."""

    display_name: str
    """The person's name."""

    role: str
    """What it may do."""

    enabled: bool
    """Whether it may sign in."""

    is_local: bool
    """Whether it has a password here."""

    must_change: bool
    """Whether somebody else has chosen its password, which ends then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """An account to be made."""

    name: Text
    """Its name."""

    display_name: Text
    """The person's name."""

    role: Role
    """What it may do."""

    password: Text
    """Its password, to be changed within a day."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """What is changed of an account; what is null stays."""

    display_name: Text | None = None
    """The person's name."""

    role: Role | None = None
    """What it may do."""

    enabled: bool | None = None
    """Whether it may sign in."""

    password: Text | None = None
    """Its password, to be changed within a day."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEvent:
    """An event of the audit log."""

    number: int
    """Its place, from 1."""

    at: str
    """When, ISO 8601."""

    action: str
    """What was done."""

    outcome: str
    """``done`` or ``refused``."""

    actor: str
    """Who did it."""

    role: str | None
    """The role that the actor had."""

    address: str | None
    """Network address that the actor came from."""

    subject: str
    """What it was done to."""

    details: dict[str, Any]
    """What more there is to say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditPage:
    """Events of the audit log."""

    events: tuple[AuditEvent, ...]
    """The last ones first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditQuery:
    """Which events are asked for."""

    action: Annotated[str | None, Query(max_length=64)] = None
    """Of this kind."""

    actor: Annotated[str | None, Query(max_length=255)] = None
    """What this one did."""

    subject: Annotated[str | None, Query(max_length=255)] = None
    """What was done to this."""

    since: datetime | None = None
    """From then on, ISO 8601, UTC."""

    limit: Annotated[int, Query(ge=1, le=10_000)] = 200
    """How many at most, the last ones."""


@router.get("/accounts", responses=answers(401, 403))
def all_accounts(_account: Administrator, site: TheSite) -> tuple[AccountDetail, ...]:
    """Return all accounts."""
    return tuple(_told(each) for each in accounts(site.ledger))


@router.post("/accounts", status_code=201, responses=answers(400, 401, 403, 422))
def add(given: Added, account: Administrator, request: Request, site: TheSite) -> AccountDetail:
    """Make an account."""
    try:
        new = NewAccount(
            name=given.name,
            display_name=given.display_name,
            role=given.role,
            password=digest_of(given.password),
            first_until=site.clock() + FIRST,
        )
        return _told(add_account(site.ledger, new, by(account, request)))
    except UnusableCall as problem:
        raise HTTPException(400, str(problem)) from problem


@router.patch("/accounts/{name}", responses=answers(400, 401, 403, 422))
def change(
    name: Name, given: Changed, account: Administrator, request: Request, site: TheSite
) -> AccountDetail:
    """Change an account; its sessions end, unless it is one's own."""

    def within(session: Transaction) -> None:
        if name != account.name:
            end_sessions_of(session, name)

    try:
        is_new = given.password is not None
        asked = Change(
            display_name=given.display_name,
            role=given.role,
            is_open=given.enabled,
            password=None if given.password is None else digest_of(given.password),
            first_until=site.clock() + FIRST if is_new else None,
        )
        changed = change_account(site.ledger, name, asked, by(account, request), within)
        return _told(changed)
    except UnusableCall as problem:
        raise HTTPException(400, str(problem)) from problem


@router.get("/audit", responses=answers(401, 403, 422))
def audit(
    _account: Administrator,
    site: TheSite,
    sought: Annotated[AuditQuery, Depends()],
) -> AuditPage:
    """Return events of the audit log, the last ones first."""
    found = entries(
        site.ledger,
        Sought(
            action=sought.action or None,
            actor=sought.actor or None,
            subject=sought.subject or None,
            since=sought.since,
            limit=sought.limit,
        ),
    )
    return AuditPage(events=tuple(_event(entry) for entry in reversed(found)))


def _event(entry: Entry) -> AuditEvent:
    """Return an event as the page gets it."""
    told = entry.to_json()
    return AuditEvent(
        number=entry.number,
        at=entry.at.isoformat(),
        action=entry.audited.action,
        outcome=str(told["outcome"]),
        actor=entry.audited.actor,
        role=entry.audited.role,
        address=entry.audited.address,
        subject=entry.audited.subject,
        details=dict(entry.audited.detail),
    )


def _told(account: Account) -> AccountDetail:
    """Return what an administrator is told of an account."""
    return AccountDetail(
        name=account.name,
        display_name=account.display_name,
        role=str(account.role),
        enabled=account.is_open,
        is_local=account.is_local,
        must_change=account.must_change,
    )
