"""Read the frame of a classic MR or CT image: one instance, one frame.

References
----------
.. [C83] DICOM PS3.3, C.8.3.1 MR Image module, C.8.2.1 CT Image module.
"""

from pydicom.dataset import Dataset

from pipeline.errors import UnreadableFile
from pipeline.ingest.attributes import optional_number, text, whole_number
from pipeline.ingest.clock import seconds_of, seconds_of_moment
from pipeline.ingest.frame import Frame, Instance, TimeKeys
from pipeline.ingest.plane import plane_of
from pipeline.ingest.quantity import values_of


def classic_frame(header: Dataset, instance: Instance) -> Frame:
    """Return the frame of a single-frame MR or CT image.

    Raises
    ------
    UnreadableFile
        If it has no place in the patient, or is a mosaic of slices.
    """
    image_type = text(header, "ImageType")
    if "MOSAIC" in image_type.split("\\"):
        raise UnreadableFile("a mosaic: several slices in one frame are not supported")
    values = values_of(header, header)
    for_uid = text(header, "FrameOfReferenceUID") or None
    return Frame(
        instance=instance,
        number=1,
        rows=whole_number(header, "Rows"),
        columns=whole_number(header, "Columns"),
        plane=plane_of(header, header, header, frame_of_reference_uid=for_uid),
        times=_times(header),
        contrast=(
            f"flip angle {rounded(header, 'FlipAngle')}",
            f"echo time {rounded(header, 'EchoTime')}",
            f"sequence {text(header, 'ScanningSequence')} {text(header, 'SequenceName')}",
            f"image type {image_type}",
            f"convolution kernel {text(header, 'ConvolutionKernel') or '-'}",
            f"values in {values.unit or 'no unit'}",
        ),
        delay_ms=optional_number(header, "InversionTime"),
        echo_ms=optional_number(header, "EchoTime"),
        slope=values.slope,
        intercept=values.intercept,
        unit=values.unit,
    )


def rounded(item: Dataset, keyword: str) -> str:
    """Return a number as text that does not depend on its last digits; a dash where missing."""
    value = optional_number(item, keyword)
    return "-" if value is None else f"{value:.3g}"


def whole_or_none(item: Dataset, keyword: str) -> int | None:
    """Return an integer, or None where it is missing or none."""
    value = optional_number(item, keyword)
    return None if value is None or value != int(value) else int(value)


def _times(header: Dataset) -> TimeKeys:
    """Return all that may tell when the frame was acquired."""
    acquired = seconds_of_moment(text(header, "AcquisitionDateTime"))
    if acquired is None:
        acquired = seconds_of(text(header, "AcquisitionDate"), text(header, "AcquisitionTime"))
    trigger_ms = optional_number(header, "TriggerTime")
    return TimeKeys(
        temporal_position=whole_or_none(header, "TemporalPositionIdentifier"),
        n_temporal_positions=whole_or_none(header, "NumberOfTemporalPositions"),
        acquisition_s=acquired,
        trigger_s=None if trigger_ms is None else 1e-3 * trigger_ms,
        content_s=seconds_of(text(header, "ContentDate"), text(header, "ContentTime")),
        instance_number=whole_or_none(header, "InstanceNumber"),
    )
