"""An input function that would give a wrong flow is refused, and says why."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.analyses.perfusion.flow.inputfunction import InputFunction, input_function
from pipeline.phantom.flowcurves import arterial_course, drawn_bolus, fine_times
from tests.support.flows import known

SOUND = known(1.0, duration_s=50.0)
BEFORE = int((SOUND.times_s < 8.0).sum())


def checked(
    blood: NDArray[np.float64], times_s: NDArray[np.float64] = SOUND.times_s
) -> InputFunction | str:
    return input_function(times_s, blood, in_mmol_l=True)


def test_a_whole_first_pass_is_taken_and_ends_before_contrast_comes_round_again() -> None:
    found = checked(SOUND.blood)
    assert isinstance(found, InputFunction)
    assert found.blood[: found.arrival].mean() == pytest.approx(0.0, abs=0.02)
    assert found.times_s[found.arrival] == pytest.approx(8.8, abs=1.2)
    assert found.peak == SOUND.blood.argmax()
    assert 18 < found.times_s[found.end - 1] < 27
    assert found.step_s == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("blood", "reason"),
    [
        (SOUND.blood[BEFORE:], "no baseline: [012] samples before contrast arrives"),
        (np.minimum(SOUND.blood, 0.75 * SOUND.blood.max()), "clipped: the blood's peak is flat"),
        (SOUND.blood[: int(SOUND.blood.argmax()) + 2], "truncated: the series ends before"),
        (0.02 * SOUND.blood, r"the blood peaks at 0\.0994 mmol/l, possible are 0\.5 to 20"),
        (10.0 * SOUND.blood, "the blood peaks at .* mmol/l, possible"),
        (np.where(SOUND.blood > 4, np.nan, SOUND.blood), "samples of blood have no value"),
    ],
)
def test_each_fault_has_its_own_refusal(blood: NDArray[np.float64], reason: str) -> None:
    found = checked(blood, SOUND.times_s[: len(blood)])
    assert isinstance(found, str)
    assert re.search(reason, found), found


@pytest.mark.parametrize("step_s", [2.0, 3.0])
def test_coarse_sampling_is_refused(step_s: float) -> None:
    coarse = known(1.0, step_s=step_s, duration_s=50.0)
    found = checked(coarse.blood, coarse.times_s)
    assert isinstance(found, str)
    assert "sampled too coarsely" in found or "samples in the first pass" in found


def test_missed_beats_in_the_first_pass_are_refused() -> None:
    kept = np.ones(len(SOUND.times_s), dtype=bool)
    top = int(SOUND.blood.argmax())
    kept[top - 5 : top - 1] = False
    found = checked(SOUND.blood[kept], SOUND.times_s[kept])
    assert isinstance(found, str)
    assert "sampled too coarsely" in found


def test_a_signal_has_no_plausible_peak_to_keep_to() -> None:
    assert isinstance(
        input_function(SOUND.times_s, 400.0 * SOUND.blood, in_mmol_l=False), InputFunction
    )


def test_inputs_that_are_cut_off_are_told_from_whole_ones() -> None:
    rng = np.random.default_rng(11)
    fine = fine_times(50.0)
    taken = {1.0: 0, 0.8: 0, 0.7: 0}
    for _ in range(60):
        arterial = arterial_course(drawn_bolus(rng), fine)
        times = np.arange(rng.uniform(0.0, 0.5), 49.0, rng.uniform(0.5, 1.0))
        blood = np.interp(times, fine, arterial)
        noise = rng.normal(0.0, 0.015 * blood.max(), len(blood))
        for cut in taken:
            seen = np.minimum(blood, cut * blood.max()) + noise
            taken[cut] += isinstance(checked(seen, times), InputFunction)
    assert taken[1.0] >= 58
    assert taken[0.8] <= 9
    assert taken[0.7] <= 5
