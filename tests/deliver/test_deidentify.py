"""Nothing of a person stays in a de-identified object, and objects still belong together."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pydicom
import pytest
from dicomanonymizer.simpledicomanonymizer import initialize_actions
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from typer.testing import CliRunner

from pipeline.config import GateSettings
from pipeline.deliver.cleaning import TABLE
from pipeline.deliver.deidentify import EMPTY_PAGE, FRAMES, deidentified
from pipeline.deliver.gate import check
from pipeline.deliver.pseudonyms import Pseudonyms
from pipeline.errors import UnreadableFile, UnusableCall
from pipeline.quiet import quietly
from tests.support.written import write_all
from workers.cli import app

KEY, OTHER_KEY = b"a key of thirty-two bytes, a key", b"another key of thirty-two bytes."
MARK = "QZ7MARK"
MARKED_DATE, MARKED_TIME = "18881103", "235947"
OURS = GateSettings(dciodvfy="never")
BEYOND = (
    "PatientBirthDateInAlternativeCalendar",
    "PatientDeathDateInAlternativeCalendar",
    "PatientSpeciesDescription",
    "CommentsOnTheScheduledProcedureStep",
    "ContactDisplayName",
    "OwnerID",
)
"""Attributes of somebody that the table has no line for."""

TEXT = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the objects of every analysis; nobody may change them."""
    return write_all(tmp_path_factory.mktemp("written"))


