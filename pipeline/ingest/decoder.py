"""Decode compressed pixel data: in a reader, for what decoders do wrong on damaged data ends there.

Imported by readers only: it loads every decoder, so that each reader begins with them.
"""

from importlib import import_module
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from pipeline.errors import UnreadableFile
from pipeline.ingest.codestream import Picture, check_codestreams
from pipeline.ingest.dicomfile import DECODE_ERRORS, parse
from pipeline.quiet import quietly

PLUGINS = {
    JPEG2000: "pylibjpeg",
    JPEG2000Lossless: "pylibjpeg",
    HTJ2K: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    RLELossless: "pylibjpeg",
    # GDCM aborts on damaged data, and nothing else decodes lossless JPEG.
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
}
"""Which plug-in of pydicom decodes what."""

for _library in ("gdcm", "jpeg_ls", "openjpeg", "rle", "pydicom.pixels"):
    import_module(_library)


def decode(content: bytes) -> NDArray[np.generic]:
    """Return the frames of a DICOM file.

    Raises
    ------
    UnreadableFile
        If they cannot be decoded, or a compressed frame claims another size than the data set.
    """
    try:
        with quietly():
            dataset = parse(BytesIO(content), stop_before_pixels=False)
            syntax = dataset.file_meta.TransferSyntaxUID
            picture = Picture(
                rows=dataset.Rows, columns=dataset.Columns, samples=dataset.SamplesPerPixel
            )
            check_codestreams(dataset.PixelData, picture, is_rle=syntax == RLELossless)
            dataset.pixel_array_options(decoding_plugin=PLUGINS[syntax])
            return np.ascontiguousarray(dataset.pixel_array)
    except (MemoryError, UnreadableFile):
        raise
    except DECODE_ERRORS:
        # Not chained: what has come may be quoted.
        raise UnreadableFile("pixel data cannot be decoded") from None
