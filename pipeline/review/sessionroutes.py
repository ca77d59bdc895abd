"""Signing in and out."""

import math
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field

from pipeline.errors import UnusableCall
from pipeline.ledger.accounts import NAME, Account, By, Change, change_account, secret_of
from pipeline.ledger.audit import Audited, record_within
from pipeline.ledger.signins import SignIn, end_session, end_sessions_of
from pipeline.review.guard import (
    TheSignIn,
    address_of,
    begin_session,
    by,
    cookie_name,
    csrf_of,
    ends_at,
    refuse_login,
)
from pipeline.review.guard import digest_of_token as digest_token
from pipeline.review.passwords import digest_of, is_password
from pipeline.review.problems import answers
from pipeline.review.site import Site, TheSite

router = APIRouter(prefix="/api", tags=["session"])

Text = Annotated[str, Field(max_length=256)]
"""A short text of a request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OidcOption:
    """A provider of OpenID Connect."""

    name: str
    """How the page calls it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginOptions:
    """How somebody may sign in."""

    local: bool
    """Whether with a name and a password."""

    oidc: OidcOption | None
    """The provider; null without one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What somebody signs in with."""

    name: Text
    """The account."""

    password: Text
    """Its password."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewPassword:
    """A change of one's own password."""

    old: Text
    """The password that holds."""

    new: Text
    """The one that shall hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionAccount:
    """Who is signed in."""

    name: str
    """The account."""

    display_name: str
    """The person's name."""

    role: str
    """What it may do."""

    must_change: bool
    """Whether somebody else has chosen its password."""

    is_local: bool
    """Whether it has a password here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A session."""

    account: SessionAccount
    """Who is signed in."""

    csrf: str
    """What unsafe requests show as X-CSRF-Token."""

    expires_at: str
    """When it ends unless it is used, ISO 8601."""

    idle_s: float
    """Time without a request after which it ends [s]."""


@router.get("/login/options")
def login_options(site: TheSite) -> LoginOptions:
    """Tell how somebody may sign in."""
    settings = site.configuration.review
    oidc = None if settings.oidc_issuer is None else OidcOption(name=settings.oidc_name)
    return LoginOptions(local=True, oidc=oidc)


@router.post("/session", responses=answers(401, 403, 422, 429))
def sign_in(given: Credentials, request: Request, response: Response, site: TheSite) -> Session:
    """Sign in with a name and a password."""
    address, at = address_of(request), site.clock()
    # What is no name is not counted as one, or told to the log.
    name = given.name if NAME.fullmatch(given.name) else "unknown"
    wait_s = site.limiter.begin(name, address, at)
    if wait_s > 0:
        refuse_login(site.ledger, By(actor=name, address=address), "too many attempts")
        after = {"Retry-After": str(math.ceil(wait_s))}
        raise HTTPException(429, "too many attempts, wait", headers=after)
    secret = secret_of(site.ledger, name)
    is_right = is_password(None if secret is None else secret.password, given.password)
    if secret is None or not is_right:
        refuse_login(site.ledger, By(actor=name, address=address), "name or password")
        raise HTTPException(401, "name or password is wrong")
    if secret.first_until is not None and secret.first_until <= at:
        refuse_login(site.ledger, By(actor=name, address=address), "first password ended")
        raise HTTPException(401, "the first password has ended: an administrator sets another")
    site.limiter.succeeded(name, address)
    return _begun(secret.account, request, response, site)


@router.get("/session", responses=answers(401))
def current_session(request: Request, site: TheSite, sign_in: TheSignIn) -> Session:
    """Tell who is signed in."""
    return _session(sign_in, request.cookies[cookie_name(site)], site)


@router.delete("/session", status_code=204, responses=answers(401, 403))
def sign_out(request: Request, response: Response, site: TheSite, sign_in: TheSignIn) -> None:
    """Sign out."""
    who = by(sign_in.account, request)
    with site.ledger.transaction() as session:
        end_session(session, sign_in.token_sha256)
        record_within(
            session,
            Audited(
                action="logout",
                actor=who.actor,
                role=who.role,
                address=who.address,
                subject=f"account {who.actor}",
            ),
        )
    response.delete_cookie(
        cookie_name(site),
        path="/",
        secure=site.configuration.review.is_secure,
        httponly=True,
        samesite="strict",
    )


@router.post("/session/password", status_code=204, responses=answers(400, 401, 403, 422, 429))
def change_password(
    given: NewPassword, request: Request, site: TheSite, sign_in: TheSignIn
) -> None:
    """Change one's own password; other sessions of the account end."""
    account = sign_in.account
    wait_s = site.limiter.begin(account.name, address_of(request), site.clock())
    if wait_s > 0:
        after = {"Retry-After": str(math.ceil(wait_s))}
        raise HTTPException(429, "too many attempts, wait", headers=after)
    secret = secret_of(site.ledger, account.name)
    if secret is None or not is_password(secret.password, given.old):
        raise HTTPException(400, "the password is wrong")
    if given.new == given.old:
        raise HTTPException(400, "the new password is the old one")
    site.limiter.succeeded(account.name, address_of(request))
    try:
        digest = digest_of(given.new)
    except UnusableCall as problem:
        raise HTTPException(400, str(problem)) from problem
    change_account(
        site.ledger,
        account.name,
        Change(password=digest),
        by(account, request),
        within=lambda session: end_sessions_of(session, account.name, sign_in.token_sha256),
    )


def _begun(account: Account, request: Request, response: Response, site: Site) -> Session:
    """Begin a session and tell of it."""
    token = begin_session(site, by(account, request), response, "password")
    at = site.clock()
    begun = SignIn(
        token_sha256=digest_token(token),
        account=account,
        seen_at=at,
        expires_at=at.max.replace(tzinfo=at.tzinfo),
    )
    return _session(begun, token, site)


def _session(sign_in: SignIn, token: str, site: Site) -> Session:
    """Return what the page is told of a session."""
    account = sign_in.account
    return Session(
        account=SessionAccount(
            name=account.name,
            display_name=account.display_name,
            role=str(account.role),
            must_change=account.must_change,
            is_local=account.is_local,
        ),
        csrf=csrf_of(token),
        expires_at=ends_at(sign_in, site).isoformat(),
        idle_s=site.configuration.review.idle_s,
    )
