"""De-identify a DICOM object: the Basic Application Level Confidentiality Profile of PS3.15, E.

Which attribute is treated how is the table E.1-1 as dicom-anonymizer carries it. That library acts
on the top level only, draws UIDs at random and keeps what it removes in dummy dates; so its table
decides here and the acting is ours: at every depth, by the type of the attribute in its IOD, with
UIDs mapped by a keyed hash. Frames are not altered: what is burned into them stays, with a warning.

References
----------
.. [E] DICOM PS3.15, E.2 Basic Application Level Confidentiality Profile, E.3.4 Clean Structured
   Content Option.
.. [CID7050] DICOM PS3.16, CID 7050 De-identification Method.
"""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.coding import Code

from pipeline.deliver.cleaning import MANNER, Cleaner
from pipeline.deliver.pseudonyms import Pseudonyms
from pipeline.encode.readback import DOCUMENTS
from pipeline.encode.sources import coded
from pipeline.errors import UnreadableFile
from pipeline.ingest.dicomfile import PARSE_ERRORS
from pipeline.quiet import quietly

PROFILE = Code("113100", "DCM", "Basic Application Confidentiality Profile")
STRUCTURED = Code("113104", "DCM", "Clean Structured Content Option")

METHOD = (
    "Vesalius, table E.1-1 as carried by dicom-anonymizer",
    "UIDs and Patient ID mapped by a keyed hash",
    "Frames not altered",
)
"""De-identification Method (0012,0063)."""

DOCUMENT = "EncapsulatedDocument"

EMPTY_PAGE = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\n"
    b"xref\n0 4\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \n"
    b"0000000101 00000 n \ntrailer<</Size 4/Root 1 0 R>>\nstartxref\n164\n%%EOF\n"
)
"""A page of A4 with nothing on it."""

FRAMES = "frames are not altered"

TEXT_IN_PICTURES = frozenset({"SC", "US", "IVUS", "ES", "XC", "GM", "OP", "OT", "DOC", "SM", "ECG"})
"""Modalities whose pictures may hold text."""

TEXT_IN_CLASSES = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.77.1")
"""Beginnings of SOP classes whose pictures may hold text: Secondary Capture, visible light."""

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True, kw_only=True, slots=True)
class Treated:
    """What was done to an attribute."""

    tag: str
    """Its tag, such as ``(0010,0010)``."""

    keyword: str
    """Its keyword; empty for a private or unknown one."""

    manner: str
    """What was done: one of ``MANNER``."""

    count: int
    """How often it was there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What de-identification has done to an object. It holds no value of it."""

    sop_instance_uid: str
    """SOP Instance UID (0008,0018) of the result."""

    methods: tuple[str, ...]
    """Codes of the profile and its options that were applied [CID7050]_."""

    treated: tuple[Treated, ...]
    """What was done, by attribute."""

    warnings: tuple[str, ...]
    """What a person should look at before the object is given away."""

    def count(self, manner: str) -> int:
        """Return how many attributes were treated so."""
        return sum(treated.count for treated in self.treated if treated.manner == manner)

    def to_json(self) -> dict[str, object]:
        """Return the report as a JSON object."""
        return {
            "sop_instance_uid": self.sop_instance_uid,
            "methods": list(self.methods),
            "warnings": list(self.warnings),
            "counts": {manner: self.count(manner) for manner in MANNER},
            "attributes": [
                {"tag": t.tag, "keyword": t.keyword, "manner": t.manner, "count": t.count}
                for t in self.treated
            ],
        }


