"""What is found under the inputs, and what of it is listed."""

import logging
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, SegmentationStorage

from pipeline.demo import write_instance, write_study
from pipeline.errors import NotApplicable
from pipeline.imaging.nifti import write_time_series
from pipeline.ingest.inventory import take_inventory
from tests.support.traps import instances_of, stack, write_all


def test_nested_folders_with_junk_hold_their_series(tmp_path: Path) -> None:
    image = stack(3, n_slices=2)
    write_study(image, tmp_path / "a" / "b", name="first")
    write_study(image, tmp_path / "c", name="second")
    write_time_series(image, tmp_path / "c" / "series.nii.gz", 0.8)
    for junk in ("a/notes.txt", "a/b/Thumbs.db", "c/report.pdf", "c/empty"):
        (tmp_path / junk).write_bytes(b"" if junk.endswith("empty") else b"junk of some kind")
    inventory = take_inventory([tmp_path])
    assert [c.modality for c in inventory.candidates] == ["MR", "MR", "NIFTI"]
    assert not inventory.refusals
    assert sorted(inventory.ignored) == ["a/b/Thumbs.db", "a/notes.txt", "c/empty", "c/report.pdf"]


def test_junk_that_was_named_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing")
    (refusal,) = take_inventory([path]).refusals
    assert refusal.reason == "notes.txt: neither DICOM nor NIfTI nor raw data"


def test_a_file_reached_twice_is_taken_once(tmp_path: Path) -> None:
    paths = write_study(stack(3, n_slices=2), tmp_path, name="study")
    (candidate,) = take_inventory([tmp_path, paths[0], tmp_path]).candidates
    assert candidate.n_instances == len(paths)
    assert candidate.notes == ()


def test_progress_counts_every_file(tmp_path: Path) -> None:
    write_study(stack(3, n_slices=2), tmp_path, name="study")
    steps: list[tuple[int, int]] = []
    take_inventory([tmp_path], progress=lambda done, total: steps.append((done, total)))
    assert steps == [(n, 6) for n in range(7)]


def test_a_nifti_file_is_a_candidate_of_its_own(tmp_path: Path) -> None:
    image = stack(3, n_slices=2)
    write_time_series(image, tmp_path / "series.nii.gz", 0.8)
    (candidate,) = take_inventory([tmp_path / "series.nii.gz"]).candidates
    series = candidate.load()
    assert (candidate.label, candidate.n_beats, candidate.n_slices) == ("series.nii.gz", 3, 2)
    assert (series.study_instance_uid, series.frames, series.header) == (None, (), None)
    assert series.input_digest == candidate.input_digest
    np.testing.assert_array_equal(series.image.array, image.array)


def test_a_series_of_one_beat_is_a_candidate(tmp_path: Path) -> None:
    (candidate,) = take_inventory([write_all(instances_of(stack()), tmp_path)]).candidates
    assert (candidate.n_beats, candidate.n_slices) == (1, 9)


def test_what_is_no_mr_image_is_listed_and_not_loaded(tmp_path: Path) -> None:
    """A segmentation in the study of its images disturbs nothing."""
    image = stack(3, n_slices=2)
    instances = instances_of(image)
    write_all(instances, tmp_path / "images")
    segmentation = instances_of(image, "segmentation")[0]
    segmentation.SOPClassUID, segmentation.Modality = SegmentationStorage, "SEG"
    del segmentation.ImagePositionPatient
    write_instance(segmentation, tmp_path / "segmentation.dcm")
    inventory = take_inventory([tmp_path])
    assert not inventory.refusals
    assert [(c.modality, c.n_beats) for c in inventory.candidates] == [("MR", 3), ("SEG", 0)]
    with pytest.raises(
        NotApplicable, match="Segmentation Storage: only images of MR and CT are read"
    ):
        inventory.candidates[1].load()


