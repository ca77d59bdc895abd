"""The map of myocardial blood flow as a DICOM Parametric Map of floats.

References
----------
.. [A75] DICOM PS3.3, A.75 Parametric Map IOD.
"""

from collections.abc import Sequence

from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.analyses.perfusion.flow.response import MOST_FLOW
from pipeline.analyses.perfusion.flow.result import UNIT
from pipeline.encode.codes import (
    FLOW,
    PERFUSION_ANALYSIS,
    RESEARCH_FLOW,
    UNITS,
    private_scheme,
)
from pipeline.encode.context import EncodingContext
from pipeline.encode.provenance import identification, settle
from pipeline.encode.sources import placed, point_at_sources
from pipeline.imaging.volume import Volume
from pipeline.study import InputSeries

ROLE = "flow_map"

WINDOW = (2.0, 4.0)
"""Centre and width of the window that shows it [ml/min/g]."""


def flow_object(
    flow: Volume,
    source: tuple[InputSeries, Sequence[Dataset]],
    context: EncodingContext,
    *,
    is_research: bool,
) -> ParametricMap:
    """Return a map of flow as a DICOM object [A75]_.

    Parameters
    ----------
    flow
        float32 on the grid of the series [ml/min/g].
    source
        The series, and a stand-in image for each of its slices.
    context
        What it is made under.
    is_research
        Whether it is of signals and so no measurement.
    """
    series, stand_ins = source
    told = "Research, from signal: no flow" if is_research else "Myocardial blood flow"
    mapping = RealWorldValueMapping(
        lut_label="RESEARCH" if is_research else "FLOW",
        lut_explanation=told,
        unit=UNITS[UNIT],
        value_range=(0.0, MOST_FLOW),
        slope=1.0,
        intercept=0.0,
        quantity_definition=RESEARCH_FLOW if is_research else FLOW,
    )
    instance = ParametricMap(
        source_images=stand_ins,
        pixel_array=placed(flow, stand_ins[0].FrameOfReferenceUID),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            VOILUTTransformation(
                window_center=WINDOW[0], window_width=WINDOW[1], voi_lut_function="LINEAR_EXACT"
            )
        ],
        content_label="RESEARCH" if is_research else "FLOW",
        content_description=told,
        series_description=f"Vesalius {told}",
        coding_schemes=[private_scheme()],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(ROLE, stand_ins[0], context),
    )
    instance.Laterality = ""
    point_at_sources(instance, series, flow.affine, PERFUSION_ANALYSIS)
    settle(instance, ROLE, stand_ins[0], context)
    return instance
