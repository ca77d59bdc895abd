"""What the first bytes of a NIfTI file claim, compared with the file before a library reads it.

A header of 348 bytes can claim terabytes, and a compressed file of half a megabyte can hold a
gigabyte of zeros.

References
----------
.. [N1] NIfTI-1 data format, nifti1.h: 348 bytes, dim at 40, bitpix at 72, vox_offset at 108.
.. [N2] NIfTI-2 data format, nifti2.h: 540 bytes, bitpix at 14, dim at 16, vox_offset at 168.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.errors import UnreadableFile
from pipeline.ingest.limits import Limits

LONGEST_HEADER = 540


def check_beginning(path: Path, name: str, limits: Limits) -> None:
    """Refuse a file whose header claims what the file cannot hold, or is not to.

    What is no NIfTI header is left to the library, which says what is wrong with it.

    Parameters
    ----------
    path
        The file.
    name
        How messages name it.
    limits
        What it may ask for.

    Raises
    ------
    UnreadableFile
        If it does.
    """
    size = path.stat().st_size
    is_compressed = path.name.lower().endswith(".gz")
    claim = _claimed(_beginning(path, is_compressed=is_compressed))
    if claim is None:
        return
    n_bytes, offset = claim
    if not 0 <= offset <= limits.free_inflated_bytes:
        raise UnreadableFile(
            f"{name}: vox_offset is {offset:.0f}, limit {limits.free_inflated_bytes}"
        )
    if not is_compressed:
        if n_bytes + offset > size:
            raise UnreadableFile(
                f"{name}: fewer values than its header says, {n_bytes} bytes in a file of {size}"
            )
        return
    most = max(limits.max_inflation_ratio * size, limits.free_inflated_bytes)
    if n_bytes > most:
        raise UnreadableFile(
            f"{name}: {size} compressed bytes claim {n_bytes} bytes of values, limit {most}"
        )


def _beginning(path: Path, *, is_compressed: bool) -> bytes:
    """Return the first bytes, decompressed; none where they are damaged."""
    try:
        with path.open("rb") as file:
            source = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if is_compressed else file
            return source.read(LONGEST_HEADER)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""


def _claimed(beginning: bytes) -> tuple[int, float] | None:
    """Return how many bytes the values take and where they start; None if it is no header."""
    for order in "<>":
        for length, dim, bits, offset in ((348, "8h", 72, "f"), (540, "8q", 14, "q")):
            if len(beginning) < length or struct.unpack_from(f"{order}i", beginning)[0] != length:
                continue
            is_first = length == 348
            sizes = struct.unpack_from(order + dim, beginning, 40 if is_first else 16)
            (bitpix,) = struct.unpack_from(f"{order}h", beginning, bits)
            (start,) = struct.unpack_from(order + offset, beginning, 108 if is_first else 168)
            n_axes = min(max(sizes[0], 0), 7)
            n_values = math.prod(max(n, 0) for n in sizes[1 : n_axes + 1])
            return n_values * max(bitpix, 0) // 8, start if math.isfinite(start) else math.inf
    return None
