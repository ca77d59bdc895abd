"""The statistics of a job: right, recorded with it, the same later, and nothing of a patient."""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from sqlalchemy import delete, select

from pipeline.drift.backfill import Backfilled, backfill
from pipeline.drift.describe import describe, outcome_numbers
from pipeline.drift.header import header_categories, header_numbers
from pipeline.drift.images import image_numbers, noise_sigma, raw_numbers
from pipeline.driftsettings import DriftSettings
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.states import JobState
from pipeline.ledger.statistics import Described, StatisticsRow, recorded
from pipeline.phantom import Phantom
from pipeline.study import RawSeries
from pipeline.submit import Terms, submit
from pipeline.work import work
from tests.support.phases import write_tiny_phases
from tests.support.rawfiles import write_nifti
from tests.support.tally import write_volumes
from tests.support.videos import write_dicom_video, write_video
from tests.test_chain import phantom_kspace
from tests.test_work import Place

SETTINGS = DriftSettings()


def test_an_image_is_described(phantom: Phantom) -> None:
    image = phantom.image
    found = image_numbers(image)
    assert [found[f"{axis}_spacing_mm"] for axis in ("row", "column")] == pytest.approx([2.0, 2.0])
    assert (found["rows"], found["columns"], found["slices"], found["beats"]) == (96, 96, 1, 45)
    assert "slice_spacing_mm" not in found
    assert found["intensity_p50"] == pytest.approx(np.median(image.array), rel=0.02)
    assert found["intensity_p05"] < found["intensity_mean"] < found["intensity_p99"]
    assert found["beat_s"] == pytest.approx(np.median(np.diff(image.times_s[:, 0])))
    assert found == image_numbers(image)


def test_estimated_times_are_no_length_of_a_beat(phantom: Phantom) -> None:
    assert "beat_s" not in image_numbers(replace(phantom.image, times_are_estimated=True))


@given(factor=st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_a_gain_scales_intensities_and_noise_and_nothing_else(factor: float) -> None:
    rng = np.random.default_rng(1)
    array = rng.normal(100.0, 20.0, (6, 1, 32, 32)).astype(np.float32)
    image = _image(array)
    found, scaled = image_numbers(image), image_numbers(_image(array * np.float32(factor)))
    for name, value in found.items():
        is_scaled = name == "noise" or name.startswith("intensity_")
        assert scaled[name] == pytest.approx(value * (factor if is_scaled else 1.0), rel=1e-5)


def _image(array: np.ndarray) -> TimeSeries:
    return TimeSeries(
        array=array,
        affine=np.eye(4),
        times_s=np.arange(len(array), dtype=np.float64)[:, None],
        times_are_estimated=False,
    )


@pytest.mark.parametrize("sigma", [2.0, 10.0])
def test_noise_is_told_from_structure(sigma: float) -> None:
    rng = np.random.default_rng(2)
    rows, columns = np.mgrid[:96, :96]
    smooth = 500.0 + 300.0 * np.sin(rows / 40.0) * np.cos(columns / 30.0)
    noisy = smooth + rng.normal(0.0, sigma, (4, 96, 96))
    assert noise_sigma(noisy.astype(np.float32)) == pytest.approx(sigma, rel=0.05)
    outside = np.zeros((4, 96, 192), np.float32)
    outside[:, :, :96] = noisy
    assert noise_sigma(outside) == pytest.approx(sigma, rel=0.08)


def test_a_blank_image_is_described_without_a_division() -> None:
    found = image_numbers(_image(np.zeros((3, 1, 8, 8), np.float32)))
    assert found["noise"] == 0.0
    assert not {"contrast", "enhancement", "noise_relative"} & set(found)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 2, 3), (2, 1, 1, 5), (3, 2, 7, 4)])
