"""Maps of the analysis of perfusion as DICOM Parametric Maps of floats.

References
----------
.. [A75] DICOM PS3.3, A.75 Parametric Map IOD.
"""

from dataclasses import dataclass

from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.encode.codes import NO_UNITS, PERFUSION_ANALYSIS, UNCERTAINTY, private_scheme
from pipeline.encode.context import EncodingContext
from pipeline.encode.frames import give_frames, one_pixel
from pipeline.encode.provenance import identification, settle
from pipeline.encode.sources import placed, point_at_sources
from pipeline.imaging.volume import Volume
from pipeline.study import InputSeries


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What a map shows, and how."""

    role: str
    """Role of the object."""

    label: str
    """Content Label (0070,0080) and LUT Label (0040,9210)."""

    explanation: str
    """LUT Explanation (0028,3003)."""

    description: str
    """Content Description (0070,0081)."""

    series: str
    """Series Description (0008,103E)."""

    quantity: CodedConcept
    """What the values are."""

    unit: CodedConcept
    """Their unit."""

    largest: float
    """Largest value that there is; the smallest is 0."""

    window: tuple[float, float]
    """Centre and width of the window that shows it."""


UNCERTAINTY_MAP = Shown(
    role="uncertainty_map",
    label="UNCERTAINTY",
    explanation="Standard deviation of the myocardium's probability",
    description="Uncertainty of the myocardium's segmentation",
    series="Vesalius uncertainty map",
    quantity=UNCERTAINTY,
    unit=NO_UNITS,
    largest=1.0,
    window=(0.1, 0.2),
)
"""Standard deviation of a probability."""


def map_object(
    volume: Volume,
    shown: Shown,
    source: tuple[InputSeries, Dataset],
    context: EncodingContext,
) -> ParametricMap:
    """Return a map as a DICOM object [A75]_.

    Its pixels are made when it is written: values may not change before that.

    Parameters
    ----------
    volume
        float32 on the grid of the series.
    shown
        What it shows.
    source
        The series, and the stand-in for its images.
    context
        What it is made under.
    """
    series, image = source
    mapping = RealWorldValueMapping(
        lut_label=shown.label,
        lut_explanation=shown.explanation,
        unit=shown.unit,
        value_range=(0.0, shown.largest),
        slope=1.0,
        intercept=0.0,
        quantity_definition=shown.quantity,
    )
    centre, width = shown.window
    instance = ParametricMap(
        source_images=[image],
        pixel_array=placed(one_pixel(volume), image.FrameOfReferenceUID),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            VOILUTTransformation(
                window_center=centre, window_width=width, voi_lut_function="LINEAR_EXACT"
            )
        ],
        content_label=shown.label,
        content_description=shown.description,
        series_description=shown.series,
        coding_schemes=[private_scheme()],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(shown.role, image, context),
    )
    instance.Laterality = ""
    slices = point_at_sources(instance, series, volume.affine, PERFUSION_ANALYSIS)
    give_frames(instance, "FloatPixelData", volume, lambda index: volume.array[slices[index]])
    settle(instance, shown.role, image, context)
    return instance
