"""Bland and Altman's figures, against their definition and against simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compare.blandaltman import agreement

VALUES = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))


def test_the_example_of_the_definition() -> None:
    found = agreement([10.0, 20.0, 30.0, 40.0], [11.0, 22.0, 31.0, 44.0])
    assert found is not None
    assert (found.studies, found.mean, found.bias) == (4, 25.0, 2.0)
    deviation = 2**0.5
    assert found.limits == pytest.approx((2 - 1.96 * deviation, 2 + 1.96 * deviation))
    # t of 3 degrees of freedom at 97.5 % is 3.18245.
    reach = 3.18245 * deviation / 2
    assert found.bias_interval == pytest.approx((2 - reach, 2 + reach), abs=1e-4)
    assert found.relative_bias == pytest.approx(0.08)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=20), VALUES)
def test_a_shift_is_found_as_bias_and_the_order_does_not_matter(
    pairs: list[tuple[float, float]], shift: float
) -> None:
    a, b = np.array(pairs).T
    plain, shifted = agreement(a, b), agreement(a[::-1], b[::-1] + shift)
    assert plain is not None
    assert shifted is not None
    assert shifted.bias == pytest.approx(plain.bias + shift, abs=1e-6)
    width = plain.limits[1] - plain.limits[0]
    assert shifted.limits[1] - shifted.limits[0] == pytest.approx(width, abs=1e-6)
    assert plain.lower_interval[0] <= plain.limits[0] <= plain.lower_interval[1]
    assert plain.bias_interval[0] <= plain.bias <= plain.bias_interval[1]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    held = np.zeros(3)
    for _ in range(1000):
        found = agreement(np.zeros(30), rng.normal(1.0, 2.0, 30))
        assert found is not None
        truths = (1.0, 1.0 - 1.96 * 2.0, 1.0 + 1.96 * 2.0)
        intervals = (found.bias_interval, found.lower_interval, found.upper_interval)
        held += [low <= t <= high for t, (low, high) in zip(truths, intervals, strict=True)]
    assert (held > 925).all()
    assert (held < 975).all()


def test_one_pair_shows_nothing_and_a_bias_over_nothing_is_infinite() -> None:
    assert agreement([1.0], [2.0]) is None
    found = agreement([0.0, 0.0], [1.0, 1.0])
    assert found is not None
    assert found.relative_bias == float("inf")
    with pytest.raises(ValueError, match="2 values of the first, 1 of the second"):
        agreement([1.0, 2.0], [1.0])
