"""The DICOM objects of a result: conformant, placed as their source, and true to the manifest."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from pipeline.analyses.perfusion.segmentnames import Layer
from pipeline.analyses.perfusion.trust import assess
from pipeline.demo import write_study
from pipeline.encode.codes import (
    FAILURE_PROBABILITY,
    MEASUREMENTS,
    PRIVATE_SCHEME,
    SEGMENT_MEASUREMENTS,
    SEGMENTS,
    STRUCTURES,
    TRUST,
    TRUST_VERDICTS,
    UNITS,
)
from pipeline.encode.context import UNKNOWN_DATE
from pipeline.encode.perfusion import encode_perfusion
from pipeline.encode.sources import placed
from pipeline.identity import digest_file
from pipeline.imaging.nifti import read_labels, read_volume
from pipeline.imaging.volume import Volume
from pipeline.ingest.inventory import take_inventory
from pipeline.quiet import quietly
from pipeline.study import InputSeries
from tests.support.geometry import farthest_mm
from tests.support.plainseries import plain_series
from tests.support.realdata import real_data
from tests.support.results import CONTEXT, result_on
from tests.support.traps import stack
from tests.support.trust import signs, trust_model
from tests.support.vendors import STYLES, through, write_enhanced

DCIODVFY = Path(sys.executable).parent / "dciodvfy"
OBJECTS = (
    "segmentation_binary.dcm",
    "segmentation_labelmap.dcm",
    "uncertainty.dcm",
    "report.dcm",
    "overview.dcm",
    "report_page.dcm",
)


def encoded(series: InputSeries, folder: Path, *, empty_slices: tuple[int, ...] = ()) -> Path:
    """Encode a made-up result on a series, and return the folder."""
    folder.mkdir()
    encode_perfusion(result_on(series.image, empty_slices=empty_slices), series, CONTEXT, folder)
    return folder


def complaints(path: Path) -> list[str]:
    """Return the errors that dciodvfy finds in an object."""
    found = subprocess.run([DCIODVFY, path], capture_output=True, text=True, check=False)
    lines = (found.stdout + found.stderr).splitlines()
    assert any(line for line in lines), "dciodvfy said nothing"
    return [line for line in lines if line.startswith("Error")]


def assert_same_volume(found: highdicom.Volume, expected: Volume) -> None:
    """Assert that every voxel has its value and its place; highdicom counts slices either way."""
    back = found.match_geometry(placed(expected, found.frame_of_reference_uid), tol=1e-6)
    assert farthest_mm(back.affine, expected.affine, expected.array.shape) < 1e-4
    np.testing.assert_array_equal(back.array, expected.array)


def changed(folder: Path, **attributes: object) -> InputSeries:
    """Write a study with other attributes in every instance (None deletes one), and read it."""
    for path in write_study(stack(12, n_slices=3), folder, name="changed"):
        with quietly():
            instance = pydicom.dcmread(path)
            for keyword, value in attributes.items():
                if value is None:
                    delattr(instance, keyword)
                else:
                    setattr(instance, keyword, value)
            instance.save_as(path)
    (candidate,) = take_inventory([folder]).candidates
    return candidate.load()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> InputSeries:
    """Return a classic series of three slices."""
    folder = tmp_path_factory.mktemp("source")
    return through(write_study, stack(12, n_slices=3), folder)


@pytest.fixture(scope="module")
def folder(source: InputSeries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of its result; nobody may change it."""
    return encoded(source, tmp_path_factory.mktemp("result") / "out")


@pytest.mark.parametrize("style", STYLES)
def test_every_object_conforms_to_the_standard_whatever_the_source(
    style: str, tmp_path: Path
) -> None:
    series = through(STYLES[style], stack(12, n_slices=3), tmp_path)
    found = encoded(series, tmp_path / "out", empty_slices=(1,))
    assert {name: complaints(found / name) for name in OBJECTS} == {name: [] for name in OBJECTS}


