"""Frames are ordered by the key that fits, and no beat goes missing unseen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pipeline.ingest.inventory import Candidate, Refusal, take_inventory
from tests.support.traps import COLUMNS, ROWS, instances_of, stack, write_all

N_BEATS, N_SLICES = 20, 3


def series(n_slices: int = N_SLICES) -> list[Dataset]:
    """Return a dynamic series, beat by beat and slice by slice, without temporal positions."""
    instances = instances_of(stack(N_BEATS, n_slices=n_slices))
    for instance in instances:
        del instance.TemporalPositionIdentifier, instance.NumberOfTemporalPositions
    return instances


def accepted(instances: list[Dataset], folder: Path) -> Candidate:
    """Return the one candidate that instances make."""
    inventory = take_inventory([write_all(instances, folder)])
    assert not inventory.refusals
    (candidate,) = inventory.candidates
    return candidate


def refused(instances: list[Dataset], folder: Path) -> Refusal:
    """Return the one refusal that instances meet."""
    inventory = take_inventory([write_all(instances, folder)])
    assert not inventory.candidates
    (refusal,) = inventory.refusals
    return refusal


def with_times(instances: list[Dataset], write: Callable[[Dataset, float], None]) -> list[Dataset]:
    """Set the time of each frame: 0.8 s a beat, 0.1 s a slice."""
    for index, instance in enumerate(instances):
        beat, slice_index = divmod(index, N_SLICES)
        write(instance, 0.8 * beat + 0.1 * slice_index)
    return instances


def clock(seconds: float) -> str:
    """Return a TM value."""
    whole = int(seconds)
    return (
        f"{whole // 3600 % 24:02d}{whole // 60 % 60:02d}{whole % 60:02d}.{seconds % 1 * 1e6:06.0f}"
    )


def without_times(instances: list[Dataset]) -> list[Dataset]:
    """Take away all that tells when a frame was acquired, but for the instance number."""
    for instance in instances:
        for keyword in ("AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime"):
            delattr(instance, keyword)
        del instance.TriggerTime
    return instances


def test_a_series_past_midnight_keeps_its_order(tmp_path: Path) -> None:
    def write(instance: Dataset, seconds: float) -> None:
        del instance.AcquisitionDate, instance.ContentDate
        instance.AcquisitionTime = instance.ContentTime = clock(86_395.0 + seconds)

    image = accepted(with_times(series(), write), tmp_path).load().image
    np.testing.assert_array_equal(image.array, stack(N_BEATS, n_slices=3).array)
    np.testing.assert_allclose(np.diff(image.times_s, axis=0), 0.8, atol=1e-5)


def test_a_date_that_does_not_change_at_midnight_does_no_harm(tmp_path: Path) -> None:
    def write(instance: Dataset, seconds: float) -> None:
        instance.AcquisitionTime = clock(86_395.0 + seconds)

    image = accepted(with_times(series(), write), tmp_path).load().image
    np.testing.assert_allclose(np.diff(image.times_s, axis=0), 0.8, atol=1e-5)


@pytest.mark.parametrize("digits", [0, 2, 6])
def test_times_are_read_with_and_without_decimals(digits: int, tmp_path: Path) -> None:
    def write(instance: Dataset, seconds: float) -> None:
        text = clock(36_000 + 5 * seconds)
        instance.AcquisitionTime = text[: 7 + digits] if digits else text[:6]
        del instance.ContentTime

    image = accepted(with_times(series(), write), tmp_path).load().image
    np.testing.assert_allclose(image.times_s[:, 0], 4.0 * np.arange(N_BEATS), atol=1e-5)


def test_a_finer_time_goes_before_whole_seconds(tmp_path: Path) -> None:
    def write(instance: Dataset, seconds: float) -> None:
        instance.AcquisitionTime = clock(36_000 + 1.5 * seconds)[:6]
        instance.TriggerTime = str(769 + round(1500 * seconds))
        del instance.ContentTime

    image = accepted(with_times(series(), write), tmp_path).load().image
    np.testing.assert_allclose(np.diff(image.times_s, axis=0), 1.2, atol=1e-3)


def test_a_finer_time_that_spans_another_time_does_not(tmp_path: Path) -> None:
    def write(instance: Dataset, seconds: float) -> None:
        instance.AcquisitionTime = clock(36_000 + 5 * seconds)[:6]
        instance.ContentTime = clock(40_000 + seconds)

    image = accepted(with_times(series(), write), tmp_path).load().image
    np.testing.assert_allclose(np.diff(image.times_s, axis=0), 4.0)


def test_acquisition_datetime_goes_before_date_and_time(tmp_path: Path) -> None:
    def write(instance: Dataset, seconds: float) -> None:
        instance.AcquisitionDateTime = f"20260302{clock(36_000 + 2 * seconds)}+0100"

    image = accepted(with_times(series(), write), tmp_path).load().image
    np.testing.assert_allclose(np.diff(image.times_s, axis=0), 1.6, atol=1e-5)


def test_a_trigger_time_within_one_beat_is_no_time_key(tmp_path: Path) -> None:
    """It is the delay after the R wave, and may differ from beat to beat by chance."""
    instances = without_times(series())
    for index, instance in enumerate(instances):
        instance.TriggerTime = str(155 + 5 * (len(instances) - index))
    candidate = accepted(instances, tmp_path)
    loaded = candidate.load()
    np.testing.assert_array_equal(loaded.image.array, stack(N_BEATS, n_slices=3).array)
    assert loaded.image.times_are_estimated


def test_instance_numbers_alone_give_estimated_times(tmp_path: Path) -> None:
    candidate = accepted(without_times(series()), tmp_path)
    image = candidate.load().image
    assert image.times_are_estimated
    np.testing.assert_array_equal(image.times_s[:, 1], np.arange(N_BEATS))
    assert candidate.notes == (
        "times are estimated: beats are ordered by InstanceNumber (0020,0013) only",
    )


def test_repetition_time_is_never_the_step(tmp_path: Path) -> None:
    instances = without_times(series())
    for instance in instances:
        instance.RepetitionTime = "500"
    assert accepted(instances, tmp_path).load().image.times_are_estimated


def test_a_temporal_position_of_one_for_all_is_passed_over(tmp_path: Path) -> None:
    instances = series()
    for instance in instances:
        instance.TemporalPositionIdentifier = 1
    image = accepted(instances, tmp_path).load().image
    np.testing.assert_array_equal(image.array, stack(N_BEATS, n_slices=3).array)


def test_nothing_that_tells_beats_apart_is_refused(tmp_path: Path) -> None:
    instances = without_times(series())
    for instance in instances:
        instance.InstanceNumber = 1
    assert "no attribute tells the beats apart" in refused(instances, tmp_path).reason


@pytest.mark.parametrize("lost", [1, 7, 12, 18])
def test_a_beat_missing_on_one_slice_is_refused_by_name(lost: int, tmp_path: Path) -> None:
    instances = series()
    before, after = instances[3 * (lost - 1) + 1], instances[3 * (lost + 1) + 1]
    refusal = refused([i for n, i in enumerate(instances) if n != 3 * lost + 1], tmp_path)
    assert f"missing beat {lost + 1} of 20" in refusal.reason
    assert before.SOPInstanceUID in refusal.reason
    assert after.SOPInstanceUID in refusal.reason


def test_a_first_beat_missing_on_one_slice_is_refused(tmp_path: Path) -> None:
    assert "missing beat 1 of 20" in refused(series()[1:], tmp_path).reason


def test_a_beat_missing_on_all_slices_is_refused_by_its_numbers(tmp_path: Path) -> None:
    instances = series()
    refusal = refused(instances[:30] + instances[33:], tmp_path)
    assert "missing beat between" in refusal.reason
    assert instances[27].SOPInstanceUID in refusal.reason
    assert instances[33].SOPInstanceUID in refusal.reason


@pytest.mark.parametrize("lost", [0, 9, 19])
def test_a_missing_temporal_position_is_refused_by_its_number(lost: int, tmp_path: Path) -> None:
    instances = instances_of(stack(N_BEATS, n_slices=3))
    refusal = refused(instances[: 3 * lost] + instances[3 * lost + 3 :], tmp_path)
    assert f"1 of 20 temporal positions missing, such as {lost + 1}" in refusal.reason


@pytest.mark.parametrize("lost", [0, 9, 19])
def test_a_temporal_position_missing_on_one_slice_is_refused(lost: int, tmp_path: Path) -> None:
    instances = instances_of(stack(N_BEATS, n_slices=3))
    refusal = refused([i for n, i in enumerate(instances) if n != 3 * lost + 2], tmp_path)
    assert f"missing beat {lost + 1} of 20" in refusal.reason


def test_gaps_at_different_beats_of_different_slices_are_refused(tmp_path: Path) -> None:
    """The counts are equal, the beats are not."""
    for instance in (instances := series()):
        del instance.InstanceNumber
    left = [i for n, i in enumerate(instances) if n not in (3 * 5, 3 * 11 + 1, 3 * 15 + 2)]
    assert "slices do not share their beats" in refused(left, tmp_path).reason


def test_a_frame_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    instances = series(n_slices=1)
    again = instances_of(stack(N_BEATS, n_slices=1), "again")[6]
    again.StudyInstanceUID = instances[0].StudyInstanceUID
    again.SeriesInstanceUID = instances[0].SeriesInstanceUID
    again.PatientID, again.FrameOfReferenceUID = (
        instances[0].PatientID,
        instances[0].FrameOfReferenceUID,
    )
    again.InstanceNumber = 100
    del again.TemporalPositionIdentifier, again.NumberOfTemporalPositions
    refusal = refused([*instances, again], tmp_path)
    assert "doubled position and time" in refusal.reason
    assert again.SOPInstanceUID in refusal.reason
    assert instances[6].SOPInstanceUID in refusal.reason


def test_a_last_beat_that_was_not_finished_is_left_out_with_a_note(tmp_path: Path) -> None:
    instances = series()
    candidate = accepted(instances[:-1], tmp_path)
    assert candidate.n_beats == N_BEATS - 1
    assert candidate.notes[0].startswith("beat 20 left out, not every slice has it")
    assert instances[-2].SOPInstanceUID in candidate.notes[0]


def test_a_missed_heart_beat_is_noted(tmp_path: Path) -> None:
    """The scanner waited for two beats: the numbers run on, the time has a gap."""

    def write(instance: Dataset, seconds: float) -> None:
        instance.AcquisitionTime = clock(36_000 + seconds + (0.8 if seconds > 7.9 else 0.0))

    candidate = accepted(with_times(series(), write), tmp_path)
    assert candidate.n_beats == N_BEATS
    assert candidate.notes == ("missed beats: the step after beat 10 exceeds 1.8 typical ones",)


def test_proton_density_frames_are_split_off(tmp_path: Path) -> None:
    instances = series()
    for instance in instances[: 2 * N_SLICES]:
        instance.FlipAngle = "5"
    candidate = accepted(instances, tmp_path)
    assert candidate.n_beats == N_BEATS - 2
    assert candidate.n_instances == len(instances)
    assert candidate.notes == ("6 frames split off: flip angle 5 against flip angle 12",)
    np.testing.assert_array_equal(
        candidate.load().image.array, stack(N_BEATS, n_slices=3).array[2:]
    )


def test_low_resolution_input_function_frames_are_kept_beside_the_series(tmp_path: Path) -> None:
    instances = series()
    low = instances_of(stack(N_BEATS, n_slices=1), "low")
    for number, instance in enumerate(low):
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            setattr(instance, keyword, instances[0][keyword].value)
        instance.PatientID = instances[0].PatientID
        instance.InstanceNumber = 500 + number
        instance.Rows, instance.Columns = 3, 3
        instance.PixelSpacing = [4.0, 1.0]
        instance.PixelData = instance.PixelData[: 2 * 9]
        del instance.TemporalPositionIdentifier, instance.NumberOfTemporalPositions
    candidate = accepted(instances + low, tmp_path)
    assert (candidate.n_beats, candidate.rows, candidate.columns) == (N_BEATS, ROWS, COLUMNS)
    assert candidate.notes == (
        f"20 frames kept as images of its arterial input: matrix 3x3 against {ROWS}x{COLUMNS}",
    )


def test_one_frame_of_another_flip_angle_amid_the_others_is_refused(tmp_path: Path) -> None:
    instances = series(n_slices=1)
    instances[9].FlipAngle = "5"
    refusal = refused(instances, tmp_path)
    assert "flip angle 5 against flip angle 12" in refusal.reason
    assert instances[9].SOPInstanceUID in refusal.reason
