"""Data sets that are encoded here, byte by byte, so that every form of PS3.5, 7 can be had."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

from pipeline.quiet import quietly

EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)
BIG, DEFLATED = str(ExplicitVRBigEndian), str(DeflatedExplicitVRLittleEndian)

LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
"""Value representations whose length has four bytes (PS3.5, Table 7.1-1)."""

UNDEFINED = 0xFFFFFFFF
MR = str(MRImageStorage)


@dataclass(frozen=True, slots=True)
class Element:
    """An element whose value is bytes, or items of elements."""

    tag: int
    kind: str
    value: "bytes | Sequence[Item]"
    is_defined: bool = True


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a sequence."""

    elements: Sequence[Element]
    is_defined: bool = True


def encoded(elements: Sequence[Element], syntax: str) -> bytes:
    """Return elements as a transfer syntax has them."""
    plain = b"".join(
        _element(one, ">" if syntax == BIG else "<", is_explicit=syntax != IMPLICIT)
        for one in elements
    )
    if syntax != DEFLATED:
        return plain
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflating.compress(plain) + deflating.flush()
    return deflated + bytes(len(deflated) % 2)


def _element(element: Element, order: str, *, is_explicit: bool) -> bytes:
    """Return an element; the items of one of VR UN are implicit (PS3.5, 6.2.2)."""
    if isinstance(element.value, bytes):
        value = element.value
    else:
        inside = is_explicit and element.kind != "UN"
        value = b"".join(_item(item, order, is_explicit=inside) for item in element.value)
    length = len(value) if element.is_defined else UNDEFINED
    if not element.is_defined:
        value += struct.pack(f"{order}HHL", 0xFFFE, 0xE0DD, 0)
    tag = struct.pack(f"{order}HH", element.tag >> 16, element.tag & 0xFFFF)
    if not is_explicit:
        return tag + struct.pack(f"{order}L", length) + value
    if element.kind in LONG:
        return tag + element.kind.encode() + bytes(2) + struct.pack(f"{order}L", length) + value
    return tag + element.kind.encode() + struct.pack(f"{order}H", length) + value


def _item(item: Item, order: str, *, is_explicit: bool) -> bytes:
    """Return an item of a sequence."""
    value = b"".join(_element(one, order, is_explicit=is_explicit) for one in item.elements)
    length = len(value) if item.is_defined else UNDEFINED
    end = b"" if item.is_defined else struct.pack(f"{order}HHL", 0xFFFE, 0xE00D, 0)
    return struct.pack(f"{order}HHL", 0xFFFE, 0xE000, length) + value + end


def uid(tag: int, value: str) -> Element:
    """Return an element of VR UI."""
    return Element(tag, "UI", value.encode() + bytes(len(value) % 2))


def identity(
    number: int = 1, *, study: int = 1, series: int = 1, sop_class: str = MR
) -> list[Element]:
    """Return the elements that say what an instance is."""
    return [
        uid(0x00080016, sop_class),
        uid(0x00080018, f"2.25.1{number:06d}"),
        uid(0x0020000D, f"2.25.2{study:06d}"),
        uid(0x0020000E, f"2.25.3{series:06d}"),
    ]


def instance(
    number: int = 1,
    *more: Element,
    study: int = 1,
    syntax: str = EXPLICIT,
    pixels: bytes = bytes(range(8)),
) -> bytes:
    """Return the data set of a small instance."""
    elements = [*identity(number, study=study), *more, Element(0x7FE00010, "OW", pixels)]
    return encoded(sorted(elements, key=lambda one: one.tag), syntax)


def meta(sop_instance_uid: str, syntax: str, sop_class_uid: str = MR) -> bytes:
    """Return preamble and meta information of a file, as pydicom writes it."""
    told = FileMetaDataset()
    told.MediaStorageSOPClassUID, told.MediaStorageSOPInstanceUID = sop_class_uid, sop_instance_uid
    told.TransferSyntaxUID = syntax
    told.ImplementationClassUID = "1.2.3"
    buffer = BytesIO()
    buffer.write(bytes(128) + b"DICM")
    write_file_meta_info(buffer, told)
    return buffer.getvalue()


def read_by_pydicom(data: bytes, syntax: str) -> FileDataset:
    """Return what pydicom reads out of an encoded data set."""
    with quietly():
        return dcmread(BytesIO(meta("2.25.1", syntax) + data), force=True)


def write_instance(path: Path, number: int = 1, **changes: object) -> Path:
    """Write a small instance into a file."""
    syntax = str(changes.get("syntax", EXPLICIT))
    content = instance(number, **changes)  # type: ignore[arg-type]
    path.write_bytes(meta(f"2.25.1{number:06d}", syntax) + content)
    return path


def uids_of(dataset: Dataset) -> tuple[str, str, str, str]:
    """Return the UIDs that say what an instance is."""
    return (
        str(dataset.SOPClassUID),
        str(dataset.SOPInstanceUID),
        str(dataset.StudyInstanceUID),
        str(dataset.SeriesInstanceUID),
    )
