"""A pool that stops once it is sure, and what a slice may be segmented by."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.pool import MemberMaps, choose, combined, members_needed
from pipeline.analyses.perfusion.result import MemberScore
from pipeline.analyses.perfusion.settings import SEGMENTATIONS
from pipeline.infer.bundle import load_bundle
from pipeline.phantom import Phantom
from pipeline.study import InputSeries
from tests.support.plainseries import plain_series
from tests.support.runs import FAST


@pytest.fixture(scope="module")
def pool(tiny_bundle: Path) -> Pool:
    return open_pool(load_bundle(tiny_bundle))


@pytest.fixture(scope="module")
def series(phantom: Phantom) -> InputSeries:
    return plain_series(phantom.image)


def member(u_pp: float, *, plausible: bool = True) -> MemberScore:
    """Return a score."""
    reason = None if plausible else "area out of range"
    return MemberScore(member="m", u_pp=u_pp, myocardium_area_mm2=1.0, implausible=reason)


SCORES = st.lists(st.builds(member, st.floats(0.0, 1.0), plausible=st.booleans()), max_size=8)


@settings(deadline=None)
@given(scores=SCORES, stop=st.floats(0.0, 1.0), more=SCORES)
def test_what_is_enough_stays_enough_whatever_runs_besides(
    scores: list[MemberScore], stop: float, more: list[MemberScore]
) -> None:
    needed = members_needed(scores, stop)
    if needed is None:
        assert not any(s.implausible is None and s.u_pp < stop for s in scores) or len(scores) < 2
        return
    assert needed >= 2
    assert members_needed([*scores, *more], stop) == needed
    assert members_needed(scores[: needed - 1], stop) is None
    chosen = choose(scores[:needed])
    assert chosen is not None
    assert scores[chosen].u_pp < stop


def maps(value: float, uncertainty: NDArray[np.float32]) -> MemberMaps:
    """Return maps of one probability."""
    return MemberMaps(
        probabilities=np.full((3, 2, 2), value, dtype=np.float32), uncertainty=uncertainty
    )


def test_blends_and_choices_by_pixel_leave_out_the_implausible() -> None:
    low, high = np.zeros((2, 2), dtype=np.float32), np.ones((2, 2), dtype=np.float32)
    left = np.array([[0.0, 1.0], [0.0, 1.0]], dtype=np.float32)
    members = (maps(0.1, left), maps(0.5, 0.5 * high), maps(0.9, low), maps(0.2, high))
    scores = [member(0.2), member(0.1), member(0.01, plausible=False), member(0.4)]
    chosen = combined(members, scores, "chosen")
    blend = combined(members, scores, "blend")
    by_pixel = combined(members, scores, "per-pixel")
    assert chosen is members[1]
    assert blend is not None
    np.testing.assert_allclose(blend.probabilities, 0.3)
    np.testing.assert_allclose(blend.uncertainty, [[0.25, 0.75]] * 2)
    assert by_pixel is not None
    np.testing.assert_allclose(by_pixel.probabilities[0], [[0.1, 0.5]] * 2)
    np.testing.assert_allclose(by_pixel.uncertainty, [[0.0, 0.5]] * 2)
    for way in SEGMENTATIONS:
        assert combined(members[2:3], scores[2:3], way) is None


def test_a_sure_pool_stops_and_gives_the_same_bits_on_any_number_of_cores(
    pool: Pool, series: InputSeries
) -> None:
    settings = replace(FAST, stop_below_u_pp=1e9)
    found = [analyse(series, replace(pool, workers=n), settings) for n in (1, 2, 3)]
    assert {len(s.members) for one in found for s in one.slices} == {2}
    for one in found[1:]:
        np.testing.assert_array_equal(one.segmentation.array, found[0].segmentation.array)
        np.testing.assert_array_equal(one.uncertainty.array, found[0].uncertainty.array)
        assert one.slices == found[0].slices
        assert one.trust == found[0].trust
    evidence = found[0].evidence
    assert evidence is not None
    assert evidence.members == pool.names
    assert not evidence.labels[2].any()
    assert evidence.labels[0].any()
    assert np.isnan(evidence.myocardium[2]).all()


def test_a_pool_that_is_never_sure_runs_whole(pool: Pool, series: InputSeries) -> None:
    whole = analyse(series, pool, FAST)
    found = analyse(series, pool, replace(FAST, stop_below_u_pp=1e-12))
    assert [s.members for s in found.slices] == [s.members for s in whole.slices]
    np.testing.assert_array_equal(found.segmentation.array, whole.segmentation.array)


@pytest.mark.parametrize("way", ["blend", "per-pixel"])
def test_other_ways_to_segment_choose_the_same_member(
    pool: Pool, series: InputSeries, way: str
) -> None:
    whole, found = (
        analyse(series, pool, FAST),
        analyse(series, pool, replace(FAST, segmentation=way)),
    )
    assert [s.chosen_member for s in found.slices] == [s.chosen_member for s in whole.slices]
    assert (found.segmentation.array > 0).any()
    assert (found.uncertainty.array != whole.uncertainty.array).any()
