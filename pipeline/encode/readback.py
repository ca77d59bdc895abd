"""Read a derived object back, as a viewer does: references, dimensions, geometry, content tree.

References
----------
.. [C7616] DICOM PS3.3, C.7.6.16 multi-frame functional groups, C.7.6.17 multi-frame dimension.
.. [C173] DICOM PS3.3, C.17.3 SR document content.
.. [C122] DICOM PS3.3, C.12.2 common instance reference.
"""

import sqlite3
from collections.abc import Iterator, MutableSequence
from pathlib import Path

import highdicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SegmentationStorage,
)

from pipeline.ingest.dicomfile import PARSE_ERRORS
from pipeline.quiet import quietly

LABELMAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation Storage, which is newer than pydicom's dictionary."""

SEGMENTATIONS = (SegmentationStorage, LABELMAP_SEGMENTATION)
REPORTS = (Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage)
DOCUMENTS = (*REPORTS, KeyObjectSelectionDocumentStorage)

READ_ERRORS = (*PARSE_ERRORS, RuntimeError, OSError, sqlite3.Error)
"""What highdicom raises on an object that it cannot read: its tables of frames are in SQLite."""

GEOMETRY = {
    "PlanePositionSequence": "ImagePositionPatient",
    "PlaneOrientationSequence": "ImageOrientationPatient",
    "PixelMeasuresSequence": "PixelSpacing",
}
"""Functional groups that place a frame, and the attribute of each that must have a value."""

VALUES = {
    "TEXT": "TextValue",
    "CODE": "ConceptCodeSequence",
    "NUM": "MeasuredValueSequence",
    "DATETIME": "DateTime",
    "DATE": "Date",
    "TIME": "Time",
    "UIDREF": "UID",
    "PNAME": "PersonName",
    "SCOORD": "GraphicType",
    "SCOORD3D": "GraphicType",
    "TCOORD": "TemporalRangeType",
    "COMPOSITE": "ReferencedSOPSequence",
    "IMAGE": "ReferencedSOPSequence",
    "WAVEFORM": "ReferencedSOPSequence",
    "CONTAINER": "ContinuityOfContent",
    "TABLE": "TabulatedValuesSequence",
}
"""Attribute that holds the value of a content item, by Value Type (0040,A040) [C173]_."""


