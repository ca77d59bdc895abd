"""Marks: on generated pictures, on real frames, and on real frames made worse."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pipeline.analyses.phases.picture import mark_of, measure, small_picture
from pipeline.analyses.phases.result import Mark
from tests.support.phases import tissue
from tests.support.realdata import real_data

SIDE = 224


def marked(rgb: NDArray[np.uint8]) -> Mark:
    """Return the mark of a picture of any size."""
    return mark_of(measure(small_picture(rgb, SIDE)))


def in_a_round_field(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture with the black surround of an endoscope."""
    rows, columns = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    apart = np.hypot(rows - rgb.shape[0] / 2, columns - rgb.shape[1] / 2)
    return np.where(apart[..., None] < 0.48 * rgb.shape[0], rgb, 5).astype(np.uint8)


def drape(seed: int) -> NDArray[np.uint8]:
    """Return folds of blue or green cloth."""
    rng = np.random.default_rng(seed)
    base = np.array([40, 110, 130]) + rng.integers(-30, 30, 3)
    folds = 40 * np.sin(np.arange(160) / rng.uniform(3, 8))[None, :, None]
    return np.clip(base + folds + rng.normal(0, 8, (120, 160, 1)), 0, 255).astype(np.uint8)


def smoky(rgb: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Return a picture behind smoke."""
    return (rgb * (1 - share) + 190 * share).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_generated_pictures_are_marked_for_what_they_show(seed: int) -> None:
    inside = tissue(seed)
    blurred = np.asarray(Image.fromarray(inside).filter(ImageFilter.GaussianBlur(4)))
    assert marked(inside) is Mark.USABLE
    assert marked(in_a_round_field(inside)) is Mark.USABLE
    assert marked(np.zeros_like(inside)) is Mark.BLACK
    assert marked((inside * 0.05).astype(np.uint8)) is Mark.BLACK
    assert marked(drape(seed)) is Mark.OUT_OF_BODY
    assert marked(in_a_round_field(drape(seed))) is Mark.OUT_OF_BODY
    assert marked(smoky(inside, 0.75)) is Mark.SMOKE
    assert marked(in_a_round_field(smoky(inside, 0.75))) is Mark.SMOKE
    assert marked(blurred) is Mark.BLUR


def test_a_picture_of_one_colour_is_marked_and_breaks_nothing() -> None:
    for value in (0, 20, 128, 255):
        assert marked(np.full((9, 11, 3), value, np.uint8)) is not Mark.USABLE


@pytest.fixture(scope="module")
def real_frames() -> list[Path]:
    folder = real_data("surgical", "frames")
    with (folder / "labels.csv").open(newline="") as file:
        return [folder / row["file"] for row in csv.DictReader(file)]


def test_real_frames_are_usable_but_for_a_few_in_smoke(real_frames: list[Path]) -> None:
    marks = [marked(np.asarray(Image.open(p).convert("RGB"))) for p in real_frames[::4]]
    assert marks.count(Mark.USABLE) >= 0.99 * len(marks)
    assert Mark.OUT_OF_BODY not in marks


def test_real_frames_out_of_focus_are_marked(real_frames: list[Path]) -> None:
    found = []
    for path in real_frames[::20]:
        picture = Image.open(path).convert("RGB").filter(ImageFilter.GaussianBlur(5))
        found.append(marked(np.asarray(picture)))
    assert found.count(Mark.BLUR) >= 0.95 * len(found)
