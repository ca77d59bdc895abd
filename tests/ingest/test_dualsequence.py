"""Images of low resolution that sample the arterial input stay with their series."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGLosslessSV1

from pipeline.analyses.perfusion.flow.dual import SHORT_DELAYS_S
from pipeline.analyses.perfusion.sequence import ReadOut, read_out_of
from pipeline.errors import UnreadableFile
from pipeline.ingest.inventory import Candidate, take_inventory
from pipeline.study import ArterialImages, InputSeries
from tests.ingest.test_syntaxes import write_jpeg_lossless
from tests.support.dualsequence import (
    AHEAD_S,
    DELAY_MS,
    SHAPE,
    SHORT_MS,
    SLICE,
    STEP_S,
    Change,
    coarse,
    dual_instances,
    sharp,
)
from tests.support.geometry import farthest_mm
from tests.support.traps import write_all
from tests.support.vendors import write_enhanced

LAYOUTS = pytest.mark.parametrize("own_series", [False, True], ids=["same series", "own series"])


def candidates(
    folder: Path,
    *,
    own_series: bool,
    change: Change = lambda _: None,
    n_low: int | None = None,
) -> tuple[Candidate, ...]:
    """Return what a study of a dual sequence holds, nothing of it refused."""
    image = sharp()
    low = coarse(image, n_low)
    instances = dual_instances(image, low, own_series=own_series, change=change)
    inventory = take_inventory([write_all(instances, folder)])
    assert not inventory.refusals
    return inventory.candidates


def the_one(found: tuple[Candidate, ...]) -> tuple[Candidate, InputSeries]:
    (candidate,) = found
    series = candidate.load()
    assert isinstance(series, InputSeries)
    return candidate, series


def assert_as_acquired(arterial: ArterialImages | None, n_beats: int = 12) -> None:
    assert arterial is not None
    low = coarse(sharp())
    np.testing.assert_array_equal(arterial.image.array, low.array[:n_beats])
    assert farthest_mm(arterial.image.affine, low.affine, (1, *low.array.shape[2:])) < 1e-3
    # The clock is that of the series, whose first frame is later.
    expected = STEP_S * np.arange(n_beats) + 0.1 * SLICE - AHEAD_S
    np.testing.assert_allclose(arterial.image.times_s[:, 0], expected, atol=1e-5)
    assert float(arterial.header.InversionTime) == SHORT_MS
    assert len({f[0].sop_instance_uid for f in arterial.frames}) == n_beats


@LAYOUTS
def test_frames_places_times_and_sequence_are_kept(own_series: bool, tmp_path: Path) -> None:
    candidate, series = the_one(candidates(tmp_path, own_series=own_series))
    assert_as_acquired(series.arterial)
    np.testing.assert_array_equal(series.image.array, sharp().array)
    assert candidate.n_instances == 12 * (SHAPE[0] + 1)
    assert "kept as images of its arterial input" in candidate.notes[0]
    assert len(series.series_instance_uids) == 1, "results are of the series alone"


@LAYOUTS
def test_a_pixel_of_low_resolution_lies_amid_those_that_it_covers(
    own_series: bool, tmp_path: Path
) -> None:
    _, series = the_one(candidates(tmp_path, own_series=own_series))
    assert series.arterial is not None
    there = np.linalg.inv(series.image.affine) @ series.arterial.image.affine
    for row, column in ((0, 0), (3, 2), (1, 0)):
        at = there @ (0.0, row, column, 1.0)
        np.testing.assert_allclose(at[:3], (SLICE, 2 * row + 0.5, 2 * column + 0.5), atol=1e-3)


@LAYOUTS
def test_all_files_are_part_of_the_input_and_find_it_again(
    own_series: bool, tmp_path: Path
) -> None:
    def brighter(extra: list[Dataset]) -> None:
        extra[4].PixelData = bytes(len(extra[4].PixelData))

    as_it_was, _ = the_one(candidates(tmp_path / "a", own_series=own_series))
    changed, series = the_one(candidates(tmp_path / "b", own_series=own_series, change=brighter))
    assert as_it_was.input_digest != changed.input_digest
    assert changed.input_digest == series.input_digest
    again = take_inventory(list(changed.files)).candidates
    assert [c.input_digest for c in again] == [changed.input_digest]


def test_a_series_is_told_by_what_it_is_and_not_by_its_name(tmp_path: Path) -> None:
    def renamed(extra: list[Dataset]) -> None:
        for instance in extra:
            instance.SeriesDescription = "Localizer"

    _, series = the_one(candidates(tmp_path, own_series=True, change=renamed))
    assert_as_acquired(series.arterial)


@LAYOUTS
def test_a_frame_more_at_the_end_is_dropped(own_series: bool, tmp_path: Path) -> None:
    _, series = the_one(candidates(tmp_path, own_series=own_series, n_low=13))
    assert_as_acquired(series.arterial)


def test_low_resolution_is_not_taken_for_the_series_where_it_has_more_frames(
    tmp_path: Path,
) -> None:
    image = sharp()
    instances = dual_instances(image, coarse(image, 13), own_series=False)
    place = instances[SLICE].SliceLocation
    of_one_slice = [i for i in instances if i.Rows < SHAPE[1] or i.SliceLocation == place]
    _, series = the_one(take_inventory([write_all(of_one_slice, tmp_path)]).candidates)
    assert series.image.array.shape == (12, 1, *SHAPE[1:])
    assert series.arterial is not None


def test_a_shorter_delay_alone_tells_the_images_of_the_input(tmp_path: Path) -> None:
    image = sharp()
    index = slice(SLICE, SLICE + 1)
    same = type(image)(
        array=image.array[:, index] // 2,
        affine=coarse(image).affine.copy(),
        times_s=image.times_s[:, index] - AHEAD_S,
        times_are_estimated=False,
    )
    same.affine[:] = image.affine
    same.affine[:, 3] = image.affine @ (SLICE, 0.0, 0.0, 1.0)
    instances = dual_instances(image, same, own_series=False)
    _, series = the_one(take_inventory([write_all(instances, tmp_path)]).candidates)
    np.testing.assert_array_equal(series.image.array, image.array)
    assert series.arterial is not None
    np.testing.assert_array_equal(series.arterial.image.array, same.array)


def elsewhere(extra: list[Dataset]) -> None:
    """Move the images by a slice and a half."""
    for instance in extra:
        cosines = np.array(instance.ImageOrientationPatient, dtype=float).reshape(2, 3)
        at = np.array(instance.ImagePositionPatient, dtype=float) + 15.0 * np.cross(*cosines)
        instance.ImagePositionPatient = [f"{v:.5f}" for v in at]


def turned(extra: list[Dataset]) -> None:
    for instance in extra:
        cosines = np.array(instance.ImageOrientationPatient, dtype=float)
        instance.ImageOrientationPatient = [f"{v:.6f}" for v in (*cosines[3:], *-cosines[:3])]


def without_delay(extra: list[Dataset]) -> None:
    for instance in extra:
        del instance.InversionTime


def cut_short(extra: list[Dataset]) -> None:
    del extra[-2:]


def with_a_gap(extra: list[Dataset]) -> None:
    del extra[5]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (elsewhere, "it lies on none of the slices"),
        (turned, "it lies in another orientation"),
        (without_delay, "it states no shorter delay"),
        (cut_short, "10 of them are not one for each of 12 beats"),
    ],
)
def test_a_series_that_does_not_fit_stays_one_of_its_own_with_a_note(
    change: Change, why: str, tmp_path: Path
) -> None:
    found = candidates(tmp_path, own_series=True, change=change)
    main = next(c for c in found if c.n_slices == SHAPE[0])
    assert len(found) == 2
    assert main.n_instances == 12 * SHAPE[0]
    (note,) = main.notes
    assert note.startswith("images of the arterial input are not used")
    assert why in note
    series = main.load()
    assert isinstance(series, InputSeries)
    assert series.arterial is None
    np.testing.assert_array_equal(series.image.array, sharp().array)


def later(extra: list[Dataset]) -> None:
    """Acquire the images as long after the series as it took."""
    for number, instance in enumerate(extra):
        instance.AcquisitionTime = instance.ContentTime = f"1010{number:02d}.000000"


def test_a_series_of_another_time_has_no_part_in_it(tmp_path: Path) -> None:
    found = candidates(tmp_path, own_series=True, change=later)
    assert [c.notes for c in found] == [(), ()]


@pytest.mark.parametrize(
    ("change", "why", "n_lost"),
    [(cut_short, "not one for each of 12 beats", 2), (with_a_gap, "missing beat", 1)],
)
def test_frames_of_the_series_that_do_not_fit_are_told_and_left_out(
    change: Change, why: str, n_lost: int, tmp_path: Path
) -> None:
    candidate, series = the_one(candidates(tmp_path, own_series=False, change=change))
    assert series.arterial is None
    assert any("are not used" in note and why in note for note in candidate.notes)
    assert candidate.n_instances == 12 * (SHAPE[0] + 1) - n_lost


def test_frames_on_another_slice_are_told_and_left_out(tmp_path: Path) -> None:
    candidate, series = the_one(candidates(tmp_path, own_series=False, change=elsewhere))
    assert series.arterial is None
    assert "not used, they lie on none of its slices" in candidate.notes[0]


def test_enhanced_images_state_it_in_the_group_that_their_frames_share(tmp_path: Path) -> None:
    image = sharp()
    for name, part, delay_ms in (("main", image, DELAY_MS), ("low", coarse(image), SHORT_MS)):
        (path,) = write_enhanced(part, tmp_path, name=name)
        instance = pydicom.dcmread(path)
        instance.StudyInstanceUID, instance.PatientID = "1.2.3", "DEMO-DUAL"
        instance.FrameOfReferenceUID = "1.2.3.4"
        modifier = Dataset()
        modifier.SaturationRecovery, modifier.InversionRecovery = "YES", "NO"
        modifier.InversionTimes = delay_ms
        shared = instance.SharedFunctionalGroupsSequence[0]
        shared.MRModifierSequence = [modifier]
        instance.save_as(path)
    _, series = the_one(take_inventory([tmp_path]).candidates)
    np.testing.assert_array_equal(series.image.array, image.array)
    assert series.arterial is not None
    np.testing.assert_array_equal(series.arterial.image.array, coarse(image).array)
    found = read_out_of(series.arterial.header, SHORT_DELAYS_S)
    assert isinstance(found, ReadOut), found
    assert found.blood.delay_s == pytest.approx(SHORT_MS / 1000.0)


def test_of_two_echoes_the_first_is_taken(tmp_path: Path) -> None:
    image = sharp()
    instances = dual_instances(image, coarse(image), own_series=False)
    second = dual_instances(image, coarse(image), own_series=False)[len(instances) - 12 :]
    for instance in second:
        instance.SOPInstanceUID = f"{instance.SOPInstanceUID[:60]}.2"
        instance.InstanceNumber = int(instance.InstanceNumber) + 100
        instance.EchoTime = "2.4"
    candidate, series = the_one(
        take_inventory([write_all([*instances, *second], tmp_path)]).candidates
    )
    assert_as_acquired(series.arterial)
    assert sum("split off" in note for note in candidate.notes) == 1


def test_proton_density_before_the_bolus_is_split_off_from_both(tmp_path: Path) -> None:
    image = sharp()
    instances = dual_instances(image, coarse(image), own_series=False)
    for instance in (*instances[: 2 * SHAPE[0]], *instances[-12:-10]):
        instance.FlipAngle = "5"
    candidate, series = the_one(take_inventory([write_all(instances, tmp_path)]).candidates)
    np.testing.assert_array_equal(series.image.array, image.array[2:])
    assert series.arterial is not None
    np.testing.assert_array_equal(series.arterial.image.array, coarse(image).array[2:])
    assert sum("split off" in note for note in candidate.notes) == 2


def test_damaged_pixels_cost_no_more_than_the_images_themselves(tmp_path: Path) -> None:
    (before,) = candidates(tmp_path, own_series=True)
    for path in before.files[-12:]:
        write_jpeg_lossless(pydicom.dcmread(path), path, JPEGLosslessSV1)
        dataset = pydicom.dcmread(path)
        stream = bytearray(next(generate_frames(dataset.PixelData)))
        del stream[stream.index(b"\xff\xda") :]
        dataset.PixelData = encapsulate([bytes(stream)])
        dataset.save_as(path)
    _, series = the_one(take_inventory([tmp_path]).candidates)
    assert series.arterial is None
    assert series.notes[-1].startswith("images of the arterial input are not used: instance")
    np.testing.assert_array_equal(series.image.array, sharp().array)


def test_a_file_that_has_changed_fails_the_series(tmp_path: Path) -> None:
    found = candidates(tmp_path, own_series=True)
    (candidate,) = found
    path = candidate.files[-1]
    path.write_bytes(path.read_bytes() + b"\0\0")
    with pytest.raises(UnreadableFile, match="has changed"):
        candidate.load()
