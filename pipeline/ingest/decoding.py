"""Have compressed pixel data decoded in a process of its own.

Decoders are native code, and damaged pixel data makes some of them abort: the process is lost then,
the series is refused, and the run goes on.
"""

from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.limits import in_force
from pipeline.sandbox.reader import Allowance, Reader, Task

DECODE = Task(address="pipeline.ingest.decoder:decode")

COPIES = 4
"""How often a decoder, pydicom and an answer hold the same values at a time."""

ROUNDING = 4096
"""Bytes by which an answer may be longer than its values."""


class Decoder:
    """Decodes the instances of one series one after another; its process starts with the first."""

    def __init__(self) -> None:
        self._reader: Reader | None = None
        self._room = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._reader is not None:
            self._reader.close()

    def decode(self, content: bytes, n_bytes: int) -> NDArray[np.generic]:
        """Return the frames of a DICOM file.

        Parameters
        ----------
        content
            The file.
        n_bytes
            How many bytes of values it describes.

        Raises
        ------
        UnreadableFile
            If the pixel data cannot be decoded, or the process that decodes it broke off.
        """
        room = n_bytes + len(content)
        if self._reader is None or room > self._room:
            self.__exit__(None, None, None)
            limits = in_force()
            allowance = Allowance(
                memory_bytes=limits.reader_memory_bytes + COPIES * room,
                time_s=limits.reader_time_s,
                answer_bytes=n_bytes + ROUNDING,
            )
            self._reader = Reader("pixel data", allowance, "pipeline.ingest.decoder")
            self._room = room
        frames: NDArray[np.generic] = self._reader.call(DECODE, content)
        return frames
