"""What differs between two files of a result: their content, or only how it is written.

Of a data set, elements are named by tag and keyword and their values are not told: they may be a
patient's. Numbers of results are told.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pydicom
from PIL import Image, UnidentifiedImageError
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from pipeline.quiet import quietly

MOST_TOLD = 20
"""Differences of a file that are told."""

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
"""Elements that hold pixels."""

VOX_OFFSET = slice(108, 112)
"""Where a NIfTI-1 header says where its values begin."""

NIFTI_HEADER = 352
"""Bytes of a NIfTI-1 header with its mark of extensions."""


class Depth(StrEnum):
    """How deep a difference goes."""

    CONTENT = "content"
    """Pixels, values, numbers or text."""

    HEADER = "header"
    """What is said of the content."""

    BYTES = "bytes"
    """Neither, as far as the format is understood: only how it is written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How two files differ."""

    depth: Depth
    """How deep it goes."""

    told: tuple[str, ...]
    """The places: tags, paths of JSON, lines; no values of a header."""


def difference(before: Path, now: Path) -> Difference | None:
    """Return how two files differ; None if they are the same byte for byte.

    Parameters
    ----------
    before, now
        The files; the name of the first says what they are.

    Raises
    ------
    OSError
        If one cannot be read.
    """
    first, second = before.read_bytes(), now.read_bytes()
    if first == second:
        return None
    name = before.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _of_nifti(first, second)
    if name.endswith(".dcm"):
        return _of_dicom(before, now)
    if name.endswith(".json"):
        return _of_json(first, second)
    if name.endswith(".png"):
        return _of_picture(before, now)
    return _of_text(first, second)


def json_differences(before: object, now: object, at: str = "") -> Iterator[str]:
    """Yield where JSON values differ, with both where they are numbers."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted({*before, *now}):
            inner = f"{at}.{key}" if at else str(key)
            if key in before and key in now:
                yield from json_differences(before[key], now[key], inner)
            else:
                yield f"{inner}: only {'before' if key in before else 'now'}"
    elif isinstance(before, list | tuple) and isinstance(now, list | tuple):
        if len(before) != len(now):
            yield f"{at}: {len(before)} items before, {len(now)} now"
        for index, (one, other) in enumerate(zip(before, now, strict=False)):
            yield from json_differences(one, other, f"{at}[{index}]")
    elif before != now:
        is_told = all(isinstance(v, int | float | None) for v in (before, now))
        yield f"{at}: {before} -> {now}" if is_told else f"{at}: another text"


def _of_dicom(before: Path, now: Path) -> Difference:
    """Return how two DICOM files differ, element by element."""
    try:
        with quietly():
            first, second = pydicom.dcmread(before), pydicom.dcmread(now)
            pixels = [key for key in PIXELS if first.get(key) != second.get(key)]
            others = [
                told
                for one, other in ((first.file_meta, second.file_meta), (first, second))
                for told in _elements(one, other, "")
            ]
    except InvalidDicomError:
        return _of_text(before.read_bytes(), now.read_bytes())
    if pixels:
        return _told(Depth.CONTENT, [*pixels, *others])
    return _told(Depth.HEADER if others else Depth.BYTES, others)


def _elements(before: Dataset, now: Dataset, at: str) -> Iterator[str]:
    """Yield the elements that differ, by tag and keyword; pixels are left out."""
    for tag in sorted({*before.keys(), *now.keys()}):
        keyword = keyword_for_tag(tag)
        if keyword in PIXELS:
            continue
        named = f"{at}({tag >> 16:04X},{tag & 0xFFFF:04X}) {keyword}".rstrip()
        if tag not in before or tag not in now:
            yield f"{named}: only {'before' if tag in before else 'now'}"
            continue
        one, other = before[tag], now[tag]
        if one.VR != "SQ" or other.VR != "SQ":
            if (one.VR, one.value) != (other.VR, other.value):
                yield named
            continue
        if len(one.value) != len(other.value):
            yield f"{named}: {len(one.value)} items before, {len(other.value)} now"
        for index, items in enumerate(zip(one.value, other.value, strict=False)):
            yield from _elements(*items, f"{named}[{index}] > ")


def _of_nifti(before: bytes, now: bytes) -> Difference:
    """Return how two NIfTI files differ: in their values, their headers, or their compression."""
    try:
        first, second = _inflated(before), _inflated(now)
    except (OSError, EOFError, zlib.error):
        return _of_text(before, now)
    if first == second:
        return _told(Depth.BYTES, ["only compressed otherwise"])
    start = _values_begin(first)
    if start != _values_begin(second) or first[start:] == second[start:]:
        places = [n for n, (a, b) in enumerate(zip(first[:start], second, strict=False)) if a != b]
        return _told(Depth.HEADER, [f"header from byte {places[0]}" if places else "header"])
    return _told(Depth.CONTENT, ["values of the image"])


def _inflated(content: bytes) -> bytes:
    """Return a file's bytes, decompressed if they are compressed."""
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _values_begin(content: bytes) -> int:
    """Return where the values of a NIfTI-1 file begin."""
    order = "<" if content[:4] == (348).to_bytes(4, "little") else ">"
    offset = memoryview(content[VOX_OFFSET] if order == "<" else content[VOX_OFFSET][::-1])
    return max(NIFTI_HEADER, int(offset.cast("f")[0])) if len(offset) == 4 else NIFTI_HEADER


def _of_json(before: bytes, now: bytes) -> Difference:
    """Return how two JSON files differ."""
    try:
        found = list(json_differences(json.loads(before), json.loads(now)))
    except ValueError:
        return _of_text(before, now)
    return _told(Depth.CONTENT if found else Depth.BYTES, found)


def _of_picture(before: Path, now: Path) -> Difference:
    """Return how two pictures differ."""
    try:
        with Image.open(before) as one, Image.open(now) as other:
            same = (one.size, one.mode, one.tobytes()) == (other.size, other.mode, other.tobytes())
    except (UnidentifiedImageError, OSError):
        return _of_text(before.read_bytes(), now.read_bytes())
    return _told(Depth.BYTES if same else Depth.CONTENT, [] if same else ["pixels"])


def _of_text(before: bytes, now: bytes) -> Difference:
    """Return how two files of another kind differ: the first line, or byte, that does."""
    pairs = zip(before, now, strict=False)
    first = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(before), len(now)))
    if b"\0" in before or b"\0" in now:
        return _told(Depth.CONTENT, [f"from byte {first}"])
    return _told(Depth.CONTENT, [f"from line {before[:first].count(10) + 1}"])


def _told(depth: Depth, places: Sequence[str]) -> Difference:
    """Return a difference with as many places as are told."""
    more = len(places) - MOST_TOLD
    rest = [f"and {more} more"] if more > 0 else []
    return Difference(depth=depth, told=(*places[:MOST_TOLD], *rest))
