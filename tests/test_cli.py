"""The command as it is called: exit status, what goes where, and what never shows."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pydicom
import pytest

from models.perfusion.trustbundle import put_trust
from pipeline import __version__
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.analyses.perfusion.trust import trust_document, trust_from
from pipeline.console import printable
from pipeline.imaging.nifti import write_time_series, write_volume
from pipeline.imaging.volume import TimeSeries
from pipeline.infer.bundle import load_bundle
from pipeline.ingest.inventory import take_inventory
from pipeline.phantom import Phantom
from tests.support.broken import write_broken_inputs
from tests.support.runs import files_of
from tests.support.trust import trust_model

COMMAND = [sys.executable, "-m", "pipeline.cli"]
"""The command, in a process of its own."""

MARK = "Canary"
"""Stands in every attribute of a patient, and may come out in DICOM objects only."""

PATIENT_ATTRIBUTES = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "PatientComments",
    "PatientAddress",
    "ReferringPhysicianName",
    "AccessionNumber",
    "InstitutionName",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "StudyID",
    "OperatorsName",
)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where the command is called: its own folder, ledger, bundle and settings."""

    folder: Path
    bundle: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment, without what the caller's shell may have set."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("VESALIUS_")}
        return kept | {
            "VESALIUS_MODELS": str(self.bundle),
            "VESALIUS_LEDGER": str(self.folder / "ledger.db"),
            "COLUMNS": "80",
        }

    @property
    def output(self) -> Path:
        """The output folder."""
        return self.folder / "out"

    def run_call(self, *arguments: str | Path) -> list[str]:
        """Return a call of ``vesalius run`` into the output folder, with few patches."""
        settings = self.folder / "fast.toml"
        settings.write_text("[perfusion]\nuncertainty_stride = 8\n")
        where = ["--output", str(self.output), "--config", str(settings)]
        return [*COMMAND, "run", *map(str, arguments), *where]

    def call(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Call the command and wait for it."""
        return self._wait([*COMMAND, *map(str, arguments)])

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Call ``vesalius run`` into the output folder and wait for it."""
        return self._wait(self.run_call(*arguments))

    def _wait(self, call: list[str]) -> subprocess.CompletedProcess[str]:
        """Call a program and wait for it."""
        return subprocess.run(
            call, env=self.environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def desk(tiny_bundle: Path, tmp_path: Path) -> Desk:
    return Desk(folder=tmp_path, bundle=tiny_bundle)


def test_a_study_is_done(desk: Desk, study: Path) -> None:
    done = desk.run(study)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert "1 done, 0 failed, 0 refused, 0 not applicable" in done.stdout
    assert "slice 0 (member_" in done.stdout
    assert f"Results: {desk.output}/result.json" in done.stdout
    assert "perfusion fits 2.25." in done.stderr
    again = desk.run(study)
    assert again.returncode == 0
    assert "done before, result reused" in again.stdout


def test_json_is_one_object_on_standard_output(desk: Desk, study: Path) -> None:
    done = desk.run(study, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found == json.loads((desk.output / "result.json").read_text())
    assert found["jobs"][0]["state"] == "done"
    assert "perfusion fits" in done.stderr


def test_broken_inputs_give_status_1_and_no_traceback(desk: Desk, study: Path) -> None:
    write_broken_inputs(study / "broken")
    done = desk.run(study)
    assert done.returncode == 1
    assert "1 done, 0 failed, " in done.stdout
    assert "refused" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_an_empty_folder_gives_status_1(desk: Desk) -> None:
    (desk.folder / "empty").mkdir()
    done = desk.run(desk.folder / "empty", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["refused"][0]["label"] == "empty"


def test_a_series_that_does_not_fit_gives_status_0(desk: Desk, phantom_image: TimeSeries) -> None:
    short = TimeSeries(
        array=phantom_image.array[:1],
        affine=phantom_image.affine,
        times_s=phantom_image.times_s[:1],
        times_are_estimated=False,
    )
    write_time_series(short, desk.folder / "volume.nii.gz", None)
    done = desk.run(desk.folder / "volume.nii.gz")
    assert done.returncode == 0
    assert "Nothing to analyse: no series in the input fits." in done.stdout
    assert "perfusion does not fit volume.nii.gz: 1 time steps" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        ([".", "--analysis", "phrenology"], "no analysis 'phrenology'; known are perfusion"),
        ([".", "--config", "none.toml"], "none.toml: cannot be read"),
        ([".", "--config", "odd.toml"], "unknown key perfusion.strid"),
        ([".", "--models", "none"], "no bundle for perfusion; searched: none"),
        ([".", "--ledger", "mysql://host/db"], "SQLite or PostgreSQL, not mysql"),
        ([".", "--output", "odd.toml"], "odd.toml: cannot be written (File exists)"),
        ([".", "--frobnicate"], "No such option"),
        ([], "Missing argument"),
    ],
)
def test_an_unusable_call_gives_status_2_and_its_reason(
    arguments: list[str], reason: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.folder)
    (desk.folder / "odd.toml").write_text("[perfusion]\nstrid = 4\n")
    done = desk.call("run", *arguments, *([] if "--output" in arguments else ["--output", "out"]))
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_attributes_of_a_patient_show_in_dicom_objects_only(desk: Desk, study: Path) -> None:
    for path in study.iterdir():
        instance = pydicom.dcmread(path)
        for keyword in PATIENT_ATTRIBUTES:
            setattr(instance, keyword, f"{MARK}{keyword}"[:16])
        instance.PatientBirthDate = "19330613"
        instance.save_as(path)
    broken = pydicom.dcmread(next(study.iterdir()))
    broken.SeriesInstanceUID, broken.SOPInstanceUID = "2.25.99", "2.25.98"
    broken.PixelData = broken.PixelData[:100]
    broken.save_as(study / "broken.dcm")
    runs = [desk.run(study), desk.run(study), desk.run(study, "--again", "--json")]
    assert [done.returncode for done in runs] == [1, 1, 1]
    for shown in [text for done in runs for text in (done.stdout, done.stderr)]:
        assert MARK not in shown
        assert "19330613" not in shown
    written = [desk.folder / name for name in files_of(desk.folder)]
    assert not [path for path in written if MARK in str(path.relative_to(desk.folder))]
    others = [p for p in written if p.suffix != ".dcm" and not p.is_relative_to(study)]
    assert {"result.json", "ledger.db"} <= {p.name for p in others}
    assert not [p for p in others if MARK.encode() in p.read_bytes()]
    objects = [p for p in written if p.suffix == ".dcm" and not p.is_relative_to(study)]
    assert objects
    assert all(MARK in str(pydicom.dcmread(p).PatientName) for p in objects)


def test_two_processes_that_do_the_same_job_at_once_both_succeed(desk: Desk, study: Path) -> None:
    call = desk.run_call(study, "--json", "--again")
    processes = [
        subprocess.Popen(call, env=desk.environment, stdout=subprocess.PIPE) for _ in range(2)
    ]
    manifests = [json.loads(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    first, second = (m["jobs"][0] for m in manifests)
    assert first["artifacts"] == second["artifacts"]
    written = files_of(desk.output)
    assert all(written[a["relative_path"]] == a["sha256"] for a in first["artifacts"])
    assert not [name for name in written if name.startswith(".unfinished")]
    settled = desk.run(study, "--json")
    assert json.loads(settled.stdout)["jobs"][0]["reused"]


@pytest.mark.parametrize("request_to_end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_with_130_and_leaves_nothing_half(
    request_to_end: signal.Signals, desk: Desk, study: Path
) -> None:
    status, said = ended_while_running(desk, study, request_to_end)
    assert status == 130
    assert "Traceback" not in said
    assert [p.name for p in desk.output.iterdir()] == [".vesalius.lock"]


def test_after_a_kill_the_next_run_cleans_up_and_does_the_job(desk: Desk, study: Path) -> None:
    status, _ = ended_while_running(desk, study, signal.SIGKILL)
    assert status == -signal.SIGKILL
    left = sorted(p.name for p in desk.output.iterdir())
    assert "result.json" not in left
    assert [name for name in left if name.startswith(".unfinished-")]
    done = desk.call("run", study, "--output", desk.output, "--json")
    (job,) = json.loads(done.stdout)["jobs"]
    assert (done.returncode, job["state"], job["reused"]) == (0, "done", False)
    assert job["notes"][0] == "run again: an earlier attempt has not ended"
    assert sorted(p.name for p in desk.output.iterdir()) == [
        ".vesalius.lock",
        job["folder"],
        "result.json",
    ]


def ended_while_running(desk: Desk, study: Path, how: signal.Signals) -> tuple[int, str]:
    """Send a signal to the command while a job runs; return its status and what it said."""
    call = [*COMMAND, "run", str(study), "--output", str(desk.output)]
    with subprocess.Popen(
        call, env=desk.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = monotonic() + 60
        while not list(desk.output.glob(".unfinished-*/files")):
            assert monotonic() < deadline
        process.send_signal(how)
        _, said = process.communicate()
    return process.returncode, said


def test_a_defect_outside_a_job_is_shown_without_its_message(desk: Desk) -> None:
    program = (
        "from pipeline import cli; "
        "cli.ledger_place = lambda settings: {}['Doe' + '^Jane']; "
        "import sys; sys.argv = ['vesalius', 'ledger', 'migrate']; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=desk.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "in migrate_command" in done.stderr
    assert "vesalius: unexpected KeyError; please report it" in done.stderr
    assert "Doe" not in done.stderr


def test_a_terminal_shows_a_bar(desk: Desk, study: Path) -> None:
    ours, theirs = pty.openpty()
    call = desk.run_call(study, "--json")
    environment = desk.environment | {"TERM": "xterm-256color"}
    with subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = read_all(lambda: os.read(ours, 4096))
        assert process.stdout is not None
        result = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert "━" in shown.decode()
    assert json.loads(result)["summary"]["done"] == 1


def read_all(read: Callable[[], bytes]) -> bytes:
    """Read a terminal to its end, which Linux reports as an error."""
    content = b""
    while True:
        try:
            piece = read()
        except OSError:
            return content
        if not piece:
            return content
        content += piece


def test_the_demonstration_study_is_done(desk: Desk) -> None:
    made = desk.call("demo-study", desk.folder / "study")
    assert (made.returncode, made.stdout.split()[0]) == (0, "180")
    assert "1 done, 0 failed, 0 refused" in desk.run(desk.folder / "study").stdout


def test_a_study_of_a_dual_sequence_is_two_series_with_their_input(desk: Desk) -> None:
    made = desk.call("demo-study", desk.folder / "dual", "--dual", "--dose", "2")
    assert made.returncode == 0, made.stderr
    flows, files = made.stdout.splitlines()
    assert flows.startswith("flow of the wall: rest ")
    assert files.split()[0] == "480"
    candidates = take_inventory([desk.folder / "dual"]).candidates
    assert sorted((c.n_beats, c.n_slices, c.n_instances) for c in candidates) == [(60, 3, 240)] * 2
    assert all("images of its arterial input" in c.notes[0] for c in candidates)


def test_a_model_is_judged_on_labelled_series(desk: Desk, phantom: Phantom) -> None:
    images, labels = desk.folder / "images", desk.folder / "labels"
    images.mkdir()
    labels.mkdir()
    write_time_series(phantom.image, images / "a.nii.gz", 0.8)
    call = ("evaluate", "perfusion", "--images", images, "--labels", labels)
    unlabelled = desk.call(*call)
    assert unlabelled.returncode == 2
    assert "no a_label.nii.gz" in unlabelled.stderr
    write_volume(phantom.image.volume_like(phantom.labels), labels / "a_label.nii.gz")
    judged = desk.call(*call, "--json")
    found = json.loads(judged.stdout)
    assert judged.returncode == 0
    assert [row["name"] for row in found["series"]] == ["a"]
    assert found["summary"]["n_series"] == 1
    assert 0.5 < found["summary"]["myocardium_dice_mean"] <= 1.0


def test_cohorts_are_judged_side_by_side_and_a_site_calibrates(
    desk: Desk, phantom: Phantom, tiny_bundle: Path
) -> None:
    folder, models = desk.folder / "cohort", desk.folder / "models"
    folder.mkdir()
    write_time_series(phantom.image, folder / "a1.nii.gz", 0.8)
    write_volume(phantom.image.volume_like(phantom.labels), folder / "a1_label.nii.gz")
    named = [part for name in ("x", "y") for part in ("--cohort", f"{name}={folder}:{folder}")]
    report = desk.folder / "report"
    judged = desk.call("evaluate", "perfusion", *named, "--report", report, "--json")
    assert judged.returncode == 0, judged.stderr
    assert set(json.loads(judged.stdout)["cohorts"]) == {"x", "y"}
    assert (report / "risk_coverage.png").exists()
    for wrong, reason in (
        (("--cohort", "x"), "needed is NAME=IMAGES:LABELS"),
        ((*named, "--images", folder), "stands in the place of"),
        (("--images", folder), "--images and --labels are needed"),
        (("--cohort", f"x={folder / 'none'}:{folder}"), "is no folder"),
    ):
        refused = desk.call("evaluate", "perfusion", *wrong)
        assert refused.returncode == 2
        assert reason in " ".join(refused.stderr.split())
    call = ("calibrate", "perfusion", "--images", folder, "--labels", folder)
    assert "no calibration of trust" in desk.call(*call).stderr
    shutil.copytree(tiny_bundle, models)
    trust = desk.folder / "trust.json"
    digest = open_pool(load_bundle(models)).digest
    trust.write_text(json.dumps(trust_document(trust_model(digest))))
    assert put_trust(models, trust)
    done = desk.call(*call, "--models", models, "--output", desk.folder / "own.json")
    assert done.returncode == 0, done.stderr
    assert "it takes 44 trusted patients" in done.stdout
    own = trust_from((desk.folder / "own.json").read_bytes(), "own.json")
    assert (own.pool, own.trusted_up_to) == (digest, None)


def test_the_ledger_is_migrated_on_request(desk: Desk) -> None:
    done = desk.call("ledger", "migrate", "--ledger", desk.folder / "new" / "ledger.db")
    assert done.returncode == 0
    assert done.stdout.endswith("new/ledger.db is up to date\n")
    assert (desk.folder / "new" / "ledger.db").exists()


def test_the_version_is_the_packages(desk: Desk) -> None:
    assert desk.call("--version").stdout == f"vesalius {__version__}\n"


def test_help_needs_no_heavy_import(desk: Desk) -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from pipeline.cli import app; "
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0; "
        "heavy = {'numpy', 'pydicom', 'onnxruntime', 'sqlalchemy', 'matplotlib', 'scipy'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], env=desk.environment, check=True)


def test_control_characters_in_a_name_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[2Jb\n\u202ec") == "a\ufffd[2Jb\ufffd\ufffdc"