@pytest.mark.parametrize("style", STYLES)
def test_each_frame_points_at_all_source_frames_of_its_slice_and_at_no_other(
    style: str, tmp_path: Path
) -> None:
    series = through(STYLES[style], stack(12, n_slices=3), tmp_path)
    found = encoded(series, tmp_path / "out")
    for name in OBJECTS[:3]:
        instance = pydicom.dcmread(found / name)
        positions = set()
        for item in instance.PerFrameFunctionalGroupsSequence:
            index = slice_at(item, series)
            positions.add(index)
            expected = {
                (f.sop_instance_uid, f.frame_number) for f in (b[index] for b in series.frames)
            }
            assert references(item.DerivationImageSequence[0].SourceImageSequence) == expected
        assert positions == {0, 1, 2}
        listed = {
            (s.SeriesInstanceUID, i.ReferencedSOPInstanceUID)
            for s in instance.ReferencedSeriesSequence
            for i in s.ReferencedInstanceSequence
        }
        every = {(f.series_instance_uid, f.sop_instance_uid) for b in series.frames for f in b}
        assert listed == every


def slice_at(item: Dataset, series: InputSeries) -> int:
    """Return the slice whose first voxel a frame's position is."""
    position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
    origins = [series.image.affine[:3] @ (i, 0, 0, 1) for i in range(series.image.n_slices)]
    distances = [float(np.linalg.norm(position - origin)) for origin in origins]
    assert min(distances) < 1e-3
    return int(np.argmin(distances))


def references(sequence: list[Dataset]) -> set[tuple[str, int]]:
    """Return the frames that a Source Image Sequence refers to."""
    found = set()
    for item in sequence:
        numbers = np.atleast_1d(item.get("ReferencedFrameNumber", 1))
        found |= {(str(item.ReferencedSOPInstanceUID), int(number)) for number in numbers}
    return found


@pytest.mark.parametrize("name", OBJECTS[:2])
def test_the_segmentation_reads_back_with_its_voxels_and_its_place(
    name: str, folder: Path, source: InputSeries
) -> None:
    expected = result_on(source.image).segmentation
    volume = highdicom.seg.segread(folder / name).get_volume(combine_segments=True)
    assert_same_volume(volume, expected)


def test_the_uncertainty_map_reads_back_with_its_voxels_and_its_place(
    folder: Path, source: InputSeries
) -> None:
    expected = result_on(source.image).uncertainty
    assert_same_volume(highdicom.imread(folder / "uncertainty.dcm").get_volume(), expected)


def test_the_nifti_twins_say_the_same_as_the_objects(folder: Path, source: InputSeries) -> None:
    result = result_on(source.image)
    np.testing.assert_array_equal(
        read_labels(folder / "segmentation.nii.gz"), result.segmentation.array
    )
    twin = read_volume(folder / "uncertainty.nii.gz")
    assert farthest_mm(twin.affine, result.uncertainty.affine, twin.array.shape) < 1e-4
    np.testing.assert_array_equal(twin.array, result.uncertainty.array)


def test_segments_are_coded_and_say_which_algorithm_made_them(folder: Path) -> None:
    instance = pydicom.dcmread(folder / "segmentation_binary.dcm")
    described = [
        (
            s.SegmentLabel,
            s.SegmentedPropertyTypeCodeSequence[0].CodeValue,
            s.SegmentAlgorithmType,
            s.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName,
            s.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion,
        )
        for s in instance.SegmentSequence
    ]
    made = ("AUTOMATIC", CONTEXT.bundle_name, CONTEXT.bundle_version)
    assert described == [
        ("LV myocardium", "49848007", *made),
        ("LV blood pool", "87612001", *made),
    ]
    for segment, structure in zip(instance.SegmentSequence, STRUCTURES, strict=True):
        assert segment.SegmentLabel == structure.label


def test_the_report_holds_every_measurement_of_the_manifest_beside_its_region(
    folder: Path, source: InputSeries
) -> None:
    result = result_on(source.image)
    report = highdicom.sr.srread(folder / "report.dcm")
    segmentation = pydicom.dcmread(folder / "segmentation_binary.dcm")
    groups = report.content.get_planar_roi_measurement_groups()
    assert len(groups) == 6
    found = []
    for group in groups:
        reference = frame_reference(group)
        frame = segmentation.PerFrameFunctionalGroupsSequence[reference.ReferencedFrameNumber - 1]
        assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert group.finding_type == STRUCTURES[number - 1].kind
        index = slice_at(frame, source)
        found += [
            (index, m.name.value, round(float(m.value), 9), m.unit.value)
            for m in group.get_measurements()
        ]
    expected = [
        (m.slice_index, MEASUREMENTS[m.name].value, round(m.value, 9), UNITS[m.unit].value)
        for m in result.measurements
    ]
    assert sorted(found) == sorted(expected)


