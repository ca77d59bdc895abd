"""NIfTI keeps values, places and layout, and says nothing that its header does not know."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.imaging.nifti import (
    read_header,
    read_labels,
    read_time_series,
    read_volume,
    write_time_series,
    write_volume,
)
from pipeline.imaging.volume import Volume
from pipeline.ingest.inventory import take_inventory
from tests.support.geometry import farthest_mm, oblique_affines, series_on
from tests.support.realdata import real_data
from tests.support.traps import stack

AFFINE = np.diag([2.0, 1.5, 8.0, 1.0])


def written(
    array: NDArray[np.generic],
    path: Path,
    *,
    affine: NDArray[np.float64] = AFFINE,
    step: float = 0.0,
    unit: str = "unknown",
) -> Path:
    """Write a NIfTI file as other software does."""
    image = nibabel.Nifti1Image(array, affine)
    if array.ndim > 3:
        image.header["pixdim"][4] = step
    image.header.set_xyzt_units("mm", unit)
    image.to_filename(path)
    return path


def numbered(*shape: int) -> NDArray[np.int16]:
    """Return another value in every voxel."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def test_the_axes_become_slice_row_column(tmp_path: Path) -> None:
    array = numbered(5, 6, 3, 4)
    series = read_time_series(written(array, tmp_path / "a.nii"))
    np.testing.assert_array_equal(series.array, array.transpose(3, 2, 1, 0))


def test_ras_becomes_lps_once(tmp_path: Path) -> None:
    affine = np.array([[2.0, 0, 0, 10], [0, 1.5, 0, 20], [0, 0, 8, 30], [0, 0, 0, 1]])
    series = read_time_series(written(numbered(5, 6, 3, 4), tmp_path / "a.nii", affine=affine))
    np.testing.assert_allclose(series.affine @ [0, 0, 0, 1], [-10, -20, 30, 1])
    np.testing.assert_allclose(series.affine @ [1, 2, 3, 1], [-16, -23, 38, 1])


@settings(max_examples=60, derandomize=True, deadline=None)
@given(affine=oblique_affines())
def test_a_volume_comes_back_where_it_was(
    affine: NDArray[np.float64], tmp_path_factory: pytest.TempPathFactory
) -> None:
    array = series_on(affine).array[0]
    path = tmp_path_factory.getbasetemp() / "volume.nii.gz"
    write_volume(Volume(array=array, affine=affine), path)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, array)
    assert farthest_mm(volume.affine, affine, array.shape) < 1e-4


def test_the_same_series_gives_the_same_compressed_bytes(tmp_path: Path) -> None:
    image = stack(2, n_slices=2)
    for name in ("one.nii.gz", "other.nii.gz"):
        write_time_series(image, tmp_path / name, 0.8)
    one, other = ((tmp_path / name).read_bytes() for name in ("one.nii.gz", "other.nii.gz"))
    assert one == other
    assert one[4:8] == bytes(4)


def test_a_file_that_is_not_compressed_is_written_as_such(tmp_path: Path) -> None:
    image = stack(2, n_slices=2)
    write_time_series(image, tmp_path / "a.nii", 0.8)
    assert (tmp_path / "a.nii").read_bytes()[344:348] == b"n+1\0"
    np.testing.assert_array_equal(read_time_series(tmp_path / "a.nii").array, image.array)


@pytest.mark.parametrize(
    ("step", "unit", "seconds"),
    [
        (0.85, "sec", 0.85),
        (850.0, "msec", 0.85),
        (850_000.0, "usec", 0.85),
        (1000.0, "msec", 1.0),
        (1.0, "sec", None),
        (1.0, "msec", None),
        (0.85, "unknown", None),
        (0.0, "sec", None),
        (-0.8, "sec", None),
        (float("nan"), "sec", None),
        (900.0, "sec", None),
    ],
)
def test_the_time_step_is_believed_where_it_means_something(
    step: float, unit: str, seconds: float | None, tmp_path: Path
) -> None:
    series = read_time_series(
        written(numbered(5, 6, 1, 4), tmp_path / "a.nii", step=step, unit=unit)
    )
    assert series.times_are_estimated == (seconds is None)
    np.testing.assert_allclose(series.times_s[:, 0], np.arange(4) * (seconds or 1.0))


