"""The filter against a sum over all paths; the decision; the prior against its counts."""

from itertools import product

import numpy as np
import pytest

from models.phases.counting import count_operations
from pipeline.analyses.phases.counts import ProcedureCounts
from pipeline.analyses.phases.filter import UNSEEN, FilterSettings, PhaseFilter
from pipeline.analyses.phases.prior import prior_forecast, rest_seconds
from pipeline.errors import BundleRejected

PHASES = (np.repeat([0, 1, 2], [4, 6, 2]), np.repeat([0, 2, 1], [8, 2, 10]))


@pytest.fixture(scope="module")
def counts() -> ProcedureCounts:
    return count_operations(PHASES, 3)


def transitions(counts: ProcedureCounts) -> np.ndarray:
    """Return the transition probabilities, written out: counted leaving, geometric staying."""
    table = np.zeros((3, 3))
    for phase in range(3):
        leave = 1 / np.mean(counts.durations_seconds[phase])
        weights = np.array([counts.transitions[phase, other] + UNSEEN for other in range(3)])
        weights[phase] = 0
        table[phase] = leave * weights / weights.sum()
        table[phase, phase] = 1 - leave
    return table


def test_the_belief_is_the_sum_over_all_paths(counts: ProcedureCounts) -> None:
    rng = np.random.default_rng(1)
    evidence = np.log(rng.dirichlet(np.ones(3), size=5))
    tried = PhaseFilter(counts, FilterSettings(temperature=2.0, switch_probability=0.5))
    state = tried.initial()
    for second in evidence:
        state = tried.step(state, second)
    start = (counts.starts + 0.5) / (counts.starts + 0.5).sum()
    table = transitions(counts)
    expected = np.zeros(3)
    for path in product(range(3), repeat=5):
        weight = start[path[0]]
        for second, phase in enumerate(path):
            weight *= np.exp(evidence[second, phase] / 2)
            if second:
                weight *= table[path[second - 1], phase]
        expected[path[-1]] += weight
    np.testing.assert_allclose(state.belief, expected / expected.sum(), rtol=1e-9)


def test_the_phase_changes_only_when_another_is_likely_enough(counts: ProcedureCounts) -> None:
    sure = PhaseFilter(counts, FilterSettings(temperature=1.0, switch_probability=0.95))
    state = sure.step(sure.initial(), np.log([0.9, 0.05, 0.05]))
    assert (state.column, state.elapsed) == (0, 1)
    seen = []
    for _ in range(10):
        state = sure.step(state, np.log([0.1, 0.8, 0.1]))
        seen.append((state.column, float(state.belief[1])))
    changes = [column for column, _ in seen]
    assert changes == sorted(changes)
    assert changes[0] == 0
    assert changes[-1] == 1
    assert all((column == 1) == (belief >= 0.95) for column, belief in seen)
    assert state.elapsed == changes.count(1)


def test_a_second_that_shows_nothing_changes_no_phase(counts: ProcedureCounts) -> None:
    tried = PhaseFilter(counts, FilterSettings(temperature=1.0, switch_probability=0.5))
    assert tried.wait(tried.initial()).column == -1
    state = tried.step(tried.initial(), np.log([0.9, 0.05, 0.05]))
    for _ in range(50):
        state = tried.wait(state)
    assert (state.column, state.elapsed) == (0, 1)
    np.testing.assert_allclose(state.belief.sum(), 1)
    assert state.belief[0] < 0.5


def test_counts_are_those_of_the_operations(counts: ProcedureCounts) -> None:
    assert counts.starts.tolist() == [2, 0, 0]
    assert counts.transitions.tolist() == [[0, 1, 1, 0], [0, 0, 1, 1], [0, 1, 0, 1]]
    assert [d.tolist() for d in counts.durations_seconds] == [[4, 8], [6, 10], [2, 2]]
    assert counts.following[0, 2].tolist() == [0, 0, 0, 2]
    assert counts.after_seconds.tolist() == [10, 1, 5]
    again = ProcedureCounts.from_json(counts.to_json(), 3)
    assert again.to_json() == counts.to_json()


def test_the_prior_is_what_followed_and_how_long_segments_lasted(counts: ProcedureCounts) -> None:
    told = prior_forecast(counts, 0, 5.0)
    assert told.next_probabilities[0, 0].tolist() == [0, 0.5, 0.5, 0]
    assert told.rest_seconds.tolist() == [3]
    assert told.remaining_seconds.tolist() == [13]
    assert rest_seconds(counts, 0, 2.0) == 4
    assert rest_seconds(counts, 0, 9.0) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": [1, 2]}, "starts is"),
        ({"transitions": [["a"]]}, "transitions is not of numbers"),
        ({"durations_seconds": [[1], [2], []]}, "durations_seconds is"),
        ({"durations_seconds": [[1], [2]]}, "not of 3 phases"),
        ({"after_seconds": [1, -1, 2]}, "after_seconds is"),
    ],
)
def test_counts_that_are_wrong_are_refused(
    counts: ProcedureCounts, change: dict[str, object], message: str
) -> None:
    with pytest.raises(BundleRejected, match=message):
        ProcedureCounts.from_json({**counts.to_json(), **change}, 3)


@pytest.mark.parametrize("value", [0, -1, "4", True, None])
def test_a_filter_without_numbers_is_refused(value: object) -> None:
    with pytest.raises(BundleRejected, match="filter temperature"):
        FilterSettings.from_json({"temperature": value, "switch_probability": 0.8})
