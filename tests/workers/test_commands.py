"""The service's commands, as they are called."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import Configuration
from pipeline.errors import UnusableCall
from pipeline.servicesettings import ServiceSettings, WorkerSettings
from tests.support.service import ROOT
from tests.support.tally import SITE, write_tally_bundle, write_volumes
from workers.app import make_app
from workers.run import run_worker


class Desk:
    """Where the commands are called: a ledger, a bundle, a folder of volumes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = write_tally_bundle(folder / "models")
        self.inputs = folder / "in"

    def call(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Call the command and wait for it."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("VESALIUS_")}
        return subprocess.run(
            [sys.executable, "-m", "workers.cli", *map(str, words)],
            env=kept
            | {
                "PYTHONPATH": os.pathsep.join((str(ROOT), str(SITE))),
                "VESALIUS_MODELS": str(self.models),
                "VESALIUS_LEDGER": str(self.folder / "ledger.db"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def said(self, *words: str | Path) -> str:
        """Return what a call that succeeds says."""
        done = self.call(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_job_is_looked_after_by_its_first_digits(desk: Desk) -> None:
    write_volumes(desk.inputs, 2)
    words = ("submit", desk.inputs, "--output", desk.folder / "out", "--lane", "stat", "--json")
    jobs = json.loads(desk.said(*words))["jobs"]
    assert [(job["state"], job["is_new"]) for job in jobs] == [("waiting", True)] * 2
    assert not any(job["is_new"] for job in json.loads(desk.said(*words))["jobs"])
    first, second = (job["job_id"] for job in jobs)
    assert "stat       2 waiting" in desk.said("status")
    assert desk.said("jobs", "priority", first[:8], "7") == f"{first}  waiting\n"
    assert desk.said("jobs", "cancel", first[:8]) == f"{first}  cancelled\n"
    assert desk.said("jobs", "quarantine", second, "--reason", "odd") == f"{second}  quarantined\n"
    assert desk.said("jobs", "--state", "quarantined").startswith(second)
    assert desk.said("jobs", "retry", first[:8]) == f"{first}  waiting\n"
    life = desk.said("why", first[:8])
    told = [line.split("  ", 1)[1] for line in life.splitlines() if line[:2] == "20"]
    assert told == ["submitted", "priority (0 to 7)", "cancelled", "submitted (asked for again)"]
    assert json.loads(desk.said("status", "--json"))["states"] == {"waiting": 1, "quarantined": 1}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("why", "0123456789"), "no job 0123456789"),
        (("why", "xyz"), "'xyz' is no job"),
        (("submit", "nowhere", "--output", "out"), "nowhere: no such file"),
        (("submit", ".", "--output", "out", "--lane", "fast"), "no lane 'fast'"),
        (("submit", "."), "no folder for results"),
        (("jobs", "--state", "lost"), "no state 'lost'"),
    ],
)
def test_a_call_that_cannot_be_carried_out_says_why(
    words: tuple[str, ...], reason: str, desk: Desk
) -> None:
    done = desk.call(*words)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_refused_is_named_and_the_rest_is_submitted(desk: Desk) -> None:
    write_volumes(desk.inputs, 1)
    (desk.inputs / "broken.nii").write_bytes(b"no volume")
    done = desk.call("submit", desk.inputs, "--output", desk.folder / "out")
    assert done.returncode == 1
    assert "refused: broken.nii" in done.stderr
    assert "waiting" in done.stdout


RULES = """
[[rule]]
name = "one volume"
when = { source = "image", modality = "NIFTI", time_steps = 1 }
analyses = ["tally"]
lane = "batch"
priority = 3
destinations = ["archive"]
"""


def test_rules_decide_and_are_kept_with_the_job(desk: Desk) -> None:
    write_volumes(desk.inputs, 1)
    (desk.folder / "rules.toml").write_text(RULES)
    config = desk.folder / "site.toml"
    config.write_text('[routing]\nrules = "rules.toml"\n[service]\noutput = "out"\n')
    (job,) = json.loads(desk.said("submit", desk.inputs, "--config", config, "--json"))["jobs"]
    (desk.folder / "rules.toml").unlink()
    life = json.loads(desk.said("why", job["job_id"], "--json"))
    assert (life["lane"], life["priority"]) == ("batch", 3)
    assert life["routing"]["destinations"] == ["archive"]
    assert [c["is_met"] for c in life["routing"]["rules"][0]["conditions"]] == [True] * 3
    told = desk.said("why", job["job_id"])
    assert "the rules choose tally; lane batch, priority 3; to archive" in told
    assert "yes when time_steps is at least 1 and at most 1 (1)" in told


def test_what_the_call_says_goes_before_the_rules(desk: Desk) -> None:
    write_volumes(desk.inputs, 1)
    rules = desk.folder / "rules.toml"
    rules.write_text(RULES)
    words = ("--output", desk.folder / "out", "--rules", rules, "--lane", "stat", "--json")
    (job,) = json.loads(desk.said("submit", desk.inputs, *words))["jobs"]
    life = json.loads(desk.said("why", job["job_id"], "--json"))
    assert (life["lane"], life["priority"], life["routing"]["lane"]) == ("stat", 3, "batch")


def test_what_the_rules_leave_alone_is_no_job_and_is_told(desk: Desk) -> None:
    (path,) = write_volumes(desk.inputs, 1)
    rules = desk.folder / "rules.toml"
    rules.write_text(RULES.replace('"NIFTI"', '"MR"'))
    done = desk.call("submit", path, "--output", desk.folder / "out", "--rules", rules)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert f"left alone by the rules: {path.name}" in done.stderr
    assert desk.said("status") == "no jobs\n"


def worker(**settings: object) -> Configuration:
    """Return the settings of a worker."""
    return Configuration(worker=WorkerSettings(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        (worker(providers=("NoSuchProvider",)), "NoSuchProvider is not available"),
        (worker(processes=4, threads=1000), "cores, here are"),
        (
            Configuration(service=ServiceSettings(broker="amqp://localhost")),
            "start one for each of stat, routine, batch",
        ),
    ],
)
def test_a_worker_that_cannot_keep_its_word_does_not_start(
    configuration: Configuration, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UnusableCall, match=reason):
        run_worker(configuration, str(tmp_path / "ledger.db"))


def test_a_message_comes_back_only_after_the_longest_job() -> None:
    settings = Configuration(service=ServiceSettings(longest_s=1000.0))
    conf = make_app(settings).conf
    assert conf.task_time_limit > 1000
    places = (
        conf.visibility_timeout,
        conf.broker_transport_options["visibility_timeout"],
        conf.result_backend_transport_options["visibility_timeout"],
    )
    assert len(set(places)) == 1
    assert places[0] > conf.task_time_limit
    assert conf.task_acks_late
    assert conf.worker_prefetch_multiplier == 1


def test_quorum_queues_are_confirmed_and_carry_no_other_lane() -> None:
    settings = Configuration(service=ServiceSettings(broker="amqp://localhost"))
    conf = make_app(settings).conf
    assert conf.broker_transport_options["confirm_publish"]
    assert {q.name for q in conf.task_queues} == {
        "vesalius.stat",
        "vesalius.routine",
        "vesalius.batch",
    }
    assert all(q.queue_arguments["x-queue-type"] == "quorum" for q in conf.task_queues)


def test_a_broker_that_keeps_no_promise_is_refused() -> None:
    settings = Configuration(service=ServiceSettings(broker="filesystem://"))
    with pytest.raises(UnusableCall, match="redis:// or amqp://, not filesystem"):
        make_app(settings)


def test_help_imports_neither_the_queue_nor_the_database() -> None:
    program = (
        "import sys; from workers import cli; "
        "sys.exit(bool({'celery', 'sqlalchemy', 'onnxruntime', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == 0
