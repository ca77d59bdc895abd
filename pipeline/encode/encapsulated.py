"""The one-page report inside a DICOM object, beside the images that it is about.

References
----------
.. [A45] DICOM PS3.3, A.45.1 Encapsulated PDF IOD, C.24.2 Encapsulated Document module.
.. [T7020] DICOM PS3.16, CID 7000 titles of reports of diagnostic imaging.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from highdicom import SOPClass
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from pipeline.encode.context import EncodingContext
from pipeline.encode.provenance import identification, settle
from pipeline.encode.sources import coded, name_sources
from pipeline.study import InputSeries

ROLE = "report_page"

KIND = "report_page"
"""Kind of the artifacts: the page, and the object that holds it."""

FILE = "report_page.dcm"
"""The object's file."""

TITLE = "First-pass myocardial perfusion"
"""Document Title (0042,0010)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """What a document is."""

    role: str
    """Role of the object: a key of ``SERIES_NUMBERS``."""

    title: str
    """Document Title (0042,0010)."""

    description: str
    """Series Description (0008,103E)."""


REPORT = Document(role=ROLE, title=TITLE, description="Vesalius report, one page")
"""The page of a perfusion result."""


def page_object(
    page: bytes, source: tuple[InputSeries, Dataset], context: EncodingContext
) -> SOPClass:
    """Return the page of a perfusion result as a DICOM object.

    Parameters
    ----------
    page
        The PDF.
    source
        The series, and the header that patient and study come from.
    context
        What it is made under.
    """
    series, header = source
    frames = Dataset()
    name_sources(frames, series)
    return document_object(page, (REPORT, header, frames.SourceImageSequence), context)


def document_object(
    page: bytes, of: tuple[Document, Dataset, Sequence[Dataset]], context: EncodingContext
) -> SOPClass:
    """Return a page as a DICOM object [A45]_.

    Parameters
    ----------
    page
        The PDF; it says who was imaged.
    of
        What it is, the header that patient and study come from, and references to the instances
        that it is about.
    context
        What it is made under.
    """
    document, header, references = of
    named = identification(document.role, header, context)
    instance = SOPClass(
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=named["series_instance_uid"],
        series_number=named["series_number"],
        sop_instance_uid=named["sop_instance_uid"],
        instance_number=named["instance_number"],
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        manufacturer=named["manufacturer"],
        manufacturer_model_name=named["manufacturer_model_name"],
        software_versions=named["software_versions"],
        device_serial_number=named["device_serial_number"],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=document.description,
        specific_character_set=header.get("SpecificCharacterSet"),
    )
    instance.copy_patient_and_study_information(header)
    instance.ContributingEquipmentSequence = named["contributing_equipment"]
    instance.ConversionType = "WSD"
    instance.AcquisitionDateTime = None
    # The page says who was imaged.
    instance.BurnedInAnnotation = "YES"
    instance.RecognizableVisualFeatures = "NO"
    instance.DocumentTitle = document.title
    instance.ConceptNameCodeSequence = DicomSequence([coded(codes.cid7000.MRIReport)])
    instance.MIMETypeOfEncapsulatedDocument = "application/pdf"
    # Documents refer to instances as a whole, without the numbers of frames.
    instance.SourceInstanceSequence = DicomSequence(_without_frames(item) for item in references)
    instance.EncapsulatedDocumentLength = len(page)
    instance.EncapsulatedDocument = page + b"\0" * (len(page) % 2)
    settle(instance, document.role, header, context)
    return instance


def _without_frames(reference: Dataset) -> Dataset:
    """Return a reference to an instance as a whole."""
    item = Dataset()
    item.ReferencedSOPClassUID = reference.ReferencedSOPClassUID
    item.ReferencedSOPInstanceUID = reference.ReferencedSOPInstanceUID
    return item