NAMED = frozenset({"TEXT", "CODE", "NUM", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME"})
"""Value types whose items must have a concept name, as the root must; others may do without."""


def unreadable(path: Path, dataset: Dataset) -> Iterator[str]:
    """Yield why an object cannot be read back, or does not hold together.

    Parameters
    ----------
    path
        Its file.
    dataset
        As read from it.
    """
    kind = str(dataset.get("SOPClassUID", ""))
    if kind in (*SEGMENTATIONS, ParametricMapStorage):
        yield from _wrong_frames(dataset)
    if kind in SEGMENTATIONS:
        yield from _wrong_segments(dataset)
    if kind in DOCUMENTS:
        yield from _wrong_content(dataset)
    if not _reads(path, dataset, kind):
        yield "highdicom cannot read it back"


def _reads(path: Path, dataset: Dataset, kind: str) -> bool:
    """Tell whether highdicom reads an object of a kind that it has a reader for."""
    try:
        with quietly():
            if kind in SEGMENTATIONS:
                highdicom.seg.segread(path)
            elif kind == ParametricMapStorage:
                highdicom.imread(path)
            elif kind in REPORTS:
                highdicom.sr.srread(path)
            elif kind == KeyObjectSelectionDocumentStorage:
                highdicom.ko.KeyObjectSelectionDocument.from_dataset(dataset)
    except READ_ERRORS:
        # Not chained, not told: its text quotes values.
        return False
    return True


def _wrong_frames(dataset: Dataset) -> Iterator[str]:
    """Yield frames without a place, a dimension index or a listed source [C7616]_."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    stated = int(dataset.get("NumberOfFrames") or 0)
    if len(per_frame) != stated:
        yield (
            f"PerFrameFunctionalGroupsSequence (5200,9230): {len(per_frame)} items, NumberOfFrames "
            f"(0028,0008) states {stated} [PS3.3 C.7.6.16]"
        )
    for group, keyword in GEOMETRY.items():
        lacking = [
            number
            for number, item in enumerate(per_frame, start=1)
            if not _in_group(item, shared, group, keyword)
        ]
        if lacking:
            yield (
                f"{keyword} of {group}: missing for {len(lacking)} frames, the first {lacking[0]} "
                "[PS3.3 C.7.6.16.2]"
            )
    yield from _wrong_dimensions(dataset, per_frame)
    yield from _unlisted_sources(dataset, per_frame)


def _in_group(item: Dataset, shared: Dataset, group: str, keyword: str) -> bool:
    """Tell whether a frame has an attribute of a functional group."""
    held = item.get(group) or shared.get(group)
    return bool(held) and held[0].get(keyword) is not None


def _wrong_dimensions(dataset: Dataset, per_frame: list[Dataset]) -> Iterator[str]:
    """Yield dimension indices that do not fit the declared dimensions."""
    declared = dataset.get("DimensionIndexSequence") or []
    organizations = {
        str(item.get("DimensionOrganizationUID", ""))
        for item in dataset.get("DimensionOrganizationSequence") or []
    }
    if any(str(i.get("DimensionOrganizationUID", "")) not in organizations for i in declared):
        yield (
            "DimensionOrganizationUID (0020,9164) of DimensionIndexSequence: not listed in "
            "DimensionOrganizationSequence [PS3.3 C.7.6.17]"
        )
    wrong = 0
    seen = set()
    for item in per_frame:
        content = item.get("FrameContentSequence") or [Dataset()]
        values = content[0].get("DimensionIndexValues")
        one = () if values is None else (values,)
        indices = tuple(values) if isinstance(values, MutableSequence) else one
        wrong += len(indices) != len(declared) or any(int(v) < 1 for v in indices)
        seen.add(indices)
    if declared and wrong:
        yield (
            f"DimensionIndexValues (0020,9157): wrong in {wrong} frames, "
            f"{len(declared)} dimensions are declared [PS3.3 C.7.6.17.1]"
        )
    elif declared and len(seen) < len(per_frame):
        yield "DimensionIndexValues (0020,9157): the same for several frames [PS3.3 C.7.6.17.1]"


def _unlisted_sources(dataset: Dataset, per_frame: list[Dataset]) -> Iterator[str]:
    """Yield that frames derive from instances that the object does not list [C122]_."""
    listed = {
        str(instance.get("ReferencedSOPInstanceUID", ""))
        for series in _series_items(dataset)
        for instance in series.get("ReferencedInstanceSequence") or []
    }
    missing = {
        str(source.get("ReferencedSOPInstanceUID", ""))
        for item in per_frame
        for derivation in item.get("DerivationImageSequence") or []
        for source in derivation.get("SourceImageSequence") or []
    } - listed
    if missing:
        yield (
            f"ReferencedSeriesSequence (0008,1115): lacks {len(missing)} instances that frames "
            "refer to [PS3.3 C.12.2]"
        )


def _series_items(dataset: Dataset) -> Iterator[Dataset]:
    """Yield the series that an object lists, of its own study and of others."""
    yield from dataset.get("ReferencedSeriesSequence") or []
    for study in dataset.get("StudiesContainingOtherReferencedInstancesSequence") or []:
        yield from study.get("ReferencedSeriesSequence") or []


def _wrong_segments(dataset: Dataset) -> Iterator[str]:
    """Yield frames of segments that are not described."""
    described = {int(s.get("SegmentNumber") or 0) for s in dataset.get("SegmentSequence") or []}
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shown = {
        int(identified.get("ReferencedSegmentNumber") or 0)
        for item in (*shared, *per_frame)
        for identified in item.get("SegmentIdentificationSequence") or []
    }
    if shown - described:
        yield (
            f"ReferencedSegmentNumber (0062,000B): {len(shown - described)} segments are not in "
            "SegmentSequence (0062,0002) [PS3.3 C.8.20.4]"
        )


def _wrong_content(dataset: Dataset) -> Iterator[str]:
    """Yield content items without a value, and references that no evidence lists [C173]_."""
    evidence = {
        str(instance.get("ReferencedSOPInstanceUID", ""))
        for keyword in (
            "CurrentRequestedProcedureEvidenceSequence",
            "PertinentOtherEvidenceSequence",
        )
        for study in dataset.get(keyword) or []
        for series in study.get("ReferencedSeriesSequence") or []
        for instance in series.get("ReferencedSOPSequence") or []
    }
    unlisted = 0
    for position, item in _content(dataset, "1"):
        yield from _wrong_item(position, item)
        if item.get("ValueType") in ("IMAGE", "COMPOSITE", "WAVEFORM"):
            unlisted += sum(
                str(reference.get("ReferencedSOPInstanceUID", "")) not in evidence
                for reference in item.get("ReferencedSOPSequence") or []
            )
    if unlisted:
        yield (
            f"CurrentRequestedProcedureEvidenceSequence (0040,A375): lacks {unlisted} instances "
            "that the content refers to [PS3.3 C.17.2]"
        )


def _content(item: Dataset, position: str) -> Iterator[tuple[str, Dataset]]:
    """Yield each item of a content tree with its position, such as 1.3.2."""
    yield position, item
    for number, child in enumerate(item.get("ContentSequence") or [], start=1):
        yield from _content(child, f"{position}.{number}")


def _wrong_item(position: str, item: Dataset) -> Iterator[str]:
    """Yield what a content item lacks."""
    where = f"content item {position}"
    if position != "1" and not item.get("RelationshipType"):
        yield f"RelationshipType (0040,A010) of {where}: type 1 and missing [PS3.3 C.17.3]"
    if "ReferencedContentItemIdentifier" in item:
        return
    kind = str(item.get("ValueType") or "")
    if kind not in VALUES:
        yield f"ValueType (0040,A040) of {where}: missing or not defined [PS3.3 C.17.3]"
        return
    keyword = VALUES[kind]
    # A measurement without a value has an empty sequence: type 2.
    if keyword not in item or (not item.get(keyword) and kind != "NUM"):
        yield f"{keyword} of {where}, {kind}: missing or empty [PS3.3 C.17.3]"
    needs_name = kind in NAMED or position == "1"
    if needs_name and not item.get("ConceptNameCodeSequence"):
        yield f"ConceptNameCodeSequence (0040,A043) of {where}: missing or empty [PS3.3 C.17.3]"
