"""The overview as a Secondary Capture, which any viewer shows.

References
----------
.. [A8] DICOM PS3.3, A.8.1 Secondary Capture Image IOD.
"""

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.encode.context import EncodingContext
from pipeline.encode.provenance import identification, settle
from pipeline.encode.sources import name_sources
from pipeline.study import InputSeries

ROLE = "overview"


def overview_object(
    picture: NDArray[np.uint8], source: tuple[InputSeries, Dataset], context: EncodingContext
) -> SCImage:
    """Return a picture as a DICOM object [A8]_.

    Parameters
    ----------
    picture
        RGB. Shape ``(rows, columns, 3)``.
    source
        The series, and the header that patient and study come from.
    context
        What it is made under.
    """
    series, header = source
    instance = SCImage.from_ref_dataset(
        ref_dataset=header,
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        series_description="Vesalius overview",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(ROLE, header, context),
    )
    # A page of panels and curves has no orientation in the patient; type 2C, so it may be empty.
    instance.PatientOrientation = []
    instance.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    instance.BurnedInAnnotation = "NO"
    instance.Laterality = ""
    name_sources(instance, series)
    settle(instance, ROLE, header, context)
    return instance
