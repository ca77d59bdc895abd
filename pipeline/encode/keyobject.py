"""A Key Object Selection document: one place from which all that a job found can be opened.

Its title is (113000, DCM, "Of Interest"): it points, and asks for nothing. "For Report Attachment"
would ask readers to put results into a report that nobody has verified; "Best In Set" and the like
would judge images that were not compared.

References
----------
.. [A354] DICOM PS3.3, A.35.4 Key Object Selection Document IOD.
.. [T2010] DICOM PS3.16, TID 2010 Key Object Selection, CID 7010 titles.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.encode.context import EncodingContext
from pipeline.encode.provenance import identification, observer, settle
from pipeline.encode.sources import SINGLE_FRAME
from pipeline.study import SourceFrame

ROLE = "key_objects"

KIND = "key_objects"
"""Kind of the artifact."""

FILE = "key_objects.dcm"
"""Its file."""

TITLE = codes.DCM.OfInterest
"""Document title, of CID 7010."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyObject:
    """An instance that is pointed at."""

    sop_class_uid: str
    """SOP Class UID (0008,0016)."""

    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""

    series_instance_uid: str
    """Series Instance UID (0020,000E)."""

    is_image: bool = True
    """Whether it has pixels; a report has none."""

    frame_numbers: tuple[int, ...] = ()
    """Frames that are meant, from 1; none means all."""


def result_object(instance: Dataset) -> KeyObject:
    """Return how an object of the job is pointed at."""
    return KeyObject(
        sop_class_uid=str(instance.SOPClassUID),
        sop_instance_uid=str(instance.SOPInstanceUID),
        series_instance_uid=str(instance.SeriesInstanceUID),
        is_image="Rows" in instance,
    )


def source_objects(frames: Iterable[SourceFrame]) -> list[KeyObject]:
    """Return how frames of the source are pointed at: once each instance, with their numbers."""
    by_instance: dict[str, list[SourceFrame]] = {}
    for frame in frames:
        members = by_instance.setdefault(frame.sop_instance_uid, [])
        if frame not in members:
            members.append(frame)
    return [
        KeyObject(
            sop_class_uid=members[0].sop_class_uid,
            sop_instance_uid=uid,
            series_instance_uid=members[0].series_instance_uid,
            frame_numbers=()
            if members[0].sop_class_uid in SINGLE_FRAME
            else tuple(frame.frame_number for frame in members),
        )
        for uid, members in by_instance.items()
    ]


def key_object_document(
    objects: Sequence[KeyObject], description: str, header: Dataset, context: EncodingContext
) -> KeyObjectSelectionDocument:
    """Return a document that points at objects [A354]_.

    Parameters
    ----------
    objects
        Instances of one study.
    description
        What they are, and how they came about: Key Object Description of [T2010]_.
    header
        What patient and study come from.
    context
        What it is made under.
    """
    evidence = [_stand_in(key, header) for key in objects]
    content = KeyObjectSelection(
        document_title=TITLE,
        referenced_objects=evidence,
        observer_device_context=observer(context),
        description=description,
    )
    items = content[0].ContentSequence[-len(objects) :]
    for key, item in zip(objects, items, strict=True):
        if key.frame_numbers:
            item.ReferencedSOPSequence[0].ReferencedFrameNumber = list(key.frame_numbers)
    document = KeyObjectSelectionDocument(
        evidence=evidence,
        content=content,
        series_description="Vesalius key objects",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(ROLE, header, context),
    )
    settle(document, ROLE, header, context)
    return document


def _stand_in(key: KeyObject, header: Dataset) -> Dataset:
    """Return an instance as highdicom takes it: its identity, and whether it has pixels."""
    found = deepcopy(header)
    found.SOPClassUID = key.sop_class_uid
    found.SOPInstanceUID = key.sop_instance_uid
    found.SeriesInstanceUID = key.series_instance_uid
    if key.is_image:
        found.Rows = found.Columns = 1
    return found
