"""The choice is the fastest way that keeps the figure, and every way is judged on the same."""

from pathlib import Path

import pytest

from benchmarks.choose import Choice, choices, fastest, table
from benchmarks.models import LEVELS


def test_a_faster_way_that_loses_more_than_half_a_per_cent_is_not_chosen() -> None:
    served = Choice(way="as served", ratio=1.0, dice=0.8)
    worse = Choice(way="worse", ratio=0.3, dice=0.795)
    kept = Choice(way="kept", ratio=0.5, dice=0.797)
    assert fastest([served, worse, kept]) is kept
    assert "within 0.5 %: kept." in table([served, worse, kept])


def test_ways_that_only_round_otherwise_have_the_same_dice(tmp_path: Path) -> None:
    found = choices(1, 1, tmp_path)
    assert [c.way for c in found] == ["as served", *LEVELS, "8 bits, calibrated"]
    assert found[0].dice > 0.7
    for told in found[1:-1]:
        assert told.dice == pytest.approx(found[0].dice, abs=2e-3)
