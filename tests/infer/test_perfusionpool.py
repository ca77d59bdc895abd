"""The benchmark of the pool: what it reads off one pass is what a pass of its own gives."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.perfusionpool import stop_table, stride_table, swept_slices, way_table
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.analyses.perfusion.pool import sweep
from pipeline.imaging.nifti import write_time_series, write_volume
from pipeline.infer.bundle import load_bundle
from pipeline.phantom import Phantom


def test_coarser_strides_are_read_off_the_finest(
    phantom: Phantom, tiny_bundle: Path, tmp_path: Path
) -> None:
    image, label = tmp_path / "patient1_rest.nii.gz", tmp_path / "patient1_rest_label.nii.gz"
    write_time_series(phantom.image, image, 0.8)
    write_volume(phantom.image.volume_like(phantom.labels), label)
    pool = open_pool(load_bundle(tiny_bundle))
    swept = list(swept_slices([(image, label)], pool, 4))
    one = swept[0]
    own = sweep(one.beats, pool.members[1], pool.grid, 8)
    read = one.at[(8, 16)].maps[1]
    np.testing.assert_allclose(read.probabilities, own.probabilities, atol=1e-6)
    np.testing.assert_allclose(read.uncertainty, own.uncertainty, atol=1e-6)
    assert one.at[(4, 16)].chosen == one.found.chosen
    strides = stride_table(swept, pool, 4)
    assert [(r.uncertainty, r.segmentation) for r in strides] == [
        (u, s) for u in (4, 8) for s in (8, 16, 32)
    ]
    assert strides[1].spearman == pytest.approx(1.0)
    assert strides[1].same_choice == 1.0
    assert {r.patches for r in strides} == {81, 25}
    stops = stop_table(swept)
    assert stops[0].members_run == len(pool.names)
    assert [r.members_run for r in stops] == sorted((r.members_run for r in stops), reverse=True)
    ways = {r.way: r for r in way_table(swept)}
    assert ways["best"].dice >= ways["chosen"].dice == pytest.approx(stops[0].dice)
