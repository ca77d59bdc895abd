"""Corrections: drawn contours, other members, other phases; measured anew, signed, and linked."""

import csv
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import highdicom
import jsonschema
import nibabel
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from sqlalchemy import update

from pipeline.analyses.perfusion.aha import Insertions
from pipeline.analyses.perfusion.remeasure import DRAWN
from pipeline.analyses.perfusion.result import MYOCARDIUM, PerfusionResult
from pipeline.deliver.gate import check
from pipeline.errors import ReviewRefused
from pipeline.identity import digest_file
from pipeline.imaging.nifti import read_labels, read_volume, write_volume
from pipeline.imaging.volume import Volume
from pipeline.ledger.audit import Sought, entries
from pipeline.ledger.pastjobs import PastJob
from pipeline.ledger.reviews import correction_of
from pipeline.ledger.reviewstates import ReviewState
from pipeline.ledger.tables import ArtifactRow, Job
from pipeline.review.corrections import Kept, correctable, keep
from pipeline.review.correctperfusion import drawn, of_insertions, of_members, remeasure
from pipeline.review.correctphases import Stretch, of_stretches
from tests.support.phaseresults import SECONDS
from tests.support.readings import ACCEPTED, ANNA, BERT, REJECTED, Readings
from tests.support.runs import files_of

SCHEMA = Path(__file__).parents[2] / "docs" / "phases.schema.json"


def segmentation_of(desk: Readings) -> Volume:
    volume = read_volume(desk.folder() / "segmentation.nii.gz")
    return volume.with_array(volume.array.astype(np.uint8))


def body(volume: Volume, folder: Path) -> bytes:
    path = folder / "drawn.nii.gz"
    write_volume(volume, path)
    return path.read_bytes()


