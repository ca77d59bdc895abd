"""DAUGS in the benchmark does what the loop and MONAI do, and a member that differs is noticed."""

from pathlib import Path

import pytest
import torch

from benchmarks.daugs import (
    OtherResult,
    check_same,
    measure,
    network_of,
    prepared_beats,
)
from benchmarks.row import Terms
from benchmarks.torchreference import single_precision, torch_member
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.infer.bundle import find_bundle, load_bundle


def test_both_sides_are_measured(tmp_path: Path) -> None:
    rows = list(measure(Terms(rounds=1, is_small=True, place=tmp_path)))
    assert [row.against.split()[0] for row in rows] == ["torch", "torch", "MONAI"]
    assert all(len(row.ours) == len(row.theirs) == 1 for row in rows)


def test_another_member_is_another_result() -> None:
    torch.set_num_threads(1)
    pool = open_pool(load_bundle(find_bundle("perfusion")))
    beats = prepared_beats(pool)
    ours = network_of(single_precision("member_1"))
    check_same(beats, (ours, torch_member("member_1")), pool.grid)
    with pytest.raises(OtherResult, match="loop's mean"):
        check_same(beats, (ours, torch_member("member_2")), pool.grid)
