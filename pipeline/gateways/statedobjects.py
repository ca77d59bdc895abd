"""What the conformance statement says of the objects that are created.

The tests hold each line against written objects.
"""

from collections.abc import Iterator, Mapping

from pydicom.datadict import tag_for_keyword

from pipeline.analyses.phases.ontology import load_procedure

COMMON: Mapping[str, str] = {
    "SpecificCharacterSet": "source; absent where the source has none",
    "PatientName": "source, or empty",
    "PatientID": "source, or empty",
    "PatientBirthDate": "source, or empty",
    "PatientSex": "source, or empty",
    "StudyInstanceUID": "source; of raw data without a study: derived from their digest",
    "StudyDate": "source, or empty",
    "StudyTime": "source, or empty",
    "StudyID": "source, or empty",
    "AccessionNumber": "source, or empty",
    "ReferringPhysicianName": "source, or empty",
    "SeriesInstanceUID": "derived from the job, `2.25.`",
    "SeriesNumber": "100 times the source's, and a number for the kind of object",
    "SeriesDescription": "`Vesalius ...`, by the kind of object",
    "SOPInstanceUID": "derived from the job, `2.25.`",
    "InstanceNumber": "1, or the number within the series",
    "ContentDate": "date of the source's acquisition; `19000101` where it states none",
    "ContentTime": "time of the source's acquisition; `000000` where it states none",
    "Manufacturer": "`Vesalius`",
    "ManufacturerModelName": "`Vesalius`",
    "SoftwareVersions": "version of the software",
    "DeviceSerialNumber": "first 16 digits of the digest of the model bundle",
    "ContributingEquipmentSequence": "the software with name, version and SHA-256 of the bundle",
    "ContentQualification": "`RESEARCH`",
}
"""Attributes of every object."""

_FRAMES: Mapping[str, str] = {
    "FrameOfReferenceUID": "source",
    "NumberOfFrames": "one for each slice, and for each segment where it is BINARY",
    "DimensionOrganizationSequence": "UID derived from the job",
    "DimensionIndexSequence": "position, and segment where it is BINARY",
    "SharedFunctionalGroupsSequence": "orientation, spacing",
    "PerFrameFunctionalGroupsSequence": "position; derivation with every source frame of the slice",
    "ReferencedSeriesSequence": "every instance of the source",
}

_SEGMENTATION: Mapping[str, str] = {
    **_FRAMES,
    "SegmentationType": "`BINARY`, or `LABELMAP`",
    "SegmentSequence": "LV myocardium, LV blood pool: SCT codes, the algorithm, a colour",
}

_DOCUMENT: Mapping[str, str] = {
    "CompletionFlag": "`COMPLETE`",
    "VerificationFlag": "`UNVERIFIED`",
    "ConceptNameCodeSequence": "title",
    "ContentSequence": "the tree",
    "CurrentRequestedProcedureEvidenceSequence": "every instance that the tree refers to",
    "CodingSchemeIdentificationSequence": "99VESALIUS",
}

_IMAGE: Mapping[str, str] = {
    "ImageType": "`DERIVED`, `PRIMARY`, ...",
    "FrameOfReferenceUID": "the reference series', or derived from the raw data",
    "DerivationDescription": "how it was reconstructed, with the residual of the samples",
    "BitsStored": "12",
    "BurnedInAnnotation": "`NO`",
    "CodingSchemeIdentificationSequence": "99VESALIUS",
}

OWN: Mapping[str, Mapping[str, str]] = {
    "1.2.840.10008.5.1.4.1.1.4": {
        **_IMAGE,
        "ScanningSequence": "as known; `RM` where it is not",
        "ImagePositionPatient": "of the slice",
    },
    "1.2.840.10008.5.1.4.1.1.4.1": {
        **_IMAGE,
        "NumberOfFrames": "slices times beats",
        "PerFrameFunctionalGroupsSequence": "position, time",
    },
    "1.2.840.10008.5.1.4.1.1.7": {
        "ConversionType": "`WSD`",
        "ImageType": "`DERIVED`, `SECONDARY`, `OTHER`",
        "PhotometricInterpretation": "`RGB`",
        "SourceImageSequence": "what is shown",
    },
    "1.2.840.10008.5.1.4.1.1.30": {
        **_FRAMES,
        "ContentLabel": "`UNCERTAINTY`, `FLOW`, `RESEARCH` of a flow from signals",
        "FloatPixelData": "standard deviation or flow, float32",
    },
    "1.2.840.10008.5.1.4.1.1.66.4": _SEGMENTATION,
    "1.2.840.10008.5.1.4.1.1.66.7": _SEGMENTATION,
    "1.2.840.10008.5.1.4.1.1.88.22": _DOCUMENT,
    "1.2.840.10008.5.1.4.1.1.88.34": {
        **_DOCUMENT,
        "ContentTemplateSequence": "TID 1500, DCMR",
    },
    "1.2.840.10008.5.1.4.1.1.104.1": {
        "ConversionType": "`WSD`",
        "ConceptNameCodeSequence": "(25056-3, LN, MRI Report)",
        "DocumentTitle": (
            "`First-pass myocardial perfusion`, or `Myocardial perfusion, rest and stress`"
        ),
        "BurnedInAnnotation": "`YES`: the page names the patient",
        "SourceInstanceSequence": "every instance of the source; of a reserve, both reports",
        "MIMETypeOfEncapsulatedDocument": "`application/pdf`",
        "EncapsulatedDocument": "a page of A4",
    },
    "1.2.840.10008.5.1.4.1.1.88.59": {
        "ConceptNameCodeSequence": "(113000, DCM, Of Interest)",
        "ContentTemplateSequence": "TID 2010, DCMR",
        "ContentSequence": "the software as observer, a description, references",
        "CurrentRequestedProcedureEvidenceSequence": "every instance that is referred to",
    },
}
"""Attributes beside them, by SOP class."""

