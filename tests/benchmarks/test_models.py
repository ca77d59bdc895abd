"""Each graph is measured over itself in other ways, and another result ends the area."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.daugs import OtherResult
from benchmarks.models import GRAPHS, LEVELS, TORCH, check_same, measure
from benchmarks.row import Terms


def test_every_graph_is_measured_in_every_way(tmp_path: Path) -> None:
    rows = list(measure(Terms(rounds=1, is_small=True, place=tmp_path)))
    assert len(rows) == len(GRAPHS) * len(LEVELS) + len(TORCH) + 2
    assert "8 bits" in rows[-2].against
    assert "get the same class" in rows[-2].note
    assert "single precision" in rows[-1].against


def test_another_result_is_noticed() -> None:
    values = np.ones((2, 2), np.float32)
    check_same("a graph", values, values * np.float32(1 + 1e-5))
    with pytest.raises(OtherResult, match="a graph"):
        check_same("a graph", values, values * np.float32(1.01))
