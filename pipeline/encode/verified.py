"""Documents that a person has verified, and such as are issued anew for that.

A document is never changed: it is issued anew under a UID of its own, and names the one before.
Its content and its evidence are as they were.

References
----------
.. [C172] DICOM PS3.3, C.17.2 SR Document General module: Verification Flag, Verifying Observer
   Sequence, Predecessor Documents Sequence; C.17.2.3.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import UTC

from pydicom.dataset import Dataset
from pydicom.uid import UID

from pipeline.encode.context import EncodingContext, Verifier

VERIFIED = ", verified"
"""What a Series Description (0008,103E) of verified documents ends with."""

LONGEST_DESCRIPTION = 64
"""Characters of VR LO, PS3.5, 6.2."""


def verify(document: Dataset, verifiers: Sequence[Verifier]) -> None:
    """Have a document say who has verified it, and when [C172]_."""
    document.CompletionFlag = "COMPLETE"
    document.PreliminaryFlag = "FINAL"
    document.VerificationFlag = "VERIFIED"
    document.VerifyingObserverSequence = [_observer(verifier) for verifier in verifiers]
    described = str(document.get("SeriesDescription", ""))
    if not described.endswith(VERIFIED):
        kept = described[: LONGEST_DESCRIPTION - len(VERIFIED)]
        document.SeriesDescription = kept + VERIFIED


def name_predecessor(document: Dataset, before: Dataset) -> None:
    """Have a document name the one that it takes the place of, with its series and study."""
    document.PredecessorDocumentsSequence = [
        predecessor(
            str(before.StudyInstanceUID),
            str(before.SeriesInstanceUID),
            (str(before.SOPClassUID), str(before.SOPInstanceUID)),
        )
    ]


def predecessor(study: str, series: str, instance: tuple[str, str]) -> Dataset:
    """Return an item of a Predecessor Documents Sequence.

    Parameters
    ----------
    study, series
        UIDs of where the document lies.
    instance
        Its SOP Class UID and SOP Instance UID.
    """
    document, in_series, in_study = Dataset(), Dataset(), Dataset()
    document.ReferencedSOPClassUID, document.ReferencedSOPInstanceUID = instance
    in_series.SeriesInstanceUID = series
    in_series.ReferencedSOPSequence = [document]
    in_study.StudyInstanceUID = study
    in_study.ReferencedSeriesSequence = [in_series]
    return in_study


def issued_anew(document: Dataset, role: str, context: EncodingContext) -> Dataset:
    """Return a document with the identity of another job, its content as it was.

    Parameters
    ----------
    document
        The document, as read from its file.
    role
        Its role: a key of ``SERIES_NUMBERS``.
    context
        What it is issued under.
    """
    anew = deepcopy(document)
    anew.SOPInstanceUID = context.uid(role)
    anew.file_meta.MediaStorageSOPInstanceUID = UID(context.uid(role))
    anew.SeriesInstanceUID = context.uid(role, "series")
    return anew


def repointed(document: Dataset, moved: Mapping[str, str]) -> Dataset:
    """Return a document that refers to other instances and series, by their UIDs then and now."""
    anew = deepcopy(document)
    for item in _items(anew):
        for keyword in ("ReferencedSOPInstanceUID", "SeriesInstanceUID"):
            uid = str(item.get(keyword, ""))
            if uid in moved:
                setattr(item, keyword, moved[uid])
    return anew


def _items(dataset: Dataset) -> Iterator[Dataset]:
    """Yield all items of all sequences below a data set, but not itself."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value or []:
                yield item
                yield from _items(item)


def _observer(verifier: Verifier) -> Dataset:
    """Return an item of a Verifying Observer Sequence."""
    item = Dataset()
    item.VerifyingOrganization = verifier.organization
    item.VerificationDateTime = f"{verifier.at.astimezone(UTC):%Y%m%d%H%M%S}+0000"
    item.VerifyingObserverName = verifier.name
    # Type 2: the people of a site have no codes here.
    item.VerifyingObserverIdentificationCodeSequence = []
    return item