def grown(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return labels whose myocardium is one pixel wider on one side."""
    moved = labels.copy()
    inside = labels[:, :, :-1] == MYOCARDIUM
    moved[:, :, 1:][inside & (labels[:, :, 1:] == 0)] = MYOCARDIUM
    assert (moved != labels).any()
    return moved


def draw(desk: Readings, content: bytes) -> Kept:
    past = correctable(desk.job_id, desk.desk)
    return keep(past, ("segmentation", drawn(past, content)), ANNA, desk.desk)


def value(kept: Kept, name: str) -> float:
    (found,) = [m.value for m in kept.measurements if m.name == name]
    return found


def before(desk: Readings, name: str) -> float:
    outcome = desk.past.record.outcome or {}
    (found,) = [m["value"] for m in outcome["measurements"] if m["name"] == name]  # type: ignore[attr-defined]
    return float(found)


def folder_of(job: PastJob) -> Path:
    assert job.record.folder is not None
    return job.record.folder


def walk(item: Dataset) -> list[Dataset]:
    return [item, *(below for child in item.get("ContentSequence", []) for below in walk(child))]


def test_drawn_contours_are_measured_at_once_by_the_analysis_own_code(
    desk: Readings, tmp_path: Path
) -> None:
    segmentation = segmentation_of(desk)
    labels = grown(segmentation.array.astype(np.uint8))
    kept = draw(desk, body(segmentation.with_array(labels), tmp_path))
    area = float(np.prod(segmentation.spacing_mm[1:])) * float((labels == MYOCARDIUM).sum())
    assert value(kept, "myocardium_area_mm2") == pytest.approx(area)
    assert value(kept, "blood_pool_area_mm2") == before(desk, "blood_pool_area_mm2")
    assert value(kept, "blood_pool_upslope") == pytest.approx(
        before(desk, "blood_pool_upslope"), rel=0.05
    )
    assert "u_pp" not in {m.name for m in kept.measurements}
    (event,) = entries(desk.ledger, Sought(action="correction"))
    assert event.audited.detail["correction"] == str(kept.id)


def test_labels_that_say_the_same_change_no_number(desk: Readings, tmp_path: Path) -> None:
    kept = draw(desk, body(segmentation_of(desk), tmp_path))
    outcome = desk.past.record.outcome or {}
    found = [(m.name, m.value, m.unit) for m in kept.measurements]
    expected = [(m["name"], m["value"], m["unit"]) for m in outcome["measurements"]]  # type: ignore[attr-defined]
    assert found == expected


def test_segments_are_measured_anew_where_contours_have_changed(
    desk: Readings, tmp_path: Path
) -> None:
    outcome = desk.past.record.outcome or {}
    assert outcome["aha_segments"]
    segmentation = segmentation_of(desk)
    same = draw(desk, body(segmentation, tmp_path))
    other = draw(desk, body(segmentation.with_array(grown(segmentation.array)), tmp_path))
    found = []
    for kept in (same, other):
        with desk.ledger.reading() as session:
            correction = correction_of(session, desk.job_id, kept.id)
        result, _ = remeasure(desk.past, correction, desk.configuration)
        found.append([asdict(each) for each in result.aha.measurements])
        assert len(set(result.notes)) == len(result.notes)
    assert found[0] == outcome["aha_segments"]
    assert found[1] != outcome["aha_segments"]
    names = [{(m["segment"], m["layer"], m["name"]) for m in each} for each in found]
    assert names[0] & names[1]


def turned(desk: Readings, degrees: float) -> Insertions:
    """Return the insertions of the only slice, turned about the middle of the heart."""
    outcome = desk.past.record.outcome or {}
    (place,), (found,) = outcome["aha_slices"], outcome["uncertainty"]  # type: ignore[misc]
    segmentation = segmentation_of(desk)
    middle = np.array(found["heart_centre_lps_mm"])
    row = segmentation.affine[:3, 1] / np.linalg.norm(segmentation.affine[:3, 1])
    column = segmentation.affine[:3, 2] / np.linalg.norm(segmentation.affine[:3, 2])
    angle = np.deg2rad(degrees)

    def moved(point: list[float]) -> tuple[float, float, float]:
        away = np.array(point) - middle
        along, across = away @ row, away @ column
        new = middle + (along * np.cos(angle) - across * np.sin(angle)) * row
        new = new + (along * np.sin(angle) + across * np.cos(angle)) * column
        return float(new[0]), float(new[1]), float(new[2])

    return Insertions(
        anterior_lps_mm=moved(place["anterior_insertion_lps_mm"]),
        inferior_lps_mm=moved(place["inferior_insertion_lps_mm"]),
    )


def set_insertions(desk: Readings, points: Insertions) -> PerfusionResult:
    past = correctable(desk.job_id, desk.desk)
    kept = keep(past, ("insertions", of_insertions(past, {0: points})), ANNA, desk.desk)
    with desk.ledger.reading() as session:
        correction = correction_of(session, desk.job_id, kept.id)
    return remeasure(desk.past, correction, desk.configuration)[0]


def test_insertions_that_a_reader_sets_renumber_the_segments_and_nothing_else(
    desk: Readings,
) -> None:
    outcome = desk.past.record.outcome or {}

    def walls(values: Iterable[Mapping[str, Any]]) -> dict[int, float]:
        return {
            each["segment"]: each["value"]
            for each in values
            if (each["layer"], each["name"]) == ("wall", "upslope")
        }

    before = walls(outcome["aha_segments"])  # type: ignore[arg-type]
    same = set_insertions(desk, turned(desk, 0.0))
    # The points of the result lie on a grid of a quarter of a point.
    assert walls(map(asdict, same.aha.measurements)) == pytest.approx(before, rel=0.06)
    assert [asdict(m) for m in same.measurements] == outcome["measurements"]
    assert same.notes.count("slice 0: a reader has set the insertions") == 1

    def nearest(degrees: float) -> int:
        found = walls(map(asdict, set_insertions(desk, turned(desk, degrees)).aha.measurements))
        off = {
            step: sum(
                abs(found[7 + (segment - 7 + step) % 6] - value)
                for segment, value in before.items()
            )
            for step in (-1, 0, 1)
        }
        return min(off, key=off.__getitem__)

    # By a segment of 60 degrees, either way: each has the numbers of its neighbour.
    one, other = nearest(60.0), nearest(-60.0)
    assert abs(one) == 1
    assert other == -one


def test_insertions_that_are_none_of_the_heart_are_refused(desk: Readings) -> None:
    past = correctable(desk.job_id, desk.desk)
    points = turned(desk, 0.0)
    far = replace(points, anterior_lps_mm=(900.0, 0.0, 0.0))
    same = replace(points, inferior_lps_mm=points.anterior_lps_mm)
    for given, why in (
        ({}, "no slice is named"),
        ({3: points}, "nothing is segmented on a slice 3"),
        ({0: far}, "mm from the heart"),
        ({0: same}, "the same point"),
    ):
        with pytest.raises(ReviewRefused, match=why):
            of_insertions(past, given)


def test_an_accepted_edit_is_a_new_segmentation_with_author_and_predecessor(
    desk: Readings, tmp_path: Path
) -> None:
    untouched = files_of(desk.folder())
    segmentation = segmentation_of(desk)
    labels = grown(segmentation.array.astype(np.uint8))
    kept = draw(desk, body(segmentation.with_array(labels), tmp_path))
    reading = desk.say(replace(ACCEPTED, correction=kept.id), BERT)
    assert reading.state is ReviewState.EDITED
    assert files_of(desk.folder()) == untouched
    old = {p.name: pydicom.dcmread(p) for p in desk.folder().glob("*.dcm")}
    assert reading.successor_job_id is not None
    desk.job_id = reading.successor_job_id
    folder = desk.folder()
    np.testing.assert_array_equal(read_labels(folder / "segmentation.nii.gz"), labels)
    new = {p.name: pydicom.dcmread(p) for p in folder.glob("*.dcm")}
    assert set(new) == set(old)
    for name, instance in new.items():
        assert check(folder / name, desk.configuration.gate) == ()
        assert instance.SOPInstanceUID != old[name].SOPInstanceUID
        assert instance.StudyInstanceUID == old[name].StudyInstanceUID
    seg, seg_before = new["segmentation_binary.dcm"], old["segmentation_binary.dcm"]
    assert seg.ContentCreatorName == "Arends^Anna"
    assert {s.SegmentAlgorithmType for s in seg.SegmentSequence} == {"SEMIAUTOMATIC"}
    listed = {
        str(i.ReferencedSOPInstanceUID): str(s.SeriesInstanceUID)
        for s in seg.ReferencedSeriesSequence
        for i in s.ReferencedInstanceSequence
    }
    assert listed[seg_before.SOPInstanceUID] == seg_before.SeriesInstanceUID
    frames = highdicom.seg.segread(folder / "segmentation_binary.dcm").get_volume(
        combine_segments=True
    )
    assert int((frames.array == MYOCARDIUM).sum()) == int((labels == MYOCARDIUM).sum())
    report = new["report.dcm"]
    (observer,) = report.VerifyingObserverSequence
    assert str(observer.VerifyingObserverName) == "Bauer^Bert"
    named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert (
        named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == old["report.dcm"].SOPInstanceUID
    )
    items = walk(report)
    people = [i.PersonName for i in items if i.ValueType == "PNAME"]
    assert people == ["Arends^Anna"]
    pointed = {
        str(i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for i in items
        if i.ValueType == "IMAGE"
    }
    assert seg.SOPInstanceUID in pointed
    assert seg_before.SOPInstanceUID not in pointed
    assert any(f"chosen member: {DRAWN}" in str(i.get("TextValue", "")) for i in items)


def test_the_same_correction_is_kept_once(desk: Readings, tmp_path: Path) -> None:
    segmentation = segmentation_of(desk)
    labels = grown(segmentation.array.astype(np.uint8))
    first = draw(desk, body(segmentation.with_array(labels), tmp_path))
    padded = body(segmentation.with_array(labels.astype(np.int16)), tmp_path)
    assert draw(desk, padded).id == first.id


def test_contours_can_be_removed_from_a_slice_but_not_from_all(
    desk: Readings, tmp_path: Path
) -> None:
    segmentation = segmentation_of(desk)
    nothing = segmentation.with_array(np.zeros_like(segmentation.array))
    with pytest.raises(ReviewRefused, match="no myocardium on any slice"):
        draw(desk, body(nothing, tmp_path))


def test_labels_elsewhere_or_of_other_values_are_refused(desk: Readings, tmp_path: Path) -> None:
    segmentation = segmentation_of(desk)
    elsewhere = segmentation.affine.copy()
    elsewhere[0, 3] += 1.0
    moved = Volume(array=segmentation.array, affine=elsewhere)
    wrong = segmentation.with_array(np.full_like(segmentation.array, 3))
    smaller = Volume(array=segmentation.array[:, :-1], affine=segmentation.affine)
    grid = "do not lie on the grid"
    for volume, reason in ((moved, grid), (smaller, grid), (wrong, "labels are 0, 1")):
        with pytest.raises(ReviewRefused, match=reason):
            draw(desk, body(volume, tmp_path))
    huge = nibabel.Nifti1Image(np.zeros((1024, 1024, 64), dtype=np.uint8), np.eye(4))
    for content in (b"", b"no NIfTI", gzip.compress(b"no NIfTI"), gzip.compress(huge.to_bytes())):
        with pytest.raises(ReviewRefused, match=r"cannot be read|do not lie"):
            draw(desk, content)


def test_nothing_but_labels_is_kept_of_a_file(desk: Readings, tmp_path: Path) -> None:
    content = bytearray(gzip.decompress(body(segmentation_of(desk), tmp_path)))
    content[148:157] = b"Doe^Jane "
    kept = drawn(desk.past, gzip.compress(bytes(content)))
    assert b"Doe" not in gzip.decompress(kept)


def test_a_correction_needs_the_source(desk: Readings, tmp_path: Path) -> None:
    with desk.ledger.transaction() as session:
        session.execute(update(Job).values(inputs=None))
    with pytest.raises(ReviewRefused, match="does not have its inputs"):
        draw(desk, body(segmentation_of(desk), tmp_path))


def test_a_review_that_has_ended_takes_no_correction(desk: Readings) -> None:
    desk.say(REJECTED)
    with pytest.raises(ReviewRefused, match="the review has ended: rejected"):
        correctable(desk.job_id, desk.desk)


def with_members(desk: Readings) -> NDArray[np.uint8]:
    """Have the job keep a member's segmentation, if it does not; return the member's labels."""
    kept = {a.relative_path for a in desk.past.record.artifacts if a.kind == "members"}
    path = "members/member_1.nii.gz"
    if path not in kept:
        segmentation = segmentation_of(desk)
        labels = grown(segmentation.array.astype(np.uint8))
        (desk.folder() / "members").mkdir()
        write_volume(segmentation.with_array(labels), desk.folder() / path)
        with desk.ledger.transaction() as session:
            digest = digest_file(desk.folder() / path)
            session.add(
                ArtifactRow(job_id=desk.job_id, kind="members", relative_path=path, sha256=digest)
            )
    return read_labels(desk.folder() / path).astype(np.uint8)


def test_another_member_can_be_chosen(desk: Readings) -> None:
    labels = with_members(desk)
    past = correctable(desk.job_id, desk.desk)
    kept = keep(past, ("members", of_members(past, {0: "member_1"})), ANNA, desk.desk)
    successor = desk.accepted(replace(ACCEPTED, correction=kept.id))
    folder = folder_of(successor)
    np.testing.assert_array_equal(read_labels(folder / "segmentation.nii.gz"), labels)
    (found,) = (successor.record.outcome or {})["uncertainty"]  # type: ignore[misc]
    outcome = past.record.outcome or {}
    (scores,) = [s["members"] for s in outcome["uncertainty"]]  # type: ignore[attr-defined]
    expected = next(s["u_pp"] for s in scores if s["member"] == "member_1")
    assert (found["chosen_member"], found["u_pp"]) == ("member_1", expected)
    (was,), (now,) = (
        json.loads((place / "curves.json").read_text())["slices"]
        for place in (folder_of(past), folder)
    )
    assert now["members"] == was["members"]
    assert now["chosen_member"] == "member_1"
    assert now["series"][0]["values"] != was["series"][0]["values"]
    (own,) = [each for each in now["members"] if each["member"] == "member_1"]
    # Measured on the labels as they were kept, whose edges are those of the source's pixels.
    assert now["series"][0]["values"] == pytest.approx(own["myocardium"], rel=0.02)
    for path in folder.glob("*.dcm"):
        assert check(path, desk.configuration.gate) == ()


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ({}, "no slice is named"),
        ({9: "member_1"}, "there is no slice 9"),
        ({-1: "member_1"}, "there is no slice -1"),
        ({0: "../../etc"}, "has no member of that name"),
    ],
)
def test_a_member_that_is_not_there_is_refused(
    chosen: dict[int, str], reason: str, desk: Readings
) -> None:
    with pytest.raises(ReviewRefused, match=reason):
        of_members(desk.past, chosen)


def stretches(desk: Readings) -> list[Stretch]:
    """Return the segments of the result, the first boundary moved by ten seconds."""
    document = json.loads((desk.folder() / "phases.json").read_text())
    found = [
        Stretch(start_s=s["start_seconds"], end_s=s["end_seconds"], phase=s["phase"])
        for s in document["segments"]
    ]
    first, second = found[0], found[1]
    found[0] = replace(first, end_s=first.end_s + 10)
    found[1] = replace(second, start_s=second.start_s + 10)
    return found


def correct_phases(desk: Readings, wanted: list[Stretch]) -> Kept:
    past = correctable(desk.job_id, desk.desk)
    return keep(past, ("phases", of_stretches(past, wanted)), ANNA, desk.desk)


def test_a_moved_boundary_is_a_new_report_and_new_files(phases_desk: Readings) -> None:
    wanted = stretches(phases_desk)
    kept = correct_phases(phases_desk, wanted)
    outcome = phases_desk.past.record.outcome or {}
    lasted = {m["structure"]: m["value"] for m in outcome["measurements"]}  # type: ignore[attr-defined]
    lasts = {m.structure: m.value for m in kept.measurements}
    assert lasts[wanted[0].phase] == lasted[wanted[0].phase] + 10
    assert lasts[wanted[1].phase] == lasted[wanted[1].phase] - 10
    before_report = pydicom.dcmread(phases_desk.folder() / "report.dcm")
    before_seconds = (phases_desk.folder() / "seconds.csv").read_text()
    successor = phases_desk.accepted(replace(ACCEPTED, correction=kept.id))
    folder = folder_of(successor)
    for path in (folder / "report.dcm", folder / "key_objects.dcm"):
        assert check(path, phases_desk.configuration.gate) == ()
    document = json.loads((folder / "phases.json").read_text())
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    boundary = wanted[0].end_s
    assert document["segments"][0]["end_seconds"] == boundary
    second = int(boundary) - 1
    assert document["seconds"]["phase"][second] == wanted[0].phase
    with (folder / "seconds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == SECONDS
    assert rows[second]["phase"] == wanted[0].phase
    old = list(csv.DictReader(before_seconds.splitlines()))
    assert [{**r, "phase": ""} for r in rows] == [{**r, "phase": ""} for r in old]
    report = pydicom.dcmread(folder / "report.dcm")
    assert report.VerificationFlag == "VERIFIED"
    named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == before_report.SOPInstanceUID
    segments = [i for i in observed(report) if i.ValueType == "CODE"]
    assert len(segments) == len(wanted)
    certain = [any(c.ValueType == "NUM" for c in i.ContentSequence) for i in segments]
    assert certain == [False, False, *[True] * (len(wanted) - 2)]
    assert expected(report) == expected(before_report)
    assert [i.PersonName for i in walk(report) if i.ValueType == "PNAME"] == ["Arends^Anna"]
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {"chapters.vtt", "segments.csv", "figures/ribbon.png", "verdict.json"} <= names
    assert {a.relative_path for a in successor.record.artifacts} == names


def container(report: Dataset, name: str) -> list[Dataset]:
    return [
        item
        for item in report.ContentSequence
        if item.ValueType == "CONTAINER" and item.ConceptNameCodeSequence[0].CodeMeaning == name
    ]


def observed(report: Dataset) -> list[Dataset]:
    (found,) = container(report, "Observed course")
    return list(found.ContentSequence)


def expected(report: Dataset) -> list[Dataset]:
    return container(report, "Expected course")


def test_segments_as_they_were_keep_their_numbers(phases_desk: Readings) -> None:
    document = json.loads((phases_desk.folder() / "phases.json").read_text())
    wanted = stretches(phases_desk)
    wanted[0] = replace(wanted[0], end_s=wanted[0].end_s - 10)
    wanted[1] = replace(wanted[1], start_s=wanted[1].start_s - 10)
    kept = correct_phases(phases_desk, wanted)
    successor = phases_desk.accepted(replace(ACCEPTED, correction=kept.id))
    found = json.loads((folder_of(successor) / "phases.json").read_text())
    assert found["segments"] == document["segments"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"phase": "lunch"}, "names no phase"),
        ({"end_s": 650.0}, "must follow each other"),
        ({"start_s": -1.0}, "must follow each other"),
        ({"start_s": 100.0, "end_s": 100.0}, "must follow each other"),
        ({"end_s": 1e9}, "must follow each other"),
    ],
)
def test_phases_that_cannot_be_are_refused(
    change: dict[str, object], reason: str, phases_desk: Readings
) -> None:
    wanted = stretches(phases_desk)
    wanted[0] = replace(wanted[0], **change)  # type: ignore[arg-type]
    with pytest.raises(ReviewRefused, match=reason):
        of_stretches(phases_desk.past, wanted)


def test_two_readers_agree_on_the_same_correction(desk: Readings, tmp_path: Path) -> None:
    desk.read_twice()
    segmentation = segmentation_of(desk)
    labels = grown(segmentation.array.astype(np.uint8))
    kept = draw(desk, body(segmentation.with_array(labels), tmp_path))
    said = replace(ACCEPTED, correction=kept.id)
    assert desk.say(said).state is ReviewState.OPEN
    assert desk.say(said, BERT).state is ReviewState.EDITED
