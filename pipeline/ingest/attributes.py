"""Read single attributes of a header, as numbers and text that can be relied on.

A value that breaks its own rules is refused by keyword and tag; the value itself is never quoted.
"""

import math

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue

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
        return list(item.get(keyword) or [])
    except CONVERSION_ERRORS:
        raise UnreadableFile(f"{tag_text(keyword)} cannot be parsed") from None


def optional_numbers(item: Dataset, keyword: str) -> tuple[float, ...] | None:
    """Return the numbers of an attribute; None where it is missing or empty.

    Raises
    ------
    UnreadableFile
        If it holds something that is no number.
    """
    try:
        value = item.get(keyword)
        if value is None or value in ("", []):
            return None
        parts = value if isinstance(value, MultiValue | list) else [value]
        return tuple(float(part) for part in parts)
    except CONVERSION_ERRORS:
        raise UnreadableFile(f"{tag_text(keyword)} is no number") from None
