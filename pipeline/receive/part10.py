"""Files of PS3.10 around data sets that are kept as they came.

References
----------
.. [P10] DICOM PS3.10, 7.1 DICOM File Meta Information.
"""

import hashlib
import struct
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from pipeline.errors import UnreadableFile
from pipeline.gateways.implementation import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from pipeline.ingest.dicomfile import PARSE_ERRORS, read_dicom
from pipeline.ingest.limits import Limits
from pipeline.quiet import quietly

PREAMBLE = bytes(128) + b"DICM"

LARGEST_COMPARED = 256 << 20
"""Largest files whose data sets are compared, both of which are held in memory [byte]."""

GROUP_LENGTH = 12
"""Bytes of File Meta Information Group Length (0002,0000), whose value comes last."""


def file_beginning(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return preamble and meta information of a file; the data set comes after it [P10]_."""
    elements = b"".join(
        (
            struct.pack("<HH2sHL", 2, 1, b"OB", 0, 2) + b"\0\1",
            _text(0x02, b"UI", sop_class_uid, b"\0"),
            _text(0x03, b"UI", sop_instance_uid, b"\0"),
            _text(0x10, b"UI", transfer_syntax_uid, b"\0"),
            _text(0x12, b"UI", IMPLEMENTATION_CLASS_UID, b"\0"),
            _text(0x13, b"SH", IMPLEMENTATION_VERSION_NAME, b" "),
        )
    )
    return PREAMBLE + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(elements)) + elements


def _text(element: int, representation: bytes, text: str, padding: bytes) -> bytes:
    """Return an element of group 2 whose value is a text."""
    value = text.encode("ascii")
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, representation, len(value)) + value


def digest_data_set(path: Path) -> str:
    """Return the SHA-256 of a file's data set, hexadecimal, without preamble and meta information.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        beginning = file.read(len(PREAMBLE) + GROUP_LENGTH)
        length = int.from_bytes(beginning[-4:], "little")
        file.seek(len(beginning) + length)
        return hashlib.file_digest(file, "sha256").hexdigest()


def says_the_same(first: Path, second: Path) -> bool:
    """Tell whether two files hold the same data set, in whatever transfer syntax each.

    Of files that are large, or not whole, this is not known, and they count as two: of a length
    that lies, no reader can tell what was meant.
    """
    try:
        if max(first.stat().st_size, second.stat().st_size) > LARGEST_COMPARED:
            return False
        with quietly():
            return bool(_read(first) == _read(second))
    except (*PARSE_ERRORS, UnreadableFile, OSError, MemoryError):
        return False


def _read(path: Path) -> Dataset:
    """Return the data set of a whole file, and none that is deflated: it may be a bomb."""
    if read_file_meta_info(path).TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        raise ValueError
    read_dicom(path, path.name, Limits())
    return dcmread(path)
