"""Values of variable length in HDF5, read from where the file has them.

HDF5 trusts what a file says of such values: one damaged byte makes it allocate gigabytes or end the
process. So they are read here, every length and place compared with the file first.

Not handled: datasets that are compressed, and addresses that are not of eight bytes.

References
----------
.. [HDF5] HDF5 File Format Specification, version 3.0, III.E Global Heap; IV.A.2.d Datatype message,
   class 9: a length, then the address of a heap collection and the index of an object in it.
"""

import mmap
import struct
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableFile
from pipeline.ingest.limits import Limits

REFERENCE = struct.Struct("<IQI")
"""Elements, address of the collection, index of the object."""

COLLECTION = struct.Struct("<4sB3xQ")
"""Signature, version, size of the collection with this header."""

OBJECT = struct.Struct("<HHIQ")
"""Index, references, reserved, bytes."""


class StoredValues:
    """The elements of a one-dimensional dataset as they are in the file.

    Parameters
    ----------
    found
        The dataset.
    name
        The file's name, for messages.
    limits
        What a file may hold.

    Raises
    ------
    UnreadableFile
        If it is compressed, or more is stored than the file holds.
    """

    def __init__(self, found: h5py.Dataset, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._base = int(found.file.userblock_size)
        with Path(found.file.filename).open("rb") as file:
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._collections: dict[int, dict[int, tuple[int, int]]] = {}
        self.elements = self._elements(found)

    def field(self, kind: np.dtype[np.void], offset: int) -> NDArray[np.void]:
        """Return a field of fixed size of all elements.

        Parameters
        ----------
        kind
            Its type.
        offset
            Where it starts in an element [bytes].
        """
        cut = np.ascontiguousarray(self.elements[:, offset : offset + kind.itemsize])
        return cut.view(kind).ravel()

    def lengths(self, offset: int) -> NDArray[np.int64]:
        """Return the length of a field of variable length of all elements."""
        cut = np.ascontiguousarray(self.elements[:, offset : offset + 4])
        return cut.view("<u4").ravel().astype(np.int64)

    def variable(self, index: int, offset: int, size: int) -> bytes:
        """Return a value of variable length.

        Parameters
        ----------
        index
            The element.
        offset
            Where its field starts in the element [bytes].
        size
            Bytes of one of its values.

        Raises
        ------
        UnreadableFile
            If the file has it not, or not as long.
        """
        reference = self.elements[index, offset : offset + REFERENCE.size].tobytes()
        if len(reference) < REFERENCE.size:
            raise self._damaged()
        count, address, number = REFERENCE.unpack(reference)
        if count == 0:
            return b""
        place, n_bytes = self._collection(address).get(number, (0, -1))
        if count * size > min(n_bytes, self._limits.max_pixel_bytes):
            raise self._damaged()
        return self._file[place : place + count * size]

    def _elements(self, found: h5py.Dataset) -> NDArray[np.uint8]:
        """Return the bytes of all elements. Shape ``(elements, bytes)``."""
        creation = found.id.get_create_plist()
        layout = creation.get_layout()
        if creation.get_nfilters() or layout not in (h5py.h5d.CHUNKED, h5py.h5d.CONTIGUOUS):
            raise UnreadableFile(f"{self._name}: HDF5 values of variable length are compressed")
        kind, n = found.id.get_type(), int(found.size or 0)
        # A text's own size is that of a pointer in memory; in the file it is a reference.
        is_text = isinstance(kind, h5py.h5t.TypeStringID)
        size = REFERENCE.size if is_text else int(kind.get_size())
        if size * n > len(self._file):
            raise self._damaged()
        elements = np.zeros((n, size), dtype=np.uint8)
        if layout == h5py.h5d.CONTIGUOUS:
            offset = found.id.get_offset()
            if offset is not None:
                elements[:] = self._bytes(int(offset), n * size).reshape(n, size)
            return elements
        for number in range(found.id.get_num_chunks()):
            chunk = found.id.get_chunk_info(number)
            start = int(chunk.chunk_offset[0])
            rows = self._bytes(int(chunk.byte_offset), int(chunk.size)).reshape(-1, size)
            kept = rows[: max(0, n - start)]
            elements[start : start + len(kept)] = kept
        return elements

    def _bytes(self, place: int, n: int) -> NDArray[np.uint8]:
        """Return bytes of the file."""
        start = self._base + place
        if n < 0 or start + n > len(self._file):
            raise self._damaged()
        return np.frombuffer(self._file[start : start + n], dtype=np.uint8)

    def _collection(self, address: int) -> dict[int, tuple[int, int]]:
        """Return place and size of each object of a heap collection [HDF5]_."""
        if address in self._collections:
            return self._collections[address]
        at = self._base + address
        if at + COLLECTION.size > len(self._file):
            raise self._damaged()
        signature, _, size = COLLECTION.unpack_from(self._file, at)
        end = at + size
        if signature != b"GCOL" or end > len(self._file):
            raise self._damaged()
        objects: dict[int, tuple[int, int]] = {}
        at += COLLECTION.size
        while at + OBJECT.size <= end:
            number, _, _, n_bytes = OBJECT.unpack_from(self._file, at)
            # Object 0 is the free space at the end.
            if number == 0 or at + OBJECT.size + n_bytes > end:
                break
            objects[number] = (at + OBJECT.size, n_bytes)
            at += OBJECT.size + -(-n_bytes // 8) * 8
        self._collections[address] = objects
        return objects

    def _damaged(self) -> UnreadableFile:
        """Return what is raised where the file contradicts itself."""
        return UnreadableFile(f"{self._name}: HDF5 is damaged: values that are not in the file")


def text_of(found: h5py.Dataset, name: str, limits: Limits) -> bytes:
    """Return the one text of a dataset.

    Parameters
    ----------
    found
        The dataset.
    name
        The file's name, for messages.
    limits
        What a file may hold.

    Raises
    ------
    UnreadableFile
        If it holds no text, or the file has it not.
    """
    kind = found.id.get_type()
    is_text = isinstance(kind, h5py.h5t.TypeStringID)
    if not is_text or found.size != 1 or found.ndim > 1:
        raise UnreadableFile(f"{name}: the header is no text")
    if kind.is_variable_str():
        return StoredValues(found, name, limits).variable(0, 0, 1)
    return bytes(np.asarray(found[()]).tobytes())