def test_a_step_that_is_not_known_is_not_written(tmp_path: Path) -> None:
    write_time_series(stack(2), tmp_path / "a.nii.gz", None)
    assert read_time_series(tmp_path / "a.nii.gz").times_are_estimated


def test_labels_are_rounded(tmp_path: Path) -> None:
    """Scaled headers give 0.99998 for 1: truncation would turn it into background."""
    labels = np.array([0, 1, 2, 1, 0, 2], dtype=np.float32).reshape(2, 3, 1)
    read = read_labels(written(labels * np.float32(0.99998), tmp_path / "a.nii.gz"))
    assert read.dtype == np.int16
    np.testing.assert_array_equal(read, labels.transpose(2, 1, 0))


def test_labels_of_one_beat_and_of_many_have_the_layout_of_the_image(tmp_path: Path) -> None:
    assert read_labels(written(numbered(5, 6, 3), tmp_path / "a.nii")).shape == (3, 6, 5)
    assert read_labels(written(numbered(5, 6, 3, 4), tmp_path / "b.nii")).shape == (4, 3, 6, 5)
    assert read_labels(written(numbered(5, 6, 3, 1), tmp_path / "c.nii")).shape == (1, 3, 6, 5)


def test_slices_are_turned_for_image_and_label_alike(tmp_path: Path) -> None:
    affine = np.diag([2.0, 1.5, -8.0, 1.0])
    image = read_time_series(written(numbered(5, 6, 3, 4), tmp_path / "a.nii", affine=affine))
    labels = read_labels(written(numbered(5, 6, 3, 4), tmp_path / "b.nii", affine=affine))
    np.testing.assert_array_equal(image.array, labels)
    np.testing.assert_array_equal(labels[0, 2], numbered(5, 6, 3, 4)[:, :, 0, 0].T)
    np.testing.assert_allclose(image.affine @ [2, 0, 0, 1], [0, 0, 0, 1], atol=1e-9)


@pytest.mark.parametrize("thick", ["first", "last"])
def test_time_on_the_first_axis_is_recognised(thick: str, tmp_path: Path) -> None:
    """44 x 160 x 160 with 16 mm in pixdim: read as space, a stack longer than a body."""
    array = numbered(44, 36, 34) if thick == "first" else numbered(40, 70, 70)
    affine = np.diag([16.0, 2.0, 2.0, 1.0] if thick == "first" else [2.0, 2.0, 16.0, 1.0])
    path = written(array, tmp_path / "a.nii.gz", affine=affine)
    header, series = read_header(path), read_time_series(path)
    assert header.time_first
    assert series.array.shape[:2] == (array.shape[0], 1)
    assert series.times_are_estimated
    assert series.spacing_mm == pytest.approx((16.0, 2.0, 2.0))
    frame = array[7].T if thick == "first" else array[7]
    np.testing.assert_array_equal(series.array[7, 0], frame)
    assert read_labels(path).shape == series.array.shape


@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [
        ((160, 256, 256), (1.0, 1.0, 1.0)),
        ((64, 64, 40), (3.0, 3.0, 12.0)),
        ((30, 64, 64), (6.0, 2.0, 2.0)),
        ((80, 60, 240), (1.6, 1.6, 5.0)),
    ],
)
def test_a_volume_is_not_taken_for_a_time_series(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], tmp_path: Path
) -> None:
    affine = np.diag([*spacing_mm, 1.0])
    path = written(np.zeros(shape, np.uint8), tmp_path / "a.nii.gz", affine=affine)
    header = read_header(path)
    assert not header.time_first
    assert header.shape[0] == 1


