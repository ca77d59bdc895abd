"""The phantom shows what a first-pass perfusion series shows, and its truth is true."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, center_of_mass, label, shift

from pipeline.phantom import Phantom, PhantomSettings, perfusion_phantom
from pipeline.phantom.acquisition import Sequence, acquired, signal
from pipeline.phantom.draws import Draws
from pipeline.phantom.kinetics import contrast_curves

MYOCARDIUM, BLOOD_POOL = 1, 2
SMALL = PhantomSettings(
    n_slices=1, n_beats=30, rows=96, columns=96, pixel_spacing_mm=None, randomise=True
)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def study() -> Phantom:
    """Return the study that the demonstration starts from."""
    return perfusion_phantom(1)


def curve(phantom: Phantom, value: int, slice_index: int = 0) -> NDArray[np.float64]:
    """Return the mean over a structure that follows the heart. Shape ``(beats,)``."""
    spacing = phantom.image.spacing_mm[1:]
    mask = (phantom.labels[slice_index] == value).astype(float)
    means = []
    for frame, moved in zip(
        phantom.image.array[:, slice_index], phantom.shifts_mm[:, slice_index], strict=True
    ):
        there = shift(mask, moved / spacing, order=1) > 0.5
        means.append(float(frame[there].mean()))
    return np.array(means)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_study(study: Phantom) -> None:
    again, other = perfusion_phantom(1), perfusion_phantom(2)
    assert again.image.array.tobytes() == study.image.array.tobytes()
    assert again.labels.tobytes() == study.labels.tobytes()
    assert other.image.array.tobytes() != study.image.array.tobytes()


def test_a_study_has_the_shape_that_was_asked_for(study: Phantom) -> None:
    assert study.image.array.shape == (60, 3, 128, 128)
    assert study.image.array.dtype == np.float32
    assert study.labels.shape == (3, 128, 128)
    assert study.labels.dtype == np.uint8
    assert study.shifts_mm.shape == (60, 3, 2)
    assert study.image.times_s.shape == (60, 3)
    np.testing.assert_allclose(study.image.spacing_mm, (10.0, 2.0, 2.0))


def test_a_study_is_stored_as_a_scanner_stores_it(study: Phantom) -> None:
    stored = study.image.array
    assert (stored == np.rint(stored)).all()
    assert stored.min() >= 0
    assert 200 < stored.max() <= 4095


@settings(derandomize=True, deadline=None, max_examples=40)
@given(seeds)
def test_every_heart_is_a_closed_ring_around_one_pool(seed: int) -> None:
    phantom = perfusion_phantom(seed, SMALL)
    labels = phantom.labels[0]
    pool, wall = labels == BLOOD_POOL, labels == MYOCARDIUM
    area_mm2 = np.prod(phantom.image.spacing_mm[1:])
    assert label(pool)[1] == 1
    # A heart larger than a small field of view is cut by its border; elsewhere the ring is closed.
    assert not (binary_dilation(pool) & (labels == 0)).any()
    assert 150 < pool.sum() * area_mm2 < 5000
    assert 300 < wall.sum() * area_mm2 < 7000


@settings(derandomize=True, deadline=None, max_examples=40)
@given(seeds)
def test_every_series_is_finite_positive_and_in_order(seed: int) -> None:
    phantom = perfusion_phantom(seed, SMALL)
    assert np.isfinite(phantom.image.array).all()
    assert phantom.image.array.min() >= 0 < phantom.image.array.max()
    assert (np.diff(phantom.image.times_s, axis=0) > 0.2).all()
    assert (phantom.image.times_s[0] == 0).all()
    np.testing.assert_allclose(phantom.shifts_mm.mean(axis=0), 0, atol=1e-9)
    assert 1.0 <= phantom.image.spacing_mm[1] <= 2.6


@pytest.mark.parametrize("seed", range(6))
def test_blood_is_bright_before_the_wall_and_brighter_than_it(seed: int) -> None:
    phantom = perfusion_phantom(seed)
    for index in range(3):
        blood, wall = curve(phantom, BLOOD_POOL, index), curve(phantom, MYOCARDIUM, index)
        assert blood.max() > 4 * blood[:3].mean()
        assert blood.max() > 1.4 * wall.max()
        assert wall.max() > 1.8 * wall[:3].mean()
        half = [
            int((c > c[:3].mean() + 0.5 * (c.max() - c[:3].mean())).argmax()) for c in (blood, wall)
        ]
        assert half[0] < half[1]


def test_the_right_ventricle_is_bright_first_and_on_the_left_of_the_image(study: Phantom) -> None:
    frames = study.image.array[:, 1]
    row, column = (round(c) for c in center_of_mass(study.labels[1] == BLOOD_POOL))
    wall = np.flatnonzero(study.labels[1][row] == MYOCARDIUM)
    right = frames[:, row - 3 : row + 4, wall.min() - 9 : wall.min() - 3].mean(axis=(1, 2))
    left = frames[:, row - 3 : row + 4, column - 3 : column + 4].mean(axis=(1, 2))
    arrival = [int((c > 0.5 * c.max()).argmax()) for c in (right, left)]
    assert arrival[0] + 2 < arrival[1]


@pytest.mark.parametrize("seed", [0, 4, 6, 12])
def test_the_heart_stands_still_only_when_the_true_motion_is_undone(seed: int) -> None:
    phantom = perfusion_phantom(seed, replace(SMALL, pixel_spacing_mm=(1.5, 1.5), n_beats=45))
    frames, heart = phantom.image.array[:, 0], binary_dilation(phantom.labels[0] > 0, iterations=3)
    shifts = phantom.shifts_mm[:, 0] / 1.5
    restlessness = []
    for undone in (1.0, 0.0, -1.0):
        aligned = np.stack(
            [shift(f, -undone * s, order=1) for f, s in zip(frames, shifts, strict=True)]
        )
        restlessness.append(np.abs(np.diff(aligned, axis=0))[:, heart].mean())
    assert np.abs(np.diff(shifts, axis=0)).max() > 0.5
    assert restlessness[0] < 0.7 * restlessness[1] < 0.7 * restlessness[2]


def test_slices_ascend_along_the_normal_and_lie_in_the_patient(study: Phantom) -> None:
    affine = study.image.affine
    slice_step, column_cosines, row_cosines = (
        affine[:3, k] / np.linalg.norm(affine[:3, k]) for k in range(3)
    )
    np.testing.assert_allclose(np.cross(row_cosines, column_cosines), slice_step, atol=1e-12)
    for index in range(3):
        row, column = center_of_mass(study.labels[index] > 0)
        place = (affine @ (index, row, column, 1))[:3]
        assert np.linalg.norm(place - (40, -30, -20)) < 25


def test_slices_grow_from_the_apex_to_the_base(study: Phantom) -> None:
    sizes = [(study.labels[index] > 0).sum() for index in range(3)]
    assert sizes == sorted(sizes)


def test_training_draws_what_a_typical_study_does_not() -> None:
    wide = [perfusion_phantom(seed, SMALL) for seed in range(60)]
    peaks = [curve(p, BLOOD_POOL).argmax() for p in wide]
    assert min(peaks) <= 3
    assert max(peaks) >= 25
    assert min(p.image.array.max() for p in wide) < 0.1
    assert max(p.image.array.max() for p in wide) == 4095
    assert any((p.shifts_mm == 0).all() for p in wide)
    assert max(np.abs(p.shifts_mm).max() for p in wide) > 6
    pools = [(p.labels == BLOOD_POOL).sum() * p.image.spacing_mm[1] ** 2 for p in wide]
    assert max(pools) > 4 * min(pools)


def test_the_signal_rises_with_contrast_and_saturates() -> None:
    sequence = Sequence(recovery_s=0.1, echo_s=0.001, residue=0.0)
    found = signal(sequence, np.array([0.0, 1.0, 2.0, 8.0, 10.0]), 1.6)
    assert found[0] == pytest.approx(1 - np.exp(-0.1 / 1.6))
    assert found[1] - found[0] > 5 * abs(found[4] - found[3])
    assert found[1] < found[2] < found[3] < 1


@settings(derandomize=True, deadline=None, max_examples=30)
@given(seeds)
def test_contrast_passes_right_lung_left_in_this_order(seed: int) -> None:
    draws = Draws(rng=np.random.default_rng(seed), spread=1.0)
    curves = contrast_curves(draws, duration_s=60.0, arrival_s=10.0)
    arrivals = [
        float(curves.times_s[(c > 0.2 * c.max()).argmax()])
        for c in (curves.right, curves.lung, curves.left, curves.aorta)
    ]
    assert arrivals == sorted(arrivals)
    assert 10.0 <= arrivals[0] < arrivals[2] - 1.5
    assert curves.defect.max() < curves.myocardium.max() < curves.left.max()
    assert curves.myocardium[curves.times_s < 10.0].max() == 0


def test_noise_without_signal_is_rayleigh_and_with_much_signal_is_normal() -> None:
    draws = Draws(rng=np.random.default_rng(0), spread=0.3)
    empty = acquired(draws, np.zeros((40, 64, 64), np.float32), 1.0)
    assert empty.mean() / empty.std() == pytest.approx(1.913, abs=0.03)
    full = acquired(draws, np.full((40, 64, 64), 50.0, np.float32), 1.0)
    assert full.mean() == pytest.approx(50.0, abs=0.05)
    assert full.std() == pytest.approx(empty.std() / 0.655, rel=0.15)


def test_a_breath_moves_the_heart_and_nothing_else_of_the_study() -> None:
    still = perfusion_phantom(3, SMALL)
    moved = perfusion_phantom(3, replace(SMALL, jump_mm=25.0))
    np.testing.assert_array_equal(moved.labels, still.labels)
    np.testing.assert_array_equal(moved.image.times_s, still.image.times_s)
    by = moved.shifts_mm - still.shifts_mm
    np.testing.assert_allclose(by.mean(axis=0), 0, atol=1e-9)
    assert 20 < np.ptp(by, axis=0).max() < 60
    steps = np.linalg.norm(np.diff(by[:, 0], axis=0), axis=1)
    # Breaths are few, and the heart drifts between them.
    assert 1 <= (steps > 2.0).sum() <= 6
    assert np.median(steps) < 0.5
