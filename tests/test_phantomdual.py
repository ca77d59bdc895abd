"""The dual sequence of the phantom: in its place, on time, and not clipped."""

import numpy as np
import pytest

from pipeline.analyses.perfusion.features import mean_curve
from pipeline.analyses.perfusion.result import BLOOD_POOL
from pipeline.phantom.pair import PerfusionPair, perfusion_pair
from tests.support.dualsequence import SMALL, small_dual


@pytest.fixture(scope="module")
def pair() -> PerfusionPair:
    return small_dual()


def test_low_resolution_shows_the_same_heart_in_the_same_place(pair: PerfusionPair) -> None:
    truth = pair.stress
    low = truth.arterial
    assert low is not None
    own, coarse = truth.still, low.still
    assert coarse.array.shape == (60, 1, 48, 48)
    there = np.linalg.inv(own.affine) @ coarse.affine @ (0.0, 10.0, 20.0, 1.0)
    np.testing.assert_allclose(there[:3], (0.0, 20.5, 40.5), atol=1e-6)
    np.testing.assert_array_less(low.image.times_s, truth.phantom.image.times_s)
    # Brightest where the blood is: the pool's middle, by the labels of the series.
    rows, columns = np.nonzero(truth.phantom.labels[0] == BLOOD_POOL)
    peak = coarse.array[low.blood.argmax(), 0]
    assert peak[int(rows.mean()) // 2, int(columns.mean()) // 2] > 0.8 * peak.max()


def test_a_dense_bolus_bends_the_series_and_not_the_low_resolution(pair: PerfusionPair) -> None:
    for truth in (pair.rest, pair.stress):
        low = truth.arterial
        assert low is not None
        pool = truth.phantom.labels[0] == BLOOD_POOL
        own = mean_curve(truth.still.array[:, 0], pool)
        coarse = mean_curve(low.still.array[:, 0], pool[::2, ::2] & pool[1::2, 1::2])
        half = int((low.blood >= 0.5 * low.blood.max()).argmax())
        bent, straight = (c[half] / c.max() for c in (own, coarse))
        share = low.blood[half] / low.blood.max()
        assert bent > share + 0.15
        assert straight < share + 0.12


def test_without_a_dual_sequence_a_study_has_the_same_bytes() -> None:
    plain, dual = perfusion_pair(3, SMALL, 60.0), small_dual(dose=1.0)
    assert plain.rest.arterial is None
    np.testing.assert_array_equal(plain.rest.phantom.image.array, dual.rest.phantom.image.array)
    again = small_dual(dose=1.0)
    assert dual.stress.arterial is not None
    assert again.stress.arterial is not None
    np.testing.assert_array_equal(
        dual.stress.arterial.image.array, again.stress.arterial.image.array
    )


def test_a_dose_multiplies_all_concentrations(pair: PerfusionPair) -> None:
    single = small_dual(dose=1.0).rest.arterial
    assert single is not None
    assert pair.rest.arterial is not None
    np.testing.assert_allclose(pair.rest.arterial.blood, 2.0 * single.blood)
    np.testing.assert_allclose(
        pair.rest.arterial.concentration.array, 2.0 * single.concentration.array, rtol=1e-5
    )
