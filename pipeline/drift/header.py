"""What a header says of equipment and sequence: names as the site allows them, and numbers.

No attribute of a patient is looked at.
"""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from pipeline.driftsettings import DriftSettings
from pipeline.errors import UnreadableFile
from pipeline.identity import digest_bytes
from pipeline.ingest.attributes import CONVERSION_ERRORS, items, optional_number, readable_text
from pipeline.quiet import quietly

EQUIPMENT = {
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "station": "StationName",
    "software": "SoftwareVersions",
}
"""Names of equipment, and their keywords."""

DESCRIPTIONS = {"protocol": "ProtocolName", "series_description": "SeriesDescription"}
"""Texts that people type, and their keywords."""

NUMBERS = {
    "repetition_time_ms": ("RepetitionTime",),
    "echo_time_ms": ("EchoTime", "EffectiveEchoTime"),
    "inversion_time_ms": ("InversionTime",),
    "flip_angle_deg": ("FlipAngle",),
    "slice_thickness_mm": ("SliceThickness",),
    "field_strength_t": ("MagneticFieldStrength",),
    "pixel_bandwidth_hz": ("PixelBandwidth",),
}
"""Parameters of the sequence, and their keywords: classic first, then enhanced."""

LONGEST = 64
"""Characters of a name that are kept."""

CODE_DIGITS = 8
"""Hexadecimal digits of the code that stands for a text."""


def header_numbers(header: Dataset | None) -> dict[str, float]:
    """Return the parameters of the sequence that a header states, also an enhanced one's."""
    if header is None:
        return {}
    found = {}
    with quietly():
        places = [header, *_shared(header)]
        for name, keywords in NUMBERS.items():
            stated = (optional_number(place, key) for key in keywords for place in places)
            value = next((v for v in stated if v is not None), None)
            if value is not None:
                found[name] = value
    return found


def header_categories(header: Dataset | None, settings: DriftSettings) -> dict[str, str]:
    """Return names of equipment and descriptions, as the site allows them."""
    if header is None:
        return {}
    found = {}
    for keywords, naming in (
        (EQUIPMENT, settings.equipment),
        (DESCRIPTIONS, settings.descriptions),
    ):
        for name, keyword in keywords.items():
            kept = _kept(readable_text(header, keyword), naming)
            if kept:
                found[name] = kept
    return found


def _kept(value: str, naming: str) -> str:
    """Return what is kept of a text."""
    if not value or naming == "none":
        return ""
    if naming == "hashed":
        return f"#{digest_bytes(value.encode('utf-8', 'backslashreplace'))[:CODE_DIGITS]}"
    return "".join(c if c.isprintable() else "?" for c in value)[:LONGEST]


def _shared(header: Dataset) -> Iterator[Dataset]:
    """Yield the items of an enhanced object's shared functional groups (PS3.3, C.7.6.16)."""
    try:
        for groups in items(header, "SharedFunctionalGroupsSequence")[:1]:
            for element in groups:
                if element.VR == "SQ":
                    yield from list(element.value)[:1]
    except (UnreadableFile, *CONVERSION_ERRORS):
        return
