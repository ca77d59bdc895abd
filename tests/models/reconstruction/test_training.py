"""Training: simulated data with their truth, the loss, runs that go on where they were stopped."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.reconstruction import train
from models.reconstruction.anatomy import (
    AnatomyVolume,
    draw_contrast,
    draw_generated,
    draw_slice,
    load_volumes,
)
from models.reconstruction.data import SHAPES, draw_mask, draw_simulated, simulate, undersample
from models.reconstruction.loss import reconstruction_loss, ssim
from models.reconstruction.network import n_parameters
from models.reconstruction.profiles import draw_bells, draw_loops, draw_two_rings, on_grid
from models.runs import Run
from pipeline.mr import quality
from pipeline.mr.coils import calibration_region, root_sum_of_squares
from pipeline.mr.fourier import ifft2c
from tests.support.reconstruction import TINY, tiny_network


@pytest.fixture(scope="module")
def volume() -> AnatomyVolume:
    """Return a ball with a hole, as a volume of 2 mm."""
    at = np.linspace(-1, 1, 90)
    radius = np.sqrt(at[:, None, None] ** 2 + at[None, :, None] ** 2 + at[None, None, :] ** 2)
    array = (0.8 * (radius < 0.9) - 0.3 * (radius < 0.3)).astype(np.float32)
    return AnatomyVolume(array=array, spacing_mm=(2.0, 2.0, 2.0))


def test_a_slice_lies_where_its_volume_does(volume: AnatomyVolume) -> None:
    plane = ((120, 100), (2.0, 2.0))
    for seed in range(4):
        image = draw_slice(volume, plane, np.random.default_rng(seed))
        assert image.shape == (120, 100)
        assert 0.05 < np.count_nonzero(image > 0.4) / image.size < 0.8


def test_no_contrast_gives_signal_to_air() -> None:
    image = np.linspace(0, 1, 50, dtype=np.float32)[None]
    for seed in range(8):
        drawn = draw_contrast(image, np.random.default_rng(seed))
        assert drawn[0, 0] == 0
        assert drawn.max() <= 1.0


def test_generated_anatomy_is_never_empty() -> None:
    for seed in range(6):
        image = draw_generated(((96, 80), (2.0, 2.0)), np.random.default_rng(seed))
        assert image.shape == (96, 80)
        assert 0 <= image.min() <= image.max() <= 1.3
        assert np.count_nonzero(image > 0.05) > 0.1 * image.size


@pytest.mark.parametrize("draw", [draw_loops, draw_bells, draw_two_rings])
def test_coil_profiles_are_smooth_and_differ(draw: Callable[..., NDArray[np.complex64]]) -> None:
    profiles = on_grid(draw(5, (1.1, 0.9), np.random.default_rng(1)), (64, 52))
    assert profiles.shape == (5, 64, 52)
    assert 0.9 < root_sum_of_squares(profiles).max() < 1.1
    steps = np.abs(np.diff(profiles, axis=1)).max()
    assert steps < 0.5
    peaks = {int(np.abs(p).argmax()) for p in profiles}
    assert len(peaks) == 5


def test_samples_hold_the_truth_and_noise() -> None:
    rng = np.random.default_rng(2)
    image = draw_generated(((128, 128), (1.0, 1.0)), rng)
    simulated = simulate(image, (64, 64), (2.0, 2.0), rng)
    again = root_sum_of_squares(ifft2c(simulated.kspace))
    assert quality.psnr(simulated.truth, again) > 20
    assert not np.array_equal(simulated.truth, again)


def test_every_mask_of_training_has_a_centre_to_calibrate_on() -> None:
    for seed in range(60):
        shape = SHAPES[seed % len(SHAPES)]
        mask = draw_mask(shape, np.random.default_rng(seed))
        assert mask.shape == shape
        assert min(calibration_region(mask).shape) >= 4


def test_the_truth_is_on_the_scale_of_the_samples(volume: AnatomyVolume) -> None:
    simulated = draw_simulated([volume], np.random.default_rng(3))
    prepared, truth = undersample(simulated, np.random.default_rng(4))
    assert truth.shape == prepared.mask.shape
    assert 0.5 < np.percentile(truth, 99) < 4.0
    assert (prepared.kspace[:, ~prepared.mask] == 0).all()


def test_the_loss_measures_what_serving_reports() -> None:
    rng = np.random.default_rng(5)
    truth = rng.uniform(0, 1, (40, 33)).astype(np.float32)
    found = (truth + rng.normal(0, 0.1, truth.shape)).astype(np.float32)
    expected = quality.ssim(truth, found)
    reach = float(truth.max())
    measured = ssim(torch.from_numpy(found / reach), torch.from_numpy(truth / reach))
    assert float(measured) == pytest.approx(expected, abs=1e-5)
    loss = float(reconstruction_loss(torch.from_numpy(found), torch.from_numpy(truth)))
    assert loss == pytest.approx(1 - expected - 0.01 * quality.psnr(truth, found), abs=1e-4)


def test_both_kinds_of_a_size_have_about_as_many_parameters() -> None:
    for size in ("small", "large"):
        with torch.device("meta"):
            counts = [
                n_parameters(train.Unrolled(kind, train.SIZES[kind, size]))
                for kind in ("operator", "varnet")
            ]
        assert counts[0] == pytest.approx(counts[1], rel=0.15)


def test_scaling_the_data_scales_the_image(volume: AnatomyVolume) -> None:
    simulated = draw_simulated([volume], np.random.default_rng(6))
    prepared, _ = undersample(simulated, np.random.default_rng(7))
    for kind in TINY:
        operator = tiny_network(kind).cascades[0]
        image = torch.randn(1, 3, 32, 48)
        basis = torch.from_numpy(prepared.geometry.image_basis.copy())
        with torch.no_grad():
            one, many = operator(image, basis), operator(1e3 * image, basis)
        torch.testing.assert_close(1e3 * one, many, rtol=1e-4, atol=1e-3)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    volume: AnatomyVolume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "EVERY", 2)
    monkeypatch.setattr(train, "N_VALIDATION", 1)
    monkeypatch.setitem(train.SIZES, ("operator", "small"), TINY["operator"])
    recipe = train.Recipe(kind="operator", size="small", seed=5, steps=4, learning_rate=1e-3)
    whole = train.train(recipe, [volume], tmp_path / "whole")

    class Stopped(Exception):
        pass

    save = Run.save

    def save_and_stop(run: Run, step: int, figures: Mapping[str, str]) -> None:
        save(run, step, figures)
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(Run, "save", save_and_stop)
        with pytest.raises(Stopped):
            train.train(recipe, [volume], tmp_path / "stopped")
    stopped = train.train(recipe, [volume], tmp_path / "stopped")
    ends = [torch.load(path, weights_only=True) for path in (whole, stopped)]
    assert ends[0]["step"] == ends[1]["step"] == 4
    for name, weight in ends[0]["mean"].items():
        torch.testing.assert_close(weight, ends[1]["mean"][name])
    assert (tmp_path / "whole" / "operator.csv").read_text().startswith("step,loss,psnr_db,ssim")


def test_missing_volumes_are_named_with_the_package_that_brings_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mricron-data"):
        load_volumes([tmp_path / "none.nii.gz"])
