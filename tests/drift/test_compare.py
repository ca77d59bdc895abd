"""The tests of a statistic: calibrated, the same each time, and corrected together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from pipeline.drift import compare
from pipeline.drift.compare import change_of_names, change_of_numbers, holm

Values = st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=30)
Ranks = st.lists(st.integers(-20, 20), min_size=5, max_size=30)
Names = st.lists(st.sampled_from("abcd"), min_size=5, max_size=30)


@given(first=Values, second=Values)
def test_numbers_are_compared_the_same_in_both_directions(
    first: list[float], second: list[float]
) -> None:
    found, other = change_of_numbers(first, second), change_of_numbers(second, first)
    if found is None:
        assert other is None
        assert len({*first, *second}) == 1
        return
    assert other is not None
    assert found.p == pytest.approx(other.p, rel=1e-6)
    assert found.effect == pytest.approx(other.effect)
    assert 0.0 <= found.p <= 1.0
    assert 0.0 <= found.effect <= 1.0


@given(first=Ranks, second=Ranks)
def test_only_the_order_of_numbers_counts(first: list[int], second: list[int]) -> None:
    found = change_of_numbers(list(map(float, first)), list(map(float, second)))
    grown = change_of_numbers([2.0**v for v in first], [2.0**v for v in second])
    assert found == grown


def test_numbers_apart_have_effect_one_and_the_same_sample_none() -> None:
    low, high = list(range(20)), list(range(100, 120))
    apart, same = change_of_numbers(low, high), change_of_numbers(low, low)
    assert apart is not None
    assert same is not None
    assert apart.effect == 1.0
    # The exact p-value of two samples of 20 that do not overlap: 2 / binomial(40, 20).
    assert apart.p == pytest.approx(2 / 137846528820, rel=1e-6)
    assert (same.effect, same.p) == (0.0, 1.0)


def test_too_few_values_are_not_compared() -> None:
    assert change_of_numbers([1.0] * 4, [2.0] * 30) is None
    assert change_of_names(["a"] * 4, ["b"] * 30) is None
    assert change_of_names(["a"] * 9, ["a"] * 30) is None


@given(first=Names, second=Names)
def test_names_are_compared_by_their_shares(first: list[str], second: list[str]) -> None:
    found = change_of_names(first, second)
    if found is None:
        assert len({*first, *second}) == 1
        return
    shares = [{n: names.count(n) / len(names) for n in "abcd"} for names in (first, second)]
    gaps = [max(0.0, shares[0][n] - shares[1][n]) for n in "abcd"]
    assert found.effect == pytest.approx(sum(gaps))
    assert found == change_of_names(first, second), "the same window gives the same p-value"


def test_simulated_p_values_are_those_of_the_exact_test() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        table = np.array([rng.multinomial(60, [0.7, 0.3]), rng.multinomial(20, [0.5, 0.5])])
        columns = table.sum(axis=0)
        if (columns > 0).all():
            possible = np.arange(min(20, columns[0]) + 1)
            probability = hypergeom(80, columns[0], 20).pmf(possible)
            middle = 20 * columns[0] / 80
            as_far = np.abs(possible - middle) >= abs(table[1, 0] - middle) - 1e-9
            exact = probability[as_far].sum()
            assert compare._simulated(table) == pytest.approx(exact, abs=0.02)


def test_tests_of_nothing_are_calibrated() -> None:
    """Of 2,000 samples of the same distribution, 5 % are told as changed at 5 %, or fewer."""
    rng = np.random.default_rng(1)
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    numbers, names = [], []
    for _ in range(2000):
        change = change_of_numbers(list(rng.normal(size=60)), list(rng.normal(size=20)))
        assert change is not None
        numbers.append(change.p)
    for _ in range(300):
        change = change_of_names(
            list(rng.choice(list("abcd"), 60, p=shares)),
            list(rng.choice(list("abcd"), 20, p=shares)),
        )
        assert change is not None
        names.append(change.p)
    assert 0.03 < np.mean(np.array(numbers) <= 0.05) < 0.065
    assert np.mean(np.array(names) <= 0.05) < 0.09


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_between_the_plain_value_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, corrected in zip(p_values, adjusted, strict=True):
        assert p <= corrected <= min(1.0, len(p_values) * p) or corrected == max(adjusted)
        assert corrected <= 1.0
    assert min(adjusted) == pytest.approx(min(1.0, len(p_values) * min(p_values)))
    order = np.argsort(p_values, kind="stable")
    assert all(np.diff(np.array(adjusted)[order]) >= 0)


def test_holm_is_as_published() -> None:
    # Holm 1979: step down, (n - i) times the i-th smallest, never decreasing.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_large_samples_are_compared_in_time() -> None:
    rng = np.random.default_rng(2)
    change = change_of_numbers(list(rng.normal(size=20_000)), list(rng.normal(0.1, size=5_000)))
    assert change is not None
    assert change.p < 1e-6
    assert change.effect < 0.1, "certain, and small: the effect says so"
