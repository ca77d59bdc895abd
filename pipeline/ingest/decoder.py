"""The process that decodes compressed pixel data: ``python -m pipeline.ingest.decoder``.

Reads DICOM files from its input and writes decoded frames to its output, each behind its length in
eight bytes; a length of zero says that a file cannot be decoded. What a decoder does wrong on
damaged data, from an abort to eating all memory, ends here.
"""

import struct
import sys
from io import BytesIO
from typing import BinaryIO

import numpy as np
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

from pipeline.ingest.dicomfile import PARSE_ERRORS, parse
from pipeline.quiet import quietly

LENGTH = struct.Struct("<Q")
"""How a length is written."""

MEMORY_BYTES = 6 * 1024**3
"""Address space of the process: what the largest series needs, several times over."""

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

DECODE_ERRORS = (*PARSE_ERRORS, RuntimeError, MemoryError, OSError)
"""What pydicom and its decoders raise on damaged pixel data."""


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Decode one file after another until there are no more."""
    while head := requests.read(LENGTH.size):
        content = requests.read(LENGTH.unpack(head)[0])
        try:
            reply = _decoded(content)
        except DECODE_ERRORS:
            reply = b""
        replies.write(LENGTH.pack(len(reply)) + reply)
        replies.flush()


def _decoded(content: bytes) -> bytes:
    """Return the frames of a DICOM file in NumPy's own format."""
    with quietly():
        dataset = parse(BytesIO(content), stop_before_pixels=False)
        dataset.pixel_array_options(decoding_plugin=PLUGINS[dataset.file_meta.TransferSyntaxUID])
        frames = np.ascontiguousarray(dataset.pixel_array)
    packed = BytesIO()
    np.save(packed, frames, allow_pickle=False)
    return packed.getvalue()


def _limit_memory() -> None:
    """Keep a decoder that is told to allocate without end from taking the machine along."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    _limit_memory()
    serve(sys.stdin.buffer, sys.stdout.buffer)
