"""The area ``reconstruction`` compares the same slices, and all images resemble the truth."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.reconstruction import measure
from benchmarks.reconstructioncases import drawn, error_of
from benchmarks.reconstructionpeers import bart, sigpy
from benchmarks.row import Terms


def test_each_peer_that_is_here_has_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # BART's threads wait by spinning: beside other work they take minutes.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rows = list(measure(Terms(rounds=1, is_small=True, place=tmp_path)))
    peers = [peer for peer in (bart(may_install=False), sigpy(may_install=False)) if peer]
    for peer in peers:
        own = [row for row in rows if row.against.startswith(peer.name)]
        assert sum(row.unit == "s" for row in own) == 3
        errors = [row for row in own if row.unit == ""]
        assert {"equispaced", "poisson"} == {row.what.split(", ")[-2] for row in errors}
        # Both reconstruct the slice whose truth is known: neither is far from it.
        assert all(0 < error < 0.2 for row in errors for error in (*row.ours, *row.theirs))
    assert "in torch" in rows[-1].against


def test_the_error_is_that_of_the_best_scale() -> None:
    truth = np.random.default_rng(1).uniform(1, 2, (8, 8)).astype(np.float32)
    assert error_of((3j * truth).astype(np.complex64), truth) < 1e-10
    assert error_of(np.ones_like(truth).astype(np.complex64), truth) > 0.01


def test_a_case_is_zero_where_nothing_was_measured() -> None:
    case = drawn((64, 64), 4, "poisson", 1)
    assert not case.kspace[:, ~case.mask].any()
    assert case.mask.size / np.count_nonzero(case.mask) > 2