def uids(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield every UID of an object with its keyword."""
    for element in dataset.iterall():
        if element.VR == "UI" and element.value:
            values = element.value if isinstance(element.value, list) else [element.value]
            yield from ((element.keyword, str(value)) for value in values)


def marked(vr: str) -> object:
    """Return a value of a VR that can be found again in bytes; None if there is none."""
    if vr in TEXT:
        return MARK
    return {
        "DA": MARKED_DATE,
        "TM": MARKED_TIME,
        "DT": f"{MARKED_DATE}{MARKED_TIME}",
        "AS": "077Y",
        "UI": "1.2.3.7654321099.1",
        "OB": MARK.encode() + b"\0",
        "UN": MARK.encode() + b"\0",
    }.get(vr)


def of_the_table() -> Iterator[tuple[int, str]]:
    """Yield every attribute of the profile's table that a value can be put into."""
    for tag in initialize_actions(TABLE):
        if len(tag) == 2 and keyword_for_tag(tag):
            vr = dictionary_VR(tag)
            if marked(vr) is not None and keyword_for_tag(tag) not in ("PixelData",):
                yield tag[0] << 16 | tag[1], vr


def put_marks(item: Dataset, *, but: frozenset[str] = frozenset()) -> None:
    """Put a mark into every attribute of the table, and into private ones."""
    for tag, vr in of_the_table():
        keyword = keyword_for_tag(tag)
        if keyword not in but and tag >> 16 not in (0, 2):
            item[tag] = DataElement(tag, vr, marked(vr))
    block = item.private_block(0x0099, "SOMEBODY", create=True)
    block.add_new(1, "LO", MARK)
    block.add_new(2, "UN", MARK.encode() + b"\0")
    nested = Dataset()
    nested.PatientName = MARK
    block.add_new(3, "SQ", Sequence([nested]))


def mark_everywhere(instance: Dataset) -> None:
    """Mark an object: its top, a nested item, text of a content tree, meta information."""
    kept = frozenset({"SOPInstanceUID", "SOPClassUID", "ContentSequence"})
    put_marks(instance, but=kept | {"UID"})
    nested, deeper = Dataset(), Dataset()
    put_marks(deeper, but=kept)
    put_marks(nested, but=kept)
    nested.RequestAttributesSequence = Sequence([deeper])
    # Sequences of which the table knows nothing are searched as well.
    instance.ReferencedWaveformSequence = Sequence([nested])
    instance.RequestAttributesSequence = Sequence([deeper])
    instance.PerformedProtocolCodeSequence = Sequence([])
    for keyword in BEYOND:
        setattr(instance, keyword, MARK)
    instance.file_meta.SourceApplicationEntityTitle = MARK
    instance.file_meta.SendingApplicationEntityTitle = MARK
    instance.preamble = MARK.encode().ljust(128, b"\0")
    for item in contents(instance):
        for keyword, vr in (("TextValue", "UT"), ("PersonName", "PN"), ("DateTime", "DT")):
            if keyword in item:
                item[keyword].value = marked(vr)
    if "ContentSequence" in instance:
        name = Dataset()
        name.RelationshipType, name.ValueType = "HAS OBS CONTEXT", "PNAME"
        name.PersonName = MARK
        name.ConceptNameCodeSequence = instance.ContentSequence[0].ConceptNameCodeSequence
        date = Dataset()
        date.RelationshipType, date.ValueType, date.Date = "HAS OBS CONTEXT", "DATE", MARKED_DATE
        date.ConceptNameCodeSequence = name.ConceptNameCodeSequence
        instance.ContentSequence.extend([name, date])


def contents(item: Dataset) -> Iterator[Dataset]:
    """Yield every item of a content tree."""
    for child in item.get("ContentSequence", []):
        yield child
        yield from contents(child)


OBJECTS = (
    "perfusion/segmentation_binary.dcm",
    "perfusion/segmentation_labelmap.dcm",
    "perfusion/uncertainty.dcm",
    "perfusion/report.dcm",
    "perfusion/overview.dcm",
    "perfusion/key_objects.dcm",
    "perfusion/report_page.dcm",
    "reconstruction/enhanced.dcm",
    "reconstruction/images/IM00001.dcm",
    "phases/report.dcm",
)


@pytest.mark.parametrize("name", OBJECTS)
def test_no_mark_is_left_in_the_bytes(
    name: str, written: Mapping[str, Path], tmp_path: Path
) -> None:
    with quietly():
        instance = pydicom.dcmread(written[name])
        mark_everywhere(instance)
        instance.save_as(tmp_path / "marked.dcm")
    before = (tmp_path / "marked.dcm").read_bytes()
    assert before.count(MARK.encode()) > 300
    deidentified(tmp_path / "marked.dcm", tmp_path / "clean.dcm", KEY)
    after = (tmp_path / "clean.dcm").read_bytes()
    for mark in (MARK, MARKED_DATE, MARKED_TIME, "077Y", "7654321099", "SOMEBODY"):
        found = after.find(mark.encode())
        assert found < 0, (mark, after[found - 24 : found + 16])


@pytest.mark.parametrize("key", [KEY])
def test_every_object_passes_the_gate_and_says_how_it_was_de_identified(
    key: bytes, written: Mapping[str, Path], tmp_path: Path
) -> None:
    for name, path in written.items():
        report = deidentified(path, tmp_path / "clean.dcm", key)
        assert check(tmp_path / "clean.dcm") == (), name
        found = pydicom.dcmread(tmp_path / "clean.dcm")
        assert found.PatientIdentityRemoved == "YES"
        assert found.LongitudinalTemporalInformationModified == "REMOVED"
        methods = [item.CodeValue for item in found.DeidentificationMethodCodeSequence]
        assert methods == list(report.methods)
        is_document = name.endswith(("report.dcm", "key_objects.dcm"))
        assert methods == (["113100", "113104"] if is_document else ["113100"])
        assert str(found.PatientID).startswith("ANON-")
        assert found.PatientName == found.PatientID
        assert str(found.SOPInstanceUID) == report.sop_instance_uid
        source = pydicom.dcmread(path)
        for keyword in ("PixelData", "FloatPixelData"):
            assert found.get(keyword) == source.get(keyword)
        has_frames = not (is_document or name.endswith("report_page.dcm"))
        assert (FRAMES in report.warnings) is has_frames


def test_objects_that_refer_to_each_other_still_do(
    written: Mapping[str, Path], tmp_path: Path
) -> None:
    pseudonyms = Pseudonyms(KEY)
    for name in OBJECTS:
        deidentified(written[name], tmp_path / "clean.dcm", KEY)
        before = dict.fromkeys(uids(pydicom.dcmread(written[name])))
        after = dict.fromkeys(uids(pydicom.dcmread(tmp_path / "clean.dcm")))
        expected = {
            (keyword, uid if keyword == "CodingSchemeUID" else pseudonyms.uid(uid))
            for keyword, uid in before
        }
        # What is not there any more was removed as a whole, such as contributing equipment.
        assert set(after) <= expected
        for keyword in ("ReferencedSOPInstanceUID", "ReferencedSOPClassUID", "StudyInstanceUID"):
            assert {u for k, u in after if k == keyword} == {u for k, u in expected if k == keyword}
    report = tmp_path / "report.dcm"
    segmentation = tmp_path / "segmentation.dcm"
    deidentified(written["perfusion/report.dcm"], report, KEY)
    deidentified(written["perfusion/segmentation_binary.dcm"], segmentation, KEY)
    referred = {uid for keyword, uid in uids(pydicom.dcmread(report)) if "Referenced" in keyword}
    assert pydicom.dcmread(segmentation).SOPInstanceUID in referred


def test_the_same_key_gives_the_same_bytes_and_another_one_other_uids(
    written: Mapping[str, Path], tmp_path: Path
) -> None:
    path = written["perfusion/report.dcm"]
    reports = [deidentified(path, tmp_path / name, KEY) for name in ("a", "b")]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert reports[0] == reports[1]
    deidentified(path, tmp_path / "c", OTHER_KEY)
    mine = {u for _, u in uids(pydicom.dcmread(tmp_path / "a")) if u.startswith("2.25.")}
    others = {u for _, u in uids(pydicom.dcmread(tmp_path / "c")) if u.startswith("2.25.")}
    scheme = {u for k, u in uids(pydicom.dcmread(path)) if k == "CodingSchemeUID"}
    assert mine & others == scheme
    assert len(mine) == len(others)
    assert pydicom.dcmread(tmp_path / "a").PatientID != pydicom.dcmread(tmp_path / "c").PatientID


def test_what_was_done_is_told_by_attribute_and_without_values(
    written: Mapping[str, Path], tmp_path: Path
) -> None:
    with quietly():
        instance = pydicom.dcmread(written["perfusion/report.dcm"])
        mark_everywhere(instance)
        instance.save_as(tmp_path / "marked.dcm")
    report = deidentified(tmp_path / "marked.dcm", tmp_path / "clean.dcm", KEY)
    text = json.dumps(report.to_json())
    assert MARK not in text
    assert MARKED_DATE not in text
    done = {(t.keyword, t.manner) for t in report.treated}
    assert {
        ("InstitutionName", "removed"),
        ("StudyDate", "emptied"),
        ("PatientID", "emptied"),
        ("ContentDate", "replaced"),
        ("StudyInstanceUID", "mapped"),
        ("ValueType", "kept"),
    } <= done
    assert any(t.tag.startswith("(0099") and t.manner == "removed" for t in report.treated)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"BurnedInAnnotation": "YES"}, "is YES"),
        ({"BurnedInAnnotation": None}, "is not stated"),
        ({"BurnedInAnnotation": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}, "not stated"),
        ({"RecognizableVisualFeatures": "YES"}, "a face"),
        ({"OverlayRows60": 1}, "overlays are removed"),
    ],
)
def test_what_may_show_in_the_pictures_is_warned_of(
    changes: dict[str, object], told: str, written: Mapping[str, Path], tmp_path: Path
) -> None:
    instance = pydicom.dcmread(written["perfusion/overview.dcm"])
    for keyword, value in changes.items():
        if keyword == "OverlayRows60":
            instance.add_new(0x60000010, "US", value)
            instance.add_new(0x60003000, "OW", b"\1\0")
        elif value is None:
            delattr(instance, keyword)
        else:
            setattr(instance, keyword, value)
    instance.save_as(tmp_path / "source.dcm")
    report = deidentified(tmp_path / "source.dcm", tmp_path / "clean.dcm", KEY)
    assert any(told in warning for warning in report.warnings)
    tags = list(pydicom.dcmread(tmp_path / "clean.dcm").keys())
    assert not any(tag.group & 0xFF00 == 0x6000 for tag in tags)


