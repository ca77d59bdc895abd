"""Eleven series that must be refused, and sound ones that only look odd.

The published readers refuse 1 to 9 of the eleven, and none the other patient or the second study.
"""

from pathlib import Path

import numpy as np
import pytest

from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.inventory import Inventory, take_inventory
from tests.support.geometry import affine_of, ascending, axis_orientations, farthest_mm
from tests.support.traps import (
    ACCEPTED,
    AXIAL,
    ORIGIN_MM,
    REFUSED,
    SPACING_MM,
    Change,
    Trap,
    instances_of,
    stack,
    with_each,
    with_one,
    without,
    write_all,
)


@pytest.mark.parametrize("trap", REFUSED.values(), ids=REFUSED.keys())
def test_a_trap_is_refused_by_name(trap: Trap, tmp_path: Path) -> None:
    instances = instances_of(stack())
    uids = [instance.SOPInstanceUID for instance in instances]
    inventory = take_inventory([write_all(trap.change(instances), tmp_path)])
    assert not inventory.candidates
    (refusal,) = inventory.refusals
    assert trap.reason in refusal.reason
    assert all(uids[index] in refusal.reason for index in trap.named)
    assert refusal.label == instances[0].SeriesInstanceUID


@pytest.mark.parametrize("trap", REFUSED.values(), ids=REFUSED.keys())
def test_a_trap_does_not_disturb_the_series_beside_it(trap: Trap, tmp_path: Path) -> None:
    write_all(trap.change(instances_of(stack())), tmp_path / "trap")
    good = stack(2)
    write_all(instances_of(good, "good"), tmp_path / "good")
    inventory = take_inventory([tmp_path])
    (candidate,) = inventory.candidates
    assert_same_image(candidate.load().image, good)


def test_no_refusal_tells_who_the_patient_is(tmp_path: Path) -> None:
    changed = REFUSED["11 another patient"].change(instances_of(stack()))
    for instance in changed:
        instance.PatientBirthDate = "19010203"
    inventory = take_inventory([write_all(changed, tmp_path)])
    told = repr(inventory)
    assert inventory.refusals
    for secret in ("ZZPHI", "Zzphi", "DEMO-", "Phantom^Perfusion", "19010203"):
        assert secret not in told


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_sound_series_is_placed_exactly(change: Change, tmp_path: Path) -> None:
    image = stack()
    inventory = take_inventory([write_all(change(instances_of(image)), tmp_path)])
    assert_same_image(only_image(inventory), image)


@pytest.mark.parametrize("directions", axis_orientations())
def test_non_square_pixels_are_placed_in_every_orientation(
    directions: np.ndarray, tmp_path: Path
) -> None:
    image = stack(directions=ascending(directions))
    inventory = take_inventory([write_all(instances_of(image), tmp_path)])
    assert_same_image(only_image(inventory), image)


def test_slices_written_against_the_normal_are_turned_round(tmp_path: Path) -> None:
    """The first file holds the highest slice: what is written descending comes back ascending."""
    image = stack()
    descending = with_each(InstanceNumber=lambda i: image.n_slices - i)(instances_of(image)[::-1])
    assert_same_image(only_image(take_inventory([write_all(descending, tmp_path)])), image)


def test_each_slice_has_its_own_rescale_slope(tmp_path: Path) -> None:
    image = stack()
    change = with_each(
        RescaleSlope=lambda i: str(0.5 * (i + 1)), RescaleIntercept=lambda i: str(-i)
    )
    series = only_image(take_inventory([write_all(change(instances_of(image)), tmp_path)]))
    for index in range(image.n_slices):
        expected = image.array[0, index] * 0.5 * (index + 1) - index
        np.testing.assert_array_equal(series.array[0, index], expected)


def test_a_fractional_slope_after_a_blank_slice_keeps_its_fractions(tmp_path: Path) -> None:
    instances = with_each(RescaleSlope=lambda _: "0.0123", RescaleIntercept=lambda _: "0")(
        instances_of(stack())
    )
    instances[0].PixelData = bytes(len(instances[0].PixelData))
    series = only_image(take_inventory([write_all(instances, tmp_path)]))
    assert series.array.dtype == np.float32
    np.testing.assert_allclose(series.array[0, 1], stack().array[0, 1] * 0.0123, rtol=1e-6)


def test_two_time_points_become_two_beats(tmp_path: Path) -> None:
    image = stack(2)
    series = only_image(take_inventory([write_all(instances_of(image), tmp_path)]))
    assert_same_image(series, image)
    np.testing.assert_allclose(series.times_s, image.times_s, atol=1e-5)


