"""Frames of multi-frame objects, made when they are written.

highdicom's constructors hold every frame of an object twice before a byte is written. Here they
build what is said about the frames, against one pixel a frame; the frames themselves are a stream
that pydicom reads into the file, one after the other.

References
----------
.. [A2] DICOM PS3.5, A.2 Explicit VR Little Endian and 8.1.1: frames of one bit follow each other
   without padding; a value of odd length ends with a zero byte.
"""

import os
from collections.abc import Callable
from io import BufferedIOBase
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.imaging.volume import Volume

Frame = Callable[[int], NDArray[Any]]
"""Returns a frame by its index: numbers as they are stored, or booleans to store as bits."""


def one_pixel(volume: Volume) -> Volume:
    """Return a volume of the same slices, each of its first pixel alone, which is 0.

    A constructor of highdicom builds all of an object from it but its pixels.
    """
    n_slices = volume.array.shape[0]
    return Volume(
        array=np.zeros((n_slices, 1, 1), dtype=volume.array.dtype),
        affine=volume.affine,
        frame_of_reference_uid=volume.frame_of_reference_uid,
    )


def give_frames(instance: Dataset, keyword: str, volume: Volume, frame: Frame) -> None:
    """Give an object that was built against one pixel a frame its frames.

    Parameters
    ----------
    instance
        The object. Its Number of Frames and Bits Allocated stand.
    keyword
        Attribute that holds the pixels.
    volume
        The grid whose slices the frames are.
    frame
        Returns each frame; its values may not change before the object is written.
    """
    instance.Rows, instance.Columns = volume.array.shape[1:]
    n_bits = instance.Rows * instance.Columns * instance.BitsAllocated
    setattr(instance, keyword, FrameStream(frame, int(instance.NumberOfFrames), n_bits))


class FrameStream(BufferedIOBase):
    """Frames as the value of a data element of native pixels [A2]_.

    Parameters
    ----------
    frame
        Returns a frame. Shape ``(rows, columns)``.
    n_frames
        How many there are.
    n_bits
        Size of a frame [bits].
    """

    def __init__(self, frame: Frame, n_frames: int, n_bits: int) -> None:
        self._frame = frame
        self._n_frames = n_frames
        # The fewest frames that fill whole bytes: one, unless bits are left over.
        self._run = 8 // gcd(8, n_bits)
        self._run_bytes = self._run * n_bits // 8
        self._n_bytes = -(-n_frames * n_bits // 8)
        self._length = self._n_bytes + self._n_bytes % 2
        self._position = 0
        self._made: tuple[int, memoryview] | None = None

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return where it is read next [bytes]."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, and return it [bytes]."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(0, start + offset)
        if self._position >= self._length:
            self._made = None
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes: all that are left where no size is given.

        Raises
        ------
        ValueError
            If a frame is not of the size that was told.
        """
        left = max(0, self._length - self._position)
        end = self._position + (left if size is None or size < 0 else min(size, left))
        parts: list[bytes | memoryview] = []
        while self._position < min(end, self._n_bytes):
            index, offset = divmod(self._position, self._run_bytes)
            part = self._run_at(index)[offset : offset + end - self._position]
            parts.append(part)
            self._position += len(part)
        parts.append(bytes(end - self._position))
        self._position = end
        return b"".join(parts)

    def _run_at(self, index: int) -> memoryview:
        """Return a run of frames as bytes."""
        if self._made is None or self._made[0] != index:
            self._made = None
            self._made = index, self._encoded(index)
        return self._made[1]

    def _encoded(self, index: int) -> memoryview:
        """Return a run of frames as they are stored."""
        first = index * self._run
        frames = [self._frame(n) for n in range(first, min(first + self._run, self._n_frames))]
        pixels = frames[0] if len(frames) == 1 else np.concatenate(frames)
        if pixels.dtype == np.bool_:
            pixels = np.packbits(pixels, bitorder="little")
        content = np.ascontiguousarray(pixels).data.cast("B")
        expected = min(self._run_bytes, self._n_bytes - index * self._run_bytes)
        if len(content) != expected:
            raise ValueError(f"frames of {len(content)} bytes, {expected} were told")
        return content