def test_a_document_is_replaced_by_an_empty_page(
    written: Mapping[str, Path], tmp_path: Path
) -> None:
    path = written["perfusion/report_page.dcm"]
    report = deidentified(path, tmp_path / "clean.dcm", KEY)
    clean, before = pydicom.dcmread(tmp_path / "clean.dcm"), pydicom.dcmread(path)
    assert report.warnings == ("the encapsulated document is replaced by an empty page",)
    assert clean.EncapsulatedDocument.rstrip() == EMPTY_PAGE.rstrip()
    assert len(before.EncapsulatedDocument) > 10_000
    assert clean.BurnedInAnnotation == "NO"
    assert check(tmp_path / "clean.dcm") == ()


def test_the_empty_page_says_where_its_parts_lie() -> None:
    parts = [EMPTY_PAGE.index(b"%d 0 obj" % number) for number in (1, 2, 3)]
    listed = [int(line[:10]) for line in EMPTY_PAGE.splitlines() if line.endswith(b" n ")]
    assert listed == parts
    assert int(EMPTY_PAGE.split(b"startxref\n")[1].split()[0]) == EMPTY_PAGE.index(b"xref\n0")


def test_a_uid_of_the_standard_stays_and_others_are_valid() -> None:
    pseudonyms = Pseudonyms(KEY)
    assert pseudonyms.uid("1.2.840.10008.5.1.4.1.1.4") == "1.2.840.10008.5.1.4.1.1.4"
    mapped = pydicom.uid.UID(pseudonyms.uid("1.2.3"))
    assert mapped.is_valid
    number = int(mapped.split(".")[2])
    assert number >> 76 & 0xF == 8
    assert number >> 62 & 0x3 == 2
    assert pseudonyms.uid("1.2.3") == mapped
    assert pseudonyms.patient("") == ""


