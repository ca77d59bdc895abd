"""Training: patches with their truth in place, runs that go on where they were stopped."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.perfusion import train
from models.perfusion.augment import PATCH, draw_patch
from models.perfusion.holdout import lay_out
from models.perfusion.network import N_BEATS, N_CLASSES, UNet
from models.perfusion.series import (
    TEST_PATIENTS,
    VALIDATION_PATIENTS,
    TrainingSlice,
    load_generated,
    load_real,
    series_paths,
)
from tests.support.realdata import real_data


@pytest.fixture(scope="module")
def generated() -> TrainingSlice:
    return load_generated(3)


def recipe(source: TrainingSlice, steps: int) -> train.Recipe:
    """Return a recipe that takes a second."""

    def draw(rng: np.random.Generator) -> train.Batch:
        patches = [draw_patch(source, rng) for _ in range(2)]
        return torch.stack([p for p, _ in patches]), torch.stack([t for _, t in patches])

    return train.Recipe(
        name="tiny",
        seed=5,
        steps=steps,
        learning_rate=1e-3,
        network=lambda: UNet(N_BEATS, N_CLASSES, (4, 6, 8, 8)),
        draw=draw,
        loss=train.segmentation_loss,
    )


def test_a_patch_holds_beats_and_the_shares_of_the_classes(generated: TrainingSlice) -> None:
    for seed in range(8):
        beats, shares = draw_patch(generated, np.random.default_rng(seed))
        assert beats.shape == (N_BEATS, PATCH, PATCH)
        assert shares.shape == (N_CLASSES, PATCH, PATCH)
        assert torch.isfinite(beats).all()
        assert torch.allclose(shares.sum(dim=0), torch.ones(PATCH, PATCH), atol=1e-5)
        assert 0.5 < float(beats.flatten().quantile(0.99)) < 2.0


def test_truth_lies_where_contrast_passes(generated: TrainingSlice) -> None:
    """Over all views, blood gets brighter than its surroundings: truth turns with the image."""
    differences = []
    for seed in range(12):
        beats, shares = draw_patch(generated, np.random.default_rng(seed))
        rise = beats.amax(dim=0) - beats.amin(dim=0)
        blood = shares[2] > 0.9
        if blood.sum() > 30:
            differences.append(float(rise[blood].mean() - rise[shares[0] > 0.9].mean()))
    assert len(differences) >= 6
    assert np.median(differences) > 0.1


def test_the_same_seed_draws_the_same_patch(generated: TrainingSlice) -> None:
    one, two = (draw_patch(generated, np.random.default_rng(7))[0] for _ in range(2))
    assert torch.equal(one, two)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    generated: TrainingSlice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "EVERY", 2)
    whole = recipe(generated, 6)
    monkeypatch.setattr(train, "RUNS", tmp_path / "whole")
    train.train(whole)
    monkeypatch.setattr(train, "RUNS", tmp_path / "stopped")

    class Stopped(Exception):
        pass

    drawn = 0

    def draw_until_stopped(rng: np.random.Generator) -> train.Batch:
        nonlocal drawn
        drawn += 1
        if drawn > 4:
            raise Stopped
        return whole.draw(rng)

    with pytest.raises(Stopped):
        train.train(replace(whole, draw=draw_until_stopped))
    train.train(whole)
    ends = [
        torch.load(tmp_path / name / "tiny.pt", weights_only=True) for name in ("whole", "stopped")
    ]
    assert ends[0]["step"] == ends[1]["step"] == 6
    for name, weight in ends[0]["mean"].items():
        torch.testing.assert_close(weight, ends[1]["mean"][name])
    with (tmp_path / "stopped" / "tiny.csv").open() as file:
        assert [line["step"] for line in csv.DictReader(file)] == ["2", "4", "6"]


def test_loss_falls_to_nothing_where_the_answer_is_right() -> None:
    shares = torch.zeros(1, 3, 8, 8)
    shares[:, 0, :, :4], shares[:, 1, :, 4:6], shares[:, 2, :, 6:] = 1, 1, 1
    right = train.segmentation_loss(50 * shares, shares)
    wrong = train.segmentation_loss(50 * shares.flip(1), shares)
    assert float(right) < 0.02
    assert float(wrong) > 10


def test_no_patient_is_in_two_splits() -> None:
    folder = real_data("perfusion", "internal")
    split = {name: series_paths(folder, name) for name in ("train", "validation", "test")}
    patients = {
        name: {p.name.removeprefix("patient").split("_")[0] for p in paths}
        for name, paths in split.items()
    }
    assert patients["test"] == TEST_PATIENTS
    assert patients["validation"] == VALIDATION_PATIENTS
    assert not patients["train"] & (patients["test"] | patients["validation"])
    assert sum(map(len, split.values())) == 123


def test_a_real_series_is_prepared_as_serving_prepares_it() -> None:
    path = series_paths(real_data("perfusion", "internal"), "train")[0]
    source = load_real(path)
    assert source.truth.shape == (2, *source.frames.shape[1:])
    assert source.shifts_mm.shape == (len(source.frames), 2)
    assert source.truth[0].max() > 0.9
    assert 0 <= source.first_beat <= len(source.frames) - 12


def test_a_split_is_laid_out_with_its_labels(tmp_path: Path) -> None:
    folder = real_data("perfusion", "internal")
    assert lay_out(folder, "test", tmp_path) == 31
    assert lay_out(folder, "test", tmp_path) == 31
    names = sorted(p.name for p in tmp_path.iterdir())
    assert len(names) == 62
    assert all((tmp_path / name).is_file() for name in names)
    assert {name.removeprefix("patient").split("_")[0] for name in names} == TEST_PATIENTS
