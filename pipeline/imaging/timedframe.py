"""A picture of a video with its time: what decoders yield and the phase analysis takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TimedFrame:
    """One decoded picture."""

    t_seconds: float
    """Presentation time, from the start of the video [s]; of a case in several instances, from the
    start of the first."""

    rgb: NDArray[np.uint8]
    """The picture. Shape ``(rows, columns, 3)``."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        ValueError
            If the picture is not of three channels of bytes, is empty, or its time is not finite:
            a defect of the decoder.
        """
        shape = self.rgb.shape
        if len(shape) != 3 or shape[2] != 3 or not self.rgb.size or self.rgb.dtype != np.uint8:
            raise ValueError(f"a picture of {self.rgb.dtype} {shape}, not of uint8 (n, m, 3)")
        if not np.isfinite(self.t_seconds):
            raise ValueError(f"a picture at {self.t_seconds} s")

    def later(self, seconds: float) -> "TimedFrame":
        """Return the same picture at a later time.

        Parameters
        ----------
        seconds
            By how much [s].
        """
        return TimedFrame(t_seconds=self.t_seconds + seconds, rgb=self.rgb)
