"""What curves tell, on gamma variates whose truth is known."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.analyses.perfusion.features import (
    AREA_S,
    Baseline,
    Features,
    baseline_of,
    features_of,
)

TIMES = np.arange(60) * 0.8
OF_INTENSITY = ("baseline", "noise", "peak_enhancement", "upslope", "area")


def gamma(arrival_s: float, shape: float = 3.0, scale_s: float = 1.5) -> NDArray[np.float64]:
    """Return a gamma variate of height one."""
    since = np.maximum(TIMES - arrival_s, 0.0) / (shape * scale_s)
    return np.asarray((since * np.exp(1.0 - since)) ** shape)


def told(curve: NDArray[np.float64], blood: NDArray[np.float64]) -> Features:
    """Return what a curve tells beside the blood of its slice."""
    return features_of(curve, TIMES, baseline_of(blood, TIMES))


def grained(seed: int, deviation: float) -> NDArray[np.float64]:
    """Return noise for a curve."""
    return np.random.default_rng(seed).normal(0.0, deviation, len(TIMES))


@settings(deadline=None)
@given(
    arrival_s=st.floats(5.0, 15.0),
    shape=st.floats(2.0, 4.0),
    scale=st.floats(1e-3, 1e4),
    seed=st.integers(0, 1000),
)
def test_another_scale_changes_intensities_by_it_and_nothing_else(
    arrival_s: float, shape: float, scale: float, seed: int
) -> None:
    """Whatever a scanner multiplies by, times and ratios stay."""
    curve = 50.0 + 400.0 * gamma(arrival_s, shape) + grained(seed, 2.0)
    one, other = asdict(told(curve, curve)), asdict(told(scale * curve, scale * curve))
    for name, value in one.items():
        factor = scale if name in OF_INTENSITY else 1.0
        assert other[name] == pytest.approx(factor * value, rel=1e-6), name


@settings(deadline=None)
@given(beats=st.integers(1, 12), shape=st.floats(2.0, 4.0))
def test_a_later_bolus_arrives_later_and_tells_the_same(beats: int, shape: float) -> None:
    """Arrival moves with the bolus; slope, height and the time to the peak do not."""
    early = 50.0 + 400.0 * gamma(6.0, shape)
    late = 50.0 + 400.0 * gamma(6.0 + 0.8 * beats, shape)
    first, second = asdict(told(early, early)), asdict(told(late, late))
    later_s = second["arrival_time"] - first["arrival_time"]
    # The first trace of contrast is in the last beat of the baseline, shared among more of them.
    assert later_s == pytest.approx(0.8 * beats, abs=0.01)
    for name in ("baseline", "peak_enhancement", "upslope", "time_to_peak", "contrast_ratio"):
        assert second[name] == pytest.approx(first[name], rel=2e-3), name


@settings(deadline=None)
@given(
    arrival_s=st.floats(6.0, 15.0),
    shape=st.floats(2.0, 4.0),
    scale_s=st.floats(0.8, 2.0),
    seed=st.integers(0, 10_000),
)
def test_noise_moves_the_numbers_little(
    arrival_s: float, shape: float, scale_s: float, seed: int
) -> None:
    """At a contrast to noise of 50 what is told stays near what the curve alone tells."""
    clean = 50.0 + 400.0 * gamma(arrival_s, shape, scale_s)
    noisy = clean + grained(seed, 8.0)
    one, other = told(clean, clean), told(noisy, noisy)
    assert other.baseline == pytest.approx(50.0, abs=5 * 8.0 / np.sqrt(3))
    assert other.arrival_time == pytest.approx(one.arrival_time, abs=1.0)
    assert other.peak_enhancement == pytest.approx(one.peak_enhancement, rel=0.15)
    assert other.upslope == pytest.approx(one.upslope, rel=0.25)
    assert other.area == pytest.approx(one.area, rel=0.2)


def test_noise_is_that_before_contrast() -> None:
    """Over many beats the spread that is told is that of the noise."""
    found = [
        told(curve, curve).noise
        for seed in range(40)
        if (curve := 50.0 + 400.0 * gamma(16.0) + grained(seed, 8.0)) is not None
    ]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(8.0, rel=0.1)


def test_the_arrival_is_where_the_line_leaves_the_baseline() -> None:
    """Of a ramp it is where the ramp begins."""
    curve = np.interp(TIMES, [8.0, 16.0, 40.0], [10.0, 90.0, 20.0])
    found = told(curve, curve)
    assert found.baseline == pytest.approx(10.0)
    assert found.arrival_time == pytest.approx(8.0)
    assert found.time_to_peak == pytest.approx(8.0)
    assert found.peak_enhancement == pytest.approx(80.0)
    assert found.upslope == pytest.approx(10.0)
    assert found.contrast_ratio == pytest.approx(8.0)
    assert found.noise == pytest.approx(0.0, abs=1e-9)
    # Eight seconds of rising to 80, then twelve of falling along the line to 10 at 40 s.
    assert found.area == pytest.approx(0.5 * 8 * 80 + 12 * (80 - 0.5 * 12 * 70 / 24), rel=0.01)


def test_the_baseline_of_the_wall_ends_when_contrast_is_in_the_blood() -> None:
    """A wall that hardly brightens is measured above the same beats as its blood."""
    blood = 40.0 + 500.0 * gamma(8.0)
    wall = 30.0 + 40.0 * gamma(10.0, scale_s=2.5)
    found = told(wall, blood)
    before = baseline_of(blood, TIMES)
    assert isinstance(before, Baseline)
    assert found.baseline == pytest.approx(30.0)
    assert before.arrival_s < float(found.arrival_time or 0.0)


@pytest.mark.parametrize("arrival_s", [-5.0, 0.0, 1.0])
def test_a_series_that_begins_with_contrast_has_no_baseline(arrival_s: float) -> None:
    """What is measured above a baseline is then not told; the slope is."""
    curve = 50.0 + 400.0 * gamma(arrival_s)
    found = asdict(told(curve, curve))
    assert found.pop("upslope") is not None
    assert set(found.values()) == {None}


def test_a_series_that_ends_early_has_no_area() -> None:
    """The window is the same for all, or there is no number."""
    curve = 50.0 + 400.0 * gamma(8.0)
    short = TIMES[TIMES < 8.0 + 0.9 * AREA_S]
    found = features_of(curve[: len(short)], short, baseline_of(curve, TIMES))
    assert found.area is None
    assert found.peak_enhancement is not None


def test_a_curve_that_is_none_tells_nothing() -> None:
    """An empty blood pool, or a curve of three beats."""
    blood = 50.0 + 400.0 * gamma(8.0)
    assert set(asdict(told(np.full(len(TIMES), np.nan), blood)).values()) == {None}
    assert baseline_of(np.full(len(TIMES), np.nan), TIMES) is None
    assert baseline_of(blood[:3], TIMES[:3]) is None
    assert baseline_of(np.linspace(9.0, 1.0, len(TIMES)), TIMES) is None
