"""Open a DICOM file: recognise it, check its structure, read its header. Pixels stay on disk.

Files without a preamble are read if they begin like a data set. Deflated files are inflated within
limits. Nothing of a data set's content goes into a message but UIDs, tags and numbers.

References
----------
.. [P310] DICOM PS3.10, 7.1 DICOM file meta information.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pipeline.errors import UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.preamble import check_preamble
from pipeline.ingest.structure import (
    LONG_VRS,
    Encoding,
    PixelElement,
    Structure,
    count_fragments,
    walk,
)
from pipeline.ingest.uids import is_uid
from pipeline.quiet import quietly

ENDINGS = (".dcm", ".dicom", ".ima")
"""File name endings that claim to be DICOM."""

PREAMBLE = 128
LONGEST_HEADER = 1 << 20
"""A longer header [byte] is read from the disk, element by element."""

TRANSFER_SYNTAX_UID = 0x00020010

PARSE_ERRORS = (
    BytesLengthException,
    InvalidDicomError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    LookupError,
    NotImplementedError,
    RecursionError,
    struct.error,
    zlib.error,
)
"""What pydicom raises on content that breaks the standard."""

DECODE_ERRORS = (*PARSE_ERRORS, RuntimeError, MemoryError, OSError)
"""What pydicom and its decoders raise on damaged pixel data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomFile:
    """A DICOM file whose structure is sound."""

    path: Path
    """The file."""

    name: str
    """How messages name it: its path under the input."""

    sha256: str
    """SHA-256 of its bytes, hexadecimal."""

    size: int
    """Its length [byte]."""

    transfer_syntax_uid: UID
    """Transfer Syntax UID (0002,0010)."""

    header: Dataset = field(repr=False)
    """Its data set up to the pixel data."""

    pixels: PixelElement | None
    """Where its pixel data lies; None if it has none."""


class BrokenDicomFile(UnreadableFile):
    """A DICOM file cannot be read, but the series it belongs to may be known."""

    def __init__(self, reason: str, found: Structure) -> None:
        super().__init__(reason)
        self.study_instance_uid = found.identity.get(0x0020000D)
        self.series_instance_uid = found.identity.get(0x0020000E)


def looks_like_dicom(path: Path) -> bool:
    """Tell whether a file begins like DICOM or claims to be by its name."""
    with path.open("rb") as file:
        beginning = file.read(PREAMBLE + 4)
    return path.name.lower().endswith(ENDINGS) or _data_starts(beginning) is not None


def read_dicom(path: Path, name: str, limits: Limits) -> DicomFile:
    """Check a file and read its header.

    Raises
    ------
    BrokenDicomFile
        If it is no DICOM file, is cut short, nests too deep, or inflates too far.
    """
    found = Structure()
    try:
        with quietly():
            return _read(path, name, limits, found)
    except UnreadableFile as error:
        raise BrokenDicomFile(f"{name}: {error}", found) from error
    except PARSE_ERRORS:
        # Not chained: pydicom's text quotes values.
        raise BrokenDicomFile(f"{name}: its elements cannot be parsed", found) from None


def parse(content: BinaryIO, *, stop_before_pixels: bool) -> Dataset:
    """Parse a data set whose structure was checked."""
    return pydicom.dcmread(content, stop_before_pixels=stop_before_pixels, force=True)


