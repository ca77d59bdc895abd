"""Signing in by OpenID Connect, with a provider that runs beside the test."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from pipeline.config import Configuration
from pipeline.errors import PeerRefused, UnusableCall
from pipeline.gateways.oidc import Asked, discovered, identity_of
from pipeline.ledger.accounts import By, Change, change_account
from pipeline.ledger.audit import Sought, entries
from pipeline.reviewsettings import ReviewSettings
from tests.support.reviewserver import Person, Served, serving
from tests.support.service import free_port

PEOPLE = {
    "sub-1": {"preferred_username": "Ines", "name": "Ines Vidal", "roles": ["readers"]},
    "sub-2": {"preferred_username": "rita", "name": "Rita Two", "roles": ["staff", "admins"]},
    "sub-3": {"preferred_username": "guest", "name": "Guest", "roles": ["staff"]},
}
STARTS_S = 30.0


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a provider."""
    port = free_port()
    log = tmp_path_factory.mktemp("provider") / "log"
    claims = [json.dumps({"sub": sub, **each}) for sub, each in PEOPLE.items()]
    words = [word for each in claims for word in ("--user-claims", each)]
    with log.open("wb") as file:
        provider = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-p", str(port), *words],
            stdout=file,
            stderr=file,
        )
    address = f"http://127.0.0.1:{port}"
    until = time.monotonic() + STARTS_S
    try:
        while time.monotonic() < until and provider.poll() is None:
            try:
                requests.get(f"{address}/.well-known/openid-configuration", timeout=5).close()
                break
            except requests.ConnectionError:
                provider.poll()
        assert provider.poll() is None, log.read_text()
        yield address
    finally:
        provider.terminate()
        provider.wait(STARTS_S)


@pytest.fixture
def settings(issuer: str, tmp_path: Path) -> ReviewSettings:
    """Return the settings of a site with a provider."""
    (tmp_path / "oidc.secret").write_text("a secret\n")
    return ReviewSettings(
        port=0,
        oidc_issuer=issuer,
        oidc_client="vesalius",
        oidc_secret=tmp_path / "oidc.secret",
        oidc_roles=("readers=reviewer", "admins=administrator"),
        oidc_name="Hospital login",
    )


@pytest.fixture
def site(settings: ReviewSettings, tmp_path: Path) -> Iterator[Served]:
    """Return a server that knows the provider."""
    with serving(tmp_path / "ledger.db", Configuration(review=settings)) as running:
        yield running


def go_to_provider(person: Person) -> str:
    """Begin a login, and return where the browser is sent."""
    answer = person.get("/api/login/oidc", allow_redirects=False)
    assert answer.status_code == 302
    return str(answer.headers["Location"])


def approve(location: str, sub: str) -> str:
    """Sign in at the provider, and return where it sends the browser back to."""
    answer = requests.post(location, data={"sub": sub}, allow_redirects=False, timeout=30)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["Location"])


def come_back(person: Person, back: str) -> requests.Response:
    """Follow the way back."""
    parts = urlsplit(back)
    assert f"{parts.scheme}://{parts.netloc}" == person.url
    return person.get(f"{parts.path}?{parts.query}", allow_redirects=False)


def test_who_the_provider_knows_is_signed_in_with_the_role_it_tells(site: Served) -> None:
    person = site.nobody()
    assert person.get("/api/login/options").json()["oidc"] == {"name": "Hospital login"}
    location = go_to_provider(person)
    query = parse_qs(urlsplit(location).query)
    assert query["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge", "scope"} <= query.keys()
    answer = come_back(person, approve(location, "sub-1"))
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text
    account = person.get("/api/session").json()["account"]
    assert (account["name"], account["display_name"]) == ("ines", "Ines Vidal")
    assert (account["role"], account["is_local"]) == ("reviewer", False)
    logins = [e.audited for e in entries(site.site.ledger, Sought(action="login"))]
    assert [(e.actor, e.detail) for e in logins] == [("ines", {"by": "oidc"})]
    # An account without a password is no door for one.
    assert site.nobody().sign_in("ines", "").status_code == 401


def test_a_name_that_is_taken_is_not_taken_over(site: Served) -> None:
    person = site.nobody()
    assert come_back(person, approve(go_to_provider(person), "sub-2")).status_code == 200
    account = person.get("/api/session").json()["account"]
    assert re.fullmatch(r"rita-[0-9a-f]{8}", account["name"])
    assert account["role"] == "administrator"


