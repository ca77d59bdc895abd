"""Figures of an evaluation, on labels whose right answer is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.oneslice import analyse_slice
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.errors import UnusableCall
from pipeline.evaluate.bybeat import by_beat_dice, label_agreement
from pipeline.evaluate.cohort import Evaluation, SeriesRow
from pipeline.evaluate.labelled import majority, patient_of
from pipeline.evaluate.perfusion import evaluate_perfusion
from pipeline.evaluate.table import table
from pipeline.imaging.nifti import write_time_series, write_volume
from pipeline.imaging.overlap import dice
from pipeline.imaging.volume import TimeSeries
from pipeline.infer.bundle import load_bundle
from pipeline.phantom import Phantom
from pipeline.study import InputSeries
from tests.support.runs import FAST
from tests.support.trust import trust_model


@pytest.fixture(scope="module")
def pool(tiny_bundle: Path) -> Pool:
    return open_pool(load_bundle(tiny_bundle))


def row(name: str, quality: float, *, flagged: bool, centre_error_mm: float = 3.0) -> SeriesRow:
    """Return a made-up series."""
    return SeriesRow(
        name=name,
        patient=patient_of(name),
        myocardium_dice=quality,
        blood_pool_dice=None,
        u_pp=0.02,
        chosen_members=("member_1",),
        members_run=2.0,
        member_dice={"member_1": quality, "member_2": 0.7},
        pool_average_dice=0.8,
        flagged=flagged,
        verdict=None,
        failure_probability=None,
        by_beat_dice=None,
        label_agreement=None,
        areas_mm2=(1000.0, 1100.0 + 100 * quality),
        centre_error_mm=centre_error_mm,
        seconds=1.0,
    )


def test_the_summary_counts_what_failed_and_what_of_it_was_flagged() -> None:
    found = Evaluation(
        rows=(
            row("a", 0.9, flagged=False),
            row("b", 0.5, flagged=True),
            row("c", 0.1, flagged=False, centre_error_mm=80.0),
            row("d", 0.7, flagged=True),
        ),
        not_judged={},
        flag_u_pp=0.1,
    ).summary()
    assert found["n_series"] == 4
    assert found["myocardium_dice_mean"] == pytest.approx(0.55)
    assert found["failed_share"] == 0.5
    assert found["failed_and_flagged_share"] == 0.5
    assert found["flagged_share"] == 0.5
    assert found["heart_found_share"] == 0.75
    assert found["best_single_member_dice_mean"] == pytest.approx(0.7)
    assert found["blood_pool_dice_mean"] is None


def test_a_label_over_beats_counts_by_majority_of_the_labelled_ones() -> None:
    labels = np.zeros((6, 1, 2, 2), dtype=np.uint8)
    labels[1:4, 0, 0, 0] = 1
    labels[1:3, 0, 0, 1] = 2
    labels[3, 0, 1, 1] = 1
    np.testing.assert_array_equal(majority(labels)[0], [[1, 2], [0, 0]])
    np.testing.assert_array_equal(majority(labels[1])[0], labels[1, 0])


def test_dice_of_equal_disjoint_and_empty_masks() -> None:
    one, none = np.ones((2, 2), dtype=bool), np.zeros((2, 2), dtype=bool)
    assert (dice(one, one), dice(one, none), dice(none, none)) == (1.0, 0.0, 1.0)


def test_a_located_heart_is_near_its_label(pool: Pool, phantom: Phantom, tmp_path: Path) -> None:
    write_time_series(phantom.image, tmp_path / "a.nii.gz", 0.8)
    label = phantom.image.volume_like(phantom.labels)
    write_volume(label, tmp_path / "a_label.nii.gz")
    found = evaluate_perfusion(tmp_path, tmp_path, pool, FAST)
    assert found.rows[0].centre_error_mm < 12.0
    assert found.rows[0].member_dice.keys() == set(pool.names)
    assert "heart_found_share: 1.0000" in table(found)
    assert found.rows[0].members_run == len(pool.names)
    assert found.rows[0].verdict == "not calibrated"


def test_the_whole_pool_is_judged_and_the_choice_is_the_sites(
    pool: Pool, phantom: Phantom, tmp_path: Path
) -> None:
    write_time_series(phantom.image, tmp_path / "a.nii.gz", 0.8)
    write_volume(phantom.image.volume_like(phantom.labels), tmp_path / "a_label.nii.gz")
    calibrated = replace(pool, trust=trust_model(pool.digest))
    settings = replace(FAST, stop_below_u_pp=1e9)
    (found,) = evaluate_perfusion(tmp_path, tmp_path, calibrated, settings).rows
    assert found.members_run == 2.0
    assert set(found.chosen_members) <= set(pool.names[:2])
    assert found.member_dice.keys() == set(pool.names)
    assert found.failure_probability is not None
    assert 0.0 < found.failure_probability < 1.0
    assert found.areas_mm2[0] == pytest.approx(found.areas_mm2[1], rel=0.5)


def test_by_beat_the_segmentation_follows_the_heart(pool: Pool, phantom: Phantom) -> None:
    image = phantom.image
    series = InputSeries(
        label="a",
        study_instance_uid=None,
        series_instance_uids=(),
        image=image,
        frames=(),
        header=None,
        input_digest="0" * 64,
        notes=(),
    )
    found = analyse_slice(series, 0, (pool, FAST), Stopwatch())
    spacing = image.spacing_mm[1:]
    steps = np.rint(found.prepared.shifts_mm / spacing).astype(int)
    exact, away = (
        replace(found, prepared=replace(found.prepared, shifts_mm=steps * spacing + by_mm))
        for by_mm in (0.0, 12.0)
    )
    still = phantom.labels[:1]
    moving = np.stack([np.roll(still, tuple(by), axis=(1, 2)) for by in steps])
    assert by_beat_dice([exact], still, moving, spacing) == pytest.approx(1.0)
    assert (by_beat_dice([away], still, moving, spacing) or 0.0) < 0.7
    assert by_beat_dice([exact], still, still, spacing) is None


def test_labels_of_a_heart_that_moves_do_not_agree_with_their_majority() -> None:
    still = np.zeros((1, 40, 40), dtype=np.uint8)
    still[:, 10:20, 10:20] = 1
    beats = np.stack([still, still, np.roll(still, 5, axis=2), 0 * still])
    assert label_agreement(majority(beats), beats) == pytest.approx((1 + 1 + 0.5) / 3)
    assert label_agreement(still, still) is None


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("patient05_rest_mid", "patient05"),
        ("exd1_patient1_basal", "exd1"),
        ("12_3", "12"),
        ("series", "series"),
    ],
)
def test_a_name_tells_its_patient(name: str, patient: str) -> None:
    assert patient_of(name) == patient


def test_labels_that_do_not_fit_are_listed_with_their_reason(
    pool: Pool, phantom: Phantom, tmp_path: Path
) -> None:
    write_time_series(phantom.image, tmp_path / "good.nii.gz", 0.8)
    write_volume(phantom.image.volume_like(phantom.labels), tmp_path / "good_label.nii.gz")
    write_time_series(_cropped(phantom.image), tmp_path / "other.nii.gz", 0.8)
    write_volume(phantom.image.volume_like(phantom.labels), tmp_path / "other_label.nii.gz")
    write_time_series(phantom.image, tmp_path / "void.nii.gz", 0.8)
    empty = phantom.image.volume_like(np.zeros_like(phantom.labels))
    write_volume(empty, tmp_path / "void_label.nii.gz")
    found = evaluate_perfusion(tmp_path, tmp_path, pool, PerfusionSettings(uncertainty_stride=8))
    assert [r.name for r in found.rows] == ["good"]
    assert "has shape" in found.not_judged["other.nii.gz"]
    assert "no myocardium" in found.not_judged["void.nii.gz"]


def test_a_folder_without_series_cannot_be_judged(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(UnusableCall, match="no NIfTI files"):
        evaluate_perfusion(tmp_path, tmp_path, pool, FAST)


def _cropped(image: TimeSeries) -> TimeSeries:
    """Return a series without its last rows."""
    return TimeSeries(
        array=image.array[:, :, :-8],
        affine=image.affine,
        times_s=image.times_s,
        times_are_estimated=image.times_are_estimated,
    )
