"""A run, whole: what it writes, what it reuses, and what it does when something goes wrong."""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.errors import BundleRejected, UnusableCall
from pipeline.identity import digest_file
from pipeline.imaging.nifti import write_time_series
from pipeline.imaging.volume import TimeSeries
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import JobState
from pipeline.locks import locked
from pipeline.manifest import JobEntry, Manifest
from tests.support.broken import write_broken_inputs
from tests.support.runs import FAST, Heard, Site, files_of, written_at

SCHEMA = Path(__file__).parents[1] / "docs" / "result.schema.json"
IMPOSSIBLE = PerfusionSettings(
    uncertainty_stride=8, minimum_myocardium_area_mm2=1.0, maximum_myocardium_area_mm2=2.0
)


@pytest.fixture
def site(tiny_bundle: Path, tmp_path: Path) -> Site:
    return Site(bundle=tiny_bundle, ledger=tmp_path / "ledger.db")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def only(manifest: Manifest) -> JobEntry:
    """Return the only job of a run."""
    assert len(manifest.jobs) == 1
    return manifest.jobs[0]


def document(output: Path) -> dict[str, Any]:
    """Return the manifest of an output folder, held to its schema and to strict JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found: dict[str, Any] = json.loads((output / "result.json").read_text(), parse_constant=refuse)
    schema = json.loads(SCHEMA.read_text())
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(found)
    return found


def test_a_study_becomes_files_that_are_as_the_manifest_says(
    site: Site, study: Path, output: Path
) -> None:
    heard = Heard()
    manifest = site.run(study, output=output, heard=heard)
    job = document(output)["jobs"][0]
    assert not manifest.failed
    assert (job["state"], job["reused"], job["analysis"]) == ("done", False, "perfusion")
    listed = {a["relative_path"]: a["sha256"] for a in job["artifacts"]}
    assert {"segmentation", "uncertainty_map", "report", "overview", "figure", "nifti"} <= {
        a["kind"] for a in job["artifacts"]
    }
    written = files_of(output)
    assert written.pop("result.json")
    assert written.pop(".vesalius.lock")
    assert written == listed
    assert heard.shares[-1] == 1.0
    assert [entry.job_id for entry in heard.entries] == [only(manifest).job_id]


def test_the_manifest_says_what_the_result_came_from(site: Site, study: Path, output: Path) -> None:
    site.run(study, output=output)
    job = document(output)["jobs"][0]
    bundle = json.loads((site.bundle / "configs" / "metadata.json").read_text())
    assert (job["bundle"]["name"], job["bundle"]["version"]) == (bundle["name"], bundle["version"])
    assert job["configuration"]["perfusion"]["uncertainty_stride"] == 8
    assert job["input"]["n_beats"] == 45
    assert job["folder"] == f"perfusion-{job['job_id'].replace('-', '')[:12]}"
    assert {"ingest", "load", "prepare", "infer", "measure", "encode", "record"} <= set(
        job["timings"]
    )
    assert [s["slice_index"] for s in job["uncertainty"]] == [0]
    assert [m["member"] for m in job["uncertainty"][0]["members"]] == [
        "member_1",
        "member_2",
        "member_3",
    ]
    assert {m["unit"] for m in job["measurements"]} >= {"mm2"}


def test_a_second_run_says_so_and_computes_nothing(site: Site, study: Path, output: Path) -> None:
    first = only(site.run(study, output=output))
    before = written_at(output / first.folder)
    second = only(site.run(study, output=output))
    assert second.reused
    assert second.artifacts == first.artifacts
    assert second.outcome == first.outcome
    assert written_at(output / first.folder) == before
    assert document(output)["summary"]["reused"] == 1


def test_a_result_is_copied_into_another_output_folder(
    site: Site, study: Path, output: Path, tmp_path: Path
) -> None:
    first = only(site.run(study, output=output))
    second = only(site.run(study, output=tmp_path / "other"))
    assert second.reused
    assert files_of(tmp_path / "other" / first.folder) == files_of(output / first.folder)


def test_a_copy_counts_when_the_first_result_is_gone(
    site: Site, study: Path, output: Path, tmp_path: Path
) -> None:
    first = only(site.run(study, output=output))
    site.run(study, output=tmp_path / "other")
    shutil.rmtree(output)
    assert only(site.run(study, output=tmp_path / "other")).reused
    with Ledger.open(str(site.ledger)) as ledger:
        found = ledger.find(first.job_id)
    assert found is not None
    assert found.folder == (tmp_path / "other" / first.folder).resolve()


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_result_that_is_not_whole_is_made_again_with_the_same_bytes(
    damage: str, site: Site, study: Path, output: Path
) -> None:
    first = only(site.run(study, output=output))
    whole = files_of(output / first.folder)
    victim = output / first.folder / first.artifacts[0].relative_path
    if damage == "missing":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes() + b"\0")
    second = only(site.run(study, output=output))
    assert not second.reused
    assert second.notes == (f"run again: {first.artifacts[0].relative_path} is {damage}",)
    assert files_of(output / first.folder) == whole


def test_again_computes_the_same_bytes_again(site: Site, study: Path, output: Path) -> None:
    first = only(site.run(study, output=output))
    whole = files_of(output / first.folder)
    before = written_at(output / first.folder)
    second = only(site.run(study, output=output, again=True))
    assert not second.reused
    assert second.notes == ("run again, as asked",)
    assert files_of(output / first.folder) == whole
    assert all(written_at(output / first.folder)[name] > at for name, at in before.items())


def test_another_setting_is_another_job(site: Site, study: Path, output: Path) -> None:
    first = only(site.run(study, output=output))
    other = site.with_settings(PerfusionSettings(uncertainty_stride=4))
    second = only(other.run(study, output=output))
    assert not second.reused
    assert second.folder != first.folder
    assert {job["folder"] for job in document(output)["jobs"]} == {first.folder, second.folder}


def test_names_and_order_of_the_files_do_not_matter(
    site: Site, study: Path, output: Path, tmp_path: Path
) -> None:
    first = only(site.run(study, output=output))
    renamed = tmp_path / "renamed"
    for number, path in enumerate(sorted(study.iterdir(), reverse=True)):
        (renamed / str(number % 3)).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, renamed / str(number % 3) / f"x{number}")
    assert only(site.run(renamed, output=output)).job_id == first.job_id


def test_broken_inputs_are_listed_and_the_good_series_beside_them_is_done(
    site: Site, study: Path, output: Path
) -> None:
    names = write_broken_inputs(study / "broken")
    (study / "notes.txt").write_text("shopping list")
    manifest = site.run(study, output=output)
    found = document(output)
    assert manifest.failed
    assert found["summary"]["done"] == 1
    assert found["summary"]["refused"] >= 20
    assert found["summary"]["ignored_files"] >= 1
    refused = {name for r in found["refused"] for name in r["files"]}
    # Values are read where a series fits, and these are too short: they are listed as such.
    unfit = {"damaged_jpeg2000.dcm", "infinite.nii.gz", "nan.nii.gz"}
    # Complex NIfTI is raw data: sound, and not for perfusion.
    unfit |= {"truncated.nii.gz", "complex.nii.gz"}
    assert {n for n in names if f"broken/{n}" not in refused} == unfit
    assert found["summary"]["not_applicable"] >= len(unfit)
    assert all(r["reason"] for r in found["refused"])


def test_a_series_that_does_not_fit_is_no_failure(
    site: Site, phantom_image: TimeSeries, output: Path, tmp_path: Path
) -> None:
    short = TimeSeries(
        array=phantom_image.array[:5],
        affine=phantom_image.affine,
        times_s=phantom_image.times_s[:5],
        times_are_estimated=False,
    )
    write_time_series(short, tmp_path / "short.nii.gz", 0.8)
    manifest = site.run(tmp_path / "short.nii.gz", output=output)
    assert not manifest.failed
    (series,) = document(output)["not_applicable"]
    assert series["label"] == "short.nii.gz"
    assert series["reasons"] == {"perfusion": "5 time steps, perfusion needs at least 12"}


def test_copies_of_one_input_are_one_job(
    site: Site, phantom_image: TimeSeries, output: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "nifti"
    folder.mkdir()
    write_time_series(phantom_image, folder / "a.nii.gz", 0.8)
    shutil.copy(folder / "a.nii.gz", folder / "b.nii.gz")
    entry = only(site.run(folder, output=output))
    assert entry.notes == ("the same content was also given as b.nii.gz",)
    assert entry.candidate.study_instance_uid is None
    assert document(output)["jobs"][0]["state"] == "done"


def test_an_analysis_without_result_is_a_failed_job_and_is_tried_again(
    site: Site, study: Path, output: Path
) -> None:
    hopeless = site.with_settings(IMPOSSIBLE)
    first = only(hopeless.run(study, output=output))
    assert first.failure is not None
    assert first.failure.error == "AnalysisFailed"
    job = document(output)["jobs"][0]
    assert (job["state"], job["artifacts"], job["measurements"]) == ("failed", [], [])
    assert not (output / first.folder).exists()
    second = only(hopeless.run(study, output=output))
    assert second.notes == ("run again: the last attempt failed (AnalysisFailed)",)
    with Ledger.open(str(site.ledger)) as ledger:
        found = ledger.find(first.job_id)
    assert found is not None
    assert (found.state, found.attempts) == (JobState.FAILED, 2)
    assert found.reason == first.failure.reason


def test_a_file_that_vanishes_fails_its_own_job_only(
    site: Site, phantom_image: TimeSeries, output: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "nifti"
    folder.mkdir()
    no_text = b"lost\xe9.nii.gz".decode("utf-8", "surrogateescape")
    write_time_series(phantom_image, folder / "good.nii.gz", 0.8)
    write_time_series(phantom_image, folder / no_text, 0.9)
    heard = Heard(when_planned=(folder / no_text).unlink)
    manifest = site.run(folder, output=output, heard=heard)
    assert manifest.failed
    good, lost = sorted(manifest.jobs, key=lambda job: job.candidate.label)
    assert good.failure is None
    assert lost.failure is not None
    assert lost.failure.error == "UnreadableFile"
    assert [job["state"] for job in document(output)["jobs"]] == ["done", "failed"]
    with Ledger.open(str(site.ledger)) as ledger:
        found = ledger.find(lost.job_id)
    assert found is not None
    assert found.reason == lost.failure.reason


def test_an_unexpected_failure_is_named_by_its_place_and_never_quoted(
    site: Site, study: Path, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def choke() -> None:
        raise KeyError("Doe^Jane")

    entry = only(site.run(study, output=output, heard=Heard(when_progressed=choke)))
    assert entry.failure is not None
    assert entry.failure.error == "KeyError"
    assert entry.failure.reason.startswith("unexpected KeyError at test_run.py:")
    assert [r.levelno for r in caplog.records] == [logging.ERROR]
    for place in (caplog.text, (output / "result.json").read_text()):
        assert "Doe" not in place
    assert b"Doe" not in site.ledger.read_bytes()
    assert not entry.reused
    assert only(site.run(study, output=output)).failure is None


def test_a_full_disk_fails_the_job_with_the_systems_words(
    site: Site, study: Path, output: Path
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device", "/somewhere/Doe^Jane")

    entry = only(site.run(study, output=output, heard=Heard(when_progressed=full)))
    assert entry.failure is not None
    assert (entry.failure.error, entry.failure.reason) == ("OSError", "No space left on device")


def test_an_interrupted_run_leaves_no_half_result(site: Site, study: Path, output: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.run(study, output=output, heard=Heard(when_progressed=interrupt))
    assert [p.name for p in output.iterdir()] == [".vesalius.lock"]
    entry = only(site.run(study, output=output))
    assert entry.failure is None
    assert entry.notes == ("run again: an earlier attempt has not ended",)


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_holds_is_not(
    site: Site, study: Path, output: Path
) -> None:
    for name in ("dead", "live"):
        (output / f".unfinished-{name}" / "files").mkdir(parents=True)
        (output / f".unfinished-{name}" / "files" / "half.dcm").touch()
    with locked(output / ".unfinished-live" / "lock"):
        site.run(study, output=output)
    assert {p.name for p in output.glob(".unfinished-*")} == {".unfinished-live"}


def test_jobs_of_several_runs_into_one_folder_add_up(
    site: Site, study: Path, phantom_image: TimeSeries, output: Path, tmp_path: Path
) -> None:
    write_time_series(phantom_image, tmp_path / "series.nii.gz", 0.8)
    site.run(study, output=output)
    site.run(tmp_path / "series.nii.gz", output=output)
    site.run(study, output=output)
    jobs = document(output)["jobs"]
    assert [job["input"]["modality"] for job in jobs] == ["NIFTI", "MR"]
    shutil.rmtree(output / jobs[0]["folder"])
    site.run(study, output=output)
    assert [job["input"]["modality"] for job in document(output)["jobs"]] == ["MR"]


@pytest.mark.parametrize("content", ["{}", '{"schema_version": 2, "jobs": []}', "not JSON", "[]"])
def test_a_result_json_of_something_else_is_not_written_over(
    content: str, site: Site, study: Path, output: Path
) -> None:
    output.mkdir()
    (output / "result.json").write_text(content)
    with pytest.raises(UnusableCall, match=r"result\.json: not a manifest of version 1"):
        site.run(study, output=output)
    assert (output / "result.json").read_text() == content


def test_a_missing_input_is_refused_before_anything_is_written(
    site: Site, study: Path, output: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnusableCall, match="nowhere: no such file or folder"):
        site.run(study, tmp_path / "nowhere", output=output)
    assert not output.exists()


def test_an_output_that_is_a_file_is_refused(site: Site, study: Path, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(UnusableCall, match=r"out: cannot be written \(File exists\)"):
        site.run(study, output=tmp_path / "out")


def test_a_bundle_that_was_altered_is_not_used(
    site: Site, study: Path, output: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(site.bundle, tmp_path / "bundle")
    (bundle / "docs" / "README.md").write_text("something else")
    altered = Site(bundle=bundle, ledger=site.ledger, settings=FAST)
    with pytest.raises(BundleRejected, match="altered"):
        altered.run(study, output=output)


def test_the_manifest_is_readable_by_whom_the_results_are(
    site: Site, study: Path, output: Path
) -> None:
    entry = only(site.run(study, output=output))
    mask = os.umask(0)
    os.umask(mask)
    folder = (output / entry.folder).stat().st_mode & 0o777
    assert folder == 0o777 & ~mask
    assert (output / "result.json").stat().st_mode & 0o777 == 0o666 & ~mask
    assert digest_file(output / entry.folder / entry.artifacts[0].relative_path)
