"""Tell twix files from others, and whole ones from damaged ones, before a library reads them.

A block names its own length. A length of nothing would keep a reader for ever, one beyond the end
of the file is a truncated file, and a list that is addressed at a huge index would fill the memory.

References
----------
.. [TWIX] twixtools, mdh_def.py and hdr_def.py: the layout of VB and VD/VE files.
"""

import re
import struct
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import UnreadableFile
from pipeline.ingest.limits import Limits

MOST_MEASUREMENTS = 64
VE_HEADER, VE_CHANNEL, VB_CHANNEL = 192, 32, 128
"""Bytes of a block's header, of each channel's, and of the only one in VB."""

ACQEND, SYNCDATA = 1 << 0, 1 << 5
"""Flags of the last block, and of blocks that hold no samples."""

MAX_PROTOCOL_BYTES = 64 * 1024**2
HUGE_INDEX = re.compile(rb"\[\d{6,}\]")
"""An index in a protocol that no real one has."""

MEASUREMENT = struct.Struct("<IIQQ")
MEASUREMENT_STRIDE = 152
FIRST_MEASUREMENT = 8


def looks_like_twix(path: Path) -> bool:
    """Tell whether a file begins as twix files do: a superblock, or a protocol's first buffer."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(FIRST_MEASUREMENT + MEASUREMENT.size)
        if len(start) < FIRST_MEASUREMENT + MEASUREMENT.size:
            return False
        first, second = struct.unpack_from("<II", start)
        if first < 10_000 and 1 <= second <= MOST_MEASUREMENTS:
            _, _, offset, _ = MEASUREMENT.unpack_from(start, FIRST_MEASUREMENT)
            return bool(0 < offset < size) and _has_buffers(file, offset)
        return first < size and _has_buffers(file, 0)


def check_whole(path: Path, name: str, limits: Limits) -> None:
    """Walk over the blocks of the last measurement.

    Raises
    ------
    UnreadableFile
        If a length is impossible, the file ends before its last block, or it is too large.
    """
    size = path.stat().st_size
    if size > limits.max_pixel_bytes:
        raise UnreadableFile(f"{name}: {size} bytes, limit {limits.max_pixel_bytes}")
    try:
        with path.open("rb") as file:
            is_ve, start = _last_measurement(file)
            file.seek(start)
            length, _ = struct.unpack("<II", file.read(8))
            if not 8 < length < min(MAX_PROTOCOL_BYTES, size):
                raise UnreadableFile(f"{name}: a twix protocol of {length} bytes")
            if HUGE_INDEX.search(file.read(length - 8)):
                raise UnreadableFile(f"{name}: the twix protocol has lists of impossible length")
            _walk(file, start + length, size, (is_ve, name))
    except struct.error as error:
        raise UnreadableFile(f"{name}: twix file is truncated") from error


def _last_measurement(file: BinaryIO) -> tuple[bool, int]:
    """Return whether a file is of VD/VE, and where its last measurement starts."""
    first, count = struct.unpack("<II", file.read(8))
    if not (first < 10_000 and count <= MOST_MEASUREMENTS):
        return False, 0
    file.seek(FIRST_MEASUREMENT + MEASUREMENT_STRIDE * (max(count, 1) - 1))
    _, _, offset, _ = MEASUREMENT.unpack(file.read(MEASUREMENT.size))
    return True, int(offset)


def _walk(file: BinaryIO, position: int, size: int, kind: tuple[bool, str]) -> None:
    """Go from block to block until the last."""
    is_ve, name = kind
    header, mask_at = (VE_HEADER, 40) if is_ve else (VB_CHANNEL, 20)
    while position + header <= size:
        file.seek(position)
        block = file.read(header)
        (length,) = struct.unpack_from("<I", block)
        flags, n_samples, n_coils = struct.unpack_from("<QHH", block, mask_at)
        # As the library does: a last block that holds no samples is not its last.
        if flags & SYNCDATA:
            step = length % 2**25
        elif flags & ACQEND:
            return
        elif is_ve:
            step = VE_HEADER + n_coils * (VE_CHANNEL + 8 * n_samples)
        else:
            step = n_coils * (VB_CHANNEL + 8 * n_samples)
        if step < header:
            raise UnreadableFile(f"{name}: a twix block of {step} bytes at {position}")
        position += step
    raise UnreadableFile(f"{name}: twix file is truncated: it ends before its last block")


def _has_buffers(file: BinaryIO, offset: int) -> bool:
    """Tell whether a protocol starts at a place: lengths, then the name of a first buffer."""
    file.seek(offset)
    start = file.read(64)
    if len(start) < 64:
        return False
    length, n_buffers = struct.unpack_from("<II", start)
    return length > 64 and 0 < n_buffers < 100 and bool(re.match(rb"\w{4,32}\x00", start[8:]))
