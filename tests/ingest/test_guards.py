"""What may be another patient's, or another side, is refused or held, and never guessed."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from pipeline.ingest.inventory import take_inventory
from tests.support.traps import instances_of, stack, write_all
from tests.support.videos import write_dicom_video


def series(number: int = 0) -> list[Dataset]:
    """Return a sound series; those of other numbers are of the same study."""
    instances = instances_of(stack())
    for instance in instances if number else ():
        instance.SeriesInstanceUID += f".{number}"
        instance.SOPInstanceUID += f".{number}"
    return instances


def reasons(folder: Path) -> list[str]:
    return [refusal.reason for refusal in take_inventory([folder]).refusals]


def test_a_study_of_two_patients_is_refused_whole(tmp_path: Path) -> None:
    for number in (0, 1, 2):
        own = series(number)
        for instance in own if number == 2 else ():
            instance.PatientID = "9999"
        write_all(own, tmp_path / str(number))
    inventory = take_inventory([tmp_path])
    assert not inventory.candidates
    assert len(inventory.refusals) == 3
    for refusal in inventory.refusals:
        assert "the study is two patients', Patient ID (0010,0020) differs" in refusal.reason
        assert "9999" not in refusal.reason


def test_a_series_of_two_patients_leaves_the_others(tmp_path: Path) -> None:
    mixed = series(1)
    mixed[0].PatientID = "9999"
    write_all(series(0), tmp_path / "0")
    write_all(mixed, tmp_path / "1")
    inventory = take_inventory([tmp_path])
    assert len(inventory.candidates) == 1
    (refusal,) = inventory.refusals
    assert "another patient, Patient ID (0010,0020) differs" in refusal.reason


def test_series_of_one_patient_may_leave_the_id_out(tmp_path: Path) -> None:
    for number in (0, 1):
        own = series(number)
        for instance in own if number else ():
            instance.PatientID = ""
        write_all(own, tmp_path / str(number))
    assert len(take_inventory([tmp_path]).candidates) == 2


def test_a_video_of_two_patients_is_refused(tmp_path: Path) -> None:
    write_dicom_video(tmp_path / "a.dcm", 25)
    write_dicom_video(tmp_path / "b.dcm", 25, SOPInstanceUID="1.2.826.0.1.9.4", PatientID="0043")
    (reason,) = reasons(tmp_path)
    assert "another patient" in reason


def test_a_series_of_two_sides_is_refused(tmp_path: Path) -> None:
    own = series()
    for number, instance in enumerate(own):
        instance.Laterality = "L" if number else "R"
    (reason,) = reasons(write_all(own, tmp_path))
    assert "another side, Laterality (0020,0060) differs" in reason


def test_an_image_of_two_sides_is_refused(tmp_path: Path) -> None:
    own = series()
    own[0].Laterality, own[0].ImageLaterality = "L", "R"
    said = reasons(write_all(own, tmp_path))
    assert any(
        "Laterality (0020,0060) and ImageLaterality (0020,0062) say different sides" in reason
        for reason in said
    )


@pytest.mark.parametrize("side", ["B", "U", ""])
def test_both_sides_and_none_are_no_contradiction(side: str, tmp_path: Path) -> None:
    own = series()
    for instance in own:
        instance.Laterality, instance.ImageLaterality = "L", side
    assert reasons(write_all(own, tmp_path)) == []


def letters(cosines: np.ndarray) -> str:
    axis = int(np.argmax(np.abs(cosines)))
    return ("RL", "AP", "FH")[axis][int(cosines[axis] > 0)]


def test_letters_that_agree_with_the_cosines_are_let_in(tmp_path: Path) -> None:
    own = series()
    for instance in own:
        cosines = np.array(instance.ImageOrientationPatient, dtype=float).reshape(2, 3)
        instance.PatientOrientation = [letters(cosines[0]), letters(cosines[1])]
    assert reasons(write_all(own, tmp_path)) == []


@pytest.mark.parametrize("axis", [0, 1])
def test_letters_that_say_the_opposite_are_refused(axis: int, tmp_path: Path) -> None:
    own = series()
    for instance in own:
        cosines = np.array(instance.ImageOrientationPatient, dtype=float).reshape(2, 3)
        cosines[axis] *= -1
        instance.PatientOrientation = [letters(cosines[0]), letters(cosines[1])]
    said = reasons(write_all(own, tmp_path))
    assert "say opposite directions" in said[0]
    assert not take_inventory([tmp_path]).candidates


def test_an_input_that_is_replaced_is_not_another_patients(tmp_path: Path) -> None:
    folder = write_all(series(), tmp_path)
    (candidate,) = take_inventory([folder]).candidates
    path = folder / "0000"
    other = dcmread(path)
    other.PatientID = "9999"
    other.save_as(path)
    with pytest.raises(Exception, match="0000: the file has changed since it was checked"):
        candidate.load()
