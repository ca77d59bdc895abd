"""Have compressed pixel data decoded in processes of their own.

Decoders are native code, and damaged pixel data makes some of them abort: the process is lost then,
the series is refused, and the run goes on.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.limits import in_force
from pipeline.sandbox.reader import Allowance, Reader, Task

DECODE = Task(address="pipeline.ingest.decoder:decode")

DECODES_S = 2.0
"""Time of a processor that any instance may take [s]: damaged data keeps CharLS busy for long."""

SLOWEST = 1 << 20
"""Bytes of values that are decoded in a second at least."""

SIDE_BY_SIDE = 2
"""Instances of a series that are decoded at a time."""

COPIES = 4
"""How often a decoder, pydicom and an answer hold the same values at a time."""

ROUNDING = 4096
"""Bytes by which an answer may be longer than its values."""


T = TypeVar("T")
R = TypeVar("R")


class Decoder:
    """Decodes the instances of one series one after another; its process starts with the first."""

    def __init__(self) -> None:
        self._reader: Reader | None = None
        self._room = 0

    def close(self) -> None:
        """End its process."""
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
        needed = n_bytes + len(content)
        if self._reader is None or needed > self._room:
            self.close()
            # Rounded up: instances differ a little in length, and a process for each that is
            # longer than all before would take longer than to decode it.
            self._room = 1 << needed.bit_length()
            limits = in_force()
            allowance = Allowance(
                memory_bytes=limits.reader_memory_bytes + COPIES * self._room,
                time_s=limits.reader_time_s,
                answer_bytes=self._room + ROUNDING,
                cpu_s=DECODES_S + self._room // SLOWEST,
            )
            self._reader = Reader("pixel data", allowance, "pipeline.ingest.decoder")
        frames: NDArray[np.generic] = self._reader.call(DECODE, content)
        return frames


def side_by_side(read: Callable[[T, Decoder], R], items: Iterable[T]) -> Iterator[R]:
    """Yield what each item is read to, in their order, while the next are read already.

    Parameters
    ----------
    read
        Reads one, in a thread, with a decoder that no other has meanwhile.
    items
        What is read; few are taken ahead of what has been yielded.
    """
    free: SimpleQueue[Decoder] = SimpleQueue()

    def one(item: T) -> R:
        decoder = free.get()
        try:
            return read(item, decoder)
        finally:
            free.put(decoder)

    with ExitStack() as held:
        for _ in range(SIDE_BY_SIDE):
            free.put(held.enter_context(closing(Decoder())))
        threads = ThreadPoolExecutor(SIDE_BY_SIDE, "decode")
        held.callback(threads.shutdown, cancel_futures=True)
        ahead: deque[Future[R]] = deque()
        for item in items:
            ahead.append(threads.submit(one, item))
            if len(ahead) > SIDE_BY_SIDE:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