def test_the_report_holds_each_segment_by_its_finding_site(
    folder: Path, source: InputSeries
) -> None:
    result = result_on(source.image)
    report = highdicom.sr.srread(folder / "report.dcm")
    groups = report.content.get_image_measurement_groups()
    sites = {code.value: segment for segment, code in SEGMENTS.items()}
    assert len(sites) == 17
    found = []
    for group in groups:
        (site,) = group.finding_sites
        (shown,) = group.source_images
        uid = shown.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        (index,) = (
            n
            for row in source.frames
            for n, frame in enumerate(row)
            if frame.sop_instance_uid == uid
        )
        for m in group.get_measurements():
            values = (m.name.value, round(float(m.value), 9), m.unit.value)
            found.append((index, sites[site.value.value], *values))
    expected = [
        (
            *(m.slice_index, m.segment, SEGMENT_MEASUREMENTS[m.name].value),
            *(round(m.value, 9), UNITS[m.unit].value),
        )
        for m in result.aha.measurements
        if m.layer == Layer.WALL
    ]
    assert sorted(found) == sorted(expected)
    assert len({group.tracking_uid for group in groups}) == len(groups) == 16


def frame_reference(group: Dataset) -> Dataset:
    """Return the reference of a measurement group to its frame of the segmentation."""
    (item,) = [
        i for i in group[0].ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "121214"
    ]
    return item.ReferencedSOPSequence[0]


def test_the_report_names_the_chosen_member_and_every_members_uncertainty(folder: Path) -> None:
    items = pydicom.dcmread(folder / "report.dcm").walk
    texts: list[str] = []
    items(lambda _, e: texts.append(str(e.value)) if e.keyword == "TextValue" else None)
    assert {
        "chosen member: member_1",
        "U_pp of member_1: 0.01",
        "U_pp of member_2: 0.022",
        "U_pp of member_3: 0.032",
    } <= set(texts)


