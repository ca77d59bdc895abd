"""The files of a phase analysis: text, ribbon, and objects that say what was seen, and when."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from pipeline.analyses.phases.anticipation import N_NEXT
from pipeline.analyses.phases.ontology import CODING_SCHEME
from pipeline.analyses.phases.result import MARKS, Mark
from pipeline.encode.phaseribbon import write_ribbon
from pipeline.encode.phases import encode_phases
from pipeline.encode.phasestext import phases_document
from pipeline.identity import digest_file
from pipeline.ingest.inventory import take_inventory
from pipeline.study import VideoSeries
from tests.support.phaseresults import SECONDS, phases_result
from tests.support.results import CONTEXT
from tests.support.videos import write_dicom_video, write_video

DCIODVFY = Path(sys.executable).parent / "dciodvfy"
SCHEMA = Path(__file__).parents[2] / "docs" / "phases.schema.json"
REVIEW = 0.18
"""Uncertainty above which segments of the made-up result go to review first: two of seven."""


def loaded(folder: Path) -> VideoSeries:
    """Load the only video of a folder."""
    (candidate,) = take_inventory([folder]).candidates
    series = candidate.load()
    assert isinstance(series, VideoSeries)
    return series


def write_case(folder: Path) -> VideoSeries:
    """Write a case of two instances, the second 300 s after the first, and load it.

    The generated instances show 3 s; they are taken to show all of the made-up result.
    """
    folder.mkdir()
    write_dicom_video(folder / "a.dcm", SpecificCharacterSet="ISO_IR 192", PatientName="Ζωή^Ελένη")
    write_dicom_video(
        folder / "b.dcm",
        SOPInstanceUID="1.2.826.0.1.9.4",
        ContentTime="102000",
        InstanceNumber=2,
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Ζωή^Ελένη",
    )
    return lasting(loaded(folder), 300.0, 700.0)


def lasting(series: VideoSeries, *ends_seconds: float) -> VideoSeries:
    """Return a series whose instances end at other times."""
    pairs = zip(series.instances, ends_seconds, strict=True)
    return replace(series, instances=tuple(replace(i, end_seconds=end) for i, end in pairs))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> VideoSeries:
    return write_case(tmp_path_factory.mktemp("case") / "in")


@pytest.fixture(scope="module")
def folder(case: VideoSeries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the case's result; nobody may change it."""
    folder = tmp_path_factory.mktemp("result")
    encode_phases(phases_result(), case, CONTEXT, REVIEW, folder)
    return folder


def walk(item: Dataset) -> list[Dataset]:
    """Return an item of a report and all below it."""
    return [item, *(below for child in item.get("ContentSequence", []) for below in walk(child))]


def pixels(path: Path) -> NDArray[np.uint8]:
    """Return a picture's pixels."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def meaning(item: Dataset) -> str:
    """Return what an item is named."""
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeMeaning) if names else ""


def test_the_objects_conform_to_the_standard(folder: Path) -> None:
    paths = [folder / "report.dcm", *sorted((folder / "key_frames").glob("*.dcm"))]
    # The generated video has 3 s; what is asked for later is its last picture.
    assert len(paths) == 8
    for path in paths:
        found = subprocess.run([DCIODVFY, path], capture_output=True, text=True, check=False)
        lines = (found.stdout + found.stderr).splitlines()
        assert lines
        assert [line for line in lines if line.startswith("Error")] == []


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="DCMTK's dsrdump is not installed")
def test_dcmtk_renders_the_report(folder: Path) -> None:
    found = subprocess.run(
        ["dsrdump", folder / "report.dcm"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0
    assert '(CHOLE-CALOT,99VESALIUS,"Calot triangle dissection")' in found.stdout
    assert "Expected course" in found.stdout


def ranges_of(path: Path) -> list[tuple[str, str, float, float]]:
    """Return the ranges of a report: code, last digit of the instance's UID, start and end [s]."""
    report = pydicom.dcmread(path)
    (observed,) = (c for c in report.ContentSequence if meaning(c) == "Observed course")
    found = []
    for item in observed.ContentSequence:
        for child in item.get("ContentSequence", []):
            if child.ValueType == "TCOORD":
                (image,) = child.ContentSequence
                assert (child.RelationshipType, child.TemporalRangeType) == (
                    "INFERRED FROM",
                    "SEGMENT",
                )
                assert image.RelationshipType == "SELECTED FROM"
                uid = image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
                code = item.ConceptCodeSequence[0]
                assert code.CodingSchemeDesignator == CODING_SCHEME
                start, end = map(float, child.ReferencedTimeOffsets)
                found.append((str(code.CodeValue), str(uid[-1]), start, end))
    return found


