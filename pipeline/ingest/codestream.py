"""What the headers of compressed frames claim, compared with the data set before any decoder runs.

A decoder allocates what a codestream says and not what the data set does: one of 4 kB can ask for a
gigabyte.

References
----------
.. [T81] ITU-T T.81, B.2.2 frame header: precision, lines, samples a line, components.
.. [T87] ITU-T T.87, C.2.2: the frame header of JPEG-LS, marker SOF55.
.. [T800] ITU-T T.800, A.5.1: image and tile size, SIZ.
.. [G5] DICOM PS3.5, G.5: the header of an RLE frame.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import UnreadableFile

ITEM, ITEM_HEAD = b"\xfe\xff\x00\xe0", 8

SOI = b"\xff\xd8"
FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Second bytes of the markers of frame headers [T81]_ [T87]_."""

J2K, JP2 = b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP"
"""How a codestream of JPEG 2000 begins, and a file around one."""

J2K_WITHIN = 4096
"""Bytes in which the codestream of a JPEG 2000 file begins."""

MOST_TILES = 65_535
"""Tiles of a codestream: their numbers have 16 bits [T800]_."""

MOST_SEGMENTS = 15
"""Segments of an RLE frame [G5]_."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """What a data set says of its frames."""

    rows: int
    """Rows (0028,0010)."""

    columns: int
    """Columns (0028,0011)."""

    samples: int = 1
    """Samples per Pixel (0028,0002)."""


def check_codestreams(pixel_data: bytes, picture: Picture, *, is_rle: bool) -> None:
    """Compare the header of each compressed frame with the data set.

    Parameters
    ----------
    pixel_data
        The value of Pixel Data (7FE0,0010): items of fragments.
    picture
        What the data set says.
    is_rle
        Whether it is compressed by RLE, which has no sizes.

    Raises
    ------
    UnreadableFile
        If one claims another size, or what cannot be.
    """
    for fragment in _fragments(pixel_data):
        if is_rle:
            _check_rle(fragment)
            continue
        claimed = _claimed(fragment)
        if claimed is not None and claimed != (picture.rows, picture.columns, picture.samples):
            rows, columns, samples = claimed
            raise UnreadableFile(
                f"a compressed frame claims {rows} x {columns} x {samples}, (0028,0010), "
                f"(0028,0011) and (0028,0002) say {picture.rows} x {picture.columns} x "
                f"{picture.samples}"
            )


def _fragments(pixel_data: bytes) -> Iterator[memoryview]:
    """Yield the fragments; the basic offset table comes first, and is left out."""
    data, position = memoryview(pixel_data), 0
    while bytes(data[position : position + 4]) == ITEM and position + ITEM_HEAD <= len(data):
        (length,) = struct.unpack_from("<L", data, position + 4)
        if position:
            yield data[position + ITEM_HEAD : position + ITEM_HEAD + length]
        position += ITEM_HEAD + length


def _claimed(fragment: memoryview) -> tuple[int, int, int] | None:
    """Return rows, columns and components; None where a fragment goes on with a frame."""
    start = bytes(fragment[:J2K_WITHIN])
    if start.startswith(SOI):
        return _jpeg(fragment)
    if start.startswith((J2K, JP2)):
        return _jpeg_2000(start[max(start.find(J2K), 0) :])
    return None


def _jpeg(data: memoryview) -> tuple[int, int, int]:
    """Return what the frame header of a JPEG or JPEG-LS codestream says."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in FRAME_HEADERS and position + 10 <= len(data):
            _, rows, columns, samples = struct.unpack_from(">BHHB", data, position + 4)
            return rows, columns, samples
        if length < 2:
            break
        position += 2 + length
    raise UnreadableFile("a compressed frame has no frame header")


def _jpeg_2000(data: bytes) -> tuple[int, int, int]:
    """Return what the SIZ marker of a codestream says."""
    try:
        right, bottom, left, top, wide, high = struct.unpack_from(">6L", data, 8)
        (samples,) = struct.unpack_from(">H", data, 40)
    except struct.error:
        raise UnreadableFile("a compressed frame is cut short within its header") from None
    rows, columns = bottom - top, right - left
    n_tiles = -(-columns // max(wide, 1)) * -(-rows // max(high, 1))
    if n_tiles > MOST_TILES:
        raise UnreadableFile(f"a compressed frame claims {n_tiles} tiles, limit {MOST_TILES}")
    return rows, columns, samples


def _check_rle(fragment: memoryview) -> None:
    """Refuse an RLE header whose segments lie outside the frame."""
    if len(fragment) < 64:
        raise UnreadableFile("an RLE frame is cut short within its header")
    n, *offsets = struct.unpack_from("<16L", fragment)
    if not 1 <= n <= MOST_SEGMENTS:
        raise UnreadableFile(f"an RLE frame claims {n} segments, limit {MOST_SEGMENTS}")
    if any(not 64 <= offset <= len(fragment) for offset in offsets[:n]):
        raise UnreadableFile("an RLE frame has a segment that lies outside it")
