"""Look after the free lists of an HDF5 file's local heaps, before the library follows them.

A local heap holds the names in a group. What is free in it is a list of blocks, each of which names
the next: where one names itself, or an earlier one, the library goes round for ever and cannot be
interrupted.

References
----------
.. [HDF5] HDF5 file format specification 3.0, III.D Disk Format: Level 1D - Local Heaps.
"""

import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path

from pipeline.errors import UnreadableFile

SIGNATURE = b"HEAP"
END = 1
"""What the last free block names as the next [HDF5]_."""

SIZES_AT = {0: 13, 1: 13, 2: 9, 3: 9}
"""Where a superblock of each version states the size of addresses and of lengths."""

FORMS = {2: "H", 4: "I", 8: "Q"}


def check_free_lists(path: Path, name: str) -> None:
    """Refuse a file with a free list that has no end.

    Parameters
    ----------
    path
        The file, which begins as HDF5 does.
    name
        Its name, for messages.

    Raises
    ------
    UnreadableFile
        If there is one.
    """
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        sizes = SIZES_AT.get(data[8]) if len(data) > 16 else None
        if sizes is None or not {data[sizes], data[sizes + 1]} <= FORMS.keys():
            return
        address, length = FORMS[data[sizes]], FORMS[data[sizes + 1]]
        at = data.find(SIGNATURE)
        while at >= 0:
            if _goes_round(data, at, struct.Struct(f"<{length}{length}{address}")):
                raise UnreadableFile(f"{name}: HDF5 is damaged: a heap's free list has no end")
            at = data.find(SIGNATURE, at + 1)


def _goes_round(data: mmap, at: int, header: struct.Struct) -> bool:
    """Tell whether the free list of a heap comes back to where it was."""
    if at + 8 + header.size > len(data):
        return False
    size, block, segment = header.unpack_from(data, at + 8)
    link = struct.Struct(header.format[:2])
    seen = set()
    while block != END and block < size and segment + block + link.size <= len(data):
        if block in seen:
            return True
        seen.add(block)
        (block,) = link.unpack_from(data, segment + block)
    return False
