"""The commands on the record, as they are called."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import Result
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.ledger.ledger import Ledger
from pipeline.record.forget import Holdings
from tests.support.kept import holdings_of, keep_study, mark, study_uid
from workers import auditcli, backupcli, forgetcli, retaincli

COMMANDS = (auditcli, backupcli, forgetcli, retaincli)
"""Importing them makes the commands known."""

Say = Callable[..., Result]


@pytest.fixture
def kept(tmp_path: Path) -> Holdings:
    place = str(tmp_path / "state" / "ledger.db")
    with Ledger.open(place) as ledger:
        holdings = holdings_of(tmp_path, ledger, place)
        keep_study(holdings, 1)
    return holdings


@pytest.fixture
def say(tmp_path: Path, kept: Holdings, monkeypatch: pytest.MonkeyPatch) -> Say:
    for name in ("VESALIUS_LEDGER", "VESALIUS_MODELS"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "site.toml"
    config.write_text(
        f'[ledger]\nurl = "{kept.place}"\n[receive]\nfolder = "{kept.places.inbox}"\n'
        f'[service]\noutput = "{kept.places.output}"\n[models]\nregistry = "{tmp_path / "r"}"\n'
        f'[phases]\nfeatures = "{kept.places.features}"\n'
    )

    def call(*words: str | Path, status: int = 0) -> Result:
        done = CliRunner().invoke(app, [*map(str, words), "--config", str(config)])
        assert done.exit_code == status, done.output
        return done

    return call


def test_a_study_is_looked_at_held_forgotten_and_proven_gone(say: Say, kept: Holdings) -> None:
    uid = study_uid(1)
    looked = say("forget", "--study", uid, "--dry-run").output
    assert f"study {uid} would be removed:" in looked
    assert "3 instances" in looked
    assert "not removed: 1 objects at pacs (done" in looked
    assert say("hold", "--study", uid, "--case", "T-1").output.startswith(f"{uid}  T-1")
    assert "is held for T-1" in say("forget", "--study", uid, status=2).output
    say("hold", "release", uid)
    assert "give --study, --patient or --again" in say("forget", status=2).output
    assert "no reason 'x'" in say("forget", "--study", uid, "--reason", "x", status=2).output
    done = json.loads(say("forget", "--patient", f"{mark(1)}P", "--json").output)
    (removed,) = done["removed"]
    assert (removed["is_clean"], removed["received_again"]) == (True, 0)
    assert say("forget", "verify", removed["certificate"]).output.endswith("nothing is left\n")
    with Ledger.open(kept.place) as ledger:
        keep_study(Holdings(ledger=ledger, place=kept.place, places=kept.places), 2)
    said = say("forget", "--again", removed["certificate"], status=2).output
    assert "nothing that is kept is of this patient or certificate" in said


def test_what_is_old_is_told_before_it_goes(say: Say) -> None:
    assert "0 received studies would be removed" in say("retain", "--dry-run").output
    assert "0 studies with their results removed" in say("retain").output


def test_an_installation_is_copied_away_and_put_back(
    say: Say, kept: Holdings, tmp_path: Path
) -> None:
    backups = tmp_path / "backups"
    made = json.loads(say("backup", backups, "--json").output)
    assert (made["files"], made["gone"]) == (5, 0)
    assert say("backup", backups, "--verify").output.endswith("the backup is whole\n")
    assert "there is a ledger" in say("restore", backups, status=2).output
    for folder in (kept.places.inbox, kept.places.state, Path(str(kept.places.output))):
        shutil.rmtree(folder)
    told = json.loads(say("restore", backups, "--json").output)
    assert (told["files"], told["audit"]["fault"]) == (5, None)
    assert say("audit", "verify").output.endswith("the log is whole\n")


def test_the_log_is_exported_in_each_form(say: Say, tmp_path: Path) -> None:
    say("hold", "--study", "2.25.1", "--case", "T-1")
    say("hold", "release", "2.25.1")
    (first, *_) = say("audit", "export", "--format", "dicom").output.splitlines()
    assert ET.fromstring(first).tag == "AuditMessage"  # noqa: S314 - ours
    say("audit", "export", "--format", "fhir", "--into", tmp_path / "audit.ndjson")
    events = [json.loads(line) for line in (tmp_path / "audit.ndjson").read_text().splitlines()]
    assert events[-1]["type"]["code"] == "110101", "the export before is an event itself"
    assert "no format 'csv'" in say("audit", "export", "--format", "csv", status=2).output
    assert "set audit.syslog" in say("forward-audit", status=2).output