def test_each_segment_has_its_range_of_time_in_the_instance_that_holds_it(folder: Path) -> None:
    assert ranges_of(folder / "report.dcm") == [
        ("CHOLE-PREP", "3", 0.0, 100.0),
        ("CHOLE-CALOT", "3", 100.0, 200.0),
        ("CHOLE-CLIP", "3", 200.0, 300.0),
        ("CHOLE-DISSECT", "4", 0.0, 100.0),
        ("CHOLE-PACK", "4", 100.0, 200.0),
        ("CHOLE-CLEAN", "4", 200.0, 300.0),
        ("CHOLE-RETRACT", "4", 300.0, 400.0),
    ]


def test_a_segment_in_two_instances_has_a_range_in_each_and_none_in_the_pause(
    case: VideoSeries, tmp_path: Path
) -> None:
    first, second = case.instances
    split = replace(
        case,
        instances=(
            replace(first, end_seconds=145.0),
            replace(second, start_seconds=150.0, end_seconds=699.5),
        ),
    )
    encode_phases(phases_result(), split, CONTEXT, REVIEW, tmp_path)
    found = ranges_of(tmp_path / "report.dcm")
    assert found[1:3] == [("CHOLE-CALOT", "3", 100.0, 145.0), ("CHOLE-CALOT", "4", 0.0, 50.0)]
    assert found[-1] == ("CHOLE-RETRACT", "4", 450.0, 549.5)


def test_a_key_frame_names_the_instance_of_its_picture_where_the_segment_began_in_another(
    case: VideoSeries, tmp_path: Path
) -> None:
    result = phases_result()
    mark = result.mark.copy()
    mark[100:160] = MARKS.index(Mark.BLACK)
    first, second = case.instances
    split = replace(case, instances=(first, replace(second, start_seconds=150.0)))
    encode_phases(replace(result, mark=mark), split, CONTEXT, REVIEW, tmp_path)
    picture = pydicom.dcmread(tmp_path / "key_frames" / "02_calot_triangle_dissection.dcm")
    assert picture.SourceImageSequence[0].ReferencedSOPInstanceUID == second.sop_instance_uid


def test_what_was_expected_is_never_written_as_observed(folder: Path) -> None:
    report = pydicom.dcmread(folder / "report.dcm")
    expected = [c for c in report.ContentSequence if meaning(c) == "Expected course"]
    assert len(expected) == 7
    for number, container in enumerate(expected):
        items = walk(container)
        assert not any(item.ValueType in ("TCOORD", "IMAGE") for item in items)
        (issued,) = (i for i in items if meaning(i) == "Expected as of")
        assert issued.MeasuredValueSequence[0].NumericValue == 100 * number
        (horizon,) = (i for i in items if meaning(i) == "Segments looked ahead")
        assert horizon.MeasuredValueSequence[0].NumericValue == N_NEXT
        assert {i.TextValue for i in items if meaning(i) == "Expected by"} == {"network", "counts"}
    assert "ContentTemplateSequence" not in report


def test_the_same_result_gives_the_same_bytes(
    case: VideoSeries, folder: Path, tmp_path: Path
) -> None:
    encode_phases(phases_result(), case, CONTEXT, REVIEW, tmp_path)
    names = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    for name in names:
        assert digest_file(folder / name) == digest_file(tmp_path / name), name


