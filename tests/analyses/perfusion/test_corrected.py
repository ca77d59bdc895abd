"""What the setting for motion changes in a result, and what it leaves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.infer.bundle import load_bundle
from pipeline.phantom import PhantomSettings, perfusion_phantom
from tests.support.plainseries import plain_series
from tests.support.runs import FAST


@pytest.fixture(scope="module")
def found(tiny_bundle: Path) -> dict[str, PerfusionResult]:
    """Return the results of a phantom that breathes, by the setting."""
    phantom = perfusion_phantom(
        7, PhantomSettings(n_slices=1, n_beats=40, rows=96, columns=96, jump_mm=20.0)
    )
    series = plain_series(phantom.image)
    pool: Pool = open_pool(load_bundle(tiny_bundle))
    return {
        motion: analyse(series, pool, replace(FAST, motion=motion))
        for motion in ("none", "rigid", "deformable")
    }


def test_motion_that_is_left_is_reported_and_noted(found: dict[str, PerfusionResult]) -> None:
    (still,), (rigid,) = found["none"].slices, found["rigid"].slices
    assert still.motion_mm == 0.0
    assert still.residual_motion_mm > 2.0
    told = f"slice 0: the heart still moves by {still.residual_motion_mm:.1f} mm after correction"
    assert told in found["none"].notes
    assert rigid.motion_mm > 1.0
    assert rigid.residual_motion_mm < 0.8
    assert not any("still moves" in note for note in found["rigid"].notes)
    values = {m.name: (m.value, m.unit) for m in found["rigid"].measurements}
    assert values["motion_mm"] == (rigid.motion_mm, "mm")
    assert values["residual_motion_mm"] == (rigid.residual_motion_mm, "mm")


def test_deformation_changes_what_is_measured_and_not_what_is_segmented(
    found: dict[str, PerfusionResult],
) -> None:
    rigid, deformed = found["rigid"], found["deformable"]
    np.testing.assert_array_equal(rigid.segmentation.array, deformed.segmentation.array)
    assert rigid.motion is not None
    assert deformed.motion is not None
    np.testing.assert_array_equal(rigid.motion.shifts_mm, deformed.motion.shifts_mm)
    assert not np.array_equal(rigid.curves.myocardium, deformed.curves.myocardium)
    np.testing.assert_allclose(rigid.curves.myocardium, deformed.curves.myocardium, rtol=0.3)
