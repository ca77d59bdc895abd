"""Signing in and out: sessions, their tokens, their ends, and who is kept waiting."""

from pathlib import Path

import pytest

from pipeline.config import Configuration
from pipeline.ledger.accounts import By, Change, change_account
from pipeline.ledger.audit import Sought, entries, verify
from pipeline.reviewsettings import ReviewSettings
from tests.support.certificates import Authority
from tests.support.reviewserver import PASSWORD, Served, serving

NEW = "another long password"


def test_a_session_begins_with_a_password_and_ends_on_request(served: Served) -> None:
    person = served.nobody()
    assert person.get("/api/session").status_code == 401
    begun = person.sign_in("rita")
    assert begun.json()["account"]["role"] == "reviewer"
    assert person.get("/api/session").json()["csrf"] == begun.json()["csrf"]
    assert person.delete("/api/session").status_code == 204
    assert person.get("/api/session").status_code == 401


def test_the_cookie_is_for_this_site_alone_and_for_no_script(served: Served) -> None:
    cookie = served.nobody().sign_in("rita").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie


def test_over_tls_the_cookie_is_secure_and_browsers_come_back_by_tls(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    shown = authority.vouch("localhost")
    review = ReviewSettings(port=0, tls_certificate=shown.certificate, tls_key=shown.key)
    with serving(tmp_path / "ledger.db", Configuration(review=review)) as served:
        person = served.nobody()
        person.url = person.url.replace("127.0.0.1", "localhost")
        person.verify = str(authority.path)
        answer = person.sign_in("rita")
        assert answer.status_code == 200
        assert answer.headers["Set-Cookie"].startswith("__Host-vesalius=")
        assert "Secure" in answer.headers["Set-Cookie"]
        assert answer.headers["Strict-Transport-Security"]
        assert person.get("/api/session").status_code == 200


def test_a_session_ends_when_it_is_idle(served: Served) -> None:
    person = served.person("rita")
    idle_s = served.site.configuration.review.idle_s
    served.clock.pass_by(idle_s - 1)
    assert person.get("/api/session").status_code == 200
    served.clock.pass_by(idle_s - 1)
    assert person.get("/api/session").status_code == 200
    served.clock.pass_by(idle_s)
    assert person.get("/api/session").status_code == 401


def test_a_session_ends_after_its_longest_time_however_it_is_used(served: Served) -> None:
    person = served.person("rita")
    settings = served.site.configuration.review
    passed = 0.0
    while passed + settings.idle_s / 2 < settings.longest_s:
        served.clock.pass_by(settings.idle_s / 2)
        passed += settings.idle_s / 2
        assert person.get("/api/session").status_code == 200
    served.clock.pass_by(settings.longest_s - passed)
    assert person.get("/api/session").status_code == 401


def test_an_account_that_is_closed_is_signed_out_at_once(served: Served) -> None:
    person = served.person("rita")
    change_account(served.site.ledger, "rita", Change(is_open=False), By(actor="test"))
    assert person.get("/api/session").status_code == 401
    assert served.nobody().sign_in("rita").status_code == 401


def test_a_role_that_changes_counts_at_once(served: Served) -> None:
    person = served.person("adam")
    assert person.get("/api/audit").status_code == 200
    adam = served.person("adam")
    answer = adam.patch("/api/accounts/rita", json={"role": "administrator"})
    assert answer.status_code == 200
    rita = served.person("rita")
    assert rita.patch("/api/accounts/adam", json={"role": "viewer"}).status_code == 200
    assert person.get("/api/audit").status_code == 401


@pytest.mark.parametrize("token", [None, "", "0" * 64])
def test_an_unsafe_request_needs_the_token_of_the_session(
    served: Served, token: str | None
) -> None:
    person = served.person("rita")
    del person.headers["X-CSRF-Token"]
    headers = {} if token is None else {"X-CSRF-Token": token}
    answer = person.put("/api/views/mine", json={"query": {}}, headers=headers)
    assert answer.status_code == 403
    assert "X-CSRF-Token" in answer.json()["detail"]
    assert person.get("/api/views").json() == []


def test_the_token_of_another_session_is_none(served: Served) -> None:
    rita, other = served.person("rita"), served.person("rita")
    rita.headers["X-CSRF-Token"] = other.headers["X-CSRF-Token"]
    assert rita.put("/api/views/mine", json={"query": {}}).status_code == 403


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ],
)
def test_what_comes_from_another_site_is_refused(served: Served, name: str, value: str) -> None:
    credentials = {"name": "rita", "password": PASSWORD}
    answer = served.nobody().post("/api/session", json=credentials, headers={name: value})
    assert answer.status_code == 403


def test_a_name_that_was_made_to_point_here_is_not_served(served: Served) -> None:
    answer = served.person("rita").get("/api/worklist", headers={"Host": "evil.example"})
    assert answer.status_code == 421


