"""Two files are one where both are whole and say the same, and only there."""

from pathlib import Path

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipeline.receive.part10 import file_beginning, says_the_same
from tests.nasty.corpus import generated
from tests.nasty.senders import EXPLICIT, MR, parcels


def test_the_same_in_another_transfer_syntax_is_the_same(sound_study: Path, tmp_path: Path) -> None:
    first, second, other = tmp_path / "first", tmp_path / "second", tmp_path / "other"
    instance = dcmread(min(sound_study.glob("*.dcm")))
    assert instance.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    instance.save_as(first)
    instance.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    instance.save_as(second)
    instance.PatientID = "another"
    instance.save_as(other)
    assert dcmread(second).file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert says_the_same(first, second)
    assert not says_the_same(first, other)


def test_lengths_that_lie_in_two_ways_are_two(tmp_path: Path) -> None:
    cases = [c for c in generated() if c.folder.startswith("lengths/00200032 claims ")]
    paths = []
    for number, parcel in enumerate(parcels(cases)):
        path = tmp_path / f"{number}.dcm"
        beginning = file_beginning(MR, parcel.sop_instance_uid, EXPLICIT)
        path.write_bytes(beginning + parcel.data_set)
        paths.append(path)
    first, second, *_ = paths
    # pydicom reads both to their end, and to the same values.
    assert dcmread(first, force=True) == dcmread(second, force=True)
    assert not says_the_same(first, second)
