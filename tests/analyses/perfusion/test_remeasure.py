"""Notes of a result that a reader has corrected."""

import numpy as np

from pipeline.analyses.perfusion.remeasure import Found, remeasured
from pipeline.analyses.perfusion.settings import ModelGrid
from pipeline.phantom import Phantom
from tests.support.results import result_on

GRID = ModelGrid(
    grid_size=96,
    grid_spacing_mm=2.0,
    patch_size=64,
    n_beats=30,
    segmentation_stride=16,
    edge_before=5,
    edge_after=1,
)
DISTRUST = "slice 0: the segmentation is not trusted: U_pp is 0.1000"


def test_a_slice_that_a_reader_has_drawn_is_no_longer_distrusted(phantom: Phantom) -> None:
    image = phantom.image
    result = result_on(image)
    before = Found(
        segmentation=image.volume_like(phantom.labels),
        uncertainty=result.uncertainty,
        slices=result.slices,
        measurements=result.measurements,
        notes=(DISTRUST, "slice 0: uncertain"),
    )
    same = remeasured(image, before, phantom.labels, (GRID, "rigid"))
    assert DISTRUST in same.notes
    drawn = phantom.labels.copy()
    drawn[0][np.nonzero(drawn[0])[0][:3]] = 0
    found = remeasured(image, before, drawn, (GRID, "rigid"))
    assert DISTRUST not in found.notes
    assert "slice 0: uncertain" in found.notes
    assert found.trust is None
