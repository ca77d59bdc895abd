"""Jobs that are done again: the same bytes, or the stage at which they begin to differ."""

import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy import update

from pipeline import __version__
from pipeline.config import OutputSettings
from pipeline.demo import write_study
from pipeline.differences import Depth, difference, json_differences
from pipeline.errors import UnusableCall
from pipeline.identity import digest_file
from pipeline.infer.bundle import write_file_list
from pipeline.infer.terms import Compute
from pipeline.ledger.care import Care
from pipeline.ledger.pastjobs import past_job
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import Job
from pipeline.perform import open_analyses
from pipeline.phantom import Phantom
from pipeline.reproduce import Bench, reproduce
from pipeline.reproduction import Reproduction, Stage, Verdict
from pipeline.run import RunRequest, run
from pipeline.study import EVIDENCE
from pipeline.warm import OpenAnalyses
from pipeline.work import work
from tests.assemble.test_assembler import Site, files, site
from tests.support.phases import write_tiny_phases
from tests.support.rawfiles import write_nifti
from tests.support.runs import Heard
from tests.support.tally import write_tally_bundle, write_volumes
from tests.support.videos import write_video
from tests.test_chain import phantom_kspace
from tests.test_work import Place
from tests.workers.test_commands import Desk

__all__ = ["files", "site"]

GIVES_ANOTHER_RESULT = 2


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.ledger.close()


def done(at: Place, *inputs: Path, name: str = "tally") -> UUID:
    (job,) = at.submit(*inputs, names=(name,))
    assert work(job, at.bench) is JobState.DONE
    return job


def again(at: Place, job: UUID, scratch: str = "again", **call: object) -> Reproduction:
    bench = Bench(
        ledger=at.ledger,
        configuration=at.configuration,
        compute=Compute(threads=1),
        scratch=at.folder / scratch,
        **call,  # type: ignore[arg-type]
    )
    return reproduce(job, bench)


def change_job(at: Place, job: UUID, **values: object) -> None:
    with at.ledger.transaction() as session:
        session.execute(update(Job).where(Job.id == job).values(**values))


def replace_bundle(at: Place) -> None:
    """Put another bundle in the place of the tally's."""
    shutil.rmtree(at.models / "tally")
    write_tally_bundle(at.models)
    (at.models / "tally" / "bundle" / "LICENSE").write_text("MIT\n")
    write_file_list(at.models / "tally" / "bundle")


def test_a_result_of_each_analysis_is_the_same_bytes_again(
    at: Place, phantom: Phantom, tmp_path: Path
) -> None:
    write_tiny_phases(at.models / "phases" / "bundle")
    write_study(phantom.image, tmp_path / "study", name="sound")
    raw = write_nifti(
        tmp_path / "dynamic.nii.gz", phantom_kspace(phantom, 2.0)[:3], phantom.image.affine
    )
    write_video(tmp_path / "a.mp4", 100)
    jobs = [
        done(at, tmp_path / "study", name="perfusion"),
        done(at, raw, name="reconstruction"),
        done(at, tmp_path / "a.mp4", name="phases"),
    ]
    for job in jobs:
        found = again(at, job, f"again-{job.hex}")
        assert found.verdict is Verdict.IDENTICAL, found
        assert found.n_files == len(at.found(job).artifacts) > 0
        assert found.stages == found.files == found.notes == ()


@pytest.mark.parametrize("then", [True, False])
def test_evidence_is_written_again_as_it_was_then(
    then: bool, at: Place, phantom: Phantom, tmp_path: Path
) -> None:
    raw = write_nifti(
        tmp_path / "dynamic.nii.gz", phantom_kspace(phantom, 2.0)[:3], phantom.image.affine
    )
    settings = {written: OutputSettings(evidence=written) for written in (True, False)}
    at.configuration = replace(at.configuration, output=settings[then])
    at.bench = replace(at.bench, analyses=OpenAnalyses(at.configuration, Compute(threads=1), 1))
    job = done(at, raw, name="reconstruction")
    assert bool({a.kind for a in at.found(job).artifacts} & EVIDENCE) == then
    at.configuration = replace(at.configuration, output=settings[not then])
    assert again(at, job).verdict is Verdict.IDENTICAL


