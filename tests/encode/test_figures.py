"""Figures show each structure where it is, and nothing that is not in the result."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from PIL import Image

from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.encode.figures import overview, write_figures
from pipeline.identity import digest_file
from pipeline.imaging.volume import TimeSeries
from tests.support.results import result_on
from tests.support.traps import stack

NAMES = ("segmentation.png", "uncertainty.png", "curves.png", "motion.png")


@pytest.fixture(scope="module")
def image() -> TimeSeries:
    return stack(12, n_slices=3)


@pytest.fixture(scope="module")
def result(image: TimeSeries) -> PerfusionResult:
    return result_on(image, empty_slices=(1,))


def green(picture: np.ndarray) -> np.ndarray:
    """Tell which pixels have the colour of the myocardium's outline."""
    red, strong, blue = picture[..., 0].astype(int), picture[..., 1].astype(int), picture[..., 2]
    return (strong > 150) & (strong - red > 60) & (strong - blue.astype(int) > 40)


def test_figures_are_pictures_and_the_same_each_time(
    image: TimeSeries, result: PerfusionResult, tmp_path: Path
) -> None:
    digests = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert write_figures(image, result, tmp_path / name) == NAMES
        digests.append([digest_file(tmp_path / name / figure) for figure in NAMES])
    assert digests[0] == digests[1]
    for figure in NAMES:
        with Image.open(tmp_path / "one" / figure) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 200
            assert set(picture.info) <= {"dpi"}


def test_each_figure_is_drawn_once(
    image: TimeSeries, result: PerfusionResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, draw = [], Figure.draw

    def counted(figure: Figure, renderer: RendererBase) -> None:
        drawn.append(figure)
        draw(figure, renderer)

    monkeypatch.setattr(Figure, "draw", counted)
    write_figures(image, result, tmp_path)
    assert len(drawn) == len(NAMES)


def test_outlines_are_drawn_on_slices_that_have_a_segmentation_and_on_no_other(
    image: TimeSeries, result: PerfusionResult, tmp_path: Path
) -> None:
    write_figures(image, result, tmp_path)
    with Image.open(tmp_path / "segmentation.png") as picture:
        columns = green(np.asarray(picture.convert("RGB"))).sum(axis=0)
    thirds = [int(part.sum()) for part in np.array_split(columns, 3)]
    assert thirds[0] > 50
    assert thirds[1] == 0
    assert thirds[2] > 50


def test_the_outline_follows_the_heart_on_the_beat_that_is_shown(image: TimeSeries) -> None:
    moved = result_on(image)
    still = overview(image, moved)
    shifted = [
        type(s)(**{f: getattr(s, f) for f in s.__slots__} | {"peak_shift_mm": (4.0, 0.0)})
        for s in moved.slices
    ]
    there = overview(
        image,
        type(moved)(**{f: getattr(moved, f) for f in moved.__slots__} | {"slices": tuple(shifted)}),
    )
    panel = (slice(0, still.shape[0] // 3), slice(0, still.shape[1] // 3))
    rows = [np.flatnonzero(green(p[panel]).any(axis=1)).mean() for p in (still, there)]
    assert rows[1] > rows[0] + 5


def test_many_slices_fit_into_one_overview(result: PerfusionResult, image: TimeSeries) -> None:
    picture = overview(image, result)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert picture.shape[0] > picture.shape[1] * 0.9
