"""Decode compressed pixel data in a process of its own.

Decoders are native code, and damaged pixel data makes some of them abort: the process is lost then,
the series is refused, and the run goes on.
"""

import os
import subprocess
import sys
from io import BytesIO
from threading import Timer
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableFile
from pipeline.ingest.decoder import LENGTH

TIMEOUT_S = 120.0
"""Longest time that one instance may take [s]."""


class Decoder:
    """Decodes instances one after another; the process starts with the first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def decode(self, content: bytes) -> NDArray[np.generic]:
        """Return the frames of a DICOM file.

        Raises
        ------
        UnreadableFile
            If the pixel data cannot be decoded, or the decoder gave up on it.
        """
        process = self._process = self._process or _started()
        watchdog = Timer(TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            reply = _exchanged(process, content)
        except (OSError, EOFError) as error:
            raise UnreadableFile("pixel data cannot be decoded: the decoder gave up") from error
        finally:
            watchdog.cancel()
        if not reply:
            raise UnreadableFile("pixel data cannot be decoded")
        frames: NDArray[np.generic] = np.load(BytesIO(reply), allow_pickle=False)
        return frames


def _started() -> subprocess.Popen[bytes]:
    """Start the process. What native code prints goes nowhere: it may quote the data."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.ingest.decoder"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _exchanged(process: subprocess.Popen[bytes], content: bytes) -> bytes:
    """Send a file and return the reply."""
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(LENGTH.pack(len(content)) + content)
    process.stdin.flush()
    head = process.stdout.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    length = LENGTH.unpack(head)[0]
    reply = process.stdout.read(length)
    if len(reply) < length:
        raise EOFError
    return reply
