"""OpenID Connect: who somebody is, by the word of the hospital's own provider.

The authorization code flow with PKCE; the ID token's signature, issuer, audience, times and nonce
are checked with the keys that the provider publishes.

References
----------
.. [OIDC] OpenID Connect Core 1.0, 3.1 Authentication using the Authorization Code Flow.
.. [PKCE] RFC 7636, Proof Key for Code Exchange.
.. [BCP] RFC 9700, Best Current Practice for OAuth 2.0 Security.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from pipeline.connections import TlsSettings, is_loopback
from pipeline.errors import PeerRefused, PeerUnavailable
from pipeline.gateways.secret import read_secret
from pipeline.gateways.web import secured
from pipeline.reviewsettings import ReviewSettings

TIMEOUT_S = 10.0
"""Longest time that the provider may be silent [s]."""

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
"""Signatures that are believed: by keys that the provider alone has, and never none."""

LEEWAY_S = 60
"""Clocks may differ by so much [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """What a provider says of itself."""

    issuer: str
    """Its identifier."""

    authorization: str
    """Where browsers are sent."""

    token: str
    """Where codes are exchanged."""

    keys: str
    """Where its keys are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A login that was begun."""

    state: str
    """What the answer must bring back."""

    nonce: str
    """What the ID token must hold."""

    verifier: str
    """What proves to the provider that the one who began it ends it."""

    redirect: str
    """Where the provider sends the browser back to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who somebody is."""

    subject: str
    """Digest of issuer and subject: the same for the same person."""

    name: str
    """A name for an account."""

    display_name: str
    """The person's name."""

    roles: tuple[str, ...]
    """Values of the claim that says what somebody may do."""


def discovered(settings: ReviewSettings, tls: TlsSettings) -> Provider:
    """Return what the provider of the settings says of itself.

    Raises
    ------
    PeerUnavailable, PeerRefused
        If it cannot be asked, or says what cannot be.
    """
    issuer = (settings.oidc_issuer or "").rstrip("/")
    found = _json(tls, "GET", f"{issuer}/.well-known/openid-configuration")
    if str(found.get("issuer", "")).rstrip("/") != issuer:
        raise PeerRefused("the provider calls itself by another issuer than the settings")
    provider = Provider(
        issuer=str(found.get("issuer")),
        authorization=str(found.get("authorization_endpoint")),
        token=str(found.get("token_endpoint")),
        keys=str(found.get("jwks_uri")),
    )
    for url in (provider.authorization, provider.token, provider.keys):
        parts = urlsplit(url)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise PeerRefused("an endpoint of the provider is not https")
    return provider


def authorization_url(provider: Provider, settings: ReviewSettings, asked: Asked) -> str:
    """Return where a browser is sent to sign in [OIDC]_ [PKCE]_."""
    digest = hashlib.sha256(asked.verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": settings.oidc_client or "",
        "redirect_uri": asked.redirect,
        "scope": " ".join(settings.oidc_scopes),
        "state": asked.state,
        "nonce": asked.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    joint = "&" if urlsplit(provider.authorization).query else "?"
    return f"{provider.authorization}{joint}{urlencode(query)}"


def identity_of(
    code: str,
    provider: Provider,
    site: tuple[ReviewSettings, TlsSettings],
    asked: Asked,
    at: datetime,
) -> Identity:
    """Exchange a code, and return who somebody is.

    Parameters
    ----------
    code
        What the provider sent the browser back with.
    provider
        The provider.
    site
        The settings.
    asked
        The login that was begun.
    at
        The time, UTC.

    Raises
    ------
    PeerUnavailable
        If the provider cannot be asked.
    PeerRefused
        If it refuses the code, or its ID token does not hold.
    """
    settings, tls = site
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": asked.redirect,
        "client_id": settings.oidc_client or "",
        "code_verifier": asked.verifier,
    }
    basic = None
    if settings.oidc_secret is not None:
        basic = (settings.oidc_client or "", read_secret(settings.oidc_secret))
    told = _json(tls, "POST", provider.token, form, basic)
    keys = _json(tls, "GET", provider.keys)
    claims = _claims(str(told.get("id_token", "")), keys, provider, settings, (asked.nonce, at))
    subject = str(claims["sub"])
    return Identity(
        subject=hashlib.sha256(f"{provider.issuer}\n{subject}".encode()).hexdigest(),
        name=str(claims.get("preferred_username") or claims.get("email") or subject),
        display_name=str(claims.get("name") or claims.get("preferred_username") or subject),
        roles=_roles(claims, settings.oidc_role_claim),
    )


def _claims(
    token: str,
    keys: Mapping[str, object],
    provider: Provider,
    settings: ReviewSettings,
    expected: tuple[str, datetime],
) -> Mapping[str, object]:
    """Return the claims of an ID token that holds [OIDC]_.

    Raises
    ------
    PeerRefused
        If it does not.
    """
    nonce, at = expected
    client = settings.oidc_client or ""
    registry = jwt.JWTClaimsRegistry(
        now=int(at.timestamp()),
        leeway=LEEWAY_S,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": client},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    try:
        decoded = jwt.decode(
            token, KeySet.import_key_set({"keys": _keys(keys)}), algorithms=ALGORITHMS
        )
        registry.validate(decoded.claims)
    except (JoseError, ValueError, KeyError, TypeError) as problem:
        # Not its text: it may quote the token.
        raise PeerRefused(f"the ID token does not hold ({type(problem).__name__})") from None
    audience = decoded.claims["aud"]
    if decoded.claims.get("azp", client) != client or (
        isinstance(audience, list) and len(audience) > 1 and "azp" not in decoded.claims
    ):
        raise PeerRefused("the ID token was made out to another client")
    return decoded.claims


def _keys(found: Mapping[str, object]) -> list[Any]:
    """Return the keys of a key set."""
    keys = found.get("keys")
    return keys if isinstance(keys, list) else []


def _roles(claims: Mapping[str, object], claim: str) -> tuple[str, ...]:
    """Return the values of a claim; dots in its name lead into objects."""
    value: object = claims
    if claim in claims:
        value = claims[claim]
    else:
        for part in claim.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(str(each) for each in value) if isinstance(value, Sequence) else ()


def _json(
    tls: TlsSettings,
    method: str,
    url: str,
    form: Mapping[str, str] | None = None,
    basic: tuple[str, str] | None = None,
) -> Mapping[str, object]:
    """Return what the provider answers, as JSON.

    Raises
    ------
    PeerUnavailable
        If it does not answer.
    PeerRefused
        If it refuses, or answers with no JSON object.
    """
    where = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    try:
        with requests.Session() as session:
            secured(session, tls)
            answer = session.request(
                method, url, data=form, auth=basic, timeout=TIMEOUT_S, allow_redirects=False
            )
            found = answer.json() if answer.ok else None
    except ValueError:
        raise PeerRefused(f"{where}: answers with no JSON") from None
    except (requests.exceptions.RequestException, OSError) as problem:
        raise PeerUnavailable(f"{where}: cannot be asked ({type(problem).__name__})") from None
    if not isinstance(found, dict):
        raise PeerRefused(f"{where}: refuses (status {answer.status_code})")
    return found
