"""The uncertainty map as a DICOM Parametric Map of floats.

References
----------
.. [A75] DICOM PS3.3, A.75 Parametric Map IOD.
"""

from collections.abc import Sequence

from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.encode.codes import NO_UNITS, PERFUSION_ANALYSIS, UNCERTAINTY, private_scheme
from pipeline.encode.context import EncodingContext
from pipeline.encode.provenance import identification, settle
from pipeline.encode.sources import placed, point_at_sources
from pipeline.imaging.volume import Volume
from pipeline.study import InputSeries

ROLE = "uncertainty_map"

WINDOW = (0.1, 0.2)
"""Centre and width of the window that shows it."""


def uncertainty_object(
    uncertainty: Volume,
    source: tuple[InputSeries, Sequence[Dataset]],
    context: EncodingContext,
) -> ParametricMap:
    """Return an uncertainty map as a DICOM object [A75]_.

    Parameters
    ----------
    uncertainty
        float32 on the grid of the series: standard deviation of a probability.
    source
        The series, and a stand-in image for each of its slices.
    context
        What it is made under.
    """
    series, stand_ins = source
    mapping = RealWorldValueMapping(
        lut_label="UNCERTAINTY",
        lut_explanation="Standard deviation of the myocardium's probability",
        unit=NO_UNITS,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=UNCERTAINTY,
    )
    instance = ParametricMap(
        source_images=stand_ins,
        pixel_array=placed(uncertainty, stand_ins[0].FrameOfReferenceUID),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            VOILUTTransformation(
                window_center=WINDOW[0], window_width=WINDOW[1], voi_lut_function="LINEAR_EXACT"
            )
        ],
        content_label="UNCERTAINTY",
        content_description="Uncertainty of the myocardium's segmentation",
        series_description="Vesalius uncertainty map",
        coding_schemes=[private_scheme()],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(ROLE, stand_ins[0], context),
    )
    instance.Laterality = ""
    point_at_sources(instance, series, uncertainty.affine, PERFUSION_ANALYSIS)
    settle(instance, ROLE, stand_ins[0], context)
    return instance