def test_a_short_key_and_a_broken_object_are_refused(
    written: Mapping[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UnusableCall, match="16 or more"):
        deidentified(written["perfusion/report.dcm"], tmp_path / "x", b"short")
    (tmp_path / "broken").write_bytes(b"\0" * 128 + b"DICM" + MARK.encode())
    with pytest.raises(UnreadableFile) as refused:
        deidentified(tmp_path / "broken", tmp_path / "x", KEY)
    assert MARK not in str(refused.value)
    assert not list(tmp_path.glob("*x*"))


def test_the_commands_check_and_de_identify(written: Mapping[str, Path], tmp_path: Path) -> None:
    runner = CliRunner()
    path = written["perfusion/overview.dcm"]
    assert runner.invoke(app, ["gate", str(path)]).exit_code == 0
    (tmp_path / "key").write_bytes(KEY)
    call = ["deidentify", str(path), "--output", str(tmp_path / "out"), "--key"]
    done = runner.invoke(app, [*call, str(tmp_path / "key"), "--json"])
    assert done.exit_code == 0
    (told,) = json.loads(done.stdout)["objects"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == [
        f"{told['report']['sop_instance_uid']}.dcm"
    ]
    with quietly():
        instance = pydicom.dcmread(path)
        del instance.Modality
        instance.save_as(tmp_path / "broken.dcm")
    found = runner.invoke(app, ["gate", str(tmp_path / "broken.dcm")])
    assert found.exit_code == 1
    assert "Modality (0008,0060): type 1 and missing" in found.stdout
    call[1] = str(tmp_path / "broken.dcm")
    refused = runner.invoke(app, [*call, str(tmp_path / "key")])
    assert refused.exit_code == 1
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert runner.invoke(app, [*call, str(tmp_path / "nokey")]).exit_code == 2
