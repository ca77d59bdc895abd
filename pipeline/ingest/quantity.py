"""What values of an image are where that is stated: concentrations of contrast agent, or unknown.

A concentration is told by Rescale Type (0028,1054), by a Real World Value Mapping with units of
UCUM, or, of a NIfTI file, by a JSON file of the same name beside it. Other units are not looked at:
values of MR are then the scanner's own.

References
----------
.. [C76116] DICOM PS3.3, C.7.6.16.2.11 Real World Value Mapping macro.
.. [C111] DICOM PS3.3, C.11.1 Modality LUT module.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from pipeline.errors import UnreadableFile
from pipeline.identity import digest_bytes
from pipeline.imaging.volume import CONCENTRATION_UNIT
from pipeline.ingest.attributes import items, number, optional_numbers, tag_text, text
from pipeline.ingest.pixelmodule import rescale

SPELLINGS = ("mmol/l", "mmol/L")
"""How UCUM spells millimoles a litre."""

CONCENTRATION = "concentration"
"""The quantity that a file beside NIfTI may state."""

MOST_BYTES = 1024 * 1024
"""A larger file beside NIfTI is not read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """How stored values become modality values, and what these are."""

    slope: float
    """What a stored value is multiplied by."""

    intercept: float
    """What is added then."""

    unit: str | None
    """``CONCENTRATION_UNIT``; None where nothing is stated that is known here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """What a file beside NIfTI states."""

    unit: str
    """``CONCENTRATION_UNIT``."""

    sha256: str
    """SHA-256 of the file, hexadecimal: it is part of the input."""


def values_of(transformation: Dataset, mapped: Dataset) -> Values:
    """Return how a frame's stored values become modality values.

    Parameters
    ----------
    transformation
        Holds Rescale Slope, Intercept and Type.
    mapped
        Holds the Real World Value Mapping Sequence.

    Raises
    ------
    UnreadableFile
        If a number is none, a slope is 0, or concentrations are mapped by a table.
    """
    for item in items(mapped, "RealWorldValueMappingSequence"):
        if _is_concentration(item):
            return _mapped(item)
    slope, intercept = rescale(transformation)
    is_concentration = text(transformation, "RescaleType") in SPELLINGS
    unit = CONCENTRATION_UNIT if is_concentration else None
    return Values(slope=slope, intercept=intercept, unit=unit)


def stated_beside(path: Path, name: str) -> Beside | None:
    """Return what the JSON file beside a NIfTI file states; None where it states no quantity.

    Parameters
    ----------
    path
        The NIfTI file.
    name
        How messages name it.

    Raises
    ------
    UnreadableFile
        If it states another quantity than a concentration, or another unit than mmol/l.
    """
    stem = path.name[: -len(".nii.gz")] if path.name.lower().endswith(".gz") else path.stem
    file = path.with_name(f"{stem}.json")
    try:
        content = file.read_bytes() if file.stat().st_size <= MOST_BYTES else b""
        document = json.loads(content)
    except (OSError, ValueError):
        # Converters write all kinds of files there: one that cannot be read states nothing.
        return None
    if not isinstance(document, dict) or "quantity" not in document:
        return None
    if document["quantity"] != CONCENTRATION or document.get("unit") not in SPELLINGS:
        raise UnreadableFile(
            f"{name}: {file.name} states a quantity; known is concentration with the unit mmol/l"
        )
    return Beside(unit=CONCENTRATION_UNIT, sha256=digest_bytes(content))


def _is_concentration(item: Dataset) -> bool:
    """Tell whether a mapping is to millimoles a litre."""
    return any(
        text(unit, "CodeValue") in SPELLINGS and text(unit, "CodingSchemeDesignator") == "UCUM"
        for unit in items(item, "MeasurementUnitsCodeSequence")
    )


def _mapped(item: Dataset) -> Values:
    """Return the line of a mapping."""
    if optional_numbers(item, "RealWorldValueSlope") is None:
        raise UnreadableFile(
            f"{tag_text('RealWorldValueSlope')} is missing: concentrations by a table of values "
            "are not supported"
        )
    slope = number(item, "RealWorldValueSlope")
    if slope == 0:
        raise UnreadableFile(f"{tag_text('RealWorldValueSlope')} is 0: all values would be one")
    return Values(
        slope=slope, intercept=number(item, "RealWorldValueIntercept", 0.0), unit=CONCENTRATION_UNIT
    )