def test_the_same_person_comes_back_to_the_same_account_with_the_role_of_now(site: Served) -> None:
    person = site.nobody()
    come_back(person, approve(go_to_provider(person), "sub-1"))
    by = By(actor="test")
    change_account(site.site.ledger, "ines", Change(display_name="Dr. Vidal"), by)
    again = site.nobody()
    come_back(again, approve(go_to_provider(again), "sub-1"))
    assert again.get("/api/session").json()["account"]["display_name"] == "Dr. Vidal"
    change_account(site.site.ledger, "ines", Change(is_open=False), by)
    closed = site.nobody()
    answer = come_back(closed, approve(go_to_provider(closed), "sub-1"))
    assert (answer.status_code, "closed" in answer.text) == (403, True)


def test_who_has_no_role_here_is_refused(site: Served) -> None:
    person = site.nobody()
    answer = come_back(person, approve(go_to_provider(person), "sub-3"))
    assert (answer.status_code, "no role" in answer.text) == (403, True)
    assert person.get("/api/session").status_code == 401
    (login,) = entries(site.site.ledger, Sought(action="login"))
    assert not login.audited.succeeded


def test_an_answer_is_used_once_and_by_the_browser_that_asked(site: Served) -> None:
    person, other = site.nobody(), site.nobody()
    back = approve(go_to_provider(person), "sub-1")
    assert come_back(other, back).status_code == 403
    assert come_back(person, back).status_code == 403
    assert other.get("/api/session").status_code == 401


def test_a_login_that_takes_too_long_has_ended(site: Served) -> None:
    person = site.nobody()
    back = approve(go_to_provider(person), "sub-1")
    site.clock.pass_by(601)
    assert come_back(person, back).status_code == 403


def test_an_answer_with_another_state_is_refused(site: Served) -> None:
    person = site.nobody()
    back = approve(go_to_provider(person), "sub-1")
    forged = re.sub(r"state=[^&]+", "state=forged", back)
    assert come_back(person, forged).status_code == 403


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"nonce": "another"}, "does not hold"),
        ({"client": "someone-else"}, "does not hold"),
        ({"later_s": 2 * 3600.0}, "does not hold"),
    ],
)
def test_an_id_token_that_is_for_another_login_is_refused(
    site: Served, settings: ReviewSettings, change: dict[str, object], named: str
) -> None:
    tls = site.site.configuration.tls
    location = go_to_provider(site.nobody())
    query = {key: value[0] for key, value in parse_qs(urlsplit(location).query).items()}
    code = parse_qs(urlsplit(approve(location, "sub-1")).query)["code"][0]
    asked = Asked(
        state=query["state"],
        nonce=str(change.get("nonce", query["nonce"])),
        verifier="v" * 43,
        redirect=query["redirect_uri"],
    )
    provider = discovered(settings, tls)
    at = datetime.now(UTC) + timedelta(seconds=float(str(change.get("later_s", 0.0))))
    used = replace(settings, oidc_client=str(change.get("client", "vesalius")))
    with pytest.raises(PeerRefused, match=named if "client" not in change else "."):
        identity_of(code, provider, (used, tls), asked, at)


def test_a_provider_that_calls_itself_otherwise_is_refused(
    site: Served, settings: ReviewSettings
) -> None:
    other = replace(
        settings, oidc_issuer=str(settings.oidc_issuer).replace("127.0.0.1", "localhost")
    )
    provider = discovered(other, site.site.configuration.tls)
    assert provider.issuer == other.oidc_issuer
    with pytest.raises(PeerRefused, match="refuses"):
        discovered(
            replace(settings, oidc_issuer=f"{settings.oidc_issuer}/realm"),
            site.site.configuration.tls,
        )


@pytest.mark.parametrize(
    "given",
    [
        {"oidc_issuer": "http://login.example", "oidc_client": "x", "oidc_roles": ("a=viewer",)},
        {"oidc_issuer": "https://login.example"},
        {"oidc_roles": ("readers=king",)},
        {"tls_certificate": Path("x.pem")},
        {"host": "0.0.0.0"},  # noqa: S104 - is refused
        {"idle_s": 0.0},
        {"url": "ftp://x"},
    ],
)
def test_settings_that_are_not_safe_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(UnusableCall):
        ReviewSettings(**given)  # type: ignore[arg-type]
