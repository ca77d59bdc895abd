"""The endocardial contour is moved outwards on fine images, and nothing else is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.endocardium import endocardial_offset_mm, moved_endocardium
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.analyses.perfusion.settings import ModelGrid
from pipeline.errors import BundleRejected
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.phantom import Phantom
from tests.support.plainseries import plain_series
from tests.support.runs import FAST

SIZE, SPACING_MM = 64, 2.0
INNER_MM, OUTER_MM = 20.0, 32.0

GRID = {
    "grid_size": 96,
    "grid_spacing_mm": 2.0,
    "patch_size": 64,
    "n_beats": 30,
    "segmentation_stride": 16,
    "edge_before": 5,
    "edge_after": 1,
}


def ring() -> NDArray[np.float32]:
    """Return a soft ring of wall around blood. Shape ``(3, size, size)``."""
    steps = (np.arange(SIZE) - (SIZE - 1) / 2) * SPACING_MM
    away = np.hypot(steps[:, None], steps)
    within = [1 / (1 + np.exp((away - radius) / 0.8)) for radius in (INNER_MM, OUTER_MM)]
    return np.stack([1 - within[1], within[1] - within[0], within[0]]).astype(np.float32)


def radius_mm(classes: NDArray[np.int_], *values: int) -> float:
    """Return the radius of the disc of as large an area as some classes [mm]."""
    return float(np.sqrt(np.isin(classes, values).sum() * SPACING_MM**2 / np.pi))


@given(st.floats(0.1, 6.0))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_the_contour_moves_by_the_offset_and_the_epicardial_one_stays(offset_mm: float) -> None:
    before = ring()
    moved = moved_endocardium(before, SPACING_MM, offset_mm)
    classes = moved.argmax(axis=0)
    assert radius_mm(classes, BLOOD_POOL) == pytest.approx(INNER_MM + offset_mm, abs=0.7)
    assert radius_mm(classes, BLOOD_POOL, MYOCARDIUM) == pytest.approx(OUTER_MM, abs=0.3)
    np.testing.assert_array_equal(moved[0], before[0])
    np.testing.assert_allclose(moved.sum(axis=0), before.sum(axis=0), atol=1e-6)
    assert (moved >= 0).all()
    assert (moved[BLOOD_POOL] >= before[BLOOD_POOL]).all()


def test_without_an_offset_or_without_blood_nothing_changes() -> None:
    np.testing.assert_array_equal(moved_endocardium(ring(), SPACING_MM, 0.0), ring())
    bloodless = ring()
    bloodless[MYOCARDIUM] += bloodless[BLOOD_POOL]
    bloodless[BLOOD_POOL] = 0
    np.testing.assert_array_equal(moved_endocardium(bloodless, SPACING_MM, 2.0), bloodless)


def test_the_offset_grows_as_pixels_get_finer_than_the_labels() -> None:
    model = replace(ModelGrid.from_bundle(GRID), label_spacing_mm=2.3, endocardial_offset=2.0)
    assert endocardial_offset_mm((2.5, 2.5), model) == 0.0
    assert endocardial_offset_mm((2.3, 2.3), model) == 0.0
    assert endocardial_offset_mm((1.4, 1.2), model) == pytest.approx(2.0)


def test_a_bundle_that_does_not_say_moves_nothing_and_one_that_lies_is_refused() -> None:
    assert endocardial_offset_mm((1.0, 1.0), ModelGrid.from_bundle(GRID)) == 0.0
    with pytest.raises(BundleRejected, match="endocardial_offset"):
        ModelGrid.from_bundle({**GRID, "endocardial_offset": -1.0})


def test_the_pool_that_ships_moves_it_on_fine_images_alone() -> None:
    model = open_pool(load_bundle(find_bundle("perfusion"))).grid
    assert endocardial_offset_mm((2.29, 2.29), model) == 0.0
    assert 1.0 < endocardial_offset_mm((1.4, 1.4), model) < 3.0


def test_a_result_tells_how_far_contours_were_moved(tiny_bundle: Path, phantom: Phantom) -> None:
    series = plain_series(phantom.image)
    pool = open_pool(load_bundle(tiny_bundle))
    coarser = float(np.mean(phantom.image.spacing_mm[1:])) + 1.5
    moving = replace(pool.grid, label_spacing_mm=coarser, endocardial_offset=1.0)
    found, moved = (analyse(series, replace(pool, grid=grid), FAST) for grid in (pool.grid, moving))
    assert not any("moved outwards" in note for note in found.notes)
    assert any("moved outwards by 1.5 mm" in note for note in moved.notes)
    blood, more_blood = ((one.segmentation.array == BLOOD_POOL).sum() for one in (found, moved))
    assert more_blood > blood
