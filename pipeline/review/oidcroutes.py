"""Signing in with the hospital's own provider, by OpenID Connect.

A login that was begun is bound to the browser that began it, ends after ten minutes, and is used
once. The answer is a page that goes on by itself: a redirect would not bring the session's cookie,
which other sites cannot send.
"""

import re
import secrets
from dataclasses import dataclass
from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pipeline.errors import PeerRefused, PeerUnavailable, UnusableCall
from pipeline.gateways.oidc import Asked, Identity, authorization_url, discovered, identity_of
from pipeline.ledger.accounts import (
    Account,
    By,
    Change,
    NewAccount,
    Role,
    account_with_subject,
    add_account,
    change_account,
)
from pipeline.review.begun import LONGEST, digest_of_binding
from pipeline.review.guard import address_of, begin_session, refuse_login
from pipeline.review.problems import answers
from pipeline.review.site import Site, TheSite

router = APIRouter(prefix="/api/login/oidc", tags=["session"])

COOKIE = "vesalius_oidc"
"""Cookie that binds a login to the browser."""

GOES_ON = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Signed in</title>
<meta http-equiv="refresh" content="0; url=/"></head>
<body><p><a href="/">Signed in: go on</a></p></body></html>"""

REFUSED = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Not signed in</title>
</head><body><h1>Not signed in</h1><p>{why}</p><p><a href="/">Back</a></p></body></html>"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the provider sends a browser back with."""

    state: Annotated[str, Query(max_length=512)] = ""
    """What the login was begun with."""

    code: Annotated[str, Query(max_length=4096)] = ""
    """What is exchanged for the ID token."""

    error: Annotated[str, Query(max_length=512)] = ""
    """Why there is none."""


@router.get(
    "",
    response_class=RedirectResponse,
    status_code=302,
    responses=answers(404, 502),
)
def begin(request: Request, site: TheSite) -> Response:
    """Send the browser to the provider."""
    settings = site.configuration.review
    if settings.oidc_issuer is None:
        raise HTTPException(404, "there is no provider")
    asked = Asked(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        redirect=f"{_own_url(request, site)}/api/login/oidc/callback",
    )
    binding = secrets.token_urlsafe(32)
    try:
        provider = discovered(settings, site.configuration.tls)
    except (PeerUnavailable, PeerRefused) as problem:
        raise HTTPException(502, str(problem)) from problem
    site.begun.add(asked, digest_of_binding(binding), site.clock())
    answer = RedirectResponse(authorization_url(provider, settings, asked), 302)
    answer.set_cookie(
        COOKIE,
        binding,
        max_age=int(LONGEST.total_seconds()),
        path="/api/login/oidc",
        secure=settings.is_secure,
        httponly=True,
        # The provider sends the browser here from its own site.
        samesite="lax",
    )
    return answer


@router.get("/callback", response_class=HTMLResponse, responses=answers(403, 404, 422, 502))
def end(request: Request, site: TheSite, given: Annotated[Answer, Depends()]) -> Response:
    """Take what the provider says, and begin a session."""
    settings, at = site.configuration.review, site.clock()
    if settings.oidc_issuer is None:
        raise HTTPException(404, "there is no provider")
    who = By(actor="oidc", address=address_of(request))
    asked = site.begun.take(given.state, request.cookies.get(COOKIE, ""), at)
    if asked is None:
        return _refused(site, who, "the login was not begun here, or took too long", 403)
    if given.error or not given.code:
        return _refused(site, who, "the provider did not sign you in", 403)
    tls = site.configuration.tls
    try:
        provider = discovered(settings, tls)
        identity = identity_of(given.code, provider, (settings, tls), asked, at)
        account = account_for(identity, site, who)
    except PeerUnavailable as problem:
        return _refused(site, who, str(problem), 502)
    except (PeerRefused, UnusableCall) as problem:
        return _refused(site, who, str(problem), 403)
    answer = HTMLResponse(GOES_ON)
    signed_in = By(actor=account.name, role=str(account.role), address=who.address)
    begin_session(site, signed_in, answer, "oidc")
    answer.delete_cookie(COOKIE, path="/api/login/oidc")
    return answer


def account_for(identity: Identity, site: Site, who: By) -> Account:
    """Return the account of somebody, made or changed as the provider says.

    Raises
    ------
    PeerRefused
        If nothing that the provider says means a role, or the account is closed.
    UnusableCall
        If the account cannot be changed.
    """
    roles = site.configuration.review.roles_of_claims()
    meant = [Role(roles[value]) for value in identity.roles if value in roles]
    if not meant:
        raise PeerRefused("the provider gives you no role here")
    role = max(meant, key=list(Role).index)
    known = account_with_subject(site.ledger, identity.subject)
    if known is not None:
        if not known.is_open:
            raise PeerRefused("the account is closed")
        if known.role == role:
            return known
        return change_account(site.ledger, known.name, Change(role=role), who)
    name = re.sub(r"[^a-z0-9._@-]+", "-", identity.name.lower()).strip("-._@")[:48] or "user"
    display = re.sub(r"[\x00-\x1f\x7f\\=]", "", identity.display_name).strip()[:64] or name
    new = NewAccount(name=name, display_name=display, role=role, subject=identity.subject)
    try:
        return add_account(site.ledger, new, who)
    except UnusableCall:
        # Somebody else has the name: the person must not get that account.
        other = NewAccount(
            name=f"{name}-{identity.subject[:8]}",
            display_name=display,
            role=role,
            subject=identity.subject,
        )
        return add_account(site.ledger, other, who)


def _refused(site: Site, who: By, why: str, status: int) -> Response:
    """Record and tell that somebody is not signed in."""
    refuse_login(site.ledger, who, why)
    return HTMLResponse(REFUSED.format(why=escape(why)), status)


def _own_url(request: Request, site: Site) -> str:
    """Return what browsers call this server."""
    url = site.configuration.review.url or f"{request.url.scheme}://{request.url.netloc}"
    return url.rstrip("/")
