"""Frames of an instance as DICOMweb sends them: as they lie in the file.

References
----------
.. [W18] DICOM PS3.18, 8.7.3 and 10.4.1.1.6: media types of frames.
.. [P5] DICOM PS3.5, 8.1.1 and A.4: how frames lie in pixel data.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from pipeline.errors import NotApplicable, UnreadableFile
from pipeline.quiet import quietly

OCTETS = "application/octet-stream"

KINDS = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
"""Media types by transfer syntax [W18]_."""

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
"""Attributes that hold pixels."""


def frames_of(path: Path, numbers: Sequence[int]) -> tuple[str, list[bytes]]:
    """Return the media type of an instance's frames, and some of them.

    Parameters
    ----------
    path
        The file.
    numbers
        Frames, from 1.

    Raises
    ------
    NotApplicable
        If it has no frames, not so many, or they are not sent as they lie.
    UnreadableFile
        If its pixel data is damaged.
    """
    with quietly():
        dataset = pydicom.dcmread(path)
        keyword = next((each for each in PIXELS if each in dataset), None)
        if keyword is None:
            raise NotApplicable("the instance has no frames")
        n_frames = int(dataset.get("NumberOfFrames") or 1)
        if not all(1 <= number <= n_frames for number in numbers):
            raise NotApplicable(f"the instance has {n_frames} frames")
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        pixels = dataset[keyword].value
        if syntax.is_encapsulated:
            kind = KINDS.get(str(syntax), OCTETS)
            try:
                return f"{kind}; transfer-syntax={syntax}", [
                    get_frame(pixels, number - 1, number_of_frames=n_frames) for number in numbers
                ]
            except (ValueError, IndexError, EOFError):
                raise UnreadableFile("the pixel data is damaged") from None
        if syntax == ExplicitVRBigEndian:
            raise NotApplicable("pixel data of the wrong byte order is not sent")
        size = _bits(dataset)
        kind = f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"
        return kind, [_native(pixels, (number - 1) * size, size) for number in numbers]


def _bits(dataset: Dataset) -> int:
    """Return the length of a native frame [bit]."""
    samples = int(dataset.get("SamplesPerPixel", 1))
    bits = int(dataset.get("BitsAllocated", 8))
    return int(dataset.Rows) * int(dataset.Columns) * samples * bits


def _native(pixels: bytes, start: int, size: int) -> bytes:
    """Return a part of native pixel data, given in bits: a frame may end within a byte.

    Raises
    ------
    UnreadableFile
        If there is less.
    """
    if (start + size + 7) // 8 > len(pixels):
        raise UnreadableFile("the pixel data is cut short")
    if start % 8 == 0 and size % 8 == 0:
        return pixels[start // 8 : (start + size) // 8]
    first, last = start // 8, (start + size + 7) // 8
    bits = np.unpackbits(np.frombuffer(pixels[first:last], np.uint8), bitorder="little")
    return np.packbits(bits[start % 8 : start % 8 + size], bitorder="little").tobytes()
