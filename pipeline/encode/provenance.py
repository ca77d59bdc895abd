"""What every DICOM object says of its making, and what makes its bytes the same each time.

References
----------
.. [C121] DICOM PS3.3, C.12.1 SOP Common module: Contributing Equipment, Content Qualification.
"""

from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from highdicom import AlgorithmIdentificationSequence, ContributingEquipment
from highdicom.sr import (
    DeviceObserverIdentifyingAttributes,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from pipeline.encode.codes import NEURAL_NETWORK
from pipeline.encode.context import (
    MAKER,
    UNKNOWN_DATE,
    UNKNOWN_TIME,
    EncodingContext,
    series_number,
    stated_moment,
)
from pipeline.encode.verified import predecessor, verify
from pipeline.identity import digest_file
from pipeline.study import Artifact

QUALIFICATION = "RESEARCH"
"""Content Qualification (0018,9004)."""

DIMENSIONS = "dimension organization"
_READ_OFF_THE_CLOCK = (
    "InstanceCreationDate",
    "InstanceCreationTime",
    "DateOfSecondaryCapture",
    "TimeOfSecondaryCapture",
)


class Identification(TypedDict):
    """What names an object and its maker, as highdicom's constructors take it."""

    series_instance_uid: str
    series_number: int
    sop_instance_uid: str
    instance_number: int
    manufacturer: str
    manufacturer_model_name: str
    software_versions: str
    device_serial_number: str
    contributing_equipment: list[ContributingEquipment]


def identification(role: str, header: Dataset, context: EncodingContext) -> Identification:
    """Return what names an object of a role and its maker.

    Parameters
    ----------
    role
        Role of the object.
    header
        Header of the source.
    context
        What it is made under.
    """
    return {
        "series_instance_uid": context.uid(role, "series"),
        "series_number": series_number(role, header),
        "sop_instance_uid": context.uid(role),
        "instance_number": 1,
        "manufacturer": MAKER,
        "manufacturer_model_name": MAKER,
        "software_versions": context.software_version,
        "device_serial_number": context.bundle_digest[:16],
        "contributing_equipment": [contributing_equipment(context)],
    }


def contributing_equipment(context: EncodingContext) -> ContributingEquipment:
    """Return the item of Contributing Equipment (0018,A001) for the software and its bundle."""
    return ContributingEquipment(
        MAKER,
        codes.DCM.ProcessingEquipment,
        manufacturer_model_name=context.bundle_name,
        software_versions=[context.software_version, context.bundle_version],
        contribution_description=(
            f"{MAKER} {context.software_version}, bundle {context.bundle_name} "
            f"{context.bundle_version}, SHA-256 {context.bundle_digest}"
        ),
    )


def observer(context: EncodingContext) -> ObserverContext:
    """Return the software as the device that observed what a document says."""
    return ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=context.device_uid,
            name=MAKER,
            manufacturer_name=MAKER,
            model_name=context.bundle_name,
            serial_number=context.bundle_digest[:16],
        ),
    )


def person(context: EncodingContext) -> ObserverContext | None:
    """Return the person who has corrected what a document says; None if nobody has."""
    if context.author is None:
        return None
    return ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=PersonObserverIdentifyingAttributes(name=context.author),
    )


def algorithm(context: EncodingContext) -> AlgorithmIdentificationSequence:
    """Return the item of an Algorithm Identification Sequence for the bundle."""
    return AlgorithmIdentificationSequence(
        name=context.bundle_name,
        family=NEURAL_NETWORK,
        version=context.bundle_version,
        source=MAKER,
        parameters={"bundle_sha256": context.bundle_digest},
    )


def settle(instance: Dataset, role: str, header: Dataset, context: EncodingContext) -> None:
    """Give an object its qualification, and derived values for what its maker drew or read off.

    highdicom takes dates from the clock and draws the UID of the dimensions. Here Content Date and
    Time are the source's: they say when the content was imaged, not when it was computed.
    """
    instance.ContentQualification = QUALIFICATION
    for keyword in _READ_OFF_THE_CLOCK:
        instance.pop(keyword, None)
    for equipment in instance.ContributingEquipmentSequence:
        equipment.pop("ContributionDateTime", None)
    date, time = stated_moment(header) or (UNKNOWN_DATE, UNKNOWN_TIME)
    instance.ContentDate, instance.ContentTime = date, time
    instance.SeriesDate, instance.SeriesTime = date, time
    for sequence in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in instance.get(sequence, []):
            item.DimensionOrganizationUID = context.uid(role, DIMENSIONS)
    if instance.Modality == "SR":
        _settle_document(instance, role, context)


def _settle_document(instance: Dataset, role: str, context: EncodingContext) -> None:
    """Have a document name the one that it replaces, and who has verified it.

    The one before is the same role of another job in the same study: late instances have made a
    revision of it, or a person has corrected it.
    """
    if context.predecessor is not None:
        before = replace(context, job_id=context.predecessor)
        instance.PredecessorDocumentsSequence = [
            predecessor(
                str(instance.StudyInstanceUID),
                before.uid(role, "series"),
                (str(instance.SOPClassUID), before.uid(role)),
            )
        ]
    if context.verifiers:
        verify(instance, context.verifiers)


def write_object(instance: Dataset, kind: str, folder: Path, name: str) -> Artifact:
    """Write an object into a folder and return its record."""
    instance.save_as(folder / name, enforce_file_format=True)
    return artifact(kind, folder, name, sop_instance_uid=str(instance.SOPInstanceUID))


def artifact(
    kind: str, folder: Path, name: str, *, sop_instance_uid: str | None = None
) -> Artifact:
    """Return the record of a file that lies in a folder."""
    return Artifact(
        kind=kind,
        relative_path=name,
        sop_instance_uid=sop_instance_uid,
        sha256=digest_file(folder / name),
    )
