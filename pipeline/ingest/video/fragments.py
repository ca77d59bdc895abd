"""The codestream in a DICOM file as a file of its own: its fragments, read where they lie.

References
----------
.. [P5] DICOM PS3.5, A.4: encapsulated pixel data, a basic offset table and then fragments; 8.2.5 to
   8.2.12: video, whose stream lies in one fragment or is spread over several.
"""

import io
import struct
from bisect import bisect_right
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pydicom

from pipeline.errors import UnreadableFile
from pipeline.ingest.limits import Limits, in_force
from pipeline.quiet import quietly

ITEM = b"\xfe\xff\x00\xe0"
"""Item Tag (FFFE,E000), little endian."""

END = b"\xfe\xff\xdd\xe0"
"""Sequence Delimitation Item Tag (FFFE,E0DD)."""

PIXEL_DATA = b"\xe0\x7f\x10\x00"
"""Pixel Data (7FE0,0010)."""

ELEMENT_HEAD = 12
"""Bytes of an element's tag, VR and long length."""


def open_codestream(path: Path, name: str, limits: Limits | None = None) -> BinaryIO:
    """Open the codestream of a DICOM video: nothing of it is read into memory.

    Parameters
    ----------
    path
        The file; its structure was checked.
    name
        How messages name it.
    limits
        How many fragments it may have; None takes what is in force.

    Raises
    ------
    UnreadableFile
        If it has more fragments than allowed, no encapsulated pixel data, or they are cut short.
    """
    with ExitStack() as opened:
        file = opened.enter_context(path.open("rb"))
        with quietly():
            pydicom.dcmread(file, stop_before_pixels=True, force=True)
        places = _fragments(file, name, (limits or in_force()).max_fragments)
        stream = io.BufferedReader(_Fragments(file, places), buffer_size=1 << 16)
        # From here on the stream closes the file.
        opened.pop_all()
        return stream


def _fragments(file: BinaryIO, name: str, most: int) -> list[tuple[int, int]]:
    """Return where each fragment lies, and how long it is; the basic offset table is left out."""
    head = file.read(ELEMENT_HEAD)
    if head[:4] != PIXEL_DATA or head[8:] != b"\xff\xff\xff\xff":
        raise UnreadableFile(f"{name}: (7FE0,0010) Pixel Data is missing or not encapsulated")
    found: list[tuple[int, int]] = []
    while True:
        tag, length = file.read(4), file.read(4)
        if tag == END and len(found) > 1:
            return found[1:]
        if tag != ITEM or len(length) < len(ITEM):
            break
        if len(found) > most:
            raise UnreadableFile(
                f"{name}: (7FE0,0010) Pixel Data has over {most} fragments, the limit"
            )
        (size,) = struct.unpack("<I", length)
        found.append((file.tell(), size))
        file.seek(size, io.SEEK_CUR)
    raise UnreadableFile(f"{name}: (7FE0,0010) Pixel Data is cut short or holds no fragment")


class _Fragments(io.RawIOBase):
    """Fragments of a file, one after the other, as a file."""

    def __init__(self, file: BinaryIO, fragments: list[tuple[int, int]]) -> None:
        self._file = file
        self._places = [place for place, _ in fragments]
        self._starts = [0]
        for _, size in fragments:
            self._starts.append(self._starts[-1] + size)
        self._position = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be sought in."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}
        self._position = max(0, base[whence] + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Read what is left of the fragment that the position lies in."""
        index = bisect_right(self._starts, self._position) - 1
        if index >= len(self._places):
            return 0
        inside = self._position - self._starts[index]
        left = self._starts[index + 1] - self._position
        self._file.seek(self._places[index] + inside)
        content = self._file.read(min(left, len(buffer)))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
