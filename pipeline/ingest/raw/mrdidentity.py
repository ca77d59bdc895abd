"""What an MRD header says of patient, study and equipment, as DICOM attributes.

Values that DICOM could not hold are left out, as is the accession number: MRD holds it as an
integer, which loses letters and leading zeros, so it may name another order.

References
----------
.. [MRD] ISMRM Raw Data format, schema/ismrmrd.xsd: subjectInformation and the sections after it.
"""

import re
from collections.abc import Callable, Mapping

from pydicom.dataset import Dataset

LONGEST_TEXT = 64
"""Characters of a value of VR LO, and of each component group of PN."""

SEXES = {"M": "M", "F": "F", "O": "O"}

TEXTS = {
    "patientName": "PatientName",
    "patientID": "PatientID",
    "studyID": "StudyID",
    "referringPhysicianName": "ReferringPhysicianName",
    "studyDescription": "StudyDescription",
    "protocolName": "ProtocolName",
    "seriesDescription": "SeriesDescription",
    "institutionName": "InstitutionName",
    "stationName": "StationName",
    "systemVendor": "Manufacturer",
    "systemModel": "ManufacturerModelName",
    "deviceSerialNumber": "DeviceSerialNumber",
}
"""Elements that are texts in both."""

SHORT_TEXTS = {"StudyID": 16, "StationName": 16}
"""Longest values of VR SH."""

NUMBERS = {
    "patientWeight_kg": "PatientWeight",
    "systemFieldStrength_T": "MagneticFieldStrength",
    "TR": "RepetitionTime",
    "TE": "EchoTime",
    "TI": "InversionTime",
    "flipAngle_deg": "FlipAngle",
}
"""Elements that are numbers in both, in the same units: kg, T, ms, degrees."""


def dicom_header(texts: Mapping[str, str]) -> tuple[Dataset, tuple[str, ...]]:
    """Return the DICOM attributes that a header states, and notes on what was left out.

    Parameters
    ----------
    texts
        Text of each element, by its local name.
    """
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.Modality = "MR"
    for element, keyword in TEXTS.items():
        text = texts.get(element, "")
        if 0 < len(text) <= SHORT_TEXTS.get(keyword, LONGEST_TEXT) and _is_printable(text):
            setattr(header, keyword, text)
    for element, keyword in NUMBERS.items():
        value = _positive(texts.get(element, ""))
        if value is not None:
            setattr(header, keyword, f"{value:.10g}")
    for element, keyword, form in (
        ("patientBirthdate", "PatientBirthDate", _date),
        ("studyDate", "StudyDate", _date),
        ("studyTime", "StudyTime", _time),
        ("seriesDate", "SeriesDate", _date),
        ("seriesTime", "SeriesTime", _time),
        ("patientGender", "PatientSex", SEXES.get),
        ("patientPosition", "PatientPosition", _position),
        ("initialSeriesNumber", "SeriesNumber", _series_number),
        ("bodyPartExamined", "BodyPartExamined", _code_string),
        ("studyInstanceUID", "StudyInstanceUID", uid_text),
    ):
        _set(header, keyword, form, texts.get(element))
    accession = "accessionNumber" in texts
    return header, ("the MRD accession number is an integer and was left out",) * accession


def uid_text(text: str | None) -> str | None:
    """Return a text that is a UID; None if it is none."""
    matches = text is not None and re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", text)
    return text if matches and text is not None and len(text) <= 64 else None


def _set(
    header: Dataset, keyword: str, form: Callable[[str], str | None], text: str | None
) -> None:
    """Set an attribute to the form that DICOM has for a text, if it has one."""
    value = form(text) if text else None
    if value:
        setattr(header, keyword, value)


def _is_printable(text: str) -> bool:
    """Tell whether a text has neither control characters nor the backslash that parts values."""
    return text.isprintable() and "\\" not in text


def _positive(text: str) -> float | None:
    """Return a positive number; None if the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 < value < 1e9 else None


def _date(text: str) -> str | None:
    """Return a date of XML, such as 2001-02-28, as DA."""
    found = re.match(r"(\d{4})-(\d{2})-(\d{2})", text)
    return "".join(found.groups()) if found else None


def _time(text: str) -> str | None:
    """Return a time of XML, such as 13:05:59.5, as TM."""
    found = re.match(r"(\d{2}):(\d{2}):(\d{2})(\.\d{1,6})?", text)
    return "".join(part or "" for part in found.groups()) if found else None


def _position(text: str) -> str | None:
    """Return a patient position of C.7.3.1.1.2."""
    return text if re.fullmatch(r"(HF|FF)(S|P|DR|DL)", text) else None


def _series_number(text: str) -> str | None:
    """Return a series number."""
    return text if re.fullmatch(r"\d{1,7}", text) else None


def _code_string(text: str) -> str | None:
    """Return a value of VR CS."""
    upper = text.upper()
    return upper if re.fullmatch(r"[A-Z0-9 _]{1,16}", upper) else None