def test_the_ledger_and_the_stored_files_stay_as_they_are(at: Place) -> None:
    job = done(at, *write_volumes(at.folder / "in", 1))
    before = at.found(job), at.ledger.history(job)
    times = {p: p.stat().st_mtime_ns for p in (at.folder / "out").rglob("*")}
    assert again(at, job).verdict is Verdict.IDENTICAL
    assert (at.found(job), at.ledger.history(job)) == before
    assert {p: p.stat().st_mtime_ns for p in (at.folder / "out").rglob("*")} == times


def test_an_input_that_was_tampered_with_is_where_it_begins(at: Place) -> None:
    (path,) = write_volumes(at.folder / "in", 1)
    job = done(at, path)
    path.write_bytes(path.read_bytes()[:-1] + b"\x40")
    found = again(at, job)
    assert (found.verdict, found.stages[0][0]) == (Verdict.DIFFERS, Stage.INPUT)
    assert not (at.folder / "again").exists(), "nothing was run"
    found = again(at, job, anyway=True)
    assert [stage for stage, _ in found.stages] == [Stage.INPUT, Stage.OUTCOME, Stage.CONTENT]
    assert len(found.files) == found.n_files == 3


def test_an_input_that_is_gone_is_said_and_may_be_elsewhere(at: Place) -> None:
    (path,) = write_volumes(at.folder / "in", 1)
    job = done(at, path)
    moved = path.rename(at.folder / "moved.nii")
    found = again(at, job)
    assert found.verdict is Verdict.IMPOSSIBLE
    assert "000000.nii: gone" in found.notes[0]
    assert again(at, job, inputs=(moved,)).verdict is Verdict.IDENTICAL


def test_another_bundle_is_not_used_unless_it_is_asked_for(at: Place) -> None:
    job = done(at, *write_volumes(at.folder / "in", 1))
    replace_bundle(at)
    found = again(at, job)
    assert found.verdict is Verdict.IMPOSSIBLE
    assert "bundle Tally" in found.notes[0]
    found = again(at, job, anyway=True)
    assert found.verdict is Verdict.IDENTICAL
    assert found.notes[0].startswith("bundle: digest ")
    shutil.rmtree(at.models / "tally")
    found = again(at, job, "third", anyway=True)
    assert found.verdict is Verdict.IMPOSSIBLE
    assert "no bundle is here" in found.notes[0]


def test_another_bundle_that_changes_the_result_is_where_it_begins(at: Place) -> None:
    job = done(at, *write_volumes(at.folder / "in", 1, behaviour=GIVES_ANOTHER_RESULT))
    replace_bundle(at)
    found = again(at, job, anyway=True)
    assert [stage for stage, _ in found.stages] == [Stage.BUNDLE, Stage.OUTCOME, Stage.CONTENT]


def test_another_software_version_is_named_before_what_it_changes(
    at: Place, phantom: Phantom, tmp_path: Path
) -> None:
    write_study(phantom.image, tmp_path / "study", name="sound")
    job = done(at, tmp_path / "study", name="perfusion")
    change_job(at, job, software_version="0.0.9")
    found = again(at, job)
    assert found.verdict is Verdict.IDENTICAL
    assert found.notes == (
        f"software version: 0.0.9 then, {__version__} now; the result is the same",
    )
    (report,) = (a for a in at.found(job).artifacts if a.kind == "segmentation")
    path = at.found(job).folder / report.relative_path  # type: ignore[operator]
    instance = pydicom.dcmread(path)
    instance.SoftwareVersions = "0.0.9"
    instance.save_as(path)
    record_as_stored(at, job)
    found = again(at, job, "second")
    assert [stage for stage, _ in found.stages] == [Stage.SOFTWARE, Stage.ENCODING]
    (file,) = found.files
    assert (file.how, file.told) == ("header", ("(0018,1020) SoftwareVersions",))


def record_as_stored(at: Place, job: UUID) -> None:
    """Have the ledger hold the files as they are on disk now."""
    with at.ledger.transaction() as session:
        row = session.get(Job, job)
        assert row is not None
        for artifact in row.artifacts:
            artifact.sha256 = digest_file(Path(str(row.folder)) / artifact.relative_path)


def test_an_analysis_that_gives_another_result_each_time_is_told_so(at: Place) -> None:
    job = done(at, *write_volumes(at.folder / "in", 1, behaviour=GIVES_ANOTHER_RESULT))
    found = again(at, job)
    assert [stage for stage, _ in found.stages] == [Stage.OUTCOME, Stage.CONTENT]
    assert "measurements[0].value: " in found.stages[0][1]
    assert found.notes == ("two runs here differ as well: the analysis is not deterministic",)


