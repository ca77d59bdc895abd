"""The API as its schema says: whatever is sent, nothing breaks, and nothing is said of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    response_schema_conformance,
    status_code_conformance,
)

from pipeline.config import Configuration, ModelSettings
from pipeline.reviewsettings import ReviewSettings
from tests.support.readings import copied
from tests.support.reviewserver import PASSWORD, Served, serving

EXAMPLES = 6
"""Requests of each route."""

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def served_once(
    perfusion_run: tuple[Path, UUID],
    tiny_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """Return a server for all requests."""
    folder = tmp_path_factory.mktemp("schema") / "site"
    copied(perfusion_run, folder, tiny_bundle).ledger.close()
    configuration = Configuration(
        review=ReviewSettings(port=0, attempts=1_000_000),
        models=ModelSettings(path=tiny_bundle),
    )
    with serving(folder / "ledger.db", configuration) as running:
        yield running


def test_no_request_breaks_the_server(served_once: Served) -> None:
    document = served_once.nobody().get("/api/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=served_once.url.rstrip("/"))
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        # The stream of news has no end; signing out would end the session of all that follows.
        if operation.path != "/api/events" and operation.label != "DELETE /api/session":
            ask(operation, served_once)
            asked += 1
    assert asked == sum(len(each) for each in document["paths"].values()) - 2


def ask(operation: schemathesis.schemas.APIOperation, served: Served) -> None:
    """Send what the schema allows to one route, as an administrator."""
    headers = {"X-CSRF-Token": str(served.adam.headers["X-CSRF-Token"])}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def send(case: schemathesis.Case) -> None:
        answer = case.call(headers=headers, cookies=dict(served.adam.cookies), timeout=60)
        case.validate_response(answer, checks=CHECKS)
        assert PASSWORD.encode() not in answer.content

    send()


def test_what_is_not_valid_is_not_quoted(served_once: Served) -> None:
    secret = "my secret " * 100
    answer = served_once.nobody().post("/api/session", json={"name": "x", "password": secret})
    assert answer.status_code == 422
    assert "secret" not in answer.text
    assert json.loads(answer.text)["detail"] == "body.password: string_too_long"
