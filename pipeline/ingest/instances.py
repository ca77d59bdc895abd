"""From a header to the frames it describes: classic MR and CT, and enhanced multi-frame MR.

References
----------
.. [A36] DICOM PS3.3, A.4 MR Image IOD, A.36 Enhanced MR Image IOD, A.71 legacy converted.
"""

from dataclasses import replace

from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.ingest.attributes import optional_number, tag_text, text
from pipeline.ingest.classic import classic_frame
from pipeline.ingest.dicomfile import DicomFile
from pipeline.ingest.enhanced import enhanced_frames
from pipeline.ingest.frame import Frame, Instance, PatientIdentity
from pipeline.ingest.limits import Limits
from pipeline.ingest.pixelmodule import check_hounsfield, check_pixels, native_pixels
from pipeline.ingest.sides import check_sides, laterality_of
from pipeline.ingest.uids import is_uid

ENHANCED = frozenset({EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage})
"""SOP classes that are read through their functional groups."""

IMAGES = ENHANCED | {CTImageStorage, MRImageStorage}
"""SOP classes whose frames are assembled: MR, and CT with one frame an instance."""

LOCALIZER = "LOCALIZER"
"""Value 3 of Image Type (0008,0008) of a CT image that plans others, PS3.3, C.8.2.1.1.1."""


def identify(file: DicomFile) -> Instance:
    """Return which instance a file holds.

    Raises
    ------
    UnreadableFile
        If a UID that names it, its series or its study is missing, or is none.
    InconsistentSeries
        If two attributes say different sides.
    """
    header = file.header
    uids = {}
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        uids[keyword] = text(header, keyword)
        if not is_uid(uids[keyword]):
            wrong = "no UID" if uids[keyword] else "missing"
            raise UnreadableFile(f"{file.name}: {tag_text(keyword)} is {wrong}")
    images = optional_number(header, "ImagesInAcquisition")
    return Instance(
        path=file.path,
        name=file.name,
        sha256=file.sha256,
        transfer_syntax_uid=file.transfer_syntax_uid,
        sop_class_uid=uids["SOPClassUID"],
        sop_instance_uid=uids["SOPInstanceUID"],
        study_instance_uid=uids["StudyInstanceUID"],
        series_instance_uid=uids["SeriesInstanceUID"],
        modality=text(header, "Modality"),
        patient=PatientIdentity(
            patient_id=text(header, "PatientID"),
            name=text(header, "PatientName").rstrip("^ "),
            birth_date=text(header, "PatientBirthDate"),
        ),
        laterality=laterality_of(header, file.name),
        images_in_acquisition=None if images is None else int(images),
    )


def is_assembled(file: DicomFile, instance: Instance) -> bool:
    """Tell whether an instance is an image of a volume: a localizer of CT is none."""
    if instance.sop_class_uid == CTImageStorage:
        return LOCALIZER not in text(file.header, "ImageType").split("\\")
    return instance.sop_class_uid in IMAGES


def frames_of(file: DicomFile, instance: Instance, limits: Limits) -> tuple[Frame, ...]:
    """Return the frames of an MR or a CT image.

    Raises
    ------
    UnreadableFile
        If its pixels cannot be read as they are described, or a frame has no place in the patient.
    """
    try:
        return _frames(file, instance, limits)
    except (UnreadableFile, InconsistentSeries) as error:
        raise UnreadableFile(f"instance {instance.named}: {error}") from error


def _frames(file: DicomFile, instance: Instance, limits: Limits) -> tuple[Frame, ...]:
    """Return the frames of an image; reasons do not name it."""
    check_pixels(file, limits)
    if instance.sop_class_uid in ENHANCED:
        return enhanced_frames(file.header, instance)
    if instance.sop_class_uid == CTImageStorage:
        check_hounsfield(file.header)
    frame = classic_frame(file.header, instance)
    check_sides(file.header, frame.plane)
    return (replace(frame, native=native_pixels(file)),)