def test_a_gigantic_header_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = written(np.zeros((8, 8, 2, 4), np.int16), tmp_path / "a.nii.gz")
    with pytest.raises(UnreadableFile, match="8x8x2x4 values need 2048 bytes, limit 2047"):
        read_header(path, max_bytes=2047)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    array = np.ones((4, 4, 1, 3), dtype=np.float32)
    array[1, 2, 0, 1] = value
    with pytest.raises(UnreadableFile, match=r"a\.nii: 1 values are NaN or infinite"):
        read_time_series(written(array, tmp_path / "a.nii"))


def test_a_number_too_large_for_float32_is_refused(tmp_path: Path) -> None:
    array = np.full((4, 4, 1), 1e300)
    with pytest.raises(UnreadableFile, match="16 values are NaN or infinite"):
        read_volume(written(array, tmp_path / "a.nii"))


@pytest.mark.parametrize(
    ("affine", "reason"),
    [
        (np.array([[2, 0.5, 0, 0], [0, 2, 0, 0], [0, 0, 8, 0], [0, 0, 0, 1.0]]), "sheared"),
        (np.diag([2, 0, 8, 1.0]), "singular"),
    ],
)
def test_an_affine_that_is_no_grid_is_refused(
    affine: NDArray[np.float64], reason: str, tmp_path: Path
) -> None:
    image = nibabel.Nifti1Image(numbered(5, 6, 3), np.eye(4))
    image.set_sform(affine, code=2)
    path = tmp_path / "a.nii"
    image.to_filename(path)
    with pytest.raises(InconsistentSeries, match=reason):
        read_volume(path)


def test_a_series_is_not_read_as_a_volume(tmp_path: Path) -> None:
    with pytest.raises(InconsistentSeries, match="4 beats"):
        read_volume(written(numbered(5, 6, 3, 4), tmp_path / "a.nii"))


def test_five_axes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="5 axes"):
        read_header(written(numbered(4, 4, 2, 2, 3), tmp_path / "a.nii"))


@settings(max_examples=150, derandomize=True, deadline=None)
@given(data=st.data())
def test_damaged_bytes_never_raise_anything_but_a_refusal(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.nii.gz"
    write_time_series(stack(2, n_slices=2), path, 0.8)
    content = bytearray(gzip.decompress(path.read_bytes()))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    path.write_bytes(gzip.compress(bytes(content), compresslevel=1))
    try:
        read_time_series(path, max_bytes=2**20)
    except (UnreadableFile, InconsistentSeries) as error:
        assert "damaged.nii.gz" in str(error)  # noqa: PT017 - a sound file is right as well


@pytest.mark.parametrize("name", ["patient01_rest_mid", "patient02_stress_basal"])
def test_a_real_series_and_its_label_have_one_layout(name: str) -> None:
    image = read_time_series(real_data("perfusion", "internal", f"{name}.nii.gz"))
    labels = read_labels(real_data("perfusion", "internal", f"{name}_label.nii.gz"))
    assert labels.shape == image.array.shape
    assert set(np.unique(labels)) == {0, 1, 2}
    assert image.times_are_estimated
    labelled = labels.any(axis=(1, 2, 3))
    peak = image.array[labelled].max(axis=0)[labels[labelled].max(axis=0) == 2]
    assert peak.mean() > image.array[labelled].max(axis=0).mean()


@pytest.mark.parametrize("kind", [np.int16, np.complex64])
def test_units_that_are_none_are_refused(kind: type, tmp_path: Path) -> None:
    path = written(numbered(5, 6, 3).astype(kind), tmp_path / "a.nii")
    content = bytearray(path.read_bytes())
    content[123] = 7
    path.write_bytes(content)
    inventory = take_inventory([path])
    assert not inventory.candidates
    (refusal,) = inventory.refusals
    assert refusal.reason == "a.nii: its units are none of NIfTI's"
