"""The reserve index of parts that two states show, and of no others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analyses.perfusion.reserve import Side, reserve_of, same_slices


def side(
    segments: dict[tuple[int, str], float], heights_mm: list[float], slices: list[float]
) -> Side:
    """Return a state whose slices lie at some heights."""
    middles = np.array([[3.0, -2.0, height] for height in heights_mm])
    return Side(segments=segments, slices=dict(enumerate(slices)), middles_mm=middles)


def test_the_index_is_stress_over_rest() -> None:
    """Of the whole it is that of the slices' means, not the mean of their ratios."""
    rest = side({(7, "wall"): 0.1, (8, "wall"): 0.2}, [0, 10], [0.1, 0.2])
    stress = side({(7, "wall"): 0.25, (8, "wall"): 0.3}, [1, 11], [0.3, 0.2])
    found = reserve_of(rest, stress)
    assert found.whole is not None
    assert found.whole.mpri == pytest.approx(0.5 / 0.3)
    assert {k: v.mpri for k, v in found.slices.items()} == {
        (0, 0): pytest.approx(3.0),
        (1, 1): pytest.approx(1.0),
    }
    assert {k: v.mpri for k, v in found.segments.items()} == {
        (7, "wall"): pytest.approx(2.5),
        (8, "wall"): pytest.approx(1.5),
    }
    assert found.notes == ()


@settings(deadline=None)
@given(shift=st.floats(-4.9, 4.9), first=st.integers(0, 2))
def test_slices_are_paired_by_height_and_not_by_number(shift: float, first: int) -> None:
    """A stack of another length, moved by less than half a slice, is the same heart."""
    rest = side({}, [0, 10, 20, 30, 40], [1.0] * 5)
    heights = [10.0 * (first + i) + shift for i in range(3)]
    stress = side({}, heights, [2.0] * 3)
    assert same_slices(rest, stress) == [(first + i, i) for i in range(3)]


def test_slices_elsewhere_have_no_index_and_a_note_says_so() -> None:
    """Nothing is compared with what lies at another height."""
    found = reserve_of(side({}, [0.0], [0.1]), side({}, [30.0], [0.2]))
    assert found.whole is None
    assert found.slices == {}
    assert found.notes == ("no slice of the rest series lies where one of the stress series does",)


def test_what_one_state_does_not_tell_has_no_index() -> None:
    """Nor has what takes up nothing at rest: it would be infinite."""
    rest = side({(7, "wall"): 0.1, (8, "wall"): -0.01, (9, "wall"): 0.1}, [0.0], [0.0])
    stress = side({(7, "wall"): 0.2, (8, "wall"): 0.2}, [0.0], [0.2])
    found = reserve_of(rest, stress)
    assert set(found.segments) == {(7, "wall")}
    assert found.notes == ("no index in segments 8, 9: it is not told of both states",)
    assert found.slices == {}
