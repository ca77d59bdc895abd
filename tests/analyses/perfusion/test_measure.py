"""Areas and upslopes against values known beforehand."""

import numpy as np
import pytest

from pipeline.analyses.perfusion.measure import mean_curve, measure, upslope
from pipeline.analyses.perfusion.result import (
    BLOOD_POOL,
    MYOCARDIUM,
    SliceResult,
    TimeIntensityCurves,
)
from pipeline.imaging.volume import Volume


def test_the_upslope_of_a_ramp_is_its_slope_whatever_the_time_step():
    times = np.arange(20) * 0.7
    curve = np.interp(times, [5.0, 9.0], [10.0, 90.0])
    assert upslope(curve, times) == pytest.approx(20.0, rel=1e-6)


def test_a_second_pass_after_the_peak_does_not_count():
    times = np.arange(12, dtype=np.float64)
    curve = np.array([0, 0, 10, 20, 30, 40, 30, 0, 0, 25, 38, 39], dtype=np.float64)
    assert upslope(curve, times) == pytest.approx(10.0)


def test_curves_that_are_empty_or_too_short_have_no_upslope():
    assert np.isnan(upslope(np.full(10, np.nan), np.arange(10.0)))
    assert np.isnan(upslope(np.zeros(3), np.arange(3.0)))
    assert np.isnan(mean_curve(np.ones((5, 4, 4), np.float32), np.zeros((4, 4), bool))).all()


def slice_result(index: int, chosen: str | None) -> SliceResult:
    return SliceResult(
        slice_index=index,
        chosen_member=chosen,
        members=(),
        u_pp=0.01 if chosen else float("inf"),
        heart_centre_lps_mm=(0.0, 0.0, 0.0),
        first_beat=0,
        peak_beat=0,
        peak_shift_mm=(0.0, 0.0),
        motion_mm=1.0,
        residual_motion_mm=0.5,
    )


@pytest.mark.parametrize(
    ("estimated", "unit"), [(False, "{intensity}/s"), (True, "{intensity}/{beat}")]
)
def test_measurements_carry_their_units_and_skip_slices_without_a_segmentation(
    estimated: bool, unit: str
):
    array = np.zeros((2, 10, 10), dtype=np.uint8)
    array[0, :2, :3] = MYOCARDIUM
    array[0, 5, :4] = BLOOD_POOL
    # Rows lie 2 mm apart, columns 1.5 mm: a swap would show only in a non-square pixel's spacing.
    affine = np.diag([8.0, 2.0, 1.5, 1.0])
    times = np.tile(np.arange(12.0)[:, None], (1, 2))
    curves = TimeIntensityCurves(times_s=times, myocardium=2 * times, blood_pool=8 * times)
    found = measure(
        Volume(array=array, affine=affine),
        (slice_result(0, "member_1"), slice_result(1, None)),
        curves,
        times_are_estimated=estimated,
    )
    values = {m.name: (m.value, m.unit) for m in found}
    assert {m.slice_index for m in found} == {0}
    assert values["myocardium_area_mm2"] == (pytest.approx(18.0), "mm2")
    assert values["blood_pool_area_mm2"] == (pytest.approx(12.0), "mm2")
    assert values["myocardium_upslope"] == (pytest.approx(2.0), unit)
    assert values["relative_upslope"] == (pytest.approx(0.25), "1")
    assert values["u_pp"] == (0.01, "1")
    assert values["motion_mm"] == (1.0, "mm")
    assert values["residual_motion_mm"] == (0.5, "mm")
