"""Whether a DICOM file is whole: its meta information, its elements, its pixel data.

References
----------
.. [P310] DICOM PS3.10, 7.1 DICOM file meta information.
.. [P582] DICOM PS3.5, 8.1 pixel data, A.4 encapsulated pixel data.
"""

import math
from collections.abc import Iterator
from contextlib import closing
from mmap import ACCESS_READ, mmap
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames, parse_basic_offsets, parse_fragments
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from pipeline.deliver.elementrules import named
from pipeline.errors import UnreadableFile
from pipeline.ingest.decoding import Decoder
from pipeline.ingest.dicomfile import PARSE_ERRORS, PREAMBLE
from pipeline.ingest.limits import in_force
from pipeline.ingest.pixelmodule import COMPRESSED
from pipeline.ingest.structure import ITEM, SEQUENCE_END, Encoding, Structure, walk

META = {
    0x00020001: "FileMetaInformationVersion",
    0x00020002: "MediaStorageSOPClassUID",
    0x00020003: "MediaStorageSOPInstanceUID",
    0x00020010: "TransferSyntaxUID",
    0x00020012: "ImplementationClassUID",
}
"""Attributes of type 1 of the file meta information [P310]_."""

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

VIDEO = "1.2.840.10008.1.2.4.10"
"""Beginning of the UIDs of MPEG-2, H.264 and HEVC: 1.2.840.10008.1.2.4.100 to .108."""

LARGEST_DECODED = 256 * 1024**2
"""Files up to which compressed frames are decoded to be sure of them [byte]."""


def incomplete_structure(path: Path, syntax: UID) -> Iterator[str]:
    """Yield that a file is cut, or that its elements do not fit into each other.

    Parameters
    ----------
    path
        A file with a preamble and meta information.
    syntax
        Its transfer syntax.
    """
    if syntax == DeflatedExplicitVRLittleEndian:
        return
    encoding = Encoding(
        implicit=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian
    )
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        try:
            _walk_all(data, _dataset_start(data), encoding)
        except UnreadableFile as problem:
            yield f"{problem} [PS3.5 7.1]"


def _walk_all(data: mmap, start: int, encoding: Encoding) -> None:
    """Walk a data set, its pixel data, and what follows them."""
    while start < len(data):
        found = Structure()
        walk(data, start, encoding, in_force().max_nesting, found)
        if found.pixels is None:
            return
        value = len(data) - found.pixels.available
        if found.pixels.length is None:
            start = _past_fragments(data, value)
        else:
            start = value + found.pixels.length
        if start > len(data):
            over = start - len(data)
            raise UnreadableFile(f"truncated: {named(found.pixels.tag)} lacks {over} bytes")


def _past_fragments(data: mmap, position: int) -> int:
    """Return where encapsulated pixel data end."""
    while position + 8 <= len(data):
        group, element, length = (
            int.from_bytes(data[position + a : position + b], "little")
            for a, b in ((0, 2), (2, 4), (4, 8))
        )
        tag = group << 16 | element
        position += 8
        if tag == SEQUENCE_END:
            return position
        if tag != ITEM:
            break
        position += length
    raise UnreadableFile("truncated: the fragments of PixelData (7FE0,0010) have no end")


def _dataset_start(data: mmap) -> int:
    """Return where the data set begins: after the stated length of the meta information."""
    start = PREAMBLE + 4
    if data[start : start + 4] != b"\x02\x00\x00\x00":
        raise UnreadableFile("FileMetaInformationGroupLength (0002,0000) is missing")
    length = int.from_bytes(data[start + 8 : start + 12], "little")
    begins = start + 12 + length
    if begins + 8 > len(data) or data[begins : begins + 2] == b"\x02\x00":
        raise UnreadableFile("FileMetaInformationGroupLength (0002,0000) is not their length")
    return begins