def test_the_patient_is_in_the_objects_as_in_the_source_and_in_no_other_file(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.suffix == ".dcm":
            assert str(pydicom.dcmread(path).PatientName) == "Ζωή^Ελένη"
        elif path.is_file():
            content = path.read_bytes()
            assert "Ελένη".encode() not in content
            assert b"0042" not in content or path.suffix in (".png", ".svg")


def test_key_frames_name_the_instance_that_they_come_from(folder: Path) -> None:
    pictures = [pydicom.dcmread(p) for p in sorted((folder / "key_frames").glob("*.dcm"))]
    assert [p.InstanceNumber for p in pictures] == list(range(1, 8))
    assert len({p.SOPInstanceUID for p in pictures}) == 7
    sources = [p.SourceImageSequence[0].ReferencedSOPInstanceUID[-1] for p in pictures]
    assert sources == ["3", "3", "3", "4", "4", "4", "4"]
    first = pixels(folder / "key_frames" / "01_preparation.png")
    np.testing.assert_array_equal(first, pictures[0].pixel_array)


def test_the_text_says_what_the_result_says(folder: Path) -> None:
    document = json.loads((folder / "phases.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert document == json.loads(json.dumps(phases_document(phases_result(), REVIEW)))
    assert [s["review_first"] for s in document["segments"]].count(True) == 2
    assert document["seconds"]["phase"][45] is None
    assert {u["mark"] for u in document["unusable"]} == {
        *("out_of_body", "black", "smoke", "blur", "missing")
    }
    with (folder / "seconds.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == SECONDS
    assert (rows[45]["phase"], rows[45]["mark"]) == ("", "out_of_body")
    assert rows[150]["phase"] == "calot_triangle_dissection"
    with (folder / "segments.csv").open(encoding="utf-8") as file:
        segments = list(csv.DictReader(file))
    assert [float(s["end_seconds"]) for s in segments] == [100.0 * n for n in range(1, 8)]
    chapters = (folder / "chapters.vtt").read_text(encoding="utf-8")
    assert chapters.startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:01:40.000\nPreparation\n")


def test_a_video_of_nobody_becomes_text_and_pictures(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.mp4", 75)
    (tmp_path / "out").mkdir()
    encode_phases(phases_result(), loaded(tmp_path / "in"), CONTEXT, REVIEW, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.dcm"))
    assert (tmp_path / "out" / "phases.json").exists()


def test_the_ribbon_shows_each_phase_in_its_colour_and_the_truth_above(tmp_path: Path) -> None:
    result = phases_result()
    truth = ((np.arange(SECONDS) // 100 + 1) % 7).astype(np.int16)
    plain, _ = write_ribbon(result, REVIEW, tmp_path / "plain")
    both, vector = write_ribbon(result, REVIEW, tmp_path / "both", truth=truth)
    colours = {p.colour for p in result.procedure.phases}
    assert colours == {c for c in colours if c.lower() in vector.read_text()}
    picture = pixels(both)
    # Down the column in the middle of the first phase: the truth's next phase, then its own.
    column = picture[:, round(picture.shape[1] * (0.11 + 0.875 * 0.02))]
    order = [tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in ("#0072B2", "#999999")]
    places = [np.flatnonzero((np.abs(column.astype(int) - rgb) < 6).all(axis=1)) for rgb in order]
    assert places[0].size
    assert places[1].size
    assert places[0].max() < places[1].min()
    assert pixels(plain).shape[0] < picture.shape[0]


def test_the_ribbon_of_a_short_video_says_what_lies_beyond_it(tmp_path: Path) -> None:
    result = phases_result()
    _, vector = write_ribbon(result, REVIEW, tmp_path / "whole", moments_s=[110.0])
    assert "next: " not in vector.read_text()
    early = replace(
        result,
        **{
            name: getattr(result, name)[:20]
            for name in ("t_seconds", "mark", "raw", "filtered", "uncertainty", "phase")
        },
        segments=(replace(result.segments[0], end_seconds=20.0),),
    )
    _, vector = write_ribbon(early, REVIEW, tmp_path / "early", moments_s=[10.0])
    assert vector.read_text().count("next: Calot triangle dissection in 1.5 min") == 2
