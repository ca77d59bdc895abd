"""Who asks, and whether they may: what every route of the review page begins with.

A session is a cookie with 256 random bits that scripts cannot read and other sites cannot send; it
ends when it is idle, and after its longest time. Unsafe methods show a token that derives from it.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Response

from pipeline.ledger.accounts import Account, By, Role
from pipeline.ledger.audit import Audited, record, record_within
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.signins import SignIn, add_session, find_session, touch_session
from pipeline.review.site import Site, TheSite

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

TOUCHES = 10
"""A session that is used is recorded as used so often in its idle time."""


def cookie_name(site: Site) -> str:
    """Return the name of the session's cookie; over TLS the browser holds it to this host."""
    return "__Host-vesalius" if site.configuration.review.is_secure else "vesalius_session"


def address_of(request: Request) -> str:
    """Return the network address that a request comes from."""
    return request.client.host if request.client else "unknown"


def by(account: Account, request: Request) -> By:
    """Return who does something, for the audit log."""
    return By(actor=account.name, role=str(account.role), address=address_of(request))


def csrf_of(token: str) -> str:
    """Return what unsafe requests of a session show."""
    return hmac.new(token.encode(), b"vesalius csrf", hashlib.sha256).hexdigest()


def ends_at(sign_in: SignIn, site: Site) -> datetime:
    """Return when a session ends unless it is used."""
    idle = timedelta(seconds=site.configuration.review.idle_s)
    return min(sign_in.seen_at + idle, sign_in.expires_at)


def signed_in(request: Request, site: TheSite) -> SignIn:
    """Return the session of a request.

    Raises
    ------
    HTTPException
        401 if there is none that holds; 403 if an unsafe request does not show its token.
    """
    token = request.cookies.get(cookie_name(site), "")
    sign_in = find_session(site.ledger, digest_of_token(token)) if token else None
    at = site.clock()
    if sign_in is None or ends_at(sign_in, site) <= at:
        raise HTTPException(401, "sign in")
    shown = request.headers.get("x-csrf-token", "")
    if request.method not in SAFE and not hmac.compare_digest(
        shown.encode(), csrf_of(token).encode()
    ):
        raise HTTPException(403, "the header X-CSRF-Token is not that of the session")
    idle = timedelta(seconds=site.configuration.review.idle_s)
    if at - sign_in.seen_at > idle / TOUCHES:
        touch_session(site.ledger, sign_in.token_sha256, at)
    return sign_in


TheSignIn = Annotated[SignIn, Depends(signed_in)]
"""Parameter of a route: the session."""


def needs(role: Role) -> Callable[[Request, Site, SignIn], Account]:
    """Return the dependency that gives the account of a request, if it may do what a role may.

    It raises 401 without a session, 403 if the account may not, which is audited.
    """

    def account(request: Request, site: TheSite, sign_in: TheSignIn) -> Account:
        found = sign_in.account
        if not found.role.includes(role):
            who = by(found, request)
            audited = Audited(
                action="request refused",
                actor=who.actor,
                role=who.role,
                address=who.address,
                subject=f"route {request.scope['route'].path}"[:255],
                detail={"method": request.method, "needed": str(role)},
                succeeded=False,
            )
            record(site.ledger, audited)
            raise HTTPException(403, f"this needs the role {role}")
        return found

    return account


Viewer = Annotated[Account, Depends(needs(Role.VIEWER))]
"""Parameter of a route: an account that may see."""

Reviewer = Annotated[Account, Depends(needs(Role.REVIEWER))]
"""Parameter of a route: an account that may judge and correct."""

Administrator = Annotated[Account, Depends(needs(Role.ADMINISTRATOR))]
"""Parameter of a route: an account that may keep accounts, audit and export."""


def begin_session(site: Site, who: By, response: Response, how: str) -> str:
    """Begin a session, set its cookie, and return its token; the login is audited.

    Parameters
    ----------
    site
        The site.
    who
        The account that signs in.
    response
        Takes the cookie.
    how
        ``password`` or ``oidc``.
    """
    settings, at = site.configuration.review, site.clock()
    token = secrets.token_urlsafe(32)
    with site.ledger.transaction() as session:
        until = at + timedelta(seconds=settings.longest_s)
        add_session(session, digest_of_token(token), who.actor, (at, until))
        record_within(session, login(who, {"by": how}))
    response.set_cookie(
        cookie_name(site),
        token,
        max_age=int(settings.longest_s),
        path="/",
        secure=settings.is_secure,
        httponly=True,
        samesite="strict",
    )
    return token


def login(who: By, detail: dict[str, object], *, succeeded: bool = True) -> Audited:
    """Return a login for the audit log."""
    return Audited(
        action="login",
        actor=who.actor,
        role=who.role,
        address=who.address,
        subject=f"account {who.actor}",
        detail=detail,
        succeeded=succeeded,
    )


def refuse_login(ledger: Ledger, who: By, why: str) -> None:
    """Record a login that was refused."""
    record(ledger, login(who, {"why": why}, succeeded=False))


def digest_of_token(token: str) -> str:
    """Return what is kept of a session's token."""
    return hashlib.sha256(token.encode()).hexdigest()
