"""The same series comes back from every vendor's way of writing it, whatever the order of files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from pipeline.demo import write_study
from pipeline.imaging.nifti import read_time_series
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.inventory import take_inventory
from tests.support.geometry import farthest_mm
from tests.support.realdata import real_data
from tests.support.traps import stack
from tests.support.vendors import (
    STYLES,
    Writer,
    scattered,
    through,
    write_philips_style,
    write_siemens_style,
)


def assert_same_series(series: TimeSeries, image: TimeSeries) -> None:
    """Assert that values, places and times are the same. GE times are whole milliseconds."""
    np.testing.assert_array_equal(series.array, image.array)
    assert farthest_mm(series.affine, image.affine, image.array.shape[1:]) < 1e-4
    np.testing.assert_allclose(series.times_s, image.times_s, atol=1e-3)
    assert not series.times_are_estimated


@pytest.mark.parametrize("write", STYLES.values(), ids=STYLES.keys())
def test_three_slices_come_back_in_every_style(write: Writer, tmp_path: Path) -> None:
    image = stack(12, n_slices=3)
    assert_same_series(through(write, image, tmp_path).image, image)


@pytest.mark.parametrize("write", STYLES.values(), ids=STYLES.keys())
def test_a_real_series_comes_back_in_every_style(write: Writer, tmp_path: Path) -> None:
    real = read_time_series(real_data("perfusion", "internal", "patient01_rest_mid.nii.gz"))
    image = TimeSeries(
        array=real.array,
        affine=real.affine,
        times_s=np.linspace(0.0, 0.83 * (real.n_beats - 1), real.n_beats)[:, None],
        times_are_estimated=False,
    )
    assert_same_series(through(write, image, tmp_path).image, image)


@pytest.mark.parametrize("write", STYLES.values(), ids=STYLES.keys())
def test_each_frame_points_at_its_own_instance(write: Writer, tmp_path: Path) -> None:
    image = stack(4, n_slices=3)
    series = through(write, image, tmp_path)
    sources = [frame for beat in series.frames for frame in beat]
    assert len(series.frames) == image.n_beats
    assert all(len(beat) == image.n_slices for beat in series.frames)
    assert len({(s.sop_instance_uid, s.frame_number) for s in sources}) == len(sources)
    assert all(source.path.is_file() for source in sources)


def test_the_header_is_the_first_slice_of_the_first_beat(tmp_path: Path) -> None:
    series = through(write_study, stack(4, n_slices=3), tmp_path)
    assert series.header is not None
    assert series.header.SOPInstanceUID == series.frames[0][0].sop_instance_uid
    assert "PixelData" not in series.header
    assert series.header.PatientID.startswith("DEMO-")


def test_one_series_a_slice_becomes_one_candidate(tmp_path: Path) -> None:
    series = through(write_siemens_style, stack(12, n_slices=3), tmp_path)
    assert len(series.series_instance_uids) == 3
    assert "3 series of one slice each joined" in series.notes


def test_acquisitions_at_other_times_stay_apart(tmp_path: Path) -> None:
    """Slices of rest and stress at other positions are alike; only time tells them apart."""
    image = stack(12, n_slices=4)
    times_s = image.times_s + np.array([0.0, 900.0, 0.0, 900.0])
    write_siemens_style(replace(image, times_s=times_s), tmp_path, name="study")
    rest, stress = (c.load().image for c in take_inventory([tmp_path]).candidates)
    np.testing.assert_array_equal(rest.array, image.array[:, [0, 2]])
    np.testing.assert_array_equal(stress.array, image.array[:, [1, 3]])
    np.testing.assert_allclose(rest.affine[:3, 0], 2 * image.affine[:3, 0], atol=1e-6)


def test_slices_at_one_position_stay_apart(tmp_path: Path) -> None:
    image = stack(12, n_slices=1)
    paths = write_siemens_style(image, tmp_path / "one", name="study")
    other = tmp_path / "other"
    other.mkdir()
    for number, path in enumerate(paths):
        instance = pydicom.dcmread(path)
        instance.SeriesInstanceUID = f"{instance.SeriesInstanceUID[:50]}.1"
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = f"1.2.{number}"
        instance.save_as(other / path.name)
    candidates = take_inventory([tmp_path]).candidates
    assert [(c.n_beats, c.n_slices) for c in candidates] == [(12, 1), (12, 1)]


def test_slices_of_one_series_each_that_are_uneven_stay_apart(tmp_path: Path) -> None:
    image = stack(12, n_slices=4)
    paths = write_siemens_style(image, tmp_path / "written", name="study")
    for path in paths[12:24]:
        path.unlink()
    candidates = take_inventory([tmp_path]).candidates
    assert [c.n_slices for c in candidates] == [1, 1, 1]
    assert all("do not join" in c.notes[-1] for c in candidates)


def test_jumbled_instance_numbers_are_noted(tmp_path: Path) -> None:
    notes = through(write_philips_style, stack(12, n_slices=3), tmp_path).notes
    assert notes == (
        "InstanceNumber (0020,0013) does not follow TemporalPositionIdentifier (0020,0100)",
    )


def test_the_same_files_have_the_same_digest_in_any_order(tmp_path: Path) -> None:
    image = stack(4, n_slices=3)
    digests = set()
    for seed in (1, 2):
        paths = write_study(image, tmp_path / f"written {seed}", name="study")
        folder = scattered(paths, tmp_path / f"scattered {seed}", seed=seed)
        (candidate,) = take_inventory([folder]).candidates
        assert candidate.load().input_digest == candidate.input_digest
        digests.add(candidate.input_digest)
    assert len(digests) == 1
