"""What was not asked does not look as if it was, and what is accepted has an end."""

import json
import os
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest

from release.audit import ACCEPTED, NotAsked, accepted_now, judged_page, judged_python

ROOT = Path(__file__).parents[2]


def test_a_vulnerability_is_told_with_its_package() -> None:
    package = {"name": "celery", "version": "5.0", "vulns": [{"id": "PYSEC-1", "fix_versions": []}]}
    answer = json.dumps({"dependencies": [package, {"name": "numpy", "version": "2", "vulns": []}]})
    assert judged_python(answer, "") == {"PYSEC-1": "celery 5.0"}
    via = [{"url": "https://github.com/advisories/GHSA-1", "title": "bad"}, "another"]
    answer = json.dumps({"vulnerabilities": {"vite": {"range": "<8", "via": via}}})
    assert judged_page(answer, "") == {"GHSA-1": "vite <8"}


@pytest.mark.parametrize(
    "packages",
    [
        [],
        [{"name": "numpy", "skip_reason": "Dependency not found"}],
        [
            {"name": "numpy", "skip_reason": "Dependency not found"},
            {"name": "celery", "version": "5", "vulns": []},
        ],
    ],
)
def test_packages_that_were_passed_over_are_not_audited(packages: list[object]) -> None:
    with pytest.raises(NotAsked, match="passed over"):
        judged_python(json.dumps({"dependencies": packages}), "")


@pytest.mark.parametrize("answer", ["", "{}", '{"message": "405 Method Not Allowed"}'])
def test_no_answer_is_no_audit(answer: str) -> None:
    for judge in (judged_python, judged_page):
        with pytest.raises(NotAsked, match="ConnectionError"):
            judge(answer, "Traceback\nConnectionError: a host that is not told")


def test_without_a_network_it_says_so_and_fails_nothing() -> None:
    nowhere = "http://127.0.0.1:9"
    names = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "npm_config_https_proxy")
    done = subprocess.run(
        [sys.executable, "-m", "release.audit"],
        cwd=ROOT,
        env={**os.environ, **dict.fromkeys(names, nowhere), "npm_config_fetch_retries": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("NOT AUDITED") == 3


def test_what_is_accepted_has_a_reason_and_an_end() -> None:
    accepted_now(tomllib.loads(ACCEPTED.read_text()), date(2026, 1, 1))
    entry = {"id": "GHSA-1", "reason": "not called", "until": date(2027, 1, 1)}
    assert accepted_now({"accepted": [entry]}, date(2026, 12, 31)) == {"GHSA-1"}
    assert accepted_now({"accepted": [entry]}, date(2027, 1, 1)) == frozenset()
    for missing in entry:
        left = {key: value for key, value in entry.items() if key != missing}
        with pytest.raises(ValueError, match="needs id, reason and until"):
            accepted_now({"accepted": [left]}, date(2026, 1, 1))