def test_a_missing_last_slice_is_noted_where_the_count_is_known(tmp_path: Path) -> None:
    instances = with_each(ImagesInAcquisition=lambda _: 9)(instances_of(stack()))
    inventory = take_inventory([write_all(without(8)(instances), tmp_path)])
    assert inventory.candidates[0].n_slices == 8
    assert "Images in Acquisition (0020,1002) is 9, 8 were found" in inventory.candidates[0].notes


def test_a_missing_middle_slice_of_three_is_refused_by_the_stated_spacing(tmp_path: Path) -> None:
    image = stack(4, n_slices=3)
    left = [i for n, i in enumerate(instances_of(image)) if n % 3 != 1]
    (refusal,) = take_inventory([write_all(left, tmp_path)]).refusals
    assert "missing slice" in refusal.reason


def test_another_matrix_on_one_slice_of_a_dynamic_series_is_refused(tmp_path: Path) -> None:
    instances = instances_of(stack(10, n_slices=3))
    odd = instances[1::3]
    for instance in odd:
        instance.Rows = 6
        instance.PixelData = instance.PixelData[: 2 * 6 * 6]
    (refusal,) = take_inventory([write_all(instances, tmp_path)]).refusals
    assert "matrix 6x6 against 7x6" in refusal.reason
    assert sum(instance.SOPInstanceUID in refusal.reason for instance in odd) == 4
    assert "and 6 more" in refusal.reason


def test_an_identical_copy_is_left_out_with_a_note(tmp_path: Path) -> None:
    image = stack()
    folder = write_all(instances_of(image), tmp_path)
    (folder / "again").write_bytes((folder / "0003").read_bytes())
    (candidate,) = take_inventory([folder]).candidates
    assert candidate.notes == ("1 identical copies left out",)
    assert candidate.n_instances == image.n_slices
    assert_same_image(candidate.load().image, image)


def test_a_broken_copy_does_not_replace_the_sound_instance(tmp_path: Path) -> None:
    image = stack()
    instances = instances_of(image)
    folder = write_all(instances, tmp_path)
    sound = folder / "0003"
    (folder / "cut").write_bytes(sound.read_bytes()[:-30])
    inventory = take_inventory([folder])
    assert [refusal.label for refusal in inventory.refusals] == ["cut"]
    assert inventory.candidates[0].notes == ()
    assert_same_image(only_image(inventory), image)


def test_an_instance_that_cannot_be_read_is_noted_on_its_series(tmp_path: Path) -> None:
    instances = with_one(8, Rows=0)(instances_of(stack()))
    inventory = take_inventory([write_all(instances, tmp_path)])
    assert inventory.candidates[0].n_slices == 8
    assert instances[8].SOPInstanceUID in inventory.candidates[0].notes[0]
    assert "0 rows" in inventory.refusals[0].reason


def test_a_localizer_is_refused_for_its_orientations(tmp_path: Path) -> None:
    planes = [AXIAL, AXIAL[:, [1, 2, 0]], AXIAL[:, [2, 0, 1]]]
    instances = []
    for number, directions in enumerate(planes):
        image = stack(directions=ascending(directions), n_slices=1)
        instance = instances_of(image)[0]
        instance.StudyInstanceUID, instance.SeriesInstanceUID = "1.2.3", "1.2.3.4"
        instance.SOPInstanceUID = f"1.2.3.4.{number}"
        instance.PatientID, instance.FrameOfReferenceUID = "1", "1.2.3.5"
        instances.append(instance)
    (refusal,) = take_inventory([write_all(instances, tmp_path)]).refusals
    assert "mixed orientations" in refusal.reason


def test_the_affine_follows_the_equation_of_the_standard(tmp_path: Path) -> None:
    """Pixel Spacing lists the distance between rows first: the pairs cross over."""
    series = only_image(take_inventory([write_all(instances_of(stack()), tmp_path)]))
    np.testing.assert_allclose(series.affine, affine_of(AXIAL, SPACING_MM, ORIGIN_MM), atol=1e-9)


def only_image(inventory: Inventory) -> TimeSeries:
    """Load the only candidate."""
    (candidate,) = inventory.candidates
    return candidate.load().image


def assert_same_image(series: TimeSeries, image: TimeSeries) -> None:
    """Assert that values and places are the same."""
    np.testing.assert_array_equal(series.array, image.array)
    assert farthest_mm(series.affine, image.affine, image.array.shape[1:]) < 1e-4
