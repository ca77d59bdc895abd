"""The uncertainty of a reconstruction as a DICOM Parametric Map of floats.

Its values are in the units of the images' stored values. Of several time steps the map shows the
root mean square; each step's own map is in the NIfTI twin.

References
----------
.. [A75] DICOM PS3.3, A.75 Parametric Map IOD.
"""

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.encode.codes import INTENSITY_DEVIATION, NO_UNITS, RECONSTRUCTION_NOISE
from pipeline.encode.frames import give_frames, one_pixel
from pipeline.encode.mrimage import without_pixels
from pipeline.encode.mrseries import ImageSeries
from pipeline.encode.provenance import identification, settle
from pipeline.encode.sources import placed, point_at_sources
from pipeline.imaging.volume import Volume
from pipeline.study import InputSeries

ROLE = "reconstruction_uncertainty"

WHITE_QUANTILE = 0.99
"""Share of the pixels that are not shown as white."""


def deviation_object(
    deviation: NDArray[np.float32], series: ImageSeries, written: InputSeries
) -> ParametricMap:
    """Return a map of standard deviations as a DICOM object [A75]_.

    Parameters
    ----------
    deviation
        Standard deviation in the units of the raw data. Shape ``(frames, slices, rows, columns)``.
    series
        The images.
    written
        The same as they were written: the map refers to them.
    """
    relative = deviation.astype(np.float64) / series.slope
    values = np.sqrt(np.mean(np.square(relative), axis=0)).astype(np.float32)
    largest = max(float(values.max(initial=0.0)), 1.0)
    white = max(float(np.quantile(values, WHITE_QUANTILE)), 1e-3)
    uid = series.frame_of_reference_uid
    volume = Volume(array=values, affine=series.affine, frame_of_reference_uid=uid)
    mapping = RealWorldValueMapping(
        lut_label="DEVIATION",
        lut_explanation="Standard deviation of stored values",
        unit=NO_UNITS,
        value_range=(0.0, largest),
        slope=1.0,
        intercept=0.0,
        quantity_definition=INTENSITY_DEVIATION,
    )
    instance = ParametricMap(
        source_images=[without_pixels(series)],
        pixel_array=placed(one_pixel(volume), uid),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            VOILUTTransformation(
                window_center=white / 2, window_width=white, voi_lut_function="LINEAR_EXACT"
            )
        ],
        content_label="UNCERTAINTY",
        content_description="Uncertainty of the reconstruction",
        series_description="Vesalius reconstruction uncertainty",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(ROLE, series.header, series.context),
    )
    instance.Laterality = ""
    slices = point_at_sources(instance, written, series.affine, RECONSTRUCTION_NOISE)
    give_frames(instance, "FloatPixelData", volume, lambda index: values[slices[index]])
    settle(instance, ROLE, series.header, series.context)
    return instance
