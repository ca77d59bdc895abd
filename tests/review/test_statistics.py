"""What verdicts say: shares with limits, calibration, and thresholds whose risk holds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from pipeline.binomial import interval, least_trials, lower_limit, upper_limit
from pipeline.ledger.reviewstates import ReviewState
from pipeline.review.statistics import (
    THRESHOLDS,
    Judged,
    judged,
    largest_safe,
    least_readings,
    releases,
    scanner_of,
    summarise,
)
from tests.support.readings import ACCEPTED, BERT, REJECTED, Readings

RISK, CONFIDENCE = 0.05, 0.95


def result(number: int, state: ReviewState, uncertainty: float | None, **more: object) -> Judged:
    values = {
        "job_id": UUID(int=number),
        "analysis": "perfusion",
        "version": "pool 1.0",
        "scanner": "ACME One",
        "at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number),
        "state": state,
        "uncertainty": uncertainty,
        **more,
    }
    return Judged(**values)  # type: ignore[arg-type]


def results(right: Sequence[bool], uncertainties: Sequence[float]) -> list[Judged]:
    states = [ReviewState.ACCEPTED if r else ReviewState.EDITED for r in right]
    return [
        result(i, state, float(value))
        for i, (state, value) in enumerate(zip(states, uncertainties, strict=True))
    ]


@given(st.integers(1, 400), st.data(), st.floats(0.6, 0.999))
def test_limits_are_where_the_binomial_says(
    trials: int, data: st.DataObject, confidence: float
) -> None:
    events = data.draw(st.integers(0, trials - 1))
    limit = upper_limit(events, trials, confidence)
    assert binom.cdf(events, trials, limit) == pytest.approx(1 - confidence, rel=1e-6)
    low, high = interval(events, trials, confidence)
    assert low <= events / trials <= high
    assert lower_limit(trials - events, trials, confidence) == pytest.approx(1 - limit)


def test_limits_without_trials_say_nothing() -> None:
    assert interval(0, 0, 0.95) == (0.0, 1.0)
    assert upper_limit(3, 3, 0.95) == 1.0


@pytest.mark.parametrize("probability", [0.01, 0.05, 0.3])
def test_as_many_trials_as_are_needed_and_not_one_less(probability: float) -> None:
    needed = least_trials(probability, 0.95)
    assert upper_limit(0, needed, 0.95) <= probability < upper_limit(0, needed - 1, 0.95)


def test_shares_are_counted_by_version_scanner_and_week() -> None:
    found = [
        result(0, ReviewState.ACCEPTED, 0.1),
        result(1, ReviewState.EDITED, 0.2),
        result(2, ReviewState.REJECTED, 0.3, version="pool 2.0"),
        result(9, ReviewState.ACCEPTED, 0.4, scanner=None),
    ]
    summary = summarise(found)
    assert [(r.key, r.readings, r.accepted, r.edited, r.rejected) for r in summary.by_version] == [
        ("pool 1.0", 3, 2, 1, 0),
        ("pool 2.0", 1, 0, 0, 1),
    ]
    assert [(r.key, r.readings) for r in summary.by_scanner] == [("ACME One", 3)]
    assert [(r.key, r.readings) for r in summary.by_week] == [("2026-W01", 3), ("2026-W02", 1)]


def test_bins_hold_every_result_once_from_the_least_uncertain() -> None:
    rng = np.random.default_rng(1)
    found = results(rng.random(53) > 0.3, rng.random(53))
    bins = summarise(found).calibration
    assert sum(b.readings for b in bins) == 53
    assert sum(b.accepted for b in bins) == sum(e.state is ReviewState.ACCEPTED for e in found)
    edges = [edge for b in bins for edge in (b.low, b.high)]
    assert edges == sorted(edges)


def test_uncertainties_of_several_analyses_are_not_mixed() -> None:
    found = [
        result(0, ReviewState.ACCEPTED, 0.1),
        result(1, ReviewState.ACCEPTED, 0.9, analysis="phases"),
    ]
    summary = summarise(found)
    assert (summary.calibration, summary.release) == ((), ())
    assert summarise([]).release == ()
    assert releases([result(0, ReviewState.ACCEPTED, None)]) == ()


def test_a_threshold_releases_what_is_not_above_it() -> None:
    found = results([True] * 150 + [False] * 50, [0.001 * i for i in range(200)])
    rows = releases(found)
    assert len(rows) == THRESHOLDS
    for row in rows:
        released = [e for e in found if (e.uncertainty or 0.0) <= row.threshold]
        assert row.released == len(released)
        assert row.wrong == sum(e.state is not ReviewState.ACCEPTED for e in released)
    safe = largest_safe(rows, RISK)
    assert safe is not None
    assert (safe.released, safe.wrong) == (140, 0)


def test_too_few_readings_give_no_threshold() -> None:
    needed = least_readings(RISK, CONFIDENCE)
    few = results([True] * (needed - 1), np.linspace(0, 1, needed - 1).tolist())
    enough = results([True] * needed, np.linspace(0, 1, needed).tolist())
    assert largest_safe(releases(few, CONFIDENCE), RISK) is None
    assert largest_safe(releases(enough, CONFIDENCE), RISK) is not None


@pytest.mark.parametrize("slope", [0.0, 0.2, 0.6])
def test_the_risk_of_the_threshold_is_rarely_above_what_was_asked(slope: float) -> None:
    """Results of uncertainty u are wrong with the probability 0.02 + slope u^2."""
    rng = np.random.default_rng(7)
    trials, missed = 400, 0
    for _ in range(trials):
        uncertainty = rng.random(600)
        wrong = rng.random(600) < 0.02 + slope * uncertainty**2
        safe = largest_safe(releases(results(~wrong, uncertainty.tolist()), CONFIDENCE), RISK)
        if safe is not None:
            missed += 0.02 + slope * safe.threshold**2 / 3 > RISK
    assert missed / trials <= 1 - CONFIDENCE


def test_results_that_were_read_are_found_with_their_uncertainty(desk: Readings) -> None:
    desk.read_twice()
    desk.say(ACCEPTED)
    assert judged(desk.ledger) == ()
    desk.say(ACCEPTED, BERT)
    (found,) = judged(desk.ledger, "perfusion")
    outcome = desk.past.record.outcome or {}
    worst = max(s["u_pp"] for s in outcome["uncertainty"])  # type: ignore[attr-defined]
    assert (found.job_id, found.state) == (desk.job_id, ReviewState.ACCEPTED)
    assert found.uncertainty == worst
    assert found.version == desk.past.bundle
    assert judged(desk.ledger, "phases") == ()


def test_a_rejected_result_counts_as_one(desk: Readings) -> None:
    desk.say(REJECTED)
    (row,) = summarise(judged(desk.ledger)).by_version
    assert (row.readings, row.accepted, row.rejected) == (1, 0, 1)


def test_a_scanner_is_named_as_far_as_the_site_keeps_it() -> None:
    assert scanner_of({"manufacturer": "ACME", "model": "One", "protocol": "p"}) == "ACME One"
    assert scanner_of({"model": "One"}) == "One"
    assert scanner_of({}) is None


def test_the_order_of_results_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    found = results(rng.random(80) > 0.2, rng.random(80).round(1))
    shuffled = [found[i] for i in rng.permutation(80)]
    assert releases(found) == releases(shuffled)
    assert replace(summarise(found)) == summarise(shuffled)
