"""The window of the first pass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.analyses.perfusion.firstpass import (
    BEATS_AFTER_PEAK,
    BEATS_BEFORE_ARRIVAL,
    BEATS_BEFORE_PEAK,
    blood_curve,
    first_beat,
    normalise,
    passage,
    window,
)


def bolus(n_beats: int, arrival: int) -> NDArray[np.float64]:
    """Return a curve that rises over five beats from ``arrival`` and falls to a plateau."""
    since = np.arange(n_beats) - arrival
    return np.where(since < 0, 10.0, 10 + 90 * np.interp(since, [0, 5, 15], [0, 1, 0.4]))


@given(st.integers(40, 90), st.integers(0, 30))
@settings(max_examples=60, derandomize=True)
def test_the_window_starts_ten_beats_before_the_left_ventricle_fills(n_beats: int, arrival: int):
    first = first_beat(bolus(n_beats, arrival), 30)
    expected = int(np.clip(arrival - BEATS_BEFORE_ARRIVAL, 0, n_beats - 30))
    assert abs(first - expected) <= 2
    assert 0 <= first <= n_beats - 30


@given(st.integers(1, 90), st.integers(0, 60))
@settings(max_examples=60, derandomize=True)
def test_contrast_passes_around_the_peak_of_the_blood(n_beats: int, arrival: int):
    curve = bolus(n_beats, arrival)
    first = first_beat(curve, 30)
    beats = np.arange(n_beats)[passage(curve, first, 30)]
    peak = int(curve.argmax())
    assert peak in beats
    assert beats.min() >= max(first, peak - BEATS_BEFORE_PEAK)
    assert beats.max() <= peak + BEATS_AFTER_PEAK


def test_breathing_as_large_as_the_bolus_around_the_ventricle_does_not_move_the_window():
    beats, size = 70, 48
    frames = np.zeros((beats, size, size), dtype=np.float32)
    frames[:] = 100 + 100 * np.sin(np.arange(beats))[:, None, None]
    frames[:, 14:34, 14:34] = bolus(beats, 25)[:, None, None]
    assert abs(first_beat(blood_curve(frames, 2.0), 30) - 15) <= 2


@pytest.mark.parametrize("n_beats", [1, 2, 5, 12, 29])
def test_a_short_series_repeats_its_last_beat(n_beats: int):
    frames = np.arange(n_beats, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)
    first = first_beat(frames[:, 0, 0].astype(np.float64), 30)
    seen = window(frames, first, 30)
    assert first == 0
    assert seen.shape == (30, 4, 4)
    assert (seen[n_beats - 1 :] == n_beats - 1).all()


@given(st.floats(1e-5, 1e5))
@settings(max_examples=20, derandomize=True)
def test_the_scanner_s_units_do_not_matter(scale: float):
    frames = np.random.default_rng(0).random((30, 8, 8), dtype=np.float32)
    scaled = normalise((frames * np.float32(scale)).astype(np.float32))
    np.testing.assert_allclose(scaled, normalise(frames), rtol=1e-4)


def test_an_empty_image_stays_finite():
    assert np.isfinite(normalise(np.zeros((30, 8, 8), dtype=np.float32))).all()
