"""The commands on what readers said."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

import workers.cli  # noqa: F401 - adds the commands
from pipeline.cli import app
from pipeline.ledger.audit import Sought, entries
from tests.support.readings import ACCEPTED, REJECTED, Readings, copied, run_perfusion

Call = Callable[..., Result]


@pytest.fixture(scope="module")
def perfusion_run(
    tiny_bundle: Path, sound_study: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, UUID]:
    folder = tmp_path_factory.mktemp("run")
    return folder, run_perfusion(tiny_bundle, sound_study, folder)


@pytest.fixture
def desk(perfusion_run: tuple[Path, UUID], tiny_bundle: Path, tmp_path: Path) -> Iterator[Readings]:
    found = copied(perfusion_run, tmp_path / "desk", tiny_bundle)
    yield found
    found.ledger.close()


@pytest.fixture
def call(tmp_path: Path) -> Call:
    def called(*words: str) -> Result:
        ledger = str(tmp_path / "desk" / "ledger.db")
        return CliRunner().invoke(app, ["reviews", *words, "--ledger", ledger])

    return called


def test_reviews_that_have_ended_are_listed(desk: Readings, call: Call) -> None:
    assert call("list").stdout == ""
    desk.say(REJECTED)
    told = call("list").stdout
    assert told.startswith(f"{desk.job_id}  2026-03-01 12:01  rejected")
    assert call("list", "--state", "accepted").stdout == ""
    (row,) = json.loads(call("list", "--json").stdout)["reviews"]
    assert (row["job_id"], row["state"]) == (str(desk.job_id), "rejected")
    unknown = call("list", "--state", "open")
    assert unknown.exit_code == 2
    assert "no state 'open'" in unknown.stderr


def test_statistics_tell_acceptance_with_its_limits(desk: Readings, call: Call) -> None:
    desk.say(ACCEPTED)
    told = call("statistics").stdout
    assert f"{desk.past.bundle}: 1 of 1 (3% to 100%); 0; 0" in told
    assert "2026-W09: 1 of 1" in told
    found = json.loads(call("statistics", "--json").stdout)
    assert found["release"][0]["released"] == 1


def test_too_few_readings_give_no_threshold_and_say_how_many_would(
    desk: Readings, call: Call
) -> None:
    desk.say(ACCEPTED)
    done = call("threshold", "perfusion", "--risk", "0.05")
    assert done.exit_code == 1
    assert "no safe threshold: 1 results were read; 104 that would be released" in done.stdout
    loose = call("threshold", "perfusion", "--risk", "0.96", "--confidence", "0.9")
    assert loose.exit_code == 0
    assert "release up to" in loose.stdout
    found = json.loads(call("threshold", "perfusion", "--json").stdout)
    assert (found["safe"], found["least_readings"]) == (None, 104)


@pytest.mark.parametrize("wrong", [("--risk", "0"), ("--risk", "1"), ("--confidence", "1.5")])
def test_a_risk_that_is_none_is_refused(wrong: tuple[str, str], desk: Readings, call: Call) -> None:
    done = call("threshold", "perfusion", *wrong)
    assert done.exit_code == 2
    assert "possible is more than 0 and less than 1" in done.stderr


def test_a_training_set_is_exported_and_audited(desk: Readings, call: Call, tmp_path: Path) -> None:
    desk.say(ACCEPTED)
    done = call("export", "--output", str(tmp_path / "set"), "--deidentified")
    assert (done.exit_code, done.stdout) == (0, "1 cases\n")
    assert len(json.loads((tmp_path / "set" / "dataset.json").read_text())["cases"]) == 1
    (event,) = entries(desk.ledger, Sought(action="export"))
    assert "@" in event.audited.actor
    again = call("export", "--output", str(tmp_path / "set"))
    assert again.exit_code == 2
    assert "exists already" in again.stderr
