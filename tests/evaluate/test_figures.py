"""Tests and warnings of an evaluation, against other implementations."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from pipeline.analyses.perfusion.networks import open_pool
from pipeline.errors import UnusableCall
from pipeline.evaluate.calibrate import calibrate_on, told, with_threshold
from pipeline.evaluate.cohort import Evaluation, SeriesRow
from pipeline.evaluate.paired import paired, signed_rank_p
from pipeline.evaluate.report import write_report
from pipeline.evaluate.table import table
from pipeline.evaluate.warning import auroc, let_through, warned
from pipeline.infer.bundle import load_bundle
from tests.evaluate.test_perfusion import row
from tests.support.runs import FAST
from tests.support.trust import trust_model


@settings(deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_the_signed_ranks_count_every_choice_of_signs(values: list[int]) -> None:
    differences = np.array(values, dtype=float)
    kept = differences[differences != 0]
    found = signed_rank_p(differences)
    if not len(kept):
        assert found is None
        return
    order = np.abs(kept)
    ranks = np.array([(order < v).sum() + ((order == v).sum() + 1) / 2 for v in order])
    own = ranks[kept > 0].sum()
    extreme = min(own, ranks.sum() - own)
    sums = [ranks[np.array(signs)].sum() for signs in product([False, True], repeat=len(kept))]
    assert found == pytest.approx(min(1.0, 2 * np.mean([s <= extreme for s in sums])))


def test_without_ties_it_is_scipys_exact_test() -> None:
    values = np.random.default_rng(2).normal(0.4, 1, 20)
    assert signed_rank_p(values) == pytest.approx(wilcoxon(values, method="exact").pvalue)


def test_series_of_a_patient_count_once() -> None:
    chosen, other = [0.9, 0.8, 0.5, 0.7], [0.7, 0.8, 0.7, 0.5]
    found = paired("other", (chosen, other), ["a", "a", "b", "c"], 0.6)
    assert (found.n_patients, found.n_differ) == (3, 3)
    assert found.mean_difference == pytest.approx((0.1 - 0.2 + 0.2) / 3)
    assert (found.only_chosen_failed, found.only_other_failed, found.p_failed) == (1, 1, 1.0)
    alike = paired("other", (chosen, chosen), ["a", "a", "b", "c"], 0.6)
    assert (alike.n_differ, alike.p_dice, alike.p_failed) == (0, None, None)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.2, 0.5, float("inf")]), st.booleans()),
        min_size=1,
        max_size=20,
    )
)
def test_the_area_counts_pairs_and_the_risk_what_goes_through(
    cases: list[tuple[float, bool]],
) -> None:
    values, failed = np.array([v for v, _ in cases]), np.array([f for _, f in cases])
    pairs = [
        0.5 if bad == good else float(bad > good)
        for bad in values[failed]
        for good in values[~failed]
    ]
    area = auroc(values, failed)
    assert area == (pytest.approx(np.mean(pairs)) if pairs else None)
    coverage, risks = let_through(values, failed)
    assert coverage[-1] == 1.0
    assert risks[-1] == pytest.approx(failed.mean())
    for threshold, share, risk in zip(sorted(set(values)), coverage, risks, strict=True):
        within = values <= threshold
        assert share == pytest.approx(within.mean())
        assert risk == pytest.approx(failed[within].mean())


def test_limits_do_not_shrink_with_copies_of_a_patients_series() -> None:
    rng = np.random.default_rng(3)
    failed = rng.uniform(size=30) < 0.4
    values = failed + rng.normal(0, 1, 30)
    names = [str(i) for i in range(30)]
    once = warned("s", list(values), list(failed), names).auroc_limits
    copied = warned("s", list(values) * 5, list(failed) * 5, names * 5).auroc_limits
    assert once is not None
    assert copied == pytest.approx(once, abs=0.03)


def evaluation(n_patients: int = 30, n_failed: int = 0) -> Evaluation:
    """Return made-up series, two a patient; those that fail have the highest scores."""
    rows = []
    for number in range(n_patients):
        bad = number >= n_patients - n_failed
        for part in ("rest", "stress"):
            rows.append(
                replace(
                    row(f"patient{number}_{part}", 0.3 if bad else 0.9, flagged=bad),
                    failure_probability=number / n_patients,
                    verdict="review",
                )
            )
    return Evaluation(rows=tuple(rows), not_judged={}, flag_u_pp=0.1)


def test_the_table_has_every_way_and_their_tests() -> None:
    found = evaluation(n_failed=3)
    assert [w.way for w in found.ways()] == [
        *("chosen", "member_1", "member_2", "average of the pool", "best member")
    ]
    assert [t.against for t in found.tests()] == ["member_1", "member_2", "average of the pool"]
    assert [w.score for w in found.warnings()] == ["trust", "u_pp"]
    text = table(found)
    for part in ("6 of 60 (10.0%)", "trust: AUROC for failure 1.000", "patient29_rest"):
        assert part in text
    assert found.summary()["verdicts"] == {"review": {"series": 60, "failed": 6}}


def test_without_a_calibration_u_pp_stands_alone() -> None:
    found = evaluation()
    rows: tuple[SeriesRow, ...] = tuple(replace(r, failure_probability=None) for r in found.rows)
    assert [w.score for w in replace(found, rows=rows).warnings()] == ["u_pp"]
    assert "u_pp: 0 of 60 failed, no AUROC" in table(replace(found, rows=rows))


def test_the_report_has_its_figures_and_its_numbers(tmp_path: Path) -> None:
    names = write_report({"home": evaluation(n_failed=3), "abroad": evaluation(4)}, tmp_path)
    for name in names:
        assert (tmp_path / name).stat().st_size > 1000
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert set(found["cohorts"]) == {"home", "abroad"}
    assert len(found["cohorts"]["home"]["warnings"][0]["coverage"]) == 30
    again = tmp_path / "again"
    write_report({"home": evaluation(n_failed=3), "abroad": evaluation(4)}, again)
    for name in names:
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_site_finds_its_threshold_by_patients() -> None:
    goal = (0.1, 0.9)
    model = with_threshold(trust_model(), evaluation(100, 5), 4, goal)
    assert model.trusted_up_to is not None
    assert model.trusted_up_to < 0.95
    assert model.guarantee is not None
    assert (model.guarantee.n_cases, model.uncertainty_stride) == (100, 4)
    assert model.guarantee.upper_limit <= 0.1
    assert model.doubts == trust_model().doubts
    assert "of 100 patients" in told(model, goal)
    few = with_threshold(trust_model(), evaluation(20), 4, goal)
    assert (few.trusted_up_to, few.guarantee) == (None, None)
    assert "it takes 44 trusted patients" in told(few, goal)


def test_a_calibration_needs_weights_and_a_possible_goal(tiny_bundle: Path, tmp_path: Path) -> None:
    pool = open_pool(load_bundle(tiny_bundle))
    calibrated = replace(pool, trust=trust_model(pool.digest))
    with pytest.raises(UnusableCall, match="no calibration of trust"):
        calibrate_on((tmp_path, tmp_path), (pool, FAST), (0.1, 0.9))
    with pytest.raises(UnusableCall, match="between 0 and 1"):
        calibrate_on((tmp_path, tmp_path), (calibrated, FAST), (0.0, 0.9))