def test_the_report_tells_the_verdict_of_each_slice_and_what_speaks_against_it(
    source: InputSeries, tmp_path: Path
) -> None:
    plain = result_on(source.image)
    found = {0: signs(), 1: signs(u_pp=0.1, agreement=0.2), 2: signs(u_pp=0.01)}
    trust = assess(found, trust_model())
    assert trust is not None
    (tmp_path / "judged").mkdir()
    encode_perfusion(replace(plain, trust=trust), source, CONTEXT, tmp_path / "judged")
    path = tmp_path / "judged" / "report.dcm"
    assert complaints(path) == []
    told = {}
    for group in highdicom.sr.srread(path).content.get_planar_roi_measurement_groups():
        if group.finding_type == STRUCTURES[0].kind:
            (evaluation,) = group.get_qualitative_evaluations(TRUST)
            (score,) = group.get_measurements(FAILURE_PROBABILITY)
            told[group.tracking_identifier] = (evaluation.value.value, score.value)
    assert [told[f"myocardium slice {n}"] for n in (1, 2, 3)] == [
        (TRUST_VERDICTS[s.verdict].value, pytest.approx(s.failure_probability))
        for s in trust.slices
    ]
    texts: list[str] = []
    pydicom.dcmread(path).walk(
        lambda _, e: texts.append(str(e.value)) if e.keyword == "TextValue" else None
    )
    assert "against trust: the members agree with a Dice of 0.20" in texts


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_is_research_of_the_sources_patient_and_names_its_maker(
    name: str, folder: Path, source: InputSeries
) -> None:
    instance = pydicom.dcmread(folder / name)
    assert source.header is not None
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "AccessionNumber",
    ):
        assert instance[keyword].value == source.header[keyword].value
    assert instance.ContentQualification == "RESEARCH"
    assert instance.SeriesInstanceUID not in source.series_instance_uids
    said = [e.get("ContributionDescription", "") for e in instance.ContributingEquipmentSequence]
    assert any(CONTEXT.bundle_digest in text and "0.1.0" in text for text in said)
    assert (instance.SeriesNumber // 100) == source.header.SeriesNumber


def test_objects_share_the_sources_frame_of_reference(folder: Path, source: InputSeries) -> None:
    for name in OBJECTS[:3]:
        instance = pydicom.dcmread(folder / name)
        assert instance.FrameOfReferenceUID == source.image.frame_of_reference_uid


def test_the_report_is_complete_and_unverified(folder: Path) -> None:
    instance = pydicom.dcmread(folder / "report.dcm")
    assert (instance.CompletionFlag, instance.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert instance.PreliminaryFlag == "PRELIMINARY"
    root = instance.ContentTemplateSequence[0]
    assert (root.MappingResource, root.TemplateIdentifier) == ("DCMR", "1500")
    schemes = {s.CodingSchemeDesignator for s in instance.CodingSchemeIdentificationSequence}
    assert PRIVATE_SCHEME in schemes


def test_the_same_result_gives_the_same_bytes(
    source: InputSeries, folder: Path, tmp_path: Path
) -> None:
    again = encoded(source, tmp_path / "again")
    names = [p.relative_to(folder) for p in folder.rglob("*") if p.is_file()]
    assert len(names) == 16
    for name in names:
        assert digest_file(again / name) == digest_file(folder / name), name


def test_names_in_any_script_survive(tmp_path: Path) -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    series = changed(tmp_path / "study", PatientName=name)
    found = encoded(series, tmp_path / "out")
    for object_name in OBJECTS:
        assert pydicom.dcmread(found / object_name).PatientName == name
        assert complaints(found / object_name) == []


def test_what_the_source_lacks_is_left_empty_and_never_made_up(tmp_path: Path) -> None:
    series = changed(
        tmp_path / "study",
        PatientName="",
        PatientBirthDate=None,
        PatientSex=None,
        StudyID=None,
        AccessionNumber=None,
        StudyDate=None,
        SeriesDate=None,
        AcquisitionDate=None,
        ContentDate=None,
        SeriesNumber=None,
        FrameOfReferenceUID=None,
    )
    found = encoded(series, tmp_path / "out")
    for name in OBJECTS:
        instance = pydicom.dcmread(found / name)
        for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate"):
            assert not instance[keyword].value
        assert instance.ContentDate == UNKNOWN_DATE
        assert instance.SeriesNumber < 100
        assert complaints(found / name) == []


def test_values_that_break_the_standard_do_not_stop_a_result(tmp_path: Path) -> None:
    series = changed(
        tmp_path / "study",
        PatientSex="UNKNOWN",
        PatientBirthDate="1970",
        StudyTime="ten",
        AcquisitionTime="10:30",
        PatientID="x" * 80,
        SeriesNumber="-7",
    )
    found = encoded(series, tmp_path / "out")
    with quietly():
        instance = pydicom.dcmread(found / "segmentation_binary.dcm")
        assert (instance.PatientSex, instance.PatientBirthDate, instance.StudyTime) == ("", "", "")
        assert instance.PatientID == "x" * 80
        assert instance.ContentTime == "000000"


def test_a_nifti_series_gets_no_patient_and_no_dicom(source: InputSeries, tmp_path: Path) -> None:
    nifti = plain_series(source.image, "a.nii.gz")
    found = encoded(nifti, tmp_path / "out")
    suffixes = {p.suffix for p in found.rglob("*") if p.is_file()}
    assert suffixes == {".csv", ".gz", ".pdf", ".png"}


def test_a_real_scanners_series_is_encoded_without_an_error(tmp_path: Path) -> None:
    (candidate,) = take_inventory([real_data("perfusion", "ge_dicom")]).candidates
    found = encoded(candidate.load(), tmp_path / "out")
    assert {name: complaints(found / name) for name in OBJECTS} == {name: [] for name in OBJECTS}


def test_a_source_of_many_frames_is_referred_to_by_frame_number(tmp_path: Path) -> None:
    series = through(write_enhanced, stack(12, n_slices=3), tmp_path)
    found = encoded(series, tmp_path / "out")
    item = pydicom.dcmread(found / "uncertainty.dcm").SourceImageSequence[0]
    assert sorted(item.ReferencedFrameNumber) == list(range(1, 37))