def test_the_smallest_images_are_described(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(3).normal(5.0, 1.0, shape).astype(np.float32)
    image = TimeSeries(
        array=array,
        affine=np.eye(4),
        times_s=np.repeat(np.arange(shape[0], dtype=np.float64)[:, None], shape[1], axis=1),
        times_are_estimated=False,
    )
    found = image_numbers(image)
    assert all(np.isfinite(list(found.values())))
    assert ("slice_spacing_mm" in found) == (shape[1] > 1)


def test_raw_data_are_described(phantom: Phantom, tmp_path: Path) -> None:
    path = write_nifti(
        tmp_path / "raw.nii.gz", phantom_kspace(phantom, 2.0)[:3], phantom.image.affine
    )
    (candidate,) = take_inventory([path]).candidates
    series = candidate.load()
    assert isinstance(series, RawSeries)
    found = raw_numbers(series.kspace)
    assert found["acceleration"] == pytest.approx(series.kspace.acceleration)
    assert found["coils"] == series.kspace.n_coils
    assert found["frames"] == 3
    assert 0.0 < found["noise_relative"] < 1.0
    louder = replace(series.kspace, array=series.kspace.array * np.complex64(2.0))
    scaled = raw_numbers(louder)
    assert scaled["noise"] == pytest.approx(2.0 * found["noise"], rel=1e-4)
    assert scaled["noise_relative"] == pytest.approx(found["noise_relative"], rel=1e-4)


@pytest.mark.parametrize("is_dicom", [True, False])
def test_a_video_is_described(is_dicom: bool, tmp_path: Path) -> None:
    path = tmp_path / ("a.dcm" if is_dicom else "a.mp4")
    (write_dicom_video if is_dicom else write_video)(path, 100)
    (candidate,) = take_inventory([path]).candidates
    outcome = {"uncertainty": [{"start_seconds": 0.0, "end_seconds": 3.0, "unusable_seconds": 1.0}]}
    found = describe(candidate.load(), outcome, "b 1", SETTINGS).numbers
    assert (found["rows"], found["columns"]) == (64, 96)
    assert found["frame_rate_hz"] == pytest.approx(25.0)
    assert found["duration_s"] == pytest.approx(4.0, abs=0.1)
    assert found["unusable_share"] == pytest.approx(0.5, abs=0.02)
    assert 0.1 < found["brightness"] < 0.9


def header() -> Dataset:
    made = Dataset()
    made.PatientName = "MARKED^PATIENT"
    made.PatientID = "MARKED"
    made.PatientAge = "045Y"
    made.Manufacturer = "Maker"
    made.ManufacturerModelName = "Model\n1"
    made.StationName = "MR1"
    made.ProtocolName = "perf MARKED"
    made.SeriesDescription = "stress"
    made.SoftwareVersions = ["VE11", "B"]
    made.RepetitionTime = "2.5"
    made.EchoTime = "1.1"
    made.MagneticFieldStrength = "3"
    return made


def test_names_are_kept_as_the_site_allows() -> None:
    found = header_categories(header(), SETTINGS)
    assert found["manufacturer"] == "Maker"
    assert found["model"] == "Model?1"
    assert found["software"] == "VE11\\B"
    assert found["protocol"].startswith("#")
    assert len(found["protocol"]) == 9
    assert found["protocol"] != found["series_description"]
    plain = header_categories(header(), DriftSettings(equipment="none", descriptions="plain"))
    assert plain == {"protocol": "perf MARKED", "series_description": "stress"}
    assert header_categories(None, SETTINGS) == {}


def test_nothing_of_a_patient_is_kept(phantom: Phantom, sound_study: Path) -> None:
    (candidate,) = take_inventory([sound_study]).candidates
    series = replace(candidate.load(), header=header())
    found = describe(series, {}, "b 1", SETTINGS)
    assert "MARKED" not in json.dumps([dict(found.numbers), dict(found.categories)])
    assert "45" not in found.categories.values()


def test_the_sequence_is_read_from_classic_and_enhanced_headers() -> None:
    expected = {"repetition_time_ms": 2.5, "echo_time_ms": 1.1, "field_strength_t": 3.0}
    assert header_numbers(header()) == expected
    enhanced, timing, echo = Dataset(), Dataset(), Dataset()
    timing.RepetitionTime, timing.FlipAngle = 2.5, 12.0
    echo.EffectiveEchoTime = 1.1
    groups = Dataset()
    groups.MRTimingAndRelatedParametersSequence = [timing]
    groups.MREchoSequence = [echo]
    enhanced.SharedFunctionalGroupsSequence = [groups]
    enhanced.MagneticFieldStrength = 3.0
    assert header_numbers(enhanced) == {**expected, "flip_angle_deg": 12.0}


def test_a_value_that_cannot_be_read_is_missing() -> None:
    odd = header()
    with pydicom.config.disable_value_validation():
        odd["RepetitionTime"]._value = "two"
    assert "repetition_time_ms" not in header_numbers(odd)


def test_an_outcome_is_described_by_its_medians() -> None:
    found = outcome_numbers(
        {
            "uncertainty": [
                {"slice_index": n, "u_pp": u, "first_beat": 3, "chosen_member": "m", "members": []}
                for n, u in enumerate((0.1, 0.3, None, float("inf"), 0.2))
            ],
            "measurements": [
                {"name": "area_mm2", "value": 4.0},
                {"name": "area_mm2", "value": 8.0},
                {"name": "u_pp", "value": 0.1},
                {"name": "a name of\n somebody", "value": 1.0},
                {"name": "flag", "value": True},
            ],
            "notes": ["text"],
        }
    )
    assert found == {"quality_u_pp": 0.2, "measured_area_mm2": 6.0}
    assert outcome_numbers({"uncertainty": "none", "measurements": [3]}) == {}


@pytest.fixture
def at(tmp_path: Path) -> Place:
    return Place(tmp_path)


def done(at: Place, *inputs: Path, name: str) -> UUID:
    (job,) = at.submit(*inputs, names=(name,))
    assert work(job, at.bench) is JobState.DONE
    return job


def test_statistics_are_recorded_with_the_job_and_once(at: Place) -> None:
    (path,) = write_volumes(at.folder / "in", 1, first=7)
    job = done(at, path, name="tally")
    (first,) = recorded(at.ledger, "tally")
    assert first.described.numbers["measured_total"] == 7.0
    assert first.described.categories["bundle"] == "Tally 0.0.1"
    tallied = [a for a in at.bench.analyses.all() if a.name == "tally"]
    submit([path], tallied, Terms(output=at.folder / "out", again=True), at.ledger)
    assert work(job, at.bench) is JobState.DONE
    assert recorded(at.ledger, "tally") == (first,), "a job that is done again is the same study"


def test_a_job_that_fails_has_no_statistics(at: Place) -> None:
    (path,) = write_volumes(at.folder / "in", 1)
    (job,) = at.submit(path)
    path.unlink()
    assert work(job, at.bench) is JobState.FAILED
    assert recorded(at.ledger) == ()


def test_jobs_of_before_are_described_later_as_they_would_have_been(
    at: Place, sound_study: Path
) -> None:
    write_tiny_phases(at.models / "phases" / "bundle")
    video = at.folder / "a.mp4"
    write_video(video, 100)
    volumes = write_volumes(at.folder / "in", 2)
    done(at, sound_study, name="perfusion")
    done(at, video, name="phases")
    done(at, volumes[0], name="tally")
    gone = done(at, volumes[1], name="tally")
    before = recorded(at.ledger)
    assert {row.described.numbers.get("beats") for row in before} >= {45.0}
    with at.ledger.transaction() as session:
        session.execute(delete(StatisticsRow))
    volumes[1].unlink()
    assert backfill(at.ledger, SETTINGS) == Backfilled(whole=3, outcome_only=1)
    after = recorded(at.ledger)
    assert [row.described for row in after[:3]] == [row.described for row in before[:3]]
    assert after[3].described == Described(
        numbers={"measured_total": 1.0},
        categories={"bundle": "Tally 0.0.1", "vesalius": "0.1.0"},
    )
    assert backfill(at.ledger, SETTINGS) == Backfilled()
    with at.ledger.reading() as session:
        rows = session.scalars(select(StatisticsRow.job_id).order_by(StatisticsRow.id)).all()
    assert rows[-1] == gone
