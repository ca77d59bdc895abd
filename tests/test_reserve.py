"""What rest and stress say together: a job of its own, whichever of the two was done last."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config import Configuration, GateSettings
from pipeline.deliver.deidentify import EMPTY_PAGE, deidentified
from pipeline.deliver.gate import check
from pipeline.encode.table import COLUMNS, write_rows
from pipeline.identity import digest_file
from pipeline.imaging.nifti import write_volume
from pipeline.imaging.volume import Volume
from pipeline.infer.terms import Compute
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import JobState
from pipeline.manifest import JobEntry, Manifest
from pipeline.outputs import OutputFolder
from pipeline.reproduce import Bench, reproduce
from pipeline.reproduction import Verdict
from pipeline.reserve import make_reserves
from pipeline.study import Artifact
from tests.support.jobs import job_request
from tests.support.restandstress import small_pair, write_pair
from tests.support.runs import Heard, Site, files_of

SCHEMA = Path(__file__).parents[1] / "docs" / "result.schema.json"
SLOPES = {"rest": (0.1, 0.2), "stress": (0.25, 0.3)}
"""Relative upslopes of segments 7 and 8 in made-up results."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A run on a study with both states."""

    site: Site
    output: Path
    manifest: Manifest
    heard: Heard


@pytest.fixture(scope="module")
def done(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Return a run, made once; tests only read it."""
    folder = tmp_path_factory.mktemp("pair")
    pair = small_pair()
    study = write_pair(pair.rest.phantom.image, pair.stress.phantom.image, folder / "study")
    site, heard = Site(bundle=tiny_bundle, ledger=folder / "ledger.db"), Heard()
    manifest = site.run(study, output=folder / "out", heard=heard)
    return Done(site=site, output=folder / "out", manifest=manifest, heard=heard)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger."""
    with Ledger.open(str(tmp_path / "ledger.db")) as opened:
        yield opened


def made_up(
    ledger: Ledger, folder: Path, state: str, slopes: tuple[float, float], name: str | None = None
) -> UUID:
    """Write a result as far as a reserve needs one, and record it as done."""
    folder.mkdir(parents=True)
    rows = [
        (0, "myocardium", None, None, None, "relative_upslope", repr(slopes[0]), "1"),
        *(
            (0, "myocardium", segment, "", "wall", "relative_upslope", repr(slope), "1")
            for segment, slope in zip((7, 8), slopes, strict=True)
        ),
    ]
    table = write_rows(rows, folder)
    write_volume(
        Volume(array=np.zeros((1, 4, 4), np.uint8), affine=np.diag([8.0, 2.0, 2.0, 1.0])),
        folder / "segmentation.nii.gz",
    )
    request = job_request(name or state)
    artifacts = (
        table,
        Artifact(
            kind="nifti",
            relative_path="segmentation.nii.gz",
            sop_instance_uid=None,
            sha256=digest_file(folder / "segmentation.nii.gz"),
        ),
    )
    outcome = {
        "heart_state": state,
        "aha_segments": [{"segment": segment} for segment in (7, 8)],
    }
    job_id = request.identity.job_id
    attempt = ledger.begin(request)
    ledger.complete(job_id, attempt, folder=folder, artifacts=artifacts, outcome=outcome)
    return job_id


def only(entries: tuple[JobEntry, ...]) -> JobEntry:
    """Return the only entry, which must have a result."""
    assert len(entries) == 1
    assert entries[0].failure is None, entries[0].failure
    return entries[0]


def reserve(done: Done) -> JobEntry:
    """Return the reserve of the run."""
    return only(tuple(e for e in done.manifest.jobs if e.identity.analysis == "reserve"))


def test_a_run_on_rest_and_stress_ends_with_their_reserve(done: Done) -> None:
    entry = reserve(done)
    assert done.heard.entries[-1].job_id == entry.job_id
    document = json.loads((done.output / "result.json").read_text())
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(document)
    written = document["jobs"][-1]
    rest, stress = document["jobs"][:2]
    assert [rest["heart_state"], stress["heart_state"]] == ["rest", "stress"]
    assert written["reserve"]["rest"]["job_id"] == rest["job_id"]
    assert written["reserve"]["stress"]["job_id"] == stress["job_id"]
    for each in written["artifacts"]:
        assert digest_file(done.output / each["relative_path"]) == each["sha256"]


def test_its_numbers_are_those_of_the_two_results(done: Done) -> None:
    def wall(job: dict[str, Any]) -> dict[int, float]:
        return {
            each["segment"]: each["value"]
            for each in job["aha_segments"]
            if (each["layer"], each["name"]) == ("wall", "relative_upslope")
        }

    document = json.loads((done.output / "result.json").read_text())
    rest, stress = (wall(job) for job in document["jobs"][:2])
    found = {
        each["segment"]: each["mpri"]
        for each in document["jobs"][-1]["reserve"]["segments"]
        if each["layer"] == "wall"
    }
    assert found == {s: pytest.approx(stress[s] / rest[s]) for s in rest.keys() & stress.keys()}
    assert len(found) == 6
    with (done.output / reserve(done).folder / "measurements.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert {row["unit"] for row in rows} == {"1"}
    table = {
        int(row["segment"]): float(row["value"])
        for row in rows
        if (row["name"], row["layer"]) == ("mpri", "wall")
    }
    assert table == found


def test_its_report_has_a_unit_for_each_number_and_names_both_reports(done: Done) -> None:
    folder = done.output / reserve(done).folder
    report = pydicom.dcmread(folder / "report.dcm")
    measured = [
        item
        for group in report.ContentSequence[-1].ContentSequence
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    ]
    assert len(measured) == 3 * 7, "the ventricle and six segments, each with what it is made of"
    for item in measured:
        assert item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "1"
    named = {
        item.ReferencedSOPInstanceUID
        for series in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    reports = [
        artifact.sop_instance_uid
        for entry in done.manifest.jobs[:2]
        for artifact in entry.artifacts
        if artifact.kind == "report"
    ]
    assert named == set(reports)
    source = pydicom.dcmread(done.output / done.manifest.jobs[1].folder / "report.dcm")
    for keyword in ("PatientID", "StudyInstanceUID", "ContentDate", "ContentTime"):
        assert report[keyword].value == source[keyword].value
    assert check(folder / "report.dcm", GateSettings(dciodvfy="never")) == ()


def test_its_page_is_inside_an_object_of_the_patient(done: Done, tmp_path: Path) -> None:
    folder = done.output / reserve(done).folder
    instance = pydicom.dcmread(folder / "report_page.dcm")
    page = instance.EncapsulatedDocument[: instance.EncapsulatedDocumentLength]
    assert page.startswith(b"%PDF-")
    assert (folder / "figures" / "report.pdf").read_bytes() != page
    source = pydicom.dcmread(folder / "report.dcm")
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate"):
        assert instance[keyword].value == source[keyword].value
    assert instance.SeriesNumber not in {source.SeriesNumber, None}
    assert {item.ReferencedSOPInstanceUID for item in instance.SourceInstanceSequence} == {
        artifact.sop_instance_uid
        for entry in done.manifest.jobs[:2]
        for artifact in entry.artifacts
        if artifact.kind == "report"
    }
    kinds = {a.relative_path.split("/")[-1]: a.kind for a in reserve(done).artifacts}
    assert kinds["report_page.dcm"] == kinds["report.pdf"] == "report_page"
    assert check(folder / "report_page.dcm", GateSettings()) == ()
    deidentified(folder / "report_page.dcm", tmp_path / "clean.dcm", bytes(range(32)))
    clean = pydicom.dcmread(tmp_path / "clean.dcm")
    assert clean.EncapsulatedDocument.rstrip() == EMPTY_PAGE.rstrip()
    assert check(tmp_path / "clean.dcm", GateSettings()) == ()


def test_a_second_run_reuses_it(done: Done, tmp_path: Path) -> None:
    with Ledger.open(str(done.site.ledger)) as ledger:
        jobs = [entry.job_id for entry in done.manifest.jobs[:2]]
        again = only(make_reserves(jobs, ledger, OutputFolder.open(done.output)))
        assert again.reused
        assert again.job_id == reserve(done).job_id
        # Made elsewhere, its files are the same bytes.
        there = only(make_reserves(jobs[:1], ledger, OutputFolder.open(tmp_path)))
    assert not there.reused
    assert files_of(tmp_path / there.folder) == files_of(done.output / there.folder)


def test_either_of_the_two_gives_the_same(ledger: Ledger, tmp_path: Path) -> None:
    rest = made_up(ledger, tmp_path / "rest", "rest", SLOPES["rest"])
    assert make_reserves([rest], ledger) == ()
    stress = made_up(ledger, tmp_path / "stress", "stress", SLOPES["stress"])
    entry = only(make_reserves([stress], ledger))
    assert only(make_reserves([rest], ledger)).reused
    assert only(make_reserves([rest, stress], ledger)).job_id == entry.job_id
    assert (entry.outcome or {})["measurements"][0]["value"] == pytest.approx(2.5)
    assert {a.relative_path for a in entry.artifacts} == {
        "figures/bullseye.png",
        "figures/report.pdf",
        "measurements.csv",
    }, "without reports there is no DICOM"


def test_a_result_that_was_done_anew_makes_another_that_takes_its_place(
    ledger: Ledger, tmp_path: Path
) -> None:
    rest = made_up(ledger, tmp_path / "rest", "rest", SLOPES["rest"])
    made_up(ledger, tmp_path / "stress", "stress", SLOPES["stress"])
    first = only(make_reserves([rest], ledger))
    made_up(ledger, tmp_path / "anew", "stress", (0.5, 0.6))
    second = only(make_reserves([rest], ledger))
    assert second.identity.predecessor == first.job_id
    assert (second.outcome or {})["measurements"][0]["value"] == pytest.approx(5.0)
    again = only(make_reserves([rest], ledger))
    assert again.reused
    assert again.job_id == second.job_id


def test_numbers_that_were_altered_are_not_used(ledger: Ledger, tmp_path: Path) -> None:
    made_up(ledger, tmp_path / "rest", "rest", SLOPES["rest"])
    stress = made_up(ledger, tmp_path / "stress", "stress", SLOPES["stress"])
    (tmp_path / "rest" / "measurements.csv").write_text("altered")
    (entry,) = make_reserves([stress], ledger)
    assert entry.failure is not None
    assert "measurements.csv is altered" in entry.failure.reason
    record = ledger.find(entry.job_id)
    assert record is not None
    assert record.state is JobState.FAILED


def test_it_is_told_to_be_made_of_two_jobs(ledger: Ledger, tmp_path: Path) -> None:
    rest = made_up(ledger, tmp_path / "rest", "rest", SLOPES["rest"])
    stress = made_up(ledger, tmp_path / "stress", "stress", SLOPES["stress"])
    entry = only(make_reserves([rest], ledger))
    bench = Bench(
        ledger=ledger,
        configuration=Configuration(),
        compute=Compute(threads=1),
        scratch=tmp_path / "again",
    )
    found = reproduce(entry.job_id, bench)
    assert found.verdict is Verdict.IMPOSSIBLE
    assert found.notes == (f"it was made of jobs {rest} and {stress}: these can be done again",)


def test_the_command_makes_what_is_missing_and_says_so(ledger: Ledger, tmp_path: Path) -> None:
    made_up(ledger, tmp_path / "rest", "rest", SLOPES["rest"])
    made_up(ledger, tmp_path / "stress", "stress", SLOPES["stress"])
    call = ["reserve", "--ledger", str(tmp_path / "ledger.db")]
    said = CliRunner().invoke(app, call)
    assert said.exit_code == 0, said.output
    assert "reserve rest and stress: done" in said.output
    told = json.loads(CliRunner().invoke(app, [*call, "--json"]).stdout)
    assert [job["reused"] for job in told["jobs"]] == [True]
    (tmp_path / "rest" / "measurements.csv").unlink()
    missing = CliRunner().invoke(app, [*call, str(UUID(int=1))])
    assert missing.exit_code == 0
