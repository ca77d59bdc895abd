"""Where the heart is looked for, and where next if it is not there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, shift

from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.firstpass import BEATS_AFTER_PEAK, BEATS_BEFORE_PEAK
from pipeline.analyses.perfusion.locate import (
    COARSE_SPACING_MM,
    MOST_PLACES,
    Place,
    enhancement_maps,
    likely_places,
)
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.oneslice import SliceAnalysis, surest
from pipeline.analyses.perfusion.prepare import prepare_slice, prepare_standing
from pipeline.analyses.perfusion.result import MemberScore
from pipeline.infer.bundle import load_bundle
from pipeline.phantom import Phantom, PhantomSettings, perfusion_phantom
from tests.support.plainseries import plain_series
from tests.support.runs import FAST

SPACING_MM = (2.0, 1.0)


class Spots:
    """Answers with Gaussian spots at given points of the coarse grid."""

    def __init__(self, *spots: tuple[float, float, float]) -> None:
        self.spots = spots

    def __call__(self, maps: NDArray[np.float32], /) -> NDArray[np.float32]:
        assert maps.shape[2] % 8 == maps.shape[3] % 8 == 0
        rows, columns = np.mgrid[: maps.shape[2], : maps.shape[3]]
        likelihood = np.zeros(rows.shape)
        for row, column, height in self.spots:
            spot = height * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8)
            likelihood = np.maximum(likelihood, spot)
        return likelihood[None, None].astype(np.float32)


def frames(rows: int = 80, columns: int = 120) -> NDArray[np.float32]:
    """Return a slice over time that says nothing of a heart."""
    return np.random.default_rng(0).random((14, rows, columns), dtype=np.float32)


def test_places_come_in_the_order_of_their_likelihood() -> None:
    places = likely_places(frames(), SPACING_MM, Spots((10, 5, 0.6), (30, 20, 0.9), (5, 25, 0.2)))
    assert [round(p.confidence, 2) for p in places] == [0.9, 0.6, 0.2]
    # Coarse point 30 covers 4 mm: rows 60 and 61 of 2 mm, its middle between them.
    row, column = places[0].centre
    assert row == pytest.approx((30 + 0.5) * COARSE_SPACING_MM / 2.0 - 0.5, abs=0.05)
    assert column == pytest.approx((20 + 0.5) * COARSE_SPACING_MM / 1.0 - 0.5, abs=0.1)


def test_a_spot_is_one_place_and_faint_ones_are_none() -> None:
    places = likely_places(
        frames(), SPACING_MM, Spots((10, 10, 0.9), (12, 12, 0.8), (35, 25, 0.03))
    )
    assert len(places) == 1


def test_there_is_always_one_place_and_never_too_many() -> None:
    assert len(likely_places(frames(), SPACING_MM, Spots((10, 10, 0.01)))) == 1
    many = Spots(*((r, c, 0.5) for r in (4, 16, 28) for c in (4, 16, 28)))
    assert len(likely_places(frames(), SPACING_MM, many)) == MOST_PLACES


def test_maps_do_not_depend_on_the_scanners_scale_or_on_a_blank_slice() -> None:
    one = enhancement_maps(frames(), SPACING_MM)
    thousand = enhancement_maps(1000 * frames(), SPACING_MM)
    np.testing.assert_allclose(one, thousand, atol=1e-5)
    assert np.isfinite(enhancement_maps(np.zeros_like(frames()), SPACING_MM)).all()


@pytest.fixture(scope="module")
def pool(tiny_bundle: Path) -> Pool:
    return open_pool(load_bundle(tiny_bundle))


def test_a_heart_that_is_not_where_it_is_likeliest_is_found_where_it_is_next(
    pool: Pool, phantom: Phantom
) -> None:
    series = plain_series(phantom.image)
    right = analyse(series, pool, FAST)
    x, y, z = right.slices[0].heart_centre_lps_mm
    _, row, column, _ = np.linalg.inv(phantom.image.affine) @ (x, y, z, 1.0)
    scale = np.array(phantom.image.spacing_mm[1:]) / COARSE_SPACING_MM
    true = (np.array([row, column]) + 0.5) * scale - 0.5
    misled = replace(pool, locator=Spots((2, 2, 0.95), (true[0], true[1], 0.5)))
    found = analyse(series, misled, FAST)
    assert (
        "slice 0: no myocardium, or one that the pool is unsure of, where the heart was likeliest; "
        "found at place 2"
    ) in found.notes
    moved = np.linalg.norm(np.subtract(found.slices[0].heart_centre_lps_mm, (x, y, z)))
    assert moved < 6.0


def test_a_place_that_the_pool_is_sure_of_is_taken_before_a_likelier_one(pool: Pool) -> None:
    phantom = perfusion_phantom(1, PhantomSettings(n_slices=1, n_beats=40, rows=96, columns=96))
    place = Place(centre=(48.0, 48.0), confidence=0.5)
    prepared = prepare_slice(phantom.image.array[:, 0], (2.0, 2.0), place, pool.grid)
    asked: list[float] = []

    def tried(*u_pp: float) -> Iterator[SliceAnalysis]:
        for each in u_pp:
            asked.append(each)
            yield SliceAnalysis(
                prepared=prepared,
                maps=(),
                scores=(
                    MemberScore(
                        member="member_1", u_pp=each, myocardium_area_mm2=1500.0, implausible=None
                    ),
                ),
                chosen=0 if np.isfinite(each) else None,
                final=None,
                shape=(96, 96),
            )

    for u_pp, rank, n_asked in (
        ((0.001, 0.0005), 1, 1),
        ((0.02, 0.001, 0.0001), 2, 2),
        ((0.02, np.inf, 0.01), 1, 3),
        ((np.inf, 0.03, 0.02), 2, 3),
        ((np.inf, 0.03, 0.004), 3, 3),
        ((np.inf, np.inf), 1, 2),
    ):
        asked.clear()
        assert surest(tried(*u_pp), 0.005).place_rank == rank
        assert len(asked) == n_asked


def test_a_heart_that_drifts_is_segmented_where_it_is_while_contrast_passes(pool: Pool) -> None:
    phantom = perfusion_phantom(1, PhantomSettings(n_slices=1, n_beats=40, rows=96, columns=96))
    steps = 0.5 * np.arange(40)
    frames = np.stack(
        [
            shift(frame, (by, 0.0), order=1, mode="nearest")
            for frame, by in zip(phantom.image.array[:, 0], steps, strict=True)
        ]
    )
    row, column = center_of_mass(phantom.labels[0] > 0)
    place = Place(centre=(row + steps[20], column), confidence=0.9)
    prepared = prepare_slice(frames, (2.0, 2.0), place, pool.grid)
    peak = int(prepared.square.mean(axis=(1, 2)).argmax())
    passing = slice(peak - BEATS_BEFORE_PEAK, peak + BEATS_AFTER_PEAK)
    assert np.ptp(prepared.shifts_mm[:, 0]) > 30
    assert abs(np.median(prepared.shifts_mm[passing, 0])) < 2.0


def test_a_heart_that_jumps_is_found_where_it_is_on_most_beats(pool: Pool) -> None:
    phantom = perfusion_phantom(
        3, PhantomSettings(n_slices=1, n_beats=50, rows=112, columns=112, jump_mm=25.0)
    )
    frames, true = phantom.image.array[:, 0], phantom.shifts_mm[:, 0]
    usual = np.array(center_of_mass(phantom.labels[0] > 0)) + np.median(true, axis=0) / 2.0
    beside = Place(centre=(usual[0] - 6.0, usual[1]), confidence=0.5)
    networks = (Spots((*((usual + 0.5) / 2.0 - 0.5), 0.9)), pool.grid)
    once = prepare_slice(frames, (2.0, 2.0), beside, pool.grid)
    again = prepare_standing(frames, (2.0, 2.0), beside, networks)
    assert np.ptp(true, axis=0).max() > 20
    assert once.grid.centre == beside.centre
    np.testing.assert_allclose(again.grid.centre, usual, atol=0.5)
    # What was found elsewhere is another heart, and not taken.
    elsewhere = (Spots((2.0, 2.0, 0.9)), pool.grid)
    assert prepare_standing(frames, (2.0, 2.0), beside, elsewhere).grid.centre == beside.centre
