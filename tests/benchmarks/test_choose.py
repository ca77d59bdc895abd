"""The choice is the fastest way that keeps every figure, and every way is judged on the same."""

from pathlib import Path

import numpy as np

from benchmarks.choose import KEPT, Choice, fastest, table
from benchmarks.chooseperfusion import perfusion_choices
from benchmarks.choosephases import figures
from models.phases.frames import LabelledFeatures


def choice(way: str, ratio: float, **figures: float) -> Choice:
    return Choice(way=way, ratio=ratio, figures=figures)


def test_a_faster_way_that_loses_more_than_half_a_per_cent_is_not_chosen() -> None:
    served = choice("as served", 1.0, Dice=0.8)
    worse = choice("worse", 0.3, Dice=0.795)
    kept = choice("kept", 0.5, Dice=0.797)
    assert fastest([served, worse, kept]) is kept
    assert "within 0.5 %: kept." in table([served, worse, kept])


def test_every_figure_has_to_be_kept() -> None:
    served = choice("as served", 1.0, accuracy=0.3, likelihood=0.2)
    other = choice("other", 0.5, accuracy=0.4, likelihood=0.19)
    assert fastest([served, other]) is served
    assert "keeps accuracy and likelihood" in table([served, other])


def test_eight_bits_keep_the_dice_of_phantoms(tmp_path: Path) -> None:
    found = perfusion_choices(1, tmp_path, series=tmp_path)
    assert [c.way for c in found] == ["single precision", "8 bits, as served"]
    assert found[0].figures["Dice"] > 0.7
    assert found[1].figures["Dice"] > (1 - KEPT) * found[0].figures["Dice"]


def test_features_that_tell_phases_apart_have_better_figures_than_noise() -> None:
    rng = np.random.default_rng(0)
    phase, video = np.tile([0, 1], 30), np.repeat([1, 2, 3], 20)
    noise = rng.normal(0, 1, (2, 60, 1280)).astype(np.float32)
    telling = noise.copy()
    telling[:, :, :64] += (2 * phase - 1)[:, None]
    good, bad = (
        figures(LabelledFeatures(features=f, phase=phase, video=video)) for f in (telling, noise)
    )
    assert good["accuracy"] > 0.9 > bad["accuracy"]
    assert good["likelihood"] > bad["likelihood"]