def _read(path: Path, name: str, limits: Limits, found: Structure) -> DicomFile:
    """Read a file; reasons do not name it."""
    size = path.stat().st_size
    if size == 0:
        raise UnreadableFile("the file is empty")
    if size > limits.max_file_bytes:
        raise UnreadableFile(f"{size} bytes, limit {limits.max_file_bytes}")
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        start = _data_starts(bytes(data[: PREAMBLE + 4]))
        if start is None:
            raise UnreadableFile("not a DICOM file")
        if limits.refuse_foreign_preamble:
            check_preamble(bytes(data[:PREAMBLE]))
        syntax, dataset_start = _transfer_syntax(data, start)
        if syntax == DeflatedExplicitVRLittleEndian:
            inflated = _inflated(bytes(data[dataset_start:]), limits)
            walk(inflated, 0, _encoding(syntax), limits.max_nesting, found)
        else:
            walk(data, dataset_start, _encoding(syntax), limits.max_nesting, found)
            if found.pixels is not None and found.pixels.length is None:
                count_fragments(data, found.pixels, limits.max_fragments)
        digest = hashlib.sha256(data).hexdigest()
        # From memory what is before the pixel data: each element costs reads and seeks of a file.
        before = size if found.pixels is None else size - found.pixels.available
        is_whole = syntax == DeflatedExplicitVRLittleEndian or before > LONGEST_HEADER
        header = parse(file if is_whole else BytesIO(data[:before]), stop_before_pixels=True)
    return DicomFile(
        path=path,
        name=name,
        sha256=digest,
        size=size,
        transfer_syntax_uid=syntax,
        header=header,
        pixels=found.pixels,
    )


def _data_starts(beginning: bytes) -> int | None:
    """Return where meta information, or else the data set, begins; None if neither does."""
    if beginning[PREAMBLE : PREAMBLE + 4] == b"DICM":
        return PREAMBLE + 4
    group = beginning[:2]
    return 0 if group in (b"\x02\x00", b"\x08\x00") and beginning[3:4] == b"\x00" else None


def _transfer_syntax(data: mmap, start: int) -> tuple[UID, int]:
    """Return the transfer syntax and where the data set begins.

    File meta information is always explicit VR little endian. A file without it has the syntax that
    its first element looks like.
    """
    syntax, position = None, start
    while position + 8 <= len(data) and data[position : position + 2] == b"\x02\x00":
        tag = 0x00020000 | int.from_bytes(data[position + 2 : position + 4], "little")
        wide = data[position + 4 : position + 6] in LONG_VRS
        value = position + (12 if wide else 8)
        length = int.from_bytes(data[value - (4 if wide else 2) : value], "little")
        if value + length > len(data):
            raise UnreadableFile("truncated within the file meta information")
        if tag == TRANSFER_SYNTAX_UID:
            syntax = _stated_syntax(data[value : value + length])
        position = value + length
    if position >= len(data):
        raise UnreadableFile("truncated: the file has no data set")
    if syntax is None:
        explicit = data[position + 4 : position + 6].isalpha()
        syntax = ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
    return syntax, position


def _stated_syntax(value: bytes) -> UID:
    """Return a Transfer Syntax UID that the standard knows; nobody can say what others mean."""
    text = value.decode("ascii", "replace").rstrip("\0 ")
    if not is_uid(text):
        raise UnreadableFile("(0002,0010) Transfer Syntax UID is no UID")
    syntax = UID(text)
    if syntax.is_private or not syntax.is_transfer_syntax:
        kind = "private" if syntax.is_private else "none that is known"
        raise UnreadableFile(f"(0002,0010) Transfer Syntax UID is {text}: {kind}")
    return syntax


def _encoding(syntax: UID) -> Encoding:
    """Return how a data set in a transfer syntax is encoded."""
    return Encoding(
        implicit=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian
    )


def _inflated(deflated: bytes, limits: Limits) -> bytes:
    """Inflate a deflated data set, within limits."""
    by_ratio = max(limits.max_inflation_ratio * len(deflated), limits.free_inflated_bytes)
    limit = min(limits.max_inflated_bytes, by_ratio)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(deflated, limit)
    except zlib.error as error:
        raise UnreadableFile("the deflated data set is damaged") from error
    if inflater.unconsumed_tail:
        raise UnreadableFile(f"inflates {len(deflated)} bytes to more than the limit of {limit}")
    if not inflater.eof:
        raise UnreadableFile("truncated within the deflated data set")
    return inflated
