"""Undersampling patterns: their rate, their centre, their shape, and the same again by seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from pipeline.mr.patterns import (
    ACCELERATIONS,
    CENTRE_FRACTIONS,
    PATTERNS,
    centre_fraction,
    draw_pattern,
)

LINES = ("equispaced", "random", "magic")


@pytest.mark.parametrize("acceleration", ACCELERATIONS)
@pytest.mark.parametrize("name", PATTERNS)
def test_the_rate_is_what_was_asked_for(name: str, acceleration: int) -> None:
    pattern = draw_pattern(name, (160, 145), acceleration, seed=2)
    assert pattern.measured_acceleration == pattern.mask.size / pattern.mask.sum()
    if name == "magic":
        # Its lines alone have the rate; the centre comes on top.
        assert 0.7 * acceleration < pattern.measured_acceleration < acceleration
    else:
        assert pattern.measured_acceleration == pytest.approx(acceleration, rel=0.05)


@given(
    name=st.sampled_from(sorted(PATTERNS)),
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    acceleration=st.sampled_from([1, 2, 3.5, 8, 32]),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=60)
def test_any_grid_has_a_mask_with_its_centre_and_the_same_again(
    name: str, rows: int, columns: int, acceleration: float, seed: int
) -> None:
    pattern = draw_pattern(name, (rows, columns), acceleration, seed)
    assert pattern.mask.shape == (rows, columns)
    assert pattern.mask.dtype == np.bool_
    assert pattern.mask[rows // 2, columns // 2]
    again = draw_pattern(name, (rows, columns), acceleration, seed)
    np.testing.assert_array_equal(pattern.mask, again.mask)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("acceleration", ACCELERATIONS)
def test_the_centre_is_as_wide_as_in_the_paper(name: str, acceleration: int) -> None:
    mask = draw_pattern(name, (200, 100), acceleration, seed=1).mask
    half = round(200 * CENTRE_FRACTIONS[acceleration]) // 2
    middle = mask[100 - half : 100 + half]
    across = round(100 * CENTRE_FRACTIONS[acceleration]) // 2
    assert (middle if name in LINES else middle[:, 50 - across : 50 + across]).all()


@pytest.mark.parametrize("name", LINES)
def test_lines_run_along_the_readout(name: str) -> None:
    mask = draw_pattern(name, (64, 48), 4, seed=1).mask
    assert (mask == mask[:, :1]).all()


@pytest.mark.parametrize("name", [n for n in PATTERNS if n != "magic"])
def test_another_seed_gives_another_mask(name: str) -> None:
    masks = [draw_pattern(name, (64, 48), 4, seed=s).mask for s in range(4)]
    assert any((masks[0] != other).any() for other in masks[1:])


def test_equispaced_lines_are_equally_spaced() -> None:
    lines = np.flatnonzero(draw_pattern("equispaced", (320, 8), 4, seed=5).mask[:, 0])
    outside = lines[(lines < 140)]
    assert set(np.diff(outside).tolist()) <= {5, 6}


def test_mirror_images_of_magic_lines_fall_between_the_lines() -> None:
    lines = np.flatnonzero(draw_pattern("magic", (320, 8), 4, seed=5).mask[:, 0]) - 160
    outer = lines[np.abs(lines) > 20]
    mirrored = -outer
    assert not set(outer.tolist()) & set(mirrored.tolist())
    both = np.sort(np.concatenate([outer, mirrored]))
    assert set(np.diff(both[both > 0]).tolist()) == {2}


def test_gaussian_samples_thin_out_from_the_centre() -> None:
    mask = draw_pattern("gaussian", (320, 320), 6, seed=1).mask
    assert mask[130:190, 130:190].mean() > 3 * mask[:60, :60].mean()


def test_poisson_disc_samples_keep_their_distance() -> None:
    mask = draw_pattern("poisson", (120, 120), 8, seed=1).mask
    outside = np.argwhere(mask)
    outside = outside[np.abs(outside - 60).max(axis=1) > 8]
    nearest = cKDTree(outside).query(outside, k=2)[0][:, 1]
    assert nearest.min() >= np.sqrt(2)
    edge = np.hypot(*(outside - 60).T) > 50
    assert nearest[edge].mean() > 1.2 * nearest[~edge].mean()


def test_radial_spokes_meet_in_the_centre() -> None:
    mask = draw_pattern("radial", (120, 120), 6, seed=1).mask
    y, x = np.mgrid[:120, :120] - 60
    radius = np.hypot(y, x)
    near, far = mask[radius < 15].mean(), mask[(radius > 45) & (radius < 58)].mean()
    assert near > 2 * far
    assert not mask[radius > 62].any()


def test_the_centre_between_the_papers_accelerations_lies_between() -> None:
    assert centre_fraction(5) == pytest.approx(0.07)
    assert centre_fraction(64) == 0.01


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="no pattern 'spiral'; known are equispaced, random"):
        draw_pattern("spiral", (8, 8), 4, seed=1)
    with pytest.raises(ValueError, match=r"acceleration 0.5 of a grid of \(8, 8\)"):
        draw_pattern("random", (8, 8), 0.5, seed=1)
