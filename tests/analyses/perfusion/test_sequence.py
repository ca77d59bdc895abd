"""What a header must state of a sequence, and what concentrations change."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.analyses.perfusion.concentration import relative_signal
from pipeline.analyses.perfusion.features import Baseline, baseline_of, upslope
from pipeline.analyses.perfusion.measure import relative
from pipeline.analyses.perfusion.sequence import ReadOut, concentrations, read_out_of

TIMES = np.arange(50) * 0.8


def header(**changed: object) -> Dataset:
    """Return the header of a saturation recovery series."""
    instance = Dataset()
    stated = {"InversionTime": 100.0, "ScanningSequence": "GR", "MagneticFieldStrength": 1.5}
    for keyword, value in {**stated, **changed}.items():
        if value is not None:
            setattr(instance, keyword, value)
    return instance


def known(**changed: object) -> ReadOut:
    """Return the sequence of a header, which must be known."""
    found = read_out_of(header(**changed))
    assert isinstance(found, ReadOut), found
    return found


def test_a_saturation_delay_and_a_field_are_enough() -> None:
    """Also where the field is in gauss."""
    found = known()
    assert found.blood.delay_s == pytest.approx(0.1)
    assert found.blood.r1_0_per_s < found.myocardium.r1_0_per_s
    assert known(MagneticFieldStrength=15000.0) == found
    assert known(MagneticFieldStrength=3.0) != found


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"InversionTime": None}, "no saturation delay as Inversion Time"),
        ({"InversionTime": 900.0}, "no saturation delay as Inversion Time"),
        ({"ScanningSequence": ["GR", "IR"]}, "inversion recovery"),
        ({"MagneticFieldStrength": 0.55}, "at 1.5 and 3 T only"),
        ({"MagneticFieldStrength": None}, "at 1.5 and 3 T only"),
    ],
)
def test_what_does_not_tell_the_sequence_is_left_as_signals(
    changed: dict[str, object], why: str
) -> None:
    """With the reason."""
    found = read_out_of(header(**changed))
    assert isinstance(found, str)
    assert why in found


def enhanced(**modifier: object) -> Dataset:
    """Return the header of an enhanced image whose frames share a preparation."""
    found, shared, stated = Dataset(), Dataset(), Dataset()
    found.MagneticFieldStrength = 1.5
    for keyword, value in {"InversionTimes": 100.0, **modifier}.items():
        setattr(stated, keyword, value)
    shared.MRModifierSequence = [stated]
    found.SharedFunctionalGroupsSequence = [shared]
    return found


def test_an_enhanced_image_states_its_delay_in_the_group_that_frames_share() -> None:
    found = read_out_of(enhanced(SaturationRecovery="YES", InversionRecovery="NO"))
    assert isinstance(found, ReadOut), found
    assert found.blood.delay_s == pytest.approx(0.1)
    inverted = read_out_of(enhanced(SaturationRecovery="NO", InversionRecovery="YES"))
    assert "inversion recovery" in str(inverted)


def test_a_delay_is_one_of_saturation_recovery_where_it_is_within_what_is_asked_for() -> None:
    assert "no saturation delay" in str(read_out_of(header(InversionTime=5.0)))
    assert isinstance(read_out_of(header(InversionTime=5.0), (0.002, 0.1)), ReadOut)
    assert "no saturation delay" in str(read_out_of(header(), (0.002, 0.05)))


def test_without_a_header_nothing_is_known() -> None:
    """As of a NIfTI file."""
    assert read_out_of(None) == "the source has no header"


def bolus(arrival_s: float, height: float) -> NDArray[np.float64]:
    """Return a concentration over time."""
    since = np.maximum(TIMES - arrival_s, 0.0) / 4.0
    return np.asarray(height * (since * np.exp(1.0 - since)) ** 3)


def test_the_ratio_of_concentrations_is_that_of_what_made_the_signals() -> None:
    """That of signals is too large: blood is saturated, the wall is not."""
    found = known()
    blood, wall = bolus(8.0, 5.0), bolus(9.6, 0.8)
    signals = (
        700.0 * relative_signal(wall, found.myocardium),
        900.0 * relative_signal(blood, found.blood),
    )
    before = baseline_of(signals[1], TIMES)
    ratios = dict(relative(*signals, TIMES, (before, found)))
    true = upslope(wall, TIMES) / upslope(blood, TIMES)
    assert ratios["relative_upslope_concentration"] == pytest.approx(true, rel=0.02)
    assert ratios["relative_upslope"] > 1.3 * true
    assert "relative_upslope_concentration" not in dict(relative(*signals, TIMES, (before, None)))


def test_clipped_signals_have_no_concentrations() -> None:
    """One beat that the sequence cannot give makes the curve none."""
    found, before = known(), Baseline(n_beats=5, arrival_s=8.0)
    signal = 900.0 * relative_signal(bolus(8.0, 5.0), found.blood)
    assert np.isfinite(concentrations(signal, before, found.blood)).all()
    signal[20] = 900.0
    assert np.isnan(concentrations(signal, before, found.blood)).all()
    assert np.isnan(concentrations(signal, None, found.blood)).all()
