"""Volumes of CT: placed and scaled as other software does it, or refused by name."""

import re
from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from pipeline.demo import write_instance
from pipeline.ingest.inventory import take_inventory
from pipeline.study import InputSeries
from tests.support.realdata import real_data
from tests.support.zoo import ct_instance, sample_volume, write_ct

Change = Callable[[Dataset, int], Dataset | None]
VOLUME = sample_volume()


def written(folder: Path, change: Change) -> Path:
    """Write the volume with each instance changed; None leaves one out."""
    folder.mkdir()
    for index in range(len(VOLUME.array)):
        instance = change(ct_instance(VOLUME, index), index)
        if instance is not None:
            write_instance(instance, folder / f"{index}.dcm")
    return folder


def loaded(folder: Path) -> InputSeries:
    (candidate,) = take_inventory([folder]).candidates
    assert candidate.modality == "CT"
    series = candidate.load()
    assert isinstance(series, InputSeries)
    return series


def test_a_volume_of_ct_is_in_hounsfield_units_and_in_its_place(tmp_path: Path) -> None:
    image = loaded(write_ct(VOLUME, tmp_path / "ct")).image
    assert image.n_beats == 1
    assert np.array_equal(image.array[0], VOLUME.array)
    assert np.allclose(image.affine, VOLUME.affine, atol=1e-5)
    assert image.frame_of_reference_uid == VOLUME.frame_of_reference_uid


def test_highdicom_places_every_voxel_of_a_ct_where_ingest_does(tmp_path: Path) -> None:
    folder = write_ct(VOLUME, tmp_path / "ct")
    image = loaded(folder).image
    theirs = highdicom.get_volume_from_series([dcmread(p) for p in folder.iterdir()])
    ours = highdicom.Volume(
        array=image.array[0],
        affine=image.affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=image.frame_of_reference_uid,
    )
    assert np.array_equal(theirs.match_geometry(ours, tol=1e-4).array, ours.array)


def tilted(instance: Dataset, index: int) -> Dataset:
    position = [float(v) for v in instance.ImagePositionPatient]
    instance.ImagePositionPatient = [position[0], f"{position[1] + 0.4 * index:.6f}", position[2]]
    return instance


def one_left_out(instance: Dataset, index: int) -> Dataset | None:
    return None if index == 6 else instance


def uneven(instance: Dataset, index: int) -> Dataset:
    if index == len(VOLUME.array) - 1:
        position = [float(v) for v in instance.ImagePositionPatient]
        instance.ImagePositionPatient = [*position[:2], f"{position[2] + 0.8:.6f}"]
    return instance


def of_no_unit(instance: Dataset, index: int) -> Dataset:
    del instance.RescaleIntercept
    return instance


def of_another_unit(instance: Dataset, index: int) -> Dataset:
    instance.RescaleType = "ED"
    return instance


def of_two_kernels(instance: Dataset, index: int) -> Dataset:
    instance.ConvolutionKernel = "B30f" if index % 2 else "B70f"
    return instance


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (tilted, "gantry tilt: from .* the slices shift by 5.20 mm within their plane"),
        (one_left_out, "missing slice between .*: 5.000 mm apart, 2.500 mm expected"),
        (uneven, "uneven spacing between .*: 3.300 mm apart, 2.500 mm expected"),
        (of_no_unit, r"RescaleIntercept \(0028,1052\) is missing: values of CT have no unit"),
        (of_another_unit, r"RescaleType \(0028,1054\) is not HU"),
        (of_two_kernels, "convolution kernel B.0f against convolution kernel B.0f"),
    ],
)
def test_a_ct_that_cannot_be_placed_is_refused_by_name(
    change: Change, reason: str, tmp_path: Path
) -> None:
    inventory = take_inventory([written(tmp_path / "ct", change)])
    assert inventory.candidates == ()
    assert any(re.search(reason, r.reason) for r in inventory.refusals), [
        r.reason for r in inventory.refusals
    ]


def test_a_localizer_is_listed_and_is_no_volume(tmp_path: Path) -> None:
    def planned(instance: Dataset, index: int) -> Dataset:
        instance.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        return instance

    inventory = take_inventory([written(tmp_path / "ct", planned)])
    (candidate,) = inventory.candidates
    assert candidate.n_slices == 0
    assert inventory.refusals == ()


def test_a_real_ct_has_the_values_that_pydicom_scales() -> None:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    image = loaded(Path(path)).image
    header = dcmread(path)
    expected = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
    assert np.array_equal(image.array[0, 0], expected.astype(np.float32))
    assert image.spacing_mm[1:] == pytest.approx([float(v) for v in header.PixelSpacing])


def test_a_real_anatomical_mr_is_one_volume_where_highdicom_has_it() -> None:
    folder = real_data("dicom", "mr_t1w_mprage_pddl")
    candidates = [c for c in take_inventory([folder]).candidates if c.n_slices > 1]
    assert candidates
    series = candidates[0].load()
    assert isinstance(series, InputSeries)
    assert series.image.n_beats == 1
    theirs = highdicom.get_volume_from_series([dcmread(p) for p in candidates[0].files])
    ours = highdicom.Volume(
        array=series.image.array[0],
        affine=series.image.affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=series.image.frame_of_reference_uid,
    )
    assert np.allclose(theirs.match_geometry(ours, tol=1e-3).array, ours.array)