def write_dicomdir(folder: Path, file_ids: list[list[str]]) -> Path:
    """Write a DICOMDIR that references files, and return its path."""
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    with pydicom.config.disable_value_validation():
        records = []
        for file_id in file_ids:
            record = Dataset()
            record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", file_id
            records.append(record)
        directory.DirectoryRecordSequence = Sequence(records)
        directory.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


def file_set(folder: Path) -> Path:
    """Write a study with a DICOMDIR, and return the DICOMDIR."""
    paths = write_study(stack(3, n_slices=2), folder / "DICOM" / "ST1", name="study")
    paths = tuple(path.rename(path.with_suffix("")) for path in paths)
    return write_dicomdir(folder, [list(path.relative_to(folder).parts) for path in paths])


def test_a_dicomdir_brings_the_files_that_it_references(tmp_path: Path) -> None:
    inventory = take_inventory([file_set(tmp_path)])
    assert not inventory.refusals
    (candidate,) = inventory.candidates
    np.testing.assert_array_equal(candidate.load().image.array, stack(3, n_slices=2).array)


def test_a_dicomdir_in_a_folder_brings_nothing_twice(tmp_path: Path) -> None:
    media = file_set(tmp_path).parent
    for inputs in ([media], [media, media / "DICOMDIR"]):
        (candidate,) = take_inventory(inputs).candidates
        assert candidate.n_instances == 6
        assert candidate.notes == ()
    assert take_inventory([media]).ignored == ("DICOMDIR",)


def test_a_file_missing_from_a_dicomdir_is_named(tmp_path: Path) -> None:
    dicomdir = file_set(tmp_path)
    lost = sorted(p for p in dicomdir.parent.rglob("*") if p.is_file() and p != dicomdir)[-1]
    lost.unlink()
    refusals = take_inventory([dicomdir]).refusals
    name = lost.relative_to(dicomdir.parent).as_posix()
    assert (refusals[0].label, refusals[0].reason) == (
        name,
        f"DICOMDIR references {name}, which is missing",
    )


@pytest.mark.parametrize(
    "file_id", [["..", "secret"], ["..", "..", "etc", "passwd"], ["", "etc", "passwd"], ["LINK"]]
)
def test_a_dicomdir_reaches_nothing_outside_its_folder(file_id: list[str], tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    secret = write_study(stack(1, n_slices=1), tmp_path, name="secret")[0].rename(
        tmp_path / "secret"
    )
    (media / "LINK").symlink_to(secret)
    inventory = take_inventory([write_dicomdir(media, [file_id])])
    assert not inventory.candidates
    assert "outside its folder" in inventory.refusals[0].reason


def test_pixels_are_not_read_before_a_series_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_all(instances_of(stack()), tmp_path)

    def never(_: Dataset) -> None:
        raise AssertionError("pixels were read")

    monkeypatch.setattr(pydicom.Dataset, "pixel_array", property(never))
    assert len(take_inventory([folder]).candidates) == 1


def test_a_patient_with_odd_attributes_is_neither_logged_nor_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    """Pydicom quotes the values that it dislikes: the canary breaks every rule there is."""
    instances = instances_of(stack())
    for instance in instances:
        instance.PatientID = "ZZPHI-1"
    folder = write_all(instances, tmp_path)
    canary = b"ZZPHI\xff\x01\x02"
    for path in sorted(folder.iterdir()):
        content = path.read_bytes().replace(b"Phantom^Perfusion ", canary + b"=^\\" * 3 + b" ")
        content = content.replace(b"DA\x08\x0019700101", b"DA\x08\x00ZZPHI!!!")
        path.write_bytes(content.replace(b"ISO_IR 192", b"ZZPHI_IR 9"))
    with caplog.at_level(logging.DEBUG):
        (candidate,) = take_inventory([folder]).candidates
        series = candidate.load()
        assert "ZZPHI" not in repr(candidate)
    assert series.header is not None
    assert series.header.PatientID == "ZZPHI-1"
    assert "ZZPHI" not in caplog.text
    assert not [w for w in recwarn if "ZZPHI" in str(w.message)]