def deidentified(path: Path, target: Path, key: bytes) -> Report:
    """Write the de-identified twin of an object [E]_.

    The same key maps a UID to the same UID everywhere, so that objects that refer to each other
    still do. The same object and key give the same bytes.

    Parameters
    ----------
    path
        The object; it is not changed.
    target
        The file to write: there whole, or not at all.
    key
        The secret of the mapping, 16 bytes or more.

    Raises
    ------
    UnusableCall
        If the key is too short.
    UnreadableFile
        If the object cannot be read.
    """
    pseudonyms = Pseudonyms(key)
    with quietly():
        try:
            dataset = pydicom.dcmread(path, force=False)
            warnings = (*_about_pictures(dataset), FRAMES) if _has_frames(dataset) else ()
            cleaner = Cleaner(pseudonyms, str(dataset.get("SOPClassUID", "")))
            cleaner.clean(dataset)
            warnings += _without_document(dataset, cleaner.counts)
            methods = _state(dataset)
            _renew_meta(dataset)
            part = target.with_name(f".{target.name}.part")
            dataset.save_as(part, enforce_file_format=True)
        except PARSE_ERRORS:
            # Not chained: pydicom's text quotes values.
            raise UnreadableFile("the object cannot be read for de-identification") from None
    os.replace(part, target)  # noqa: PTH105 - one rename, over what may be there
    return Report(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        methods=tuple(method.value for method in methods),
        treated=_listed(cleaner.counts),
        warnings=warnings,
    )


def _listed(counts: Counter[tuple[int, str]]) -> tuple[Treated, ...]:
    """Return what was done, in the order of tags."""
    return tuple(
        Treated(
            tag=f"({tag >> 16:04X},{tag & 0xFFFF:04X})",
            keyword=keyword_for_tag(tag),
            manner=manner,
            count=count,
        )
        for (tag, manner), count in sorted(counts.items())
    )


def _state(dataset: Dataset) -> list[Code]:
    """Have an object say how it was de-identified, and return the methods."""
    methods = [PROFILE, *([STRUCTURED] if dataset.get("SOPClassUID") in DOCUMENTS else [])]
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = list(METHOD)
    dataset.DeidentificationMethodCodeSequence = DicomSequence([coded(m) for m in methods])
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    return methods


def _renew_meta(dataset: Dataset) -> None:
    """Replace preamble and meta information, which name senders."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    dataset.preamble = b"\0" * 128


def _without_document(dataset: Dataset, counts: Counter[tuple[int, str]]) -> tuple[str, ...]:
    """Put an empty page in the place of a document, whose text nobody can clean; tell so."""
    if DOCUMENT not in dataset:
        return ()
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = EMPTY_PAGE + b" " * (len(EMPTY_PAGE) % 2)
    dataset.EncapsulatedDocumentLength = len(EMPTY_PAGE)
    dataset.BurnedInAnnotation = "NO"
    counts[dataset[DOCUMENT].tag, "replaced"] += 1
    return ("the encapsulated document is replaced by an empty page",)


def _has_frames(dataset: Dataset) -> bool:
    """Tell whether an object has pixels."""
    return any(keyword in dataset for keyword in PIXELS)


def _about_pictures(dataset: Dataset) -> list[str]:
    """Return what a person should look for in the pictures of an object."""
    found = []
    stated = str(dataset.get("BurnedInAnnotation", ""))
    if stated == "YES":
        found.append("BurnedInAnnotation (0028,0301) is YES: the pictures hold text")
    elif stated != "NO" and _may_hold_text(dataset):
        found.append("BurnedInAnnotation (0028,0301) is not stated: the pictures may hold text")
    if dataset.get("RecognizableVisualFeatures") == "YES":
        found.append("RecognizableVisualFeatures (0028,0302) is YES: a face may be recognised")
    if any(tag.group & 0xFF00 == 0x6000 for tag in list(dataset.keys())):
        found.append("overlays are removed")
    return found


def _may_hold_text(dataset: Dataset) -> bool:
    """Tell whether pictures of such an object may hold text: also any colour picture."""
    return (
        str(dataset.get("Modality", "")) in TEXT_IN_PICTURES
        or str(dataset.get("SOPClassUID", "")).startswith(TEXT_IN_CLASSES)
        or int(dataset.get("SamplesPerPixel") or 1) > 1
    )
