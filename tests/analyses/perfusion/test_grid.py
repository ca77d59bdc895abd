"""The model's square lies where it says it does, for any pixel, centre and shift."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analyses.perfusion.grid import SliceGrid

SPACINGS = st.tuples(st.floats(0.8, 3.0), st.floats(0.8, 3.0))


@given(SPACINGS, st.floats(38, 58), st.floats(42, 78), st.floats(-12, 12), st.floats(-12, 12))
@settings(max_examples=50, derandomize=True, deadline=None)
def test_a_linear_ramp_is_sampled_exactly_at_the_square_s_points(
    spacing: tuple[float, float], row: float, column: float, down: float, right: float
):
    rows, columns = np.mgrid[:100, :120].astype(np.float32)
    grid = SliceGrid(centre=(row, column), pixel_spacing_mm=spacing, size=9, spacing_mm=1.5)
    shift = np.array([[down, right]])
    steps = (np.arange(9) - 4) * 1.5
    expected_rows = np.clip(row + (steps + down) / spacing[0], 0, 99)
    expected_columns = np.clip(column + (steps + right) / spacing[1], 0, 119)
    found_rows = grid.resample(rows[None], shift)[0]
    found_columns = grid.resample(columns[None], shift)[0]
    np.testing.assert_allclose(found_rows, np.tile(expected_rows[:, None], (1, 9)), atol=1e-3)
    np.testing.assert_allclose(found_columns, np.tile(expected_columns, (9, 1)), atol=1e-3)


@given(SPACINGS, st.floats(45, 55), st.floats(55, 65))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_what_goes_to_the_square_and_back_stays_in_place(
    spacing: tuple[float, float], row: float, column: float
):
    grid = SliceGrid(centre=(row, column), pixel_spacing_mm=spacing, size=64, spacing_mm=1.0)
    rows, columns = np.mgrid[:100, :120].astype(np.float32)
    distance = np.hypot((rows - row) * spacing[0], (columns - column) * spacing[1])
    blob = np.exp(-((distance / 8) ** 2)).astype(np.float32)
    back = grid.to_slice(grid.resample(blob[None], np.zeros((1, 2)))[0], (100, 120))
    inside = distance < 20
    np.testing.assert_allclose(back[inside], blob[inside], atol=0.1)
    for axis, ramp in enumerate((rows, columns)):
        moved = (ramp * back).sum() / back.sum() - (ramp * blob).sum() / blob.sum()
        assert abs(moved) * spacing[axis] < 0.05


def test_pixels_outside_the_square_take_the_outside_value():
    grid = SliceGrid(centre=(50.0, 50.0), pixel_spacing_mm=(1.0, 1.0), size=10, spacing_mm=1.0)
    on_slice = grid.to_slice(np.zeros((10, 10), dtype=np.float32), (100, 100), outside=1.0)
    assert on_slice[0, 0] == 1.0
    assert on_slice[50, 50] == 0.0