def test_a_machine_that_computes_otherwise_is_told_from_that(at: Place) -> None:
    job = done(at, *write_volumes(at.folder / "in", 1))
    before = dict(at.found(job).outcome or {})
    measured = [{"name": "total", "value": 1.5, "unit": "1"}]
    change_job(at, job, outcome={**before, "measurements": measured})
    found = again(at, job)
    assert found.stages == ((Stage.OUTCOME, "measurements[0].value: 1.5 -> 0.0"),)
    assert found.notes[0].startswith("two runs here give the same")


def test_stored_files_that_were_altered_are_not_taken_for_the_result(at: Place) -> None:
    job = done(at, *write_volumes(at.folder / "in", 1))
    stored = at.found(job).folder
    assert stored is not None
    (stored / "a.bin").write_bytes(b"other")
    found = again(at, job)
    assert (found.verdict, found.files) == (Verdict.DIFFERS, ())
    assert found.stages == ((Stage.STORED, "a.bin is altered"),)
    shutil.rmtree(stored)
    found = again(at, job, "second")
    assert found.verdict is Verdict.IDENTICAL
    assert found.notes == (
        "stored files: a.bin is missing; compared with what the ledger has of them",
    )


def test_a_job_without_a_result_cannot_be_compared(at: Place) -> None:
    (job,) = at.submit(*write_volumes(at.folder / "in", 1))
    found = again(at, job)
    assert found.verdict is Verdict.IMPOSSIBLE
    assert found.notes == ("the job is waiting, and has no result",)
    with pytest.raises(UnusableCall, match="no job"):
        again(at, UUID(int=1))


def ran(at: Place, path: Path) -> UUID:
    analyses = open_analyses(["tally"], at.configuration)
    request = RunRequest(inputs=(path,), output=at.folder / "out", analyses=analyses)
    (entry,) = run(request, at.ledger, Heard()).jobs
    return entry.identity.job_id


def test_a_run_without_the_service_leaves_its_inputs_and_its_settings(at: Place) -> None:
    (path,) = write_volumes(at.folder / "in", 1)
    job = ran(at, path)
    assert again(at, job).verdict is Verdict.IDENTICAL
    past = past_job(at.ledger, job)
    assert past.files == (path,)
    assert past.configuration == open_analyses(["tally"], at.configuration)[0].configuration
    assert Care(at.ledger).retry(job, 1) is None, "the service was not told where results go"


def test_a_run_that_finds_a_job_done_says_where_its_input_is_now(at: Place) -> None:
    (path,) = write_volumes(at.folder / "in", 1)
    job = ran(at, path)
    moved = path.rename(at.folder / "moved.nii")
    assert again(at, job).verdict is Verdict.IMPOSSIBLE
    assert ran(at, moved) == job
    assert at.found(job).attempts == 1
    assert again(at, job).verdict is Verdict.IDENTICAL
    copied = Path(shutil.copy(moved, path))
    assert ran(at, copied) == job
    assert past_job(at.ledger, job).files == (moved,), "it stays where it is known to be"


def test_a_job_of_an_earlier_version_needs_its_inputs_and_its_settings(at: Place) -> None:
    (path,) = write_volumes(at.folder / "in", 1)
    job = ran(at, path)
    change_job(at, job, input_root=None, inputs=None, configuration=None)
    assert "give --input" in again(at, job).notes[0]
    assert again(at, job, inputs=(path,)).verdict is Verdict.IDENTICAL
    change_job(at, job, configuration_digest="0" * 64)
    found = again(at, job, "second", inputs=(path,))
    assert found.notes == ("the settings are not those of the job: give its --config",)


def test_jobs_whose_inputs_lie_in_the_inbox_and_one_that_replaces_another(
    site: Site, files: list[Path], tmp_path: Path
) -> None:
    bench = Bench(
        ledger=site.ledger,
        configuration=site.configuration,
        compute=Compute(threads=1),
        scratch=tmp_path / "again",
    )
    for some in (files[:-2], files[-2:]):
        site.receive(*some)
        site.look()
        job = site.ids()[-1]
        assert site.work(job) is JobState.DONE
        found = reproduce(job, replace(bench, scratch=tmp_path / job.hex))
        assert found.verdict is Verdict.IDENTICAL, found
    assert past_job(site.ledger, job).predecessor == site.ids()[0]
    kept = sorted((site.folder / "inbox" / "studies").rglob("*.dcm"))[3]
    instance = pydicom.dcmread(kept)
    instance.EchoTime = "9"
    instance.save_as(kept)
    found = reproduce(job, bench)
    told = f"the files are not those of the job: {kept.name}"
    assert found.stages == ((Stage.INPUT, told),)


