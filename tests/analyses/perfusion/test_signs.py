"""Signs of segmentations whose truth is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.pool import MemberMaps
from pipeline.analyses.perfusion.prepare import PreparedSlice
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM, MemberScore
from pipeline.analyses.perfusion.signs import signs_of, with_neighbours
from pipeline.analyses.perfusion.verdict import Signs

SIZE, SPACING_MM, BEATS = 96, 2.0, 30
BLOOD_FROM, WALL_FROM = 8, 14


def ring(row: float = 47.5, column: float = 47.5, inner: float = 10.0) -> NDArray[np.uint8]:
    """Return a round wall of 5 points around a blood pool."""
    rows, columns = np.indices((SIZE, SIZE))
    away = np.hypot(rows - row, columns - column)
    classes = np.zeros((SIZE, SIZE), dtype=np.uint8)
    classes[away < inner + 5] = MYOCARDIUM
    classes[away < inner] = BLOOD_POOL
    return classes


def prepared(classes: NDArray[np.uint8]) -> PreparedSlice:
    """Return a slice on which blood brightens by 0.8 and then the wall by 0.2."""
    beats = np.full((BEATS, SIZE, SIZE), 0.1, dtype=np.float32)
    beats[BLOOD_FROM:, classes == BLOOD_POOL] += 0.8
    beats[WALL_FROM:, classes == MYOCARDIUM] += 0.2
    return PreparedSlice(
        beats=beats,
        square=beats,
        grid=SliceGrid(
            centre=(60.0, 60.0), pixel_spacing_mm=(2.0, 2.0), size=SIZE, spacing_mm=SPACING_MM
        ),
        confidence=0.7,
        first_beat=0,
        shifts_mm=np.array([[0.0, 0.0], [3.0, 4.0]]),
        remaining_mm=np.zeros((2, 2)),
    )


def signs(
    classes: NDArray[np.uint8],
    *others: NDArray[np.uint8],
    u_pps: tuple[float, ...] = (0.001, 0.003),
) -> Signs:
    """Return the signs of a segmentation that others may disagree with."""
    found = [classes, *(others or (classes,))]
    maps = [
        MemberMaps(
            probabilities=np.stack([(c == value).astype(np.float32) for value in range(3)]),
            uncertainty=np.zeros((SIZE, SIZE), dtype=np.float32),
        )
        for c in found
    ]
    scores = [
        MemberScore(member=str(i), u_pp=u, myocardium_area_mm2=1.0, implausible=None)
        for i, u in enumerate(u_pps[: len(found)])
    ]
    return signs_of(prepared(ring()), classes, (maps, scores), 0)


def test_a_whole_ring_has_the_best_signs() -> None:
    found = signs(ring())
    assert (found.enclosed, found.one_piece, found.agreement) == (1.0, 1.0, 1.0)
    assert found.margin == pytest.approx(3.0)
    assert found.thickness_spread < 0.15
    assert found.off_centre_mm == pytest.approx(0.0, abs=0.1)
    assert found.motion_mm == pytest.approx(5.0)
    assert found.confidence == 0.7
    assert found.area_ratio == pytest.approx(100 / 125, rel=0.05)
    assert found.myocardium_area_mm2 == pytest.approx(np.pi * 125 * 4, rel=0.03)


def test_the_wall_brightens_later_and_less_than_the_blood() -> None:
    found = signs(ring())
    assert found.blood_rise == pytest.approx(0.8, abs=0.01)
    assert found.wall_rise == pytest.approx(0.2, abs=0.01)
    assert found.rise_ratio == pytest.approx(0.25, abs=0.02)
    assert found.lag_beats == WALL_FROM - BLOOD_FROM


def test_a_mask_beside_the_heart_is_told_by_its_curves_and_its_place() -> None:
    beside = signs(ring(row=20.0, column=20.0, inner=6.0))
    assert beside.blood_rise < 0.01
    assert beside.off_centre_mm > 60


def test_an_open_ring_encloses_less_and_varies_more() -> None:
    cut = ring()
    cut[:48][cut[:48] == MYOCARDIUM] = 0
    whole, found = signs(ring()), signs(cut)
    assert found.enclosed == pytest.approx(0.5, abs=0.1)
    assert found.thickness_spread > whole.thickness_spread + 0.5


def test_pieces_and_a_missing_pool_are_seen() -> None:
    cut = ring()
    cut[46:50] = 0
    assert signs(cut).one_piece == pytest.approx(0.5, abs=0.05)
    full = np.where(ring() > 0, MYOCARDIUM, 0).astype(np.uint8)
    found = signs(full)
    assert (found.enclosed, found.area_ratio, found.blood_rise) == (0.0, 0.0, 0.0)
    assert found.rise_ratio == 5.0


def test_members_that_lie_elsewhere_agree_less() -> None:
    found = signs(ring(), ring(column=52.5), ring(column=42.5), u_pps=(0.001, 0.002, 0.004))
    assert found.agreement is not None
    assert found.chosen_agreement is not None
    assert found.agreement < found.chosen_agreement < 0.9
    assert found.margin == pytest.approx(2.0)


def test_a_neighbour_tells_of_a_jump_and_of_another_size() -> None:
    classes = [ring(), ring(column=49.5), ring(column=80.0, inner=3.0)]
    own = [signs(c) for c in classes]
    told = with_neighbours(own, [prepared(c) for c in classes], classes)
    assert [t.neighbour_distance_mm for t in told] == pytest.approx([4.0, 4.0, 61.0], abs=0.6)
    ratios = [t.neighbour_area_ratio or 0.0 for t in told]
    assert ratios[:2] == pytest.approx([1.0, 1.0], abs=0.02)
    assert ratios[2] > 3
    (alone,) = with_neighbours(own[:1], [prepared(classes[0])], classes[:1])
    assert alone == replace(own[0])
    assert alone.neighbour_distance_mm is None
