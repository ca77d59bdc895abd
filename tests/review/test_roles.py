"""Who may do what: every route of the schema, for every role."""

import re
from uuid import UUID

import pytest
import requests

from pipeline.ledger.accounts import Role
from pipeline.review.app import make_app
from tests.support.reviewserver import Person, Served

OPEN, SIGNED_IN = "open", "signed in"
"""Routes that need no session, and those that need one of any account."""

VIEWER, REVIEWER, ADMINISTRATOR = Role.VIEWER, Role.REVIEWER, Role.ADMINISTRATOR

MATRIX = {
    ("GET", "/api/login/options"): OPEN,
    ("GET", "/api/login/oidc"): OPEN,
    ("GET", "/api/login/oidc/callback"): OPEN,
    ("POST", "/api/session"): OPEN,
    ("GET", "/api/session"): SIGNED_IN,
    ("DELETE", "/api/session"): SIGNED_IN,
    ("POST", "/api/session/password"): SIGNED_IN,
    ("GET", "/api/worklist"): VIEWER,
    ("GET", "/api/worklist/facets"): VIEWER,
    ("GET", "/api/events"): VIEWER,
    ("GET", "/api/views"): VIEWER,
    ("PUT", "/api/views/{name}"): VIEWER,
    ("DELETE", "/api/views/{name}"): VIEWER,
    ("GET", "/api/jobs/{job_id}"): VIEWER,
    ("GET", "/api/jobs/{job_id}/anticipation"): VIEWER,
    ("GET", "/api/jobs/{job_id}/files/{path}"): VIEWER,
    ("GET", "/api/jobs/{job_id}/source.nii.gz"): VIEWER,
    ("GET", "/api/jobs/{job_id}/video.mp4"): VIEWER,
    ("GET", "/api/reasons"): VIEWER,
    ("POST", "/api/jobs/{job_id}/verdicts"): REVIEWER,
    ("POST", "/api/jobs/{job_id}/corrections/segmentation"): REVIEWER,
    ("POST", "/api/jobs/{job_id}/corrections/members"): REVIEWER,
    ("POST", "/api/jobs/{job_id}/corrections/insertions"): REVIEWER,
    ("POST", "/api/jobs/{job_id}/corrections/phases"): REVIEWER,
    ("GET", "/api/jobs/{job_id}/corrections/{correction_id}"): VIEWER,
    ("GET", "/api/statistics"): VIEWER,
    ("POST", "/api/exports"): ADMINISTRATOR,
    **{
        ("GET", f"/dicomweb/studies{path}"): VIEWER
        for path in (
            "",
            "/{study}",
            "/{study}/metadata",
            "/{study}/instances",
            "/{study}/series",
            "/{study}/series/{of_series}",
            "/{study}/series/{of_series}/metadata",
            "/{study}/series/{of_series}/instances",
            "/{study}/series/{of_series}/instances/{instance}",
            "/{study}/series/{of_series}/instances/{instance}/metadata",
            "/{study}/series/{of_series}/instances/{instance}/frames/{frames}",
        )
    },
    ("GET", "/api/accounts"): ADMINISTRATOR,
    ("POST", "/api/accounts"): ADMINISTRATOR,
    ("PATCH", "/api/accounts/{name}"): ADMINISTRATOR,
    ("GET", "/api/audit"): ADMINISTRATOR,
}
"""What each route needs. A route that is not here is one that nobody has thought about."""

ROLES = {"vera": VIEWER, "rita": REVIEWER, "adam": ADMINISTRATOR}


def routes(served: Served) -> list[tuple[str, str]]:
    """Return the routes of the schema."""
    paths = make_app(served.site).openapi()["paths"]
    return [(method.upper(), path) for path, each in paths.items() for method in each]


def asked(person: Person, method: str, path: str, job: UUID) -> requests.Response:
    """Ask for a route, with a body that is none: who may not do it is told so before."""
    path = path.replace("{job_id}", str(job))
    path = re.sub(r"\{(study|of_series|instance|frames)\}", "1", path)
    path = re.sub(r"\{\w+\}", "none", path)
    body = None if method == "GET" else {}
    with person.request(method, path, json=body, stream=True, allow_redirects=False) as answer:
        if path != "/api/events":
            _ = answer.content
        return answer


def test_every_route_has_its_place_in_the_matrix(served: Served) -> None:
    assert sorted(routes(served)) == sorted(MATRIX)


def test_nobody_does_anything_without_a_session(served: Served, job: UUID) -> None:
    nobody = served.nobody()
    for method, path in routes(served):
        status = asked(nobody, method, path, job).status_code
        expected = MATRIX[method, path]
        assert (status == 401) == (expected != OPEN), (method, path, status)


@pytest.mark.parametrize("name", ROLES)
def test_each_role_may_do_what_it_is_for_and_nothing_else(
    served: Served, job: UUID, name: str
) -> None:
    person = served.person(name)
    for method, path in routes(served):
        needed = MATRIX[method, path]
        if not isinstance(needed, Role):
            continue
        status = asked(person, method, path, job).status_code
        may = ROLES[name].includes(needed)
        assert (status != 403) == may, (method, path, status)
        assert status < 500, (method, path, status)


def test_no_unsafe_route_takes_a_request_without_the_token(served: Served, job: UUID) -> None:
    adam = served.person("adam")
    del adam.headers["X-CSRF-Token"]
    for method, path in routes(served):
        if method != "GET" and MATRIX[method, path] != OPEN:
            assert asked(adam, method, path, job).status_code == 403, (method, path)
    assert adam.get("/api/session").status_code == 200
