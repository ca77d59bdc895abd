"""The made-up study is a valid one, and the same every time."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from pipeline.demo import stored_values, write_study
from tests.support.geometry import affine_of, ascending, axis_orientations, series_on
from tests.support.traps import stack

DCIODVFY = Path(sys.executable).with_name("dciodvfy")


@pytest.mark.parametrize("shift", [0.0, 0.25, -300.0])
def test_the_demonstration_study_is_valid_dicom(shift: float, tmp_path: Path) -> None:
    image = stack(2, n_slices=2)
    image = replace(image, array=image.array + np.float32(shift))
    for path in write_study(image, tmp_path, name="demo"):
        verdict = subprocess.run([DCIODVFY, str(path)], capture_output=True, text=True, check=False)
        assert verdict.returncode == 0
        assert "Error" not in verdict.stdout + verdict.stderr


def test_the_same_series_gives_the_same_bytes(tmp_path: Path) -> None:
    image = stack(2, n_slices=2)
    first = write_study(image, tmp_path / "first", name="demo")
    second = write_study(image, tmp_path / "second", name="demo")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_another_name_or_another_image_gives_other_uids(tmp_path: Path) -> None:
    image = stack(1, n_slices=1)
    turned = series_on(
        affine_of(ascending(axis_orientations()[5]), (4.0, 2.0, 0.5), (0.0, 0.0, 0.0)),
        image.array.shape,
    )
    uids = set()
    for number, (one, name) in enumerate([(image, "a"), (image, "b"), (turned, "a")]):
        (path,) = write_study(one, tmp_path / str(number), name=name)
        header = pydicom.dcmread(path, stop_before_pixels=True)
        uids |= {header.SOPInstanceUID, header.SeriesInstanceUID, header.StudyInstanceUID}
    assert len(uids) == 9


def test_integers_are_stored_as_they_are() -> None:
    for low, kind in ((0, np.uint16), (-5, np.int16)):
        values = np.arange(low, 60, dtype=np.float32).reshape(1, 1, 5, -1)
        stored = stored_values(values)
        assert stored.array.dtype == kind
        assert (stored.slope, stored.intercept) == (1.0, 0.0)
        np.testing.assert_array_equal(stored.array, values)


def test_fractions_are_scaled_to_half_a_step() -> None:
    values = np.random.default_rng(0).normal(0, 3, (2, 2, 8, 8)).astype(np.float32)
    stored = stored_values(values)
    back = stored.array * stored.slope + stored.intercept
    assert np.abs(back - values).max() <= 0.51 * np.ptp(values) / 65535
