"""What the gate lets pass, what it finds, and that it tells no value."""

import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from pipeline.config import GateSettings
from pipeline.deliver import dciodvfy
from pipeline.deliver.gate import check
from pipeline.encode.standard import _tree
from pipeline.errors import UnusableCall
from pipeline.quiet import quietly
from tests.support.vendors import STYLES
from tests.support.written import write_all, write_perfusion

OURS = GateSettings(dciodvfy="never")
"""Without the other program: what is found is found by us."""

SEG = "perfusion/segmentation_binary.dcm"
LABELMAP = "perfusion/segmentation_labelmap.dcm"
MAP = "perfusion/uncertainty.dcm"
REPORT = "perfusion/report.dcm"
OVERVIEW = "perfusion/overview.dcm"
KEYS = "perfusion/key_objects.dcm"
IMAGE = "reconstruction/images/IM00001.dcm"
ENHANCED = "reconstruction/enhanced.dcm"
MARK = "SECRETMARK"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the objects of every analysis; nobody may change them."""
    return write_all(tmp_path_factory.mktemp("written"))


def test_every_object_that_is_written_passes(
    written: Mapping[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(written) > 15
    seconds = {}
    for name, path in written.items():
        began = perf_counter()
        assert check(path) == (), name
        seconds[name] = perf_counter() - began
    with capsys.disabled():
        slowest = max(seconds, key=seconds.__getitem__)
        mean = sum(seconds.values()) / len(seconds)
        print(  # noqa: T201 - the measurement is what is asked for
            f"\n{len(seconds)} objects, {1000 * mean:.0f} ms each, "
            f"slowest {slowest} {1000 * seconds[slowest]:.0f} ms"
        )


@pytest.mark.parametrize("style", [s for s in STYLES if s != "standard"])
def test_results_on_sources_of_every_vendor_pass(style: str, tmp_path: Path) -> None:
    for path in write_perfusion(tmp_path, style).glob("*.dcm"):
        assert check(path, OURS) == (), path.name


def frame(instance: Dataset, number: int = 0) -> Dataset:
    """Return the functional groups of a frame."""
    return instance.PerFrameFunctionalGroupsSequence[number]


def raw(tag: int, vr: str, value: bytes) -> Callable[[Dataset], None]:
    """Return what puts bytes into an element as they are."""

    def change(instance: Dataset) -> None:
        element = DataElement(tag, "OB", value)
        element.VR = vr
        instance._dict[element.tag] = pydicom.dataelem.RawDataElement(
            element.tag, vr, len(value), value, 0, False, True
        )

    return change


def other_segment(instance: Dataset) -> None:
    frame(instance).SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9


def no_position(instance: Dataset) -> None:
    del frame(instance).PlanePositionSequence


def unlisted_source(instance: Dataset) -> None:
    source = frame(instance).DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedSOPInstanceUID = "1.2.3.4"


def short_indices(instance: Dataset) -> None:
    frame(instance).FrameContentSequence[0].DimensionIndexValues = [1]


def same_indices(instance: Dataset) -> None:
    first = frame(instance).FrameContentSequence[0].DimensionIndexValues
    frame(instance, 1).FrameContentSequence[0].DimensionIndexValues = first


def other_organization(instance: Dataset) -> None:
    instance.DimensionIndexSequence[0].DimensionOrganizationUID = "1.2.3.4"


def lost_frame(instance: Dataset) -> None:
    instance.PerFrameFunctionalGroupsSequence.pop()


def more_frames(instance: Dataset) -> None:
    instance.NumberOfFrames += 1


def half_the_pixels(instance: Dataset) -> None:
    instance.PixelData = instance.PixelData[: len(instance.PixelData) // 4 * 2]


def two_pixel_data(instance: Dataset) -> None:
    instance.PixelData = b"\0\0"
    instance["PixelData"].VR = "OW"


def no_evidence(instance: Dataset) -> None:
    study = instance.CurrentRequestedProcedureEvidenceSequence[0]
    study.ReferencedSeriesSequence.pop()


def no_value(instance: Dataset) -> None:
    items = [i for i in instance.ContentSequence if i.ValueType == "CODE"]
    del items[0].ConceptCodeSequence


def unknown_kind(instance: Dataset) -> None:
    instance.ContentSequence[0].ValueType = "SOUND"


def no_relation(instance: Dataset) -> None:
    del instance.ContentSequence[0].RelationshipType


def without(keyword: str) -> Callable[[Dataset], None]:
    return lambda instance: delattr(instance, keyword)


def setting(keyword: str, value: object) -> Callable[[Dataset], None]:
    return lambda instance: setattr(instance, keyword, value)


def meta(keyword: str, value: str) -> Callable[[Dataset], None]:
    return lambda instance: setattr(instance.file_meta, keyword, value)


BREAKAGES: Mapping[str, tuple[str, Callable[[Dataset], None], str]] = {
    "meta of another instance": (
        SEG,
        meta("MediaStorageSOPInstanceUID", "1.2.3"),
        "(0002,0003): not the SOPInstanceUID",
    ),
    "meta of another class": (
        MAP,
        meta("MediaStorageSOPClassUID", "1.2.840.10008.5.1.4.1.1.4"),
        "(0002,0002): not the SOPClassUID",
    ),
    "no study": (SEG, without("StudyInstanceUID"), "StudyInstanceUID (0020,000D): type 1"),
    "no patient": (IMAGE, without("PatientID"), "PatientID (0010,0020): type 2"),
    "an empty series": (
        OVERVIEW,
        setting("Modality", ""),
        "Modality (0008,0060): type 1 and empty",
    ),
    "no class": (IMAGE, without("SOPClassUID"), "SOPClassUID (0008,0016): type 1"),
    "a UID too long": (
        IMAGE,
        raw(0x0020000E, "UI", b"1.2." + b"3" * 62),
        "SeriesInstanceUID (0020,000E): 66 bytes, 64 fit",
    ),
    "a UID with a leading zero": (
        REPORT,
        raw(0x0020000D, "UI", b"1.02.3\0\0"),
        "StudyInstanceUID (0020,000D): not of the form",
    ),
    "text beyond its characters": (
        IMAGE,
        raw(0x00100010, "PN", MARK.encode() + b"\xff\xfe"),
        "PatientName (0010,0010): characters",
    ),
    "text without a declaration": (
        OVERVIEW,
        lambda i: (without("SpecificCharacterSet")(i), raw(0x00100010, "PN", b"M\xc3\xbcller")(i)),
        "PatientName (0010,0010): ",
    ),
    "a character set that is none": (
        IMAGE,
        raw(0x00080005, "CS", b"ISO_IR 999"),
        "SpecificCharacterSet (0008,0005): no defined term",
    ),
    "text too long": (
        IMAGE,
        raw(0x00081030, "LO", MARK.encode() * 8),
        "StudyDescription (0008,1030): 80 characters, 64 fit",
    ),
    "a date that is none": (IMAGE, raw(0x00080020, "DA", b"20213304"), "StudyDate (0008,0020)"),
    "a number that is none": (
        IMAGE,
        raw(0x00280030, "DS", b"1,5\\2,0 "),
        "PixelSpacing (0028,0030)",
    ),
    "too many values": (IMAGE, raw(0x00280030, "DS", b"1\\2\\3 "), "3 values, 2 are allowed"),
    "a short binary value": (IMAGE, raw(0x00280010, "US", b"\1\0\2"), "no multiple of 2"),
    "a control character": (IMAGE, raw(0x00081030, "LO", b"ab\x01c"), "a control character"),
    "pixels too short": (IMAGE, half_the_pixels, "PixelData"),
    "pixels for fewer frames": (ENHANCED, more_frames, "PixelData"),
    "no pixels": (OVERVIEW, without("PixelData"), "PixelData (7FE0,0010): missing"),
    "two kinds of pixels": (MAP, two_pixel_data, "only one may be there"),
    "a segment that is none": (SEG, other_segment, "ReferencedSegmentNumber (0062,000B)"),
    "a frame without a place": (SEG, no_position, "ImagePositionPatient of PlanePositionSequence"),
    "a source that is not listed": (MAP, unlisted_source, "ReferencedSeriesSequence (0008,1115)"),
    "dimensions too few": (SEG, short_indices, "DimensionIndexValues (0020,9157)"),
    "dimensions twice": (LABELMAP, same_indices, "DimensionIndexValues (0020,9157): the same"),
    "another organization": (MAP, other_organization, "DimensionOrganizationUID (0020,9164)"),
    "a frame lost": (SEG, lost_frame, "PerFrameFunctionalGroupsSequence (5200,9230)"),
    "evidence lost": (REPORT, no_evidence, "CurrentRequestedProcedureEvidenceSequence"),
    "a key object lost": (KEYS, no_evidence, "CurrentRequestedProcedureEvidenceSequence"),
    "an item without its value": (REPORT, no_value, "ConceptCodeSequence of content item"),
    "an item of no kind": (REPORT, unknown_kind, "ValueType (0040,A040) of content item 1.1"),
    "an item without relation": (KEYS, no_relation, "RelationshipType (0040,A010)"),
    "a segment without a label": (
        SEG,
        lambda i: without("SegmentLabel")(i.SegmentSequence[1]),
        "SegmentLabel (0062,0005) in SegmentSequence[2]",
    ),
}
"""What is broken in which object, and what is told of it."""


def save(instance: Dataset, path: Path) -> Path:
    """Write an object as it is, whatever is wrong with it."""
    with quietly():
        pydicom.dcmwrite(path, instance, enforce_file_format=False)
    return path


@pytest.mark.parametrize("what", BREAKAGES)
def test_a_breakage_is_found_and_told_without_a_value(
    what: str, written: Mapping[str, Path], tmp_path: Path
) -> None:
    name, change, told = BREAKAGES[what]
    with quietly():
        instance = pydicom.dcmread(written[name])
        change(instance)
    problems = check(save(instance, tmp_path / "broken.dcm"), OURS)
    assert any(told in problem for problem in problems), problems
    assert not any(MARK in problem for problem in check(tmp_path / "broken.dcm"))


@pytest.mark.parametrize("name", [SEG, REPORT, MAP, IMAGE])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_is_found(
    name: str, share: float, written: Mapping[str, Path], tmp_path: Path
) -> None:
    content = written[name].read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[: int(share * len(content))])
    assert check(tmp_path / "cut.dcm", OURS)


def test_what_is_no_file_of_dicom_is_told(tmp_path: Path, written: Mapping[str, Path]) -> None:
    bare = tmp_path / "bare.dcm"
    bare.write_bytes(written[IMAGE].read_bytes()[132:])
    assert check(bare, OURS) == ("no DICOM file: no preamble with DICM at byte 128 [PS3.10 7.1]",)
    assert check(tmp_path / "none.dcm", OURS)[0].startswith("the file cannot be read")


def test_compressed_frames_are_counted_and_decoded(
    tmp_path: Path, written: Mapping[str, Path]
) -> None:
    instance = pydicom.dcmread(written[ENHANCED])
    instance.compress(RLELossless, generate_instance_uid=False)
    assert check(save(instance, tmp_path / "good.dcm"), OURS) == ()
    more_frames(instance)
    assert any("frames" in p for p in check(save(instance, tmp_path / "more.dcm"), OURS))
    instance = pydicom.dcmread(tmp_path / "good.dcm")
    spoilt = bytearray(instance.PixelData)
    spoilt[-2000:-8] = b"\x7f" * 1992
    instance.PixelData = bytes(spoilt)
    assert check(save(instance, tmp_path / "spoilt.dcm"), OURS)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_attribute_of_type_1_or_2_that_is_deleted_is_found(
    data: st.DataObject, written: Mapping[str, Path], tmp_path: Path
) -> None:
    name = data.draw(st.sampled_from([SEG, LABELMAP, MAP, REPORT, OVERVIEW, KEYS, IMAGE, ENHANCED]))
    with quietly():
        instance = pydicom.dcmread(written[name])
        needed = [
            keyword
            for keyword, node in _tree(str(instance.SOPClassUID)).items()
            if node.kind in ("1", "2") and keyword in instance
        ]
        keyword = data.draw(st.sampled_from(sorted(needed)))
        delattr(instance, keyword)
    problems = check(save(instance, tmp_path / "lacking.dcm"), OURS)
    assert any(keyword in problem for problem in problems), (keyword, problems)


@pytest.mark.skipif(dciodvfy.program() is None, reason="dciodvfy is not installed")
def test_what_the_other_program_says_is_told_without_values(
    written: Mapping[str, Path], tmp_path: Path
) -> None:
    instance = pydicom.dcmread(written[IMAGE])
    with quietly():
        instance.PatientSex = MARK[:6]
        instance.PatientName = f"{MARK}^" * 4 + "^^^"
        instance.StudyTime = MARK
        instance.ReferringPhysicianName = "Q" * 70
    problems = check(save(instance, tmp_path / "marked.dcm"))
    theirs = [problem for problem in problems if problem.startswith("dciodvfy: ")]
    assert any("Patient's Sex" in problem for problem in theirs)
    assert not any(MARK[:6] in problem or "QQ" in problem for problem in problems)


def test_half_width_katakana_are_no_error(written: Mapping[str, Path], tmp_path: Path) -> None:
    instance = pydicom.dcmread(written[IMAGE])
    instance.SpecificCharacterSet = "ISO_IR 13"
    raw(0x00100010, "PN", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3")(instance)
    for keyword in ("StudyDescription", "ProtocolName"):
        instance.pop(keyword, None)
    assert check(save(instance, tmp_path / "katakana.dcm")) == ()


def test_the_other_program_is_missed_where_it_is_required(
    written: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dciodvfy, "program", lambda: None)
    assert check(written[IMAGE]) == ()
    with pytest.raises(UnusableCall, match="not installed"):
        check(written[IMAGE], GateSettings(dciodvfy="required"))
    with pytest.raises(UnusableCall, match="possible is"):
        GateSettings(dciodvfy="sometimes")


def test_a_file_that_may_not_be_read_is_a_problem(
    written: Mapping[str, Path], tmp_path: Path
) -> None:
    path = Path(shutil.copy(written[IMAGE], tmp_path / "closed.dcm"))
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        assert check(path, OURS)[0].startswith("the file cannot be read")
    finally:
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
