"""Concentrations from the signal of saturation recovery, against the forward equation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analyses.perfusion.concentration import (
    SaturationRecovery,
    concentration_of,
    relative_signal,
)

SEQUENCES = st.builds(
    SaturationRecovery,
    delay_s=st.floats(0.02, 0.25),
    repetition_time_s=st.floats(0.0015, 0.004),
    flip_angle_deg=st.floats(5.0, 40.0),
    n_before_centre=st.integers(0, 60),
    r1_0_per_s=st.floats(0.5, 1.2),
    relaxivity=st.floats(3.0, 6.0),
)

TYPICAL = SaturationRecovery(
    delay_s=0.1,
    repetition_time_s=0.0025,
    flip_angle_deg=12.0,
    n_before_centre=0,
    r1_0_per_s=0.7,
    relaxivity=4.5,
)


def pulse_by_pulse(concentration: float, sequence: SaturationRecovery) -> float:
    """Return the magnetisation before the pulse at the centre, by following each pulse."""
    rate = sequence.r1_0_per_s + sequence.relaxivity * concentration
    magnetisation = 1.0 - np.exp(-sequence.delay_s * rate)
    for _ in range(sequence.n_before_centre):
        turned = magnetisation * np.cos(np.deg2rad(sequence.flip_angle_deg))
        magnetisation = 1.0 - (1.0 - turned) * np.exp(-sequence.repetition_time_s * rate)
    return float(magnetisation)


@settings(deadline=None)
@given(sequence=SEQUENCES, concentration=st.floats(0.0, 10.0))
def test_the_equation_agrees_with_magnetisation_followed_pulse_by_pulse(
    sequence: SaturationRecovery, concentration: float
) -> None:
    """The closed form is the recursion of the pulses."""
    told = relative_signal(np.array(concentration), sequence)
    assert told == pytest.approx(pulse_by_pulse(concentration, sequence), rel=1e-9)


@settings(deadline=None)
@given(sequence=SEQUENCES, scale=st.floats(1e-3, 1e4), peak=st.floats(0.1, 8.0))
def test_the_concentration_that_made_a_signal_is_found_again(
    sequence: SaturationRecovery, scale: float, peak: float
) -> None:
    """Whatever the sequence and the scale of the scanner, as long as the signal tells it."""
    true = peak * np.linspace(0.0, 1.0, 12)
    signal = scale * relative_signal(true, sequence)
    found = concentration_of(signal, signal[0], sequence)
    # Close to whole recovery a digit of the signal is many of the concentration.
    tells = 1.0 - relative_signal(true, sequence) > 1e-6
    np.testing.assert_allclose(found[tells], true[tells], rtol=1e-6, atol=1e-7)


@settings(deadline=None)
@given(sequence=SEQUENCES, low=st.floats(0.05, 0.9), step=st.floats(1e-3, 0.1))
def test_a_stronger_signal_is_a_higher_concentration(
    sequence: SaturationRecovery, low: float, step: float
) -> None:
    """The conversion is monotone, and nothing but it."""
    whole = 1.0
    baseline = whole * float(relative_signal(np.array(0.0), sequence))
    first, second = concentration_of(np.array([low, low + step]), baseline, sequence)
    assert np.isnan(second) or second > first


def test_each_curve_may_have_a_baseline_of_its_own() -> None:
    """As the sensitivity of the coils differs from place to place."""
    true = np.linspace(0.0, 3.0, 8)[:, None]
    signal = np.array([1.0, 7.0]) * relative_signal(true, TYPICAL)
    found = concentration_of(signal, signal[0], TYPICAL)
    np.testing.assert_allclose(found, np.repeat(true, 2, axis=1), atol=1e-9)


def test_a_signal_that_the_sequence_cannot_give_is_no_concentration() -> None:
    """Clipped signals, and baselines that are none, are told as such."""
    baseline = float(relative_signal(np.array(0.0), TYPICAL))
    found = concentration_of(np.array([baseline, 1.0, 1.2, 0.0, -0.1]), baseline, TYPICAL)
    assert found[0] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(found[1:]).all()
    assert np.isnan(concentration_of(np.array([1.0]), 0.0, TYPICAL)).all()


def test_saturation_is_undone() -> None:
    """Twice the concentration is less than twice the signal, and twice again after conversion."""
    signal = relative_signal(np.array([0.0, 2.0, 4.0]), TYPICAL)
    assert (signal[2] - signal[0]) / (signal[1] - signal[0]) < 1.6
    found = concentration_of(signal, signal[0], TYPICAL)
    assert found[2] / found[1] == pytest.approx(2.0, rel=1e-9)


def test_the_read_out_counts() -> None:
    """A sequence whose pulses are not counted gives another concentration."""
    counted = replace(TYPICAL, n_before_centre=20, delay_s=0.05)
    signal = relative_signal(np.array([0.0, 3.0]), counted)
    without = concentration_of(signal, signal[0], replace(counted, n_before_centre=0))
    assert abs(without[1] - 3.0) > 0.05