def test_guesses_are_kept_waiting_also_those_of_the_right_password(served: Served) -> None:
    attempts = served.site.configuration.review.attempts
    for _ in range(attempts):
        assert served.nobody().sign_in("rita", "wrong").status_code == 401
    waits = served.nobody().sign_in("rita")
    assert waits.status_code == 429
    wait_s = int(waits.headers["Retry-After"])
    assert 0 < wait_s <= served.site.configuration.review.attempts_s
    # Somebody else is not kept waiting.
    assert served.nobody().sign_in("vera").status_code == 200
    served.clock.pass_by(wait_s)
    assert served.nobody().sign_in("rita").status_code == 200


def test_a_success_forgets_the_failures(served: Served) -> None:
    attempts = served.site.configuration.review.attempts
    for _ in range(2):
        for _ in range(attempts - 1):
            assert served.nobody().sign_in("rita", "wrong").status_code == 401
        assert served.nobody().sign_in("rita").status_code == 200
        # The address has its own count.
        served.clock.pass_by(served.site.configuration.review.attempts_s)


def test_who_tries_many_names_is_kept_waiting_by_the_address(served: Served) -> None:
    most = 4 * served.site.configuration.review.attempts
    person = served.nobody()
    statuses = [person.sign_in(f"name{n}", "wrong").status_code for n in range(most + 2)]
    assert statuses == [401] * most + [429] * 2


def test_an_unknown_name_is_refused_like_a_wrong_password(served: Served) -> None:
    unknown = served.nobody().sign_in("nobody-here", "wrong")
    wrong = served.nobody().sign_in("rita", "wrong")
    assert (unknown.status_code, unknown.json()) == (wrong.status_code, wrong.json())


def test_a_password_is_changed_and_other_sessions_end(served: Served) -> None:
    rita, other = served.person("rita"), served.person("rita")
    given = {"old": "wrong", "new": NEW}
    assert rita.post("/api/session/password", json=given).status_code == 400
    given = {"old": PASSWORD, "new": "short"}
    assert rita.post("/api/session/password", json=given).status_code == 400
    given = {"old": PASSWORD, "new": NEW}
    assert rita.post("/api/session/password", json=given).status_code == 204
    assert rita.get("/api/session").status_code == 200
    assert other.get("/api/session").status_code == 401
    assert served.nobody().sign_in("rita").status_code == 401
    assert served.nobody().sign_in("rita", NEW).status_code == 200


def test_a_password_that_somebody_else_has_chosen_ends(served: Served) -> None:
    adam = served.person("adam")
    given = {"name": "nora", "display_name": "Nora", "role": "viewer", "password": NEW}
    assert adam.post("/api/accounts", json=given).status_code == 201
    nora = served.nobody()
    assert nora.sign_in("nora", NEW).json()["account"]["must_change"] is True
    served.clock.pass_by(24 * 3600)
    assert served.nobody().sign_in("nora", NEW).status_code == 401


def test_logins_and_what_was_refused_are_in_the_log(served: Served) -> None:
    served.nobody().sign_in("rita", "wrong")
    served.person("rita").delete("/api/session")
    vera = served.person("vera")
    assert vera.get("/api/accounts").status_code == 403
    ledger = served.site.ledger
    logins = [
        (e.audited.actor, e.audited.succeeded) for e in entries(ledger, Sought(action="login"))
    ]
    assert logins == [("rita", False), ("rita", True), ("vera", True)]
    (refused,) = entries(ledger, Sought(action="request refused"))
    assert (refused.audited.actor, refused.audited.subject) == ("vera", "route /api/accounts")
    assert refused.audited.address == "127.0.0.1"
    assert len(entries(ledger, Sought(action="logout"))) == 1
    assert verify(ledger).fault is None
    said = "".join(str(entry.to_json()) for entry in entries(ledger))
    assert PASSWORD not in said


def test_what_is_no_name_is_not_told_to_the_log(served: Served) -> None:
    assert served.nobody().sign_in("<script>alert(1)</script>", "wrong").status_code == 401
    (login,) = entries(served.site.ledger, Sought(action="login"))
    assert login.audited.actor == "unknown"


def test_the_last_administrator_stays_one(served: Served) -> None:
    adam = served.person("adam")
    for change in ({"role": "viewer"}, {"enabled": False}):
        answer = adam.patch("/api/accounts/adam", json=change)
        assert answer.status_code == 400
        assert "no administrator" in answer.json()["detail"]


def test_every_answer_carries_the_headers_that_browsers_act_on(served: Served) -> None:
    for path in ("/", "/api/session", "/api/worklist", "/nothing"):
        headers = served.nobody().get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert served.nobody().get("/api/session").headers["Cache-Control"] == "no-store"


def test_a_body_that_is_too_long_or_of_unknown_length_is_not_read(served: Served) -> None:
    person = served.nobody()
    long = b"{" + b" " * (1 << 20) + b"}"
    assert person.post("/api/session", data=long).status_code == 413
    pieces = iter([b'{"name": "rita", ', b'"password": "x"}'])
    assert person.post("/api/session", data=pieces).status_code == 411


def test_whoever_watches_the_server_needs_no_account(served: Served) -> None:
    person = served.nobody()
    assert person.get("/healthz").text == "ok\n"
    assert person.get("/readyz").text == "ready\n"