def wrong_meta(dataset: Dataset) -> Iterator[str]:
    """Yield what is wrong with file meta information, or is not what the data set says [P310]_.

    Parameters
    ----------
    dataset
        As read from a file.
    """
    meta = dataset.file_meta
    for tag, keyword in META.items():
        if not meta.get(keyword):
            yield f"{named(tag)}: type 1 and missing or empty [PS3.10 7.1]"
    for tag, said, stated in (
        (0x00020002, "MediaStorageSOPClassUID", "SOPClassUID"),
        (0x00020003, "MediaStorageSOPInstanceUID", "SOPInstanceUID"),
    ):
        if meta.get(said) and meta.get(said) != dataset.get(stated):
            yield f"{named(tag)}: not the {stated} of the data set [PS3.10 7.1]"
    groups = {tag.group for tag in list(dataset.keys())}
    if 2 in groups:
        yield "an attribute of group 0002 in the data set [PS3.10 7.1]"
    if groups & {0, 1}:
        yield "a command attribute, of group 0000, in the data set [PS3.10 7.2]"
    syntax = meta.get("TransferSyntaxUID")
    if syntax and not UID(syntax).is_transfer_syntax:
        yield f"{named(0x00020010)}: no transfer syntax of PS3.6, A [PS3.10 7.1]"


def wrong_pixels(path: Path, dataset: Dataset) -> Iterator[str]:
    """Yield what is wrong with the length, or the number of frames, of pixel data [P582]_.

    Parameters
    ----------
    path
        The file.
    dataset
        As read from it.
    """
    held = [keyword for keyword in PIXEL_KEYWORDS if keyword in dataset]
    if len(held) > 1:
        yield f"{' and '.join(held)}: only one may be there [PS3.3 C.7.6.3]"
    if not held:
        if "Rows" in dataset and "Columns" in dataset:
            yield f"{named(0x7FE00010)}: missing, but there are rows and columns [PS3.3 C.7.6.3]"
        return
    try:
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        if syntax.is_encapsulated and held[0] == "PixelData":
            yield from _wrong_encapsulated(path, dataset, syntax)
        else:
            yield from _wrong_native(dataset, held[0])
    except PARSE_ERRORS:
        # Not chained: pydicom's text quotes values.
        yield f"{held[0]}: its description cannot be read [PS3.3 C.7.6.3]"


def _n_frames(dataset: Dataset) -> int:
    """Return the number of frames."""
    return int(dataset.get("NumberOfFrames") or 1)


def _wrong_native(dataset: Dataset, keyword: str) -> Iterator[str]:
    """Yield that native pixel data are not as long as their description says."""
    bits = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(keyword)
    bits = bits or int(dataset.BitsAllocated)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    values = _n_frames(dataset) * int(dataset.Rows) * int(dataset.Columns) * samples
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
        values = values * 2 // 3
    expected = (values * bits + 7) // 8
    expected += expected % 2
    found = len(dataset[keyword].value or b"")
    if found != expected:
        yield (
            f"{keyword}: {found} bytes, {expected} are described by rows, columns, frames, "
            "samples and bits [PS3.5 8.1.1]"
        )


def _wrong_encapsulated(path: Path, dataset: Dataset, syntax: UID) -> Iterator[str]:
    """Yield that encapsulated frames are not those that are described."""
    content, expected = dataset.PixelData, _n_frames(dataset)
    n_fragments, _ = parse_fragments(content)
    offsets = parse_basic_offsets(content)
    if syntax.startswith(VIDEO):
        if n_fragments < 2:
            yield "PixelData (7FE0,0010): a video without a fragment [PS3.5 A.4]"
        return
    if offsets and len(offsets) != expected:
        yield (
            f"PixelData (7FE0,0010): an offset table of {len(offsets)} frames, "
            f"{expected} are described [PS3.5 A.4]"
        )
        return
    try:
        found = sum(1 for _ in generate_frames(content, number_of_frames=expected))
    except PARSE_ERRORS:
        found = 0
    if found != expected:
        yield (f"PixelData (7FE0,0010): {found} frames, {expected} are described [PS3.5 A.4]")
    elif syntax in COMPRESSED and path.stat().st_size <= LARGEST_DECODED:
        yield from _undecodable(path, dataset, expected)


def _undecodable(path: Path, dataset: Dataset, n_frames: int) -> Iterator[str]:
    """Yield that compressed frames cannot be decoded; done in a process of its own."""
    values = (n_frames, dataset.Rows, dataset.Columns, dataset.get("SamplesPerPixel", 1))
    with closing(Decoder()) as decoder:
        try:
            decoder.decode(path.read_bytes(), math.prod(values) * dataset.BitsAllocated // 8)
        except UnreadableFile:
            yield "PixelData (7FE0,0010): its frames cannot be decoded [PS3.5 A.4]"
