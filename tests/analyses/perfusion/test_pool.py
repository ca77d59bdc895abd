"""DAUGS: the sweep against its definition, and the three traps of the released code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.analyses.perfusion.pool import MemberMaps, Moments, choose, score, sweep
from pipeline.analyses.perfusion.result import MYOCARDIUM, MemberScore
from pipeline.analyses.perfusion.settings import ModelGrid, PerfusionSettings

GRID = ModelGrid(
    grid_size=96,
    grid_spacing_mm=2.0,
    patch_size=64,
    n_beats=30,
    segmentation_stride=16,
    edge_before=5,
    edge_after=1,
)
SETTINGS = PerfusionSettings()


def patch_dependent(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Answer as a network does that sees the whole patch, so that overlapping patches disagree."""
    local = patches.mean(axis=1)
    whole = local - local.mean(axis=(1, 2), keepdims=True)
    logits = np.stack([np.zeros_like(whole), 3 * whole, -2 * whole], axis=1)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def random_beats(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((30, 96, 96), dtype=np.float32)


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_one_sweep_gives_what_two_passes_over_stored_maps_give(stride: int):
    """The definition, spelt out: keep every patch's map, then take mean and deviation."""
    beats = random_beats(1)
    stored = np.full((((96 - 64) // stride + 1) ** 2, 96, 96), np.nan)
    coarse = np.full((9, 3, 96, 96), np.nan)
    n_coarse = 0
    for i, (row, column) in enumerate(
        (r, c) for r in range(0, 33, stride) for c in range(0, 33, stride)
    ):
        found = patch_dependent(beats[None, :, row : row + 64, column : column + 64])[0]
        stored[i, row + 5 : row + 63, column + 5 : column + 63] = found[MYOCARDIUM, 5:63, 5:63]
        if row % 16 == 0 and column % 16 == 0:
            coarse[n_coarse, :, row : row + 64, column : column + 64] = found
            n_coarse += 1
    covered = np.isfinite(stored).sum(axis=0) >= 2
    deviation = np.zeros((96, 96))
    deviation[covered] = np.nanstd(stored[:, covered], axis=0, ddof=1)

    maps = sweep(beats, patch_dependent, GRID, stride)

    assert n_coarse == 9
    np.testing.assert_allclose(maps.uncertainty, deviation, atol=1e-6)
    np.testing.assert_allclose(maps.probabilities, np.nanmean(coarse, axis=0), atol=1e-6)


def test_the_segmentation_does_not_depend_on_the_uncertainty_stride():
    beats = random_beats(2)
    fine, coarse = (sweep(beats, patch_dependent, GRID, stride) for stride in (2, 8))
    np.testing.assert_array_equal(fine.probabilities, coarse.probabilities)


def test_border_points_that_no_inner_patch_covers_are_zero_and_do_not_spread_nan():
    """The released code takes the deviation of nothing there, NaN, and then always the first."""
    maps = sweep(random_beats(3), patch_dependent, GRID, 2)
    assert np.isfinite(maps.uncertainty).all()
    assert (maps.uncertainty[:5] == 0).all()
    assert (maps.uncertainty[-1] == 0).all()
    assert np.isfinite(score("m", maps, GRID, SETTINGS).u_pp)


def maps_with(area_points: int, uncertainty: float) -> MemberMaps:
    """Return maps with a compact myocardium of so many points and one level of uncertainty."""
    probabilities = np.zeros((3, 96, 96), dtype=np.float32)
    probabilities[0] = 0.5
    probabilities[MYOCARDIUM].flat[:area_points] = 0.9
    return MemberMaps(
        probabilities=probabilities, uncertainty=np.full((96, 96), uncertainty, dtype=np.float32)
    )


def test_u_pp_is_the_energy_of_the_map_for_each_myocardial_point():
    found = score("m", maps_with(400, 0.1), GRID, SETTINGS)
    assert found.u_pp == pytest.approx(96 * 96 * 0.01 / 400)
    assert found.myocardium_area_mm2 == 1600
    assert found.implausible is None


def test_an_empty_myocardium_is_infinitely_uncertain_and_not_chosen():
    """The released code divides by zero."""
    empty, good = (
        score("a", maps_with(0, 0.0), GRID, SETTINGS),
        score("b", maps_with(400, 0.3), GRID, SETTINGS),
    )
    assert empty.u_pp == float("inf")
    assert empty.implausible == "no myocardium"
    assert choose([empty, good]) == 1


def test_over_segmentation_lowers_u_pp_but_is_not_chosen():
    """The larger the denominator the smaller U_pp: the trap of the rule itself."""
    everything = score("a", maps_with(9000, 0.1), GRID, SETTINGS)
    good = score("b", maps_with(400, 0.1), GRID, SETTINGS)
    assert everything.u_pp < good.u_pp
    assert everything.implausible is not None
    assert "above 5000" in everything.implausible
    assert choose([everything, good]) == 1


def test_scattered_pieces_are_implausible():
    maps = maps_with(0, 0.1)
    maps.probabilities[MYOCARDIUM, 10:90:4, 10:90:4] = 0.9
    found = score("m", maps, GRID, SETTINGS)
    assert found.implausible is not None
    assert "in one piece" in found.implausible


def test_no_plausible_member_means_no_choice():
    assert choose([score("m", maps_with(n, 0.1), GRID, SETTINGS) for n in (0, 9000)]) is None


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=9), st.data())
@settings(max_examples=60, derandomize=True)
def test_the_choice_is_the_lowest_u_pp_among_the_plausible(u_pps: list[float], data: st.DataObject):
    plausible = data.draw(st.lists(st.booleans(), min_size=len(u_pps), max_size=len(u_pps)))
    scores = [
        MemberScore(
            member=str(i),
            u_pp=u,
            myocardium_area_mm2=1000.0,
            implausible=None if ok else "made so",
        )
        for i, (u, ok) in enumerate(zip(u_pps, plausible, strict=True))
    ]
    chosen = choose(scores)
    if chosen is None:
        assert not any(plausible)
    else:
        assert plausible[chosen]
        assert u_pps[chosen] == min(u for u, ok in zip(u_pps, plausible, strict=True) if ok)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(0, 1)), min_size=2, max_size=12
    )
)
@settings(max_examples=60, derandomize=True)
def test_running_moments_equal_the_deviation_of_the_stored_values(
    patches: list[tuple[int, int, float]],
):
    moments = Moments(6)
    stored = np.full((len(patches), 6, 6), np.nan)
    for i, (row, column, value) in enumerate(patches):
        patch = np.full((3, 3), value, dtype=np.float32)
        patch[0, 0] = 1 - value
        moments.add(patch, row, column)
        stored[i, row : row + 3, column : column + 3] = patch
    expected = np.zeros((6, 6))
    twice = np.isfinite(stored).sum(axis=0) >= 2
    if twice.any():
        expected[twice] = np.nanstd(stored[:, twice], axis=0, ddof=1)
    np.testing.assert_allclose(moments.deviation(), expected, atol=1e-7)
