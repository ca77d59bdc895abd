"""A study of a dual sequence, from DICOM files to the manifest and the report."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pydicom
import pytest

from pipeline.manifest import JobEntry, Manifest
from pipeline.phantom.pair import PerfusionPair
from tests.support.dualsequence import small_dual, write_small
from tests.support.runs import FAST, Site

SCHEMA = Path(__file__).parents[1] / "docs" / "result.schema.json"
RESEARCH = replace(FAST, flow="research")


@pytest.fixture(scope="module")
def pair() -> PerfusionPair:
    """Return a study of a bolus that clips the series' own images."""
    return small_dual()


@pytest.fixture
def study(pair: PerfusionPair, tmp_path: Path) -> Path:
    return write_small(pair, tmp_path / "study")


def done(site: Site, study: Path, output: Path) -> dict[str, JobEntry]:
    """Return the jobs of a run by the state of the heart; its manifest keeps to the schema."""
    entries = perfusion_jobs(site.run(study, output=output))
    jsonschema.validate(document_in(output), json.loads(SCHEMA.read_text()))
    return {str(found_in(output, job)["heart_state"]): job for job in entries}


def perfusion_jobs(manifest: Manifest) -> list[JobEntry]:
    """Return the jobs of a run but for the reserve, all of them done."""
    jobs = [job for job in manifest.jobs if job.folder.startswith("perfusion")]
    assert [job.failure for job in jobs] == [None] * len(jobs)
    return jobs


def document_in(output: Path) -> dict[str, list[dict[str, object]]]:
    document = json.loads((output / "result.json").read_text())
    assert isinstance(document, dict)
    return document


def found_in(output: Path, job: JobEntry) -> dict[str, object]:
    (found,) = (e for e in document_in(output)["jobs"] if e["job_id"] == str(job.job_id))
    return found


def flow_in(output: Path, job: JobEntry) -> dict[str, object]:
    flow = found_in(output, job)["flow"]
    assert isinstance(flow, dict)
    return flow


def test_both_layouts_give_an_input_that_is_not_clipped(
    study: Path, pair: PerfusionPair, tiny_bundle: Path, tmp_path: Path
) -> None:
    site = Site(bundle=tiny_bundle, ledger=tmp_path / "ledger.db", settings=RESEARCH)
    jobs = done(site, study, tmp_path / "out")
    assert set(jobs) == {"rest", "stress"}, "the series of low resolution is no job of its own"
    for name, truth in (("rest", pair.rest), ("stress", pair.stress)):
        flow = flow_in(tmp_path / "out", jobs[name])
        assert (flow["basis"], flow["refused"]) == ("research, dual sequence", None)
        taken = flow["arterial_input"]
        assert isinstance(taken, dict)
        assert truth.arterial is not None
        assert taken["images"] == "dual sequence"
        assert taken["own_refused"] is not None or taken["own_peak"] < taken["peak"]
        assert 0.6 < taken["peak"] / truth.arterial.blood.max() < 1.1
        assert any("flow: input function: dual sequence" in n for n in jobs[name].all_notes)


def test_the_report_names_the_image_of_the_input(
    study: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    site = Site(bundle=tiny_bundle, ledger=tmp_path / "ledger.db", settings=RESEARCH)
    jobs = done(site, study, tmp_path / "out")
    report = pydicom.dcmread(tmp_path / "out" / jobs["stress"].folder / "report.dcm")
    text = report.to_json()
    assert "input function of flow: dual sequence, peak" in text
    low = {pydicom.dcmread(p).SOPInstanceUID for p in (study / "stress_aif").iterdir()}
    evidence = {
        instance.ReferencedSOPInstanceUID
        for of_study in report.CurrentRequestedProcedureEvidenceSequence
        for series in of_study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    assert len(low & evidence) == 1


def test_without_research_the_flow_of_signals_stays_refused(
    study: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    site = Site(bundle=tiny_bundle, ledger=tmp_path / "ledger.db")
    jobs = done(site, study, tmp_path / "out")
    for job in jobs.values():
        flow = flow_in(tmp_path / "out", job)
        assert flow["basis"] is None
        assert "signals" in str(flow["refused"])


def test_images_that_cannot_be_used_are_told_and_the_series_is_done_without(
    study: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    for path in study.rglob("*.dcm"):
        instance = pydicom.dcmread(path)
        if instance.Rows == 48:
            del instance.InversionTime
            instance.save_as(path)
    site = Site(bundle=tiny_bundle, ledger=tmp_path / "ledger.db", settings=RESEARCH)
    jobs = perfusion_jobs(site.run(study, output=tmp_path / "out"))
    with_companion = [
        job for job in jobs if any("arterial input" in note for note in job.all_notes)
    ]
    assert len(with_companion) == 2
    notes = [note for job in with_companion for note in job.all_notes]
    assert any("not used: the source states no saturation delay" in note for note in notes)
    assert any("it states no shorter delay" in note for note in notes)
    for job in with_companion:
        assert flow_in(tmp_path / "out", job)["basis"] != "research, dual sequence"


def test_the_files_of_low_resolution_are_part_of_the_job(
    study: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    site = Site(bundle=tiny_bundle, ledger=tmp_path / "ledger.db", settings=RESEARCH)
    before = done(site, study, tmp_path / "before")
    path = sorted((study / "stress_aif").iterdir())[20]
    instance = pydicom.dcmread(path)
    instance.PixelData = bytes(len(instance.PixelData))
    instance.save_as(path)
    after = done(site, study, tmp_path / "after")
    assert after["rest"].job_id == before["rest"].job_id
    assert after["stress"].job_id != before["stress"].job_id