CODES = (
    ("zero-filled", "Zero-filled reconstruction", "Derivation Code"),
    ("noise-spread", "Propagation of noise through a reconstruction", "Derivation Code"),
    ("signal-deviation", "Standard deviation of reconstructed intensity", "quantity of a map"),
    ("uncertainty", "Uncertainty of segmentation", "quantity of a map"),
    ("relative-upslope", "Upslope relative to LV blood pool", "measurement"),
    ("relative-conc", "Upslope of concentration relative to LV blood pool", "measurement"),
    ("baseline", "Mean intensity before contrast", "measurement"),
    ("baseline-noise", "Deviation of intensity before contrast", "measurement"),
    ("peak-enhancement", "Peak intensity above that before contrast", "measurement"),
    ("contrast-ratio", "Peak enhancement relative to that before contrast", "measurement"),
    ("contrast-noise", "Peak enhancement relative to noise", "measurement"),
    ("mpri", "Myocardial perfusion reserve index", "measurement"),
    ("relative-at-rest", "Relative upslope at rest", "measurement"),
    ("relative-stress", "Relative upslope under stress", "measurement"),
    ("motion", "Motion between heart beats", "measurement"),
    ("residual-motion", "Motion of the heart left after correction", "measurement"),
    ("u-pp", "Uncertainty per myocardial pixel", "measurement"),
    ("failure-probability", "Probability of failed segmentation", "measurement"),
    ("trust", "Trust in segmentation", "qualitative evaluation"),
    ("trusted", "Trusted", "trust in segmentation"),
    ("review", "For review", "trust in segmentation"),
    ("not-trusted", "Not trusted", "trust in segmentation"),
    ("not-calibrated", "Trust not calibrated", "trust in segmentation"),
    (
        "research-flow",
        "Research, from signal: deconvolved upslope, no flow",
        "measurement; quantity of a map",
    ),
    ("fermi-fit", "Deconvolution by a Fermi function", "method of a flow"),
    ("model-free", "Deconvolution without a model", "method of a flow"),
    ("OBSERVED", "Observed course", "report of phases"),
    ("EXPECTED", "Expected course", "report of phases"),
    ("ISSUED-AT", "Expected as of", "report of phases"),
    ("STARTS-IN", "Expected to start in", "report of phases"),
    ("LASTS", "Expected duration", "report of phases"),
    ("HORIZON", "Segments looked ahead", "report of phases"),
    ("REMAINING", "Expected time to end of operation", "report of phases"),
    ("EXPECTED-BY", "Expected by", "report of phases"),
    ("UNCERTAINTY", "Uncertainty", "report of phases"),
    ("END", "End of operation", "report of phases"),
)
"""Codes of our own, beside those of procedures and their phases."""

PROCEDURES = ("cholecystectomy", "gastric_bypass")
"""Procedures that phases are known of."""


def rows(attributes: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield attributes with their tags."""
    for keyword, value in attributes.items():
        tag = tag_for_keyword(keyword) or 0
        yield keyword, f"({tag >> 16:04X},{tag & 0xFFFF:04X})", value


def private_codes() -> Iterator[tuple[str, str, str]]:
    """Yield the codes of our own."""
    yield from CODES
    for name in PROCEDURES:
        procedure = load_procedure(name)
        yield procedure.name[:16].upper(), procedure.title, "procedure reported"
        for phase in procedure.phases:
            yield phase.code, phase.meaning, f"phase of {procedure.title}"
