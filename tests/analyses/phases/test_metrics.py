"""Every figure against a case that is worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyses.phases.metrics import (
    accuracy,
    edit_score,
    next_columns,
    over_segmentation,
    overlap,
    relaxed_truth,
    segment_f1,
)
from pipeline.analyses.phases.runs import Columns, Run, runs_of
from pipeline.analyses.phases.scores import Prediction, Truth, score


def columns(text: str) -> Columns:
    """Return columns from digits; ``-`` shows no phase."""
    return np.array([-1 if c == "-" else int(c) for c in text])


def test_runs_are_the_stretches_of_equal_values() -> None:
    assert runs_of(columns("0011-2")) == (
        Run(value=0, start=0, end=2),
        Run(value=1, start=2, end=4),
        Run(value=-1, start=4, end=5),
        Run(value=2, start=5, end=6),
    )
    assert runs_of(columns("")) == ()


def test_accuracy_is_the_share_of_right_seconds_and_no_phase_is_wrong() -> None:
    assert accuracy(columns("0011"), columns("0111")) == 75
    assert accuracy(columns("0-11"), columns("0011")) == 75


def test_either_side_of_a_transition_is_right_within_the_allowance() -> None:
    truth = columns("0" * 20 + "1" * 20)
    early = columns("0" * 10 + "1" * 30)
    late = columns("0" * 30 + "1" * 10)
    far = columns("0" * 9 + "1" * 31)
    other = columns("0" * 18 + "2" * 4 + "1" * 18)
    shares = [accuracy(f, relaxed_truth(f, truth)) for f in (early, late, far, other)]
    assert shares == [100, 100, 97.5, 90]
    assert (truth == columns("0" * 20 + "1" * 20)).all()


def test_precision_recall_and_jaccard_leave_out_phases_that_are_not_labelled() -> None:
    truth = [columns("00001111"), columns("00000000")]
    found = [columns("00000011"), columns("00000022")]
    # Phase 0: precision 4/6 and 1, recall 1 and 6/8; phase 1 in the first alone: 1 and 1/2.
    told = overlap(found, truth)
    assert told.precision == pytest.approx(100 * ((4 / 6 + 1) / 2 + 1) / 2)
    assert told.recall == pytest.approx(100 * ((1 + 6 / 8) / 2 + 1 / 2) / 2)
    assert told.jaccard == pytest.approx(100 * ((4 / 6 + 6 / 8) / 2 + 1 / 2) / 2)


def test_a_phase_that_is_never_predicted_has_no_precision() -> None:
    assert overlap([columns("0000")], [columns("0011")]).precision == pytest.approx(25)


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        ("000111222", "011122222", 100),
        ("000101222", "000111222", 60),  # 01012 to 012: two edits of five
        ("222111000", "000111222", 100 / 3),
        ("0", "0123", 25),
    ],
)
def test_edit_compares_orders_and_not_lengths(found: str, truth: str, expected: float) -> None:
    assert edit_score(columns(found), columns(truth)) == pytest.approx(expected)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.data())
def test_edit_is_symmetric_and_full_only_for_the_same_order(
    first: list[int], data: st.DataObject
) -> None:
    second = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=12))
    one, other = np.array(first), np.array(second)
    assert edit_score(one, other) == pytest.approx(edit_score(other, one))
    same = [r.value for r in runs_of(one)] == [r.value for r in runs_of(other)]
    assert (edit_score(one, other) == 100) == same
    assert 0 <= edit_score(one, other) <= 100


def test_f1_finds_each_labelled_segment_once_at_its_overlap() -> None:
    truth = [columns("0000011111")]
    # Segments 0 (IoU 4/5), 1 (1/5), 0, 1 (4/5): of four predicted, two are found.
    found = [columns("0000101111")]
    assert segment_f1(found, truth, 0.5) == pytest.approx(100 * 2 * 2 / (4 + 2))
    assert segment_f1(found, truth, 0.1) == pytest.approx(100 * 2 * 2 / (4 + 2))
    shifted = [columns("0011111111")]  # IoU 2/5 and 5/8
    assert segment_f1(shifted, truth, 0.25) == 100
    assert segment_f1(shifted, truth, 0.50) == 50
    assert segment_f1([columns("2222222222")], truth, 0.1) == 0


def test_f1_pools_the_segments_of_all_videos() -> None:
    truth = [columns("01"), columns("0")]
    found = [columns("01"), columns("1")]
    assert segment_f1(found, truth, 0.5) == pytest.approx(100 * 2 * 2 / (3 + 3))


def test_over_segmentation_counts_predicted_over_labelled_segments() -> None:
    assert over_segmentation(columns("010101"), columns("000111")) == 3


def test_after_the_last_segment_comes_the_end_and_stays() -> None:
    coming = next_columns(columns("0012"), 3, end=7)
    assert coming.tolist() == [[1, 2, 7], [1, 2, 7], [2, 7, 7], [7, 7, 7]]


def test_scores_put_together_what_the_figures_say() -> None:
    truth = Truth(seconds=np.arange(6), phase=columns("001122"))
    following = next_columns(truth.phase, 4, end=7)
    following[0, 0] = 5
    found = Prediction(
        phase=columns("001112"),
        following=following,
        remaining_seconds=np.array([6, 5, 4, 3, 2, 4.0]),
    )
    told = score([found], [truth], 7)
    assert told.accuracy == pytest.approx(100 * 5 / 6)
    assert told.accuracy_relaxed_10s == 100
    assert told.next_phase_accuracy == pytest.approx((100 * 5 / 6, 100, 100, 100))
    assert told.remaining_time_mae_s == pytest.approx(0.5)
    assert (told.edit, told.over_segmentation, told.f1_50) == (100, 1, 100)
