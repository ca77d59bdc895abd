"""Training sets: what readers accepted or corrected, and nobody's name."""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pydicom
import pytest
from sqlalchemy import update

from pipeline.errors import UnusableCall
from pipeline.identity import digest_file
from pipeline.imaging.nifti import read_labels, read_time_series
from pipeline.ledger.audit import Sought, entries
from pipeline.ledger.tables import Job
from pipeline.review.trainingset import PARTS, ExportAsked, export, part_of
from tests.review.test_corrections import body, correct_phases, draw, grown, segmentation_of
from tests.review.test_corrections import stretches as moved
from tests.support.readings import ACCEPTED, ANNA, REJECTED, Readings

ALL = ExportAsked()


def listed(folder: Path) -> list[dict[str, object]]:
    document = json.loads((folder / "dataset.json").read_text())
    found: list[dict[str, object]] = document["cases"]
    return found


def test_a_corrected_case_has_its_image_and_the_corrected_labels(
    desk: Readings, tmp_path: Path
) -> None:
    segmentation = segmentation_of(desk)
    labels = grown(segmentation.array.astype(np.uint8))
    kept = draw(desk, body(segmentation.with_array(labels), tmp_path))
    desk.say(replace(ACCEPTED, correction=kept.id))
    found = export(desk.ledger, ALL, tmp_path / "set", ANNA)
    assert (found.cases, found.left_out) == (1, {})
    (case,) = listed(tmp_path / "set")
    assert case["review"] == "edited"
    assert case["job_id"] == str(desk.job_id)
    assert case["bundle"]["digest"] == desk.past.bundle_digest  # type: ignore[index]
    for file in (case["image"], case["label"]):
        path = tmp_path / "set" / file["path"]  # type: ignore[index]
        assert digest_file(path) == file["sha256"]  # type: ignore[index]
    image = read_time_series(tmp_path / "set" / case["image"]["path"])  # type: ignore[index]
    stored = read_labels(tmp_path / "set" / case["label"]["path"])  # type: ignore[index]
    np.testing.assert_array_equal(stored, labels)
    assert image.array.shape[1:] == labels.shape
    np.testing.assert_allclose(image.affine, segmentation.affine, atol=1e-4)


def test_an_export_is_audited_and_appears_once(desk: Readings, tmp_path: Path) -> None:
    desk.say(ACCEPTED)
    found = export(desk.ledger, ALL, tmp_path / "set", ANNA)
    (event,) = entries(desk.ledger, Sought(action="export"))
    assert event.audited.actor == "anna"
    assert event.audited.detail["sha256"] == found.sha256
    assert digest_file(tmp_path / "set" / "dataset.json") == found.sha256
    with pytest.raises(UnusableCall, match="exists already"):
        export(desk.ledger, ALL, tmp_path / "set", ANNA)
    assert not list(tmp_path.glob(".export-*"))


def test_the_same_export_has_the_same_bytes(desk: Readings, tmp_path: Path) -> None:
    desk.say(ACCEPTED)
    first = export(desk.ledger, ALL, tmp_path / "first", ANNA)
    assert export(desk.ledger, ALL, tmp_path / "second", ANNA) == first


def test_no_attribute_of_a_patient_and_no_link_is_in_a_de_identified_set(
    desk: Readings, sound_study: Path, tmp_path: Path
) -> None:
    desk.say(ACCEPTED)
    export(desk.ledger, ExportAsked(deidentified=True), tmp_path / "set", ANNA)
    source = pydicom.dcmread(next(p for p in sorted(sound_study.rglob("*")) if p.is_file()))
    content = b"".join(p.read_bytes() for p in (tmp_path / "set").rglob("*") if p.is_file())
    secrets = [str(desk.job_id), desk.past.input_digest, str(source.StudyInstanceUID)]
    secrets += [str(source.PatientName), str(source.PatientID)]
    for secret in secrets:
        assert secret
        assert secret.encode() not in content
    (case,) = listed(tmp_path / "set")
    assert set(case) == {"name", "analysis", "part", "review", "bundle", "image", "label"}


def test_what_was_rejected_or_not_read_is_not_in_a_set(desk: Readings, tmp_path: Path) -> None:
    assert export(desk.ledger, ALL, tmp_path / "first", ANNA).cases == 0
    desk.say(REJECTED)
    assert export(desk.ledger, ALL, tmp_path / "second", ANNA).cases == 0


def test_a_case_whose_source_is_gone_is_told(desk: Readings, tmp_path: Path) -> None:
    desk.say(ACCEPTED)
    with desk.ledger.transaction() as session:
        session.execute(update(Job).values(inputs=None))
    found = export(desk.ledger, ALL, tmp_path / "set", ANNA)
    assert found.left_out == {"the ledger does not have its inputs": 1}


def test_phases_come_as_text_without_the_video(phases_desk: Readings, tmp_path: Path) -> None:
    kept = correct_phases(phases_desk, moved(phases_desk))
    phases_desk.say(replace(ACCEPTED, correction=kept.id))
    assert export(phases_desk.ledger, ALL, tmp_path / "set", ANNA).cases == 1
    (case,) = listed(tmp_path / "set")
    assert case["image"] is None
    document = json.loads((tmp_path / "set" / case["label"]["path"]).read_text())  # type: ignore[index]
    assert document["segments"][0]["end_seconds"] == moved(phases_desk)[0].end_s
    files = {p.suffix for p in (tmp_path / "set").rglob("*") if p.is_file()}
    assert files == {".json"}


def test_patients_are_shared_out_as_told() -> None:
    counts = {name: 0 for name, _ in PARTS}
    for number in range(4000):
        counts[part_of(f"issuer\n{UUID(int=number)}")] += 1
    assert counts["train"] / 4000 == pytest.approx(0.70, abs=0.03)
    assert counts["validation"] / 4000 == pytest.approx(0.15, abs=0.03)
    assert counts["test"] / 4000 == pytest.approx(0.15, abs=0.03)
