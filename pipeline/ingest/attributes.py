"""Read single attributes of a header, as numbers and text that can be relied on.

A value that breaks its own rules is refused by keyword and tag; the value itself is never quoted.

The instances of a series say mostly the same, and to convert a value takes longer than to find it.
So what the bytes of a short value mean is kept: a series then costs little more than what differs.
Nothing of the patient's own group is kept.
"""

import math
from functools import cache
from typing import TypeVar

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from pipeline.errors import UnreadableFile
from pipeline.quiet import quietly

CONVERSION_ERRORS = (
    BytesLengthException,
    ValueError,
    TypeError,
    OverflowError,
    AttributeError,
    LookupError,
    NotImplementedError,
    EOFError,
)
"""What pydicom raises when it converts a value that is not what its VR says. Its text quotes the
value, so none of these is ever chained to an error of ours."""

KEPT_VRS = frozenset(
    {"AE", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "SL", "SS", "TM", "UI", "UL", "US"}
)
"""Value representations whose values mean the same in every data set: no character set matters."""

LONGEST_KEPT, MOST_KEPT = 128, 8192
"""Longest value whose meaning is kept [byte], and how many are."""

PATIENT_GROUP = 0x0010

Meaning = TypeVar("Meaning")

_texts: dict[tuple[object, ...], str] = {}
_numbers: dict[tuple[object, ...], tuple[float, ...] | None] = {}
"""What values mean; emptied when it is full."""


def tag_text(keyword: str) -> str:
    """Return a keyword with its tag, as ``PixelSpacing (0028,0030)``."""
    tag = tag_for_keyword(keyword) or 0
    return f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def numbers(item: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """Return the numbers of an attribute.

    Raises
    ------
    UnreadableFile
        If the attribute is missing or does not hold ``count`` finite numbers.
    """
    found = optional_numbers(item, keyword)
    if found is None:
        raise UnreadableFile(f"{tag_text(keyword)} is missing")
    if len(found) != count or not all(math.isfinite(v) for v in found):
        raise UnreadableFile(f"{tag_text(keyword)} does not hold {count} finite numbers")
    return found


def number(item: Dataset, keyword: str, default: float | None = None) -> float:
    """Return the one number of an attribute, or a default where it is missing or empty.

    Raises
    ------
    UnreadableFile
        If it is missing and has no default, or is no finite number.
    """
    if default is not None and optional_numbers(item, keyword) is None:
        return default
    return numbers(item, keyword, 1)[0]


def optional_number(item: Dataset, keyword: str) -> float | None:
    """Return the one number of an attribute; None where it is missing, empty or no number."""
    try:
        found = optional_numbers(item, keyword)
    except UnreadableFile:
        return None
    return found[0] if found and len(found) == 1 and math.isfinite(found[0]) else None


def whole_number(item: Dataset, keyword: str, default: int | None = None) -> int:
    """Return the one integer of an attribute, or a default where it is missing or empty.

    Raises
    ------
    UnreadableFile
        If it is missing and has no default, or is no integer.
    """
    value = number(item, keyword, None if default is None else float(default))
    if value != int(value):
        raise UnreadableFile(f"{tag_text(keyword)} is no integer")
    return int(value)


def text(item: Dataset, keyword: str) -> str:
    """Return an attribute as text, its values joined by a backslash; empty where it is missing."""
    element = _element(item, keyword)
    if element is None:
        return ""
    key = _key(element)
    if key in _texts:
        return _texts[key]
    found = _converted_text(item, keyword)
    _keep(_texts, key, found)
    return found


def _converted_text(item: Dataset, keyword: str) -> str:
    """Return an attribute that is there as text."""
    try:
        value = item.get(keyword)
    except CONVERSION_ERRORS:
        raise UnreadableFile(f"{tag_text(keyword)} cannot be read") from None
    if value is None:
        return ""
    parts = value if isinstance(value, MultiValue | list) else [value]
    return "\\".join(str(part).strip() for part in parts)


def readable_text(item: Dataset, keyword: str) -> str:
    """Return an attribute as text; empty where it is missing or cannot be read."""
    try:
        with quietly():
            return text(item, keyword)
    except UnreadableFile:
        return ""


def items(item: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; none where it is missing.

    Raises
    ------
    UnreadableFile
        If it cannot be parsed.
    """
    try:
        return list(item.get(keyword) or []) if _tag(keyword) in item else []
    except CONVERSION_ERRORS:
        raise UnreadableFile(f"{tag_text(keyword)} cannot be parsed") from None


def optional_numbers(item: Dataset, keyword: str) -> tuple[float, ...] | None:
    """Return the numbers of an attribute; None where it is missing or empty.

    Raises
    ------
    UnreadableFile
        If it holds something that is no number.
    """
    element = _element(item, keyword)
    if element is None:
        return None
    key = _key(element)
    if key in _numbers:
        return _numbers[key]
    found = _converted_numbers(item, keyword)
    _keep(_numbers, key, found)
    return found


def _converted_numbers(item: Dataset, keyword: str) -> tuple[float, ...] | None:
    """Return the numbers of an attribute that is there."""
    try:
        value = item.get(keyword)
        if value is None or value in ("", []):
            return None
        parts = value if isinstance(value, MultiValue | list) else [value]
        return tuple(float(part) for part in parts)
    except CONVERSION_ERRORS:
        raise UnreadableFile(f"{tag_text(keyword)} is no number") from None


@cache
def _tag(keyword: str) -> BaseTag:
    """Return the tag of a keyword."""
    return Tag(keyword)


def _element(item: Dataset, keyword: str) -> DataElement | RawDataElement | None:
    """Return an element as it was read, or as it was converted since; None where it is missing."""
    try:
        return item.get_item(_tag(keyword), keep_deferred=True)
    except CONVERSION_ERRORS:
        raise UnreadableFile(f"{tag_text(keyword)} cannot be read") from None


def _key(element: DataElement | RawDataElement) -> tuple[object, ...] | None:
    """Return all that the meaning of a value depends on; None if it is not to be kept."""
    if (
        not isinstance(element, RawDataElement)
        or element.VR not in KEPT_VRS
        or element.length > LONGEST_KEPT
        or element.tag.group == PATIENT_GROUP
    ):
        return None
    return (element.tag, element.VR, element.value, element.is_little_endian)


def _keep(
    known: dict[tuple[object, ...], Meaning], key: tuple[object, ...] | None, found: Meaning
) -> None:
    """Keep what a value means."""
    if key is None:
        return
    if len(known) >= MOST_KEPT:
        known.clear()
    known[key] = found