def test_the_command_says_it_by_its_exit_status(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (path,) = write_volumes(desk.inputs, 1)
    desk.said("run", desk.inputs, "--output", tmp_path / "out", "--analysis", "tally")
    job = json.loads((tmp_path / "out" / "result.json").read_text())["jobs"][0]["job_id"]
    call = ("reproduce", job[:8], "--input", path)
    assert desk.said(*call) == f"{job}  identical, 3 files compared\n"
    assert desk.said("reproduce", job[:8]) == f"{job}  identical, 3 files compared\n"
    kept = path.rename(tmp_path / "elsewhere.nii")
    assert desk.call("reproduce", job[:8]).returncode == 2
    kept.rename(path)
    path.write_bytes(path.read_bytes()[:-1] + b"\x40")
    asked = desk.call(*call, "--anyway", "--json", "--scratch", tmp_path / "kept")
    assert asked.returncode == 1
    found = json.loads(asked.stdout)
    assert found["stages"][0]["stage"] == "input"
    assert {file["path"] for file in found["files"]} == {"a.bin", "b/c.bin", "d.bin"}
    assert (tmp_path / "kept" / "first" / "b" / "c.bin").is_file()
    assert "is not empty" in desk.call(*call, "--scratch", tmp_path / "kept").stderr


def test_pixels_are_told_from_headers_and_no_value_is_told(
    sound_study: Path, tmp_path: Path
) -> None:
    first = tmp_path / "a.dcm"
    shutil.copy(sorted(sound_study.rglob("*.dcm"))[0], first)
    instance = pydicom.dcmread(first)
    instance.PatientName = "Somebody^Else"
    instance.ReferencedImageSequence = [pydicom.Dataset()]
    instance.ReferencedImageSequence[0].ReferencedFrameNumber = 2
    second = tmp_path / "b.dcm"
    instance.save_as(second)
    found = difference(first, second)
    assert found is not None
    assert found.depth is Depth.HEADER
    assert found.told == (
        "(0008,1140) ReferencedImageSequence: only now",
        "(0010,0010) PatientName",
    )
    changed = pydicom.dcmread(second)
    changed.ReferencedImageSequence[0].ReferencedFrameNumber = 3
    changed.PixelData = changed.PixelData[:-2] + b"\x01\x02"
    third = tmp_path / "c.dcm"
    changed.save_as(third)
    found = difference(second, third)
    assert found is not None
    assert found.depth is Depth.CONTENT
    assert found.told == (
        "PixelData",
        "(0008,1140) ReferencedImageSequence[0] > (0008,1160) ReferencedFrameNumber",
    )
    assert difference(first, first) is None


@pytest.mark.parametrize(
    ("change", "depth"),
    [("level", Depth.BYTES), ("header", Depth.HEADER), ("values", Depth.CONTENT)],
)
def test_values_of_nifti_are_told_from_headers_and_compression(
    change: str, depth: Depth, tmp_path: Path
) -> None:
    (path,) = write_volumes(tmp_path, 1)
    content = bytearray(path.read_bytes())
    before, now = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    before.write_bytes(gzip.compress(bytes(content), 9, mtime=0))
    if change != "level":
        content[80 if change == "header" else -1] ^= 1
    now.write_bytes(gzip.compress(bytes(content), 1, mtime=1))
    found = difference(before, now)
    assert found is not None
    assert found.depth is depth


Json = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(before=Json, now=Json)
def test_json_differs_where_it_is_not_equal_and_nowhere_else(before: object, now: object) -> None:
    assert bool(list(json_differences(before, now))) == (before != now)
    assert list(json_differences(before, before)) == []


def test_pictures_of_the_same_pixels_differ_in_bytes_only(tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    picture.save(paths[0], compress_level=9)
    picture.save(paths[1], compress_level=0)
    picture.point(lambda v: v ^ 1).save(paths[2])
    found = [difference(paths[0], path) for path in paths[1:]]
    assert [f.depth for f in found if f] == [Depth.BYTES, Depth.CONTENT]
