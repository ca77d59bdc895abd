"""Check how an image's pixels are described, and that the file holds as many, before reading any.

References
----------
.. [C763] DICOM PS3.3, C.7.6.3 Image Pixel module.
.. [C111] DICOM PS3.3, C.11.1 Modality LUT module.
.. [C821] DICOM PS3.3, C.8.2.1 CT Image module: Rescale Type is HU unless it says otherwise.
.. [P358] DICOM PS3.5, 8.2 native and encapsulated pixel data.
"""

from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from pipeline.errors import UnreadableFile
from pipeline.ingest.attributes import number, tag_text, text, whole_number
from pipeline.ingest.dicomfile import DicomFile
from pipeline.ingest.frame import NativePixels
from pipeline.ingest.limits import Limits

NATIVE = frozenset(
    {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    }
)
"""Transfer syntaxes whose pixel data is not encapsulated."""

COMPRESSED = frozenset(
    {
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSNearLossless,
        JPEG2000Lossless,
        JPEG2000,
        HTJ2KLossless,
        HTJ2K,
        RLELossless,
    }
)
"""Compressed transfer syntaxes that are decoded."""

PLAIN = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian})
"""Those whose pixel data lies in the file as this machine holds it."""

PIXEL_DATA = 0x7FE00010
BITS_ALLOCATED = (8, 16, 32)


def check_pixels(file: DicomFile, limits: Limits) -> None:
    """Check that a file's pixels can be read as the header describes them.

    Raises
    ------
    UnreadableFile
        If the transfer syntax or the kind of pixels is not supported, there are no frames or no
        pixel data, more than the limits allow, or more or fewer bytes than described.
    """
    check_syntax(file.transfer_syntax_uid)
    check_description(file.header)
    n_bytes = _check_size(file.header, limits)
    _check_element(file, n_bytes)


def check_syntax(syntax: UID) -> None:
    """Refuse a transfer syntax that is not decoded, by name."""
    if syntax not in NATIVE | COMPRESSED:
        name = f"{syntax.name} ({syntax})" if syntax.name != syntax else str(syntax)
        raise UnreadableFile(f"transfer syntax {name} is not supported")


def check_description(header: Dataset) -> None:
    """Refuse pixels that are not plain grey values."""
    if header.get("ModalityLUTSequence"):
        raise UnreadableFile(
            f"{tag_text('ModalityLUTSequence')} is not supported, only Rescale Slope and Intercept"
        )
    if whole_number(header, "SamplesPerPixel") != 1:
        raise UnreadableFile(f"{tag_text('SamplesPerPixel')} is not 1: colour is not supported")
    photometric = text(header, "PhotometricInterpretation")
    if photometric != "MONOCHROME2":
        keyword = tag_text("PhotometricInterpretation")
        raise UnreadableFile(f"{keyword} is {photometric or 'missing'}, only MONOCHROME2 is read")
    allocated = whole_number(header, "BitsAllocated")
    if allocated not in BITS_ALLOCATED:
        raise UnreadableFile(f"{tag_text('BitsAllocated')} is {allocated}")
    stored = whole_number(header, "BitsStored")
    if not 1 <= stored <= allocated:
        raise UnreadableFile(f"{tag_text('BitsStored')} is {stored} of {allocated}")
    representation = whole_number(header, "PixelRepresentation")
    if representation not in (0, 1):
        raise UnreadableFile(f"{tag_text('PixelRepresentation')} is {representation}")


def native_pixels(file: DicomFile) -> NativePixels | None:
    """Return where a single frame's values lie in a file that was checked.

    None where they have to be decoded, inflated or turned, or where there are more frames.
    """
    pixels, header = file.pixels, file.header
    if pixels is None or file.transfer_syntax_uid not in PLAIN:
        return None
    if whole_number(header, "NumberOfFrames", 1) != 1:
        return None
    allocated = whole_number(header, "BitsAllocated")
    kind = "i" if whole_number(header, "PixelRepresentation") else "u"
    return NativePixels(
        offset=file.size - pixels.available,
        dtype=f"<{kind}{allocated // 8}",
        unused_bits=allocated - whole_number(header, "BitsStored"),
    )


def rescale(item: Dataset) -> tuple[float, float]:
    """Return Rescale Slope and Intercept [C111]_; 1 and 0 where they are missing.

    Raises
    ------
    UnreadableFile
        If one is no finite number, or the slope is 0.
    """
    slope, intercept = number(item, "RescaleSlope", 1.0), number(item, "RescaleIntercept", 0.0)
    if slope == 0:
        raise UnreadableFile(f"{tag_text('RescaleSlope')} is 0: all values would be one")
    return slope, intercept


def check_hounsfield(header: Dataset) -> None:
    """Refuse a CT image whose values are not known to be Hounsfield units [C821]_.

    Raises
    ------
    UnreadableFile
        If Rescale Slope or Intercept is missing, or Rescale Type is another than HU.
    """
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        if not text(header, keyword):
            raise UnreadableFile(f"{tag_text(keyword)} is missing: values of CT have no unit")
    if text(header, "RescaleType") not in ("", "HU"):
        raise UnreadableFile(f"{tag_text('RescaleType')} is not HU: no Hounsfield units")


def _check_size(header: Dataset, limits: Limits) -> int:
    """Return how many bytes the pixels take, having checked them against the limits."""
    rows, columns = whole_number(header, "Rows"), whole_number(header, "Columns")
    frames = whole_number(header, "NumberOfFrames", 1)
    if min(rows, columns) < 1 or max(rows, columns) > limits.max_rows_columns:
        raise UnreadableFile(f"{rows} rows, {columns} columns, limit {limits.max_rows_columns}")
    if not 1 <= frames <= limits.max_frames:
        keyword = tag_text("NumberOfFrames")
        raise UnreadableFile(f"{keyword} is {frames}, limits 1 and {limits.max_frames}")
    if 4 * rows * columns * frames > limits.max_pixel_bytes:
        raise UnreadableFile(
            f"{frames} frames of {rows}x{columns} need {4 * rows * columns * frames} bytes, "
            f"limit {limits.max_pixel_bytes}"
        )
    return rows * columns * frames * whole_number(header, "BitsAllocated") // 8


def _check_element(file: DicomFile, n_bytes: int) -> None:
    """Compare the pixel data in the file with what the header describes."""
    pixels = file.pixels
    if pixels is None:
        raise UnreadableFile(f"no pixel data: {tag_text('PixelData')} is missing")
    if pixels.tag != PIXEL_DATA:
        raise UnreadableFile("floating point pixel data is not supported")
    if (pixels.length is None) != (file.transfer_syntax_uid in COMPRESSED):
        kind = "encapsulated" if pixels.length is None else "not encapsulated"
        name = file.transfer_syntax_uid.name
        raise UnreadableFile(f"wrong transfer syntax: {name}, but the pixel data is {kind}")
    if pixels.length is None:
        return
    if pixels.available < pixels.length:
        raise UnreadableFile(
            f"truncated: {pixels.available} of {pixels.length} bytes of pixel data"
        )
    if pixels.length not in (n_bytes, n_bytes + n_bytes % 2):
        raise UnreadableFile(
            f"{tag_text('PixelData')} has {pixels.length} bytes, {n_bytes} are described"
        )
