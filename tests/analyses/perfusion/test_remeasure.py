"""Notes and flow of a result that a reader has corrected."""

import numpy as np

from pipeline.analyses.perfusion.flow.result import DUAL
from pipeline.analyses.perfusion.remeasure import Acquired, Found, remeasured
from pipeline.analyses.perfusion.sequence import ReadOut, read_out_of
from pipeline.analyses.perfusion.settings import ModelGrid
from pipeline.phantom import Phantom
from pipeline.study import ArterialImages
from tests.analyses.perfusion.test_sequence import header
from tests.support.dualsequence import small_dual
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


def test_a_corrected_result_has_the_input_of_the_dual_sequence_as_before() -> None:
    truth = small_dual().stress
    low, phantom = truth.arterial, truth.phantom
    assert low is not None
    image, result = phantom.image, result_on(phantom.image)
    before = Found(
        segmentation=image.volume_like(phantom.labels),
        uncertainty=result.uncertainty,
        slices=result.slices,
        measurements=result.measurements,
        notes=("flow: research, dual sequence: of the result before",),
        flow_of_signals="research",
    )
    drawn = phantom.labels.copy()
    drawn[0][np.nonzero(drawn[0])[0][:3]] = 0
    read_out = read_out_of(header(InversionTime=1000.0 * truth.delay_s))
    assert isinstance(read_out, ReadOut)
    stated = header(InversionTime=1000.0 * low.delay_s)
    arterial = ArterialImages(image=low.image, frames=(), header=stated)
    acquired = Acquired(read_out=read_out, arterial=arterial)
    found = remeasured(image, before, drawn, (GRID, "rigid"), acquired=acquired)
    assert found.flow is not None
    assert found.flow.basis == DUAL, found.flow
    assert not any("of the result before" in note for note in found.notes)
    assert any("input function: dual sequence" in note for note in found.notes)
