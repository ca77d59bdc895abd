"""The commands on versions, as they are called."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from typer.testing import CliRunner

from pipeline.compare.verdict import Check, Compared, Verdict
from pipeline.comparesettings import CompareSettings
from pipeline.infer.bundle import load_bundle
from pipeline.owner import this_person
from tests.support.tally import write_volumes
from tests.support.versions import version_of
from tests.workers.test_commands import Desk
from workers.cli import app


class Models(Desk):
    """A desk with versions of the bundle; its commands are called in this process."""

    def call(self, *words: str | Path) -> CompletedProcess[str]:
        environment = {
            "VESALIUS_MODELS": str(self.models),
            "VESALIUS_LEDGER": str(self.folder / "ledger.db"),
        }
        found = CliRunner().invoke(app, [str(word) for word in words], env=environment)
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        return CompletedProcess(words, found.exit_code, found.stdout, found.stderr)

    @property
    def installed(self) -> Path:
        return self.models / "tally" / "bundle"

    def version(self, label: str) -> str:
        """Import a version, and return its digest."""
        bundle = version_of(self.installed, self.folder / label, label)
        assert f"tally@{label}" in self.said("models", "import", bundle.folder)
        return bundle.digest

    def roles(self) -> dict[str, str]:
        listed = json.loads(self.said("models", "list", "--json"))["versions"]
        return {version["version"]: version["role"] for version in listed}

    def verdict(self, first: str, second: str, value: float = 20, **limits: float) -> Path:
        """Write a verdict on two digests."""
        rules = CompareSettings(**limits)  # type: ignore[arg-type]
        found = Verdict(
            analysis="tally",
            first=Compared(name="Tally", version="0.0.1", digest=first),
            second=Compared(name="Tally", version="1.0.0", digest=second),
            checks=(
                Check(
                    figure="series with two results",
                    value=value,
                    limit=rules.least_studies,
                    at_least=True,
                ),
            ),
            limits=rules,
            studies=20,
            cohort_digest="0" * 64,
        )
        path = self.folder / f"{first[:6]}-{second[:6]}-{value:g}-{len(limits)}.json"
        path.write_text(json.dumps(found.to_json()))
        return path


@pytest.fixture
def desk(tmp_path: Path) -> Models:
    return Models(tmp_path)


def test_a_version_goes_from_import_to_live_and_back(desk: Models) -> None:
    assert "the installed bundles do the studies" in desk.said("models", "list")
    digest = desk.version("1.0.0")
    assert desk.roles() == {"1.0.0": "imported"}
    desk.said("models", "enable", "tally@1.0.0")
    desk.said("models", "shadow", digest[:8])
    assert "canary 20%" in desk.said("models", "canary", "tally@1.0.0", "--share", "0.2")
    evidence = desk.verdict(load_bundle(desk.installed).digest, digest)
    desk.said("models", "promote", "tally@1.0.0", "--evidence", evidence)
    assert desk.roles() == {"1.0.0": "live"}
    second = desk.version("1.1.0")
    desk.said("models", "enable", second[:10])
    desk.said("models", "promote", second[:10], "--anyway", "the first one is wrong")
    assert desk.roles() == {"1.0.0": "enabled", "1.1.0": "live"}
    assert "tally@1.0.0" in desk.said("models", "rollback", "tally")
    assert "the installed bundle does the studies" in desk.said("models", "rollback", "tally")
    desk.said("models", "retire", "tally@1.1.0")
    shown = json.loads(desk.said("models", "show", "tally@1.1.0", "--json"))
    assert [e["action"] for e in shown["events"]] == [
        "model imported",
        "model enabled",
        "model promoted",
        "model rolled back",
        "model retired",
    ]
    promoted = shown["events"][2]
    assert promoted["actor"] == this_person()
    assert promoted["detail"]["anyway"] == "the first one is wrong"
    assert promoted["detail"]["before"] == digest
    assert "model promoted" in desk.said("models", "show", "tally@1.0.0")
    told = [json.loads(line) for line in desk.said("audit", "list", "--json").splitlines()]
    proven = next(e for e in told if "evidence_sha256" in e["detail"])
    assert proven["detail"]["studies"] == 20


def test_a_promotion_needs_a_verdict_that_passes_on_these_two(desk: Models) -> None:
    digest, installed = desk.version("1.0.0"), load_bundle(desk.installed).digest
    desk.said("models", "enable", "tally@1.0.0")
    for evidence, said in (
        (desk.verdict(installed, "b" * 64), "needed is one on"),
        (desk.verdict(digest, installed), "needed is one on"),
        (desk.verdict(installed, digest, 3), "does not pass: series with two results"),
        (desk.verdict(installed, digest, 3, least_studies=2), "by other limits"),
        (desk.folder / "none.json", "cannot be read"),
        (desk.installed / "LICENSE", "no verdict"),
    ):
        done = desk.call("models", "promote", "tally@1.0.0", "--evidence", evidence)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert desk.roles() == {"1.0.0": "enabled"}


def test_submitting_asks_the_registry_unless_the_call_names_a_bundle(desk: Models) -> None:
    desk.version("1.0.0")
    desk.said("models", "enable", "tally@1.0.0")
    desk.said("models", "promote", "tally@1.0.0", "--anyway", "test")
    write_volumes(desk.inputs, 1)
    words = ("submit", desk.inputs, "--output", desk.folder / "out", "--json")
    (job,) = json.loads(desk.said(*words))["jobs"]
    assert "Tally 1.0.0" in desk.said("why", job["job_id"])
    (job,) = json.loads(desk.said(*words, "--models", desk.models))["jobs"]
    assert "Tally 0.0.1" in desk.said("why", job["job_id"])


def test_what_is_altered_in_the_registry_is_found_and_given_no_work(desk: Models) -> None:
    digest = desk.version("1.0.0")
    desk.said("models", "enable", digest)
    desk.said("models", "shadow", digest)
    assert "whole" in desk.said("models", "verify")
    (desk.folder / "registry" / digest / "LICENSE").write_text("another")
    done = desk.call("models", "verify", "tally@1.0.0")
    assert (done.returncode, "altered" in done.stdout) == (1, True)
    done = desk.call("models", "canary", "tally@1.0.0", "--share", "0.5")
    assert (done.returncode, "altered" in done.stderr) == (2, True)
    assert desk.roles() == {"1.0.0": "shadow"}
    (found,) = (line for line in desk.call("check").stdout.splitlines() if "tally@1.0.0" in line)
    assert "altered" in found
    desk.said("models", "retire", "tally@1.0.0")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("models", "show", "tally@9.0.0"), "no version 'tally@9.0.0' in the registry"),
        (("models", "promote", "tally@9.0.0"), "give --evidence with a passing verdict"),
        (("models", "rollback", "tally"), "no version of tally is live"),
        (("models", "import", "nowhere"), "nowhere: no such folder"),
        (("models", "canary", "tally@9.0.0"), "Missing option '--share'"),
        (("models", "canary", "t", "--share", "much"), "Invalid value for '--share'"),
        (("compare", "a", "b", "--output", "o"), "give one of --cohort, --studies and --shadow"),
        (("compare", "a", "b", "--output", "o", "--cohort", "."), "no version 'a'"),
        (
            ("compare", "tally@installed", "tally@live", "--output", "o", "--cohort", "."),
            "are the same bundle",
        ),
    ],
)
def test_what_cannot_be_done_is_told(words: tuple[str, ...], reason: str, desk: Models) -> None:
    done = desk.call(*words)
    assert done.returncode == 2
    assert reason in done.stderr, done.stderr
